"""Builds one table: counts what will be written, assigns groups, writes, and proves that nothing went missing."""

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
from pgc_data.splits import SPLITS, Assignment, Counts, Group, parse_ratios, report
from pgc_data.storage.files import sha256_json
from pgc_data.storage.parquet import parquet_file, table_of, write_table
from pgc_data.storage.schemas import read_metadata, table_schema, with_metadata
from pgc_data.tables.assign import assign, known_splits
from pgc_data.tables.inputs import ExtractedSource
from pgc_data.tables.lock import LOCK_FILE, read_lock, write_lock
from pgc_data.tables.selection import Selection
from pgc_data.tables.windows import TOO_SHORT
from pgc_data.tables.writer import SplitWriter

# To be raised when the code makes other rows of the same input.
TABLE_VERSION = 2

Drops = Mapping[tuple[str, str | None], int]


class Builder(Protocol):
    """Makes the rows of one kind of table out of the shards of extracted sources."""

    @property
    def name(self) -> str:
        """crops or windows."""

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

    def count(self, source: ExtractedSource, shard: int) -> tuple[pl.DataFrame, Drops]:
        """What a shard gives: `group_id, class_id, n, thin`, and units dropped by (reason, label).

        `n` rows are written if the group lies in train, `thin` of them else.
        """

    def rows(self, source: ExtractedSource, shard: int, selection: Selection) -> Iterator[pa.Table]:
        """The rows that the selection keeps, in order."""


@dataclass(frozen=True)
class SplitSettings:
    """How groups are to be split.

    Attributes:
        split: group or official.
        ratios: shares wanted of train, val and test.
        seed: of the search.
        lock: `splits.parquet` of another dataset to keep to, or None.
        cap: most rows of a class in train, or None.
    """

    split: str
    ratios: tuple[float, ...]
    seed: int
    lock: Path | None
    cap: int | None = None

    def facts(self) -> dict[str, Any]:
        """What the metadata say of it."""
        return {"split": self.split, "ratios": list(parse_ratios(self.ratios)), "seed": self.seed}


def fingerprint(builder: Builder, settings: SplitSettings, sources: Sequence[ExtractedSource]) -> str:
    """Changes when anything changes that decides the table."""
    return sha256_json(
        {
            "table": TABLE_VERSION, "schema": table_schema(builder.name).version, "builder": builder.settings(),
            "documents": builder.documents(), "vocabulary": builder.vocabulary.digest(), "cap": settings.cap,
            "split": settings.facts(), "lock": None if settings.lock is None else read_lock(settings.lock),
            "sources": [(s.source.name, s.fingerprint) for s in sources],
        }
    )  # fmt: skip


def written_fingerprint(folder: Path) -> str | None:
    """The fingerprint in the metadata of a table's files, None where there is no table."""
    for path in sorted(folder.glob("*.parquet")):
        with parquet_file(path) as file:
            return str(read_metadata(file.schema_arrow).get("fingerprint"))
    return None


def build_table(
    folder: Path, builder: Builder, settings: SplitSettings, sources: Sequence[ExtractedSource]
) -> dict[str, Any]:
    """Writes `folder/NAME` and what belongs to it: the split lock and the ledger.

    Returns:
        What the manifest says of the table.

    Raises:
        DataError: nothing to write, a lock contradicts the groups, a row went missing, or a file cannot be written.
    """
    groups, counts, thin, drops = _count(builder, sources)
    assignment = assign(
        counts, sources, groups, known_splits(groups, folder / LOCK_FILE, settings.lock),
        settings.split, settings.ratios, settings.seed,
    )  # fmt: skip
    # The wish is met, or not, before rows are left out for reasons that differ from split to split.
    proof = report(counts, assignment, settings.ratios, builder.vocabulary.classes)
    selection = Selection([group.id for group in groups], assignment, counts, thin, settings.cap)
    mark = fingerprint(builder, settings, sources)
    left_out = _write(
        folder / builder.name,
        builder,
        _facts(builder, settings, sources, mark),
        sources,
        selection,
        _split_rows(selection.quota, assignment),
    )
    write_lock(folder / LOCK_FILE, groups, assignment, settings.facts())
    for name, more in left_out.items():
        for key, n in more.items():
            drops[name][key] = drops[name].get(key, 0) + n
    dropped = _dropped(builder, sources, drops)
    _write_ledger(folder, builder, dropped)
    return {
        "vocabulary": builder.vocabulary.name, "classes": list(builder.vocabulary.classes), "fingerprint": mark,
        "settings": builder.settings(), "sizes": builder.sizes(), "unit": builder.unit, **settings.facts(),
        "rows": _split_rows(selection.quota, assignment), "groups": _split_groups(selection.quota, assignment),
        "cap": settings.cap,
        "static": list(builder.vocabulary.static),
        "class_rows": _class_rows(builder, selection.quota, assignment),
        "worst": proof.worst, "worst_where": list(proof.worst_where), "unmet": list(proof.unmet),
        "dropped": dropped, "sources": [s.source.as_dict() for s in sources],
        "origins": _origins(builder, selection.quota, groups), "unverified": _unverified(sources),
    }  # fmt: skip


