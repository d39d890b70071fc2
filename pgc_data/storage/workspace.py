"""The folders of a workspace, and the lock that keeps two runs of one stage apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from pgc_data.errors import ConfigError, DataError
from pgc_data.paths import remote_of
from pgc_data.storage.files import ensure_writable
from pgc_data.storage.store_lock import store_lock

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_name(name: str, what: str = "name") -> str:
    """Returns `name` if it can be a folder of a workspace.

    Raises:
        ConfigError: it is empty, or has characters other than letters, digits, `.`, `_` and `-`.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{what} {name!r} cannot be a folder name: use letters, digits, '.', '_' and '-'")
    return name


@dataclass(frozen=True)
class Workspace:
    """Where each stage reads and writes. Data flows raw -> prepared -> extracted -> parquet -> runs."""

    root: Path

    def raw(self, name: str) -> Path:
        """Folder of a source as it was downloaded or drawn."""
        return self.root / "raw" / name

    def local_raw(self, name: str) -> Path:
        """As `raw`, for what writes there file by file.

        Raises:
            ConfigError: the workspace is in an object store.
        """
        if remote_of(self.root) is not None:
            raise ConfigError(
                f"raw data are written to a folder of this machine, not to {self.raw(name)}: give a local --workspace, "
                f"copy its raw/{name} to the store, and go on with `pgc-data prepare --workspace {self.root}`"
            )
        return self.raw(name)

    def prepared(self, name: str) -> Path:
        """Folder of a source's samples table."""
        return self.root / "prepared" / name

    def extracted(self, name: str) -> Path:
        """Folder of a source's frames and hands tables."""
        return self.root / "extracted" / name

    def parquet(self, name: str) -> Path:
        """Folder of a finished dataset."""
        return self.root / "parquet" / name


@contextmanager
def stage_lock(folder: Path) -> Iterator[None]:
    """Holds `folder` for one run of a stage, and checks that it can be written; in an object store see `store_lock`.

    Raises:
        DataError: another run holds it, or it cannot be written.
    """
    ensure_writable(folder)
    if (remote := remote_of(folder)) is not None:
        with store_lock(remote):
            yield
        return
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise DataError(
            f"another pgc-data run is writing {folder}: wait for it, or stop it and run again"
        ) from error
    try:
        # What a killed run left; nobody else writes here while the lock is held.
        _remove_half_written(folder)
        yield
    finally:
        # What workers left that were killed in this one.
        _remove_half_written(folder)
        lock.release()


def _remove_half_written(folder: Path) -> None:
    for path in folder.glob(".*.tmp-*"):
        with suppress(OSError):
            path.unlink(missing_ok=True)
