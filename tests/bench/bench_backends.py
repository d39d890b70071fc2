"""The direct backend against MediaPipe's own graph, on the same frames, in turns, one thread each.

python tests/bench/bench_backends.py [FRAMES]

Draws a video (or part of it) and gives, for each way of using the backends, seconds of CPU and of the clock a frame,
frames a second, and how many times as fast the direct backend is; then the same for starting a clip. The two take
turns frame by frame, so that whatever else runs on the machine slows both.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from pgc_data.hands.direct import DirectHands
from pgc_data.hands.media import Image
from pgc_data.hands.mediapipe_backend import MediaPipeHands
from pgc_data.hands.model_file import find_hand_model
from pgc_data.hands.types import Backend
from pgc_data.synthetic import write_ipn

STARTS = 20


def drawn(count: int) -> list[Image]:
    with tempfile.TemporaryDirectory() as folder:
        write_ipn(Path(folder), subjects=1)
        paths = sorted(Path(folder).glob("frames/*/*.jpg"))[:count]
        return [cv2.imread(str(path)) for path in paths]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of CPU, all threads together, and of the clock."""
    cpu, clock = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - clock


def frames_in_turns(backends: list[Backend], frames: list[Image], tracking: bool) -> np.ndarray:
    """(backends, 2) mean seconds a frame: CPU, clock."""
    for backend in backends:
        backend.start(tracking)
        backend.find(frames[0], 0.0)
    times = [
        [timed(partial(backend.find, frame, number / 30)) for backend in backends]
        for number, frame in enumerate(frames[1:], 1)
    ]
    return np.mean(times, axis=0)


def starts_in_turns(backends: list[Backend]) -> np.ndarray:
    """(backends, 2) mean seconds a start: CPU, clock."""
    times = [[timed(partial(backend.start, True)) for backend in backends] for _ in range(STARTS)]
    return np.mean(times, axis=0)


def report_frames(what: str, seconds: np.ndarray) -> None:
    (cpu, clock), (direct_cpu, direct_clock) = seconds
    print(
        f"{what}: CPU {1000 * cpu:.2f} and {1000 * direct_cpu:.2f} ms, {cpu / direct_cpu:.2f} times; "
        f"clock {1000 * clock:.2f} and {1000 * direct_clock:.2f} ms, {clock / direct_clock:.2f} times; "
        f"{1 / clock:,.0f} and {1 / direct_clock:,.0f} frames/s"
    )


def report_starts(seconds: np.ndarray) -> None:
    (cpu, clock), (direct_cpu, direct_clock) = seconds * 1000
    print(
        f"  starting a clip: CPU {cpu:.1f} and {direct_cpu:.3f} ms; clock {clock:.1f} and {direct_clock:.3f} ms"
    )


def main(count: int) -> None:
    cv2.setNumThreads(1)
    frames = drawn(count)
    model = find_hand_model().path
    print(
        f"{len(frames)} drawn frames of {frames[0].shape[1]}x{frames[0].shape[0]}; MediaPipe first, then direct"
    )
    for tracking, hands in ((True, 1), (True, 2), (False, 1), (False, 2)):
        backends: list[Backend] = [MediaPipeHands(model, hands), DirectHands(model, hands)]
        what = f"{'followed' if tracking else 'single images'}, {hands} wanted"
        report_frames(what, frames_in_turns(backends, frames, tracking))
        if tracking:
            report_starts(starts_in_turns(backends))
        for backend in backends:
            backend.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
