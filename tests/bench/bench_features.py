"""Windows from landmarks: the vectorised implementation against a plain one, frame by frame, on one thread.

python tests/bench/bench_features.py [FRAMES] [ROUNDS]

Times are CPU seconds of the process. In each of ROUNDS rounds (5) the plain one runs once and ours several times, of
which the median counts; so both meet the machine in the same mood, and the spread of the rounds' ratios shows it.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Read when numpy is imported.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "features"))
import features_reference as reference
from features_factories import sequence, walk

from pgc_data.features import HandSequence, cut_windows, frame_features

OURS_A_ROUND = 15
CLIP_FRAMES = 90


@dataclass(frozen=True)
class Case:
    """Clips that are cut with one stride."""

    name: str
    clips: list[HandSequence]
    stride: int

    def plain(self) -> Callable[[], int]:
        """Makes the windows of every clip by the plain implementation; from lists, made beforehand."""
        rows = [
            (
                clip.landmarks.tolist(),
                clip.timestamps.tolist(),
                clip.track_ids.tolist(),
                clip.width,
                clip.height,
            )
            for clip in self.clips
        ]

        def run() -> int:
            count = 0
            for row in rows:
                kept, _ = reference.windows(reference.frames(*row), stride=self.stride)
                count += len(np.array([window for _, window, _ in kept], np.float32))
            return count

        return run

    def ours(self) -> int:
        """Makes the same windows by ours; how many."""
        return sum(len(cut_windows(frame_features(clip), stride=self.stride)) for clip in self.clips)


def cases(frames: int) -> list[Case]:
    """One long clip, one that is interpolated, many short ones; each about `frames` grid frames in all."""
    hands = walk(np.random.default_rng(0), frames)
    long, slow = [sequence(hands)], [sequence(hands[: frames * 12 // 30], fps=12)]
    starts = range(0, frames // CLIP_FRAMES * CLIP_FRAMES + CLIP_FRAMES, CLIP_FRAMES)
    hands = walk(np.random.default_rng(1), len(starts) * CLIP_FRAMES)
    short = [sequence(hands[start : start + CLIP_FRAMES]) for start in starts]
    return [
        Case(f"{frames} frames, stride 1", long, 1),
        Case(f"{frames} frames, stride 4", long, 4),
        Case(f"{frames * 12 // 30} frames at 12 fps, stride 1", slow, 1),
        Case(f"{len(short)} clips of {CLIP_FRAMES} frames, stride 1", short, 1),
        Case(f"{len(short)} clips of {CLIP_FRAMES} frames, stride 4", short, 4),
    ]


def cpu_seconds(work: Callable[[], int], repeats: int) -> float:
    """Median CPU time of a few runs."""
    times = []
    for _ in range(repeats):
        gc.collect()
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return float(np.median(times))


def measure(case: Case, rounds: int) -> str:
    """A line of the table."""
    plain = case.plain()
    count = case.ours()
    if plain() != count:
        raise SystemExit(f"{case.name}: the two implementations do not give as many windows")
    seconds = np.array([(cpu_seconds(plain, 1), cpu_seconds(case.ours, OURS_A_ROUND)) for _ in range(rounds)])
    slow, fast = np.median(seconds, axis=0)
    ratios = seconds[:, 0] / seconds[:, 1]
    return (
        f"{case.name:36}{count:8}{slow * 1e3:10,.0f}{fast * 1e3:8.1f}{count / slow:12,.0f}{count / fast:12,.0f}"
        f"{np.median(ratios):9.0f}  ({ratios.min():.0f}-{ratios.max():.0f})"
    )


def main(frames: int, rounds: int) -> None:
    print(
        f"{'case':36}{'windows':>8}{'plain ms':>10}{'ours ms':>8}{'plain w/s':>12}{'ours w/s':>12}"
        f"{'times as fast, median (least-most)':>38}"
    )
    for case in cases(frames):
        print(measure(case, rounds), flush=True)


if __name__ == "__main__":
    main(*(int(value) for value in (sys.argv[1:] + ["10000", "5"][len(sys.argv) - 1 :])))
