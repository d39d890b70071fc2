"""Where the rows of batches come from: row groups of a table, decoded as they are asked for, or the decoded cache."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pgc_data.config import unknown_name
from pgc_data.errors import ConfigError, DataError
from pgc_data.loaders.arrays import EncodedImages, is_numeric, shape_of, to_array
from pgc_data.loaders.files import RowGroup, RowGroupReader, Table
from pgc_data.loaders.images import Size, decode_image
from pgc_data.loaders.order import Order, Picked, Rows
from pgc_data.paths import remote_of

Batch = dict[str, Any]
"""Column -> (n, ...) array of its values, or a list where they are no numbers or images of different sizes."""

ALWAYS = {"crops": ("class_id",), "windows": ("class_id", "features", "usable")}
"""The columns, besides the image, that every batch of a table has."""

# A store answers late, but several requests at a time.
_READERS_OF_A_STORE = 8


class Reader(Protocol):
    """Reads rows for one pass, or one process."""

    def hold(self, groups: Sequence[int]) -> None:
        """Begins to read these row groups, and forgets others."""

    def pick(self, rows: Rows) -> Any:
        """What `finish` needs for these rows."""

    def finish(self, picked: Any) -> Batch:
        """Makes the batch; may run in any thread."""

    def close(self) -> None:
        """Frees what is held."""


class Source(Protocol):
    """Rows that can be read; goes to other processes as it is."""

    @property
    def sizes(self) -> Sequence[int]:
        """Rows of each row group."""

    @property
    def in_memory(self) -> bool:
        """Whether rows can be read in any order at the same cost."""

    @property
    def digest(self) -> str:
        """Differs where the same numbers mean other rows."""

    def open(self, groups: int) -> Reader:
        """A reader that remembers so many row groups."""


def check_columns(schema: pa.Schema, table: str, columns: Sequence[str]) -> tuple[str, ...]:
    """All columns besides the image that batches are to have.

    Raises:
        ConfigError: one is not known, or does not fit into a batch.
    """
    for name in columns:
        if name not in schema.names:
            raise unknown_name("column", name, schema.names)
        type_ = schema.field(name).type
        if name == "image" or not (is_numeric(type_) or pa.types.is_string(type_)):
            raise ConfigError(f"column {name!r} ({type_}) cannot be asked for in batches: leave it out")
    return tuple(dict.fromkeys([*ALWAYS[table], *columns]))


def column_values(rows: pa.Table, name: str) -> NDArray[Any] | list[str | None]:
    """A column as an array, or as a list of strings."""
    column = rows[name]
    if is_numeric(column.type):
        return to_array(column, name)
    strings: list[str | None] = column.to_pylist()
    return strings


def batches(reader: Reader, order: Iterator[Picked], threads: int) -> Iterator[Batch]:
    """Reads batches one after the other, some of them ahead in threads.

    Args:
        reader: closed when the pass ends.
        order: rows of each batch.
        threads: that decode; with 0 a batch is made when it is asked for.
    """
    waiting: deque[Future[Batch]] = deque()
    pool = ThreadPoolExecutor(max(threads, 1))
    try:
        for rows, groups in order:
            reader.hold(groups)
            picked = reader.pick(rows)
            if not threads:
                yield reader.finish(picked)
                continue
            waiting.append(pool.submit(reader.finish, picked))
            if len(waiting) > threads + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        reader.close()


def order_of(
    source: Source, order: Order, epoch: int, first: int, worker: int, workers: int
) -> Iterator[Picked]:
    """The batches of one worker; see `Order.grouped` and `Order.permuted`."""
    if source.in_memory:
        return order.permuted(sum(source.sizes), epoch, first, worker, workers)
    return order.grouped(source.sizes, epoch, first, worker, workers)


@dataclass(frozen=True)
class TableSource:
    """Rows of a table's row groups.

    Attributes:
        table: what to read of.
        groups: the row groups, with the rows that count.
        columns: besides the image.
        size: height and width of images, or None for their own.
        digest: see `Source`.
    """

    table: Table
    groups: tuple[RowGroup, ...]
    columns: tuple[str, ...]
    size: Size | None
    digest: str

    @property
    def sizes(self) -> Sequence[int]:
        """See `Source`."""
        return [group.rows for group in self.groups]

    @property
    def in_memory(self) -> bool:
        """See `Source`."""
        return False

    def open(self, groups: int) -> TableReader:
        """See `Source`."""
        return TableReader(self, groups)


@dataclass(frozen=True)
class _Group:
    """A row group in memory, its images still encoded."""

    columns: Mapping[str, Any]
    images: EncodedImages | None


class TableReader:
    """Reads row groups ahead of their use, remembers the last ones, and decodes images."""

    def __init__(self, source: TableSource, remembered: int) -> None:
        """Reads nothing yet.

        Args:
            source: what to read.
            remembered: how many row groups are kept, unless more are asked for at a time.
        """
        self._source = source
        self._remembered = remembered
        self._ends = np.cumsum(source.sizes)
        images = ["image.bytes"] if source.table.name == "crops" else []
        self._reader = RowGroupReader(source.table, [*images, *source.columns])
        remote = remote_of(source.table.files[0].path) is not None
        self._pool = ThreadPoolExecutor(_READERS_OF_A_STORE if remote else 1)
        self._groups: OrderedDict[int, Future[_Group]] = OrderedDict()

    def hold(self, groups: Sequence[int]) -> None:
        """See `Reader`."""
        for number in groups:
            if number in self._groups:
                self._groups.move_to_end(number)
            else:
                self._groups[number] = self._pool.submit(self._read, number)
        while len(self._groups) > max(self._remembered, len(groups)):
            self._groups.popitem(last=False)

    def _read(self, number: int) -> _Group:
        group = self._source.groups[number]
        rows = self._reader.read(group)
        try:
            columns = {name: column_values(rows, name) for name in self._source.columns}
        except DataError as error:
            raise DataError(f"{self._source.table.files[group.file].path}: {error}") from error
        return _Group(columns, EncodedImages(rows["image"]) if "image" in rows.column_names else None)

    def pick(self, rows: Rows) -> list[tuple[int, _Group, Rows, Rows]]:
        """For each row group in turn: its number, itself, the places in the batch, and the rows of it."""
        numbers = np.searchsorted(self._ends, rows, side="right")
        places = np.argsort(numbers, kind="stable")
        present, starts = np.unique(numbers[places], return_index=True)
        picked = []
        for number, at in zip(present.tolist(), np.split(places, starts[1:]), strict=True):
            if number not in self._groups:
                self.hold((number,))
            begin = self._ends[number] - self._source.groups[number].rows
            picked.append((number, self._groups[number].result(), at, rows[at] - begin))
        return picked

    def finish(self, picked: list[tuple[int, _Group, Rows, Rows]]) -> Batch:
        """See `Reader`."""
        count = sum(len(at) for _, _, at, _ in picked)
        batch: Batch = {}
        if self._source.table.name == "crops":
            batch["image"] = self._images(picked, count)
        for name in self._source.columns:
            type_ = self._source.table.schema.field(name).type
            if is_numeric(type_):
                shape, dtype = shape_of(type_)
                batch[name] = np.empty((count, *shape), dtype)
                for _, group, at, rows in picked:
                    batch[name][at] = group.columns[name][rows]
            else:
                batch[name] = [None] * count
                for _, group, at, rows in picked:
                    for place, row in zip(at.tolist(), rows.tolist(), strict=True):
                        batch[name][place] = group.columns[name][row]
        return batch

    def _images(self, picked: list[tuple[int, _Group, Rows, Rows]], count: int) -> Any:
        size = self._source.size
        images: Any = [None] * count if size is None else np.empty((count, *size, 3), np.uint8)
        for number, group, at, rows in picked:
            assert group.images is not None
            for place, row in zip(at.tolist(), rows.tolist(), strict=True):
                try:
                    if size is None:
                        images[place] = decode_image(group.images[row])
                    else:
                        decode_image(group.images[row], size, images[place])
                except DataError as error:
                    raise self._broken(number, row, error) from error
        return images

    def _broken(self, number: int, row: int, error: DataError) -> DataError:
        group = self._source.groups[number]
        return DataError(
            f"{self._source.table.files[group.file].path}: the image of row {group.row(row)} cannot be decoded: "
            f"{error}; `pgc-data audit` lists all that are damaged"
        )

    def close(self) -> None:
        """See `Reader`."""
        self._groups.clear()
        self._pool.shutdown(cancel_futures=True)
