"""One extracted source with its samples labelled and grouped, ready to be made into tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pgc_data.datasets import Dataset, dataset
from pgc_data.datasets.vocabularies import Vocabulary
from pgc_data.errors import DataError
from pgc_data.splits import Group, group_samples
from pgc_data.storage.files import read_json, sha256_json
from pgc_data.storage.parquet import read_table
from pgc_data.storage.source import Source, read_source
from pgc_data.storage.workspace import Workspace

EXCLUDED = -1


@dataclass(frozen=True, eq=False)
class ExtractedSource:
    """An extracted source under a vocabulary.

    Attributes:
        source: where it came from, its licence.
        dataset: the facts of its dataset.
        folder: `extracted/NAME`.
        shards: number of shards.
        samples: the samples with `class_id` (-1 where the vocabulary leaves the label out) and `group_id`.
        groups: group id -> group.
        fingerprint: changes when what was extracted changes.
        facts: metadata of the extraction.
    """

    source: Source
    dataset: Dataset
    folder: Path
    shards: int
    samples: pl.DataFrame
    groups: Mapping[str, Group]
    fingerprint: str
    facts: Mapping[str, Any]

    def shard(self, table: str, number: int) -> Path:
        """File of one shard of `frames` or `hands`."""
        return self.folder / f"{table}-{number:05d}.parquet"


def open_source(workspace: Workspace, name: str, vocabulary: Vocabulary) -> ExtractedSource:
    """Opens an extracted source.

    Raises:
        ConfigError: the vocabulary does not speak of one of its labels.
        DataError: it is not extracted, or not to the end.
    """
    source = read_source(workspace, name)
    folder = workspace.extracted(name)
    if not (folder / "summary.json").is_file():
        done = len(list(folder.glob("stats-*.json")))
        state = f"only {done} shards are done" if done else f"nothing lies in {folder}"
        raise DataError(f"{name} is not extracted to the end ({state}): run `pgc-data extract {name}`")
    settings, summary = read_json(folder / "settings.json"), read_json(folder / "summary.json")
    facts = dataset(source.dataset)
    samples = _frame(workspace.prepared(name) / "samples.parquet")
    classes = vocabulary.class_ids(source.dataset, samples["label"].drop_nulls().unique())
    keys = samples.select("sample_id", "video_id", "subject_id").iter_rows()
    group_of = group_samples(source.dataset, keys, facts.same_person)
    samples = samples.with_columns(
        class_id=pl.col("label").replace_strict(classes, default=EXCLUDED, return_dtype=pl.Int64),
        group_id=pl.Series([group_of[s].id for s in samples["sample_id"]], dtype=pl.String),
    )
    groups = {group.id: group for group in group_of.values()}
    print_of = sha256_json({"settings": settings, "summary": summary})
    return ExtractedSource(source, facts, folder, summary["shards"], samples, groups, print_of, settings)


def _frame(path: Path) -> pl.DataFrame:
    columns = [
        "sample_id", "media", "frame_start", "frame_end", "fps", "label", "video_id", "subject_id", "official_split",
    ]  # fmt: skip
    frame = pl.from_arrow(read_table(path, "samples", columns))
    assert isinstance(frame, pl.DataFrame)
    return frame


def label_frames(frames: pl.DataFrame, samples: pl.DataFrame) -> pl.DataFrame:
    """Finds the sample and class of each frame.

    Args:
        frames: rows with `media` and `frame`, and an integer `row` that names them.
        samples: as in `ExtractedSource`.

    Returns:
        One row for each row of `frames`, in its order: `row, sample_id, class_id, reason`. Where `class_id` is
        -1, `reason` says why: `no_sample`, `excluded_label` or `conflicting_labels` (the frame lies in samples
        of different classes, or of a class and an excluded label).
    """
    spans = samples.select("media", "frame_start", "frame_end", "sample_id", "class_id")
    matched = (
        frames.select("row", "media", "frame")
        .join(spans, on="media", how="inner")
        .filter(pl.col("frame").is_between(pl.col("frame_start"), pl.col("frame_end")))
        .sort("row", "frame_start", "sample_id")
        .group_by("row", maintain_order=True)
        .agg(pl.col("sample_id").first(), pl.col("class_id").first(), classes=pl.col("class_id").n_unique())
    )
    reason = (
        pl.when(pl.col("classes").is_null())
        .then(pl.lit("no_sample"))
        .when(pl.col("classes") > 1)
        .then(pl.lit("conflicting_labels"))
        .when(pl.col("class_id") == EXCLUDED)
        .then(pl.lit("excluded_label"))
    )
    return (
        frames.select("row")
        .join(matched, on="row", how="left", maintain_order="left")
        .with_columns(reason=reason)
        .with_columns(
            class_id=pl.when(pl.col("reason").is_null()).then(pl.col("class_id")).otherwise(EXCLUDED)
        )
        .drop("classes")
    )
