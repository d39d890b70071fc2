"""Batches for PyTorch: an iterable of whole batches that can be gone on with, and rows by number."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, get_worker_info

from pgc_data.engines import cores
from pgc_data.errors import ConfigError, DataError
from pgc_data.loaders.order import Order
from pgc_data.loaders.sources import Batch, Reader, Source, batches, order_of

_STATE_VERSION = 1


def resolve_rank(rank: int | None, world_size: int | None) -> tuple[int, int, bool]:
    """Rank, number of ranks, and whether they were given; else they are those of `torch.distributed`, or 0 of 1.

    Raises:
        ConfigError: only one of them was given.
    """
    if (rank is None) != (world_size is None):
        raise ConfigError("give both rank and world_size, or neither")
    if rank is not None and world_size is not None:
        return rank, world_size, True
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size(), False
    return 0, 1, False


def to_tensors(batch: Batch) -> dict[str, Any]:
    """Arrays as tensors that share their memory, images as (..., 3, H, W) that lie in memory as (..., H, W, 3)."""
    return {name: _tensor(name, value) for name, value in batch.items()}


def _tensor(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_tensor(name, item) for item in value] if name == "image" else value
    tensor = torch.from_numpy(value)
    return tensor.movedim(-1, -3) if name == "image" else tensor


class TorchBatches(IterableDataset[dict[str, Any]]):
    """Whole batches, one epoch a pass.

    A batch is a dictionary: `image` (B, 3, H, W) uint8 RGB in channels-last memory, or a list of (3, H, W) where no
    size was asked for; `class_id` (B,) int64; for windows `features` (B, T, F) float32 and `usable` (B, T) bool; other
    columns as tensors (nulls are NaN), those of strings as lists.

    To be iterated as it is (images are decoded in threads), by `loader(num_workers=N)`, or by
    `DataLoader(batches, batch_size=None, num_workers=N)`. Every pass is the next epoch, unless `set_epoch` says which;
    a plain DataLoader with workers has to be told by `set_epoch`, and only `loader` knows where it is in a pass.
    """

    def __init__(self, source: Source, order: Order, threads: int | None, rank_given: bool) -> None:
        """Made by `Split.torch`.

        Raises:
            ConfigError: there is no batch for a rank.
        """
        self._source, self._order, self._threads, self._rank_given = source, order, threads, rank_given
        self._total = sum(source.sizes)
        if order.drop_last and not len(self):
            raise ConfigError(
                f"{self._total} rows give no batch of {order.batch_size} to each of {order.world_size} ranks: lower "
                "batch_size, or leave out drop_last"
            )
        # Epoch and first batch of the pass, where workers that outlive a pass see it too.
        self._begin = torch.zeros(2, dtype=torch.int64)
        self._begin.share_memory_()  # type: ignore[no-untyped-call]
        self._begun = False
        self._given = 0

    def __len__(self) -> int:
        """Batches of this rank in an epoch."""
        return self._order.batches(self._total)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        if worker is None:
            return self._counted(
                lambda: self._pass(0, 1, cores() if self._threads is None else self._threads)
            )
        # Batch k comes from worker k modulo their number; a DataLoader begins with worker 0.
        first = int(self._begin[1])
        number = (worker.id + first) % worker.num_workers
        return self._pass(number, worker.num_workers, self._threads or 0)

    def _pass(self, worker: int, workers: int, threads: int) -> Iterator[dict[str, Any]]:
        epoch, first = self._begin.tolist()
        order = order_of(self._source, self._order, epoch, first, worker, workers)
        # More row groups than are mixed: a batch may end in one step and begin in the one before.
        reader = self._source.open(self._order.buffer_groups + 3)
        return map(to_tensors, batches(reader, order, threads))

    def _start(self) -> None:
        """Begins the next pass."""
        now = resolve_rank(None, None)[:2]
        if not self._rank_given and now != (self._order.rank, self._order.world_size):
            raise ConfigError(
                f"batches were made for rank {self._order.rank} of {self._order.world_size}, this is rank {now[0]} of "
                f"{now[1]}: make them after torch.distributed is initialised, or give rank and world_size"
            )
        if self._begun:
            self._go_to(int(self._begin[0]) + 1, 0)
        self._begun, self._given = True, 0

    def _counted(self, batches: Callable[[], Iterable[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
        """A pass; it begins when its first batch is asked for, as Lightning makes iterators that it does not use."""
        self._start()
        for batch in batches():
            self._given += 1
            yield batch
        self._go_to(int(self._begin[0]) + 1, 0)

    def _go_to(self, epoch: int, batch: int) -> None:
        self._begin.copy_(torch.tensor([epoch, batch]))
        self._begun, self._given = False, 0

    def set_epoch(self, epoch: int) -> None:
        """Says which epoch the next pass is; one that was loaded in the middle of it goes on there."""
        if self._begun or epoch != int(self._begin[0]):
            self._go_to(epoch, 0)

    def state_dict(self) -> dict[str, Any]:
        """Where the pass is, for `load_state_dict`."""
        return self._state(0)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state_dict` was called: the next pass begins with the batch after the last one given.

        Raises:
            ConfigError: the state is of other data, or of batches made otherwise.
        """
        self._load(state, 0)

    def _state(self, workers: int) -> dict[str, Any]:
        epoch, first = self._begin.tolist()
        return {"epoch": epoch, "batch": first + self._given, **self._identity(workers)}

    def _identity(self, workers: int) -> dict[str, Any]:
        """What must be the same for batches to be the same."""
        order = asdict(self._order)
        if self._source.in_memory:
            del order["buffer_groups"]
        depends = self._order.shuffle and not self._source.in_memory
        return {
            "version": _STATE_VERSION, **order, "workers": max(1, workers) if depends else None,
            "data": self._source.digest,
        }  # fmt: skip

    def _load(self, state: Mapping[str, Any], workers: int) -> None:
        for name, value in self._identity(workers).items():
            if state.get(name) != value:
                raise ConfigError(
                    f"the state is of other batches: {name} is {state.get(name)} there, and {value} here; "
                    "make them alike, or begin a new epoch"
                )
        self._go_to(int(state["epoch"]), int(state["batch"]))

    def loader(self, num_workers: int = 0, **options: Any) -> Loader:
        """These batches, made by worker processes.

        Args:
            num_workers: processes; 0 for threads of this one.
            options: of `torch.utils.data.DataLoader`, such as `pin_memory`, `prefetch_factor`, `persistent_workers`.
        """
        return Loader(self, num_workers, options)


