"""Reading and writing Parquet: one declared schema a table, files whole or not there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pgc_data.errors import DataError
from pgc_data.paths import explained
from pgc_data.storage.files import atomic_path
from pgc_data.storage.remote import parquet_source
from pgc_data.storage.schemas import arrow_schema, check_schema, conform, with_metadata

IMAGE_GROUP_ROWS = 1000
NUMBER_GROUP_ROWS = 100_000
GROUP_BYTES = 64 << 20
# A loader holds several row groups of features at once.
_FEATURES_GROUP_BYTES = 16 << 20


def content_group_rows(schema: pa.Schema) -> int:
    """Rows of a row group in a table of images or features: a loader can hold a few of them, and skip the others."""
    if any(pa.types.is_binary(type_) for _, type_ in _leaves(schema)):
        return IMAGE_GROUP_ROWS
    row = sum(_fixed_bytes(field.type) for field in schema)
    return min(max(_FEATURES_GROUP_BYTES // row, 1), NUMBER_GROUP_ROWS)


class TableWriter:
    """Writes one Parquet file batch by batch; the file appears under its name when the block ends well.

    A row group ends after `IMAGE_GROUP_ROWS` rows in a table with images (`NUMBER_GROUP_ROWS` in others) or
    `GROUP_BYTES` of data. Where it ends depends on the rows alone, not on how they came in batches, so that
    equal tables give equal files.

    Attributes:
        rows: written so far.
        sha256: of the bytes that were written, when the block has ended.

    Example:
        >>> with TableWriter(path, arrow_schema("splits")) as writer:  # doctest: +SKIP
        ...     writer.write(table)
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Prepares to write `path` with `schema`, metadata included."""
        self.rows = 0
        self.sha256 = ""
        self._path = path
        self._schema = schema
        binary = any(pa.types.is_binary(type_) for _, type_ in _leaves(schema))
        self._group_rows = IMAGE_GROUP_ROWS if binary else NUMBER_GROUP_ROWS
        self._group: list[pa.Table] = []
        self._rows_in_group = 0
        self._bytes_in_group = 0

    def __enter__(self) -> TableWriter:
        self._stack = ExitStack()
        temporary = self._stack.enter_context(atomic_path(self._path))
        self._sink = self._stack.enter_context(_HashedFile(temporary))
        self._writer = pq.ParquetWriter(self._sink, self._schema, **_writer_options(self._schema))
        self._stack.enter_context(self._writer)
        return self

    def write(self, table: pa.Table) -> None:
        """Adds rows. Columns must be the schema's, in any order."""
        table = table.select(self._schema.names).cast(self._schema)
        ends = np.cumsum(_row_bytes(table))
        start = 0
        while start < table.num_rows:
            done = int(ends[start - 1]) if start else 0
            by_bytes = int(np.searchsorted(ends, done + GROUP_BYTES - self._bytes_in_group)) + 1
            stop = min(start + self._group_rows - self._rows_in_group, by_bytes, table.num_rows)
            self._group.append(table.slice(start, stop - start))
            self._rows_in_group += stop - start
            self._bytes_in_group += int(ends[stop - 1]) - done
            if self._rows_in_group >= self._group_rows or self._bytes_in_group >= GROUP_BYTES:
                self.end_group()
            start = stop
        self.rows += table.num_rows

    def end_group(self) -> None:
        """Ends the row group here; does nothing where none has begun."""
        if self._group:
            group = pa.concat_tables(self._group)
            self._writer.write_table(group, row_group_size=group.num_rows)
        self._group, self._rows_in_group, self._bytes_in_group = [], 0, 0

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stack.__exit__(kind, value, trace)
            return
        with self._stack:
            self.end_group()
        self.sha256 = self._sink.sha256()


class _HashedFile:
    """A file to write that knows the sha256 of what was written."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return self._file.write(data)

    def sha256(self) -> str:
        return self._digest.hexdigest()

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    @property
    def closed(self) -> bool:
        return self._file.closed

    def __enter__(self) -> _HashedFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def _leaves(schema: pa.Schema) -> Iterator[tuple[str, pa.DataType]]:
    """Parquet's own column paths with their types, such as `image.bytes` and `box.list.element`."""
    for field in schema:
        yield from _type_leaves(field.name, field.type)


