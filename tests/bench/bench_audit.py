"""Audit of synthetic crops: CPU-seconds, wall time, peak memory; near-duplicates and the probe included.

python tests/bench/bench_audit.py [ROWS ...]

Writes a crops table as to-parquet does: 28 to 96 pixels wide, smooth noise that drifts from frame to frame, 300 frames
a video, 4 videos a person; 100,000 and 1,000,000 rows by default, of 0.6 and 6 GB. Then audits it in a process of its
own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from pgc_data.stages.audit import AuditConfig, run
from pgc_data.storage.parquet import TableWriter
from pgc_data.storage.schemas import arrow_schema, with_metadata

FRAMES, VIDEOS = 300, 4
CLASSES = ("not_pointing", "pointing")
_BATCH = 2_000


def main(sizes: list[int]) -> None:
    for rows in sizes:
        with tempfile.TemporaryDirectory(prefix="pgc-bench-") as folder:
            path = Path(folder) / "ds"
            draw(path, rows)
            size = sum(file.stat().st_size for file in path.rglob("*.parquet"))
            command = [sys.executable, __file__, "--measure", str(path)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(
                f"{rows:>9,} crops, {size / 1e6:,.0f} MB: {found['cpu']:.1f} CPU-s, {found['wall']:.1f} s wall, "
                f"peak {found['peak']:,.0f} MiB, {found['findings']} findings"
            )


def draw(path: Path, rows: int) -> None:
    """Writes `rows` crops in three splits by person."""
    schema = with_metadata(arrow_schema("crops"), "crops", {}, {"class_id": CLASSES})
    writers = {
        s: TableWriter(path / "crops" / f"{s}-00000-of-00001.parquet", schema)
        for s in ("train", "val", "test")
    }
    rng = np.random.default_rng(0)
    for writer in writers.values():
        writer.__enter__()
    for start in range(0, rows, _BATCH):
        batch = [crop(number, rng) for number in range(start, min(start + _BATCH, rows))]
        for split, writer in writers.items():
            chosen = [row for row in batch if row["split"] == split]
            if chosen:
                writer.write(pa.Table.from_pylist(chosen, schema=schema))
    for writer in writers.values():
        writer.__exit__(None, None, None)


_SCENES: dict[int, np.ndarray] = {}


def crop(number: int, rng: np.random.Generator) -> dict[str, object]:
    """Frame after frame of one video is a window that drifts over one scene of its own."""
    video, frame = divmod(number, FRAMES)
    person = video // VIDEOS
    if video not in _SCENES:
        _SCENES.clear()
        noise = rng.normal(128, 60, (40, 40, 3)).clip(0, 255).astype(np.uint8)
        _SCENES[video] = cv2.resize(noise, (420, 420), interpolation=cv2.INTER_CUBIC)
    side = int(rng.integers(28, 97))
    pixels = _SCENES[video][frame : frame + side, : int(side * 0.8)]
    pixels = pixels + rng.integers(0, 6, pixels.shape, dtype=np.uint8)
    name, class_id = f"P{person}_{video}", int(frame > 180)
    return {
        "image": {"bytes": cv2.imencode(".png", pixels)[1].tobytes(), "path": f"{name}_{frame:06d}.png"},
        "image_path": f"{name}_{frame:06d}.png",
        "split": ("val", "test")[person % 10] if person % 10 < 2 else "train",
        "label": CLASSES[class_id], "class_id": class_id, "source": "bench", "dataset": "bench",
        "sample_id": f"{name}/{class_id}", "video_id": name, "subject_id": f"P{person}", "group_id": f"bench:P{person}",
        "frame": frame + 1, "hand_index": 0, "score": 0.9, "box": [0.0, 0.0, 1.0, 1.0], "width": side,
        "height": side, "phash": "0" * 16, "licence": "CC0-1.0",
    }  # fmt: skip


def measure(path: str) -> None:
    start = time.perf_counter()
    summary = run(AuditConfig(path=path, output=Path(path) / "report"))
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {
        "cpu": used.ru_utime + used.ru_stime,
        "wall": time.perf_counter() - start,
        "peak": used.ru_maxrss / 1024,
        "findings": len(summary.audit.findings),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2])
    else:
        main([int(size) for size in sys.argv[1:]] or [100_000, 1_000_000])
