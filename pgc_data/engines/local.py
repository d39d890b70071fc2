"""Local processes: each worker takes one shard at a time."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from pgc_data.errors import DataError

S = TypeVar("S")
R = TypeVar("R")


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _begin(initialize: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    """First call in a worker: it must not outlive a coordinator that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()
    if initialize is not None:
        initialize(*arguments)


def _exit_after(parent: Any) -> None:
    parent.join()
    os._exit(1)


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
        Exception: whatever `function` raised first; shards not begun are dropped.
    """
    # Spawned, not forked: native libraries with threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        # Windows cannot wait for more than 61 processes.
        max(1, min(workers, len(shards), 61)),
        mp_context=context,
        initializer=_begin,
        initargs=(initialize, arguments),
    )
    try:
        for future in as_completed([pool.submit(function, shard) for shard in shards]):
            yield future.result()
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process died; what it had finished is kept: run the same command again to go on"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
