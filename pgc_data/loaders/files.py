"""The files of one table: what version they are of, and which rows of which row group lie in which split."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pgc_data.errors import DataError
from pgc_data.loaders.find import damage_named, split_in_name
from pgc_data.splits import TEST, TRAIN, VAL
from pgc_data.storage.files import sha256_json
from pgc_data.storage.parquet import parquet_file
from pgc_data.storage.schemas import read_metadata, table_schema

_NAMED = (TRAIN, VAL, TEST)
_FOLD = re.compile(r"fold-(\d+)")


@dataclass(frozen=True)
class RowGroup:
    """The rows of one row group that lie in one split.

    Attributes:
        file: number of its file in the table.
        number: of the row group in its file.
        rows: how many of its rows lie in the split.
        start: row of the file that it begins with.
        size: bytes of all its columns before compression.
        taken: which of its rows lie in the split, or None for all of them.
    """

    file: int
    number: int
    rows: int
    start: int
    size: int
    taken: NDArray[np.int64] | None = None

    def row(self, index: int) -> int:
        """The row of the file, from 0, of row `index` of these."""
        return self.start + int(index if self.taken is None else self.taken[index])


@dataclass(frozen=True)
class TableFile:
    """One file of a table.

    Attributes:
        path: where it is.
        names: the columns that it has.
        rows: how many.
        bytes: size of the file.
    """

    path: Path
    names: frozenset[str]
    rows: int
    bytes: int


@dataclass(frozen=True)
class Table:
    """A table as its files have it.

    Attributes:
        name: crops or windows.
        schema: columns as this version of pgc-data declares them, all nullable; a file of an older version lacks some.
        metadata: what the first file says of itself; see `read_metadata`.
        files: in the order of their names.
        splits: split -> its row groups, in the order of the files.
        by_name: whether each file holds one split, which its name gives.
    """

    name: str
    schema: pa.Schema
    metadata: Mapping[str, Any]
    files: tuple[TableFile, ...]
    splits: Mapping[str, tuple[RowGroup, ...]]
    by_name: bool

    @cached_property
    def digest(self) -> str:
        """Changes when the table is written anew of something else: its fingerprint, and its files' rows and bytes."""
        files = [[file.path.name, file.rows, file.bytes] for file in self.files]
        return sha256_json({"fingerprint": self.metadata.get("fingerprint"), "files": files})


def open_table(name: str, paths: Sequence[Path]) -> Table:
    """Reads the ends of a table's files.

    Args:
        name: crops or windows.
        paths: its files.

    Raises:
        DataError: a file is not whole, is not by pgc-data, is by a newer one, or its columns are not the table's.
    """
    files, groups, schemas = [], [], []
    for number, path in enumerate(paths):
        with damage_named(path), parquet_file(path) as file:
            schemas.append(_declared(file.schema_arrow, name, path))
            if not schemas[-1].equals(schemas[0]):
                raise DataError(
                    f"{path} has other sizes than {paths[0]}: it belongs to another table of {name}"
                )
            files.append(
                TableFile(
                    path, frozenset(file.schema_arrow.names), file.metadata.num_rows, path.stat().st_size
                )
            )
            groups += list(_split_groups(file, number, split_in_name(path)))
    splits: dict[str, list[RowGroup]] = {}
    for split, group in groups:
        splits.setdefault(split, []).append(group)
    ordered = {split: tuple(splits[split]) for split in sorted(splits, key=_split_order)}
    metadata = read_metadata(schemas[0])
    by_name = all(split_in_name(path) is not None for path in paths)
    return Table(name, schemas[0].remove_metadata(), metadata, tuple(files), ordered, by_name)


def _split_order(split: str) -> tuple[int, int, str]:
    """train, val and test first, then folds by their numbers."""
    if split in _NAMED:
        return 0, _NAMED.index(split), split
    fold = _FOLD.fullmatch(split)
    return (1, int(fold[1]), split) if fold else (2, 0, split)


def fold_count(splits: Collection[str]) -> int:
    """How many folds there are, with those that have no row here: 0 where there are splits of other names."""
    found = [_FOLD.fullmatch(split) for split in splits]
    return 1 + max((int(fold[1]) for fold in found if fold), default=-1) if all(found) else 0


