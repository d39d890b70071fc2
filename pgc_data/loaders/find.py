"""Which files of ours a path means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pgc_data.errors import ConfigError, DataError
from pgc_data.paths import explained
from pgc_data.storage.parquet import parquet_file
from pgc_data.storage.schemas import read_metadata

TABLES = ("crops", "windows")
_FILE_NAME = re.compile(r"(?P<split>.+)-\d{5}-of-\d{5}\.parquet")


@dataclass(frozen=True)
class Found:
    """The files of one table.

    Attributes:
        path: what was asked for, resolved.
        root: the dataset folder that it belongs to.
        table: crops or windows.
        files: in the order of their names.
    """

    path: Path
    root: Path
    table: str
    files: tuple[Path, ...]


def find_table(path: Path, table: str | None) -> Found:
    """Finds a table.

    Args:
        path: a dataset folder, a folder of a table, or one file.
        table: crops or windows; None for the one that is there, and crops where both are.

    Raises:
        ConfigError: there is no such table.
        DataError: there are no files of ours, or one is not whole.
    """
    path = path.resolve()
    found: dict[str, tuple[Path, ...]]
    if path.is_file():
        found = {_table_of(path): (path,)}
        root = path.parent.parent if path.parent.name in TABLES else path.parent
    elif found := {name: files for name in TABLES if (files := _parquet_files(path / name))}:
        root = path
    elif files := _parquet_files(path):
        found, root = {_table_of(files[0]): files}, path.parent if path.name in TABLES else path
    else:
        raise DataError(
            f"no Parquet files in {path}, nor in a crops/ or windows/ folder in it: give a dataset folder, a table "
            "folder or one .parquet file"
        )
    if table is not None and table not in found:
        raise ConfigError(
            f"{path} holds {' and '.join(found)}, not {table!r}: leave the table out, or name one"
        )
    name = table or next(iter(found))
    return Found(path, root, name, found[name])


def _parquet_files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(p for p in folder.glob("*.parquet") if p.is_file() and not p.name.startswith(".")))


def _table_of(path: Path) -> str:
    with damage_named(path), parquet_file(path) as file:
        name = read_metadata(file.schema_arrow).get("schema")
    if name not in TABLES:
        raise DataError(
            f"{path} is not a table of crops or windows by pgc-data (its metadata do not say so): read it with polars "
            "or pyarrow"
        )
    return str(name)


def split_in_name(path: Path) -> str | None:
    """The split that a file's name gives.

    Example:
        >>> split_in_name(Path("crops/val-00000-of-00002.parquet")), split_in_name(Path("dataset.parquet"))
        ('val', None)
    """
    match = _FILE_NAME.fullmatch(path.name)
    return match["split"] if match else None


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Names a Parquet file that cannot be read to its end.

    Raises:
        DataError: it is not whole, or its store cannot be reached.
    """
    try:
        with explained(path):
            yield
    except (OSError, pa.ArrowException) as error:
        reason = str(error).strip().split("\n")[0].split(". ")[0].rstrip(".")
        raise DataError(
            f"{path} is not a whole Parquet file ({reason}): copy it again, or write it again"
        ) from error
