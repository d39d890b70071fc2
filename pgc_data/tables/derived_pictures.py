"""Rows of several tables that show the same in two splits: near-duplicate pictures, windows of the same features."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow.compute as pc
from numpy.typing import NDArray

from pgc_data.similarity import hash_numbers, near_rows
from pgc_data.splits import Splits
from pgc_data.storage.schemas import arrow_array
from pgc_data.tables.derived_parts import Part
from pgc_data.tables.set_aside import repeated, set_aside

REPEATED = "in_another_split"
_Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Taken:
    """The rows that are taken of several parts, by number.

    Attributes:
        parts: in the order of the parents.
        rows: of each part, the rows taken, ascending.
        splits: (n,) number of the split of each.
        hashes: (n,) perceptual hashes; empty for windows.
    """

    parts: Sequence[Part]
    rows: Sequence[_Ints]
    splits: _Ints
    hashes: NDArray[np.uint64]

    @property
    def offsets(self) -> _Ints:
        """Number of the first row of each part, and of the end."""
        return np.cumsum([0, *(len(rows) for rows in self.rows)])

    def weights(self) -> _Ints:
        """(n,) rows of the parent named first weigh most, of one parent those of the split with most rows."""
        sizes = np.bincount(self.splits)
        of_split = np.lexsort((-np.arange(len(sizes)), sizes)).argsort()
        parent = np.repeat(np.arange(len(self.parts)), [len(rows) for rows in self.rows])
        return of_split[self.splits] - parent * len(sizes)

    def pixels(self, hands: _Ints) -> Iterator[tuple[int, bytes]]:
        """Number and PNG bytes of some rows of crops, by their numbers, ascending."""
        for part, rows, first, stop in zip(
            self.parts, self.rows, self.offsets[:-1], self.offsets[1:], strict=True
        ):
            mine = hands[np.searchsorted(hands, first) : np.searchsorted(hands, stop)]
            at = rows[mine - first]
            wanted = np.zeros(part.table.rows, dtype=np.bool_)
            wanted[at] = True
            for place, block in part.table.blocks(["image"], wanted):
                images = pc.struct_field(block["image"], "bytes")
                low, high = np.searchsorted(at, [place.start, place.stop])
                for hand, row in zip(mine[low:high].tolist(), at[low:high].tolist(), strict=True):
                    yield hand, images[row - place.start].as_py()

    def parts_without(self, left_out: _Ints) -> list[Part]:
        """The parts without some rows, by their numbers, ascending."""
        result = []
        for part, rows, first, stop in zip(
            self.parts, self.rows, self.offsets[:-1], self.offsets[1:], strict=True
        ):
            mine = left_out[np.searchsorted(left_out, first) : np.searchsorted(left_out, stop)]
            mask = np.zeros(part.table.rows, dtype=np.bool_)
            mask[rows[mine - first]] = True
            result.append(part.without(mask, REPEATED))
        return result


@dataclass(frozen=True, eq=False)
class Search:
    """What a search for rows that show the same left.

    Attributes:
        parts: without the rows left out.
        facts: what the manifest says of the search; None if there was none.
        unmet: what could not be had, in sentences.
    """

    parts: Sequence[Part]
    facts: Mapping[str, Any] | None = None
    unmet: tuple[str, ...] = ()


def without_repeated(parts: Sequence[Part], splits: Splits) -> Search:
    """Leaves rows out so that no two splits show the same picture (crops), or have windows of equal features.

    The row of the parent named first stays; of one parent the row in the split with most rows.

    Args:
        parts: of tables of one kind, in the order of the parents.
        splits: their names.
    """
    crops = parts[0].table.kind == "crops"
    taken = _taken(parts, splits, crops)
    if crops:
        near = near_rows(taken.hashes, taken.splits, lambda first, _: np.ones(len(first), dtype=np.bool_))
        hands = np.flatnonzero(near.found | near.cut_short)
        left_out, unsure = set_aside(taken, hands, taken.splits, taken.weights())
    else:
        digest = np.concatenate([np.empty(0, np.uint64), *map(_digests, parts)])
        shown = np.flatnonzero(digest)
        again = repeated(digest[shown], taken.splits[shown], taken.weights()[shown])
        left_out, unsure = shown[again], 0
    unmet = (f"{unsure:,} images have more look-alikes than were compared",) if unsure else ()
    facts = {"between": "splits", "rows": len(taken.splits), "dropped": len(left_out)}
    return Search(taken.parts_without(left_out), facts, unmet)


def _taken(parts: Sequence[Part], splits: Splits, crops: bool) -> _Taken:
    columns = ["split", "phash"] if crops else ["split"]
    frames = [pl.DataFrame(schema={"split": pl.Int64, "hash": pl.UInt64})]
    for part in parts:
        for place, frame in part.table.frames(columns, part.taken):
            rows = frame.filter(pl.Series(part.reasons[place] == 0))
            hashes = hash_numbers(rows["phash"]) if crops else np.zeros(rows.height, np.uint64)
            numbers = [splits.number(name) for name in rows["split"]]
            frames.append(pl.DataFrame({"split": numbers, "hash": hashes}, schema=frames[0].schema))
    found = pl.concat(frames)
    rows_taken = [np.flatnonzero(part.taken) for part in parts]
    return _Taken(parts, rows_taken, found["split"].to_numpy(), found["hash"].to_numpy())


def _digests(part: Part) -> NDArray[np.uint64]:
    """(n,) the first 64 bits of the sha256 of the features of each row taken; 0 where they show no hand."""
    found = [np.empty(0, np.uint64)]
    for place, block in part.table.blocks(["features"], part.taken):
        for batch in block.filter(arrow_array(part.reasons[place] == 0)).to_batches(max_chunksize=1000):
            flat = pl.Series(batch.column(0).flatten().flatten()).to_numpy()
            values = np.ascontiguousarray(flat).reshape(batch.num_rows, -1)
            each = b"".join(hashlib.sha256(row.data).digest()[:8] for row in values)
            found.append(np.where(values.any(axis=1), np.frombuffer(each, dtype=np.uint64), 0))
    return np.concatenate(found)
