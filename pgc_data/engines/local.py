"""Local processes: each worker takes one shard at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from pgc_data.errors import DataError

S = TypeVar("S")
R = TypeVar("R")

# Windows cannot wait for more processes.
_MOST_WORKERS = 61


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_shards(
    function: Callable[[S], R],
    shards: Sequence[S],
    workers: int,
    initialize: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
) -> Iterator[R]:
    """Calls `function` on each shard in `workers` processes and yields results as they finish.

    Args:
        function: importable; takes a shard, writes its files, returns a small result.
        shards: picklable descriptions of the work.
        workers: processes, at least 1.
        initialize: called once in each new process with `arguments`.
        arguments: see `initialize`.

    Raises:
        DataError: a worker process died; the shards that had finished stay finished.
        Exception: whatever `function` raised first; shards not finished are dropped.
    """
    with worker_pool(min(workers, len(shards)), initialize, arguments) as pool:
        for future in as_completed([pool.submit(function, shard) for shard in shards]):
            yield future.result()


@contextmanager
def worker_pool(
    workers: int, initialize: Callable[..., None] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Processes that never outlive this one: they end with it, and at once when the block raises.

    Args:
        workers: processes; 1 at the least.
        initialize: called once in each new process with `arguments`.
        arguments: see `initialize`.

    Raises:
        DataError: a worker process died.
    """
    # Spawned, not forked: native libraries with threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        min(max(workers, 1), _MOST_WORKERS),
        mp_context=context,
        initializer=_begin,
        initargs=(initialize, arguments),
    )
    try:
        yield pool
    except BaseException as error:
        for child in multiprocessing.active_children():
            child.terminate()
        if isinstance(error, BrokenProcessPool):
            raise DataError(
                "a worker process died (see the log, if there is one); what it had finished is kept: run the same "
                "command again to go on"
            ) from error
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


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
