"""Rows of results written as they come, to CSV or Parquet as the file's name says."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from pgc_data.errors import ConfigError
from pgc_data.storage.files import atomic_path
from pgc_data.storage.parquet import TableWriter, table_of
from pgc_data.storage.schemas import arrow_schema, with_metadata

TABLE_SUFFIXES = (".csv", ".parquet")
_BATCH = 512


def check_suffix(option: str, path: Path, suffixes: Sequence[str]) -> None:
    """Refuses a file whose name does not say what is to be written.

    Raises:
        ConfigError: naming the option and the suffixes.
    """
    if path.suffix.lower() not in suffixes:
        raise ConfigError(
            f"{option}={path} has no known ending: give a name that ends in {' or '.join(suffixes)}"
        )


class RowWriter:
    """Writes rows of a declared table; the file appears under its name when the block ends well.

    Example:
        >>> with RowWriter(Path("out.csv"), "predictions", {}) as writer:  # doctest: +SKIP
        ...     writer.write([{"path": "a.png", "name": "a.png", "prob_pointing": 0.9, "label": "pointing"}])
    """

    def __init__(self, path: Path, table: str, facts: Mapping[str, Any]) -> None:
        """Prepares to write.

        Args:
            path: ends in .csv or .parquet.
            table: its schema in `schemas/`.
            facts: for the metadata of a Parquet file.
        """
        self._path, self._table, self._facts = path, table, facts
        self._names = arrow_schema(table).names
        self._rows: list[Mapping[str, Any]] = []

    def __enter__(self) -> RowWriter:
        self._stack = ExitStack()
        self._csv: Any = None
        if self._path.suffix.lower() == ".csv":
            temporary = self._stack.enter_context(atomic_path(self._path))
            file = self._stack.enter_context(temporary.open("w", newline="", encoding="utf-8"))
            self._csv = csv.DictWriter(file, self._names, extrasaction="ignore", lineterminator="\n")
            self._csv.writeheader()
        else:
            schema = with_metadata(arrow_schema(self._table), self._table, self._facts)
            self._parquet = self._stack.enter_context(TableWriter(self._path, schema))
        return self

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds rows; absent columns are null, or empty in CSV."""
        if self._csv is not None:
            self._csv.writerows(rows)
            return
        self._rows += rows
        if len(self._rows) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._parquet.write(table_of(self._table, self._rows))
            self._rows = []

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._csv is None:
            try:
                self._flush()
            except BaseException as error:
                self._stack.__exit__(type(error), error, error.__traceback__)
                raise
        self._stack.__exit__(kind, value, trace)
