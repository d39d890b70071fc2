"""Builds tables: counts what will be written, assigns groups, writes, and proves that nothing went missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
import pyarrow as pa

from pgc_data.datasets import dataset
from pgc_data.datasets.vocabularies import Vocabulary
from pgc_data.errors import DataError
from pgc_data.progress import Progress
from pgc_data.splits import Assignment, Counts, Group, Splits, report
from pgc_data.storage.files import sha256_json
from pgc_data.storage.parquet import content_group_rows, parquet_file, table_of, write_table
from pgc_data.storage.schemas import read_metadata, table_schema, with_metadata
from pgc_data.tables.alike import JoinReport
from pgc_data.tables.assign import assign, known_splits
from pgc_data.tables.figures import figures
from pgc_data.tables.inputs import ExtractedSource
from pgc_data.tables.lock import LOCK_FILE, read_lock, write_lock
from pgc_data.tables.row_order import RowOrder
from pgc_data.tables.selection import Selection
from pgc_data.tables.split_settings import SplitSettings
from pgc_data.tables.windows import TOO_SHORT
from pgc_data.tables.writer import OrderedWriter

# To be raised when the code makes other rows of the same input.
TABLE_VERSION = 3

Drops = Mapping[tuple[str, str | None], int]


class Builder(Protocol):
    """Makes the rows of one kind of table out of the shards of extracted sources."""

    @property
    def name(self) -> str:
        """crops, windows or pgc."""

    @property
    def unit(self) -> str:
        """What becomes a row, or is dropped: hands or windows."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Classes and labels."""

    def schema(self) -> pa.Schema:
        """Arrow schema of the table."""

    def sizes(self) -> dict[str, int]:
        """Named dimensions of the schema."""

    def settings(self) -> dict[str, Any]:
        """What besides the vocabulary decides its rows."""

    def expected(self, source: ExtractedSource, shard: int) -> int:
        """Units of a shard, counted another way than `count` does it."""

    def documents(self) -> dict[str, Any]:
        """What else the files' metadata say."""

    def count(self, source: ExtractedSource, shard: int, by: Sequence[str]) -> tuple[pl.DataFrame, Drops]:
        """What a shard gives: `group_id, class_id`, the columns `by`, `n, thin`, and units dropped by (reason, label).

        `n` rows are written if the group lies in train or a fold, `thin` of them else.
        """

    def rows(
        self, source: ExtractedSource, shard: int, selection: Selection
    ) -> Iterator[tuple[list[str], pa.Table]]:
        """The rows that the selection keeps, in order, after the group of each."""


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
    folder: Path,
    builders: Sequence[Builder],
    settings: SplitSettings,
    sources: Sequence[ExtractedSource],
    joined: JoinReport | None,
    single_file: bool,
) -> Iterator[tuple[str, dict[str, Any], list[dict[str, Any]]]]:
    """Writes tables of one dataset, and what belongs to them: the split lock and the ledgers.

    One assignment serves all of them, so that each keeps its classes' shares.

    Args:
        folder: of the dataset.
        builders: of the tables.
        settings: how to split.
        sources: what to read, groups that show the same picture joined.
        joined: what is said of that; None where groups were not searched.
        single_file: whether to write one file a table.

    Yields:
        Name of a table, what the manifest says of it, and of its files.

    Raises:
        DataError: nothing to write, a lock contradicts the groups, a row went missing, or a file cannot be written.
    """  # fmt: skip
    counted = [_count(builder, sources, settings.stratify) for builder in builders]
    known = {group.id: group for source in sources for group in source.groups.values()}
    groups = [known[name] for name in sorted({group_id for each in counted for group_id, _ in each.cells})]
    splits = settings.splits(len(groups))
    locked = known_splits(groups, splits, folder / LOCK_FILE, settings.lock)
    even = np.concatenate([each.even_columns(groups) for each in counted], axis=1)
    assignment = assign(even, sources, groups, locked, settings, splits)
    for number, each in enumerate(counted):
        entry, files = _build(
            folder, each, settings, sources, _Split(groups, assignment, splits), joined, single_file
        )
        if number == 0:
            # Of all groups: a run stopped here goes on with the same assignment.
            write_lock(folder / LOCK_FILE, groups, assignment, splits, settings.facts())
        yield each.builder.name, entry, files


@dataclass(frozen=True, eq=False)
class _Split:
    groups: Sequence[Group]
    assignment: Assignment
    splits: Splits


