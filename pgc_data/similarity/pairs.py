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
    Ints,
    expanded,
    plan_bands,
)

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
    that share one hash only as many are given as connect them, and a hash is compared with no more than
    `MOST_COMPARED` others in a band, so that a hundred thousand black pictures cost no more than others; what is
    left out so is counted in the pairs' `left_out`. Memory is about 100 bytes a row, and 60 MB.

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
    hashes, keys = hashes[rows], keys[rows]
    new_hash = np.ones(len(rows), dtype=np.bool_)
    np.not_equal(hashes[1:], hashes[:-1], out=new_hash[1:])
    new = new_hash.copy()
    new[1:] |= keys[1:] != keys[:-1]
    hashes, keys, rows, new_hash = hashes[new], keys[new], rows[new], new_hash[new]
    starts = np.flatnonzero(new_hash)
    sizes = np.diff(starts, append=len(rows))
    excess = np.flatnonzero(np.arange(len(rows)) - np.repeat(starts, sizes) >= MOST_EQUAL)
    chained = _Entries(hashes, keys, rows).pairs(excess - 1, excess, np.zeros(len(excess), np.uint8))
    many = sizes[sizes > MOST_EQUAL]
    every = int((many * (many - 1) // 2).sum()) - len(many) * (MOST_EQUAL * (MOST_EQUAL - 1) // 2)
    kept = np.ones(len(rows), dtype=np.bool_)
    kept[excess] = False
    by_key = np.flatnonzero(kept)
    by_key = by_key[np.argsort(keys[by_key], kind="stable")]
    entries = _Entries(hashes[by_key], keys[by_key], rows[by_key])
    return entries, replace(chained, left_out=every - len(excess))


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
                distance = np.bitwise_count(differences)
                hits = np.flatnonzero((distance <= bits) & (apart[a] != apart[b]))
                for earlier in bands[:number]:
                    hits = hits[~earlier.covers(differences[hits])]
                if len(hits):
                    yield entries.pairs(index.order[a[hits]], index.order[b[hits]], distance[hits])
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
    last = np.ones(len(apart), dtype=np.bool_)
    last[:-1] = (apart[1:] != apart[:-1]) | (index.keys[1:] != index.keys[:-1])
    ends = np.flatnonzero(last) + 1
    low = np.repeat(ends, np.diff(ends, prepend=0))
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
    for lot in near_pairs(hashes, groups, bits):
        if len(best) == MOST_PAIRS:
            farther = lot.distance > best.distance[-1]
            lot = replace(lot.take(~farther), left_out=lot.left_out + int(farther.sum()))
        best = _best(concatenated([best, lot]), groups)
    return best


def _best(pairs: Pairs, groups: NDArray[Any]) -> Pairs:
    pairs = pairs.best_first()
    a, b = groups[pairs.first], groups[pairs.second]
    a, b = np.minimum(a, b), np.maximum(a, b)
    order = np.lexsort((b, a))
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (a[order][1:] != a[order][:-1]) | (b[order][1:] != b[order][:-1])
    starts = np.flatnonzero(new)
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    chosen = np.sort(order[rank < MOST_A_PAIR])
    kept = pairs.take(chosen[:MOST_PAIRS])
    return replace(kept, left_out=pairs.left_out + len(chosen) - len(kept))
