"""Stage 04: makes crops and windows of extracted sources, split by group, as Parquet that loads anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pgc_data.config import Config, option
from pgc_data.datasets.vocabularies import Vocabulary, load_vocabulary
from pgc_data.errors import ConfigError, DataError
from pgc_data.features import SCHEMA_NAME
from pgc_data.progress import Progress
from pgc_data.resources import schema_file
from pgc_data.splits import SPLITS, Counts, Group, parse_ratios, report
from pgc_data.stages.summary import Plan, aligned
from pgc_data.storage.files import read_json, sha256_json
from pgc_data.storage.parquet import table_of, write_table
from pgc_data.storage.schemas import with_metadata
from pgc_data.storage.workspace import Workspace, check_name, stage_lock
from pgc_data.tables.assign import assign, known_splits
from pgc_data.tables.card import write_card
from pgc_data.tables.crops import CropsBuilder, Drops
from pgc_data.tables.inputs import ExtractedSource, open_source
from pgc_data.tables.lock import LOCK_FILE, read_lock, write_lock
from pgc_data.tables.manifest import read_manifest, write_manifest
from pgc_data.tables.windows import WindowsBuilder
from pgc_data.tables.writer import SplitWriter

Builder = CropsBuilder | WindowsBuilder


@dataclass(frozen=True, kw_only=True)
class ToParquetConfig(Config):
    """What to write, and how to split it."""

    datasets: tuple[str, ...] = option(..., "extracted sources to read", argument=True)
    vocabulary: str = option(..., "classes: the name of a vocabulary, or your own TOML file")
    name: str | None = option(None, "name of the dataset; SOURCES-VOCABULARY by default", recorded=False)
    table: tuple[str, ...] = option(
        ("crops",), "table to write; repeat for both", choices=("crops", "windows"), recorded=False
    )
    split: str = option("group", "by group, or the datasets' own", choices=("group", "official"))
    ratios: tuple[float, ...] = option((0.7, 0.15, 0.15), "shares of train, val and test")
    seed: int = option(0, "seed of the search for the best split", minimum=0)
    min_size: int = option(8, "least width and height of a crop, pixels", minimum=1)
    frames: int = option(16, "grid frames of a window", minimum=2)
    stride: int = option(4, "grid frames from one window to the next", minimum=1)
    lock: Path | None = option(
        None, "splits.parquet of another dataset whose assignments to keep", recorded=False
    )
    overwrite: bool = option(False, "replace a table made with other settings", recorded=False)

    def __post_init__(self) -> None:
        """Checks every field; see `Config`."""
        super().__post_init__()
        parse_ratios(self.ratios)
        if not self.datasets:
            raise ConfigError("no source given: name at least one extracted source, such as ipn")
        for source in (*self.datasets, self.dataset_name):
            check_name(source)

    @property
    def dataset_name(self) -> str:
        """Name of the dataset to write."""
        return self.name or "-".join([*self.datasets, Path(self.vocabulary).stem])


@dataclass(frozen=True)
class ToParquetSummary:
    """What `to-parquet` wrote.

    Attributes:
        name: of the dataset.
        folder: where it is.
        tables: table -> what the manifest says of it.
        asked: tables that this run was to write.
        fresh: those of them that it wrote; the others were up to date.
    """

    name: str
    folder: Path
    tables: Mapping[str, Any]
    asked: tuple[str, ...]
    fresh: tuple[str, ...]
    exit_code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "name": self.name, "folder": str(self.folder), "tables": dict(self.tables), "fresh": list(self.fresh),
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The result as lines of text."""
        lines = []
        for kind in self.asked:
            table = self.tables[kind]
            state = "" if kind in self.fresh else " (up to date, nothing redone)"
            lines.append(
                f"{self.name}, {kind}: {sum(table['rows'].values()):,} rows of {table['vocabulary']}{state}"
            )
            lines += aligned(_class_table(table))
            lines.append(f"  split {table['split']}: worst class share {table['worst']:.2f} points off, "
                         f"{table['worst_where'][1]} in {table['worst_where'][0]}")  # fmt: skip
            lines += [f"  not met: {line}" for line in table["unmet"]]
            total = sum(table["rows"].values())
            dropped = sum(d["count"] for d in table["dropped"])
            lines.append(f"  {total + dropped:,} {table['unit']} = {total:,} rows + {dropped:,} dropped")
            lines += [f"  dropped  {d['reason']}{' ' + d['label'] if d['label'] else ''}: {d['count']:,}"
                      for d in table["dropped"]]  # fmt: skip
        return [
            *lines,
            f"  in {self.folder}: {', '.join(self.tables)}, README.md, splits.parquet, manifest.json",
        ]


