"""The feature set holistic1662: the landmarks of MediaPipe Holistic as they are, a frame at a time.

The grid, the tolerance, interpolation and holding are those of feature-schema-v1, for each part on its own; the
layout and what more there is to know stand in `schemas/holistic1662.json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pgc_data.features.arrays import Bools, Features, Floats, Ints
from pgc_data.features.body import BODY_PARTS, BodySequence
from pgc_data.features.frames import FrameFeatures, UsableFrames, hold
from pgc_data.features.resample import between_rows, grid_times, interpolate, nearest_rows
from pgc_data.features.schema import SCHEMA

FRAME_DIMS = sum(points * values for points, values in BODY_PARTS.values())
# Grid rows worked on at a time: the face alone is 11 kB a row.
_ROWS = 1024


@dataclass(frozen=True, eq=False)
class _Grid:
    """Where the grid lies in a sequence: times (M,), nearest rows (M,), and which times lie between rows (M,)."""

    times: Floats
    nearest: Ints
    between: Bools


@dataclass(frozen=True, eq=False)
class _Part:
    """Where a part is there.

    Attributes:
        values: (N, points, values) of the source rows.
        rows: (N,) source rows that have it whole.
        valid: (M,) grid frames at which it is there: in the row that coincides, or in both it lies between.
        shown: (M,) which valid grid frame (counted among the valid) each shows: itself, the one it holds, or -1.
    """

    values: Floats
    rows: Bools
    valid: Bools
    shown: Ints


def usable_body(sequence: BodySequence) -> UsableFrames:
    """What `body_features` says of a sequence besides the features, at a fraction of the cost."""
    grid = _grid(sequence.timestamps)
    parts = [_part(sequence, name, grid) for name in BODY_PARTS if name != "face"]
    return UsableFrames(_any_shown(parts), grid.times, grid.nearest)


def body_features(sequence: BodySequence) -> FrameFeatures:
    """Resamples a sequence to the 30 Hz grid and lays its parts side by side.

    Args:
        sequence: one person through one clip.

    Returns:
        One row per grid frame, 1,662 features: pose, face, left hand, right hand. A part that is missing is held for
        up to 3 grid frames and is zeros after that. A frame is usable if it shows a pose or a hand, its own or held;
        others are all zeros.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> parts = [rng.random((40, *size)) for size in BODY_PARTS.values()]
        >>> body_features(BodySequence(*parts, np.arange(40) / 30, 640, 480)).values.shape
        (40, 1662)
    """
    grid = _grid(sequence.timestamps)
    values = np.zeros((grid.times.size, FRAME_DIMS), dtype=np.float32)
    parts = {name: _part(sequence, name, grid) for name in BODY_PARTS}
    end = 0
    for name, (points, each) in BODY_PARTS.items():
        start, end = end, end + points * each
        _fill(values[:, start:end], sequence.timestamps, parts[name], grid)
    # A face alone says nothing of a sign.
    usable = _any_shown([part for name, part in parts.items() if name != "face"])
    values[~usable] = 0.0
    return FrameFeatures(usable, grid.times, grid.nearest, values)


def _grid(timestamps: Floats) -> _Grid:
    times = grid_times(timestamps)
    nearest = nearest_rows(timestamps, times)
    return _Grid(times, nearest, between_rows(timestamps, times, nearest))


def _any_shown(parts: Iterable[_Part]) -> Bools:
    shown: Bools = np.logical_or.reduce([part.shown >= 0 for part in parts])
    return shown


def _part(sequence: BodySequence, name: str, grid: _Grid) -> _Part:
    values = sequence.part(name)
    rows = _whole(values)
    valid = rows[grid.nearest]
    # The tracks say where there is anything to interpolate, without the values.
    nothing = np.empty((rows.size, 0))
    _, tracks = interpolate(sequence.timestamps, nothing, rows, _one_track(rows), grid.times[grid.between])
    valid[grid.between] = tracks >= 0
    return _Part(values, rows, valid, hold(valid))


def _whole(values: Floats) -> Bools:
    """Rows (N,) in which all of a part (N, points, values) is finite and not absurdly far out."""
    whole = np.empty(len(values), dtype=np.bool_)
    for piece in _pieces(len(values)):
        # A comparison with NaN is false, so this one test covers NaN and infinity too.
        whole[piece] = (np.abs(values[piece]) <= SCHEMA.rules.coordinate_limit).all(axis=(1, 2))
    return whole


def _fill(out: Features, timestamps: Floats, part: _Part, grid: _Grid) -> None:
    """Writes a part into its columns (M, size) of the features, which are zeros."""
    for piece in _pieces(grid.times.size):
        here = np.arange(piece.start, piece.stop)[part.valid[piece]]
        own, made = here[~grid.between[here]], here[grid.between[here]]
        out[own] = part.values[grid.nearest[own]].reshape(own.size, out.shape[1])
        found, _ = interpolate(timestamps, part.values, part.rows, _one_track(part.rows), grid.times[made])
        out[made] = found.reshape(made.size, out.shape[1])
    held = np.flatnonzero((part.shown >= 0) & ~part.valid)
    out[held] = out[np.flatnonzero(part.valid)[part.shown[held]]]


def _one_track(rows: Bools) -> Ints:
    return np.zeros(rows.size, dtype=np.int64)


def _pieces(rows: int) -> Iterator[slice]:
    for start in range(0, rows, _ROWS):
        yield slice(start, min(start + _ROWS, rows))
