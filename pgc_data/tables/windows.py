"""The windows table: one row a landmark window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
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
    SCHEMA_NAME,
    FrameFeatures,
    Windows,
    choose_rows,
    clip_labels,
    cut_windows,
    frame_features,
    interval_labels,
)
from pgc_data.features.sequence import NO_TRACK, HandSequence
from pgc_data.storage.parquet import read_frame
from pgc_data.storage.schemas import arrow_schema, conform
from pgc_data.tables.inputs import EXCLUDED, ExtractedSource
from pgc_data.tables.labelling import label_frames

_HANDS = ["media", "frame", "track_id", "handedness", "score", "landmarks"]
_JOINTS = len(SCHEMA.joint_names)
_Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Clip:
    """One media's labelled windows, of T grid frames out of M.

    Attributes:
        media: as in samples.
        windows: the K windows that have a label.
        class_id: (K,) class of each.
        sample: (K,) row of `ExtractedSource.samples` that most of its frames of that class lie in.
        source_rows: (K, T) row of `frames` nearest to each grid frame.
        times: (K,) seconds, first grid frame.
        frames: the media's rows of the frames table.
        handedness: (N,) of the hand kept in each of those rows, None where there is none.
        dropped: windows dropped, by reason.
    """

    media: str
    windows: Windows
    class_id: _Ints
    sample: _Ints
    source_rows: _Ints
    times: NDArray[np.float64]
    frames: pl.DataFrame
    handedness: list[str | None]
    dropped: Mapping[str, int]


@dataclass(frozen=True)
class WindowsBuilder:
    """Cuts and writes windows.

    Attributes:
        vocabulary: classes and labels.
        length: grid frames of a window, T.
        stride: grid frames from one window to the next.
    """

    vocabulary: Vocabulary
    length: int
    stride: int

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
        return {"T": self.length, "F": SCHEMA.frame_dims}

    def settings(self) -> dict[str, Any]:
        """What besides the vocabulary decides its rows."""
        return {"frames": self.length, "stride": self.stride}

    def expected(self, source: ExtractedSource, shard: int) -> int:
        """Candidate windows of a shard, from the times of its frames; a clip too short for one counts as one."""
        columns = ["media", "timestamp_s"]
        times = read_frame(source.shard("frames", shard), "frames", columns)
        spans = times.group_by("media").agg(span=pl.col("timestamp_s").max() - pl.col("timestamp_s").min())
        grid = np.floor((spans["span"].to_numpy() + SCHEMA.rules.time_tolerance_s) * SCHEMA.rules.grid_hz) + 1
        return int(np.maximum((grid - self.length) // self.stride + 1, 1).sum())

    def count(
        self, source: ExtractedSource, shard: int
    ) -> tuple[pl.DataFrame, dict[tuple[str, str | None], int]]:
        """What a shard would give: `group_id, class_id, n`, and windows dropped by (reason, None)."""
        drops: Counter[tuple[str, str | None]] = Counter()
        parts = [pl.DataFrame(schema={"group_id": pl.String, "class_id": pl.Int64})]
        for clip in self._clips(source, shard):
            drops.update({(reason, None): n for reason, n in clip.dropped.items()})
            groups = source.samples["group_id"].gather(clip.sample)
            parts.append(pl.DataFrame({"group_id": groups, "class_id": clip.class_id}))
        return pl.concat(parts).group_by("group_id", "class_id").agg(n=pl.len()), dict(drops)

    def rows(self, source: ExtractedSource, shard: int, split_of: Mapping[str, str]) -> Iterator[pa.Table]:
        """The shard's windows with their split, clip by clip, in the order of time."""
        for clip in self._clips(source, shard):
            if clip.class_id.size:
                yield self._table(clip, source, split_of)

    def _clips(self, source: ExtractedSource, shard: int) -> Iterator[_Clip]:
        columns = ["media", "frame", "timestamp_s", "image_width", "image_height"]
        frames = read_frame(source.shard("frames", shard), "frames", columns)
        hands = read_frame(source.shard("hands", shard), "hands", _HANDS)
        whole = dataset(source.source.dataset).labelling == "clip"
        samples = source.samples_of(frames["media"].unique(maintain_order=True))
        frames = frames.with_row_index("row")
        labels = label_frames(frames, samples).select("row", "class_id", "sample")
        frames = frames.join(labels, on="row", how="left", maintain_order="left").join(
            samples.select("sample", "fps"), on="sample", how="left", maintain_order="left"
        )
        hands_of = hands.filter(pl.col("landmarks").is_not_null()).partition_by("media", as_dict=True)
        for (media,), table in frames.partition_by("media", as_dict=True, maintain_order=True).items():
            yield self._clip(str(media), table, hands_of.get((media,), hands.clear()), whole)

    def _clip(self, media: str, frames: pl.DataFrame, hands: pl.DataFrame, whole: bool) -> _Clip:
        """Cuts and labels the windows of one media.

        Args:
            media: its name.
            frames: its rows of the frames table, with the `class_id`, `sample` and `fps` of each.
            hands: its rows of the hands table.
            whole: whether the label is that of the clip as a whole, whose ends do not show the gesture yet.
        """
        sequence, handedness = _one_hand(frames, hands)
        features = frame_features(sequence)
        windows = cut_windows(features, self.length, self.stride)
        class_ids = _grid_classes(frames, features)
        if whole:
            class_id = int(class_ids.max(initial=EXCLUDED))
            labels = clip_labels(features.usable, windows.start, self.length, class_id)
        else:
            labels = interval_labels(class_ids, windows.start, self.length, self.vocabulary.background_id)
        kept = labels.kept
        within = windows.start[kept][:, None] + np.arange(self.length)
        rows = features.source_index[within]
        samples = frames["sample"].cast(pl.Int64).fill_null(EXCLUDED).to_numpy()
        return _Clip(
            media=media,
            windows=Windows(
                windows.features[kept], windows.usable[kept], windows.start[kept],
                windows.usable_fraction[kept], windows.dropped,
            ),
            class_id=labels.class_id[kept],
            sample=_main_sample(samples[rows], class_ids[within] == labels.class_id[kept][:, None]),
            source_rows=rows,
            times=features.times[windows.start[kept]],
            frames=frames,
            handedness=handedness,
            dropped=+Counter(
                {
                    **labels.dropped(), "too_few_usable_frames": windows.dropped,
                    "clip_too_short": int(len(features) < self.length),
                }
            ),
        )  # fmt: skip

    def _table(self, clip: _Clip, source: ExtractedSource, split_of: Mapping[str, str]) -> pa.Table:
        n = clip.class_id.size
        facts = source.samples[clip.sample]
        name, grid = source.source.name, SCHEMA.rules.grid_hz
        number = clip.frames["frame"].to_numpy()
        first, last = number[clip.source_rows[:, 0]], number[clip.source_rows[:, -1]]
        columns: dict[str, Any] = {
            "split": [split_of[group] for group in facts["group_id"]],
            "label": [self.vocabulary.classes[c] for c in clip.class_id],
            "class_id": clip.class_id,
            "source": [name] * n,
            "window_id": [
                f"{name}/{clip.media}:{start}+{self.length}@{grid:g}" for start in clip.windows.start
            ],
            "dataset": [source.source.dataset] * n,
            "frame_start": first,
            "frame_end": last,
            "time_start_s": clip.times,
            "fps_source": facts["fps"].to_arrow(),
            "fps_grid": np.full(n, grid),
            "handedness": [_main_hand(clip.handedness, rows) for rows in clip.source_rows.tolist()],
            "features": _nested(clip.windows.features),
            "usable": _nested(clip.windows.usable),
            "usable_fraction": clip.windows.usable_fraction,
            "has_z": np.ones(n, dtype=bool),
            "native_label": facts["label"].to_arrow(),
            "feature_schema": [SCHEMA_NAME] * n,
            "licence": [source.source.licence] * n,
        }
        for column in ("sample_id", "video_id", "subject_id", "group_id"):
            columns[column] = facts[column].to_arrow()
        return conform(columns, self.schema())


