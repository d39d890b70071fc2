"""`prepare --annotations-only` on annotation files of the real datasets' size, drawn at random.

python tests/bench/bench_prepare.py [SHARE]

SHARE (1 by default) makes all of it smaller. Each line gives seconds, CPU-seconds and the peak memory of the
process, start of Python included.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from pgc_data.datasets import DATASETS
from pgc_data.datasets.vocabularies import load_vocabulary

JESTER = {"train": 118_562, "validation": 14_787, "test": 14_743}
HAGRID = {"train": 410_800, "val": 54_000, "test": 90_000}
USERS = 37_583
GESTURES = load_vocabulary("hagrid18").classes


def jester_original(raw: Path, share: float) -> int:
    rows = list(_clips(share))
    for split in JESTER:
        lines = [
            f"{clip};{label}" if split != "test" else clip for name, clip, label, _ in rows if name == split
        ]
        (raw / f"jester-v1-{split}.csv").write_text("\n".join(lines) + "\n")
    return len(rows)


def jester_kaggle(raw: Path, share: float) -> int:
    rows = list(_clips(share))
    for split in JESTER:
        lines = [
            f'{clip},{label if split != "test" else ""},{frames},0,"({frames}, 100, 176, 3)",jpg'
            for name, clip, label, frames in rows
            if name == split
        ]
        header = "video_id" if split != "test" else "id"
        (raw / f"{split.capitalize()}.csv").write_text(
            "\n".join([f"{header},label,frames,label_id,shape,format", *lines]) + "\n"
        )
    return len(rows)


def _clips(share: float):
    choose = random.Random(0)
    labels = list(DATASETS["jester"].labels)
    numbers = choose.sample(range(1, sum(JESTER.values()) + 1), sum(JESTER.values()))
    for split, count in JESTER.items():
        for _ in range(round(count * share)):
            yield split, str(numbers.pop()), choose.choice(labels), choose.randint(27, 46)


def hagrid(raw: Path, share: float) -> int:
    """HaGRID 2.0 as it is: a second hand in one record of five, boxes of eight digits, 64-digit users."""
    choose = random.Random(0)
    users = [f"{choose.getrandbits(256):064x}" for _ in range(USERS)]
    total = 0
    for split, count in HAGRID.items():
        folder = raw / "annotations" / split
        folder.mkdir(parents=True)
        for gesture in GESTURES:
            records = {}
            for _ in range(round(count * share / len(GESTURES))):
                labels = [gesture] if choose.random() < 0.8 else [gesture, "no_gesture"]
                records[str(uuid.UUID(int=choose.getrandbits(128)))] = {
                    "bboxes": [[round(choose.uniform(0.05, 0.4), 8) for _ in range(4)] for _ in labels],
                    "user_id": choose.choice(users),
                    "labels": labels,
                }
            total += len(records)
            (folder / f"{gesture}.json").write_text(json.dumps(records))
    return total


def measure(dataset: str, raw: Path, workspace: Path) -> tuple[float, float, float, dict]:
    """Seconds, CPU-seconds, peak MB of one `prepare`, and its summary."""
    words = [
        "prepare",
        dataset,
        "--annotations-only",
        "--raw",
        str(raw),
        "--workspace",
        str(workspace),
        "--json",
    ]
    start = time.perf_counter()
    with (workspace / "out.json").open("w") as out:
        process = subprocess.Popen([sys.executable, "-m", "pgc_data", *words], stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"prepare {dataset} failed with status {os.waitstatus_to_exitcode(status)}")
    # Linux counts kilobytes, macOS bytes.
    peak = usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    summary = json.loads((workspace / "out.json").read_text())
    return seconds, usage.ru_utime + usage.ru_stime, peak, summary


def main(share: float) -> None:
    for dataset, make in (("jester", jester_original), ("jester", jester_kaggle), ("hagrid", hagrid)):
        with tempfile.TemporaryDirectory() as folder:
            raw, workspace = Path(folder, "raw"), Path(folder, "work")
            raw.mkdir()
            workspace.mkdir()
            records = make(raw, share)
            seconds, cpu, peak, summary = measure(dataset, raw, workspace)
        print(
            f"{make.__name__}: {records:,} records, {summary['samples']:,} samples; {seconds:.1f} s, {cpu:.1f} CPU s, "
            f"{peak:,.0f} MB"
        )


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