def _class_table(table: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = [("class", *SPLITS)]
    rows += [(name, *(table["class_rows"][s].get(name, 0) for s in SPLITS)) for name in table["classes"]]
    return [*rows, ("rows", *table["rows"].values()), ("groups", *table["groups"].values())]


def plan(config: ToParquetConfig) -> Plan:
    """What `run` would read and write."""
    workspace = Workspace(config.workspace)
    vocabulary = load_vocabulary(config.vocabulary)
    sources = [open_source(workspace, name, vocabulary) for name in config.datasets]
    hands = sum(read_json(s.folder / "summary.json")["counts"]["hands"] for s in sources)
    folder = workspace.parquet(config.dataset_name)
    return Plan(
        tuple(s.folder for s in sources),
        tuple(folder / kind for kind in config.table),
        f"{hands:,} hands of {sum(s.shards for s in sources)} shards, about {hands / 10_000 + 2:.0f} s",
    )


def run(config: ToParquetConfig) -> ToParquetSummary:
    """Writes `parquet/NAME/`: the tables asked for, the split lock, the card, and last the manifest.

    A table that is there already and was made from the same input with the same settings is left alone.

    Raises:
        ConfigError: an unknown vocabulary, or one that does not speak of a label; bad ratios.
        DataError: a source is not extracted, the table was made with other settings, the lock contradicts the
            groups, a row went missing, or a file cannot be written.
    """
    workspace = Workspace(config.workspace)
    vocabulary = load_vocabulary(config.vocabulary)
    sources = [open_source(workspace, name, vocabulary) for name in config.datasets]
    folder = workspace.parquet(config.dataset_name)
    fresh = []
    with stage_lock(folder):
        tables = read_manifest(folder)["tables"]
        for kind in ("crops", "windows"):
            if kind in config.table and not _up_to_date(config, folder, kind, tables, sources, vocabulary):
                tables[kind] = _write_table(config, folder, _builder(config, kind, vocabulary), sources)
                fresh.append(kind)
        tables = {kind: tables[kind] for kind in ("crops", "windows") if kind in tables}
        if fresh:
            write_card(folder, config.dataset_name, tables)
            write_manifest(folder, tables)
    return ToParquetSummary(config.dataset_name, folder, tables, config.table, tuple(fresh))


def _builder(config: ToParquetConfig, kind: str, vocabulary: Vocabulary) -> Builder:
    if kind == "crops":
        return CropsBuilder(vocabulary, config.min_size)
    return WindowsBuilder(vocabulary, config.frames, config.stride)


def _fingerprint(config: ToParquetConfig, sources: Sequence[ExtractedSource], vocabulary: Vocabulary) -> str:
    lock = None if config.lock is None else read_lock(config.lock)
    return sha256_json(
        {
            "config": config.recorded(), "sources": [s.fingerprint for s in sources], "lock": lock,
            "classes": vocabulary.classes, "background": vocabulary.background,
            "labels": [vocabulary.class_ids(s.source.dataset, ()) for s in sources],
        }
    )  # fmt: skip


def _up_to_date(
    config: ToParquetConfig,
    folder: Path,
    kind: str,
    tables: Mapping[str, Any],
    sources: Sequence[ExtractedSource],
    vocabulary: Vocabulary,
) -> bool:
    if kind not in tables or not (folder / kind).is_dir():
        return False
    if tables[kind]["fingerprint"] == _fingerprint(config, sources, vocabulary):
        return True
    if not config.overwrite:
        raise DataError(
            f"{folder / kind} was made from other input or with other settings: pass --overwrite to replace it, or "
            "another --name"
        )
    return False


def _write_table(
    config: ToParquetConfig, folder: Path, builder: Builder, sources: Sequence[ExtractedSource]
) -> dict[str, Any]:
    """Counts, splits and writes one table. Returns what the manifest says of it."""
    groups = sorted({g.id: g for s in sources for g in s.groups.values()}.values(), key=lambda g: g.id)
    counts, drops = _count(builder, sources, groups)
    if not counts.sum():
        raise DataError(
            f"no {builder.name} to write: {_reasons(drops)}; check the extraction, or choose another vocabulary"
        )
    lock = known_splits(groups, folder / LOCK_FILE, config.lock)
    assignment = assign(counts, sources, groups, lock, config.split, config.ratios, config.seed)
    split_of = {group.id: SPLITS[split] for group, split in zip(groups, assignment, strict=True)}
    proof = report(counts, assignment, config.ratios, builder.vocabulary.classes)
    facts = _facts(config, builder, sources)
    schema = with_metadata(
        builder.schema(), builder.name, facts, class_names={"class_id": builder.vocabulary.classes}
    )
    with SplitWriter(folder / builder.name, schema) as writer:
        with Progress(f"to-parquet {builder.name}", sum(s.shards for s in sources), "shards") as progress:
            for source in sources:
                for shard in range(source.shards):
                    for table in builder.rows(source, shard, split_of):
                        writer.write(table)
                    progress.add(1)
        if writer.rows != dict(proof.rows):
            raise DataError(
                f"{builder.name}: counted {dict(proof.rows)} rows, wrote {writer.rows}: a row went missing"
            )
    write_lock(folder / LOCK_FILE, groups, split_of, {"config": config.recorded()})
    dropped = _dropped(builder, sources, drops)
    _write_ledger(folder, builder, dropped)
    class_rows = {
        split: {
            name: int(n)
            for name, n in zip(builder.vocabulary.classes, counts[assignment == i].sum(axis=0), strict=True)
        }
        for i, split in enumerate(SPLITS)
    }
    return {
        "vocabulary": builder.vocabulary.name, "classes": list(builder.vocabulary.classes),
        "fingerprint": _fingerprint(config, sources, builder.vocabulary), "config": config.recorded(),
        "sizes": builder.sizes(), "unit": builder.unit, "rows": dict(proof.rows), "groups": dict(proof.groups),
        "class_rows": class_rows, "split": config.split, "ratios": list(parse_ratios(config.ratios)),
        "worst": proof.worst, "worst_where": list(proof.worst_where), "unmet": list(proof.unmet),
        "dropped": dropped, "sources": [s.source.as_dict() for s in sources],
    }  # fmt: skip


def _count(
    builder: Builder, sources: Sequence[ExtractedSource], groups: Sequence[Group]
) -> tuple[Counts, dict[str, Drops]]:
    """(groups, classes) rows that will be written, and what is dropped of each source."""
    index = {group.id: row for row, group in enumerate(groups)}
    counts = np.zeros((len(groups), len(builder.vocabulary.classes)), dtype=np.int64)
    drops: dict[str, Drops] = {}
    for source in sources:
        total = drops.setdefault(source.source.name, Drops())
        for shard in range(source.shards):
            found, dropped = builder.count(source, shard)
            total.update(dropped)
            for group_id, class_id, n in found.iter_rows():
                counts[index[group_id], class_id] += n
    return counts, drops


def _facts(config: ToParquetConfig, builder: Builder, sources: Sequence[ExtractedSource]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "config": config.recorded(), "vocabulary": builder.vocabulary.name,
        "classes": list(builder.vocabulary.classes), "flip": [list(p) for p in builder.vocabulary.flip],
        "sizes": builder.sizes(), "seed": config.seed,
        "sources": [{"name": s.source.name, "dataset": s.source.dataset, **s.source.metadata(),
                     "extraction": dict(s.facts)} for s in sources],
    }  # fmt: skip
    if builder.name == "windows":
        facts["feature_schema"] = read_json(schema_file(f"{SCHEMA_NAME}.json"))
    return facts


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
    found = [f"{n:,} dropped as {reason}" for d in drops.values() for (reason, _), n in d.most_common(3)]
    return ", ".join(found) or "no hand was extracted"
