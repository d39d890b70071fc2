"""Builds tables: counts what will be written, assigns groups, writes, and proves that nothing went missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pgc_data.errors import DataError
from pgc_data.progress import Progress
from pgc_data.splits import Assignment, Counts, Group, Splits, report
from pgc_data.storage.files import sha256_json
from pgc_data.storage.parquet import content_group_rows, parquet_file
from pgc_data.storage.schemas import read_metadata, table_schema, with_metadata
from pgc_data.tables.alike import JoinReport
from pgc_data.tables.assign import assign
from pgc_data.tables.builder import Builder, Drops
from pgc_data.tables.entry import (
    drop_reasons,
    dropped_rows,
    file_facts,
    proof_facts,
    split_facts,
    unverified,
    write_ledger,
)
from pgc_data.tables.inputs import ExtractedSource
from pgc_data.tables.lock import LOCK_FILE, read_lock, write_lock
from pgc_data.tables.manifest import LEDGER_FOLDER, MANIFEST_FILE
from pgc_data.tables.row_order import RowOrder
from pgc_data.tables.selection import Selection
from pgc_data.tables.split_settings import SplitSettings
from pgc_data.tables.writer import OrderedWriter

# To be raised when the code makes other rows of the same input.
TABLE_VERSION = 3


def fingerprint(
    builder: Builder, settings: SplitSettings, sources: Sequence[ExtractedSource], single_file: bool
) -> str:
    """Changes when anything changes that decides the table."""
    return sha256_json(
        {
            "table": TABLE_VERSION, "schema": table_schema(builder.name).version, "builder": builder.settings(),
            "documents": builder.documents(), "vocabulary": builder.vocabulary.digest(), "single_file": single_file,
            "split": settings.facts(), "cap": settings.cap,
            "lock": None if settings.lock is None else read_lock(settings.lock),
            "sources": [(s.source.name, s.fingerprint) for s in sources],
        }
    )  # fmt: skip


def written_fingerprint(folder: Path) -> str | None:
    """The fingerprint in the metadata of a table's files, None where there is no table."""
    for path in sorted(folder.glob("*.parquet")):
        with parquet_file(path) as file:
            return str(read_metadata(file.schema_arrow).get("fingerprint"))
    return None


@dataclass(frozen=True, eq=False)
class Job:
    """What the tables of one dataset are made of, and how.

    Attributes:
        folder: of the dataset.
        sources: what to read, groups that show the same picture joined.
        joined: what is said of that; None where groups were not searched.
        settings: how to split.
        locks: whose assignments are kept; the first that knows a group counts. Without the dataset's own it is split
            anew.
        single_file: whether to write one file a table.
    """

    folder: Path
    sources: Sequence[ExtractedSource]
    joined: JoinReport | None
    settings: SplitSettings
    locks: Sequence[Path]
    single_file: bool


@dataclass(frozen=True, eq=False)
class _Split:
    groups: Sequence[Group]
    assignment: Assignment
    splits: Splits


@dataclass(frozen=True, eq=False)
class _Counted:
    """What the sources give for one table.

    Attributes:
        builder: of the table.
        cells: (group, class) -> rows if the group is trained on, and rows else.
        strata: (column, value) -> group -> rows, of the columns to be shared evenly.
        drops: source -> units dropped by (reason, label).
    """

    builder: Builder
    cells: dict[tuple[str, int], tuple[int, int]]
    strata: dict[tuple[str, str], Counter[str]]
    drops: dict[str, dict[tuple[str, str | None], int]]

    def counts(self, groups: Sequence[Group]) -> tuple[Counts, Counts]:
        """(groups, classes) rows of each group if it is trained on, and else."""
        counts = np.zeros((2, len(groups), len(self.builder.vocabulary.classes)), dtype=np.int64)
        row_of = {group.id: row for row, group in enumerate(groups)}
        for (group_id, class_id), both in self.cells.items():
            counts[:, row_of[group_id], class_id] = both
        return counts[0], counts[1]

    def even_columns(self, groups: Sequence[Group]) -> Counts:
        """(groups, columns) rows of all that is to be shared evenly: classes, their sum, and strata."""
        dense, _ = self.counts(groups)
        strata = [[found[group.id] for group in groups] for _, found in sorted(self.strata.items())]
        return np.concatenate(
            [
                dense,
                dense.sum(axis=1, keepdims=True),
                np.array(strata, dtype=np.int64).reshape(-1, len(groups)).T,
            ],
            axis=1,
        )


def build_tables(
    job: Job, builders: Sequence[Builder]
) -> Iterator[tuple[str, dict[str, Any], list[dict[str, Any]]]]:
    """Writes tables of one dataset, and what belongs to them: the split lock and the ledgers.

    One assignment serves all of them, so that each keeps its classes' shares. Until it is found, nothing is changed.

    Args:
        job: the dataset.
        builders: of the tables.

    Yields:
        Name of a table, what the manifest says of it, and of its files.

    Raises:
        DataError: nothing to write, a lock contradicts the groups, a row went missing, or a file cannot be written.
    """
    counted = [_count(builder, job.sources, job.settings.stratify) for builder in builders]
    known = {group.id: group for source in job.sources for group in source.groups.values()}
    groups = [known[name] for name in sorted({group_id for each in counted for group_id, _ in each.cells})]
    even = np.concatenate([each.even_columns(groups) for each in counted], axis=1)
    assignment, splits = assign(even, job.sources, groups, job.settings, job.locks)
    lock = job.folder / LOCK_FILE
    if lock not in job.locks:
        # Split anew: no table that is there belongs to the new lock, wherever this run is stopped.
        for path in (job.folder / MANIFEST_FILE, lock, *job.folder.glob(f"{LEDGER_FOLDER}/*.parquet")):
            path.unlink(missing_ok=True)
    for number, each in enumerate(counted):
        entry, files = _build(job, each, _Split(groups, assignment, splits))
        if number == 0:
            # Of all groups: a run stopped here goes on with the same assignment.
            write_lock(lock, groups, assignment, splits, job.settings.facts())
        yield each.builder.name, entry, files


