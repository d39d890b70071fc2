"""How well an assignment keeps each class's share, and what could not be had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pgc_data.splits.assignment import Assignment, Counts
from pgc_data.splits.names import Splits


@dataclass(frozen=True)
class SplitReport:
    """How well an assignment keeps each class's share.

    Attributes:
        shares: split -> class -> share of the class's rows that lie in the split.
        groups: split -> number of groups that have a row.
        rows: split -> number of rows.
        worst: largest deviation of any class's share from the ratio wanted, in percentage points.
        worst_where: split and class of it.
        unmet: what could not be had, in sentences.
    """

    shares: Mapping[str, Mapping[str, float]]
    groups: Mapping[str, int]
    rows: Mapping[str, int]
    worst: float
    worst_where: tuple[str, str]
    unmet: tuple[str, ...]


def report(counts: Counts, assignment: Assignment, splits: Splits, classes: Sequence[str]) -> SplitReport:
    """Measures an assignment.

    Args:
        counts: (groups, classes) rows.
        assignment: (groups,) number of the split of each.
        splits: their names and the shares wanted.
        classes: names of the classes.
    """
    wanted = np.asarray(splits.ratios)
    filled = np.stack([counts[assignment == split].sum(axis=0) for split in range(len(wanted))])
    totals = counts.sum(axis=0)
    shown = np.flatnonzero(totals > 0)
    share = filled / np.maximum(totals, 1)
    deviation = np.abs(share - wanted[:, None])[:, shown]
    at = np.unravel_index(int(deviation.argmax()), deviation.shape) if deviation.size else (0, 0)
    names = splits.names
    return SplitReport(
        shares={s: {classes[c]: float(share[i, c]) for c in map(int, shown)} for i, s in enumerate(names)},
        groups={s: int(((assignment == i) & (counts.sum(axis=1) > 0)).sum()) for i, s in enumerate(names)},
        rows={s: int(filled[i].sum()) for i, s in enumerate(names)},
        worst=float(deviation[at] * 100) if deviation.size else 0.0,
        worst_where=(names[int(at[0])], classes[int(shown[at[1]])] if shown.size else ""),
        unmet=tuple(_unmet(counts, filled, splits, classes)),
    )


def _unmet(counts: Counts, filled: Counts, splits: Splits, classes: Sequence[str]) -> list[str]:
    """Classes without a row at all, and classes missing from a split, with the reason."""
    lines = []
    groups_of = (counts > 0).sum(axis=0)
    for c, name in enumerate(classes):
        if groups_of[c] == 0:
            lines.append(f"class {name!r} has no row in any split: no source has it")
            continue
        wanted = [i for i, ratio in enumerate(splits.ratios) if ratio > 0]
        empty = [splits.names[i] for i in wanted if filled[i, c] == 0]
        if empty:
            shown = " and ".join(empty) if len(empty) < 4 else f"{len(empty)} of {len(wanted)} splits"
            few = "only " if groups_of[c] < len(wanted) else ""
            have = "1 group has" if groups_of[c] == 1 else f"{groups_of[c]} groups have"
            lines.append(f"class {name!r} is missing from {shown}: {few}{have} it")
    return lines
