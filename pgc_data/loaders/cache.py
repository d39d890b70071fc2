"""The decoded cache: a split's crops as one array that is mapped into memory, and its rows beside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pgc_data import __version__
from pgc_data.errors import DataError
from pgc_data.loaders.files import RowGroupReader, Table
from pgc_data.loaders.images import Size
from pgc_data.loaders.order import Order, Rows
from pgc_data.loaders.sources import Batch, TableSource, batches, column_values
from pgc_data.paths import remote_of
from pgc_data.storage.files import ensure_writable, read_json, remove_folder, unwritable, write_json
from pgc_data.storage.parquet import TableWriter, parquet_file

CACHE_FILE = "cache.json"
# To be raised when the same crops give other files.
_CACHE_VERSION = 1
_PROGRESS_FILE = "progress.json"
_BATCH_ROWS = 256
_SAVED_BYTES = 64 << 20


def cache_folder(root: Path, size: Size) -> Path:
    """Where the cache of a dataset's crops is.

    Args:
        root: folder of the dataset.
        size: height and width, pixels.
    """
    return root / "cache" / f"crops-{size[0]}x{size[1]}"


def cache_state(folder: Path, table: Table) -> str:
    """`fresh`, `stale` (made from another state of the table, or by another version), `damaged` or `missing`."""
    if remote_of(folder) is not None or not (folder / CACHE_FILE).is_file():
        return "missing"
    found = read_json(folder / CACHE_FILE)
    if (found.get("table"), found.get("cache_version")) != (table.digest, _CACHE_VERSION):
        return "stale"
    whole = all(
        (folder / name).is_file() and (folder / name).stat().st_size == size
        for name, size in found["bytes"].items()
    )
    return "fresh" if whole else "damaged"


def write_cache(
    folder: Path, table: Table, size: Size, threads: int, progress: Callable[[int], None]
) -> dict[str, int]:
    """Decodes all crops of a table into `folder`, which appears when it is whole.

    What a killed run has finished is kept and gone on from; the files are the same as if it had not been killed.

    Args:
        folder: of the cache; replaced if it is there.
        table: of crops.
        size: height and width to scale them to, pixels; see `decode_image`.
        threads: that decode.
        progress: called with the number of rows as they are done.

    Returns:
        Split -> rows.

    Raises:
        DataError: a crop cannot be decoded, or the files cannot be written.
    """
    partial = folder.with_name(f".{folder.name}.incomplete")
    marks = {"table": table.digest, "cache_version": _CACHE_VERSION, "size": list(size)}
    done = _progress(partial, marks)
    ensure_writable(partial)
    try:
        for split in table.splits:
            source = TableSource(table, table.splits[split], ("class_id",), size, table.digest)
            _write_split(partial, split, source, threads, done, marks, progress)
        rows = {split: sum(group.rows for group in groups) for split, groups in table.splits.items()}
        (partial / _PROGRESS_FILE).unlink()
        sizes = {path.name: path.stat().st_size for path in sorted(partial.iterdir())}
        classes = list(table.metadata.get("classes", ()))
        about = {"pgc_data_version": __version__, **marks, "classes": classes, "rows": rows, "bytes": sizes}
        write_json(partial / CACHE_FILE, about)
        old = folder.with_name(f".{folder.name}.old")
        remove_folder(old)
        if folder.exists():
            folder.replace(old)
        partial.replace(folder)
        remove_folder(old)
    except OSError as error:
        raise unwritable(folder, error) from error
    return rows


def _progress(partial: Path, marks: Mapping[str, Any]) -> dict[str, int]:
    """Split -> rows that an earlier run of the same has finished; what another has left is removed."""
    with suppress(DataError):
        found = read_json(partial / _PROGRESS_FILE)
        if found["marks"] == dict(marks):
            return dict(found["rows"])
    remove_folder(partial)
    return {}


def _write_split(
    partial: Path,
    split: str,
    source: TableSource,
    threads: int,
    done: dict[str, int],
    marks: Mapping[str, Any],
    progress: Callable[[int], None],
) -> None:
    """Appends what is missing to the arrays of a split, then writes its other columns."""
    total = sum(source.sizes)
    start = done.setdefault(split, 0)
    progress(start)
    order = Order(_BATCH_ROWS).grouped(source.sizes, 0, first=-(-start // _BATCH_ROWS))
    every = max(1, _SAVED_BYTES // (_BATCH_ROWS * int(np.prod(source.size or ())) * 3))
    with (
        _array(partial / f"{split}.npy", (total, *(source.size or ()), 3), np.uint8, start) as images,
        _array(partial / f"{split}-class_id.npy", (total,), np.int64, start) as classes,
    ):
        for number, batch in enumerate(batches(source.open(1), order, threads), start=1):
            images.write(batch["image"].data)
            classes.write(batch["class_id"].data)
            done[split] += len(batch["class_id"])
            progress(len(batch["class_id"]))
            if number % every == 0 or done[split] == total:
                for handle in (images, classes):
                    handle.flush()
                    os.fsync(handle.fileno())
                write_json(partial / _PROGRESS_FILE, {"marks": dict(marks), "rows": done})
    if not (partial / f"{split}.parquet").is_file():
        _write_rows(partial / f"{split}.parquet", source)


def _array(path: Path, shape: tuple[int, ...], dtype: type[np.generic], done: int) -> IO[bytes]:
    """A .npy file of that shape, opened to append rows after the `done` first."""
    handle = path.open("r+b" if done else "w+b")
    if not done:
        header = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(handle, header)
        return handle
    np.lib.format.read_magic(handle)
    np.lib.format.read_array_header_1_0(handle)
    handle.seek(done * int(np.prod(shape[1:])) * np.dtype(dtype).itemsize, os.SEEK_CUR)
    handle.truncate()
    return handle


def _write_rows(path: Path, source: TableSource) -> None:
    """All columns but the image."""
    schema = pa.schema([field for field in source.table.schema if field.name != "image"])
    reader = RowGroupReader(source.table, schema.names)
    with TableWriter(path, schema) as writer:
        for group in source.groups:
            writer.write(reader.read(group))


@dataclass(frozen=True)
class CacheSource:
    """Rows of a decoded cache.

    Attributes:
        folder: of the cache.
        splits: split -> rows, in the order in which rows are numbered.
        columns: besides the image.
        digest: see `Source`.
    """

    folder: Path
    splits: Mapping[str, int]
    columns: tuple[str, ...]
    digest: str

    @property
    def sizes(self) -> Sequence[int]:
        """See `Source`."""
        return list(self.splits.values())

    @property
    def in_memory(self) -> bool:
        """See `Source`."""
        return True

    def open(self, groups: int) -> CacheReader:
        """See `Source`."""
        return CacheReader(self)


class CacheReader:
    """Copies rows out of the mapped arrays."""

    def __init__(self, source: CacheSource) -> None:
        """Maps the images, and reads the other columns into memory."""
        self._source = source
        self._images = [np.load(source.folder / f"{split}.npy", mmap_mode="r") for split in source.splits]
        self._ends = np.cumsum(source.sizes)
        self._columns = {name: self._column(name) for name in source.columns}

    def _column(self, name: str) -> Any:
        parts = []
        for split in self._source.splits:
            with parquet_file(self._source.folder / f"{split}.parquet") as file:
                parts.append(column_values(file.read([name], use_threads=False), name))
        return np.concatenate(
            [np.asarray(part, object if isinstance(part, list) else None) for part in parts]
        )

    def hold(self, groups: Sequence[int]) -> None:
        """See `Reader`: all is at hand."""

    def pick(self, rows: Rows) -> Rows:
        """See `Reader`."""
        return rows

    def finish(self, picked: Rows) -> Batch:
        """See `Reader`."""
        columns = {name: values[picked] for name, values in self._columns.items()}
        lists = {name: values.tolist() for name, values in columns.items() if values.dtype == object}
        return {"image": self._gather(picked), **columns, **lists}

    def _gather(self, rows: Rows) -> NDArray[np.uint8]:
        if len(self._images) == 1:
            return np.take(self._images[0], rows, axis=0)
        numbers = np.searchsorted(self._ends, rows, side="right")
        images = np.empty((len(rows), *self._images[0].shape[1:]), np.uint8)
        for number, mapped in enumerate(self._images):
            chosen = numbers == number
            images[chosen] = mapped[rows[chosen] - (self._ends[number] - len(mapped))]
        return images

    def close(self) -> None:
        """See `Reader`: the arrays are unmapped when nothing refers to them."""