def _build(job: Job, counted: _Counted, split: _Split) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    builder, groups, assignment, splits = counted.builder, split.groups, split.assignment, split.splits
    dense, thin = counted.counts(groups)
    # The wish is met, or not, before rows are left out for reasons that differ from split to split.
    proof = report(dense, assignment, splits, builder.vocabulary.classes)
    names = [group.id for group in groups]
    selection = Selection(names, assignment, splits, dense, thin, job.settings.cap)
    mark = fingerprint(builder, job.settings, job.sources, job.single_file)
    schema = with_metadata(
        builder.schema(), builder.name, file_facts(builder, job.settings, job.sources, mark),
        class_names={"class_id": builder.vocabulary.classes},
    )  # fmt: skip
    order = RowOrder(names, assignment, selection.quota, content_group_rows(schema), job.settings.seed)
    whole = sha256_json([mark, assignment.tolist(), selection.quota.tolist()])
    with OrderedWriter(
        job.folder / builder.name, schema, order, splits.names, whole, job.single_file
    ) as writer:
        if writer.facts is None:
            _take_rows(writer, builder, job.sources, selection)
        left_out = {
            source: {(reason, label): n for reason, label, n in rows}
            for source, rows in (writer.facts or {}).items()
        }
        files = writer.finish()
    dropped = dropped_rows(builder, job.sources, _summed(counted.drops, left_out))
    write_ledger(job.folder, builder, dropped)
    return {
        "vocabulary": builder.vocabulary.name, "classes": list(builder.vocabulary.classes),
        "static": list(builder.vocabulary.static), "fingerprint": mark, "settings": builder.settings(),
        "sizes": builder.sizes(), "unit": builder.unit, **job.settings.facts(), "cap": job.settings.cap,
        "single_file": job.single_file, **split_facts(builder, selection.quota, groups, assignment, splits),
        **proof_facts(proof, job.joined), "dropped": dropped, "sources": [s.source.public() for s in job.sources],
        "unverified": unverified(job.sources),
    }, files  # fmt: skip


def _count(builder: Builder, sources: Sequence[ExtractedSource], by: Sequence[str]) -> _Counted:
    counted = _Counted(builder, {}, {}, {})
    for source in sources:
        total = counted.drops.setdefault(source.source.name, {})
        for shard in range(source.shards):
            found, dropped = builder.count(source, shard, by)
            units, expected = int(found["n"].sum()) + sum(dropped.values()), builder.expected(source, shard)
            if units != expected:
                raise DataError(
                    f"shard {shard} of {source.folder} holds {expected} {builder.unit}, but {units} were written or "
                    f"dropped: run `pgc-data extract {source.source.name} --restart`"
                )
            _add(counted, found, by)
            for key, n in dropped.items():
                total[key] = total.get(key, 0) + n
    if not counted.cells:
        raise DataError(
            f"no {builder.name} to write: {drop_reasons(counted.drops)}; check the extraction, or choose another "
            "vocabulary"
        )
    return counted


def _add(counted: _Counted, found: pl.DataFrame, by: Sequence[str]) -> None:
    cells = found.group_by("group_id", "class_id").agg(pl.col("n", "thin").sum())
    for group_id, class_id, n, thin in cells.iter_rows():
        before = counted.cells.get((group_id, class_id), (0, 0))
        counted.cells[group_id, class_id] = before[0] + n, before[1] + thin
    for column in by:
        for group_id, value, n in found.group_by("group_id", column).agg(pl.col("n").sum()).iter_rows():
            counted.strata.setdefault((column, str(value)), Counter())[group_id] += n


def _take_rows(
    writer: OrderedWriter, builder: Builder, sources: Sequence[ExtractedSource], selection: Selection
) -> None:
    """Gives the writer all rows, and what the selection left out of each source: reason, label and number."""
    left_out: dict[str, list[tuple[str, str | None, int]]] = {}
    shards = sum(source.shards for source in sources)
    with Progress(f"to-parquet {builder.name}", shards, "shards") as progress:
        for source in sources:
            for shard in range(source.shards):
                for groups, table in builder.rows(source, shard, selection):
                    writer.write(table, groups, pl.Series(table["class_id"]).to_numpy())
                progress.add(1)
            dropped = selection.take_dropped()
            left_out[source.source.name] = [(reason, label, n) for (reason, label), n in dropped.items()]
    writer.seal(left_out)


def _summed(*drops: Mapping[str, Drops]) -> dict[str, Drops]:
    """Source -> units dropped by (reason, label), of several."""
    total: dict[str, Counter[tuple[str, str | None]]] = {}
    for each in drops:
        for source, found in each.items():
            total.setdefault(source, Counter()).update(found)
    return dict(total)