def _build(
    folder: Path, counted: _Counted, settings: SplitSettings, sources: Sequence[ExtractedSource], split: _Split,
    joined: JoinReport | None, single_file: bool,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:  # fmt: skip
    builder, groups, assignment = counted.builder, split.groups, split.assignment
    dense, thin = counted.counts(groups)
    # The wish is met, or not, before rows are left out for reasons that differ from split to split.
    proof = report(dense, assignment, split.splits, builder.vocabulary.classes)
    names = [group.id for group in groups]
    selection = Selection(names, assignment, split.splits, dense, thin, settings.cap)
    mark = fingerprint(builder, settings, sources, single_file)
    schema = with_metadata(
        builder.schema(), builder.name, _facts(builder, settings, sources, mark),
        class_names={"class_id": builder.vocabulary.classes},
    )  # fmt: skip
    order = RowOrder(names, assignment, selection.quota, content_group_rows(schema), settings.seed)
    whole = sha256_json([mark, assignment.tolist(), selection.quota.tolist()])
    with OrderedWriter(
        folder / builder.name, schema, order, split.splits.names, whole, single_file
    ) as writer:
        if writer.facts is None:
            _take_rows(writer, builder, sources, selection)
        left_out = {
            source: {(reason, label): n for reason, label, n in rows}
            for source, rows in (writer.facts or {}).items()
        }
        files = writer.finish()
    dropped = _dropped(builder, sources, _summed(counted.drops, left_out))
    _write_ledger(folder, builder, dropped)
    return {
        "vocabulary": builder.vocabulary.name, "classes": list(builder.vocabulary.classes), "fingerprint": mark,
        "settings": builder.settings(), "sizes": builder.sizes(), "unit": builder.unit, **settings.facts(),
        "splits": list(split.splits.names), "single_file": single_file,
        **figures(groups, assignment, selection.quota, split.splits, builder.vocabulary.classes), "cap": settings.cap,
        "static": list(builder.vocabulary.static),
        "worst": proof.worst, "worst_where": list(proof.worst_where),
        "unmet": [*proof.unmet, *(joined.unmet if joined else ())],
        "joined": None if joined is None else joined.as_dict(),
        "dropped": dropped, "sources": [s.source.public() for s in sources],
        "unverified": _unverified(sources),
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
            f"no {builder.name} to write: {_reasons(counted.drops)}; check the extraction, or choose another vocabulary"
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


def _facts(
    builder: Builder, settings: SplitSettings, sources: Sequence[ExtractedSource], mark: str
) -> dict[str, Any]:
    vocabulary = builder.vocabulary
    return {
        **settings.facts(), "fingerprint": mark, "settings": builder.settings(), "sizes": builder.sizes(),
        "vocabulary": vocabulary.name, "vocabulary_sha256": vocabulary.digest(),
        "classes": list(vocabulary.classes), "flip": [list(p) for p in vocabulary.flip],
        "sources": [{"name": s.source.name, "dataset": s.source.dataset, **s.source.metadata(),
                     "extraction": dict(s.facts)} for s in sources],
        "static": list(vocabulary.static), "cap": settings.cap, **builder.documents(),
    }  # fmt: skip


def _unverified(sources: Sequence[ExtractedSource]) -> list[str]:
    """Datasets whose own split is kept without anybody knowing whether its people are apart."""
    return sorted({s.source.dataset for s in sources if dataset(s.source.dataset).keeps_official_split})


def _dropped(
    builder: Builder, sources: Sequence[ExtractedSource], drops: Mapping[str, Drops]
) -> list[dict[str, Any]]:
    """What was dropped, most first, with the vocabulary's reason where it left a label out."""
    rows = []
    for source in sources:
        why = builder.vocabulary.excluded.get(source.source.dataset, {})
        for (reason, label), count in drops[source.source.name].items():
            detail = why.get(label or "") if reason == "excluded_label" else None
            rows.append({"source": source.source.name, "reason": reason, "label": label, "count": count,
                         "detail": detail})  # fmt: skip
    return sorted(rows, key=lambda r: (-r["count"], r["source"], r["reason"], r["label"] or ""))


def _write_ledger(folder: Path, builder: Builder, dropped: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        {
            "stage": "to-parquet", "source": d["source"], "item": d["label"] or "any label", "action": "dropped",
            "reason": d["reason"], "count": d["count"], "unit": builder.unit, "detail": d["detail"],
        }
        for d in dropped
    ]  # fmt: skip
    path = folder / "ledger" / f"{builder.name}.parquet"
    write_table(path, table_of("ledger", rows), "ledger", {"table": builder.name})


def _reasons(drops: Mapping[str, Drops]) -> str:
    found: Counter[str] = Counter()
    for dropped in drops.values():
        for (reason, _), n in dropped.items():
            found[reason] += n
    words = [f"{n:,} dropped as {reason}" for reason, n in found.most_common(3)]
    hint = "; shorter windows (--frames) fit shorter clips" if TOO_SHORT in found else ""
    return (", ".join(words) or "no hand was extracted") + hint
