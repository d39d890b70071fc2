"""What a worker tells about the shard it is at, and what follows when it dies."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from pgc_data.errors import DataError

# An item that killed this many workers is not tried again.
_DEATHS_OF_AN_ITEM = 2
# A shard that kills workers without one item being the cause is given up: the machine is at fault.
_DEATHS_ELSEWHERE = 5

_BEGUN, _ENDED = 0, 1
NOTHING_BEGUN = (-1, -1)


class Cell(Protocol):
    """Two integers, perhaps in memory that processes share: the last item begun, and the last ended."""

    def __getitem__(self, index: int, /) -> int: ...
    def __setitem__(self, index: int, value: int, /) -> None: ...


class Attempt:
    """One go at a shard in one worker: what it must leave out, and what it is at.

    Items are known by their position in the shard. What the worker is at is kept in memory that outlives it.

    Attributes:
        crashed: items that killed workers before: they are to be recorded, not opened.
        careful: whether an earlier attempt died: items are then to be worked on one after the other.
    """

    def __init__(
        self,
        crashed: frozenset[int] = frozenset(),
        careful: bool = False,
        cell: Cell | None = None,
    ) -> None:
        """Without a `cell`, what the attempt is at is told to nobody."""
        self.crashed, self.careful = crashed, careful
        self._cell: Cell = list(NOTHING_BEGUN) if cell is None else cell

    def begin(self, item: int) -> None:
        """To be called before an item is opened."""
        self._cell[_BEGUN] = item

    def end(self, item: int) -> None:
        """To be called when nothing is left to do with an item."""
        self._cell[_ENDED] = item

    def forget(self) -> None:
        """To be called before a shard: nothing of it is begun."""
        self._cell[_BEGUN], self._cell[_ENDED] = NOTHING_BEGUN

    @property
    def last_ended(self) -> int:
        """The last item that nothing is left to do with, or -1."""
        return self._cell[_ENDED]

    @property
    def suspects(self) -> range:
        """The items begun and not ended."""
        return range(self._cell[_ENDED] + 1, self._cell[_BEGUN] + 1)


class WorkerDied(Exception):  # noqa: N818
    """A worker process ended before its shard did.

    Attributes:
        how: the signal or status it ended with.
        suspects: the items it was at.
    """

    def __init__(self, how: str, suspects: range = range(0)) -> None:
        super().__init__(f"a worker process died ({how})")
        self.how, self.suspects = how, suspects


@dataclass
class Deaths:
    """How often each item of one shard killed its worker.

    Attributes:
        crashed: the items not to be tried again.
        any: whether a worker died at all.
    """

    crashed: frozenset[int] = frozenset()
    any: bool = False
    _counts: Counter[int] = field(default_factory=Counter)
    _elsewhere: int = 0

    def add(self, death: WorkerDied) -> int | None:
        """Counts one more death.

        Returns:
            The item that it proves to be the cause, or None.

        Raises:
            DataError: too many deaths, no two of them at one item.
        """
        self.any = True
        # What is left out is never begun, nor ended.
        suspects = [item for item in death.suspects if item not in self.crashed]
        self._counts.update(suspects)
        # With more than one suspect the next attempt, a careful one, tells which it was.
        if len(suspects) == 1 and self._counts[suspects[0]] >= _DEATHS_OF_AN_ITEM:
            self.crashed |= {suspects[0]}
            self._elsewhere = 0
            return suspects[0]
        self._elsewhere += 1
        if self._elsewhere >= _DEATHS_ELSEWHERE:
            raise DataError(
                f"{self._elsewhere} worker processes died over one shard, each somewhere else (the last: {death.how}): "
                "memory may be short, so try fewer --workers; what had finished is kept"
            )
        return None
