"""Small work for worker processes: some of it ends the process that does it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from pgc_data.errors import DataError

_base = 0


def begin(base):
    global _base
    _base = base


def square(number, attempt):
    return _base + number * number


def process(_, attempt):
    time.sleep(0.2)
    return os.getpid()


def environment(_, attempt):
    return os.environ["OMP_NUM_THREADS"], signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def fail_at_one(number, attempt):
    if number == 1:
        raise DataError("shard 1 cannot be read")
    time.sleep(60)


def odd_error(number, attempt):
    raise UnportableError(number, "two arguments")


class UnportableError(Exception):
    def __init__(self, number, text):
        super().__init__(text)


def unportable_result(number, attempt):
    return lambda: number


def refuse(*_):
    raise DataError("no model")


def die(*_):
    os._exit(3)


def items(shard, attempt):
    """A shard is a list of what its items do: `fine`, `poison`, or a path to be made by dying once.

    Returns what became of each item.
    """
    became = []
    for number, what in enumerate(shard):
        if number in attempt.crashed:
            became.append("crashed")
            continue
        attempt.begin(number)
        if what == "poison":
            os.kill(os.getpid(), signal.SIGKILL)
        elif what != "fine" and not Path(what).exists():
            Path(what).touch()
            os.kill(os.getpid(), signal.SIGSEGV)
        attempt.end(number)
        became.append("done")
    return became


def everywhere(folder, attempt):
    """Dies at another item each time."""
    tries = len(list(Path(folder).iterdir()))
    (Path(folder) / str(tries)).touch()
    attempt.begin(tries)
    os._exit(4)


def ahead(folder, attempt):
    """Opens an item while the one before is not ended; the second kills it."""
    found = []
    for number in range(3):
        if number in attempt.crashed:
            found.append("crashed")
            continue
        attempt.begin(number)
        if number == 1:
            os._exit(4)
        if attempt.careful:
            attempt.end(number)
        found.append("done")
    return found


def slow_and_noted(shard, attempt):
    """Leaves a file for each attempt."""
    folder, number = shard
    time.sleep(0.2)
    (Path(folder) / f"{number}-{os.getpid()}").touch()
    return number


def kill_owner(_, attempt):
    """Kills the process that owns this one."""
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


class Broken:
    """An actor that cannot be made."""

    def __init__(self, *_):
        raise ImportError("no module named pgc_data")

    def ready(self):
        return ""
