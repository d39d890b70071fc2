"""Where shards are worked on: `map_shards(function, shards)`, the same for every engine."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from pgc_data.engines.attempts import Attempt
from pgc_data.engines.local import cores, map_local
from pgc_data.engines.ray import map_ray
from pgc_data.engines.worker import ShardFunction

__all__ = ["ENGINES", "Attempt", "cores", "map_in_order", "map_shards"]

J = TypeVar("J")
S = TypeVar("S")
R = TypeVar("R")

ENGINES = ("local", "ray")


def map_shards(
    function: ShardFunction[S, R],
    shards: Iterable[S],
    workers: int | None = None,
    initialize: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
    engine: str = "local",
    address: str | None = None,
) -> Generator[R, None, None]:
    """Calls `function(shard, attempt)` on each shard in worker processes and yields results as they finish.

    A worker that dies costs what was in flight: its shard is begun again in a fresh one. Where the function tells
    `attempt` which item it is at, an item that kills two workers is left out of the next attempt by
    `attempt.crashed`, and the function has to record it. Close the iterator (`contextlib.closing`) to end early.

    Args:
        function: importable by name; writes the shard's files and returns a small result, whatever the attempt.
        shards: picklable descriptions of the work, taken one by one as workers are free.
        workers: processes; by default one for each core of this machine, or of the Ray cluster.
        initialize: called once in each new process with `arguments`.
        arguments: what is heavy and the same for all shards; goes to each process once.
        engine: one of `ENGINES`.
        address: of a Ray cluster; a Ray of this machine by default.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster at the address.
        DataError: workers keep dying and the data are not the cause; shards that had finished stay finished.
        Exception: whatever `function` or `initialize` raised first; shards not finished are dropped.
    """
    if engine == "ray":
        return map_ray(function, shards, workers, initialize, arguments, address)
    return map_local(function, shards, workers or cores(), initialize, arguments)


def map_in_order(function: Callable[[J], R], jobs: Sequence[J], workers: int) -> Generator[R, None, None]:
    """Calls `function(job)` in local worker processes and yields the results in the order of `jobs`."""
    waiting: dict[int, R] = {}
    next_one = 0
    for number, result in map_local(partial(_numbered, function), enumerate(jobs), min(workers, len(jobs))):
        waiting[number] = result
        while next_one in waiting:
            yield waiting.pop(next_one)
            next_one += 1


def _numbered(function: Callable[[J], R], job: tuple[int, J], attempt: Attempt) -> tuple[int, R]:
    return job[0], function(job[1])
