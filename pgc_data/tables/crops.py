"""The crops table: one row a hand image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from pgc_data.datasets.vocabularies import Vocabulary
from pgc_data.hands.extractor import shard_stats
from pgc_data.storage.parquet import read_frame, read_row_groups
from pgc_data.storage.schemas import arrow_array, arrow_schema, conform
from pgc_data.tables.inputs import EXCLUDED, ExtractedSource
from pgc_data.tables.labelling import dropped_hands, labelled_hands
from pgc_data.tables.selection import Selection

_COPIED = ("frame", "timestamp_s", "hand_index", "handedness", "score", "box", "landmarks", "phash")


@dataclass(frozen=True)
class CropsBuilder:
    """Selects and writes crops.

    Attributes:
        vocabulary: classes and labels.
        min_size: least width and height of a crop, pixels.
    """

    vocabulary: Vocabulary
    min_size: int

    @property
    def name(self) -> str:
        """See `Builder`."""
        return "crops"

    @property
    def unit(self) -> str:
        """See `Builder`."""
        return "hands"

    def schema(self) -> pa.Schema:
        """Arrow schema of the table."""
        return arrow_schema("crops")

    def sizes(self) -> dict[str, int]:
        """Named dimensions of the schema: none."""
        return {}

    def settings(self) -> dict[str, Any]:
        """What besides the vocabulary decides its rows."""
        return {"min_size": self.min_size}

    def expected(self, source: ExtractedSource, shard: int) -> int:
        """Hands of a shard, as the stats of its extraction have it."""
        return (shard_stats(source.folder, shard) or {}).get("hands", 0)

    def count(
        self, source: ExtractedSource, shard: int, by: Sequence[str]
    ) -> tuple[pl.DataFrame, dict[tuple[str, str | None], int]]:
        """See `Builder`."""
        chosen, drops = self._select(source, shard)
        cells = chosen.with_columns(native_label="label").group_by("group_id", "class_id", *by)
        return cells.agg(n=pl.len(), thin=pl.len()), drops

    def _select(
        self, source: ExtractedSource, shard: int
    ) -> tuple[pl.DataFrame, dict[tuple[str, str | None], int]]:
        columns = ["media", "frame", "crop_box", "box", "image_width", "image_height", "handedness"]
        hands = read_frame(source.shard("hands", shard), "hands", columns)
        hands = hands.with_columns(width=pl.col("crop_box").arr.get(2), height=pl.col("crop_box").arr.get(3))
        small = pl.min_horizontal("width", "height") < self.min_size
        rows = labelled_hands(source, shard, hands).with_columns(
            reason=pl.coalesce(
                "reason",
                pl.when(pl.col("crop_box").is_null()).then(pl.lit("outside_image")),
                pl.when(small).then(pl.lit("too_small")),
            )
        )
        kept = pl.col("reason").is_null() & (pl.col("class_id") != EXCLUDED)
        return rows.filter(kept), dropped_hands(rows)

    def documents(self) -> dict[str, Any]:
        """See `Builder`: nothing."""
        return {}

    def rows(
        self, source: ExtractedSource, shard: int, selection: Selection
    ) -> Iterator[tuple[list[str], pa.Table]]:
        """See `Builder`: in the order of frames, at most 1,000 at a time."""
        chosen, _ = self._select(source, shard)
        groups = chosen["group_id"].to_list()
        every = np.ones(chosen.height, dtype=bool)
        chosen = chosen.with_columns(
            split=pl.Series([selection.split_of(group) for group in groups], dtype=pl.String)
        ).filter(selection.keep(groups, chosen["class_id"].to_numpy(), every, chosen["label"].to_list()))
        numbers = chosen["row"].to_numpy()
        offset = 0
        columns = ["media", "crop", *_COPIED]
        for hands in read_row_groups(source.shard("hands", shard), "hands", columns):
            first, last = np.searchsorted(numbers, [offset, offset + hands.num_rows])
            if last > first:
                taken = hands.take(arrow_array(numbers[first:last] - offset))
                mine = chosen.slice(int(first), int(last - first))
                yield mine["group_id"].to_list(), self._table(taken, mine, source)
            offset += hands.num_rows

    def _table(self, hands: pa.Table, chosen: pl.DataFrame, source: ExtractedSource) -> pa.Table:
        """Rows of the hands table and what was found for them, as rows of the crops table."""
        n = len(chosen)
        names = arrow_array(_image_paths(hands, source.source.name)).cast(pa.string())
        image = pa.StructArray.from_arrays([hands["crop"].combine_chunks(), names], names=["bytes", "path"])
        columns: dict[str, Any] = {
            "image": image,
            "image_path": names,
            "label": [self.vocabulary.classes[c] for c in chosen["class_id"]],
            "native_label": chosen["label"].to_arrow(),
            "source": [source.source.name] * n,
            "dataset": [source.source.dataset] * n,
            "licence": [source.source.licence] * n,
            **{name: hands[name] for name in _COPIED},
        }
        for name in (
            "split",
            "class_id",
            "sample_id",
            "video_id",
            "subject_id",
            "group_id",
            "width",
            "height",
        ):
            columns[name] = chosen[name].to_arrow()
        return conform(columns, arrow_schema("crops"))


def _image_paths(hands: pa.Table, source: str) -> list[str]:
    """File names that the crops would have as loose files: source/media/frame_hand.png."""
    keys = zip(*(hands[name].to_pylist() for name in ("media", "frame", "hand_index")), strict=True)
    return [f"{source}/{media}/{frame:06d}_{hand}.png" for media, frame, hand in keys]
