"""One small frame a table: its names and numbers, and a digest in place of each row's content."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pgc_data.audits.content import READERS, Contents, joined
from pgc_data.audits.findings import EXAMPLES
from pgc_data.audits.targets import CONTENT, KEYS, TableFiles, Target, open_table, small_columns, unreadable
from pgc_data.errors import DataError
from pgc_data.paths import explained
from pgc_data.progress import Progress

_BATCH_ROWS = 1000


def read_rows(target: Target, files: TableFiles) -> pl.DataFrame:
    """Reads one table, its content column batch by batch, keeping about 70 bytes a row.

    Args:
        target: what is audited.
        files: one of its tables.

    Returns:
        A row for each row of the table: `file` (path relative to the dataset folder), `row` (from 0, within
        its file), the `KEYS` as categories, `class_id`, `start` and `end` (first and last frame, 1-based,
        inclusive), `usable_fraction` (windows), `digest_a` and `digest_b` (16 bytes of the content's sha256;
        null where there is nothing to compare), `fault` (what is wrong with the content, or null).

    Raises:
        DataError: a file is not whole, or lacks a column.
    """
    parts = []
    total = sum(_row_count(path, files.table) for path in files.files)
    threads = ThreadPoolExecutor(os.cpu_count() or 1)
    with threads as pool, Progress(f"audit {files.table}", total, "rows") as progress:
        for path in files.files:
            part = _read_file(path, files.table, pool, progress)
            parts.append(part.with_columns(file=pl.lit(target.relative(path), dtype=pl.Categorical)))
    return pl.concat(parts)


def _row_count(path: Path, table: str) -> int:
    with open_table(path, table) as file:
        return int(file.metadata.num_rows)


def _read_file(path: Path, table: str, pool: ThreadPoolExecutor, progress: Progress) -> pl.DataFrame:
    try:
        with explained(path), open_table(path, table) as file:
            rows = _names_and_numbers(file, table)
            contents = _read_contents(file, table, pool, progress)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from error
    except DataError as error:
        raise error if str(path) in str(error) else DataError(f"{path}: {error}") from error
    present, digests = pl.Series(contents.present), contents.digests
    return rows.with_columns(
        row=pl.int_range(pl.len(), dtype=pl.UInt32),
        digest_a=pl.when(present).then(pl.Series(digests[:, 0])),
        digest_b=pl.when(present).then(pl.Series(digests[:, 1])),
        fault=pl.Series(contents.faults, dtype=pl.Categorical),
    )


def _names_and_numbers(file: pq.ParquetFile, table: str) -> pl.DataFrame:
    rows = pl.DataFrame(file.read(columns=list(small_columns(table))))
    frames = ("frame", "frame") if table == "crops" else ("frame_start", "frame_end")
    return rows.with_columns(
        pl.col(KEYS).cast(pl.Categorical), start=pl.col(frames[0]), end=pl.col(frames[1])
    ).drop(set(frames))


def _read_contents(
    file: pq.ParquetFile, table: str, pool: ThreadPoolExecutor, progress: Progress
) -> Contents:
    column = CONTENT[table]
    parts = []
    for group in range(file.num_row_groups):
        # One group a call: over several, pyarrow (26) keeps all that it has read until the last is done.
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=[column]):
            parts.append(READERS[column](batch.column(0), pool))
            progress.add(batch.num_rows)
    return joined(parts)


def examples(rows: pl.DataFrame, columns: Iterable[str]) -> tuple[Mapping[str, Any], ...]:
    """The first few rows, in the order of the files, as examples of a finding."""
    first = rows.sort("file", "row").head(EXAMPLES)
    return tuple(first.select("file", "row", *columns).to_dicts())
