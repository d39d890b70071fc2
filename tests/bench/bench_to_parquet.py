"""Crops out of extracted tables, against the converter of the pointing-gesture reference: CPU-seconds, peak memory.

python tests/bench/bench_to_parquet.py [ROWS ...]

Draws an extracted IPN-like source (noisy PNG crops of 36 to 92 pixels, 50 people of four videos), then writes
the crops table as `to-parquet` does, with the search for near-duplicates and without it. The reference's converter is
done again with pandas as its description has it: a CSV of loose PNG files, shuffled by label, into one file. Every case
runs in a process of its own. 100,000 rows take 0.8 GB, three times, below the temporary folder.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from pgc_data.hands.crops import encode_png, perceptual_hash
from pgc_data.hands.media_items import MediaItem, media_fingerprint, media_items
from pgc_data.stages import prepare, to_parquet
from pgc_data.storage.files import write_json
from pgc_data.storage.parquet import read_row_groups, write_table
from pgc_data.storage.schemas import conform, table_schema
from pgc_data.storage.workspace import Workspace
from pgc_data.tables.windows import nested

PEOPLE, VIDEOS, GESTURE = 50, 4, 50
CLASSES = ("B0A", "B0B", "G01", "G02", "G03", "G04", "G05", "G06", "G07", "G08", "G09", "G10", "G11", "D0X")
SHARD_FRAMES = 4_000


def main(sizes: list[int]) -> None:
    for rows in sizes:
        with tempfile.TemporaryDirectory(prefix="pgc-bench-") as folder:
            subprocess.run([sys.executable, __file__, "--draw", str(rows), folder], check=True)
            print(f"{rows:,} crops")
            for case in ("ours", "ours-joined", "pgc"):
                command = [sys.executable, __file__, "--measure", case, folder]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                print(done.stdout, end="", flush=True)


def draw(workspace: Path, rows: int) -> None:
    """Writes a prepared and extracted source of `rows` frames, a hand in each."""
    frames = rows // (PEOPLE * VIDEOS)
    raw = workspace / "raw" / "ipn"
    raw.mkdir(parents=True)
    lines = ["video,label,id,t_start,t_end,frames"]
    for video in range(PEOPLE * VIDEOS):
        for number, first in enumerate(range(1, frames + 1, GESTURE)):
            last = min(first + GESTURE - 1, frames)
            label = CLASSES[(number * 5 + video) % len(CLASSES)]
            name = f"1CM{video // VIDEOS}_{video % VIDEOS}_R_#{video}"
            lines.append(f"{name},{label},1,{first},{last},{last - first + 1}")
    (raw / "Annot_List.txt").write_text("\n".join(lines))
    prepare.run(prepare.PrepareConfig(workspace=workspace, dataset="ipn", annotations_only=True))
    items = media_items(workspace / "prepared" / "ipn" / "samples.parquet")
    folder = Workspace(workspace).extracted("ipn")
    folder.mkdir(parents=True)
    per_shard = max(1, SHARD_FRAMES // frames)
    shards = [items[at : at + per_shard] for at in range(0, len(items), per_shard)]
    rng = np.random.default_rng(0)
    pool = [picture(rng) for _ in range(2_000)]
    for number, shard in enumerate(shards):
        write_shard(folder, number, shard, pool, rng)
    total = sum(item.frames for item in items)
    write_json(folder / "settings.json", {"media_sha256": media_fingerprint(items)})
    write_json(folder / "summary.json", {"shards": len(shards), "counts": {"hands": total}})


def picture(rng: np.random.Generator) -> tuple[bytes, str, int, int]:
    """A noisy crop: PNG bytes, perceptual hash, width, height."""
    width, height = (int(side) for side in rng.integers(36, 92, 2))
    coarse = rng.integers(0, 255, (6, 6, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    image = np.clip(image + rng.integers(-3, 4, image.shape), 0, 255).astype(np.uint8)
    return encode_png(image), perceptual_hash(image), width, height


def write_shard(
    folder: Path, number: int, items: list[MediaItem], pool: list[tuple[bytes, str, int, int]], rng: np.random.Generator
) -> None:  # fmt: skip
    rows = sum(item.frames for item in items)
    frame = np.concatenate([np.arange(1, item.frames + 1) for item in items])
    drawn = [pool[i] for i in rng.integers(0, len(pool), rows)]
    common = {
        "media": [item.media for item in items for _ in range(item.frames)],
        "frame": frame,
        "timestamp_s": (frame - 1) / 30,
        "image_width": np.full(rows, 640),
        "image_height": np.full(rows, 480),
    }
    points = nested(rng.random((rows, 21, 3), dtype=np.float32))
    boxes = np.array([[0, 0, width, height] for _, _, width, height in drawn], np.int32)
    # Each row a hash of its own, as frames have them; the picture behind it does not matter here.
    hashes = [f"{int(value):016x}" for value in rng.integers(0, 2**63, rows)]
    tables = {
        "frames": {
            **common, "status": ["decoded"] * rows, "detail": pa.nulls(rows, pa.string()), "hands": np.ones(rows),
        },
        "hands": {
            **common, "hand_index": np.zeros(rows), "track_id": np.zeros(rows), "handedness": ["Right"] * rows,
            "handedness_score": np.ones(rows), "score": np.ones(rows), "box": nested(boxes.astype(np.float32)),
            "landmarks": points, "world_landmarks": points, "crop": [png for png, *_ in drawn],
            "crop_box": nested(boxes), "phash": hashes, "backend": ["drawn"] * rows,
        },
    }  # fmt: skip
    sizes = {}
    for name, columns in tables.items():
        path = folder / f"{name}-{number:05d}.parquet"
        write_table(path, conform(columns, table_schema(name).arrow()), name, {})
        sizes[name] = path.stat().st_size
    counts = {"frames": rows, "decoded": rows, "with_hand": rows, "hands": rows, "crops": rows}
    write_json(folder / f"stats-{number:05d}.json", {"counts": counts, "bytes": sizes})


def ours(workspace: Path, near_duplicates: str) -> Path:
    config = to_parquet.ToParquetConfig(
        workspace=workspace, datasets=("ipn",), vocabulary="ipn14", name=near_duplicates,
        near_duplicates=near_duplicates,
    )  # fmt: skip
    return to_parquet.run(config).folder / "crops"


def loose(workspace: Path) -> Path:
    """Writes the crops as the reference's extractor does: loose PNG files and a CSV without a header."""
    root = workspace / "cropped"
    lines = []
    for path in sorted(Workspace(workspace).extracted("ipn").glob("hands-*.parquet")):
        for group in read_row_groups(path, "hands", ["crop"]):
            for png in group["crop"].to_pylist():
                name = root / f"{len(lines) // 1000:09d}" / f"{len(lines)}.png"
                name.parent.mkdir(parents=True, exist_ok=True)
                name.write_bytes(png)
                lines.append(f"{name},{len(lines) % 2}")
    (root / "annotation.csv").write_text("\n".join(lines))
    return root


