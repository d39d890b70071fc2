"""Cuts the frames of a clip into windows of fixed length."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided

from pgc_data.errors import ConfigError
from pgc_data.features import blocks
from pgc_data.features.arrays import Bools, Features, Floats, Ints
from pgc_data.features.frames import FrameFeatures
from pgc_data.features.schema import SCHEMA

TRAIN_STRIDE = 4
# Windows whose trajectories are worked out at once, so that what is worked with stays in a core's cache.
CHUNK_WINDOWS = 512


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
    features = _stretches(frames.values, length)[start]
    usable = frames.usable.take(within)
    if frames.wrist is not None and frames.scale is not None:
        # Unusable frames have no scale and stay 0.
        palm = np.where(frames.usable, frames.scale, np.inf)
        oldest = start + usable.argmax(axis=1)
        _fill_trajectories(features, frames.wrist, palm, within, oldest)
    fraction = (usable.sum(axis=1) / length).astype(np.float32)
    return Windows(features, usable, start, fraction, dropped)


def frames_needed(share: float, length: int) -> int:
    """Smallest number of frames that is at least `share` of `length`, safe from rounding: (0.6, 15) is 9."""
    return math.ceil(share * length - 1e-9)


def _stretches(values: Features, length: int) -> Features:
    """Every `length` rows in a row of values (M, F), as a view (M - length + 1, length, F)."""
    rows, columns = values.shape
    shape = (max(rows - length + 1, 0), length, columns)
    return as_strided(values, shape, (values.strides[0], *values.strides), writeable=False)


def _fill_trajectories(features: Features, wrist: Floats, palm: Floats, within: Ints, oldest: Ints) -> None:
    """Writes wrist_trajectory into windows (K, T, F) given as grid rows (K, T), and the row of each's origin (K,).

    `wrist` (M, 3) and `palm` (M,) are the clip's.
    """
    columns = SCHEMA.block("wrist_trajectory").columns
    # Axis by axis: numpy is slow where it works on three numbers at a time.
    axes = np.ascontiguousarray(wrist.T)
    for first in range(0, oldest.size, CHUNK_WINDOWS):
        part = slice(first, first + CHUNK_WINDOWS)
        path, origin = axes.take(within[part], axis=1), axes.take(oldest[part], axis=1)
        moved = blocks.wrist_trajectory(path.T, palm.take(within[part]).T, origin.T).T
        for axis in range(3):
            features[part, :, columns.start + axis] = moved[axis]


def _check(length: int, stride: int, min_usable: float) -> None:
    for name, value in (("length", length), ("stride", stride)):
        if value < 1:
            raise ConfigError(f"{name} = {value}: windows need a {name} of at least 1 frame")
    if not 0.0 <= min_usable <= 1.0:
        raise ConfigError(f"min_usable = {min_usable}: it is a share, 0 to 1")
