"""The images of some rows, as they lie in the table: what a report shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pgc_data.audits.content import image_loaders
from pgc_data.audits.targets import TableFiles, Target, open_parquet_file, unreadable

_BATCH_ROWS = 256

Key = tuple[str, int]


def pictures(target: Target, refs: Iterable[Mapping[str, Any]]) -> dict[Key, bytes]:
    """The encoded images of rows, read from their row groups only.

    Args:
        target: what was audited.
        refs: rows, each with `file` and `row` as in `rows.read_rows`.

    Returns:
        (file, row) -> the bytes as they are stored; rows without an image, and of tables of features, left out.

    Raises:
        DataError: a file cannot be read.
    """
    wanted: dict[str, set[int]] = {}
    for ref in refs:
        wanted.setdefault(str(ref["file"]), set()).add(int(ref["row"]))
    found: dict[Key, bytes] = {}
    for table in target.tables:
        if table.content != "image":
            continue
        if table.images is not None:
            found |= _loose(table.files[0], wanted)
            continue
        for path in table.files:
            name = target.relative(path)
            if name in wanted:
                images = _of_file(path, table, sorted(wanted[name]))
                found |= {(name, row): data for row, data in images.items()}
    return found


def _loose(folder: Path, wanted: Mapping[str, set[int]]) -> dict[Key, bytes]:
    found = {}
    for name in wanted:
        path = folder / name
        if path.is_file():
            found[name, 0] = path.read_bytes()
    return found


def _of_file(path: Path, table: TableFiles, rows: Sequence[int]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    try:
        with open_parquet_file(path) as file:
            start = 0
            for group in range(file.num_row_groups):
                size = file.metadata.row_group(group).num_rows
                own = [row - start for row in rows if start <= row < start + size]
                if own:
                    images = _of_group(file, table, group, own)
                    found |= {start + row: data for row, data in images.items()}
                start += size
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from error
    return found


def _of_group(file: pq.ParquetFile, table: TableFiles, group: int, rows: Sequence[int]) -> dict[int, bytes]:
    """Images of some rows of a row group, ascending, read up to the last of them."""
    found: dict[int, bytes] = {}
    start, left = 0, np.asarray(rows)
    for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=[table.column("image")]):
        own = left[left < start + batch.num_rows]
        loaders = image_loaders(batch.column(0), table.base) if len(own) else []
        for row in own.tolist():
            if data := loaders[row - start]():
                found[row] = bytes(data)
        start, left = start + batch.num_rows, left[len(own) :]
        if not len(left):
            break
    return found
