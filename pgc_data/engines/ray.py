"""Ray: one actor for each core of a cluster, each with a worker process of its own."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Generic, TypeVar

from pgc_data import __version__
from pgc_data.engines.local import cores
from pgc_data.engines.runner import ShardRunner
from pgc_data.engines.worker import ShardFunction
from pgc_data.errors import ConfigError, DataError

log = logging.getLogger(__name__)

S = TypeVar("S")
R = TypeVar("R")

# Nodes lost under one shard; what the shard itself kills is not counted here, see `ShardRunner`.
_MOST_LOSSES = 5
_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_TO_GET_A_CORE = 20.0
_SECONDS_TO_ANSWER = 5.0


class _Actor(Generic[S, R]):
    """Runs in a Ray worker: hands shards to a process that a damaged file can kill without Ray noticing."""

    def __init__(self, function: ShardFunction[S, R], how: tuple[Any, ...]) -> None:
        self._runner: ShardRunner[S, R] = ShardRunner(function, *how)

    def ready(self) -> str:
        """The version of pgc-data on its node."""
        return __version__

    def run(self, shard: S) -> tuple[R | None, Exception | None]:
        """The shard's result, or its error: as a value, for Ray would wrap it up in another."""
        try:
            return self._runner.run(shard), None
        except Exception as error:  # noqa: BLE001  # raised again in the coordinator
            return None, error


def map_ray(
    function: ShardFunction[S, R],
    shards: Iterable[S],
    workers: int | None,
    initialize: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
    address: str | None = None,
) -> Generator[R, None, None]:
    """`map_shards` on Ray: at most one shard for each actor is on its way, so the rest stay unmade.

    Args:
        function: see `map_shards`.
        shards: see `map_shards`.
        workers: actors, each with one core; as many as the cluster has cores by default.
        initialize: see `map_shards`.
        arguments: see `map_shards`.
        address: of a running cluster, such as `auto` or `HOST:6379`; a Ray of this machine by default.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster at the address.
        DataError: another pgc-data on a node, or nodes are lost under one shard again and again.
    """
    ray = _ray()
    with _session(ray, address, workers):
        how = ray.put((initialize, arguments))
        most = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        crew = _Crew(ray, ray.remote(num_cpus=1, max_restarts=0)(_Actor), (function, how))
        try:
            yield from _drain(crew, iter(shards), most)
        finally:
            crew.dismiss()


def _drain(crew: _Crew, shards: Iterator[S], most: int) -> Iterator[Any]:
    """Gives each actor that is free the next shard; a shard whose actor is lost comes first again."""
    waiting: deque[tuple[S, int]] = deque()
    while True:
        waiting.extend((shard, 0) for shard in islice(shards, max(0, most - crew.busy - len(waiting))))
        while waiting and crew.free:
            crew.give(*waiting.popleft())
        while crew.size < min(most, crew.busy + len(waiting)):
            crew.hire()
        if not (waiting or crew.busy):
            return
        done = crew.wait()
        if done is None:
            continue
        shard, losses, outcome = done
        if outcome is None:
            waiting.appendleft((shard, _one_more(losses, shard)))
            continue
        result, error = outcome
        if error is not None:
            raise error
        yield result


def _one_more(losses: int, shard: object) -> int:
    """How often a shard lost its actor, now that it did again.

    Raises:
        DataError: too often.
    """
    if losses + 1 >= _MOST_LOSSES:
        raise DataError(
            f"{shard} lost its Ray worker {_MOST_LOSSES} times: see Ray's logs; what had finished is kept"
        )
    log.warning("%s: its node or its Ray worker was lost; it is begun again elsewhere", shard)
    return losses + 1


