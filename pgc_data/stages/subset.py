"""`subset`: a new dataset of some of the rows of another, each in the split it had."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from pgc_data.config import Config, flag_name, option
from pgc_data.errors import ConfigError
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
from pgc_data.tables.derived_parents import KINDS
from pgc_data.tables.derived_subset import QUALITIES, Filters, subset


@dataclass(frozen=True, kw_only=True)
class SubsetConfig(Config):
    """What to take of which dataset."""

    name: str = option(..., "dataset in the workspace to take rows of", argument=True)
    as_: str = option(..., "name of the dataset to write", metavar="NEW", recorded=False)
    table: tuple[str, ...] = option(
        (), "table to take; repeat for both; all that are there by default", choices=KINDS
    )
    class_: tuple[str, ...] = option((), "class to take, by name; repeat for several")
    without_class: tuple[str, ...] = option((), "class to leave out; repeat for several")
    dataset: tuple[str, ...] = option((), "dataset whose rows to take, such as ipn; repeat for several")
    source: tuple[str, ...] = option((), "source whose rows to take; repeat for several")
    subject: tuple[str, ...] = option((), "person whose rows to take; repeat for several")
    without_subject: tuple[str, ...] = option((), "person to leave out; repeat for several")
    split: tuple[str, ...] = option((), "split to take, such as train; repeat for several")
    min_score: float | None = option(
        None, "least confidence that a crop shows a hand", minimum=0.0, maximum=1.0
    )
    min_size: int | None = option(None, "least width and height of a crop, pixels", minimum=1)
    min_usable: float | None = option(
        None, "least share of a window's frames that are usable", minimum=0.0, maximum=1.0
    )
    cap: int | None = option(
        None, "most rows of a class in train, taken evenly of its datasets and groups", minimum=1
    )
    overwrite: bool = option(False, "replace a subset or merge made with other settings", recorded=False)

    def __post_init__(self) -> None:
        """Checks every field; see `Config`."""
        super().__post_init__()
        check_names(self.as_, [self.name])
        if not self.filters.as_dict() and not self.table:
            raise ConfigError(
                "nothing to choose by: give --class, --subject, --split, --table or another of the conditions"
            )

    @property
    def filters(self) -> Filters:
        """The conditions."""
        return Filters(
            classes=self.class_, without_classes=self.without_class, datasets=self.dataset, sources=self.source,
            subjects=self.subject, without_subjects=self.without_subject, splits=self.split,
            min_score=self.min_score, min_size=self.min_size, min_usable=self.min_usable, cap=self.cap,
        )  # fmt: skip


def plan(config: SubsetConfig) -> Plan:
    """What `run` would read and write."""
    return plan_derivation(_derivation(config))


def run(config: SubsetConfig) -> DerivedSummary:
    """Writes `parquet/NEW/`: the tables, the lock of the groups that are left, the ledger, the card, the manifest.

    Raises:
        ConfigError: a name that the dataset does not have, or a condition on a table that is not taken.
        DataError: there is no such dataset, it is not whole, nothing is left of it, NEW is something else, or a file
            cannot be written.
    """
    asked = _derivation(config)
    return run_derivation(asked, functools.partial(subset, asked.parents[0], config.filters))


def _derivation(config: SubsetConfig) -> Derivation:
    parents = open_parents(config.workspace, [config.name], config.table)
    for name, kind in QUALITIES.items():
        if getattr(config, name) is not None and kind not in parents[0].tables:
            raise ConfigError(f"--{flag_name(name)} is for {kind}, which are not taken: leave it out")
    folder = Workspace(config.workspace).parquet(config.as_)
    return Derivation("subset", folder, parents, config.filters.as_dict(), config.overwrite)