def _declared(found: pa.Schema, name: str, path: Path) -> pa.Schema:
    """The schema of table `name` as this version has it, with the metadata of the file, which may lack new columns."""
    facts, declared = read_metadata(found), table_schema(name)
    if facts.get("schema") != name:
        raise DataError(
            f"{path} is not a table of {name} by pgc-data (its metadata do not say so): "
            "read it with polars or pyarrow"
        )
    version = facts["schema_version"]
    if version > declared.version:
        raise DataError(
            f"{path} holds {name} in version {version}, this pgc-data reads up to version {declared.version}: "
            "pip install --upgrade pgc-data"
        )
    try:
        schema = declared.arrow(**facts.get("sizes", {}))
    except KeyError as error:
        raise DataError(f"{path} does not say its size {error}: run to-parquet again") from error
    for column, field in zip(declared.columns, schema, strict=True):
        position = found.get_field_index(field.name)
        if position < 0 and column.nullable and version < declared.version:
            continue
        if position < 0:
            raise DataError(
                f"{path} has no column {field.name!r}, which a table of {name} has: run to-parquet again"
            )
        if not found.field(position).type.equals(field.type):
            raise DataError(
                f"{path}: column {field.name!r} is {found.field(position).type}, expected {field.type}: run to-parquet "
                "again"
            )
    return pa.schema([field.with_nullable(True) for field in schema], found.metadata)


def _split_groups(file: pq.ParquetFile, number: int, split: str | None) -> Iterator[tuple[str, RowGroup]]:
    """The row groups of a file by split: that of its name, else those of its column, in the order of first rows."""
    start = 0
    for index in range(file.num_row_groups):
        group = file.metadata.row_group(index)
        whole = split or _only_split(group)
        if whole is not None:
            yield whole, RowGroup(number, index, group.num_rows, start, group.total_byte_size)
        else:
            names = np.array(file.read_row_group(index, columns=["split"])["split"].to_pylist(), dtype=object)
            for name in dict.fromkeys(names):
                taken = np.flatnonzero(names == name)
                yield str(name), RowGroup(number, index, len(taken), start, group.total_byte_size, taken)
        start += group.num_rows


def _only_split(group: Any) -> str | None:
    """The one split that all rows of a row group have, if its statistics say so."""
    for index in range(group.num_columns):
        column = group.column(index)
        if column.path_in_schema == "split":
            found = column.statistics
            known = found is not None and found.has_min_max and found.null_count == 0
            return str(found.min) if known and found.min == found.max else None
    return None


class RowGroupReader:
    """Reads row groups of a table; files are opened when first needed, by each thread of each process anew."""

    def __init__(self, table: Table, columns: Sequence[str], threads: bool = False) -> None:
        """Prepares to read.

        Args:
            table: what to read of.
            columns: names, or Parquet's own paths, such as `image.bytes`.
            threads: whether to decode the columns of a row group side by side.
        """
        self._table = table
        self._columns = list(columns)
        self._threads = threads
        self._open = threading.local()

    def read(self, group: RowGroup) -> pa.Table:
        """The rows of `group`; a column that the file is too old to have is null.

        Raises:
            DataError: a page of it is damaged, or the file is gone.
        """
        file = self._table.files[group.file]
        present = [name for name in self._columns if name.split(".")[0] in file.names]
        with damage_named(file.path):
            rows = self._file(group.file).read_row_group(group.number, present, use_threads=self._threads)
        if group.taken is not None:
            rows = rows.take(pa.array(group.taken))
        for name in self._columns:
            if name not in present:
                field = self._table.schema.field(name)
                rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
        return rows

    def _file(self, number: int) -> pq.ParquetFile:
        # What was opened before a fork cannot be shared by both sides of it where it is a connection.
        opened: dict[str, pq.ParquetFile] = self._open.__dict__
        key = f"{os.getpid()} {number}"
        if key not in opened:
            opened[key] = parquet_file(self._table.files[number].path)
        return opened[key]
