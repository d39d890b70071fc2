"""What a landmark window holds, reduced to a few numbers: shape, gaps, a digest, a sketch, the path of the hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pgc_data.audits.content import Facts, digest
from pgc_data.audits.probe.descriptors import sketch_windows
from pgc_data.audits.roles import is_list
from pgc_data.audits.window_blocks import WindowBlock

WINDOW_FACTS = np.dtype(
    [
        ("digest_a", "u8"), ("digest_b", "u8"), ("frames", "i4"), ("dims", "i4"), ("shown", "f4"), ("gap", "i4"),
        ("present", "?"),
    ]
)  # fmt: skip
"""Of one window: frames, features a frame (-1: not the same in all), share of frames that show a hand, and the
longest run of frames without one between two with one."""

_NULL = "it is null"
_AXES = 3
_NOT_FINITE = "it holds NaN or infinite values"

Floats = NDArray[np.floating[Any]]


class WindowReader:
    """Reads the windows of a table batch by batch.

    Attributes:
        paths: class -> [sum of x and y (T, 2), windows in which each frame shows a hand (T,)].
    """

    def __init__(self, trajectory: WindowBlock | None) -> None:
        """Follows the hand in the features of `trajectory`, where there are such."""
        self.paths: dict[str, tuple[Floats, NDArray[np.int64], int]] = {}
        self._trajectory = trajectory
        self._sketch: tuple[int, ...] | None = None

    def read(self, column: pa.Array, usable: pa.Array | None, labels: pl.Series) -> Facts:
        """Reads one batch.

        Args:
            column: n lists of frames, of features: of fixed sizes or not; or n lists of numbers, one frame each.
            usable: n lists of T booleans, or None: then a frame of zeros shows no hand.
            labels: (n,) classes.

        Returns:
            facts of type `WINDOW_FACTS`; sketches for the probe, zeros where the shape is another than the first's.
        """
        facts = np.zeros(len(column), dtype=WINDOW_FACTS)
        faults: dict[int, str] = {}
        sketches = None
        for rows, windows, dims in _by_shape(column):
            facts["frames"][rows], facts["dims"][rows] = windows.shape[1], dims
            numbers = np.isfinite(windows)
            finite = np.asarray(numbers.all(axis=(1, 2)))
            faults |= dict.fromkeys(rows[~finite].tolist(), _NOT_FINITE)
            shown = _shown(windows, usable, rows)
            facts["shown"][rows] = shown.mean(axis=1) if shown.shape[1] else 0
            facts["gap"][rows] = _longest_gap(shown)
            facts["present"][rows] = ((windows != 0) & numbers).any(axis=(1, 2))
            for row, window in zip(rows, windows, strict=True):
                facts["digest_a"][row], facts["digest_b"][row] = digest(np.ascontiguousarray(window))
            if dims > 0 and windows.shape[1]:
                self._follow(windows, shown & finite[:, None], labels, rows)
                sketches = self._add_sketches(sketches, windows, rows, len(column))
        nulls = np.flatnonzero(pl.Series(pc.is_null(column)).to_numpy())
        faults |= dict.fromkeys(nulls.tolist(), _NULL)
        if sketches is None:
            sketches = np.zeros((len(column), *(self._sketch or (0, 0))), dtype=np.float16)
        return Facts(facts, sketches, faults)

    def _add_sketches(self, sketches: Any, windows: Floats, rows: NDArray[np.int64], count: int) -> Any:
        made = sketch_windows(windows)
        self._sketch = self._sketch or made.shape[1:]
        if sketches is None:
            sketches = np.zeros((count, *self._sketch), dtype=np.float16)
        if made.shape[1:] == self._sketch:
            sketches[rows] = made
        return sketches

    def _follow(
        self, windows: Floats, shown: NDArray[np.bool_], labels: pl.Series, rows: NDArray[np.int64]
    ) -> None:
        block = self._trajectory
        if block is None or windows.shape[2] < block.start + block.size:
            return
        points = windows[:, :, block.start : block.start + 2]
        names = labels.gather(rows).cast(pl.String).to_numpy()
        for name in {name for name in names if name is not None}:
            chosen = names == name
            total, count, n = self.paths.get(
                name, (np.zeros((windows.shape[1], 2)), np.zeros(windows.shape[1], int), 0)
            )
            if len(total) == windows.shape[1]:
                seen = shown[chosen]
                total = total + np.where(seen[:, :, None], points[chosen], 0).sum(axis=0)
                self.paths[name] = (total, count + seen.sum(axis=0), n + int(chosen.sum()))

    def trajectories(self) -> Mapping[str, Any]:
        """Class -> mean x and y of each frame over its windows that show a hand there, and how many windows."""
        return {
            name: {**_means(total, count), "rows": rows}
            for name, (total, count, rows) in sorted(self.paths.items())
            if count.any()
        }


def _means(total: Floats, count: NDArray[np.int64]) -> dict[str, list[float]]:
    mean = total / np.maximum(count, 1)[:, None]
    return {axis: [round(float(v), 5) for v in mean[:, k]] for k, axis in enumerate("xy")}


def _by_shape(column: pa.Array) -> Iterator[tuple[NDArray[np.int64], Floats, int]]:
    """The rows of each shape: their numbers, (m, T, F) values, and F; ragged windows one by one, as (1, 1, size)."""
    rows = np.flatnonzero(pl.Series(pc.is_valid(column)).to_numpy())
    frames, sizes, values = _flattened(column.drop_null())
    starts = np.cumsum(frames) - frames
    ends = np.concatenate([[0], np.cumsum(sizes)])
    shapes: dict[tuple[int, int], list[int]] = {}
    for place, (first, count) in enumerate(zip(starts.tolist(), frames.tolist(), strict=True)):
        own = sizes[first : first + count]
        dims = int(own[0]) if count else 0
        shapes.setdefault((count, dims if (own == dims).all() else -1 - place), []).append(place)
    for (count, dims), members in shapes.items():
        at = np.asarray(members)
        if dims < 0:
            low, high = ends[starts[at[0]]], ends[starts[at[0]] + count]
            yield rows[at], values[low:high].reshape(1, 1, -1), -1
            continue
        # Where all windows are of one shape they lie side by side: no copy is made.
        if len(shapes) == 1:
            yield rows, values.reshape(len(at), count, dims), dims
            continue
        picked = ends[starts[at]][:, None] + np.arange(count * dims)
        yield rows[at], values[picked].reshape(len(at), count, dims), dims


def _flattened(column: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Frames of each of n windows, features of each frame, and all values; a null value is NaN, a null frame empty."""
    frames = _lengths(column)
    inner = pc.list_flatten(column)
    if not is_list(inner.type):
        return np.ones(len(frames), dtype=np.int64), frames, _numbers(inner)
    sizes = _lengths(inner)
    inner = pc.list_flatten(inner)
    if not is_list(inner.type) and sizes.max(initial=0) <= _AXES:
        # Points of one frame, not frames of two or three features.
        ends = np.concatenate([[0], np.cumsum(sizes)])
        return np.ones(len(frames), dtype=np.int64), np.diff(ends[np.cumsum([0, *frames])]), _numbers(inner)
    while is_list(inner.type):
        ends = np.concatenate([[0], np.cumsum(_lengths(inner))])
        bounds = np.concatenate([[0], np.cumsum(sizes)])
        sizes = np.diff(ends[bounds])
        inner = pc.list_flatten(inner)
    return frames, sizes, _numbers(inner)