class _Crew:
    """The actors: those being started, those free, those at work."""

    def __init__(self, ray: Any, kind: Any, arguments: tuple[Any, ...]) -> None:
        self._ray, self._kind, self._arguments = ray, kind, arguments
        self.free: list[Any] = []
        self._starting: dict[Any, Any] = {}
        self._working: dict[Any, tuple[Any, Any, int]] = {}
        self._since = time.monotonic()
        self._warned = False
        self._failed = 0

    @property
    def size(self) -> int:
        return len(self.free) + len(self._starting) + len(self._working)

    @property
    def busy(self) -> int:
        return len(self._working)

    def hire(self) -> None:
        actor = self._kind.remote(*self._arguments)
        self._starting[actor.ready.remote()] = actor

    def give(self, shard: Any, losses: int) -> None:
        actor = self.free.pop()
        self._working[actor.run.remote(shard)] = (actor, shard, losses)

    def wait(self) -> tuple[Any, int, Any] | None:
        """Waits a moment; a shard with its losses and its outcome, which is None where its actor was lost."""
        refs = [*self._working, *self._starting]
        ready, _ = self._ray.wait(refs, num_returns=1, timeout=_SECONDS_BETWEEN_LOOKS)
        for ref in ready:
            if ref in self._starting:
                self._welcome(self._starting.pop(ref), ref)
                return None
            actor, shard, losses = self._working.pop(ref)
            outcome = self._get(ref)
            if outcome is not None:
                self.free.append(actor)
            return shard, losses, outcome
        self._complain()
        return None

    def _welcome(self, actor: Any, ref: Any) -> None:
        """Takes in an actor that is ready.

        Raises:
            DataError: it is of another version, or actors die as they start, one after the other.
        """
        try:
            version = self._ray.get(ref)
        except self._ray.exceptions.RayActorError as error:
            self._failed += 1
            if self._failed < _MOST_LOSSES:
                return
            last = str(error).strip().splitlines()[-1]
            raise DataError(
                f"Ray's workers die as they start ({last}): is pgc-data installed on every node?"
            ) from error
        if version != __version__:
            raise DataError(
                f"a node of the cluster has pgc-data {version}, this one {__version__}: install the same everywhere"
            )
        self._failed = 0
        self.free.append(actor)

    def _get(self, ref: Any) -> Any:
        """The value, or None where the actor that was to give it is gone."""
        try:
            return self._ray.get(ref)
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.ObjectLostError):
            return None

    def _complain(self) -> None:
        """Says once that no core comes free: a cluster that is full looks like one that hangs."""
        waited = time.monotonic() - self._since
        if not (self.free or self._working or self._warned) and waited > _SECONDS_TO_GET_A_CORE:
            self._warned = True
            log.warning("waiting for a free core: the Ray cluster gives none")

    def dismiss(self) -> None:
        """Ends every actor at once."""
        actors = [*self.free, *self._starting.values(), *(actor for actor, _, _ in self._working.values())]
        for actor in actors:
            self._ray.kill(actor)


def _ray() -> Any:
    # Read when Ray is loaded: it would otherwise report its use to its makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            "the engine ray needs Ray: pip install 'pgc-data[ray]', or leave --engine out"
        ) from error
    return ray


@contextmanager
def _session(ray: Any, address: str | None, workers: int | None) -> Iterator[None]:
    """A connection to a cluster, ended with the block; one that is there already is used and left alone."""
    if ray.is_initialized():
        yield
        return
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    local = {"num_cpus": min(workers or cores(), cores()), "include_dashboard": False}
    with _own_signals():
        try:
            _knock(address)
            ray.init(address=address or "local", **quiet, **({} if address else local))
        except (OSError, ValueError, RuntimeError) as error:
            first = (str(error).splitlines() or ["no reason given"])[0]
            raise ConfigError(
                f"no Ray at {address or 'this machine'}: {first}; check --ray-address"
            ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str | None) -> None:
    """Tries the port of an address: Ray itself would try for minutes.

    Raises:
        OSError: nobody answers.
    """
    host, _, port = (address or "").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_ANSWER).close()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keeps SIGTERM ours: Ray takes it, and the run would end without a word on how to go on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
