"""A dataset's manifest: every file with rows, bytes and sha256, and what each table was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pgc_data import __version__
from pgc_data.errors import DataError
from pgc_data.storage.files import read_json, sha256_file, write_json
from pgc_data.storage.parquet import parquet_file

MANIFEST_FILE = "manifest.json"
LEDGER_FOLDER = "ledger"


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
    paths = [(folder / file["path"], file.get("bytes")) for file in files_of(manifest, table)]
    return bool(paths) and all(path.is_file() and path.stat().st_size == size for path, size in paths)


def files_of(manifest: Mapping[str, Any], table: str) -> list[dict[str, Any]]:
    """What a manifest says of the files of a table."""
    return [file for file in manifest["files"] if file["path"].startswith(f"{table}/")]


def _describe(folder: Path, path: Path) -> dict[str, Any]:
    return {
        "path": path.relative_to(folder).as_posix(),
        "rows": _rows(path) if path.suffix == ".parquet" else None,
        "bytes": path.stat().st_size,
        "sha256": sha256_file(path),
    }


def _rows(path: Path) -> int:
    with parquet_file(path) as file:
        return int(file.metadata.num_rows)


def write_manifest(folder: Path, tables: Mapping[str, Any], files: Sequence[Mapping[str, Any]]) -> None:
    """Writes `manifest.json`, the last file of a dataset: what it names is whole.

    Args:
        folder: of the dataset.
        tables: table -> what is said of it.
        files: path, rows, bytes and sha256 of the files of the tables; the others are added here.
    """
    others = [*folder.glob("*.parquet"), *folder.glob(f"{LEDGER_FOLDER}/*.parquet"), folder / "README.md"]
    found = sorted([*files, *(_describe(folder, path) for path in others)], key=lambda file: file["path"])
    value = {"pgc_data_version": __version__, "tables": dict(tables), "files": found}
    write_json(folder / MANIFEST_FILE, value)
