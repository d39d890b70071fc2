"""Which split each group of a table goes to: what a lock says, else the datasets' own, else what balances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from pgc_data.datasets import dataset
from pgc_data.errors import DataError
from pgc_data.splits import Assignment, Counts, Group, Splits, assign_groups
from pgc_data.tables.inputs import ExtractedSource
from pgc_data.tables.lock import locked_assignment, member_keys, read_lock
from pgc_data.tables.split_settings import FOLDS, LEAVE_ONE_OUT, OFFICIAL, SplitSettings


def _known_splits(groups: Sequence[Group], splits: Splits, locks: Sequence[Path]) -> Assignment:
    """(groups,) number of the split of each group that a lock knows, -1 for the others.

    Args:
        groups: of the table.
        splits: their names.
        locks: the first that knows a group counts.

    Raises:
        DataError: a lock is missing or contradicts the groups.
    """
    fixed = np.full(len(groups), -1, dtype=np.int64)
    for path in locks:
        fixed = np.where(fixed < 0, locked_assignment(read_lock(path), groups, splits, str(path)), fixed)
    return fixed


def assign(
    counts: Counts,
    sources: Sequence[ExtractedSource],
    groups: Sequence[Group],
    settings: SplitSettings,
    locks: Sequence[Path],
) -> tuple[Assignment, Splits]:
    """Assigns every group, dataset by dataset; see `pgc_data.splits.assign_groups`.

    Each dataset keeps its share in every split, so that no split is of one dataset alone. With the official split,
    groups keep the datasets' own; one that a dataset does not define (IPN has no validation set) is carved from its
    training groups. A dataset whose people are unknown (Jester) keeps its own split whatever is asked for, but for
    folds.

    Args:
        counts: (groups, columns) rows of each class, and of whatever else is to be shared evenly.
        sources: what the groups come from.
        groups: in the order of `counts`.
        settings: what is asked for.
        locks: `splits.parquet` whose assignments are kept; the first that knows a group counts.

    Returns:
        (groups,) number of the split of each, and the splits.

    Raises:
        DataError: too few groups for the folds, there is no official split, it cuts a group in two, or a lock is
            missing or contradicts it or the groups.
    """
    if settings.kind == LEAVE_ONE_OUT:
        return _one_each(groups, settings, locks)
    splits = settings.splits(len(groups))
    locked = _known_splits(groups, splits, locks)
    result = np.full(len(groups), -1, dtype=np.int64)
    of_dataset = np.array([group.id.split(":", 1)[0] for group in groups])
    for name in sorted(set(of_dataset)):
        mine = np.flatnonzero(of_dataset == name)
        members, fixed, wanted = [groups[i] for i in mine.tolist()], locked[mine], list(splits.ratios)
        keeps = dataset(str(name)).keeps_official_split
        if settings.kind == OFFICIAL or (keeps and settings.kind != FOLDS):
            own = [s for s in sources if s.source.dataset == name]
            fixed, wanted = _official_terms(str(name), own, members, fixed, splits, carve=not keeps)
        result[mine] = assign_groups(counts[mine], wanted, settings.seed, fixed)
    return result, splits


def _one_each(
    groups: Sequence[Group], settings: SplitSettings, locks: Sequence[Path]
) -> tuple[Assignment, Splits]:
    """A fold for every group: that which a lock says, the others in order, in none that a lock has given away."""
    lock = {member: fold for path in reversed(locks) for member, fold in read_lock(path).items()}
    given = set(lock.values())
    new = sum(not any(key in lock for key in member_keys(group)) for group in groups)
    splits = settings.splits(len(given) + new)
    result = _known_splits(groups, splits, locks)
    free = [number for number, name in enumerate(splits.names) if name not in given]
    result[result < 0] = free[:new]
    return result, splits


def _official_terms(
    name: str,
    sources: Sequence[ExtractedSource],
    groups: Sequence[Group],
    locked: Assignment,
    splits: Splits,
    carve: bool,
) -> tuple[Assignment, list[float]]:
    """Which groups of a dataset its own split fixes, and the ratios for the others."""
    official = _official(name, sources, groups, splits)
    defined = [number for number in (1, 2) if (official == number).any()]
    if carve and len(defined) < 2:
        # What is missing is carved from the training groups.
        official[official == 0] = -1
    broken = np.flatnonzero((locked >= 0) & (official >= 0) & (locked != official))
    if broken.size:
        group, where = groups[int(broken[0])].id, (locked[broken[0]], official[broken[0]])
        then, now = (splits.names[number] for number in where)
        raise DataError(
            f"the lock has group {group} in {then}, officially it lies in {now}: use --split group, or leave the lock "
            "out"
        )
    if not carve:
        return np.where(locked < 0, official, locked), [1.0, 0.0, 0.0]
    wanted = [0.0 if number in defined else ratio for number, ratio in enumerate(splits.ratios)]
    return np.where(locked < 0, official, locked), wanted


def _official(
    name: str, sources: Sequence[ExtractedSource], groups: Sequence[Group], splits: Splits
) -> Assignment:
    """(groups,) the dataset's own split of each group, -1 where there is none."""
    frames = [s.samples.select("group_id", "official_split") for s in sources]
    found = pl.concat(frames).drop_nulls().unique().group_by("group_id").agg("official_split")
    split_of = {}
    for group_id, names in found.iter_rows():
        if len(names) > 1:
            raise DataError(
                f"the official split leaks: group {group_id} lies in {' and '.join(sorted(names))}; use --split group"
            )
        split_of[group_id] = splits.number(names[0])
    if not split_of:
        raise DataError(f"{name} has no official split: use --split group")
    return np.array([split_of.get(group.id, -1) for group in groups], dtype=np.int64)
