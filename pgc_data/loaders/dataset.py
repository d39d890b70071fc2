"""A table opened to be read: its splits, as frames, Arrow, NumPy and torch batches."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads
from numpy.typing import NDArray

from pgc_data.config import unknown_name
from pgc_data.errors import ConfigError, DataError
from pgc_data.loaders.arrays import is_numeric, shape_of, to_array
from pgc_data.loaders.cache import CacheSource, cache_folder, cache_state
from pgc_data.loaders.files import RowGroup, RowGroupReader, Table, fold_count, open_table
from pgc_data.loaders.find import find_table
from pgc_data.loaders.order import Order
from pgc_data.loaders.sources import Source, TableSource, check_columns
from pgc_data.paths import as_path, remote_of
from pgc_data.storage.files import sha256_json

if TYPE_CHECKING:
    from pgc_data.loaders.torch_batches import TorchBatches, TorchRows

log = logging.getLogger(__name__)

_ALIASES = {"validation": "val"}
# What is mixed at a time by default: so many row groups, fewer where they would hold more bytes.
_BUFFER_GROUPS, _LEAST_GROUPS, _BUFFER_BYTES = 32, 4, 512 << 20


def load(path: str | os.PathLike[str], table: str | None = None) -> TableDataset:
    """Opens a table; reads the ends of its files only.

    Args:
        path: a dataset folder (`data/parquet/NAME`), a folder of a table in it, or one Parquet file; here or in an
            object store (`s3://...`).
        table: crops or windows; where the dataset has both, crops by default.

    Raises:
        ConfigError: there is no such table.
        DataError: there is no table, a file is not whole, is not by pgc-data, or is by a newer one.

    Example:
        >>> train = pgc_data.load("data/parquet/demo").split("train")  # doctest: +SKIP
        >>> for batch in train.torch(256, size=(32, 32), shuffle=True):  # doctest: +SKIP
        ...     batch["image"], batch["class_id"]
    """
    # A path of a store is no path of this machine, and refuses to be taken for one.
    found = find_table(path if isinstance(path, Path) else as_path(os.fspath(path)), table)
    return TableDataset(found.path, found.root, open_table(found.table, found.files))


@dataclass(frozen=True)
class TableDataset:
    """A table of crops or of windows.

    Attributes:
        path: what was opened.
        root: the dataset folder that it belongs to.
        source: its files.
    """

    path: Path
    root: Path
    source: Table

    @property
    def table(self) -> str:
        """crops or windows."""
        return self.source.name

    @property
    def schema(self) -> pa.Schema:
        """Columns and types; a file of an older version gives nulls where it lacks one."""
        return self.source.schema

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the files say of themselves: licences, vocabulary, seed, settings, ..."""
        return self.source.metadata

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of `class_id`."""
        return tuple(self.metadata.get("classes", ()))

    @property
    def files(self) -> tuple[Path, ...]:
        """Paths of the files."""
        return tuple(file.path for file in self.source.files)

    @property
    def splits(self) -> Mapping[str, int]:
        """Split -> rows."""
        return {name: sum(group.rows for group in groups) for name, groups in self.source.splits.items()}

    @property
    def folds(self) -> int:
        """How many folds it is split into; 0 where it is split otherwise."""
        return fold_count(self.source.splits)

    def split(self, name: str) -> Split:
        """One split; `validation` is another word for `val`.

        Raises:
            ConfigError: there is none of that name.
        """
        name = name if name in self.source.splits else _ALIASES.get(name, name)
        if name not in self.source.splits:
            raise unknown_name("split", name, self.source.splits)
        return Split(self, name, (name,))

    def fold(self, number: int) -> Fold:
        """A division of a table of k folds: `number` for test, the next one for val, the others for train.

        Args:
            number: from 0 to k - 1.

        Raises:
            ConfigError: the table is not split into folds, or has no fold of that number.
        """
        count = self.folds
        if not count:
            raise ConfigError(f"{self.path} has no folds, but the splits {', '.join(self.splits)}")
        if count < 3:
            raise ConfigError(f"{self.path} has {count} folds: train, val and test need at least 3")
        if not 0 <= number < count:
            raise ConfigError(f"fold {number} is none of 0 to {count - 1}")
        return Fold(self, number)

    def __len__(self) -> int:
        return sum(self.splits.values())


@dataclass(frozen=True)
class Fold:
    """One division of a table of k folds into train, val and test.

    Attributes:
        dataset: the table.
        number: of the fold that is test.
    """

    dataset: TableDataset
    number: int

    @property
    def splits(self) -> Mapping[str, int]:
        """Split -> rows."""
        return {name: len(self.split(name)) for name in ("train", "val", "test")}

    def split(self, name: str) -> Split:
        """train, val or test; see `TableDataset.split`."""
        count = self.dataset.folds
        test, val = self.number, (self.number + 1) % count
        parts = {"train": [n for n in range(count) if n not in (test, val)], "val": [val], "test": [test]}
        name = _ALIASES.get(name, name)
        if name not in parts:
            raise unknown_name("split", name, parts)
        there = self.dataset.source.splits
        return Split(self.dataset, name, tuple(part for n in parts[name] if (part := f"fold-{n}") in there))


@dataclass(frozen=True)
class Split:
    """The rows of one split.

    Attributes:
        dataset: the table.
        name: train, val, test, ...
        parts: the splits of the table that it is made of: one, or of folds several.
    """

    dataset: TableDataset
    name: str
    parts: tuple[str, ...]

    @cached_property
    def groups(self) -> tuple[RowGroup, ...]:
        """Its row groups, in the order of rows."""
        return tuple(group for part in self.parts for group in self.dataset.source.splits[part])

    def __len__(self) -> int:
        return sum(group.rows for group in self.groups)

    def scan(self) -> pl.LazyFrame:
        """All columns as a lazy polars frame: columns and rows that are not asked for are not read."""
        table = self.dataset.source
        paths = [table.files[number].path for number in dict.fromkeys(group.file for group in self.groups)]
        if not paths:
            return pl.DataFrame(table.schema.empty_table()).lazy()
        remote = remote_of(paths[0])
        if remote is None:
            columns = dict(pl.DataFrame(table.schema.empty_table()).schema)
            frame = pl.scan_parquet(paths, schema=columns, missing_columns="insert", extra_columns="ignore")
        else:
            keys = [str(path).split("://", 1)[1] for path in paths]
            frame = pl.scan_pyarrow_dataset(
                pads.dataset(keys, table.schema, format="parquet", filesystem=remote.filesystem)
            )
        return frame if table.by_name else frame.filter(pl.col("split").is_in(self.parts))

    def to_polars(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The rows as a polars frame.

        Args:
            columns: to read; all by default.

        Raises:
            ConfigError: there is no such column.
            DataError: a file is damaged.
        """
        return pl.DataFrame(self.to_arrow(columns))

    def to_arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows as an Arrow table; see `to_polars`."""
        schema = self.dataset.schema
        names = schema.names if columns is None else list(columns)
        for name in names:
            self._check(name)
        reader = RowGroupReader(self.dataset.source, names, threads=True)
        wanted = pa.schema([schema.field(name) for name in names])
        tables = [reader.read(group).select(names).cast(wanted) for group in self.groups]
        return pa.concat_tables([wanted.empty_table(), *tables])

    def to_numpy(self, column: str) -> NDArray[Any]:
        """A column of numbers as an array: `features` of N windows is (N, T, F) float32. Nulls become NaN.

        Raises:
            ConfigError: there is no such column, or it holds no numbers.
            DataError: a file is damaged, or there are nulls among integers.
        """
        self._check(column)
        type_ = self.dataset.schema.field(column).type
        if not is_numeric(type_):
            raise ConfigError(f"column {column!r} is {type_}: only numbers fit into an array")
        shape, dtype = shape_of(type_)
        values = np.empty((len(self), *shape), dtype)
        reader = RowGroupReader(self.dataset.source, [column], threads=True)
        at = 0
        for group in self.groups:
            values[at : at + group.rows] = to_array(reader.read(group)[column], column)
            at += group.rows
        return values

    def _check(self, column: str) -> None:
        if column not in self.dataset.schema.names:
            raise unknown_name("column", column, self.dataset.schema.names)

    def torch(
        self,
        batch_size: int = 256,
        *,
        size: tuple[int, int] | None = None,
        columns: Sequence[str] = (),
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
        map_style: bool = False,
        cached: bool | Literal["auto"] = False,
        buffer_groups: int | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        threads: int | None = None,
    ) -> TorchBatches | TorchRows:
        """The rows for PyTorch.

        Args:
            batch_size: rows of a batch.
            size: height and width to scale crops to; None leaves each its own, and batches have lists of images.
            columns: to have in batches besides `class_id`, and `image` or `features` and `usable`.
            shuffle: another order in every pass.
            seed: of the order.
            drop_last: leave out rows, so that every rank has equally many batches, all full. Set it to train on
                several ranks, which otherwise wait for each other for ever.
            map_style: rows by number, for samplers; else an iterable over whole batches.
            cached: read what `pgc-data cache` wrote; `"auto"` does where that is there and up to date.
            buffer_groups: row groups that are mixed at a time and held in memory; 32 by default, fewer where they
                would take more than 512 MB.
            rank: of this process; that of `torch.distributed` by default, where it is initialised.
            world_size: how many processes train together; as `rank`.
            threads: that decode; by default one for each core, or none in the worker of a DataLoader.

        Raises:
            ConfigError: PyTorch is not installed, or a value is wrong.
            DataError: the cache is missing or was made from another state of the table.
        """
        try:
            from pgc_data.loaders import torch_batches
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise ConfigError("batches for PyTorch need PyTorch: pip install 'pgc-data[train]'") from error
        rank, world_size, given = torch_batches.resolve_rank(rank, world_size)
        buffer = self._buffer_groups() if buffer_groups is None else buffer_groups
        order = Order(batch_size, shuffle, seed, drop_last, rank, world_size, buffer)
        source = self._source(size, columns, cached)
        if map_style and threads is not None:
            raise ConfigError("threads are for batches: leave them out with map_style")
        if map_style:
            return torch_batches.TorchRows(source, order)
        return torch_batches.TorchBatches(source, order, threads, rank_given=given)

    def _buffer_groups(self) -> int:
        mean = sum(group.size for group in self.groups) // max(1, len(self.groups))
        return max(_LEAST_GROUPS, min(_BUFFER_GROUPS, _BUFFER_BYTES // max(1, mean)))

    def _digest(self, kind: str) -> str:
        return sha256_json([kind, self.dataset.source.digest, self.parts])

    def _source(
        self, size: tuple[int, int] | None, columns: Sequence[str], cached: bool | Literal["auto"]
    ) -> Source:
        dataset = self.dataset
        every = check_columns(dataset.schema, dataset.table, columns)
        if dataset.table != "crops" and (size is not None or cached):
            raise ConfigError(
                f"size and cached are for crops, this is a table of {dataset.table}: leave them out"
            )
        if size is not None and min(size) < 1:
            raise ConfigError(f"size={size} must be a height and a width of at least 1 pixel")
        decoded = TableSource(dataset.source, self.groups, every, size, self._digest("table"))
        if not cached:
            return decoded
        if size is None:
            raise ConfigError("cached needs a size: pass that of the cache, such as size=(32, 32)")
        folder = cache_folder(dataset.root, size)
        state = cache_state(folder, dataset.source)
        if state == "fresh":
            splits = dataset.splits
            return CacheSource(
                folder, {part: splits[part] for part in self.parts}, every, self._digest("cache")
            )
        if cached == "auto":
            log.info("decoding %s, as the cache %s is %s", dataset.path, folder, state)
            return decoded
        again = " --overwrite" if state == "stale" else ""
        raise DataError(
            f"the cache {folder} is {state}: run `pgc-data cache {dataset.root.name} --size {size[0]}x{size[1]}{again}`"
        )
