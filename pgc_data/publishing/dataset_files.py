"""What of a dataset is published, and whether it is whole."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pgc_data.errors import DataError
from pgc_data.paths import explained
from pgc_data.progress import Progress
from pgc_data.publishing.licence_rules import Verdict, verdicts
from pgc_data.storage.files import read_json
from pgc_data.tables.manifest import MANIFEST_FILE, read_manifest

CARD_FILE = "README.md"
AUDIT_FOLDER = "audit"
_AUDIT_FILES = ("audit.json", "report.html")
_FAILED = ("leak", "damage")
_CHUNK = 1 << 20
_MB = 1_000_000


@dataclass(frozen=True)
class DatasetFile:
    """A file to publish.

    Attributes:
        path: in the dataset's folder and in the repository, with slashes.
        local: where it lies, here or in a store.
        bytes: its size.
        sha256: what the manifest says; None where it says nothing.
    """

    path: str
    local: Path
    bytes: int
    sha256: str | None


@dataclass(frozen=True)
class CheckedFile:
    """A file that was read from end to end.

    Attributes:
        file: which.
        sha256: of its bytes, hexadecimal.
        blob_id: what git calls a file of these bytes (a SHA-1), hexadecimal.
    """

    file: DatasetFile
    sha256: str
    blob_id: str


@dataclass(frozen=True)
class Publishable:
    """A dataset as it is to be published.

    Attributes:
        name: of the dataset.
        folder: where it lies.
        files: what is published, small ones first, so that what is wrong with the card shows early.
        licences: a verdict for each source.
        audit: verdict of its audit; None where there is none of these files.
    """

    name: str
    folder: Path
    files: tuple[DatasetFile, ...]
    licences: tuple[Verdict, ...]
    audit: str | None

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files)


def open_dataset(folder: Path) -> Publishable:
    """Says what of a dataset is published: what its manifest names, the manifest, and the report of its audit.

    Args:
        folder: `parquet/NAME` of a workspace, here or in a store.

    Raises:
        DataError: there is no dataset, a file is missing or has another size, or its audit found a leak or damage.
    """
    manifest = read_manifest(folder)
    if not manifest["tables"]:
        raise DataError(
            f"no dataset in {folder}: write it with `pgc-data to-parquet ... --name {folder.name}`"
        )
    named = {file["path"]: file for file in manifest["files"]}
    try:
        licences = verdicts(manifest["tables"])
        files = [_named_file(folder, path, named[path], manifest) for path in sorted(named)]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{folder / MANIFEST_FILE} is of another version of pgc-data ({error}); {_mend(folder)}"
        ) from error
    if not licences:
        raise DataError(f"{folder / MANIFEST_FILE} names no source, and so no licence; {_mend(folder)}")
    if CARD_FILE not in named:
        raise DataError(f"{folder / MANIFEST_FILE} names no {CARD_FILE}, the card; {_mend(folder, manifest)}")
    files.append(_own_file(folder, MANIFEST_FILE))
    audit = _audit_verdict(folder, named)
    if audit in _FAILED:
        raise DataError(
            f"the audit of {folder.name} found {'a leak' if audit == 'leak' else 'damage'} ({folder / AUDIT_FOLDER}): "
            "mend the dataset, or audit it again if it was mended"
        )
    if audit is not None:
        files += [_own_file(folder, f"{AUDIT_FOLDER}/{name}") for name in _AUDIT_FILES]
    files.sort(key=lambda file: (file.path.endswith(".parquet"), file.path))
    return Publishable(folder.name, folder, tuple(files), licences, audit)


def check_files(dataset: Publishable) -> list[CheckedFile]:
    """Reads every file, and compares it with the manifest.

    Raises:
        DataError: a file is not what the manifest says, or cannot be read.
    """
    checked = []
    with Progress("check", dataset.bytes // _MB, "MB") as progress:
        for file in dataset.files:
            sha256, blob_id = _digests(file)
            if file.sha256 not in (None, sha256):
                raise DataError(
                    f"{file.local} is not what {MANIFEST_FILE} says (another sha256); "
                    f"{_mend(dataset.folder, read_manifest(dataset.folder))}"
                )
            checked.append(CheckedFile(file, sha256, blob_id))
            progress.add(file.bytes // _MB)
    return checked


def _named_file(
    folder: Path, path: str, facts: Mapping[str, Any], manifest: Mapping[str, Any]
) -> DatasetFile:
    parts = PurePosixPath(path).parts
    if PurePosixPath(path).is_absolute() or any(part.startswith(".") for part in parts):
        raise DataError(
            f"{folder / MANIFEST_FILE} names {path!r}, which is no file of a dataset; {_mend(folder)}"
        )
    local = folder / path
    fault = None
    if not local.is_file():
        fault = "is missing"
    elif (size := local.stat().st_size) != facts["bytes"]:
        fault = f"has {size:,} bytes, not the {facts['bytes']:,} of {MANIFEST_FILE}"
    if fault:
        raise DataError(f"{local} {fault}; {_mend(folder, manifest)}")
    return DatasetFile(path, local, facts["bytes"], facts["sha256"])


def _own_file(folder: Path, path: str) -> DatasetFile:
    local = folder / path
    if not local.is_file():
        raise DataError(f"{local} is missing: run `pgc-data audit {folder.name}` again")
    return DatasetFile(path, local, local.stat().st_size, None)


def _mend(folder: Path, manifest: Mapping[str, Any] | None = None) -> str:
    """What to type. The manifest goes first: while it is there, a table may seem to be up to date."""
    tables = manifest["tables"] if manifest else {}
    derived = sorted({str(table["derived_by"]) for table in tables.values() if "derived_by" in table})
    if derived:
        command = f"pgc-data {derived[0]} ... --as {folder.name} --overwrite"
        return f"run `{command}` again, with the options it was made with"
    sources = sorted({s["name"] for table in tables.values() for s in table["sources"]})
    vocabularies = sorted({str(table["vocabulary"]) for table in tables.values()})
    words = [
        *sources,
        *(f"--vocabulary {name}" for name in vocabularies),
        *(f"--table {kind}" for kind in tables),
    ]
    command = " ".join(["pgc-data to-parquet", *(words or ["..."]), f"--name {folder.name}"])
    return f"remove {folder / MANIFEST_FILE} and run `{command}` again, with the options it was made with"


def _audit_verdict(folder: Path, named: Mapping[str, Any]) -> str | None:
    """What the audit in the folder says; None if there is none, or one of other files than these."""
    path = folder / AUDIT_FOLDER / _AUDIT_FILES[0]
    if not path.is_file():
        return None
    audit = read_json(path)
    try:
        verdict, tables = str(audit["verdict"]), audit["tables"].values()
        seen = [(f["path"], f["rows"], f["bytes"]) for table in tables for f in table["files"]]
    except (AttributeError, KeyError, TypeError):
        return None
    same = all(
        path in named and (rows, size) == (named[path]["rows"], named[path]["bytes"])
        for path, rows, size in seen
    )
    return verdict if seen and same else None


def _digests(file: DatasetFile) -> tuple[str, str]:
    sha256 = hashlib.sha256()
    # As git hashes a file; nothing is kept safe by it.
    blob = hashlib.sha1(f"blob {file.bytes}\0".encode(), usedforsecurity=False)
    try:
        with explained(file.local), file.local.open("rb") as handle:
            while chunk := handle.read(_CHUNK):
                sha256.update(chunk)
                blob.update(chunk)
    except OSError as error:
        raise DataError(f"{file.local} cannot be read: {error.strerror or error}") from error
    return sha256.hexdigest(), blob.hexdigest()
