"""Clips of a shard as sequences that features are computed from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pgc_data.errors import DataError
from pgc_data.features import SCHEMA, BodySequence, HandSequence, choose_rows
from pgc_data.features.body import BODY_PARTS
from pgc_data.features.sequence import NO_TRACK
from pgc_data.storage.parquet import read_frame
from pgc_data.tables.inputs import ExtractedSource
from pgc_data.tables.labelling import label_frames

# Code of a side in `Clip.sides`.
SIDES = ("Left", "Right")
UNKNOWN_SIDE = -1

_FRAMES = ["media", "frame", "timestamp_s", "image_width", "image_height"]
_HANDS = ["media", "frame", "track_id", "handedness", "score", "landmarks"]
_PARTS = tuple(BODY_PARTS)
_JOINTS = len(SCHEMA.joint_names)


S = TypeVar("S", HandSequence, BodySequence)


@dataclass(frozen=True, eq=False)
class Clip(Generic[S]):
    """One media, of N frames.

    Attributes:
        media: as in samples.
        frames: its rows of the frames table, with the `class_id`, `sample` and `fps` of each.
        sequence: what was found in them.
        sides: (N,) index into `SIDES` of the hand kept in each frame, -1 where there is none or it is unknown.
    """

    media: str
    frames: pl.DataFrame
    sequence: S
    sides: NDArray[np.int8]


def hand_clips(source: ExtractedSource, shard: int) -> Iterator[Clip[HandSequence]]:
    """The clips of a shard with one hand followed through each."""
    hands = read_frame(source.shard("hands", shard), "hands", _HANDS)
    found = hands.filter(pl.col("landmarks").is_not_null()).partition_by("media", as_dict=True)
    for media, frames in _labelled_frames(source, shard):
        sequence, sides = _one_hand(frames, found.get((media,), hands.clear()), source.has_z)
        yield Clip(media, frames, sequence, sides)


def require_bodies(source: ExtractedSource) -> None:
    """Checks that pose and face were extracted too.

    Raises:
        DataError: they were not.
    """
    if source.facts.get("backend") != "holistic":
        raise DataError(
            f"{source.folder} holds hands alone: run `pgc-data extract {source.source.name} --backend holistic "
            "--restart` for pose and face too"
        )


def body_clips(source: ExtractedSource, shard: int) -> Iterator[Clip[BodySequence]]:
    """The clips of a shard with pose, face and hands; see `require_bodies`."""
    path = source.shard("holistic", shard)
    columns = ["media", "frame", *_PARTS]
    bodies = read_frame(path, "holistic", columns)
    found = bodies.partition_by("media", as_dict=True)
    for media, frames in _labelled_frames(source, shard):
        yield Clip(
            media,
            frames,
            _body(frames, found.get((media,), bodies.clear())),
            np.full(frames.height, UNKNOWN_SIDE, dtype=np.int8),
        )


def _labelled_frames(source: ExtractedSource, shard: int) -> Iterator[tuple[str, pl.DataFrame]]:
    """Each media of a shard with its frames and what is known of them."""
    frames = read_frame(source.shard("frames", shard), "frames", _FRAMES)
    samples = source.samples_of(frames["media"].unique(maintain_order=True))
    frames = frames.with_row_index("row")
    labels = label_frames(frames, samples).select("row", "class_id", "sample")
    frames = frames.join(labels, on="row", how="left", maintain_order="left").join(
        samples.select("sample", "fps"), on="sample", how="left", maintain_order="left"
    )
    for (media,), table in frames.partition_by("media", as_dict=True, maintain_order=True).items():
        yield str(media), table


def _one_hand(
    frames: pl.DataFrame, hands: pl.DataFrame, has_z: bool
) -> tuple[HandSequence, NDArray[np.int8]]:
    """The hand followed through a media's frames, and its side in each of them."""
    points = hands["landmarks"].to_numpy().reshape(-1, _JOINTS, 3).astype(np.float64)
    width, height = _size(frames)
    chosen = choose_rows(
        frame_index=_rows_of(frames, hands), landmarks=points,
        score=hands["score"].to_numpy().astype(np.float64), frames=frames.height, width=width, height=height,
        has_z=has_z,
    )  # fmt: skip
    seen = chosen >= 0
    landmarks = np.full((frames.height, _JOINTS, 3), np.nan)
    landmarks[seen] = points[chosen[seen]]
    tracks = np.full(frames.height, NO_TRACK, dtype=np.int64)
    tracks[seen] = hands["track_id"].to_numpy()[chosen[seen]]
    sides = np.full(frames.height, UNKNOWN_SIDE, dtype=np.int8)
    codes = hands["handedness"].replace_strict(
        SIDES, range(len(SIDES)), default=UNKNOWN_SIDE, return_dtype=pl.Int8
    )
    sides[seen] = codes.fill_null(UNKNOWN_SIDE).to_numpy()[chosen[seen]]
    times = frames["timestamp_s"].to_numpy()
    return HandSequence(landmarks, times, tracks, width, height, has_z), sides


def _body(frames: pl.DataFrame, bodies: pl.DataFrame) -> BodySequence:
    at = _rows_of(frames, bodies)
    parts = {name: _part(bodies[name], at, frames.height) for name in _PARTS}
    width, height = _size(frames)
    return BodySequence(timestamps=frames["timestamp_s"].to_numpy(), width=width, height=height, **parts)


def _part(column: pl.Series, at: NDArray[np.int64], frames: int) -> NDArray[np.float64]:
    """A part's points (N, J, D), NaN where it is missing."""
    points, axes = column.dtype.shape  # type: ignore[attr-defined]  # a fixed-size array, by the table's schema
    values = np.full((frames, points, axes), np.nan)
    seen = column.is_not_null().to_numpy()
    values[at[seen]] = column.drop_nulls().to_numpy()
    return values


def _rows_of(frames: pl.DataFrame, found: pl.DataFrame) -> NDArray[np.int64]:
    """Row of `frames` (sorted by frame number) that each row of `found` belongs to."""
    rows: NDArray[np.int64] = np.searchsorted(frames["frame"].to_numpy(), found["frame"].to_numpy()).astype(
        np.int64
    )
    return rows


def _size(frames: pl.DataFrame) -> tuple[int, int]:
    # Where no frame was decoded there is no size, and no hand for which it would matter.
    width, height = frames.select(pl.col("image_width", "image_height").max().fill_null(1)).row(0)
    return int(width), int(height)