def _type_leaves(path: str, type_: pa.DataType) -> Iterator[tuple[str, pa.DataType]]:
    if pa.types.is_struct(type_):
        for field in type_:
            yield from _type_leaves(f"{path}.{field.name}", field.type)
    elif pa.types.is_list(type_) or pa.types.is_fixed_size_list(type_):
        yield from _type_leaves(f"{path}.list.element", type_.value_type)
    else:
        yield path, type_


def _writer_options(schema: pa.Schema) -> dict[str, Any]:
    """PNG bytes do not compress: no codec and no dictionary for binary columns, zstd for the rest."""
    leaves = list(_leaves(schema))
    return {
        "compression": {path: "none" if pa.types.is_binary(type_) else "zstd" for path, type_ in leaves},
        "use_dictionary": [path for path, type_ in leaves if pa.types.is_string(type_)],
        "write_page_index": True,
        "use_content_defined_chunking": True,
    }


def _row_bytes(table: pa.Table) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Roughly how many bytes each row holds: fixed-size values, and the length of binary ones."""
    sizes = np.full(table.num_rows, 1, dtype=np.int64)
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_struct(column.type):
            column = pc.struct_field(column, 0)
        if pa.types.is_binary(column.type):
            sizes += pl.Series(pc.binary_length(column)).fill_null(0).to_numpy()
        else:
            sizes += _fixed_bytes(column.type)
    return sizes


def _fixed_bytes(type_: pa.DataType) -> int:
    if pa.types.is_fixed_size_list(type_):
        return int(type_.list_size) * _fixed_bytes(type_.value_type)
    return 8 if pa.types.is_float64(type_) or pa.types.is_int64(type_) else 4


def write_table(path: Path, rows: pa.Table, name: str, facts: Mapping[str, Any]) -> int:
    """Writes `rows` as table `name` of `schemas/` to `path`, atomically. Returns the number of rows."""
    with TableWriter(path, with_metadata(arrow_schema(name), name, facts)) as writer:
        writer.write(rows)
    return writer.rows


def table_of(name: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows given as dictionaries, as table `name`; absent nullable columns become null."""
    schema, rows = arrow_schema(name), list(rows)
    return conform({column: [row.get(column) for row in rows] for column in schema.names}, schema)


def parquet_file(path: Path, **options: Any) -> pq.ParquetFile:
    """Opens a Parquet file, wherever it is.

    Args:
        path: of the file.
        options: of `pyarrow.parquet.ParquetFile`; a large file in a store is opened with its own.

    Raises:
        OSError: it is missing or cannot be read.
        pyarrow.ArrowException: it is not Parquet, or not whole.
        DataError: it is in a store that refuses or cannot be reached.
    """
    with explained(path):
        source, needed = parquet_source(path)
        return pq.ParquetFile(source, **(needed or options))


def open_parquet(path: Path, name: str) -> pq.ParquetFile:
    """Opens a Parquet file and checks that it holds table `name`.

    Raises:
        DataError: it is missing, is not Parquet, or holds other columns.
    """
    try:
        file = parquet_file(path)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing") from error
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"{path} is not a whole Parquet file ({error}): run the stage that wrote it"
        ) from error
    try:
        check_schema(file.schema_arrow, name, str(path))
    except DataError:
        file.close()
        raise
    return file


def read_table(path: Path, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads a whole Parquet file that holds table `name`; see `open_parquet`."""
    tables = list(read_row_groups(path, name, columns))
    if tables:
        return pa.concat_tables(tables)
    with open_parquet(path, name) as file:
        return file.schema_arrow.empty_table().select(columns or file.schema_arrow.names)


def read_frame(path: Path, name: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """As `read_table`, as a polars frame."""
    frame = pl.from_arrow(read_table(path, name, columns))
    assert isinstance(frame, pl.DataFrame)
    return frame


def read_row_groups(
    path: Path, name: str, columns: Sequence[str] | None = None, chosen: Iterable[int] | None = None
) -> Iterator[pa.Table]:
    """Reads a Parquet file, or the row groups `chosen` by number, one row group at a time.

    `iter_batches` over a whole file would keep every row group in memory until it ends.

    Raises:
        DataError: see `open_parquet`; or a page of it is damaged.
    """
    with open_parquet(path, name) as file:
        for group in range(file.num_row_groups) if chosen is None else chosen:
            try:
                with explained(path):
                    table = file.read_row_group(group, columns=None if columns is None else list(columns))
            except (OSError, pa.ArrowException) as error:
                raise DataError(
                    f"{path} is damaged ({error}): remove it and run the stage that wrote it"
                ) from error
            yield table
