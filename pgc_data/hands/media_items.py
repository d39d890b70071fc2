"""Which frames of which media a samples table wants: the input of extraction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pgc_data.errors import DataError
from pgc_data.hands.annotated import ANNOTATION_COLUMNS, packed_hands
from pgc_data.storage.parquet import read_row_groups
from pgc_data.storage.schemas import arrow_schema

_COLUMNS = ["media", "media_kind", "fps", "frame_start", "frame_end"]
_ROWS_AT_A_TIME = 1 << 14
_KINDS = pa.dictionary(pa.int8(), pa.string())


@dataclass(frozen=True, slots=True)
class MediaItem:
    """One image, folder of frames or video, and the frames wanted of it.

    Attributes:
        media: path below the raw folder.
        kind: image, frames or video.
        fps: frames per second, or None.
        intervals: first and last frame of each stretch, 1-based, inclusive, in order, apart.
        annotated: the hands that its samples annotate, see `annotated.unpacked_hands`; empty where not asked for.
    """

    media: str
    kind: str
    fps: float | None
    intervals: tuple[tuple[int, int], ...]
    annotated: bytes = b""

    @property
    def frames(self) -> int:
        """How many frames are wanted."""
        return sum(end - start + 1 for start, end in self.intervals)


class MediaTable:
    """The media of a samples table in order, each with the frames that its samples cover, merged.

    Kept as columns in the file's order, and made into `MediaItem`s as they are asked for: a million take some 100 MB
    as columns, and four times that as objects or sorted.
    """

    def __init__(self, samples: Path, annotated: bool = False) -> None:
        """Reads what is wanted of `samples.parquet`, with the annotated hands if asked for.

        Raises:
            DataError: it is missing, damaged, or another table; or hands are asked for and none is annotated.
        """
        columns = [*_COLUMNS, *(ANNOTATION_COLUMNS if annotated else ())]
        with _tight_memory() as pool:
            parts = []
            for part in read_row_groups(samples, "samples", columns):
                parts.append(_lean(part))
                pool.release_unused()
        table = pa.concat_tables(parts or [arrow_schema("samples").empty_table().select(columns)])
        if annotated and table["boxes"].null_count == table.num_rows:
            raise DataError(
                f"none of the {table.num_rows:,} samples in {samples} has annotated boxes: use --backend mediapipe"
            )
        keys = [("media", "ascending"), ("frame_start", "ascending")]
        order = pc.sort_indices(table.select(["media", "frame_start"]), sort_keys=keys)
        # Not by `to_numpy`, for the reason in `_indices`.
        self._order = np.frombuffer(order.buffers()[1], np.uint64, len(order)).astype(np.uint32)
        self._batches = table.to_batches()
        self._firsts = np.cumsum([0, *(batch.num_rows for batch in self._batches[:-1])])

    @property
    def rows(self) -> int:
        """Samples, of which several may be of one media."""
        return len(self._order)

    def __iter__(self) -> Iterator[MediaItem]:
        return (item for _, item in self.numbered())

    def numbered(self) -> Iterator[tuple[int, MediaItem]]:
        """The media, each with its first row."""
        return _merged(
            values
            for start in range(0, self.rows, _ROWS_AT_A_TIME)
            for values in _values(self.some(start, min(start + _ROWS_AT_A_TIME, self.rows)))
        )

    def some(self, start: int, stop: int) -> pa.RecordBatch:
        """Some of the rows, for `items_of`: from one where a media begins, to the one before another begins."""
        return self._rows_at(self._order[start:stop])

    def _rows_at(self, places: NDArray[np.uint32]) -> pa.RecordBatch:
        """Some rows in the order asked for. Arrow's own `take` copies all strings of a table to get at a few."""
        which = np.searchsorted(self._firsts, places, side="right") - 1
        by_batch = np.argsort(which, kind="stable")
        parts = [
            self._batches[number].take(_indices(places[which == number] - self._firsts[number]))
            for number in np.unique(which)
        ]
        return pa.concat_batches(parts).take(_indices(np.argsort(by_batch)))


def _indices(places: NDArray[np.integer[Any]]) -> pa.Array:
    """Places as Arrow has them. `pyarrow.array` would load pandas where it is installed, some 40 MB, and an interrupt
    in the middle of that import can leave its lock held.
    """
    return pa.Array.from_buffers(pa.int64(), len(places), [None, pa.py_buffer(places.astype(np.int64))])


def items_of(rows: pa.RecordBatch) -> tuple[MediaItem, ...]:
    """The media of some rows of a `MediaTable`."""
    return tuple(item for _, item in _merged(_values(rows)))


_Values = tuple[str, str, float | None, int, int, bytes]


def _values(rows: pa.RecordBatch) -> Iterator[_Values]:
    with_hands = set(ANNOTATION_COLUMNS) <= set(rows.schema.names)
    hands = packed_hands(rows) if with_hands else repeat(b"", rows.num_rows)
    kinds = rows.column("media_kind")
    words = kinds.dictionary.to_pylist()
    media, fps, *frames = (rows.column(name).to_pylist() for name in _COLUMNS if name != "media_kind")
    return zip(media, (words[n] for n in kinds.indices.to_pylist()), fps, *frames, hands, strict=True)


def _merged(values: Iterable[_Values]) -> Iterator[tuple[int, MediaItem]]:
    """One item for all rows in a row that are of one media, with the first of them."""
    now: tuple[str, str, float | None] | None = None
    first, intervals, hands = 0, list[tuple[int, int]](), b""
    for row, (media, kind, fps, begin, end, annotated) in enumerate(values):
        if now is None or now[0] != media:
            if now is not None:
                yield first, MediaItem(*now, tuple(intervals), hands)
            now, first, intervals, hands = (media, kind, fps), row, [], b""
        _join(intervals, begin, end)
        hands += annotated
    if now is not None:
        yield first, MediaItem(*now, tuple(intervals), hands)


@contextmanager
def _tight_memory() -> Iterator[pa.MemoryPool]:
    """Makes Arrow take its memory from the system, and give it back: its own pools keep half as much again."""
    usual, system = pa.default_memory_pool(), pa.system_memory_pool()
    pa.set_memory_pool(system)
    try:
        yield system
    finally:
        pa.set_memory_pool(usual)


def _lean(part: pa.Table) -> pa.Table:
    """A row group with the words that come again and again kept once."""
    place = part.schema.get_field_index("media_kind")
    kinds = part["media_kind"].combine_chunks().cast(_KINDS)
    return part.set_column(place, pa.field("media_kind", _KINDS), kinds).combine_chunks()


def media_items(samples: Path, annotated: bool = False) -> list[MediaItem]:
    """All of `MediaTable`, as a list."""
    return list(MediaTable(samples, annotated))


def _join(intervals: list[tuple[int, int]], start: int, end: int) -> None:
    """Adds an interval that begins no earlier than the last: to that one where they touch or overlap."""
    if intervals and start <= intervals[-1][1] + 1:
        first, last = intervals[-1]
        intervals[-1] = first, max(last, end)
    else:
        intervals.append((start, end))


def media_fingerprint(items: Iterable[MediaItem]) -> str:
    """sha256 of what extraction reads: media, kinds, rates, frames and annotated hands, but not labels."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(repr((item.media, item.kind, item.fps, item.intervals)).encode())
        digest.update(item.annotated)
    return digest.hexdigest()
