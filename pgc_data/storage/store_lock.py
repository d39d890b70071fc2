"""The lock of a folder in an object store: a file that only one run can make, and that it keeps fresh."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from pgc_data.errors import DataError
from pgc_data.paths import RemotePath, error_code, explained

log = logging.getLogger(__name__)

# A lock is made fresh so often; one that was not for so long was left by a run that is dead.
REFRESH_SECONDS = 60.0
STALE_SECONDS = 600.0
# After taking a stale lock over, so long until it is read again: another run may have done the same.
SETTLE_SECONDS = 3.0
_REFUSED = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_UNKNOWN = {"NotImplemented", "InvalidArgument", "501"}


@contextlib.contextmanager
def store_lock(folder: RemotePath) -> Iterator[None]:
    """Holds `folder` for one run, by the file `.lock` in it, which says whose it is.

    The file is written on the condition that there is none (`If-None-Match: *`); where a store does not know such
    conditions, a warning says so. It is written again every minute while the block runs. One
    that was not for ten minutes is taken over, and so is one whose process on this machine is gone.

    Raises:
        DataError: another run holds it, it was lost while the block ran, or the store cannot be written.
    """
    lock = _Lock(folder / ".lock")
    lock.acquire()
    ended = threading.Event()
    keeper = threading.Thread(target=lock.keep, args=(ended,), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()
        lock.release()
    if lock.lost:
        raise DataError(
            f"{folder} was taken over by another run, as this one was not heard of for "
            f"{STALE_SECONDS / 60:.0f} minutes: see that one to its end, then run the same command again"
        )


class _Lock:
    """The lock file: who holds it stands in it."""

    def __init__(self, path: RemotePath) -> None:
        self._path = path
        self._token = uuid.uuid4().hex
        self.lost = False

    def acquire(self) -> None:
        """Makes the file, or takes over one whose run is dead."""
        if self._create():
            if self._create():
                log.warning(
                    "%s does not support conditional writes: two runs that begin at the same moment would not see each "
                    "other",
                    self._path.parent,
                )
            return
        held = self._read()
        if held is not None and not self._is_dead(held):
            since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(held.get("since", 0)))
            raise DataError(
                f"another pgc-data run is writing {self._path.parent} (process {held.get('process')} on "
                f"{held.get('host')}, since {since}): wait for it, or stop it and run again. If it is dead, "
                f"{STALE_SECONDS / 60:.0f} minutes after its last sign this works again; or remove {self._path}"
            )
        log.warning("%s was left by a run that is gone: taken over", self._path)
        self._write()
        time.sleep(SETTLE_SECONDS)
        if not self._is_ours():
            raise DataError(
                f"another pgc-data run has just begun to write {self._path.parent}: wait for it, or stop it"
            )

    def keep(self, ended: threading.Event) -> None:
        """Keeps the file fresh until `ended`; notes when it is another run's."""
        while not ended.wait(REFRESH_SECONDS):
            try:
                if not self._is_ours():
                    self.lost = True
                    return
                self._write()
            except DataError as error:
                # Not reached now: there are nine more minutes to try.
                log.warning("the lock %s was not kept fresh: %s", self._path, error)

    def release(self) -> None:
        """Removes the file, if it is ours."""
        try:
            if self._is_ours():
                self._path.unlink(missing_ok=True)
        except DataError as error:
            log.warning("the lock %s was left behind: %s", self._path, error)

    def _create(self) -> bool:
        """Writes the file if there is none; False if there is."""
        with explained(self._path):
            try:
                self._path.filesystem.pipe_file(str(self._path), self._content(), mode="create")
            except FileExistsError:
                return False
            except OSError as error:
                code = error_code(error)
                if code in _REFUSED:
                    return False
                if code not in _UNKNOWN:
                    raise
                # The store does not know the condition: look, then write.
                if self._path.exists() and not self._is_ours():
                    return False
                self._write()
        return True

    def _write(self) -> None:
        with explained(self._path):
            self._path.filesystem.pipe_file(str(self._path), self._content())

    def _content(self) -> bytes:
        return json.dumps({"token": self._token, "since": time.time(), **_self()}, indent=2).encode()

    def _read(self) -> dict[str, Any] | None:
        """What stands in the file; None where there is none, or nothing that can be read."""
        try:
            found = json.loads(self._path.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _is_ours(self) -> bool:
        return (self._read() or {}).get("token") == self._token

    def _is_dead(self, held: dict[str, Any]) -> bool:
        """Whether the run is surely gone: not heard of for long, or a process of this machine that has ended."""
        mine = _self()
        if mine["machine"] and held.get("machine") == mine["machine"] and not _is_alive(held.get("process")):
            return True
        return self._age() > STALE_SECONDS

    def _age(self) -> float:
        """Seconds since the file was last written, both times by the clock of the store."""
        now = self._path.with_name(f".clock-{self._token}")
        with explained(self._path):
            store = self._path.filesystem
            store.pipe_file(str(now), b"")
            try:
                age: timedelta = store.modified(str(now)) - store.modified(str(self._path))
            except FileNotFoundError:
                return 0.0
            finally:
                store.rm_file(str(now))
        return age.total_seconds()


def _self() -> dict[str, Any]:
    return {"host": socket.gethostname(), "process": os.getpid(), "machine": _machine()}


def _machine() -> str:
    """What processes share that can see whether each other are alive; empty where that is not known (not on Linux)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _is_alive(process: Any) -> bool:
    if not isinstance(process, int):
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
