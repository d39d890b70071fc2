"""Hashes that differ in few bits, found by exact lookups of their bands with a few bits flipped.

A 64-bit hash is cut into bands of bits. If two hashes differ in at most `bits` bits, then in one band at least they
differ in no more than that band's radius; so it is enough to look up every band's key, and every key within its
radius (multi-index hashing; Norouzi, Punjani and Fleet, CVPR 2012). Nothing is missed and nothing found twice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pgc_data.errors import ConfigError
from pgc_data.similarity.runs import Ints, run_starts

Hashes = NDArray[np.uint64]
Bools = NDArray[np.bool_]

BITS = 8
"""Most bits by which the hashes of one picture differ.

Share of transformed pictures within 8 bits of their original (600 IPN crops / 250 photographs of digits / 600 drawn
hands): JPEG of quality 30 to 95, resized 0.5 to 2 times, 10 % darker or brighter, noise of 8 levels: all; video frame
halved and encoded anew: 0.997 / 1 / 0.99; box off by up to 2 pixels: 0.92 / 0.77 / 0.93; all of it at once:
0.91 / 0.72 / 0.93. With 10 bits the last are 0.97 / 0.86 / 0.98, for two and a half times the work.
"""
MOST_BITS = 16
MOST_COMPARED = 5_000
"""Hashes that one hash is compared with in a band; beyond it, comparisons are left out and counted."""
_FEW = 64
"""A key with no more hashes does not count towards `MOST_COMPARED`."""

_BITS_OF_HASH = 64
_FEWEST_BANDS, _MOST_BANDS = 3, 8
# Of one comparison, where a lookup of a flipped key costs 1: measured.
_COMPARISON_COST = 0.4
_BLOCK = 1 << 19


@dataclass(frozen=True)
class Band:
    """Some bits of a hash.

    Attributes:
        positions: of the bits, 0 the lowest.
        radius: most bits of the band that a lookup flips.
    """

    positions: tuple[int, ...]
    radius: int

    @cached_property
    def mask(self) -> np.uint64:
        """A hash with the band's bits set."""
        return np.uint64(sum(1 << position for position in self.positions))

    @property
    def lookups(self) -> int:
        """How many keys lie within the radius of a key."""
        return sum(math.comb(len(self.positions), flipped) for flipped in range(self.radius + 1))

    def keys(self, hashes: Hashes) -> NDArray[np.uint32]:
        """(n,) the band's bits of each hash, side by side."""
        keys = np.zeros(len(hashes), dtype=np.uint32)
        for bit, position in enumerate(self.positions):
            keys |= ((hashes >> np.uint64(position)) & np.uint64(1)).astype(np.uint32) << np.uint32(bit)
        return keys

    def flips(self) -> Iterator[int]:
        """Every key with at most `radius` bits set, fewest first."""
        for flipped in range(self.radius + 1):
            for bits in itertools.combinations(range(len(self.positions)), flipped):
                yield sum(1 << bit for bit in bits)

    def covers(self, differences: Hashes) -> Bools:
        """(n,) whether the band's lookups find hashes that differ in these bits."""
        return np.asarray(np.bitwise_count(differences & self.mask) <= self.radius)


def plan_bands(hashes: int, bits: int) -> tuple[Band, ...]:
    """The bands that find all pairs of so many hashes within `bits` bits with the least work.

    Raises:
        ConfigError: `bits` is negative or above `MOST_BITS`.
    """
    if not 0 <= bits <= MOST_BITS:
        raise ConfigError(f"bits={bits}: hashes may differ in 0 to {MOST_BITS} of their 64 bits")
    plans = [_cut(count, bits) for count in range(_FEWEST_BANDS, _MOST_BANDS + 1)]
    return min(plans, key=lambda bands: _cost(bands, hashes))


def _cut(count: int, bits: int) -> tuple[Band, ...]:
    """Radii s for the first few bands and s - 1 for the rest: one more bit in each would exceed `bits`."""
    whole, rest = divmod(bits, count)
    radii = [whole if band <= rest else whole - 1 for band in range(count)]
    # Neighbouring bits say alike things: dealt out in turn, a band's own are nearer to independent.
    return tuple(
        Band(tuple(range(band, _BITS_OF_HASH, count)), radius)
        for band, radius in enumerate(radii)
        if radius >= 0
    )


def _cost(bands: Sequence[Band], hashes: int) -> float:
    """Lookups and comparisons of every hash, and the tables that are looked up."""
    cost = 0.0
    for band in bands:
        keys = 1 << len(band.positions)
        cost += keys + band.lookups * hashes * (1 + _COMPARISON_COST * hashes / keys)
    return cost


class BandIndex:
    """Entries sorted by their key in one band, ties in the order in which they came.

    Attributes:
        order: (n,) entry at each place.
        keys: (n,) its key.
    """

    def __init__(self, band: Band, hashes: Hashes) -> None:
        """Sorts the hashes of n entries by their key."""
        keys = band.keys(hashes)
        self.order: Ints = np.argsort(keys, kind="stable")
        self.keys = keys[self.order]
        self.distinct: NDArray[np.uint32] = self.keys[run_starts(self.keys)]
        counts = np.bincount(self.keys, minlength=1 << len(band.positions))
        self._occupied = counts > 0
        self._compared = np.zeros(len(keys), dtype=np.int32)
        self._starts = np.zeros(len(counts) + 1, dtype=np.int32)
        np.cumsum(counts, out=self._starts[1:])

    def occupied(self, keys: NDArray[np.uint32]) -> Ints:
        """The numbers of those of the keys that any entry has."""
        return np.flatnonzero(self._occupied[keys])

    def places(self, keys: NDArray[np.uint32]) -> tuple[Ints, Ints]:
        """(m,) first place with each key, and the place after its last."""
        return self._starts[keys].astype(np.int64), self._starts[1:][keys].astype(np.int64)

    def limited(self, left: Ints, low: Ints, high: Ints) -> Ints:
        """The ends of ranges of places, drawn in so that no place is compared with more than `MOST_COMPARED`.

        Args:
            left: (m,) places, each once.
            low: (m,) first of the places to compare it with.
            high: (m,) end of them.
        """
        many = np.flatnonzero(high - low > _FEW)
        place, start = left[many], low[many]
        allowed = high.copy()
        allowed[many] = np.minimum(
            high[many], start + np.maximum(MOST_COMPARED - self._compared[place], _FEW)
        )
        self._compared[place] += (allowed[many] - start).astype(np.int32)
        return allowed


def expanded(left: Ints, low: Ints, high: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Pairs each of `left` with every place from its `low` up to before its `high`, block by block.

    Yields:
        two (m,) arrays of places, in order; m is little over half a million, unless one range is longer.
    """
    counts = high - low
    ends = np.cumsum(counts)
    start = 0
    while start < len(left):
        done = int(ends[start - 1]) if start else 0
        stop = max(int(np.searchsorted(ends, done + _BLOCK, side="right")), start + 1)
        own = counts[start:stop]
        before = ends[start:stop] - own - done
        right = np.repeat(low[start:stop] - before, own)
        right += np.arange(len(right))
        yield np.repeat(left[start:stop], own), right
        start = stop


def near(differences: Hashes, bits: int, earlier: Sequence[Band]) -> Ints:
    """The numbers of those differences that have at most `bits` bits, and that no earlier band has found."""
    numbers = np.flatnonzero(np.bitwise_count(differences) <= bits)
    for band in earlier:
        numbers = numbers[~band.covers(differences[numbers])]
    return numbers
