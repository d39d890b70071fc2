"""Cuts the frames of a clip into windows of fixed length."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pgc_data.errors import ConfigError
from pgc_data.features import blocks
from pgc_data.features.arrays import Bools, Features, Floats, Ints
from pgc_data.features.frames import FrameFeatures
from pgc_data.features.schema import SCHEMA

TRAIN_STRIDE = 4


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of one clip, oldest first.

    Attributes:
        features: (K, T, F) float32, always finite; zeros where a frame is not usable.
        usable: (K, T) bool.
        start: (K,) int64, grid index of each window's first frame.
        usable_fraction: (K,) float32.
        dropped: number of candidate windows with too few usable frames.
    """

    features: Features
    usable: Bools
    start: Ints
    usable_fraction: Features
    dropped: int

    def __len__(self) -> int:
        return self.start.size


def cut_windows(
    frames: FrameFeatures,
    length: int = SCHEMA.rules.window_frames,
    stride: int = TRAIN_STRIDE,
    min_usable: float = SCHEMA.rules.min_usable,
) -> Windows:
    """Cuts every `stride`-th window of `length` frames and keeps those with enough usable frames.

    The wrist_trajectory block is written here: its origin is the window's oldest usable frame, its unit each
    frame's own palm length.

    Args:
        frames: features of one clip; one shorter than `length` gives no window and drops none.
        length: grid frames of a window, T.
        stride: grid frames from one window to the next.
        min_usable: share of the frames that must be usable; 0.8 of 16 is 13.

    Raises:
        ConfigError: a length or stride below 1, a share outside 0 to 1.
    """
    _check(length, stride, min_usable)
    start, dropped = usable_windows(frames.usable, length, stride, min_usable)
    return fill_windows(frames, start, length, dropped)


def usable_windows(usable: Bools, length: int, stride: int, min_usable: float) -> tuple[Ints, int]:
    """The windows that `cut_windows` keeps, without their features.

    Args:
        usable: (M,) usable grid frames.
        length, stride, min_usable: as in `cut_windows`.

    Returns:
        (K,) grid index of each window's first frame, and the number of candidates with too few usable frames.

    Raises:
        ConfigError: as `cut_windows`.
    """
    _check(length, stride, min_usable)
    candidates = np.arange(0, usable.size - length + 1, stride)
    total = np.concatenate([[0], np.cumsum(usable)])
    count = total[candidates + length] - total[candidates]
    start = candidates[count >= frames_needed(min_usable, length)].astype(np.int64)
    return start, int(candidates.size - start.size)


def fill_windows(frames: FrameFeatures, start: Ints, length: int, dropped: int = 0) -> Windows:
    """The windows of `length` frames that begin at the grid frames `start` (K,)."""
    within = start[:, None] + np.arange(length)
    features = frames.values[within]
    usable = frames.usable[within]
    if frames.wrist is not None and frames.scale is not None:
        columns = SCHEMA.block("wrist_trajectory").columns
        features[:, :, columns] = _trajectories(frames.usable, frames.wrist, frames.scale, within, usable)
    fraction = (usable.sum(axis=1) / length).astype(np.float32)
    return Windows(features, usable, start, fraction, dropped)


def frames_needed(share: float, length: int) -> int:
    """Smallest number of frames that is at least `share` of `length`, safe from rounding: (0.6, 15) is 9."""
    return math.ceil(share * length - 1e-9)


def _trajectories(shown: Bools, wrist: Floats, scale: Floats, within: Ints, usable: Bools) -> Features:
    """wrist_trajectory (K, T, 3) of windows given as grid indices (K, T), of frames (M,), (M, 3) and (M,)."""
    oldest = np.take_along_axis(within, usable.argmax(axis=1)[:, None], axis=1)
    # Unusable frames have no scale and stay 0.
    palm = np.where(shown, scale, np.inf).take(within)
    path = wrist.take(within, axis=0)
    return blocks.wrist_trajectory(path, palm, wrist[oldest]).astype(np.float32)


def _check(length: int, stride: int, min_usable: float) -> None:
    for name, value in (("length", length), ("stride", stride)):
        if value < 1:
            raise ConfigError(f"{name} = {value}: windows need a {name} of at least 1 frame")
    if not 0.0 <= min_usable <= 1.0:
        raise ConfigError(f"min_usable = {min_usable}: it is a share, 0 to 1")
