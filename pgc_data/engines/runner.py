"""Works on shards whatever happens to the process that does it: what every engine has one of for each core."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pgc_data.engines.attempts import Deaths, WorkerDied
from pgc_data.engines.worker import ShardFunction, Worker
from pgc_data.errors import DataError

log = logging.getLogger(__name__)

S = TypeVar("S")
R = TypeVar("R")

# So many items in a row that kill their workers, with nothing done between them, are no fault of the data.
_MOST_IN_A_ROW = 8
_STARTS = 2


class ShardRunner(Generic[S, R]):
    """Works on one shard at a time in a process of its own, which is replaced when it dies.

    A shard whose worker died is begun again in a fresh one. An item that killed two is left out: the function is
    told so by `Attempt.crashed`, and records it.
    """

    def __init__(
        self,
        function: ShardFunction[S, R],
        initialize: Callable[..., None] | None = None,
        arguments: tuple[Any, ...] = (),
    ) -> None:
        """Takes what `map_shards` takes; the process starts with the first shard."""
        self._how = (function, initialize, arguments)
        self._worker: Worker[S, R] | None = None
        self._guard = threading.Lock()
        self._stopped = False
        self._in_a_row = 0

    def run(self, shard: S) -> R:
        """Works on a shard, in as many processes as it takes.

        Raises:
            WorkerDied: `stop` was called.
            DataError: workers keep dying and the data are not the cause.
            Exception: what the function or `initialize` raised.
        """
        deaths = Deaths()
        last_cause = -1
        while True:
            worker = self._worker or self.start()
            try:
                result = worker.run(shard, deaths.crashed, deaths.any)
            except WorkerDied as death:
                self._lose(death)
                cause = deaths.add(death)
                log.warning(
                    "%s: %s; %s",
                    shard,
                    death,
                    "a fresh one begins it again"
                    if cause is None
                    else f"item {cause} killed two and is left out",
                )
                if cause is not None:
                    self._count(cause, last_cause, death)
                    last_cause = cause
                continue
            if worker.last_ended > last_cause:
                self._in_a_row = 0
            return result

    def _count(self, cause: int, last_cause: int, death: WorkerDied) -> None:
        self._in_a_row = self._in_a_row + 1 if cause <= last_cause + 1 else 1
        if self._in_a_row >= _MOST_IN_A_ROW:
            raise DataError(
                f"{self._in_a_row} media in a row each killed two worker processes (the last: {death.how}): the "
                "installation or the memory of this machine may be at fault (see the log, if there is one); what had "
                "finished is kept"
            )

    def start(self) -> Worker[S, R]:
        """Starts the process and waits until it is set up.

        Raises:
            WorkerDied: `stop` was called.
            DataError: it dies again and again before it is set up.
            Exception: what `initialize` raised.
        """
        for left in reversed(range(_STARTS)):
            with self._guard:
                if self._stopped:
                    raise WorkerDied("stopped")
                self._worker = worker = Worker(*self._how)
            try:
                worker.wait_until_ready()
            except WorkerDied as death:
                self._lose(death)
                if not left:
                    raise DataError(
                        f"worker processes die before they have begun ({death.how}): see the log, if there is one; "
                        "memory may be short, or a library broken"
                    ) from death
            else:
                return worker
        raise AssertionError("not reached: the last start returns or raises")

    def _lose(self, death: WorkerDied) -> None:
        """Frees what a dead process held; raises again if it was stopped."""
        if self._worker is not None:
            self._worker.close()
        with self._guard:
            self._worker = None
            if self._stopped:
                raise death

    def stop(self) -> None:
        """Ends what it is at, from any thread: `run` then raises `WorkerDied`."""
        with self._guard:
            self._stopped = True
            if self._worker is not None:
                self._worker.stop()

    def close(self) -> None:
        """Ends the process; to be called by the thread that calls `run`, or after it."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None
