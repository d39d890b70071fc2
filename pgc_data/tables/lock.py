"""The split lock of a dataset: which group lies in which split, so that later runs keep it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pgc_data.errors import DataError
from pgc_data.splits import Assignment, Group, Splits
from pgc_data.storage.parquet import open_parquet, read_table, table_of, write_table
from pgc_data.storage.schemas import read_metadata
from pgc_data.tables.split_settings import SplitSettings

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


def check_lock(path: Path, settings: SplitSettings) -> None:
    """Checks that a dataset's own lock was made the way that is asked for now.

    Raises:
        DataError: it was made by another kind of split, or with other ratios or another number of folds.
    """
    with open_parquet(path, "splits") as file:
        then = _terms(read_metadata(file.schema_arrow))
    now = _terms(settings.facts())
    if then != now:
        raise DataError(
            f"{path} was made by {then}, asked for is {now}: ask for the same, pass --new-split to split again, or "
            "write to another --name"
        )


def _terms(facts: Mapping[str, Any]) -> str:
    ratios, folds = facts["ratios"], facts.get("folds")
    shares = f" --ratios {' '.join(f'{ratio:g}' for ratio in ratios)}" if ratios else ""
    return f"--split {facts['split']}{shares}" + (f" --folds {folds}" if folds else "")


def member_keys(group: Group) -> list[str]:
    """The names that a lock has for the members of a group; see `read_lock`."""
    dataset = group.id.split(":", 1)[0]
    return [f"{dataset}:{member}" for member in group.members]


def locked_assignment(
    lock: Mapping[str, str], groups: Sequence[Group], splits: Splits, where: str
) -> Assignment:
    """(groups,) split of each group that the lock knows, -1 for new ones.

    Raises:
        DataError: members of one group lie in two splits of the lock, or in one that is not among `splits`.
    """
    result = np.full(len(groups), -1, dtype=np.int64)
    for index, group in enumerate(groups):
        known = {lock[key] for key in member_keys(group) if key in lock}
        if len(known) > 1:
            raise DataError(
                f"{where} has parts of group {group.id} in {' and '.join(sorted(known))}: they belong together now; "
                "write to another --name, or pass --new-split"
            )
        if known:
            name = known.pop()
            result[index] = splits.number(name)
            if result[index] < 0:
                raise DataError(
                    f"{where} has group {group.id} in {name}, which is not one of {', '.join(splits.names)}: ask for "
                    "the same splits, pass --new-split, or leave the lock out"
                )
    return result


def write_lock(
    path: Path, groups: Sequence[Group], assignment: Assignment, splits: Splits, facts: Mapping[str, Any]
) -> None:
    """Writes `splits.parquet`: one row a group, sorted; groups that only an earlier lock knows stay in it.

    Args:
        path: of the lock.
        groups: that have rows in the table just written.
        assignment: (groups,) number of the split of each.
        splits: their names.
        facts: the settings that made the split.
    """
    rows: list[dict[str, Any]] = [
        {"group_id": g.id, "split": splits.names[split], "members": list(g.members), "kind": g.kind}
        for g, split in zip(groups, assignment.tolist(), strict=True)
    ]
    known = {(g.id.split(":", 1)[0], member) for g in groups for member in g.members}
    for row in read_table(path, "splits").to_pylist() if path.is_file() else []:
        dataset = row["group_id"].split(":", 1)[0]
        left = [member for member in row["members"] if (dataset, member) not in known]
        if left:
            rows.append({**row, "members": left})
    write_table(path, table_of("splits", sorted(rows, key=lambda r: r["group_id"])), "splits", facts)
