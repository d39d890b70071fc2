"""Features of every grid frame: the rules for gaps, re-acquisition and tracks around the blocks' formulas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pgc_data.features import blocks
from pgc_data.features.arrays import Bools, Features, Floats, Ints
from pgc_data.features.resample import HandGrid, resample
from pgc_data.features.schema import SCHEMA
from pgc_data.features.sequence import HandSequence

_VELOCITIES = ("velocity", "wrist_vel_raw")


@dataclass(frozen=True, eq=False)
class UsableFrames:
    """Which frames of the 30 Hz grid show something, before any feature is computed.

    Attributes:
        usable: (M,) bool, the frame shows a hand or holds one seen at most 3 grid frames before.
        times: (M,) float64, seconds.
        source_index: (M,) int64, nearest row of the sequence.
    """

    usable: Bools
    times: Floats
    source_index: Ints

    def __len__(self) -> int:
        return self.times.size


@dataclass(frozen=True, eq=False)
class FrameFeatures(UsableFrames):
    """Features on the 30 Hz grid, before windows are cut.

    Attributes:
        values: (M, F) float32, always finite; zeros where not usable. A block whose origin is the window's, such
            as wrist_trajectory, is left 0.
        wrist: (M, 3) float64, aspect-corrected wrist, image widths, 0 where not usable; None for a feature set
            without a block whose origin is the window's.
        scale: (M,) float64, palm length, image widths; 0 or None as `wrist`.
    """

    values: Features
    wrist: Floats | None = None
    scale: Floats | None = None


def usable_frames(sequence: HandSequence) -> UsableFrames:
    """What `frame_features` says of a sequence besides the features, at a fraction of the cost."""
    grid = resample(sequence)
    usable = hold(blocks.valid_frames(grid.landmarks, grid.width, grid.height)) >= 0
    return UsableFrames(usable, grid.times, grid.source_index)


def frame_features(sequence: HandSequence) -> FrameFeatures:
    """Resamples a sequence to the grid and computes its features by feature-schema-v1.

    Args:
        sequence: one hand through one clip.

    Returns:
        One row per grid frame. A missing hand is held for up to 3 grid frames, its shape copied and both
        velocities 0; after that, frames are unusable. Velocity looks back to the previous valid frame: 0 on
        the first frame, on a new track, and when that frame is more than 0.2 s ago.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> hand = HandSequence(rng.random((40, 21, 3)), np.arange(40) / 30, np.zeros(40, int), 640, 480)
        >>> frame_features(hand).values.shape
        (40, 147)
    """
    return grid_features(resample(sequence))


def grid_features(grid: HandGrid) -> FrameFeatures:
    """Features of a hand that is on the grid already.

    Row k depends on rows k-6 to k alone (0.2 s back), so the last row of a call on the last 7 grid rows
    equals that row of a call on the whole clip: batch and streaming share this function.
    """
    valid = blocks.valid_frames(grid.landmarks, grid.width, grid.height)
    rows = np.flatnonzero(valid)
    points = blocks.aspect_correct(grid.landmarks[rows], grid.width, grid.height)
    scale = blocks.palm_scale(points)
    features = _valid_features(grid, rows, points, scale)
    shown = hold(valid)
    usable = shown >= 0
    held = usable & ~valid
    # -1, no hand to show, picks the last row: zeros.
    values = features[shown]
    for name in _VELOCITIES:
        values[held, SCHEMA.block(name).columns] = 0.0
    wrist, palm = np.zeros((valid.size, 3)), np.zeros(valid.size)
    wrist[usable] = points[shown[usable], SCHEMA.wrist_joint]
    palm[usable] = scale[shown[usable]]
    return FrameFeatures(usable, grid.times, grid.source_index, values, wrist, palm)


def _valid_features(grid: HandGrid, rows: Ints, points: Floats, scale: Floats) -> Features:
    """Features (V + 1, 147) of the valid grid rows, from their P (V, 21, 3) and s (V,); the last row is zeros."""
    features = np.zeros((rows.size + 1, SCHEMA.frame_dims), dtype=np.float32)
    shape = blocks.position(points, scale)
    raw_wrist = grid.landmarks[rows, SCHEMA.wrist_joint]
    before = np.maximum(np.arange(rows.size) - 1, 0)
    elapsed = _elapsed(grid.times[rows], grid.track_ids[rows])
    for name, values in (
        ("position", shape),
        ("fingertip_spread", blocks.fingertip_spread(points, scale)),
        ("velocity", blocks.velocity(shape, shape[before], elapsed)),
        ("joint_angles", blocks.joint_angles(points)),
        ("wrist_vel_raw", blocks.wrist_vel_raw(raw_wrist, raw_wrist[before], elapsed)),
    ):
        features[:-1, SCHEMA.block(name).columns] = values
    return features


def _elapsed(times: Floats, tracks: Ints) -> Floats:
    """Seconds (V,) since the valid frame before; 0 where no velocity may be taken."""
    elapsed = np.diff(times, prepend=times[:1])
    other_hand = np.diff(tracks, prepend=tracks[:1]) != 0
    too_long = elapsed > SCHEMA.rules.reacquire_s + SCHEMA.rules.time_tolerance_s
    return np.where(other_hand | too_long, 0.0, elapsed)


def hold(valid: Bools) -> Ints:
    """Which valid row (counted among the valid) each grid row shows: itself, the one it holds, or -1 for none."""
    seen = np.cumsum(valid)
    previous = np.concatenate([[0], np.flatnonzero(valid)])[seen]
    held_for = np.arange(valid.size) - previous
    return np.where((seen > 0) & (held_for <= SCHEMA.rules.hold_frames), seen - 1, -1)
