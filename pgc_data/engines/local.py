"""Local processes: each worker takes one shard at a time."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, TypeVar

from pgc_data.engines.runner import ShardRunner
from pgc_data.engines.worker import ShardFunction

S = TypeVar("S")
R = TypeVar("R")

_SECONDS_BETWEEN_LOOKS = 0.5


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_local(
    function: ShardFunction[S, R],
    shards: Iterable[S],
    workers: int,
    initialize: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
) -> Generator[R, None, None]:
    """`map_shards` in processes of this machine: never more of them than it has cores."""
    feed = _Feed(shards)
    results: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    runners = [ShardRunner(function, initialize, arguments) for _ in range(max(1, min(workers, cores())))]
    threads = [
        threading.Thread(target=_serve, args=(runner, feed, results), daemon=True) for runner in runners
    ]
    try:
        for thread in threads:
            thread.start()
        yield from _results(results, len(threads))
    finally:
        feed.close()
        for runner in runners:
            runner.stop()
        for thread in threads:
            if thread.ident is not None:
                thread.join()


class _Feed(Iterable[S]):
    """Gives shards out one by one to several threads; made only when they are asked for."""

    def __init__(self, shards: Iterable[S]) -> None:
        self._shards = iter(shards)
        self._guard = threading.Lock()
        self._open = True

    def __iter__(self) -> Iterator[S]:
        while True:
            with self._guard:
                if not self._open:
                    return
                try:
                    shard = next(self._shards)
                except StopIteration:
                    return
            yield shard

    def close(self) -> None:
        self._open = False


_RESULT, _ERROR, _END = "result", "error", "end"


def _serve(runner: ShardRunner[S, R], feed: _Feed[S], results: queue.SimpleQueue[tuple[str, Any]]) -> None:
    """One thread for each worker: waits for it, and starts it again when it dies."""
    try:
        for shard in feed:
            results.put((_RESULT, runner.run(shard)))
    except Exception as error:  # noqa: BLE001  # raised again in the coordinator's thread
        results.put((_ERROR, error))
    else:
        results.put((_END, None))
    finally:
        runner.close()


def _results(results: queue.SimpleQueue[tuple[str, Any]], serving: int) -> Iterator[Any]:
    while serving:
        try:
            # Not for ever: where a signal cannot break the wait, Ctrl-C is seen between two of them.
            kind, value = results.get(timeout=_SECONDS_BETWEEN_LOOKS)
        except queue.Empty:
            continue
        if kind == _ERROR:
            raise value
        if kind == _END:
            serving -= 1
        else:
            yield value
