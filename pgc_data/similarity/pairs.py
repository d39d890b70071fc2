"""All pairs of rows whose hashes differ in few bits, and of them the best for each pair of groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pgc_data.errors import DataError
from pgc_data.similarity.bands import (
    BITS,
    Band,
    BandIndex,
    Bools,
    Hashes,
    expanded,
    near,
    plan_bands,
)
from pgc_data.similarity.runs import Ints, ranks, run_lengths, run_starts

MOST_EQUAL = 32
"""Groups that share one hash and are all compared; each further one is paired with the one before it."""
MOST_A_PAIR = 8
MOST_PAIRS = 500_000
_CHUNK = 1 << 18


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows.

    Attributes:
        first: (m,) the lower row of each pair.
        second: (m,) the higher row.
        distance: (m,) bits in which their hashes differ.
        left_out: comparisons that were not made, or pairs not kept, because there were too many.
    """

    first: Ints
    second: Ints
    distance: NDArray[np.uint8]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.first)

    def take(self, which: Bools | Ints | slice) -> Pairs:
        """Some of the pairs, chosen by a mask, by number or by a slice."""
        return replace(
            self, first=self.first[which], second=self.second[which], distance=self.distance[which]
        )

    def rows(self) -> Ints:
        """The rows that are in a pair, ascending, each once."""
        return np.unique(np.concatenate([self.first, self.second]))

    def best_first(self) -> Pairs:
        """The pairs by distance, then by row."""
        return self.take(np.lexsort((self.second, self.first, self.distance)))


def concatenated(parts: Sequence[Pairs]) -> Pairs:
    """Several lots of pairs, one after the other."""
    return Pairs(
        np.concatenate([np.empty(0, np.int64), *(part.first for part in parts)]),
        np.concatenate([np.empty(0, np.int64), *(part.second for part in parts)]),
        np.concatenate([np.empty(0, np.uint8), *(part.distance for part in parts)]),
        sum(part.left_out for part in parts),
    )


def hash_numbers(column: pl.Series) -> Hashes:
    """The hashes in a column `phash` as numbers.

    Args:
        column: n strings of 16 hexadecimal digits, none null.

    Raises:
        DataError: a value is something else.
    """
    numbers = column.str.to_integer(base=16, dtype=pl.UInt64, strict=False)
    wrong = (numbers.is_null() | (column.str.len_bytes() != 16)).fill_null(True)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise DataError(f"row {row}: phash is {column[row]!r}, not 16 hexadecimal digits")
    return numbers.to_numpy()


def near_pairs(hashes: Hashes, apart: NDArray[Any], bits: int = BITS) -> Iterator[Pairs]:
    """Finds every pair of rows whose hashes differ in at most `bits` bits and whose `apart` keys differ.

    Of rows with equal hash and equal key only the first counts. Of the pairs among more than `MOST_EQUAL` keys
    that share one hash only as many are given as connect them, and the first `MOST_EQUAL` stand for the others
    before other hashes; and a hash is compared with no more than `MOST_COMPARED` others in a band. So a hundred
    thousand black pictures cost no more than others; the comparisons left out are counted in `left_out`. Memory is
    about 100 bytes a row, and 60 MB.

    Args:
        hashes: (n,) 64-bit hashes.
        apart: (n,) keys, such as group or split.
        bits: most bits in which they differ.

    Yields:
        lots of pairs, each pair once, together in an order that the input alone decides.

    Raises:
        ConfigError: `bits` is not in 0 to 16.
    """
    bands = plan_bands(len(hashes), bits)
    entries, chained = _entries(hashes, apart)
    return _gathered(_search(entries, chained, bands, bits))


@dataclass(frozen=True)
class _Entries:
    """Rows to compare, sorted by key, then hash."""

    hashes: Hashes
    apart: NDArray[np.int32]
    rows: Ints

    def pairs(self, a: Ints, b: Ints, distance: NDArray[np.uint8]) -> Pairs:
        a, b = self.rows[a], self.rows[b]
        return Pairs(np.minimum(a, b), np.maximum(a, b), distance)


