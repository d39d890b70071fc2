"""The split lock of a dataset: which group lies in which split, so that later runs keep it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pgc_data.errors import DataError
from pgc_data.splits import SPLITS, Assignment, Group
from pgc_data.storage.parquet import read_table, table_of, write_table

LOCK_FILE = "splits.parquet"


def read_lock(path: Path) -> dict[str, str]:
    """Member (dataset, colon, subject, video or sample) -> split, from `splits.parquet`.

    Members rather than groups are looked up: a group may grow when more is known to belong together.
    """
    lock = {}
    for row in read_table(path, "splits").to_pylist():
        dataset = row["group_id"].split(":", 1)[0]
        for member in row["members"]:
            lock[f"{dataset}:{member}"] = row["split"]
    return lock


def locked_assignment(lock: Mapping[str, str], groups: Sequence[Group], where: str) -> Assignment:
    """(groups,) split of each group that the lock knows, -1 for new ones.

    Raises:
        DataError: members of one group lie in two splits of the lock.
    """
    result = np.full(len(groups), -1, dtype=np.int64)
    for index, group in enumerate(groups):
        dataset = group.id.split(":", 1)[0]
        known = {lock[key] for m in group.members if (key := f"{dataset}:{m}") in lock}
        if len(known) > 1:
            raise DataError(
                f"{where} has parts of group {group.id} in {' and '.join(sorted(known))}: they belong together now; "
                "make the dataset under another --name, or remove the lock"
            )
        if known:
            result[index] = SPLITS.index(known.pop())
    return result


def write_lock(
    path: Path, groups: Sequence[Group], split_of: Mapping[str, str], facts: Mapping[str, Any]
) -> None:
    """Writes `splits.parquet`: one row a group, sorted."""
    rows = [
        {"group_id": g.id, "split": split_of[g.id], "members": list(g.members), "kind": g.kind}
        for g in sorted(groups, key=lambda g: g.id)
    ]
    write_table(path, table_of("splits", rows), "splits", facts)
