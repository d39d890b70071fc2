"""The order of rows in an epoch: who reads what, how rows mix, and where a pass goes on. Nothing is read here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pgc_data.errors import ConfigError

Rows = NDArray[np.int64]

# Row groups that are read before they are needed.
_AHEAD = 2


class Picked(NamedTuple):
    """The rows of one batch.

    Attributes:
        rows: numbers of rows, from 0.
        groups: row groups to have at hand: those of the rows, and the next.
    """

    rows: Rows
    groups: tuple[int, ...]


class _Piece(NamedTuple):
    """Rows `start` to `stop` of a table, all of one row group."""

    group: int
    start: int
    stop: int


@dataclass(frozen=True)
class Order:
    """What decides the batches of an epoch.

    The rows of a rank do not depend on how many workers it has, and neither does the number of its batches: batch k
    comes from worker k modulo their number, as a DataLoader takes them.

    Attributes:
        batch_size: rows of a batch.
        shuffle: whether rows come in another order every epoch.
        seed: of that order.
        drop_last: leave out rows, so that every rank has equally many batches, all full.
        rank: of this process among those that train together.
        world_size: how many they are.
        buffer_groups: row groups that are mixed at a time.
    """

    batch_size: int
    shuffle: bool = False
    seed: int = 0
    drop_last: bool = False
    rank: int = 0
    world_size: int = 1
    buffer_groups: int = 32

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            ConfigError: one is out of range.
        """
        for name, least in {"batch_size": 1, "seed": 0, "world_size": 1, "buffer_groups": 1}.items():
            if getattr(self, name) < least:
                raise ConfigError(f"{name}={getattr(self, name)} is too small: the least is {least}")
        if not 0 <= self.rank < self.world_size:
            raise ConfigError(f"rank={self.rank} is none of the {self.world_size} ranks, which begin with 0")

    def share(self, total: int) -> tuple[int, int]:
        """First row of this rank, and the row after its last, of `total` in the order of the epoch."""
        if self.drop_last:
            each = total // (self.world_size * self.batch_size) * self.batch_size
            return self.rank * each, (self.rank + 1) * each
        return total * self.rank // self.world_size, total * (self.rank + 1) // self.world_size

    def batches(self, total: int) -> int:
        """Batches of this rank in an epoch."""
        start, stop = self.share(total)
        return -(-(stop - start) // self.batch_size)

    def grouped(
        self, sizes: Sequence[int], epoch: int, first: int = 0, worker: int = 0, workers: int = 1
    ) -> Iterator[Picked]:
        """The batches of one worker, from rows that are read by row group.

        Shuffled, row groups come in a random order, are shared out to ranks and then to workers, and mixed:
        `buffer_groups` of them are read at a time, and each spreads its rows evenly over as many steps as it stays.
        The first group of a worker follows its last in this, so that its first and last batches are as mixed as any;
        for that `buffer_groups - 1` groups are read twice. Not shuffled, rows come in order, whatever the number of
        workers.

        Args:
            sizes: rows of each row group.
            epoch: number of the pass.
            first: batch of this rank to begin with; what is before it is not read.
            worker: which of the workers this is.
            workers: how many there are.
        """
        groups = np.arange(len(sizes))
        if self.shuffle:
            np.random.default_rng((self.seed, epoch)).shuffle(groups)
        start, stop = self.share(sum(sizes))
        own = (first - worker + workers - 1) // workers if first > worker else 0
        if not self.shuffle:
            pieces = _cut(groups, sizes, start, stop)
            return _batched(_one_by_one(pieces), self.batch_size, worker + own * workers, workers)
        pieces = _cut(groups, sizes, *self._worker_share(start, stop, worker, workers))
        return _batched(_mixed(pieces, self.buffer_groups, (self.seed, epoch)), self.batch_size, own, 1)

    def _worker_share(self, start: int, stop: int, worker: int, workers: int) -> tuple[int, int]:
        """The part of rows `start` to `stop` that makes every so many-th batch, all of them full but the last."""
        batches = -(-(stop - start) // self.batch_size)
        counts = [(batches + workers - 1 - number) // workers * self.batch_size for number in range(workers)]
        if batches:
            counts[(batches - 1) % workers] -= batches * self.batch_size - (stop - start)
        start += sum(counts[:worker])
        return start, start + counts[worker]

    def permuted(
        self, total: int, epoch: int, first: int = 0, worker: int = 0, workers: int = 1
    ) -> Iterator[Picked]:
        """The batches of one worker, from rows that can be read in any order: see `grouped`."""
        start, stop = self.share(total)
        rows = np.arange(total)
        if self.shuffle:
            np.random.default_rng((self.seed, epoch)).shuffle(rows)
        own = (first - worker + workers - 1) // workers if first > worker else 0
        for number in range(worker + own * workers, self.batches(total), workers):
            at = start + number * self.batch_size
            yield Picked(rows[at : min(at + self.batch_size, stop)], ())


def _cut(groups: Rows, sizes: Sequence[int], start: int, stop: int) -> list[_Piece]:
    """The pieces that make up rows `start` to `stop` of the row groups in the order given."""
    begins = np.concatenate([[0], np.cumsum(sizes)[:-1]]) if len(sizes) else np.empty(0, np.int64)
    pieces, passed = [], 0
    for group in groups.tolist():
        low, high = max(start - passed, 0), min(stop - passed, sizes[group])
        if low < high:
            pieces.append(_Piece(group, int(begins[group]) + low, int(begins[group]) + high))
        passed += sizes[group]
    return pieces


def _one_by_one(pieces: Sequence[_Piece]) -> Iterator[Picked]:
    for number, piece in enumerate(pieces):
        groups = tuple(p.group for p in pieces[number : number + 1 + _AHEAD])
        yield Picked(np.arange(piece.start, piece.stop), groups)


def _mixed(pieces: Sequence[_Piece], buffer: int, key: tuple[int, int]) -> Iterator[Picked]:
    """Step k takes of the pieces k, k-1, ... those of their rows that fell to it; pieces are in a circle."""
    stay = min(buffer, len(pieces))
    spread: dict[int, list[Rows]] = {}
    for step in range(len(pieces)):
        here = [(step - back) % len(pieces) for back in range(stay)]
        spread = {at: spread.get(at) or _spread(pieces[at], stay, key) for at in here}
        rows = np.concatenate([spread[at][back] for back, at in enumerate(here)])
        np.random.default_rng((*key, pieces[step].start, 2)).shuffle(rows)
        groups = (*here, *range(step + 1, min(step + 1 + _AHEAD, len(pieces))))
        yield Picked(rows, tuple(dict.fromkeys(pieces[at].group for at in groups)))


def _spread(piece: _Piece, steps: int, key: tuple[int, int]) -> list[Rows]:
    """The rows of a piece, dealt out at random."""
    falls = np.random.default_rng((*key, piece.start, 1)).integers(steps, size=piece.stop - piece.start)
    rows = piece.start + np.argsort(falls, kind="stable")
    return np.split(rows, np.searchsorted(np.sort(falls), np.arange(1, steps)))


def _batched(steps: Iterator[Picked], size: int, first: int, every: int) -> Iterator[Picked]:
    """Cuts what comes into batches, and gives each `every`-th of them from number `first` on."""
    number = 0
    rows, groups = np.empty(0, np.int64), dict[int, None]()
    for step in steps:
        rows = np.concatenate([rows, step.rows])
        groups |= dict.fromkeys(step.groups)
        full = len(rows) // size
        for at in range(0, full * size, size):
            if number >= first and (number - first) % every == 0:
                yield Picked(rows[at : at + size], tuple(groups))
            number += 1
        if full:
            rows, groups = rows[full * size :], dict.fromkeys(step.groups)
    if len(rows) and number >= first and (number - first) % every == 0:
        yield Picked(rows, tuple(groups))
