"""Files of an object store: brought here to be read, sent there whole, copied and removed without coming here."""

from __future__ import annotations

import atexit
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from filelock import BaseFileLock, FileLock, Timeout

from pgc_data.errors import DataError
from pgc_data.paths import RemotePath, explained, remote_of

# Up to here one request for all of a file is faster than several for what is wanted of it.
_READ_WHOLE = 4 << 20
_CONNECTIONS = 16
_PREFIX, _HELD = "pgc-data-store-", ".held"
_locks: list[BaseFileLock] = []
# They are in memory before they are on disk.
_FILES_AT_A_TIME = 64


@contextmanager
def uploaded(path: RemotePath) -> Iterator[Path]:
    """Yields a temporary file of this machine to write; on leaving, sends it to `path`, where it appears whole.

    When the block raises, nothing is sent and `path` stays as it was.

    Raises:
        DataError: the disk is full, or the store refuses or cannot be reached.
    """
    with temporary_folder() as folder:
        temporary = folder / path.name
        yield temporary
        with explained(path):
            path.filesystem.put_file(str(temporary), str(path))


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder of this machine, gone with all that is in it when the block ends; below TMPDIR.

    Raises:
        DataError: it cannot be written, or the disk is full.
    """
    try:
        with tempfile.TemporaryDirectory(dir=_own_folder(os.getpid()), ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EACCES, errno.EROFS):
            raise
        raise DataError(
            f"{tempfile.gettempdir()} cannot hold temporary files ({error.strerror}): free "
            "some space, or name another folder in TMPDIR"
        ) from error


@cache
def _own_folder(process: int) -> Path:
    """A folder that this process holds as long as it lives; those that killed ones have left are removed."""
    for held in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_HELD}"):
        with suppress(OSError, Timeout), FileLock(held, timeout=0):
            shutil.rmtree(held.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = FileLock(folder / _HELD)
    lock.acquire()
    _locks.append(lock)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextmanager
def local_file(path: Path) -> Iterator[Path]:
    """The file itself, or for as long as the block runs a copy here of one in a store.

    Where there is no such file, what is yielded does not exist either.

    Raises:
        DataError: the disk is full, or the store refuses or cannot be reached.
    """
    remote = remote_of(path)
    if remote is None:
        yield path
        return
    with temporary_folder() as folder:
        download(remote, folder / remote.name)
        yield folder / remote.name


def download(path: RemotePath, to: Path) -> None:
    """Brings a file here, if there is one."""
    with explained(path):
        try:
            path.filesystem.get_file(str(path), str(to))
        except FileNotFoundError:
            to.unlink(missing_ok=True)


def download_files(folder: RemotePath, names: Sequence[str], to: Path) -> None:
    """Brings files of one folder here, several at a time; those that are not there are left out."""
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        for start in range(0, len(names), _FILES_AT_A_TIME):
            some = names[start : start + _FILES_AT_A_TIME]
            for name, data in zip(some, pool.map(lambda name: _read(folder / name), some), strict=True):
                if data is not None:
                    (to / name).write_bytes(data)


def _read(path: RemotePath) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def copy_file(path: RemotePath, to: RemotePath) -> None:
    """Copies a file within the store; the copy appears whole."""
    with explained(to):
        path.filesystem.cp_file(str(path), str(to))


def remove_tree(folder: RemotePath) -> None:
    """Removes every file below `folder`, if there are any."""
    with explained(folder):
        try:
            folder.filesystem.rm(str(folder), recursive=True)
        except FileNotFoundError:
            return


def parquet_source(path: Path) -> tuple[Any, dict[str, Any]]:
    """What pyarrow opens to read a Parquet file, and the options to open it with.

    Of a large file in a store only what is asked for comes here: its end, then the columns of a row group, in few
    requests.

    Raises:
        FileNotFoundError: it is not there.
        DataError: the store refuses or cannot be reached.
    """
    remote = remote_of(path)
    if remote is None:
        return path, {}
    size = remote.stat().st_size
    if size <= _READ_WHOLE:
        return pa.BufferReader(remote.read_bytes()), {}
    with explained(remote):
        return remote.filesystem.open(str(remote), "rb", size=size, cache_type="none"), {"pre_buffer": True}
