"""Which of the rows that could be written are written: thinning outside train, and a cap on each class."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pgc_data.splits import TRAIN, Assignment, Counts, Splits

THINNED = "thinned"
OVER_CAP = "over_cap"

_Ints = NDArray[np.int64]
_Bools = NDArray[np.bool_]


class Selection:
    """Decides row by row, in the order in which they were counted.

    A class above the cap keeps the same number of rows of each dataset as far as it has them, of a dataset the same of
    each group, and of a group rows at even distances.
    """

    def __init__(
        self,
        groups: Sequence[str],
        assignment: Assignment,
        splits: Splits,
        dense: Counts,
        thin: Counts,
        cap: int | None,
    ) -> None:
        """Settles how many rows of each group and class are written.

        Args:
            groups: (G,) group ids, which begin with the dataset and a colon.
            assignment: (G,) number of the split of each.
            splits: their names.
            dense: (G, C) rows if the group lies in a split that is trained on: train, or any fold.
            thin: (G, C) rows if it lies in val or test.
            cap: most rows of a class in train; None for no limit.
        """
        self._row_of = {group: row for row, group in enumerate(groups)}
        self._split = assignment
        self._names = splits.names
        train = splits.number(TRAIN)
        self._dense = assignment == train if train >= 0 else np.ones(len(assignment), dtype=bool)
        self._available = np.where(self._dense[:, None], dense, thin)
        self.quota = self._available.copy()
        if cap is not None:
            rows = np.flatnonzero(self._dense)
            kinds = np.array([groups[row].split(":", 1)[0] for row in rows.tolist()])
            for column in range(dense.shape[1]):
                self.quota[rows, column] = _capped(dense[rows, column], kinds, cap)
        self._seen = np.zeros_like(self.quota)
        self._dropped: Counter[tuple[str, str | None]] = Counter()

    def split_of(self, group: str) -> str:
        """The split of a group."""
        return self._names[int(self._split[self._row_of[group]])]

    def keep(
        self, groups: Sequence[str], class_ids: _Ints, on_thin: _Bools, labels: Sequence[str | None]
    ) -> _Bools:
        """Which of the next n rows are written.

        Args:
            groups: (n,) group of each.
            class_ids: (n,) class of each.
            on_thin: (n,) rows that are written outside train too.
            labels: (n,) the dataset's own label of each, under which what is left out is counted.
        """
        rows = np.array([self._row_of[group] for group in groups], dtype=np.int64)
        kept: _Bools = on_thin | self._dense[rows]
        at = np.flatnonzero(kept)
        self._dropped.update((THINNED, labels[row]) for row in np.flatnonzero(~kept).tolist())
        cell = rows[at] * self.quota.shape[1] + class_ids[at]
        for each in np.unique(cell):
            mine = at[cell == each]
            row, column = divmod(int(each), self.quota.shape[1])
            first = self._seen[row, column]
            number = first + np.arange(mine.size)
            quota, available = self.quota[row, column], self._available[row, column]
            kept[mine] = (number + 1) * quota // available > number * quota // available
            self._seen[row, column] = first + mine.size
        self._dropped.update((OVER_CAP, labels[row]) for row in at[~kept[at]].tolist())
        return kept

    def take_dropped(self) -> dict[tuple[str, str | None], int]:
        """Rows not kept since the last call, by reason and label."""
        dropped = dict(self._dropped)
        self._dropped.clear()
        return dropped


def _capped(available: _Ints, kinds: NDArray[np.str_], cap: int) -> _Ints:
    """At most `cap` of the rows (G,) of groups of several datasets: (G,)."""
    shares = np.zeros_like(available)
    names = np.unique(kinds)
    totals = np.array([available[kinds == name].sum() for name in names], dtype=np.int64)
    for name, share in zip(names, even_shares(totals, cap), strict=True):
        shares[kinds == name] = even_shares(available[kinds == name], int(share))
    return shares


def even_shares(available: _Ints, cap: int) -> _Ints:
    """Takes at most `cap` of the groups' rows (G,), the same from each as far as it has them: (G,).

    What an equal number leaves over goes to groups at even distances, whatever their size.

    >>> even_shares(np.array([2, 10, 10]), 12).tolist()
    [2, 5, 5]
    """
    if available.sum() <= cap:
        return available.copy()
    level = bisect_right(range(cap + 1), cap, key=lambda each: int(np.minimum(available, each).sum())) - 1
    shares: _Ints = np.minimum(available, level)
    more = np.flatnonzero(available > level)
    left = cap - int(shares.sum())
    number = np.arange(more.size)
    shares[more[(number + 1) * left // more.size > number * left // more.size]] += 1
    return shares
