"""Near-duplicate search: CPU-seconds and peak memory over random hashes and hashes clustered like video frames.

python tests/bench/bench_similarity.py [ROWS ...]

Each measurement is a process of its own. `best_pairs`: rows of 37,000 groups, one row in 2,000 a near-duplicate of a
row of another group. `near_rows`: the same rows under a split of groups (hardly any row finds a partner) and under a
split of rows (nearly all do), with a check of the pixels that believes each hash. `black`: a tenth of the rows has one
and the same hash.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import numpy as np

from pgc_data.similarity import best_pairs, near_rows

ROWS = (100_000, 550_000, 1_000_000)
GROUPS = 37_000
KINDS = ("random", "clustered", "black")
TASKS = ("best_pairs", "near_rows, groups split", "near_rows, rows split")


def main(sizes: list[int]) -> None:
    for rows in sizes:
        for kind in KINDS:
            for task in TASKS:
                command = [sys.executable, __file__, "--measure", str(rows), kind, task]
                found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                print(
                    f"{rows:>9,} {kind:10} {task:24} {found['seconds']:6.1f} CPU-s {found['mb']:5.0f} MB "
                    f"(+{found['mb'] - found['before_mb']:.0f}) {found['found']:>9,} found",
                    flush=True,
                )


def draw(rows: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Hashes and groups; `clustered` walks through a video, about two bits a frame."""
    rng = np.random.default_rng(0)
    groups = np.sort(rng.integers(0, GROUPS, rows))
    hashes = rng.integers(0, 2**64, rows, dtype=np.uint64)
    if kind != "random":
        first = np.flatnonzero(np.diff(groups, prepend=-1))
        steps = flips(rng, rows, 2)
        steps[first] = hashes[first]
        total = np.bitwise_xor.accumulate(steps)
        before = np.concatenate([[np.uint64(0)], total[first[1:] - 1]])
        hashes = total ^ np.repeat(before, np.diff(first, append=rows))
    copies = rng.choice(rows, rows // 2000, replace=False)
    hashes[copies] = hashes[rng.choice(rows, len(copies))] ^ flips(rng, len(copies), 3)
    if kind == "black":
        hashes[rng.choice(rows, rows // 10, replace=False)] = 0
    return hashes, groups


def flips(rng: np.random.Generator, rows: int, bits: int) -> np.ndarray:
    """(rows,) numbers with up to so many bits set."""
    return np.bitwise_or.reduce(np.uint64(1) << rng.integers(0, 64, (bits, rows), dtype=np.uint64))


def measure(rows: int, kind: str, task: str) -> None:
    hashes, groups = draw(rows, kind)
    before = peak_mb()
    start = time.process_time()
    if task == "best_pairs":
        found = len(best_pairs(hashes, groups))
    else:
        rng = np.random.default_rng(1)
        split = rng.choice(3, GROUPS if "groups" in task else rows, p=(0.7, 0.15, 0.15))
        split = split[groups] if "groups" in task else split
        found = int(near_rows(hashes, split, lambda a, b: np.ones(len(a), np.bool_)).found.sum())
    seconds = time.process_time() - start
    print(json.dumps({"seconds": seconds, "mb": peak_mb(), "before_mb": before, "found": found}))


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(int(sys.argv[2]), sys.argv[3], sys.argv[4])
    else:
        main([int(size) for size in sys.argv[1:]] or list(ROWS))
