"""Windows from landmarks: the vectorised implementation against a plain one, frame by frame.

python tests/bench/bench_features.py [FRAMES]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "features"))
import features_reference as reference
from features_factories import sequence, walk

from pgc_data.features import cut_windows, frame_features


def cpu_seconds(work: Callable[[], object], repeats: int) -> float:
    """Least CPU time of a few runs."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def main(frames: int) -> None:
    hand = sequence(walk(np.random.default_rng(0), frames))
    rows = (hand.landmarks.tolist(), hand.timestamps.tolist(), hand.track_ids.tolist(), 640, 480)
    for stride in (1, 4):

        def plain(stride: int = stride) -> object:
            return np.array(
                [window for _, window, _ in reference.windows(reference.frames(*rows), stride=stride)[0]],
                np.float32,
            )

        def ours(stride: int = stride) -> object:
            return cut_windows(frame_features(hand), stride=stride)

        count = len(cut_windows(frame_features(hand), stride=stride))
        slow, fast = cpu_seconds(plain, 1), cpu_seconds(ours, 5)
        print(
            f"{frames} frames, stride {stride}: {count} windows; plain {count / slow:,.0f}/s, "
            f"ours {count / fast:,.0f}/s, {slow / fast:.0f} times as fast (CPU seconds)"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
