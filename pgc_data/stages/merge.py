"""`merge`: a new dataset of the rows of several others, no group of which lies in two splits."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from pgc_data.config import Config, option
from pgc_data.errors import ConfigError, DataError
from pgc_data.stages.derived import (
    DerivedSummary,
    check_names,
    open_parents,
    plan_derivation,
    run_derivation,
)
from pgc_data.stages.summary import Plan
from pgc_data.storage.workspace import Workspace
from pgc_data.tables.derive import Derivation
from pgc_data.tables.derived_merge import DROP, KEEP, REFUSE, merge
from pgc_data.tables.derived_parents import KINDS


@dataclass(frozen=True, kw_only=True)
class MergeConfig(Config):
    """What to merge."""

    parents: tuple[str, ...] = option(
        ..., "datasets in the workspace, the one that counts first", argument=True
    )
    as_: str = option(..., "name of the dataset to write", metavar="NEW", recorded=False)
    table: tuple[str, ...] = option(
        (), "table to merge; repeat for both; all that are there by default", choices=KINDS
    )
    conflicts: str = option(
        REFUSE, "refuse groups that lie in different splits, or drop their rows of the datasets named later",
        choices=(REFUSE, DROP),
    )  # fmt: skip
    near_duplicates: str = option(
        DROP, "drop rows of the datasets named later that show what another split shows, or keep them",
        choices=(DROP, KEEP),
    )  # fmt: skip
    overwrite: bool = option(False, "replace a subset or merge made with other settings", recorded=False)

    def __post_init__(self) -> None:
        """Checks every field; see `Config`."""
        super().__post_init__()
        check_names(self.as_, self.parents)
        if len(self.parents) < 2:
            raise ConfigError("nothing to merge: name two datasets or more")


def plan(config: MergeConfig) -> Plan:
    """What `run` would read and write."""
    return plan_derivation(_derivation(config))


def run(config: MergeConfig) -> DerivedSummary:
    """Writes `parquet/NEW/`: the tables, one lock for all groups, the ledger, the card, the manifest.

    Raises:
        ConfigError: fewer than two datasets are named.
        DataError: there is no such dataset, they do not go together, groups lie in different splits of them, NEW is
            something else, or a file cannot be written.
    """
    asked = _derivation(config)
    decide = functools.partial(merge, asked.parents, config.conflicts, config.near_duplicates)
    return run_derivation(asked, decide)


def _derivation(config: MergeConfig) -> Derivation:
    parents = open_parents(config.workspace, config.parents, config.table)
    first = parents[0]
    for other in parents[1:]:
        if first.tables.keys() != other.tables.keys():
            raise DataError(
                f"{first.name} has {' and '.join(first.tables)}, {other.name} has {' and '.join(other.tables)}: say "
                "which to merge, such as --table crops"
            )
    folder = Workspace(config.workspace).parquet(config.as_)
    settings = {"conflicts": config.conflicts, "near_duplicates": config.near_duplicates}
    return Derivation("merge", folder, parents, settings, config.overwrite)