def _lengths(column: pa.Array) -> NDArray[np.int64]:
    lengths: NDArray[np.int64] = (
        pl.Series(pc.list_value_length(column)).fill_null(0).to_numpy().astype(np.int64)
    )
    return lengths


def _numbers(column: pa.Array) -> Floats:
    values = pl.Series(column)
    return (
        values.cast(pl.Float64).to_numpy()
        if values.dtype == pl.Float64
        else values.cast(pl.Float32).to_numpy()
    )


def _shown(windows: Floats, usable: pa.Array | None, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(m, T) whether a frame shows a hand."""
    if usable is not None:
        flags = usable.take(pa.array(rows.tolist(), type=pa.int64()))
        lengths = _lengths(flags)
        if flags.null_count == 0 and (lengths == windows.shape[1]).all():
            values: NDArray[np.bool_] = pl.Series(pc.list_flatten(flags)).fill_null(False).to_numpy()
            return values.reshape(len(rows), windows.shape[1])
    return np.asarray((windows != 0).any(axis=2))


def _longest_gap(shown: NDArray[np.bool_]) -> NDArray[np.int32]:
    """(m,) the longest run of frames without a hand that has frames with one before and after."""
    longest = np.zeros(len(shown), dtype=np.int32)
    run = np.zeros(len(shown), dtype=np.int32)
    begun = np.zeros(len(shown), dtype=np.bool_)
    for frame in shown.T:
        longest = np.where(frame & begun, np.maximum(longest, run), longest)
        run = np.where(frame, 0, run + 1).astype(np.int32)
        begun |= frame
    return longest
