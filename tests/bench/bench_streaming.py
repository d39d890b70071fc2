"""Features live: a frame pushed into `StreamingFeatures` against computing the last 24 rows anew for every frame.

python tests/bench/bench_streaming.py [FRAMES]

CPU time a frame at 30 frames a second, windows of 16 at stride 1. What is computed anew is not even the same: its
grid begins at another row every time, which shows wherever a source is not on the grid.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "features"))
from features_factories import sequence, walk

from pgc_data.features import HandSequence, cut_windows, feature_set, frame_features
from pgc_data.features.streaming import StreamingFeatures

ROWS = 24


def cpu_ms(work: Callable[[], object], frames: int, repeats: int = 5) -> float:
    """Least CPU time of a few runs, in milliseconds a frame."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times) / frames * 1000


def push(hand: HandSequence, **options: object) -> int:
    """Number of windows of a sequence pushed row by row."""
    stream = StreamingFeatures(hand.width, hand.height, **options)  # type: ignore[arg-type]
    rows = zip(hand.timestamps.tolist(), hand.landmarks, hand.track_ids.tolist(), strict=True)
    return sum(len(stream.push(*row)) for row in rows)


def push_hands(hand: HandSequence) -> None:
    """The same, two hands a frame to choose from."""
    stream = StreamingFeatures(hand.width, hand.height)
    beside = hand.landmarks + np.array([0.4, 0, 0])
    for at, timestamp in enumerate(hand.timestamps.tolist()):
        stream.push_hands(timestamp, np.array([hand.landmarks[at], beside[at]]), [0.9, 0.8], [0, 1])


def recompute(hand: HandSequence) -> None:
    """The windows of the last rows, anew at every frame."""
    tracks = np.zeros(ROWS, dtype=np.int64)
    for end in range(ROWS, len(hand) + 1):
        last = slice(end - ROWS, end)
        part = HandSequence(hand.landmarks[last], hand.timestamps[last], tracks, hand.width, hand.height)
        cut_windows(frame_features(part), stride=1)


def main(frames: int) -> None:
    hand = sequence(walk(np.random.default_rng(0), frames))
    anew = cpu_ms(lambda: recompute(hand), frames)
    print(f"{ROWS} rows anew          {anew:.3f} ms CPU a frame")
    sources = {
        "pushed": lambda: push(hand),
        "pushed, stride 4": lambda: push(hand, stride=4),
        "pushed, length 64": lambda: push(hand, length=64),
        "pushed, 25 fps": lambda: push(sequence(hand.landmarks, 25)),
        "pushed, landmarks63": lambda: push(hand, of_grid=feature_set("landmarks63").of_grid),
        "pushed, of two hands": lambda: push_hands(hand),
    }
    for name, work in sources.items():
        once = cpu_ms(work, frames)
        print(f"{name:21} {once:.3f} ms CPU a frame, {once / anew:.2f} of that")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3_000)
