"""Which files an audit reads: a dataset folder, one table folder, or one Parquet file."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pgc_data.errors import DataError
from pgc_data.storage.parquet import parquet_file
from pgc_data.storage.schemas import HUGGINGFACE_KEY, arrow_schema

TABLES = ("crops", "windows")
KEYS = ("split", "label", "dataset", "sample_id", "video_id", "subject_id", "group_id")
CONTENT = {"crops": "image", "windows": "features"}
_NUMBERS = {
    "crops": ("class_id", "frame"),
    "windows": ("class_id", "frame_start", "frame_end", "usable_fraction"),
}
_FILE_NAME = re.compile(r"(?P<split>.+)-\d{5}-of-\d{5}\.parquet")


@dataclass(frozen=True)
class TableFiles:
    """The files of one table.

    Attributes:
        table: `crops` or `windows`.
        files: at least one Parquet file, sorted by name.
    """

    table: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Target:
    """What is audited.

    Attributes:
        path: the folder or file that was asked for.
        root: the dataset folder it belongs to, which holds `manifest.json`.
        tables: the tables found in `path`.
    """

    path: Path
    root: Path
    tables: tuple[TableFiles, ...]

    @property
    def audit_folder(self) -> Path:
        """Where the report goes by default; that of a part leaves the whole dataset's alone."""
        folder = self.root / "audit"
        return folder if self.path == self.root else folder / self.path.stem

    def relative(self, path: Path) -> str:
        """A file's path relative to the dataset folder, as the manifest has it."""
        return path.relative_to(self.root).as_posix()


def small_columns(table: str) -> tuple[str, ...]:
    """The columns that an audit holds in memory: names and numbers, no content."""
    return (*KEYS, *_NUMBERS[table])


def find_target(path: Path) -> Target:
    """Finds the tables at `path`.

    Args:
        path: a dataset folder (holding `crops/` or `windows/`), a table folder, or a Parquet file.

    Raises:
        DataError: there is no Parquet there, or none that is a crops or windows table.
    """
    path = path.resolve()
    if path.is_file():
        return Target(path, _root_of(path.parent), (_table_of((path,)),))
    folders = [files for name in TABLES if (files := _parquet_files(path / name))]
    if folders:
        return Target(path, path, tuple(_table_of(files) for files in folders))
    files = _parquet_files(path)
    if not files:
        raise DataError(
            f"no Parquet files in {path}, nor in a crops/ or windows/ folder in it: "
            "give a dataset folder, a table folder or one .parquet file"
        )
    return Target(path, _root_of(path), (_table_of(files),))


def _root_of(folder: Path) -> Path:
    return folder.parent if folder.name in TABLES else folder


def _parquet_files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(p for p in folder.glob("*.parquet") if p.is_file() and not p.name.startswith(".")))


def _table_of(files: Sequence[Path]) -> TableFiles:
    with _open(files[0]) as file:
        names = file.schema_arrow.names
    for table, column in CONTENT.items():
        if column in names:
            return TableFiles(table, tuple(files))
    found = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    raise DataError(
        f"{files[0]} has neither a column 'image' nor 'features' (it has {found}): "
        "audit reads the crops and windows tables that to-parquet writes"
    )


def open_table(path: Path, table: str) -> pq.ParquetFile:
    """Opens a file of `table` and checks the columns that an audit needs, so that others may differ.

    Raises:
        DataError: it is not whole, or a column is missing or of another type.
    """
    file = _open(path)
    try:
        _check_columns(file.schema_arrow, table, path)
    except DataError:
        file.close()
        raise
    return file


def _open(path: Path) -> pq.ParquetFile:
    try:
        # A buffered stream keeps memory flat even where one row group holds the whole table.
        return parquet_file(path, buffer_size=1 << 20)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> DataError:
    """The error for a Parquet file that cannot be read to its end."""
    reason = str(error).strip().split("\n")[0].split(". ")[0].rstrip(".")
    return DataError(f"{path} is not a whole Parquet file ({reason}): copy it again, or run to-parquet again")


def _check_columns(schema: pa.Schema, table: str, path: Path) -> None:
    declared = arrow_schema(table, T=1, F=1)
    for name in (*small_columns(table), CONTENT[table]):
        position = schema.get_field_index(name)
        if position < 0:
            raise DataError(
                f"{path} has no column {name!r}, which an audit of {table} needs: "
                "audit the files that to-parquet wrote"
            )
        found, expected = schema.field(position).type, declared.field(name).type
        right = _is_features(found) if name == "features" else found.equals(expected)
        if not right:
            wanted = "fixed-size lists of T times F floats" if name == "features" else expected
            raise DataError(f"{path}: column {name!r} is {found}, expected {wanted} in a table of {table}")


def _is_features(type_: pa.DataType) -> bool:
    lists = (type_, type_.value_type) if pa.types.is_fixed_size_list(type_) else ()
    return all(map(pa.types.is_fixed_size_list, lists)) and bool(
        lists and pa.types.is_floating(lists[1].value_type)
    )


def split_in_name(path: Path) -> str | None:
    """The split that a file's name gives.

    Example:
        >>> split_in_name(Path("crops/val-00000-of-00002.parquet")), split_in_name(Path("mine.parquet"))
        ('val', None)
    """
    match = _FILE_NAME.fullmatch(path.name)
    return match["split"] if match else None


def class_names(files: TableFiles) -> tuple[str, ...]:
    """The class names in the order of `class_id`, from the metadata; empty where it has none."""
    with open_table(files.files[0], files.table) as file:
        stored = (file.schema_arrow.metadata or {}).get(HUGGINGFACE_KEY, b"{}")
    try:
        return tuple(map(str, json.loads(stored)["info"]["features"]["class_id"]["names"]))
    except (ValueError, KeyError, TypeError):
        return ()
