"""One worker process as its owner sees it, and what runs in it."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker, sharedctypes
from typing import Any, Generic, TypeVar

from pgc_data.engines.attempts import NOTHING_BEGUN, Attempt, WorkerDied

S = TypeVar("S")
R = TypeVar("R")

ShardFunction = Callable[[S, Attempt], R]

# Native libraries read these when they are loaded: one worker is one thread.
_ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
        "POLARS_MAX_THREADS",
    ),
    "1",
)  # fmt: skip
_SECONDS_TO_END = 1.0
_DONE, _FAILED = "done", "failed"
# Spawned, not forked: native libraries with threads do not survive a fork.
_spawn = multiprocessing.get_context("spawn")
_starting = threading.Lock()


class Worker(Generic[S, R]):
    """A process that works on one shard after the other until it is closed, or dies."""

    def __init__(
        self,
        function: ShardFunction[S, R],
        initialize: Callable[..., None] | None,
        arguments: tuple[Any, ...],
    ) -> None:
        """Starts the process. It may be stopped from another thread at any time.

        Args:
            function: importable; see `map_shards`.
            initialize: called once in the process with `arguments`.
            arguments: see `initialize`.
        """
        cell = sharedctypes.RawArray(ctypes.c_longlong, NOTHING_BEGUN)
        # What the process tells of itself, and can be read when it is gone.
        self._told = Attempt(cell=cell)
        self._ours, theirs = _spawn.Pipe()
        self._process = _spawn.Process(
            target=_main, args=(theirs, cell, function, initialize, arguments), daemon=True
        )
        with _starting, _inherited():
            self._process.start()
        theirs.close()

    def wait_until_ready(self) -> None:
        """Waits until `initialize` has returned.

        Raises:
            WorkerDied: the process died.
            Exception: what `initialize` raised.
        """
        self._receive()

    def run(self, shard: S, crashed: frozenset[int], careful: bool) -> R:
        """Works on a shard.

        Raises:
            WorkerDied: the process died.
            Exception: what the function raised.
        """
        self._told.forget()
        try:
            self._ours.send((shard, crashed, careful))
        except OSError as error:
            raise WorkerDied(self._how()) from error
        result: R = self._receive()
        return result

    def _receive(self) -> Any:
        try:
            outcome, value = self._ours.recv()
        except (EOFError, OSError) as error:
            raise WorkerDied(self._how(), self._told.suspects) from error
        if outcome == _FAILED:
            raise value
        return value

    def _how(self) -> str:
        self._process.join(_SECONDS_TO_END)
        code = self._process.exitcode
        if code is None:
            return "it no longer answers"
        return signal.Signals(-code).name if code < 0 else f"exit status {code}"

    @property
    def last_ended(self) -> int:
        """The last item of the shard that it was done with, or -1."""
        return self._told.last_ended

    def stop(self) -> None:
        """Ends the process at once, whatever it is at."""
        self._process.terminate()

    def close(self) -> None:
        """Ends the process and frees what belongs to it."""
        self._process.terminate()
        self._process.join(_SECONDS_TO_END)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._ours.close()


@contextmanager
def _inherited() -> Iterator[None]:
    """What a process started in this block begins with: one thread a library, and Ctrl-C left to its owner."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    if os.name == "posix":
        # Starting the tracker lifts the mask, so it must run before.
        resource_tracker.ensure_running()
    # A mask is inherited from the first instruction on, before Python could be told to ignore the signal.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if os.name == "posix" else None
    try:
        yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _main(
    owner: Any,
    cell: Any,
    function: ShardFunction[Any, Any],
    initialize: Callable[..., None] | None,
    arguments: tuple[Any, ...],
) -> None:
    """What runs in the process: sets it up, then answers each shard with its result or its error."""
    try:
        _begin(initialize, arguments)
    except Exception as error:  # noqa: BLE001  # raised again where the owner is
        owner.send((_FAILED, _portable(error)))
        return
    owner.send((_DONE, None))
    while True:
        try:
            shard, crashed, careful = owner.recv()
        except (EOFError, OSError):
            return
        try:
            # Pickled by `send` before anything of it is sent.
            owner.send((_DONE, function(shard, Attempt(crashed, careful, cell))))
        except Exception as error:  # noqa: BLE001  # raised again where the owner is
            owner.send((_FAILED, _portable(error)))


def _portable(error: Exception) -> Exception:
    """An error that can cross to another process, with a note of where it happened."""
    error.add_note("in a worker process:\n" + "".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001  # an error that pickle refuses may do so with any other
        return RuntimeError(f"{type(error).__name__} in a worker process: {error}")
    return error


def _begin(initialize: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    """First call in a worker: Ctrl-C is the coordinator's business, and its death is ours."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()
    if initialize is not None:
        initialize(*arguments)


def _exit_after(parent: Any) -> None:
    parent.join()
    os._exit(1)
