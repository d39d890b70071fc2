"""Windows out of extracted tables: windows a second, CPU-seconds, peak memory.

python tests/bench/bench_windows.py [WINDOWS]

Draws random hands into the extracted tables of an IPN-like source (one hand a frame, 30 fps, 40 people of five
videos), then writes a windows table at stride 1 as `to-parquet` does, in a process of its own. A million windows
(the default) take 9 GB of features before compression, and as much disk below the temporary folder.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[1] / "features"))
from features_factories import walk

from pgc_data.hands.media_items import MediaItem, media_fingerprint, media_items
from pgc_data.stages import prepare, to_parquet
from pgc_data.storage.files import write_json
from pgc_data.storage.parquet import write_table
from pgc_data.storage.schemas import conform, table_schema
from pgc_data.storage.workspace import Workspace
from pgc_data.tables.windows import nested

PEOPLE, VIDEOS = 40, 5
CLASSES = ("B0A", "B0B", "G03", "G04", "G05", "G06")
SHARD_FRAMES = 10_000


def main(windows: int) -> None:
    with tempfile.TemporaryDirectory(prefix="pgc-bench-") as folder:
        workspace = Path(folder)
        draw(workspace, windows // (PEOPLE * VIDEOS) + 15)
        command = [sys.executable, __file__, "--measure", folder]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout, end="")


def draw(workspace: Path, frames: int) -> None:
    """Writes a prepared and extracted source: PEOPLE x VIDEOS videos of `frames` frames."""
    raw = workspace / "raw" / "ipn"
    raw.mkdir(parents=True)
    lines = ["video,label,id,t_start,t_end,frames"]
    for video in range(PEOPLE * VIDEOS):
        label = CLASSES[video % len(CLASSES)]
        lines.append(f"1CM{video // VIDEOS}_{video % VIDEOS}_R_#{video},{label},1,1,{frames},{frames}")
    (raw / "Annot_List.txt").write_text("\n".join(lines))
    prepare.run(prepare.PrepareConfig(workspace=workspace, dataset="ipn", annotations_only=True))
    samples = workspace / "prepared" / "ipn" / "samples.parquet"
    items = media_items(samples)
    folder = Workspace(workspace).extracted("ipn")
    folder.mkdir(parents=True)
    per_shard = max(1, SHARD_FRAMES // frames)
    rng = np.random.default_rng(0)
    shards = [items[at : at + per_shard] for at in range(0, len(items), per_shard)]
    for number, shard in enumerate(shards):
        write_shard(folder, number, shard, rng)
    total = sum(item.frames for item in items)
    write_json(folder / "settings.json", {"media_sha256": media_fingerprint(items)})
    write_json(folder / "summary.json", {"shards": len(shards), "counts": {"hands": total}})


def write_shard(folder: Path, number: int, items: list[MediaItem], rng: np.random.Generator) -> None:
    rows = sum(item.frames for item in items)
    frame = np.concatenate([np.arange(1, item.frames + 1) for item in items])
    common = {
        "media": [item.media for item in items for _ in range(item.frames)],
        "frame": frame,
        "timestamp_s": (frame - 1) / 30,
        "image_width": np.full(rows, 640),
        "image_height": np.full(rows, 480),
    }
    points = np.concatenate([walk(rng, item.frames) for item in items]).astype(np.float32)
    crop = np.random.default_rng(0).bytes(5_000)
    tables = {
        "frames": {
            **common, "status": ["decoded"] * rows, "detail": pa.nulls(rows, pa.string()), "hands": np.ones(rows),
        },
        "hands": {
            **common, "hand_index": np.zeros(rows), "track_id": np.zeros(rows), "handedness": ["Right"] * rows,
            "handedness_score": np.ones(rows), "score": np.ones(rows), "box": nested(np.ones((rows, 4))),
            "landmarks": nested(points), "world_landmarks": nested(points), "crop": [crop] * rows,
            "crop_box": nested(np.ones((rows, 4), np.int32)), "phash": ["0" * 16] * rows, "backend": ["drawn"] * rows,
        },
    }  # fmt: skip
    sizes = {}
    for name, columns in tables.items():
        path = folder / f"{name}-{number:05d}.parquet"
        write_table(path, conform(columns, table_schema(name).arrow()), name, {})
        sizes[name] = path.stat().st_size
    counts = {"frames": rows, "decoded": rows, "with_hand": rows, "hands": rows, "crops": rows}
    write_json(folder / f"stats-{number:05d}.json", {"counts": counts, "bytes": sizes})


def measure(workspace: Path) -> None:
    config = to_parquet.ToParquetConfig(
        workspace=workspace, datasets=("ipn",), vocabulary="maestro10", table=("windows",), stride=1, eval_every=1,
        name="bench",
    )  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    summary = to_parquet.run(config)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    rows = sum(summary.tables["windows"]["rows"].values())
    size = sum(path.stat().st_size for path in (summary.folder / "windows").glob("*.parquet"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{rows:,} windows: {wall:.0f} s, {cpu:.0f} CPU-seconds, {rows / cpu:,.0f} windows a CPU-second, peak "
        f"{peak / 1024:,.0f} MB ({before / 1024:,.0f} MB of it imports), {size / 1e9:.2f} GB written"
    )
    shutil.rmtree(summary.folder)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
