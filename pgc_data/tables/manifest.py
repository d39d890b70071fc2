"""A dataset's manifest: every file with rows, bytes and sha256, and what each table was made from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pgc_data import __version__
from pgc_data.errors import DataError
from pgc_data.storage.files import read_json, sha256_file, write_json
from pgc_data.storage.parquet import parquet_file

MANIFEST_FILE = "manifest.json"


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a dataset folder, or one without tables where there is none.

    Raises:
        DataError: the file is not a manifest.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        return {"tables": {}, "files": []}
    found = read_json(path)
    try:
        fine = all(isinstance(table["fingerprint"], str) for table in found["tables"].values())
        fine = fine and all(isinstance(file["path"], str) for file in found["files"])
    except (AttributeError, KeyError, TypeError):
        fine = False
    if not fine:
        raise DataError(
            f"{path} is not a manifest of pgc-data: remove it and run `pgc-data to-parquet` again"
        )
    return dict(found)


def files_are_whole(folder: Path, manifest: Mapping[str, Any], table: str) -> bool:
    """Whether every file of a table that the manifest names is there, with the bytes it says."""
    named = [file for file in manifest["files"] if file["path"].startswith(f"{table}/")]
    paths = [(folder / file["path"], file.get("bytes")) for file in named]
    return all(path.is_file() and path.stat().st_size == size for path, size in paths)


def describe_files(folder: Path) -> list[dict[str, Any]]:
    """Path, rows (of Parquet files), bytes and sha256 of the files of a dataset, in the order of their paths."""
    paths = [*folder.glob("*/*.parquet"), *folder.glob("*.parquet"), *folder.glob("README.md")]
    return [
        {
            "path": path.relative_to(folder).as_posix(),
            "rows": _rows(path) if path.suffix == ".parquet" else None,
            "bytes": path.stat().st_size,
            "sha256": sha256_file(path),
        }
        for path in sorted(paths)
        if not path.relative_to(folder).parts[0].startswith(".") and path.parent.name != "audit"
    ]


def _rows(path: Path) -> int:
    with parquet_file(path) as file:
        return int(file.metadata.num_rows)


def write_manifest(folder: Path, tables: Mapping[str, Any]) -> None:
    """Writes `manifest.json`, the last file of a dataset: what it names is whole."""
    value = {"pgc_data_version": __version__, "tables": dict(tables), "files": describe_files(folder)}
    write_json(folder / MANIFEST_FILE, value)