def _one_hand(frames: pl.DataFrame, hands: pl.DataFrame) -> tuple[HandSequence, list[str | None]]:
    """The hand followed through a media's frames, and its handedness in each of them."""
    row_of = {number: row for row, number in enumerate(frames["frame"])}
    at = np.array([row_of[number] for number in hands["frame"]], dtype=np.int64)
    points = hands["landmarks"].to_numpy().reshape(-1, _JOINTS, 3).astype(np.float64)
    # Where no frame was decoded there is no size, and no hand for which it would matter.
    sizes = frames.select(pl.col("image_width", "image_height").max().fill_null(1))
    width, height = sizes.row(0)
    chosen = choose_rows(
        frame_index=at, landmarks=points, score=hands["score"].to_numpy().astype(np.float64),
        frames=frames.height, width=width, height=height,
    )  # fmt: skip
    seen = chosen >= 0
    landmarks = np.full((frames.height, _JOINTS, 3), np.nan)
    landmarks[seen] = points[chosen[seen]]
    tracks = np.full(frames.height, NO_TRACK, dtype=np.int64)
    tracks[seen] = hands["track_id"].to_numpy()[chosen[seen]]
    sides = hands["handedness"].to_list()
    sequence = HandSequence(landmarks, frames["timestamp_s"].to_numpy(), tracks, width, height)
    return sequence, [sides[row] if row >= 0 else None for row in chosen.tolist()]


def _grid_classes(frames: pl.DataFrame, features: FrameFeatures) -> _Ints:
    """Class of each grid frame: that of the nearest source frame, -1 where none is near enough to speak for it."""
    nearest = features.source_index
    apart = np.abs(frames["timestamp_s"].to_numpy()[nearest] - features.times)
    half = 0.5 / frames["fps"].fill_null(SCHEMA.rules.grid_hz).to_numpy()[nearest]
    classes = frames["class_id"].to_numpy()[nearest]
    return np.where(apart <= half + SCHEMA.rules.time_tolerance_s, classes, EXCLUDED).astype(np.int64)


def _main_sample(samples: _Ints, counted: NDArray[np.bool_]) -> _Ints:
    """The commonest of each row's samples (K, T), among the frames that count; the first on a tie."""
    chosen = [
        Counter(row[mask].tolist()).most_common(1)[0][0] for row, mask in zip(samples, counted, strict=True)
    ]
    return np.asarray(chosen, dtype=np.int64)


def _main_hand(handedness: list[str | None], rows: list[int]) -> str | None:
    known = Counter(side for row in rows if (side := handedness[row]) is not None)
    return known.most_common(1)[0][0] if known else None


def _nested(values: NDArray[Any]) -> pa.Array:
    """An array (K, A, B, ...) as K fixed-size lists of A fixed-size lists of B ..."""
    result = pa.array(np.ascontiguousarray(values).ravel())
    for size in reversed(values.shape[1:]):
        result = pa.FixedSizeListArray.from_arrays(result, size)
    return result
