"""Groups that show the same pictures become one, as long as it does not grow too large."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pgc_data.similarity.pairs import Pairs
from pgc_data.similarity.runs import Ints


@dataclass(frozen=True)
class Joined:
    """Groups after `join_alike`.

    Attributes:
        component: (groups,) lowest number of the groups that each is joined with, its own where with none.
        joins: the pairs that joined two components, in that order; the first ones are the best examples.
        refused: the pairs whose groups stay apart because together they would be too large.
        pairs: how many pairs of different groups there were.
        largest_rows: rows of the largest component that was joined of several groups; 0 without any.
        largest_groups: groups of that component.
    """

    component: Ints
    joins: Pairs
    refused: Pairs
    pairs: int
    largest_rows: int
    largest_groups: int


def join_alike(groups: Ints, pairs: Pairs, most_rows: int, fixed: Ints | None = None) -> Joined:
    """Joins the groups of the two rows of each pair, the best pair first.

    By distance, then by row, so that the order in which pairs are given does not matter. A pair is refused if its
    two components together have more than `most_rows` rows, or are fixed differently; a group that has more rows by
    itself is joined with none.

    Args:
        groups: (n,) number of each row's group, from 0.
        pairs: rows that show the same picture, checked; pairs within a group change nothing.
        most_rows: rows of a component, at the most.
        fixed: (groups,) groups with different numbers are not joined; -1 for those that go with any.
    """
    if fixed is None:
        fixed = np.full(int(groups.max(initial=-1)) + 1, -1)
    pairs = pairs.take(groups[pairs.first] != groups[pairs.second]).best_first()
    union = _Union(np.bincount(groups, minlength=len(fixed)), most_rows, fixed)
    ends = np.stack([groups[pairs.first], groups[pairs.second]], axis=1)
    # Later pairs of the same two groups find them joined, or are refused again.
    firsts = np.unique(np.sort(ends, axis=1), axis=0, return_index=True)[1]
    made = [pair for pair in np.sort(firsts).tolist() if union.join(*ends[pair].tolist())]
    component = union.components()
    rows = np.bincount(component[groups], minlength=len(component))
    members = np.bincount(component, minlength=len(component))
    several = np.flatnonzero(members > 1)
    largest = several[np.argmax(rows[several])] if len(several) else None
    return Joined(
        component=component,
        joins=pairs.take(np.array(made, dtype=np.int64)),
        refused=pairs.take(component[ends[:, 0]] != component[ends[:, 1]]),
        pairs=len(pairs),
        largest_rows=0 if largest is None else int(rows[largest]),
        largest_groups=0 if largest is None else int(members[largest]),
    )


class _Union:
    """Union-find over numbered groups, each set as large as its rows, the lowest number its root."""

    def __init__(self, rows: Ints, most_rows: int, fixed: Ints) -> None:
        self._parent = list(range(len(rows)))
        self._rows = rows.tolist()
        self._most_rows = most_rows
        self._fixed = fixed.tolist()

    def find(self, group: int) -> int:
        while group != self._parent[group]:
            self._parent[group] = self._parent[self._parent[group]]
            group = self._parent[group]
        return group

    def join(self, a: int, b: int) -> bool:
        """Joins two sets; False if they are one already, would be too large, or are fixed differently."""
        low, high = sorted((self.find(a), self.find(b)))
        if low == high or self._rows[low] + self._rows[high] > self._most_rows:
            return False
        fixed = self._fixed[low], self._fixed[high]
        if -1 not in fixed and fixed[0] != fixed[1]:
            return False
        self._parent[high] = low
        self._rows[low] += self._rows[high]
        self._fixed[low] = max(fixed)
        return True

    def components(self) -> Ints:
        """(groups,) the root of each group."""
        return np.array([self.find(group) for group in range(len(self._parent))], dtype=np.int64)