def _count(
    builder: Builder, sources: Sequence[ExtractedSource]
) -> tuple[list[Group], Counts, Counts, dict[str, dict[tuple[str, str | None], int]]]:
    """The groups that have rows, (groups, classes) their numbers in train and else, and the drops of each source."""
    cells: dict[tuple[str, int], tuple[int, int]] = {}
    drops: dict[str, dict[tuple[str, str | None], int]] = {}
    for source in sources:
        total = drops.setdefault(source.source.name, {})
        for shard in range(source.shards):
            found, dropped = builder.count(source, shard)
            units, expected = int(found["n"].sum()) + sum(dropped.values()), builder.expected(source, shard)
            if units != expected:
                raise DataError(
                    f"shard {shard} of {source.folder} holds {expected} {builder.unit}, but {units} were written or "
                    f"dropped: run `pgc-data extract {source.source.name} --restart`"
                )
            for group_id, class_id, n, thin in found.select("group_id", "class_id", "n", "thin").iter_rows():
                before = cells.get((group_id, class_id), (0, 0))
                cells[group_id, class_id] = before[0] + n, before[1] + thin
            for key, n in dropped.items():
                total[key] = total.get(key, 0) + n
    if not cells:
        raise DataError(
            f"no {builder.name} to write: {_reasons(drops)}; check the extraction, or choose another vocabulary"
        )
    known = {group.id: group for source in sources for group in source.groups.values()}
    names = sorted({group_id for group_id, _ in cells})
    counts = np.zeros((2, len(names), len(builder.vocabulary.classes)), dtype=np.int64)
    row_of = {name: row for row, name in enumerate(names)}
    for (group_id, class_id), both in cells.items():
        counts[:, row_of[group_id], class_id] = both
    return [known[name] for name in names], counts[0], counts[1], drops


def _write(
    folder: Path,
    builder: Builder,
    facts: Mapping[str, Any],
    sources: Sequence[ExtractedSource],
    selection: Selection,
    rows: Mapping[str, int],
) -> dict[str, dict[tuple[str, str | None], int]]:
    """Writes the files; returns what the selection left out of each source, by reason and label."""
    left_out = {}
    names = {"class_id": builder.vocabulary.classes}
    schema = with_metadata(builder.schema(), builder.name, facts, class_names=names)
    shards = sum(source.shards for source in sources)
    with (
        SplitWriter(folder, schema) as writer,
        Progress(f"to-parquet {builder.name}", shards, "shards") as progress,
    ):
        for source in sources:
            for shard in range(source.shards):
                for table in builder.rows(source, shard, selection):
                    writer.write(table)
                progress.add(1)
            left_out[source.source.name] = selection.take_dropped()
        if writer.rows != rows:
            raise DataError(f"{builder.name}: counted {rows} rows, wrote {writer.rows}: a row went missing")
    return left_out


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


def _split_rows(rows: Counts, assignment: Assignment) -> dict[str, int]:
    """Split -> rows, of (groups, classes) rows."""
    return {split: int(rows[assignment == i].sum()) for i, split in enumerate(SPLITS)}


def _split_groups(rows: Counts, assignment: Assignment) -> dict[str, int]:
    """Split -> groups that have rows, of (groups, classes) rows."""
    shown = rows.sum(axis=1) > 0
    return {split: int((shown & (assignment == i)).sum()) for i, split in enumerate(SPLITS)}


def _class_rows(builder: Builder, counts: Counts, assignment: Assignment) -> dict[str, dict[str, int]]:
    """Split -> class -> rows."""
    return {
        split: dict(
            zip(builder.vocabulary.classes, counts[assignment == i].sum(axis=0).tolist(), strict=True)
        )
        for i, split in enumerate(SPLITS)
    }


def _origins(builder: Builder, counts: Counts, groups: Sequence[Group]) -> dict[str, dict[str, int]]:
    """Class -> dataset -> rows, of the datasets that have any."""
    of_dataset = np.array([group.id.split(":", 1)[0] for group in groups])
    totals = {str(name): counts[of_dataset == name].sum(axis=0) for name in sorted(set(of_dataset))}
    return {
        name: {kind: int(total[c]) for kind, total in totals.items() if total[c]}
        for c, name in enumerate(builder.vocabulary.classes)
    }


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
