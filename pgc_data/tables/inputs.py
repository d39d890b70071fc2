"""Extracted sources with their samples labelled and grouped, ready to be made into tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from pgc_data.datasets import dataset
from pgc_data.datasets.vocabularies import Vocabulary
from pgc_data.errors import DataError
from pgc_data.hands.extractor import shard_stats
from pgc_data.hands.media_items import media_fingerprint, media_items
from pgc_data.splits import Group, group_samples
from pgc_data.storage.files import read_json, sha256_file, sha256_json
from pgc_data.storage.parquet import read_frame
from pgc_data.storage.source import Source, read_source
from pgc_data.storage.workspace import Workspace

EXCLUDED = -1
_COLUMNS = (
    "sample_id", "media", "frame_start", "frame_end", "fps", "label", "video_id", "subject_id", "official_split",
    "boxes",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ExtractedSource:
    """An extracted source under a vocabulary.

    Attributes:
        source: where it came from, its licence.
        folder: `extracted/NAME`.
        shards: number of shards.
        samples: the samples sorted by media, with `class_id` (-1 where the vocabulary leaves the label out) and
            `group_id`.
        spans: media -> first row in `samples` and number of rows.
        groups: group id -> group.
        fingerprint: changes when the samples or what was extracted change.
        facts: metadata of the extraction.
        set_aside: shard -> its hands that are not used, because a hand of another group shows the same picture and
            the two groups could not be joined.
    """

    source: Source
    folder: Path
    shards: int
    samples: pl.DataFrame
    spans: Mapping[str, tuple[int, int]]
    groups: Mapping[str, Group]
    fingerprint: str
    facts: Mapping[str, Any]
    set_aside: Mapping[int, Sequence[int]] = field(default_factory=dict)

    @property
    def has_z(self) -> bool:
        """Whether depth was measured: an annotation's own joints are flat."""
        return self.facts.get("landmarks") != "annotation"

    def shard(self, table: str, number: int) -> Path:
        """File of one shard of `frames`, `hands` or `holistic`."""
        return self.folder / f"{table}-{number:05d}.parquet"

    def samples_of(self, media: Iterable[str]) -> pl.DataFrame:
        """The samples of some media, with their row in `samples` as `sample`."""
        parts = [
            self.samples.slice(*self.spans[name]).with_row_index("sample", offset=self.spans[name][0])
            for name in media
            if name in self.spans
        ]
        return pl.concat(parts) if parts else self.samples.clear().with_row_index("sample")


def open_sources(workspace: Workspace, names: Sequence[str], vocabulary: Vocabulary) -> list[ExtractedSource]:
    """Opens extracted sources.

    Groups are found over all sources of a dataset together, so that a person whom two of them show is one group.

    Raises:
        ConfigError: the vocabulary does not speak of one of their labels.
        DataError: one is not extracted, not to the end, or was prepared again since; or two are different releases
            of one dataset.
    """
    sources = [read_source(workspace, name) for name in names]
    _refuse_mixed_releases(sources)
    frames = [_samples(workspace, source) for source in sources]
    group_of: dict[str, dict[str, Group]] = {}
    for kind in sorted({source.dataset for source in sources}):
        mine = [f for f, source in zip(frames, sources, strict=True) if source.dataset == kind]
        # What shows the same image or clip stays together, whether or not the dataset gives it an id.
        video = pl.coalesce("video_id", "media")
        keys = pl.concat(mine).select("sample_id", video, "subject_id").iter_rows()
        group_of[kind] = group_samples(kind, keys, dataset(kind).same_person)
    return [
        _open(workspace, source, frame, group_of[source.dataset], vocabulary)
        for source, frame in zip(sources, frames, strict=True)
    ]


def _refuse_mixed_releases(sources: Sequence[Source]) -> None:
    """Ids of people are not comparable between releases, so nobody could keep one person on one side."""
    for kind in sorted({source.dataset for source in sources}):
        mine = [source for source in sources if source.dataset == kind]
        other = next((source for source in mine if source.layout != mine[0].layout), None)
        if other is not None:
            raise DataError(
                f"{mine[0].name} is {kind} {mine[0].layout} and {other.name} is {other.layout}: their people cannot be "
                "told apart, so one table of both would leak; make a table of each"
            )


def _samples(workspace: Workspace, source: Source) -> pl.DataFrame:
    path = workspace.prepared(source.name) / "samples.parquet"
    frame = read_frame(path, "samples", _COLUMNS)
    return frame.sort("media", "frame_start", "sample_id")


def _open(
    workspace: Workspace,
    source: Source,
    samples: pl.DataFrame,
    group_of: Mapping[str, Group],
    vocabulary: Vocabulary,
) -> ExtractedSource:
    folder = workspace.extracted(source.name)
    settings, summary = _extraction(workspace, source)
    classes = vocabulary.class_ids(source.dataset, samples["label"].drop_nulls().unique())
    groups = [group_of[sample] for sample in samples["sample_id"]]
    samples = samples.with_columns(
        class_id=pl.col("label")
        .replace_strict(classes, default=EXCLUDED, return_dtype=pl.Int64)
        .fill_null(EXCLUDED),
        group_id=pl.Series([group.id for group in groups], dtype=pl.String),
    )
    spans = samples.with_row_index("row").group_by("media").agg(pl.col("row").first(), n=pl.len())
    return ExtractedSource(
        source=source,
        folder=folder,
        shards=summary["shards"],
        samples=samples,
        spans={media: (first, n) for media, first, n in spans.iter_rows()},
        groups={group.id: group for group in groups},
        fingerprint=sha256_json(
            {
                "settings": settings,
                "summary": summary,
                "samples": sha256_file(workspace.prepared(source.name) / "samples.parquet"),
            }
        ),
        facts=settings,
    )


def _extraction(workspace: Workspace, source: Source) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings and summary of a whole extraction of the samples as they are now."""
    name, folder = source.name, workspace.extracted(source.name)
    if not (folder / "summary.json").is_file():
        done = len(list(folder.glob("stats-*.json")))
        state = f"only {done} shards are done" if done else f"nothing lies in {folder}"
        raise DataError(f"{name} is not extracted to the end ({state}): run `pgc-data extract {name}`")
    settings, summary = read_json(folder / "settings.json"), read_json(folder / "summary.json")
    broken = [n for n in range(summary["shards"]) if shard_stats(folder, n) is None]
    if broken:
        raise DataError(
            f"shard {broken[0]} of {folder} is not whole: run `pgc-data extract {name}` to mend it"
        )
    samples = workspace.prepared(name) / "samples.parquet"
    items = media_items(samples, annotated=settings.get("backend") == "annotation")
    if settings.get("media_sha256") != media_fingerprint(items):
        raise DataError(
            f"{name} was prepared again with other frames since it was extracted: run `pgc-data extract {name}`"
        )
    return settings, summary
