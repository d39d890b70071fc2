"""Which split each group of a table goes to: what a lock says, else the datasets' own, else what balances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from pgc_data.datasets import dataset
from pgc_data.errors import DataError
from pgc_data.splits import SPLITS, Assignment, Counts, Group, assign_groups, parse_ratios
from pgc_data.tables.inputs import ExtractedSource
from pgc_data.tables.lock import locked_assignment, read_lock


def known_splits(groups: Sequence[Group], own: Path, named: Path | None) -> Assignment:
    """(groups,) split of each group that a lock knows, -1 for the others.

    Args:
        groups: of the table.
        own: the dataset's own lock, which may not be there yet and goes first.
        named: a lock that the user named, which must be there.

    Raises:
        DataError: a lock is missing or contradicts the groups.
    """
    fixed = np.full(len(groups), -1, dtype=np.int64)
    for path in filter(None, (own if own.is_file() else None, named)):
        fixed = np.where(fixed < 0, locked_assignment(read_lock(path), groups, str(path)), fixed)
    return fixed


def assign(
    counts: Counts,
    sources: Sequence[ExtractedSource],
    groups: Sequence[Group],
    locked: Assignment,
    split: str,
    ratios: Sequence[float],
    seed: int,
) -> Assignment:
    """Assigns every group, dataset by dataset; see `pgc_data.splits.assign_groups`.

    Each dataset keeps its share in every split, so that no split is of one dataset alone. With
    `split="official"`, groups keep the datasets' own split; one that a dataset does not define (IPN has no
    validation set) is carved from its training groups. A dataset whose people are unknown (Jester) keeps its own
    split whatever is asked for.

    Args:
        counts: (groups, classes) rows.
        sources: what the groups come from.
        groups: in the order of `counts`.
        locked: (groups,) split of groups that must stay, -1 for the others.
        split: group or official.
        ratios: shares wanted of train, val and test.
        seed: of the search.

    Raises:
        DataError: there is no official split, it cuts a group in two, or a lock contradicts it.
    """
    result = np.full(len(groups), -1, dtype=np.int64)
    of_dataset = np.array([group.id.split(":", 1)[0] for group in groups])
    for name in sorted(set(of_dataset)):
        mine = np.flatnonzero(of_dataset == name)
        members, fixed, wanted = [groups[i] for i in mine.tolist()], locked[mine], list(ratios)
        keeps = dataset(str(name)).keeps_official_split
        if keeps or split == "official":
            own = [s for s in sources if s.source.dataset == name]
            fixed, wanted = _official_terms(str(name), own, members, fixed, ratios, carve=not keeps)
        result[mine] = assign_groups(counts[mine], wanted, seed, fixed)
    return result


def _official_terms(
    name: str,
    sources: Sequence[ExtractedSource],
    groups: Sequence[Group],
    locked: Assignment,
    ratios: Sequence[float],
    carve: bool,
) -> tuple[Assignment, list[float]]:
    """Which groups of a dataset its own split fixes, and the ratios for the others."""
    official = _official(name, sources, groups)
    broken = np.flatnonzero((locked >= 0) & (official > 0) & (locked != official))
    if broken.size:
        group, then, now = groups[int(broken[0])].id, locked[broken[0]], official[broken[0]]
        raise DataError(
            f"the lock has group {group} in {SPLITS[then]}, officially it lies in {SPLITS[now]}: use --split group, "
            "or leave the lock out"
        )
    if not carve:
        return np.where(locked < 0, official, locked), [1.0, 0.0, 0.0]
    defined = [number for number in (1, 2) if (official == number).any()]
    if len(defined) < 2:
        official[official == 0] = -1
    wanted = parse_ratios(ratios)
    wanted[defined] = 0.0
    return np.where(locked < 0, official, locked), list(wanted)


def _official(name: str, sources: Sequence[ExtractedSource], groups: Sequence[Group]) -> Assignment:
    """(groups,) the dataset's own split of each group, -1 where there is none."""
    frames = [s.samples.select("group_id", "official_split") for s in sources]
    found = pl.concat(frames).drop_nulls().unique().group_by("group_id").agg("official_split")
    split_of = {}
    for group_id, splits in found.iter_rows():
        if len(splits) > 1:
            raise DataError(
                f"the official split leaks: group {group_id} lies in {' and '.join(sorted(splits))}; use --split group"
            )
        split_of[group_id] = SPLITS.index(splits[0])
    if not split_of:
        raise DataError(f"{name} has no official split: use --split group")
    return np.array([split_of.get(group.id, -1) for group in groups], dtype=np.int64)
