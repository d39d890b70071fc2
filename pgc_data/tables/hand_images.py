"""The windows table of features of images: one row a hand, in one frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from pgc_data.datasets.vocabularies import Vocabulary
from pgc_data.features import SCHEMA, ImageSet, box_features, mirrored
from pgc_data.hands.extractor import shard_stats
from pgc_data.storage.parquet import read_frame
from pgc_data.storage.schemas import arrow_schema, conform
from pgc_data.tables.inputs import EXCLUDED, ExtractedSource
from pgc_data.tables.labelling import dropped_hands, labelled_hands
from pgc_data.tables.selection import Selection
from pgc_data.tables.windows import nested

_HANDS = [
    "media",
    "frame",
    "timestamp_s",
    "hand_index",
    "box",
    "image_width",
    "image_height",
    "landmarks",
    "handedness",
]
_JOINTS = len(SCHEMA.joint_names)


@dataclass(frozen=True)
class HandImagesBuilder:
    """Writes the features of every hand by itself; a hand takes the label of the annotated box it lies in.

    Attributes:
        vocabulary: classes and labels.
        features: the feature set.
    """

    vocabulary: Vocabulary
    features: ImageSet

    @property
    def name(self) -> str:
        """See `Builder`."""
        return "windows"

    @property
    def unit(self) -> str:
        """See `Builder`."""
        return "hands"

    def schema(self) -> pa.Schema:
        """Arrow schema of the table."""
        return arrow_schema("windows", **self.sizes())

    def sizes(self) -> dict[str, int]:
        """Named dimensions of the schema: one frame, features of a frame."""
        return {"T": 1, "F": self.features.dims}

    def settings(self) -> dict[str, Any]:
        """What besides the vocabulary decides its rows."""
        return {"features": self.features.full_name}

    def documents(self) -> dict[str, Any]:
        """What the files' metadata say of the features."""
        return {"feature_schema": self.features.document, "graph": self.features.graph}

    def expected(self, source: ExtractedSource, shard: int) -> int:
        """Hands of a shard, as the stats of its extraction have it."""
        return (shard_stats(source.folder, shard) or {}).get("hands", 0)

    def count(
        self, source: ExtractedSource, shard: int, by: Sequence[str]
    ) -> tuple[pl.DataFrame, dict[tuple[str, str | None], int]]:
        """See `Builder`."""
        hands, _, drops = self._select(source, shard)
        cells = hands.with_columns(native_label="label").group_by("group_id", "class_id", *by)
        return cells.agg(n=pl.len(), thin=pl.len()), drops

    def rows(
        self, source: ExtractedSource, shard: int, selection: Selection
    ) -> Iterator[tuple[list[str], pa.Table]]:
        """See `Builder`: in the order of images."""
        hands, features, _ = self._select(source, shard)
        every = np.ones(hands.height, dtype=bool)
        groups, labels = hands["group_id"].to_list(), hands["label"].to_list()
        kept = np.flatnonzero(selection.keep(groups, hands["class_id"].to_numpy(), every, labels))
        if kept.size:
            mine = hands[kept]
            yield mine["group_id"].to_list(), self._table(mine, features[kept], source, selection)

    def _select(
        self, source: ExtractedSource, shard: int
    ) -> tuple[pl.DataFrame, np.ndarray[Any, np.dtype[np.float32]], dict[tuple[str, str | None], int]]:
        """The hands to write, their features (n, F), and what is dropped."""
        hands = labelled_hands(source, shard, read_frame(source.shard("hands", shard), "hands", _HANDS))
        features, usable = self._features(hands)
        no_landmarks = pl.col("landmarks").is_null()
        hands = hands.with_columns(
            reason=pl.coalesce(
                "reason",
                pl.when(no_landmarks).then(pl.lit("no_landmarks")),
                pl.when(~pl.Series(usable)).then(pl.lit("degenerate_hand")),
            )
        )
        kept = (hands["reason"].is_null() & (hands["class_id"] != EXCLUDED)).to_numpy()
        return hands.filter(kept), features[kept], dropped_hands(hands)

    def _features(self, hands: pl.DataFrame) -> tuple[Any, Any]:
        landmarks = np.full((hands.height, _JOINTS, 3), np.nan)
        known = hands["landmarks"].is_not_null().to_numpy()
        landmarks[known] = hands["landmarks"].drop_nulls().to_numpy().reshape(-1, _JOINTS, 3)
        boxes = hands["box"].to_numpy().reshape(-1, 4).astype(np.float64)
        sizes = hands.select("image_width", "image_height").to_numpy().astype(np.float64)
        features, usable = box_features(landmarks, boxes, sizes)
        if self.features.mirror_left:
            features = mirrored(features, (hands["handedness"] == "Left").fill_null(False).to_numpy())
        return features, usable

    def _table(
        self,
        hands: pl.DataFrame,
        features: np.ndarray[Any, np.dtype[np.float32]],
        source: ExtractedSource,
        selection: Selection,
    ) -> pa.Table:
        n, name = hands.height, source.source.name
        ids = zip(hands["media"], hands["frame"], hands["hand_index"], strict=True)
        columns: dict[str, Any] = {
            "split": [selection.split_of(group) for group in hands["group_id"]],
            "label": [self.vocabulary.classes[c] for c in hands["class_id"]],
            "class_id": hands["class_id"].to_arrow(),
            "source": [name] * n,
            "window_id": [f"{name}/{media}:{frame}#{hand}" for media, frame, hand in ids],
            "dataset": [source.source.dataset] * n,
            "frame_start": hands["frame"].to_arrow(),
            "frame_end": hands["frame"].to_arrow(),
            "time_start_s": hands["timestamp_s"].to_arrow(),
            "fps_source": hands["fps"].to_arrow(),
            "fps_grid": pa.nulls(n, pa.float32()),
            "handedness": hands["handedness"].to_arrow(),
            "features": nested(features[:, None, :]),
            "usable": nested(np.ones((n, 1), dtype=bool)),
            "usable_fraction": np.ones(n),
            "has_z": np.zeros(n, dtype=bool),
            "native_label": hands["label"].to_arrow(),
            "feature_schema": [self.features.full_name] * n,
            "licence": [source.source.licence] * n,
        }
        for column in ("sample_id", "video_id", "subject_id", "group_id"):
            columns[column] = hands[column].to_arrow()
        return conform(columns, self.schema())
