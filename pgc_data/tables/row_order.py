"""Where each row of a table goes: a class or a person can be read by itself, a stream of it is still mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgc_data.splits import Assignment, Counts

_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class RowGroup:
    """Rows that are written as one row group.

    Attributes:
        split: number of their split.
        first: place of the first of them.
        stop: place after the last.
    """

    split: int
    first: int
    stop: int


class RowOrder:
    """Places rows by split, class, group, and the order in which they come.

    A row group so holds one class, or two, and few people: readers skip the others by its statistics. Row groups are
    written in drawn order, because a stream with a small shuffle buffer would else see one class after the other.
    """

    def __init__(
        self, groups: Sequence[str], assignment: Assignment, rows: Counts, group_rows: int, seed: int
    ) -> None:
        """Settles the places of all rows.

        Args:
            groups: (G,) group ids.
            assignment: (G,) number of the split of each.
            rows: (G, C) rows that will come of each group and class.
            group_rows: most rows of a row group.
            seed: of the order of row groups.
        """
        classes = rows.shape[1]
        group, column = np.divmod(np.arange(rows.size), classes)
        order = np.lexsort((np.argsort(np.argsort(np.array(groups)))[group], column, assignment[group]))
        sizes = rows.reshape(-1)[order]
        self._next = np.empty(rows.size, dtype=np.int64)
        self._next[order] = np.cumsum(sizes) - sizes
        self._ends = self._next + rows.reshape(-1)
        self._classes = classes
        self._row_of = {name: row for row, name in enumerate(groups)}
        splits = int(assignment.max(initial=-1)) + 1
        totals = [int(rows[assignment == split].sum()) for split in range(splits)]
        self.row_groups = _row_groups(totals, group_rows, seed)

    def places(self, groups: Sequence[str], class_ids: _Ints) -> _Ints:
        """The places (n,) of the next n rows.

        Args:
            groups: (n,) group of each.
            class_ids: (n,) class of each.
        """
        rows = np.array([self._row_of[group] for group in groups], dtype=np.int64)
        cells = rows * self._classes + class_ids
        order = np.argsort(cells, kind="stable")
        ranked = cells[order]
        places: _Ints = np.empty_like(cells)
        places[order] = self._next[ranked] + np.arange(cells.size) - np.searchsorted(ranked, ranked)
        np.add.at(self._next, cells, 1)
        return places

    def amiss(self) -> int:
        """How many rows more or fewer have come than were to come, of each group and class."""
        return int(np.abs(self._ends - self._next).sum())


def _row_groups(totals: Sequence[int], group_rows: int, seed: int) -> list[RowGroup]:
    """Row groups of nearly equal size, split by split, in drawn order within each."""
    rng = np.random.default_rng(seed)
    found, first = [], 0
    for split, total in enumerate(totals):
        number = -(-total // group_rows)
        bounds = [first + total * i // number for i in range(number + 1)] if number else []
        found += [RowGroup(split, bounds[i], bounds[i + 1]) for i in rng.permutation(number).tolist()]
        first += total
    return found
