"""For each row, whether a row of another side shows the same picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgc_data.similarity.bands import (
    BITS,
    BandIndex,
    Bools,
    Hashes,
    expanded,
    near,
    plan_bands,
)
from pgc_data.similarity.runs import Ints, ranks

Check = Callable[[Ints, Ints], Bools]
"""Of (m,) and (m,) rows, whether each two show the same picture; see `thumbnails.pixel_check`."""

MOST_CHECKED = 64
"""Pictures that a row is held against in vain before its search ends."""
_FIRST_LOOK, _GROWTH = 8, 4


@dataclass(frozen=True)
class Neighbours:
    """What `near_rows` found of n rows.

    Attributes:
        partner: (n,) a row of another side that shows the same picture, or -1.
        distance: (n,) bits in which their hashes differ; 255 without a partner.
        cut_short: (n,) whether the search ended, without a partner, before all candidates were looked at.
    """

    partner: Ints
    distance: NDArray[np.uint8]
    cut_short: Bools

    @property
    def found(self) -> Bools:
        """(n,) whether the row has a partner."""
        return self.partner >= 0


def near_rows(hashes: Hashes, apart: NDArray[Any], same: Check, bits: int = BITS) -> Neighbours:
    """Finds for each row one row with another `apart` key, a hash within `bits` bits, and the same picture.

    The search for a row ends with the first partner found, so that a table split at random, where every row has
    hundreds, takes no longer than a clean one. A row that has one in reach is told of, unless the search is cut
    short: after `MOST_CHECKED` other pictures with such hashes, or `MOST_COMPARED` comparisons in a band. Leave
    rows without a picture, and those with a plain one (`thumbnails.plain`), out of the arrays. Memory is about
    120 bytes a row, and 80 MB.

    Args:
        hashes: (n,) 64-bit hashes.
        apart: (n,) keys, such as the split.
        same: the check of the pixels.
        bits: most bits in which the hashes differ.

    Raises:
        ConfigError: `bits` is not in 0 to 16.
    """
    bands = plan_bands(len(hashes), bits)
    # In an order without meaning the first few rows of a bucket are of every side.
    search = _Search(hashes, apart, same, np.random.default_rng(0).permutation(len(hashes)))
    for number, band in enumerate(bands):
        index = BandIndex(band, search.hashes)
        ordered, sides = search.hashes[index.order], search.apart[index.order]
        todo = np.flatnonzero(search.open[index.order])
        for flip in band.flips():
            keys = index.keys[todo] ^ np.uint32(flip)
            some = index.occupied(keys)
            left, (low, high) = todo[some], index.places(keys[some])
            allowed = index.limited(left, low, high)
            search.cut_short[index.order[left[np.flatnonzero(allowed < high)]]] = True
            for a, b in _looks(search, index, left, low, allowed):
                hits = near(ordered[a] ^ ordered[b], bits, bands[:number])
                hits = hits[sides[a[hits]] != sides[b[hits]]]
                search.look(index.order[a[hits]], index.order[b[hits]])
            if np.count_nonzero(search.open) < len(todo):
                todo = todo[search.open[index.order[todo]]]
    return search.result()


def _looks(
    search: _Search, index: BandIndex, left: Ints, low: Ints, high: Ints
) -> Iterator[tuple[Ints, Ints]]:
    """Places to compare: of each range the first few, then more of those still open."""
    look = _FIRST_LOOK
    while len(left):
        yield from expanded(left, low, np.minimum(high, low + look))
        low = low + look
        still = np.flatnonzero(low < high)
        still = still[search.open[index.order[left[still]]]]
        left, low, high = left[still], low[still], high[still]
        look *= _GROWTH


class _Search:
    """What is known so far, in a given order of the rows.

    Attributes:
        hashes: of the rows.
        apart: their keys, numbered.
        open: rows that are still looked for.
        cut_short: rows not looked for to the end.
    """

    def __init__(self, hashes: Hashes, apart: NDArray[Any], same: Check, order: Ints) -> None:
        self.hashes = hashes[order]
        self.open = np.ones(len(order), dtype=np.bool_)
        self.cut_short = np.zeros(len(order), dtype=np.bool_)
        self._order, self._same = order, same
        self.apart = np.unique(apart, return_inverse=True)[1].astype(np.int32)[order]
        self._partner = np.full(len(order), -1, dtype=np.int64)
        self._checked = np.zeros(len(order), dtype=np.int32)

    def look(self, a: Ints, b: Ints) -> None:
        """Checks the pixels of candidates, those of each `a` in a run, and keeps the partners found."""
        if not len(a):
            return
        rank = ranks(a) + self._checked[a]
        within = rank < MOST_CHECKED
        self.cut_short[a[~within]] = True
        self.open[a[~within]] = False
        a, b = a[within], b[within]
        np.maximum.at(self._checked, a, rank[within].astype(np.int32) + 1)
        alike = self._same(self._order[a], self._order[b])
        # The last of several values stays: backwards, the first.
        for one, other in ((a[alike][::-1], b[alike][::-1]), (b[alike][::-1], a[alike][::-1])):
            new = self._partner[one] < 0
            self._partner[one[new]] = other[new]
            self.open[one] = False

    def result(self) -> Neighbours:
        """What was found, in the rows' own order."""
        has = self._partner >= 0
        partner = np.full(len(has), -1, dtype=np.int64)
        distance = np.full(len(has), 255, dtype=np.uint8)
        cut_short = np.zeros(len(has), dtype=np.bool_)
        rows, others = self._order[has], self._partner[has]
        partner[rows] = self._order[others]
        distance[rows] = np.bitwise_count(self.hashes[has] ^ self.hashes[others])
        cut_short[self._order] = self.cut_short & ~has
        return Neighbours(partner, distance, cut_short)
