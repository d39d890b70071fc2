"""Stage 02: reads a dataset's own annotation into `samples.parquet`. Nothing is copied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pgc_data.audits.charts import class_balance_chart
from pgc_data.config import Config, option
from pgc_data.datasets import Ingested, dataset, ingester
from pgc_data.datasets.vocabularies import Vocabulary, load_vocabulary, vocabulary_names
from pgc_data.errors import DataError
from pgc_data.stages.summary import Plan, aligned
from pgc_data.storage.files import read_json, write_json
from pgc_data.storage.parquet import table_of, write_table
from pgc_data.storage.source import SYNTHETIC_MARKER, Source
from pgc_data.storage.workspace import Workspace, check_name, stage_lock

_LABEL = pl.col("label").fill_null("(unlabelled)")


@dataclass(frozen=True, kw_only=True)
class PrepareConfig(Config):
    """What to prepare."""

    dataset: str = option(..., "dataset whose layout the raw folder has", argument=True)
    name: str | None = option(None, "name of the source in the workspace; the dataset's by default")
    raw: Path | None = option(None, "raw folder; WORKSPACE/raw/NAME by default", recorded=False)
    annotations_only: bool = option(False, "do not look for images or videos")

    @property
    def source_name(self) -> str:
        """Name of the source in the workspace."""
        return check_name(self.name or self.dataset)

    @property
    def raw_folder(self) -> Path:
        """Where the raw data lie."""
        return self.raw or Workspace(self.workspace).raw(self.source_name)


@dataclass(frozen=True)
class PrepareSummary:
    """What `prepare` found.

    Attributes:
        source: name of the source.
        layout: which of the dataset's layouts or releases it has; empty if there is but one.
        folder: where the tables are.
        rows_read: annotation rows; equals samples plus dropped.
        samples: rows of the samples table.
        dropped: reason -> annotation rows dropped.
        kept_though_odd: reason -> annotation rows kept although something was odd.
        subjects: different subjects, 0 where unpublished.
        videos: different videos.
        labels: label -> (samples, frames).
        official_split: split -> samples.
        vocabularies: vocabulary -> class -> frames that map to it.
    """

    source: str
    layout: str
    folder: Path
    rows_read: int
    samples: int
    dropped: Mapping[str, int]
    kept_though_odd: Mapping[str, int]
    subjects: int
    videos: int
    labels: Mapping[str, tuple[int, int]]
    official_split: Mapping[str, int]
    vocabularies: Mapping[str, Mapping[str, int]]
    exit_code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "source": self.source, "layout": self.layout, "folder": str(self.folder),
            "rows_read": self.rows_read, "samples": self.samples, "dropped": dict(self.dropped),
            "kept_though_odd": dict(self.kept_though_odd), "subjects": self.subjects, "videos": self.videos,
            "labels": {label: {"samples": s, "frames": f} for label, (s, f) in self.labels.items()},
            "official_split": dict(self.official_split),
            "vocabularies": {name: dict(frames) for name, frames in self.vocabularies.items()},
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The result as lines of text."""
        counts = [("label", "samples", "frames"), *((n, s, f) for n, (s, f) in self.labels.items())]
        layout = f" ({self.layout})" if self.layout else ""
        official = ", ".join(f"{split} {n:,}" for split, n in self.official_split.items()) or "none"
        return [
            f"{self.source}{layout}: {self.samples:,} samples of {self.subjects:,} subjects in {self.videos:,} videos "
            f"(official split: {official})",
            *aligned(counts),
            *(f"  {name}: {_shares(frames)} frames" for name, frames in self.vocabularies.items()),
            f"  {self.rows_read:,} annotation rows = {self.samples:,} samples + {sum(self.dropped.values()):,} dropped",
            *(f"  dropped  {reason}: {count:,}" for reason, count in self.dropped.items()),
            *(f"  kept     {reason}: {count:,}" for reason, count in self.kept_though_odd.items()),
            f"  in {self.folder}: samples.parquet, ledger.parquet, class_balance.png",
        ]


def _shares(frames: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in frames.items())


def plan(config: PrepareConfig) -> Plan:
    """What `run` would read and write."""
    ingester(config.dataset)
    folder = Workspace(config.workspace).prepared(config.source_name)
    return Plan((config.raw_folder,), (folder,), "seconds: only the annotation is read")


def run(config: PrepareConfig) -> PrepareSummary:
    """Reads the raw folder and writes `prepared/NAME/`: samples, ledger, source facts, chart.

    Raises:
        ConfigError: unknown dataset, bad name.
        DataError: the raw folder or its annotation cannot be used; the folder cannot be written.
    """
    read = ingester(config.dataset)
    folder = Workspace(config.workspace).prepared(config.source_name)
    ingested = read(config.raw_folder, config.annotations_only)
    dropped, kept = (_reasons(ingested, action) for action in ("dropped", "kept"))
    if ingested.rows_read != ingested.samples.num_rows + sum(dropped.values()):
        raise DataError(
            f"{ingested.rows_read} annotation rows read, but {ingested.samples.num_rows} samples and "
            f"{sum(dropped.values())} dropped: a row went missing in the reader of {config.dataset}"
        )
    frame = _frame(ingested)
    if frame["sample_id"].n_unique() < frame.height:
        twice = frame["sample_id"].filter(frame["sample_id"].is_duplicated())[0]
        raise DataError(f"the reader of {config.dataset} gave the sample id {twice!r} twice")
    with stage_lock(folder):
        _write(config, folder, ingested, frame)
    return PrepareSummary(
        source=config.source_name, layout=ingested.layout, folder=folder, rows_read=ingested.rows_read,
        samples=frame.height,
        dropped=dropped, kept_though_odd=kept, subjects=frame["subject_id"].drop_nulls().n_unique(),
        videos=frame["video_id"].drop_nulls().n_unique(), labels=_label_counts(frame, config.dataset),
        official_split=_counts(frame, "official_split"), vocabularies=_vocabulary_frames(frame, config.dataset),
    )  # fmt: skip


