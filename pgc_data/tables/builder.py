"""What makes the rows of one kind of table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import polars as pl
import pyarrow as pa

from pgc_data.datasets.vocabularies import Vocabulary
from pgc_data.tables.inputs import ExtractedSource
from pgc_data.tables.selection import Selection

Drops = Mapping[tuple[str, str | None], int]
"""Units dropped by (reason, label)."""


class Builder(Protocol):
    """Makes the rows of one kind of table out of the shards of extracted sources."""

    @property
    def name(self) -> str:
        """crops, windows or pgc."""

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

    def count(self, source: ExtractedSource, shard: int, by: Sequence[str]) -> tuple[pl.DataFrame, Drops]:
        """What a shard gives: `group_id, class_id`, the columns `by`, `n, thin`, and units dropped by (reason, label).

        `n` rows are written if the group lies in train or a fold, `thin` of them else.
        """

    def rows(
        self, source: ExtractedSource, shard: int, selection: Selection
    ) -> Iterator[tuple[list[str], pa.Table]]:
        """The rows that the selection keeps, in order, after the group of each."""
