"""What `merge` and `subset` share: their summary, their plan, and the lock around the work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgc_data.errors import ConfigError
from pgc_data.stages.summary import Plan
from pgc_data.stages.to_parquet import ToParquetSummary
from pgc_data.storage.workspace import Workspace, check_name, stage_lock
from pgc_data.tables.derive import Derivation, Draft, derive, pending
from pgc_data.tables.derived_lines import parent_lines
from pgc_data.tables.derived_parents import Parent, open_parent

_ROWS_A_SECOND = 20_000


@dataclass(frozen=True)
class DerivedSummary(ToParquetSummary):
    """What `merge` or `subset` wrote."""

    def lines(self) -> list[str]:
        """The result as lines of text."""
        made = [f"  made by {line}" for line in parent_lines(self.tables[self.asked[0]])]
        *lines, where = super().lines()
        return [*lines, *made, where]


def check_names(new: str, parents: Sequence[str]) -> None:
    """Checks the name of the dataset to write and those of its parents.

    Raises:
        ConfigError: one cannot be a folder, stands twice, or is to be replaced by what is made from it.
    """
    for name in (new, *parents):
        check_name(name)
    if len(set(parents)) < len(parents):
        raise ConfigError(f"a dataset stands twice in {' '.join(parents)}: name each once")
    if new in parents:
        raise ConfigError(f"{new} is read, and never changed in place: choose another --as")


def open_parents(workspace: Path, names: Sequence[str], kinds: Sequence[str]) -> tuple[Parent, ...]:
    """Opens datasets of a workspace; see `open_parent`."""
    return tuple(open_parent(Workspace(workspace).parquet(name), kinds) for name in names)


def plan_derivation(asked: Derivation) -> Plan:
    """What `run_derivation` would read and write."""
    todo = pending(asked)
    rows = sum(table.rows for kind in asked.kinds for table in asked.tables(kind))
    return Plan(
        tuple(parent.folder / kind for parent in asked.parents for kind in asked.kinds),
        tuple(asked.folder / kind for kind in todo),
        f"{rows:,} rows, about {rows / _ROWS_A_SECOND + 1:.0f} s"
        if todo
        else "none: everything is up to date",
    )


def run_derivation(asked: Derivation, decide: Callable[[], Sequence[Draft]]) -> DerivedSummary:
    """Writes what is asked for, as far as it is not there; see `derive`."""
    with stage_lock(asked.folder):
        tables, fresh = derive(asked, decide)
    return DerivedSummary(asked.folder.name, asked.folder, tables, asked.kinds, fresh)