def _entries(hashes: Hashes, apart: NDArray[Any]) -> tuple[_Entries, Pairs]:
    """One row for each hash and key, and the pairs that tie those in excess of `MOST_EQUAL` to the others."""
    keys = np.unique(apart, return_inverse=True)[1].astype(np.int32)
    rows = np.lexsort((keys, hashes))
    rows = rows[run_starts(hashes[rows], keys[rows])]
    hashes, keys = hashes[rows], keys[rows]
    within = ranks(hashes) < MOST_EQUAL
    excess = np.flatnonzero(~within)
    chained = _Entries(hashes, keys, rows).pairs(excess - 1, excess, np.zeros(len(excess), np.uint8))
    sizes = run_lengths(run_starts(hashes), len(rows))
    every, given = (int((size * (size - 1) // 2).sum()) for size in (sizes, np.minimum(sizes, MOST_EQUAL)))
    kept = np.flatnonzero(within)
    kept = kept[np.argsort(keys[kept], kind="stable")]
    entries = _Entries(hashes[kept], keys[kept], rows[kept])
    return entries, replace(chained, left_out=every - given - len(excess))


def _search(entries: _Entries, chained: Pairs, bands: Sequence[Band], bits: int) -> Iterator[Pairs]:
    yield chained
    for number, band in enumerate(bands):
        index = BandIndex(band, entries.hashes)
        hashes, apart = entries.hashes[index.order], entries.apart[index.order]
        for flip in band.flips():
            left, low, high = _ranges(index, apart, flip)
            allowed = index.limited(left, low, high)
            left_out = int((high - allowed).sum())
            for a, b in expanded(left, low, allowed):
                differences = hashes[a] ^ hashes[b]
                hits = near(differences, bits, bands[:number])
                hits = hits[apart[a[hits]] != apart[b[hits]]]
                if len(hits):
                    distance = np.bitwise_count(differences[hits])
                    yield entries.pairs(index.order[a[hits]], index.order[b[hits]], distance)
            if left_out:
                yield replace(concatenated([]), left_out=left_out)


def _ranges(index: BandIndex, apart: NDArray[np.int32], flip: int) -> tuple[Ints, Ints, Ints]:
    """Places of the index, and of each the range of places to compare it with."""
    if flip == 0:
        return _own_ranges(index, apart)
    # Of two keys that differ in `flip` the one without its highest bit looks the other up.
    keys = index.distinct
    keys = keys[np.flatnonzero((keys & np.uint32(1 << (flip.bit_length() - 1))) == 0)]
    keys = keys[index.occupied(keys ^ np.uint32(flip))]
    start, stop = index.places(keys)
    low, high = index.places(keys ^ np.uint32(flip))
    # Frames of one video fill whole buckets, sorted by key `apart`: no pair of theirs counts.
    useful = np.flatnonzero((apart[start] != apart[high - 1]) | (apart[low] != apart[stop - 1]))
    start, stop, low, high = start[useful], stop[useful], low[useful], high[useful]
    sizes = stop - start
    left = np.repeat(start - (np.cumsum(sizes) - sizes), sizes) + np.arange(int(sizes.sum()))
    return left, np.repeat(low, sizes), np.repeat(high, sizes)


def _own_ranges(index: BandIndex, apart: NDArray[np.int32]) -> tuple[Ints, Ints, Ints]:
    """Of every place, those with the same key after the last with the same key `apart`."""
    left = np.arange(len(apart))
    high = index.places(index.keys)[1]
    starts = run_starts(index.keys, apart)
    lengths = run_lengths(starts, len(apart))
    low = np.repeat(starts + lengths, lengths)
    some = low < high
    return left[some], low[some], high[some]


def _gathered(lots: Iterable[Pairs]) -> Iterator[Pairs]:
    """The same pairs in lots of a useful size."""
    held: list[Pairs] = []
    size = 0
    for lot in lots:
        held.append(lot)
        size += len(lot)
        if size >= _CHUNK:
            yield concatenated(held)
            held, size = [], 0
    if held:
        yield concatenated(held)


def best_pairs(hashes: Hashes, groups: NDArray[Any], bits: int = BITS) -> Pairs:
    """The nearest pairs of rows of every two groups that have any: what to look at before groups are joined.

    Args:
        hashes: (n,) 64-bit hashes.
        groups: (n,) number of each row's group.
        bits: most bits in which they differ.

    Returns:
        at most `MOST_A_PAIR` pairs for two groups and `MOST_PAIRS` in all, by distance, then by row. Further
        pairs of the same two groups are not counted as left out.

    Raises:
        ConfigError: `bits` is not in 0 to 16.
    """
    best = concatenated([])
    held: list[Pairs] = []
    for lot in near_pairs(hashes, groups, bits):
        held.append(_not_behind(lot, best))
        if sum(map(len, held)) >= MOST_PAIRS // 2:
            best, held = _best(concatenated([best, *held]), groups), []
    return _best(concatenated([best, *held]), groups)


def _not_behind(pairs: Pairs, best: Pairs) -> Pairs:
    """Those that could be among the best; a short cut, as `_best` would leave the others out."""
    if len(best) < MOST_PAIRS:
        return pairs
    worst, row = best.distance[-1], best.first[-1]
    ahead = (pairs.distance < worst) | ((pairs.distance == worst) & (pairs.first <= row))
    return replace(pairs.take(ahead), left_out=pairs.left_out + len(pairs) - int(ahead.sum()))


def _best(pairs: Pairs, groups: NDArray[Any]) -> Pairs:
    pairs = pairs.best_first()
    a, b = groups[pairs.first], groups[pairs.second]
    a, b = np.minimum(a, b), np.maximum(a, b)
    order = np.lexsort((b, a))
    chosen = np.sort(order[ranks(a[order], b[order]) < MOST_A_PAIR])
    kept = pairs.take(chosen[:MOST_PAIRS])
    return replace(kept, left_out=pairs.left_out + len(chosen) - len(kept))
