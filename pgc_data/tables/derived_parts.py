"""Parts: what is taken of each parent's table, and why the rest is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pgc_data.errors import DataError
from pgc_data.splits import Assignment, Counts, Group, Splits
from pgc_data.storage.schemas import arrow_array, upgraded
from pgc_data.tables.derived_parents import ParentTable
from pgc_data.tables.selection import OVER_CAP, Selection

_CELLS = ("split", "group_id", "class_id")
_CELL_TYPES = {"split": pl.String, "group_id": pl.String, "class_id": pl.Int64, "n": pl.UInt32}


@dataclass(frozen=True, eq=False)
class Part:
    """What is taken of one table.

    Attributes:
        table: to read.
        reasons: (rows,) why each row is left out: 0 if it is taken, else one more than the reason's place in `names`.
        names: reasons.
        class_ids: (classes,) what the number of each class becomes; -1 where none of its rows are taken.
        groups: group id -> what the group becomes.
    """

    table: ParentTable
    reasons: NDArray[np.int8]
    names: tuple[str, ...]
    class_ids: NDArray[np.int64]
    groups: Mapping[str, Group]

    @property
    def taken(self) -> NDArray[np.bool_]:
        """(rows,) whether each row is taken."""
        return np.equal(self.reasons, 0)

    def without(self, rows: NDArray[np.bool_], reason: str) -> Part:
        """The part without some of the rows (rows,) that it takes."""
        names = self.names if reason in self.names else (*self.names, reason)
        reasons = self.reasons.copy()
        reasons[rows & self.taken] = 1 + names.index(reason)
        return replace(self, reasons=reasons, names=names)

    def rows_of(self, place: slice, block: pa.Table) -> tuple[list[str], NDArray[np.int64], pa.Table]:
        """The rows taken of a block of the table: their groups, classes, and themselves as they are to be written."""
        rows = np.flatnonzero(self.reasons[place] == 0)
        if rows.size < block.num_rows:
            block = block.take(arrow_array(rows))
        block = upgraded(block, self.table.kind)
        groups = [self.groups[name].id for name in block["group_id"].to_pylist()]
        class_ids: NDArray[np.int64] = self.class_ids[pl.Series(block["class_id"]).to_numpy()]
        for name, column in (
            ("group_id", arrow_array(groups).cast(pa.string())),
            ("class_id", arrow_array(class_ids)),
        ):
            block = block.set_column(block.schema.get_field_index(name), name, column)
        return groups, class_ids, block


def all_of(table: ParentTable, class_ids: NDArray[np.int64], groups: Mapping[str, Group]) -> Part:
    """All rows of a table; see `Part`."""
    return Part(table, np.zeros(table.rows, dtype=np.int8), (), class_ids, groups)


@dataclass(frozen=True, eq=False)
class Census:
    """The rows taken of some parts, counted.

    Attributes:
        groups: that have rows, by id.
        assignment: (groups,) number of the split of each.
        counts: (groups, classes) rows.
        sources: that have rows.
        dropped: rows left out: parent, source, reason, the dataset's own label, number.
    """

    groups: Sequence[Group]
    assignment: Assignment
    counts: Counts
    sources: frozenset[str]
    dropped: Sequence[tuple[str, str, str, str | None, int]]


def take_census(parts: Sequence[Part], splits: Splits, classes: int) -> Census:
    """Counts rows.

    Raises:
        DataError: a group lies in two splits, or a split or class is not one of those known.
    """
    cells: Counter[tuple[Group, str, int]] = Counter()
    sources: set[str] = set()
    dropped: list[tuple[str, str, str, str | None, int]] = []
    for part in parts:
        found, left_out, shown = _count(part)
        for split, group_id, class_id, n in found.iter_rows():
            known = 0 <= class_id < len(part.class_ids) and part.class_ids[class_id] >= 0
            if not known or splits.number(split) < 0:
                raise DataError(
                    f"a row of {part.table.kind} of {part.table.parent} has class_id {class_id} and split {split!r}: "
                    f"{part.table.parent} does not declare them; write it again"
                )
            cells[part.groups[group_id], split, int(part.class_ids[class_id])] += n
        dropped += [
            (part.table.parent, source, part.names[reason - 1], label, n)
            for source, reason, label, n in left_out.iter_rows()
        ]
        sources |= shown
    groups = sorted({group for group, _, _ in cells}, key=lambda group: group.id)
    row_of = {group: row for row, group in enumerate(groups)}
    counts = np.zeros((len(groups), classes), dtype=np.int64)
    assignment = np.full(len(groups), -1, dtype=np.int64)
    for (group, split, class_id), n in cells.items():
        row, number = row_of[group], splits.number(split)
        if assignment[row] not in (-1, number):
            raise DataError(
                f"group {group.id} lies in {splits.names[assignment[row]]} and in {split} of "
                f"{' and '.join(sorted({part.table.parent for part in parts}))}: split again with to-parquet"
            )
        assignment[row] = number
        counts[row, class_id] += n
    return Census(groups, assignment, counts, frozenset(sources), dropped)


def _count(part: Part) -> tuple[pl.DataFrame, pl.DataFrame, set[str]]:
    """Rows taken by split, group and class; rows left out by source, reason and label; sources with rows taken."""
    taken = [pl.DataFrame(schema={**_CELL_TYPES, "source": pl.String})]
    left = [
        pl.DataFrame(
            schema={"source": pl.String, "reason": pl.Int8, "native_label": pl.String, "n": pl.UInt32}
        )
    ]
    for place, frame in part.table.frames([*_CELLS, "source", "native_label"]):
        rows = frame.with_columns(reason=pl.Series(part.reasons[place]))
        kept, out = rows.filter(pl.col("reason") == 0), rows.filter(pl.col("reason") != 0)
        taken.append(kept.group_by(*_CELLS, "source").agg(n=pl.len()).select(taken[0].columns))
        left.append(out.group_by("source", "reason", "native_label").agg(n=pl.len()))
    cells, dropped = pl.concat(taken), pl.concat(left)
    return (
        cells.group_by(_CELLS).agg(pl.col("n").sum()).sort(_CELLS),
        dropped.group_by("source", "reason", "native_label")
        .agg(pl.col("n").sum())
        .sort("source", "reason", "native_label"),
        set(cells["source"]),
    )


def capped(parts: Sequence[Part], census: Census, splits: Splits, cap: int) -> list[Part]:
    """The parts with at most `cap` rows of a class in train, chosen as `to-parquet --cap` does."""
    names = [group.id for group in census.groups]
    selection = Selection(names, census.assignment, splits, census.counts, census.counts, cap)
    result = []
    for part in parts:
        over = np.zeros(part.table.rows, dtype=np.bool_)
        for place, frame in part.table.frames(["group_id", "class_id"], part.taken):
            mine = np.flatnonzero(part.reasons[place] == 0)
            rows = frame[mine]
            groups = [part.groups[name].id for name in rows["group_id"]]
            kept = selection.keep(
                groups,
                part.class_ids[rows["class_id"].to_numpy()],
                np.ones(mine.size, dtype=bool),
                [None] * mine.size,
            )
            over[place.start + mine[~kept]] = True
        result.append(part.without(over, OVER_CAP))
    return result


def parent_facts(
    table: ParentTable, settings: Mapping[str, Any], class_ids: NDArray[np.int64]
) -> dict[str, Any]:
    """What the manifest says of a parent: `settings` that apply to it among them."""
    ids = class_ids.tolist()
    return {
        "name": table.parent, "fingerprint": table.entry["fingerprint"], "rows": table.rows,
        **settings,
        "class_ids": {name: ids[n] for n, name in enumerate(table.classes)} if ids != list(range(len(ids))) else None,
        "settings": table.entry["settings"], "parents": table.entry.get("parents"),
    }  # fmt: skip
