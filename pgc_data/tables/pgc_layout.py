"""The crops table in the layout of PGC, the pointing-gesture reference, whose trainer reads one file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pgc_data.storage.schemas import arrow_schema, conform
from pgc_data.tables.crops import CropsBuilder
from pgc_data.tables.inputs import ExtractedSource
from pgc_data.tables.selection import Selection


class PgcBuilder(CropsBuilder):
    """Selects crops as `CropsBuilder` does, and writes the six columns that PGC knows."""

    @property
    def name(self) -> str:
        """See `Builder`."""
        return "pgc"

    def schema(self) -> pa.Schema:
        """Arrow schema of the table."""
        return arrow_schema("pgc")

    def rows(
        self, source: ExtractedSource, shard: int, selection: Selection
    ) -> Iterator[tuple[list[str], pa.Table]]:
        """See `Builder`."""
        for groups, crops in super().rows(source, shard, selection):
            columns: dict[str, Any] = {
                name: crops[name] for name in self.schema().names if name in crops.schema.names
            }
            columns["image_bytes"] = pc.struct_field(crops["image"], "bytes")
            yield groups, conform(columns, self.schema())