def pgc(root: Path) -> Path:
    import pandas as pd

    annotation = pd.read_csv(root / "annotation.csv", header=None, names=["image_path", "class_id"])
    rows = []
    for label, group in annotation.groupby("class_id"):
        records = group.to_dict("records")
        np.random.default_rng(42).shuffle(records)
        cut = int(len(records) * 0.8)
        for number, record in enumerate(records):
            split = "train" if number < cut else "val"
            data = Path(record["image_path"]).read_bytes()
            rows.append(
                {
                    "split": split,
                    "label": str(label),
                    **record,
                    "source": "train_dataset",
                    "image_bytes": data,
                }
            )
    frame = pd.DataFrame(rows).sort_values(["split", "label", "image_path"])
    path = root / "dataset.parquet"
    frame.to_parquet(path, index=False)
    return path


def measure(case: str, workspace: Path) -> None:
    source = loose(workspace) if case == "pgc" else None
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    written = pgc(source) if source else ours(workspace, {"ours": "keep", "ours-joined": "join"}[case])
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    files = [written] if written.is_file() else list(written.glob("*.parquet"))
    size = sum(path.stat().st_size for path in files)
    print(
        f"  {case:12} {wall:6.1f} s, {cpu:6.1f} CPU-seconds, peak {peak / 1024:,.0f} MB ({before / 1024:,.0f} before), "
        f"{size / 1e6:,.0f} MB written"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--draw"]:
        draw(Path(sys.argv[3]), int(sys.argv[2]))
    elif sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2], Path(sys.argv[3]))
    else:
        main([int(value) for value in sys.argv[1:]] or [100_000])
