"""The windows table: one row a window of landmarks, out of clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pgc_data.datasets import dataset
from pgc_data.datasets.vocabularies import Vocabulary
from pgc_data.features import (
    SCHEMA,
    BodySet,
    HandSet,
    UsableFrames,
    Windows,
    clip_labels,
    fill_windows,
    interval_labels,
    usable_windows,
)
from pgc_data.storage.parquet import read_frame
from pgc_data.storage.schemas import arrow_array, arrow_schema, conform
from pgc_data.tables.clips import SIDES, Clip, body_clips, hand_clips
from pgc_data.tables.inputs import EXCLUDED, ExtractedSource
from pgc_data.tables.selection import THINNED, Selection

TOO_FEW = "too_few_usable_frames"
TOO_SHORT = "clip_too_short"
# Bounds what is in memory at once: 2,000 windows of 16 x 147 features are 19 MB.
_ROWS_AT_ONCE = 2000
_COUNTED = {
    "group_id": pl.String, "class_id": pl.Int64, "thin": pl.Boolean, "native_label": pl.String,
    "handedness": pl.String,
}  # fmt: skip
_Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Labelled:
    """The K windows of one clip that have a label, before their features are computed.

    Attributes:
        clip: the media.
        use: its M grid frames.
        start: (K,) grid index of each window's first frame.
        class_id: (K,) class of each.
        sample: (K,) row of `ExtractedSource.samples` that most of its frames of that class lie in.
        thin: (K,) windows that are written where fewer are wanted: the first of a sample, and every so many-th.
        dropped: windows dropped, by reason and by the dataset's own label of most of their frames.
    """

    clip: Clip[Any]
    use: UsableFrames
    start: _Ints
    class_id: _Ints
    sample: _Ints
    thin: NDArray[np.bool_]
    dropped: Counter[tuple[str, str | None]]


@dataclass(frozen=True)
class WindowsBuilder:
    """Cuts and writes windows.

    Attributes:
        vocabulary: classes and labels.
        features: the feature set.
        length: grid frames of a window, T.
        stride: grid frames from one candidate window to the next.
        eval_every: of val and test, and of static classes, every how many-th window of a sample is written, the first
            always.
    """

    vocabulary: Vocabulary
    features: HandSet | BodySet
    length: int
    stride: int
    eval_every: int

    @property
    def name(self) -> str:
        """See `Builder`."""
        return "windows"

    @property
    def unit(self) -> str:
        """See `Builder`."""
        return "windows"

    def schema(self) -> pa.Schema:
        """Arrow schema of the table."""
        return arrow_schema("windows", **self.sizes())

    def sizes(self) -> dict[str, int]:
        """Named dimensions of the schema: frames of a window, features of a frame."""
        return {"T": self.length, "F": self.features.dims}

    def settings(self) -> dict[str, Any]:
        """What besides the vocabulary decides its rows."""
        return {
            "features": self.features.name, "frames": self.length, "stride": self.stride,
            "eval_every": self.eval_every,
        }  # fmt: skip

    def documents(self) -> dict[str, Any]:
        """What the files' metadata say of the features."""
        return {"feature_schema": self.features.document}

    def expected(self, source: ExtractedSource, shard: int) -> int:
        """Candidate windows of a shard, from the times of its frames; a clip too short for one counts as one."""
        columns = ["media", "timestamp_s"]
        times = read_frame(source.shard("frames", shard), "frames", columns)
        spans = times.group_by("media").agg(span=pl.col("timestamp_s").max() - pl.col("timestamp_s").min())
        grid = np.floor((spans["span"].to_numpy() + SCHEMA.rules.time_tolerance_s) * SCHEMA.rules.grid_hz) + 1
        return int(np.maximum((grid - self.length) // self.stride + 1, 1).sum())

    def count(
        self, source: ExtractedSource, shard: int, by: Sequence[str]
    ) -> tuple[pl.DataFrame, dict[tuple[str, str | None], int]]:
        """See `Builder`."""
        drops: Counter[tuple[str, str | None]] = Counter()
        parts = [pl.DataFrame(schema=_COUNTED)]
        for found in self._labelled(source, shard):
            drops.update(found.dropped)
            facts = source.samples[found.sample]
            columns = {
                "group_id": facts["group_id"], "class_id": found.class_id, "thin": found.thin,
                "native_label": facts["label"], "handedness": self._sides(found) if "handedness" in by else None,
            }  # fmt: skip
            parts.append(pl.DataFrame(columns, schema=_COUNTED))
        cells = pl.concat(parts).group_by("group_id", "class_id", *by)
        return cells.agg(n=pl.len(), thin=pl.col("thin").sum()), dict(drops)

    def _sides(self, found: _Labelled) -> pl.Series:
        """The side of the hand in most frames of each window (K,), null where it is in none."""
        rows = found.use.source_index[found.start[:, None] + np.arange(self.length)]
        return pl.Series(_main_side(found.clip.sides[rows]), dtype=pl.String)

    def rows(
        self, source: ExtractedSource, shard: int, selection: Selection
    ) -> Iterator[tuple[list[str], pa.Table]]:
        """See `Builder`: clip by clip, in the order of time."""
        for found in self._labelled(source, shard):
            facts = source.samples[found.sample]
            groups, labels = facts["group_id"].to_list(), facts["label"].to_list()
            kept = np.flatnonzero(selection.keep(groups, found.class_id, found.thin, labels))
            if not kept.size:
                continue
            frames = self.features.frames(found.clip.sequence)
            for first in range(0, kept.size, _ROWS_AT_ONCE):
                part = kept[first : first + _ROWS_AT_ONCE]
                windows = fill_windows(frames, found.start[part], self.length)
                names = [groups[row] for row in part.tolist()]
                yield names, self._table(found, part, windows, source, selection)

    def _labelled(self, source: ExtractedSource, shard: int) -> Iterator[_Labelled]:
        body = isinstance(self.features, BodySet)
        whole = dataset(source.source.dataset).labelling == "clip"
        clips: Iterator[Clip[Any]] = body_clips(source, shard) if body else hand_clips(source, shard)
        for clip in clips:
            yield self._label(clip, source.samples["label"], whole)

    def _label(self, clip: Clip[Any], native: pl.Series, whole: bool) -> _Labelled:
        """Finds and labels the windows of one clip.

        Args:
            clip: one media.
            native: the dataset's own label of each sample.
            whole: whether the label is that of the clip as a whole, whose ends do not show the gesture yet.
        """
        use = self.features.usable(clip.sequence)
        start, _ = usable_windows(use.usable, self.length, self.stride, self.features.min_usable)
        class_ids = _grid_classes(clip.frames, use)
        if whole:
            class_id = int(class_ids.max(initial=EXCLUDED))
            labels = clip_labels(use.usable, start, self.length, class_id)
        else:
            labels = interval_labels(class_ids, start, self.length, self.vocabulary.background_id)
        reason = labels.reason.astype(object)
        kept = np.flatnonzero(labels.kept)
        kinds, within = labels.class_id[kept], start[kept][:, None] + np.arange(self.length)
        samples = clip.frames["sample"].cast(pl.Int64).fill_null(EXCLUDED).to_numpy()[use.source_index]
        sample = _main_sample(samples[within], class_ids[within] == kinds[:, None])
        thin = _rank(sample) % self.eval_every == 0
        stays = thin | ~np.isin(kinds, self.vocabulary.static_ids)
        reason[kept[~stays]] = THINNED
        return _Labelled(
            clip=clip,
            use=use,
            start=start[kept[stays]],
            class_id=kinds[stays],
            sample=sample[stays],
            thin=thin[stays],
            dropped=self._dropped(samples, start, reason, native),
        )

    def _dropped(
        self, samples: _Ints, start: _Ints, reason: NDArray[Any], native: pl.Series
    ) -> Counter[tuple[str, str | None]]:
        """Candidates that are not kept, by reason and label.

        Args:
            samples: (M,) row of `native` that each grid frame lies in, negative where in none.
            start: (K,) candidates with enough usable frames.
            reason: (K,) why each of them is dropped, empty if it is not.
            native: the dataset's own label of each sample.
        """
        if samples.size < self.length:
            return Counter({(TOO_SHORT, _labels_of(native, samples[:1])[0]): 1})
        candidates = np.arange(0, samples.size - self.length + 1, self.stride)
        why = np.full(candidates.size, TOO_FEW, dtype=object)
        why[start // self.stride] = reason
        lost = np.flatnonzero(why != "")
        within = samples[candidates[lost][:, None] + np.arange(self.length)]
        labels = _labels_of(native, _main_sample(within, within >= 0))
        return Counter(zip(why[lost].tolist(), labels, strict=True))

    def _table(
        self, found: _Labelled, part: _Ints, windows: Windows, source: ExtractedSource, selection: Selection
    ) -> pa.Table:
        """Some of a clip's windows, `part` of `found`, as rows of the table."""
        n, clip = part.size, found.clip
        facts = source.samples[found.sample[part]]
        rows = found.use.source_index[windows.start[:, None] + np.arange(self.length)]
        name, grid = source.source.name, SCHEMA.rules.grid_hz
        number = clip.frames["frame"].to_numpy()
        columns: dict[str, Any] = {
            "split": [selection.split_of(group) for group in facts["group_id"]],
            "label": [self.vocabulary.classes[c] for c in found.class_id[part]],
            "class_id": found.class_id[part],
            "source": [name] * n,
            "window_id": [f"{name}/{clip.media}:{start}+{self.length}@{grid:g}" for start in windows.start],
            "dataset": [source.source.dataset] * n,
            "frame_start": number[rows[:, 0]],
            "frame_end": number[rows[:, -1]],
            "time_start_s": found.use.times[windows.start],
            "fps_source": facts["fps"].to_arrow(),
            "fps_grid": np.full(n, grid),
            "handedness": _main_side(clip.sides[rows]),
            "features": nested(windows.features),
            "usable": nested(windows.usable),
            "usable_fraction": windows.usable_fraction,
            "has_z": np.full(n, source.has_z),
            "native_label": facts["label"].to_arrow(),
            "feature_schema": [self.features.name] * n,
            "licence": [source.source.licence] * n,
        }
        for column in ("sample_id", "video_id", "subject_id", "group_id"):
            columns[column] = facts[column].to_arrow()
        return conform(columns, self.schema())


def _labels_of(native: pl.Series, samples: _Ints) -> list[str | None]:
    """The dataset's own label of some samples, None for a negative one."""
    found: list[str | None] = native.gather(np.maximum(samples, 0)).to_list()
    return [label if sample >= 0 else None for label, sample in zip(found, samples.tolist(), strict=True)]


def _grid_classes(frames: pl.DataFrame, use: UsableFrames) -> _Ints:
    """Class of each grid frame: that of the nearest source frame, -1 where none is near enough to speak for it."""
    nearest = use.source_index
    apart = np.abs(frames["timestamp_s"].to_numpy()[nearest] - use.times)
    half = 0.5 / frames["fps"].fill_null(SCHEMA.rules.grid_hz).to_numpy()[nearest]
    classes = frames["class_id"].to_numpy()[nearest]
    return np.where(apart <= half + SCHEMA.rules.time_tolerance_s, classes, EXCLUDED).astype(np.int64)


def _main_sample(samples: _Ints, counted: NDArray[np.bool_]) -> _Ints:
    """The commonest of each row's samples (K, T), among the frames that count; the first on a tie."""
    if samples.size and (samples[counted] == samples[0, 0]).all():
        return np.full(len(samples), samples[0, 0])
    same = (samples[:, :, None] == samples[:, None, :]) & counted[:, None, :]
    votes = np.where(counted, same.sum(axis=2), 0)
    return (
        np.take_along_axis(samples, votes.argmax(axis=1)[:, None], axis=1)[:, 0]
        if samples.size
        else samples[:, 0]
    )


def _rank(values: _Ints) -> _Ints:
    """How many equal values stand before each one (K,)."""
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    first = np.searchsorted(ranked, ranked)
    rank = np.empty_like(order)
    rank[order] = np.arange(values.size) - first
    return rank


def _main_side(sides: NDArray[np.int8]) -> pa.Array:
    """The side of the hand in most frames of each window (K, T), null where it is in none; the first on a tie."""
    votes = np.stack([(sides == code).sum(axis=1) for code in range(len(SIDES))], axis=1)
    first = np.take_along_axis(sides, (sides >= 0).argmax(axis=1)[:, None], axis=1)[:, 0]
    tied = votes[:, 0] == votes[:, 1]
    code = np.where(tied, first, votes.argmax(axis=1))
    return pl.Series(SIDES).gather(pl.Series(code).replace(-1, None)).to_arrow()


def nested(values: NDArray[Any]) -> pa.Array:
    """An array (K, A, B, ...) as K fixed-size lists of A fixed-size lists of B ..."""
    result = arrow_array(np.ascontiguousarray(values).ravel())
    for size in reversed(values.shape[1:]):
        result = pa.FixedSizeListArray.from_arrays(result, size)
    return result
