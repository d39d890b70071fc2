"""Files that are whole or not there: temporary name, close, fsync, rename."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pgc_data.errors import DataError
from pgc_data.paths import explained, remote_of
from pgc_data.storage.remote import remove_tree, uploaded

_CHUNK = 1 << 20


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` to write to; on leaving, syncs it and renames it to `path`.

    When the block raises, the temporary file is removed and `path` stays as it was. Where `path` is in an object
    store, the temporary file is on this machine, and sent there when it is whole.

    Raises:
        DataError: the folder cannot be written, or the disk is full.
    """
    remote = remote_of(path)
    if remote is not None:
        with uploaded(remote) as temporary:
            yield temporary
        return
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        sync_file(temporary)
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        # Gone after a good end; where even that cannot be done, the error above says why.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Makes what was written to a file last through a power cut."""
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())


def _sync_folder(folder: Path) -> None:
    """Makes a rename last through a power cut, where folders can be synced (not on Windows)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def unwritable(path: Path, error: OSError) -> DataError:
    """The error for a path that could not be written, saying why and what to do."""
    if error.errno == errno.ENOSPC:
        return DataError(f"no space left to write {path}: free some, then run the same command again")
    reason = error.strerror or str(error)
    return DataError(
        f"cannot write {path}: {reason.lower()}; check the folder, or choose another --workspace"
    )


def ensure_writable(folder: Path) -> None:
    """Makes `folder` if needed and checks that files can be made in it.

    Raises:
        DataError: it cannot be made or written.
    """
    probe = folder / f".probe-{os.getpid()}"
    if (remote := remote_of(probe)) is not None:
        with explained(remote):
            remote.filesystem.pipe_file(str(remote), b"")
            remote.filesystem.rm_file(str(remote))
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise unwritable(folder, error) from error


def folder_entries(folder: Path) -> Iterator[tuple[str, bool]]:
    """Name of everything in `folder`, in no order, and whether that is a folder.

    Raises:
        OSError: it is missing or cannot be read.
    """
    if (remote := remote_of(folder)) is not None:
        yield from remote.entries()
        return
    with os.scandir(folder) as found:
        for entry in found:
            yield entry.name, entry.is_dir()


def folder_names(folder: Path) -> list[str]:
    """The names that `folder_entries` gives, sorted."""
    remote = remote_of(folder)
    return sorted(os.listdir(folder) if remote is None else [name for name, _ in remote.entries()])  # noqa: PTH208


def log_folder(folder: Path) -> Path:
    """Where logs of work on `folder` go, absolute: into it, or where it is in a store, to this machine."""
    remote = remote_of(folder)
    if remote is None:
        return folder.absolute() / "logs"
    return Path(tempfile.gettempdir()) / "pgc-data-logs" / sha256_bytes(str(remote).encode())[:16]


def remove_folder(folder: Path) -> None:
    """Removes `folder` and all in it, as far as that can be done."""
    if (remote := remote_of(folder)) is not None:
        remove_tree(remote)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes `data` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Writes `text` to `path` atomically: UTF-8, line ends as given."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Writes `value` to `path` atomically as indented JSON, in the order given."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads a JSON file that pgc-data wrote.

    Raises:
        DataError: it is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing") from error
    except (ValueError, OSError) as error:
        raise DataError(
            f"{path} cannot be read as JSON ({error}): remove it and run the stage again"
        ) from error


def sha256_bytes(data: bytes) -> str:
    """The sha256 of `data`, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_json(value: Any) -> str:
    """The sha256 of a JSON value in canonical form."""
    return sha256_bytes(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


def sha256_file(path: Path) -> str:
    """The sha256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with explained(path), path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
