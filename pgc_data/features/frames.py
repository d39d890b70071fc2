"""Features of every grid frame: the rules for gaps, re-acquisition and tracks around the blocks' formulas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pgc_data.features import blocks
from pgc_data.features.arrays import Bools, Features, Floats, Ints
from pgc_data.features.resample import HandGrid, resample
from pgc_data.features.schema import SCHEMA
from pgc_data.features.sequence import HandSequence

_POSITION, _SPREAD, _VELOCITY, _ANGLES, _WRIST_VEL = (
    SCHEMA.block(name).columns
    for name in ("position", "fingertip_spread", "velocity", "joint_angles", "wrist_vel_raw")
)
# Grid rows before a row that it depends on: those that it may hold, or take its velocity from.
LOOK_BACK = max(
    SCHEMA.rules.hold_frames,
    int((SCHEMA.rules.reacquire_s + SCHEMA.rules.time_tolerance_s) * SCHEMA.rules.grid_hz),
)


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
    rows = grid.times.size
    usable, values = np.empty(rows, dtype=np.bool_), np.empty((rows, SCHEMA.frame_dims), dtype=np.float32)
    wrist, scale = np.empty((rows, 3)), np.empty(rows)
    step = blocks.CHUNK_FRAMES - LOOK_BACK
    for start in range(0, rows, step):
        part = slice(start, start + step)
        _fill(grid, start, usable[part], values[part], wrist[part], scale[part])
    return FrameFeatures(usable, grid.times, grid.source_index, values, wrist, scale)


def _fill(grid: HandGrid, start: int, usable: Bools, values: Features, wrist: Floats, scale: Floats) -> None:
    """Fills what `FrameFeatures` has for the grid rows from `start` on, as many as the arrays are long."""
    back = min(start, LOOK_BACK)
    part = slice(start - back, start + usable.size)
    landmarks = blocks.frames_last(grid.landmarks[part])
    valid = blocks.valid_frames(landmarks, grid.width, grid.height)
    rows = np.flatnonzero(valid)
    complete = rows.size == valid.size
    if not complete:
        landmarks = blocks.frames_last(grid.landmarks[part][rows])
    points = blocks.aspect_correct(landmarks, grid.width, grid.height)
    palm = blocks.palm_scale(points)
    elapsed = _elapsed(grid.times[part][rows], grid.track_ids[part][rows])
    features = _valid_features(landmarks, points, palm, elapsed)
    origin = points[:, SCHEMA.wrist_joint]
    if complete:
        usable[:], values[:], wrist[:], scale[:] = True, features[back:], origin[back:], palm[back:]
        return
    shown = hold(valid)[back:]
    np.greater_equal(shown, 0, out=usable)
    shown = shown[usable]
    features = np.ascontiguousarray(features)
    values[usable], wrist[usable], scale[usable] = features[shown], origin[shown], palm[shown]
    for array in (values, wrist, scale):
        array[~usable] = 0.0
    held = usable & ~valid[back:]
    for columns in (_VELOCITY, _WRIST_VEL):
        values[held, columns] = 0.0


def _valid_features(landmarks: Floats, points: Floats, scale: Floats, elapsed: Floats) -> Features:
    """Features (V, 147) of valid hands: L and P (V, 21, 3), s (V,), and `_elapsed` (V - 1,) between them.

    Both velocities of the first are 0: nothing comes before it.
    """
    # As `blocks.frames_last`, and an odd number of them: rows of a power of two would share few cache lines.
    features = np.zeros((SCHEMA.frame_dims, scale.size | 1), dtype=np.float32).T[: scale.size]
    wrist, shape = landmarks[:, SCHEMA.wrist_joint], blocks.position(points, scale)
    features[:, _POSITION] = shape
    features[:, _SPREAD] = blocks.fingertip_spread(points, scale)
    features[1:, _VELOCITY] = blocks.velocity(shape[1:], shape[:-1], elapsed)
    features[:, _ANGLES] = blocks.joint_angles(points)
    features[1:, _WRIST_VEL] = blocks.wrist_vel_raw(wrist[1:], wrist[:-1], elapsed)
    return features


def _elapsed(times: Floats, tracks: Ints) -> Floats:
    """Seconds (V - 1,) from each valid frame to the next; 0 where no velocity may be taken."""
    elapsed = times[1:] - times[:-1]
    other_hand = tracks[1:] != tracks[:-1]
    too_long = elapsed > SCHEMA.rules.reacquire_s + SCHEMA.rules.time_tolerance_s
    elapsed[other_hand | too_long] = 0.0
    return elapsed


def hold(valid: Bools) -> Ints:
    """Which valid row (counted among the valid) each grid row shows: itself, the one it holds, or -1 for none."""
    seen = np.cumsum(valid)
    previous = np.concatenate([[0], np.flatnonzero(valid)])[seen]
    held_for = np.arange(valid.size) - previous
    return np.where((seen > 0) & (held_for <= SCHEMA.rules.hold_frames), seen - 1, -1)