def _frame(ingested: Ingested) -> pl.DataFrame:
    frame = pl.from_arrow(ingested.samples)
    assert isinstance(frame, pl.DataFrame)
    return frame.with_columns(frames=pl.col("frame_end") - pl.col("frame_start") + 1)


def _reasons(ingested: Ingested, action: str) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for row in ingested.ledger:
        if row["action"] == action:
            counts[row["reason"]] += row["count"]
    return dict(sorted(counts.items()))


def _label_counts(frame: pl.DataFrame, dataset_id: str) -> dict[str, tuple[int, int]]:
    found = frame.group_by(_LABEL).agg(samples=pl.len(), frames=pl.col("frames").sum())
    counts = {label: (samples, frames) for label, samples, frames in found.iter_rows()}
    return {label: counts[label] for label in _in_order(counts, dataset_id)}


def _in_order(labels: Iterable[str], dataset_id: str) -> list[str]:
    """Labels in the dataset's own order; those that it does not state, by name, behind."""
    order = {label: number for number, label in enumerate(dataset(dataset_id).labels)}
    return sorted(labels, key=lambda label: (order.get(label, len(order)), label))


def _counts(frame: pl.DataFrame, column: str) -> dict[str, int]:
    values = frame[column].drop_nulls().value_counts().sort(column)
    return dict(values.iter_rows())


def _vocabulary_frames(frame: pl.DataFrame, dataset_id: str) -> dict[str, dict[str, int]]:
    """For every vocabulary that names the dataset: frames that map to each class."""
    labelled = frame.filter(pl.col("label").is_not_null())
    totals = dict(labelled.group_by("label").agg(pl.col("frames").sum()).iter_rows())
    result = {}
    for vocabulary in map(load_vocabulary, vocabulary_names()):
        if dataset_id in vocabulary.mapped:
            result[vocabulary.name] = _class_frames(vocabulary, dataset_id, totals)
    return result


def _class_frames(vocabulary: Vocabulary, dataset_id: str, totals: Mapping[str, int]) -> dict[str, int]:
    frames = dict.fromkeys(vocabulary.classes, 0)
    for label, class_id in vocabulary.class_ids(dataset_id, totals).items():
        frames[vocabulary.classes[class_id]] += totals.get(label, 0)
    return {name: count for name, count in frames.items() if count}


def _write(config: PrepareConfig, folder: Path, ingested: Ingested, frame: pl.DataFrame) -> None:
    name = config.source_name
    source = _source(config, ingested.layout)
    facts = {"source": name, "dataset": config.dataset, "config": config.recorded(), **source.metadata()}
    ledger = [{"stage": "prepare", "source": name, **row} for row in ingested.ledger]
    write_table(folder / "ledger.parquet", table_of("ledger", ledger), "ledger", facts)
    by_split: dict[str, dict[str, int]] = {}
    grouped = frame.group_by(pl.col("official_split").fill_null("all"), _LABEL).agg(pl.col("frames").sum())
    for split, label, count in grouped.iter_rows():
        by_split.setdefault(split, {})[label] = count
    splits: list[str] = [s for s in ("train", "val", "test", "all") if s in by_split]
    order = list(_label_counts(frame, config.dataset))
    chart = {split: {label: by_split[split].get(label, 0) for label in order} for split in splits}
    class_balance_chart(folder / "class_balance.png", chart, f"{name}: frames per label", "frames")
    write_json(folder / "source.json", source.as_dict())
    # Written last: its presence says that the source is prepared.
    write_table(folder / "samples.parquet", ingested.samples, "samples", facts)


def _source(config: PrepareConfig, layout: str) -> Source:
    """Where the raw data lie and under which licence: a drawn stand-in is not under the real dataset's."""
    real = dataset(config.dataset)
    raw = config.raw_folder
    marker = raw / SYNTHETIC_MARKER
    drawn = read_json(marker) if marker.is_file() else None
    return Source(
        name=config.source_name,
        dataset=config.dataset,
        layout=layout,
        # Relative to the workspace where it can be, so that a workspace can be moved as a whole.
        raw=raw.relative_to(config.workspace).as_posix()
        if raw.is_relative_to(config.workspace)
        else str(raw.resolve()),
        licence=real.licence.name if drawn is None else drawn["licence"],
        licence_url=real.licence.url if drawn is None else drawn["licence_url"],
        citation=real.citation if drawn is None else drawn["citation"],
        synthetic=drawn is not None,
        annotations_only=config.annotations_only,
    )
