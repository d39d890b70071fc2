"""The folders of a workspace, and the lock that keeps two runs of one stage apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from pgc_data.errors import ConfigError, DataError
from pgc_data.storage.files import ensure_writable

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
    """Holds `folder` for one run of a stage, and checks that it can be written.

    Raises:
        DataError: another run holds it, or it cannot be written.
    """
    ensure_writable(folder)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise DataError(
            f"another pgc-data run is writing {folder}: wait for it, or stop it and run again"
        ) from error
    try:
        # What a killed run left half-written; nobody else writes here while the lock is held.
        for path in folder.glob(".*.tmp-*"):
            path.unlink(missing_ok=True)
        yield
    finally:
        lock.release()
