"""Cuts the frames of a clip into windows of fixed length."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pgc_data.errors import ConfigError
from pgc_data.features import blocks
from pgc_data.features.arrays import Bools, Features, Ints
from pgc_data.features.frames import FrameFeatures
from pgc_data.features.schema import SCHEMA

TRAIN_STRIDE = 4


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of one clip, oldest first.

    Attributes:
        features: (K, T, 147) float32, always finite; zeros where a frame is not usable.
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
    candidates = np.arange(0, len(frames) - length + 1, stride)
    total = np.concatenate([[0], np.cumsum(frames.usable)])
    count = total[candidates + length] - total[candidates]
    keep = count >= frames_needed(min_usable, length)
    start = candidates[keep].astype(np.int64)
    within = start[:, None] + np.arange(length)
    features = frames.values[within]
    usable = frames.usable[within]
    features[:, :, SCHEMA.block("wrist_trajectory").columns] = _trajectories(frames, within, usable)
    fraction = (count[keep] / length).astype(np.float32)
    return Windows(features, usable, start, fraction, dropped=int(candidates.size - start.size))


def frames_needed(share: float, length: int) -> int:
    """Smallest number of frames that is at least `share` of `length`, safe from rounding: (0.6, 15) is 9."""
    return math.ceil(share * length - 1e-9)


def _trajectories(frames: FrameFeatures, within: Ints, usable: Bools) -> Features:
    """wrist_trajectory (K, T, 3) of windows given as grid indices (K, T)."""
    oldest = np.take_along_axis(within, usable.argmax(axis=1)[:, None], axis=1)
    # Unusable frames have no scale and stay 0.
    scale = np.where(frames.usable, frames.scale, np.inf).take(within)
    wrist = frames.wrist.take(within, axis=0)
    return blocks.wrist_trajectory(wrist, scale, frames.wrist[oldest]).astype(np.float32)


def _check(length: int, stride: int, min_usable: float) -> None:
    for name, value in (("length", length), ("stride", stride)):
        if value < 1:
            raise ConfigError(f"{name} = {value}: windows need a {name} of at least 1 frame")
    if not 0.0 <= min_usable <= 1.0:
        raise ConfigError(f"min_usable = {min_usable}: it is a share, 0 to 1")