class Loader:
    """`TorchBatches` in the worker processes of a DataLoader, counted here, so that a pass can be gone on with."""

    def __init__(self, data: TorchBatches, num_workers: int, options: Mapping[str, Any]) -> None:
        """Made by `TorchBatches.loader`."""
        self.dataset = data
        self._workers = num_workers
        self._loader = DataLoader(data, batch_size=None, num_workers=num_workers, **options)

    def __len__(self) -> int:
        """Batches of this rank in an epoch."""
        return len(self.dataset)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.dataset._counted(self._from_workers) if self._workers else iter(self._loader)

    def _from_workers(self) -> Iterator[dict[str, Any]]:
        try:
            yield from self._loader
        except DataError as error:
            # A DataLoader puts the worker's traceback before the message.
            raise DataError(str(error).rsplit("DataError: ", 1)[-1].strip()) from error

    def set_epoch(self, epoch: int) -> None:
        """See `TorchBatches.set_epoch`."""
        self.dataset.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """See `TorchBatches.state_dict`."""
        return self.dataset._state(self._workers)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `TorchBatches.load_state_dict`; shuffled and not from the cache, it needs the same `num_workers`."""
        self.dataset._load(state, self._workers)


class TorchRows(Dataset[dict[str, Any]]):
    """Rows by number, for DataLoader's samplers and workers.

    The last row groups that were read are remembered (`buffer_groups` of them), so that rows near each other are cheap.
    A sampler that jumps through a large table reads a row group for every row: take `batch_sampler()`, which
    shuffles as `TorchBatches` does, or the decoded cache, where any order is cheap.
    """

    def __init__(self, source: Source, order: Order) -> None:
        """Made by `Split.torch`."""
        self._source, self._order = source, order
        self._total = sum(source.sizes)
        self._reader: tuple[int, Reader] | None = None

    def __len__(self) -> int:
        return self._total

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[dict[str, Any]]:
        """Several rows at once."""
        rows = np.array(indices, dtype=np.int64)
        if len(rows) and not -self._total <= rows.min() <= rows.max() < self._total:
            raise IndexError(f"rows are numbered 0 to {self._total - 1}")
        reader = self._opened()
        batch = to_tensors(reader.finish(reader.pick(rows % max(1, self._total))))
        return [{name: values[at] for name, values in batch.items()} for at in range(len(rows))]

    def _opened(self) -> Reader:
        # Threads and connections do not survive a fork.
        if self._reader is None or self._reader[0] != os.getpid():
            self._reader = os.getpid(), self._source.open(self._order.buffer_groups + 3)
        return self._reader[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reader": None}

    def batch_sampler(self) -> RowGroupSampler:
        """Batches of row numbers as `batch_size`, `shuffle` and the rest say, near each other in the files."""
        return RowGroupSampler(self._source, self._order)


class RowGroupSampler(Sampler[list[int]]):
    """Batches of row numbers for `DataLoader(rows, batch_sampler=...)`; every pass is the next epoch."""

    def __init__(self, source: Source, order: Order) -> None:
        """Made by `TorchRows.batch_sampler`."""
        self._source, self._order = source, order
        self._epoch = 0

    def __len__(self) -> int:
        return self._order.batches(sum(self._source.sizes))

    def __iter__(self) -> Iterator[list[int]]:
        # Not before the first batch is asked for: a DataLoader with workers makes two iterators and uses one.
        epoch, self._epoch = self._epoch, self._epoch + 1
        for rows, _ in order_of(self._source, self._order, epoch, 0, 0, 1):
            yield rows.tolist()

    def set_epoch(self, epoch: int) -> None:
        """Says which epoch the next pass is."""
        self._epoch = epoch
