"""One small frame a table: its names and numbers, and a few facts in place of each row's content."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pgc_data.audits.content import (
    IMAGE_FACTS,
    Encoded,
    Facts,
    Loader,
    image_facts,
    image_loaders,
    quiet_opencv,
    read_file,
)
from pgc_data.audits.file_names import canonical_split, read_folders, recover_frames, split_in_name
from pgc_data.audits.findings import EXAMPLES
from pgc_data.audits.roles import CONTENTS, UNKNOWN, Role
from pgc_data.audits.scratch import ScratchArray
from pgc_data.audits.targets import TableFiles, Target, open_parquet_file, unreadable
from pgc_data.audits.window_blocks import WindowBlock, schema_blocks
from pgc_data.audits.window_content import WINDOW_FACTS, WindowReader
from pgc_data.errors import DataError
from pgc_data.paths import explained
from pgc_data.progress import Progress
from pgc_data.storage.schemas import read_metadata

ONE_SPLIT = "all"
"""What the split is called where nothing tells of one."""

_COLUMNS = {
    "split": "split", "label": "label", "dataset": "dataset", "sample": "sample_id", "video": "video_id",
    "subject": "subject_id", "group": "group_id", "class_id": "class_id", "frame": "start", "frame_end": "end",
    "usable_fraction": "usable_fraction", "name": "name", "licence": "licence",
}  # fmt: skip
_TYPES = {
    "class_id": pl.Int64, "start": pl.Int64, "end": pl.Int64, "usable_fraction": pl.Float32, "name": pl.String,
}  # fmt: skip
_BATCH_ROWS = 1024
_PIECE = 64
"""Images handed to a thread at a time: few enough to share evenly, enough to be worth the hand-over."""


@dataclass(frozen=True)
class Rows:
    """The rows of one table.

    Attributes:
        frame: one row for each row of the table, see `read_rows`.
        kept: (n, ...) on disk: thumbnails as in `similarity`, or sketches of windows for the probe.
        roles: the roles of the table's columns, with those found on reading.
        trajectories: class -> mean path of the hand over its windows; empty where the features do not tell.
        licences: the licences that rows name, sorted.
        bytes: of the table's files.
    """

    frame: pl.DataFrame
    kept: ScratchArray
    roles: dict[str, Role]
    trajectories: Mapping[str, Any]
    licences: tuple[str, ...]
    bytes: int


def read_rows(target: Target, table: TableFiles) -> Rows:
    """Reads one table, its content batch by batch, keeping some hundred bytes a row.

    The frame's columns, null where unknown: `file` (path relative to the dataset folder), `row` (from 0, within its
    file), `split`, `label`, `dataset`, `sample_id`, `video_id`, `subject_id`, `group_id` (categories; empty text is
    null), `class_id`, `start` and `end` (first and last frame, inclusive), `usable_fraction` (windows), `name`,
    `digest_a` and `digest_b` (16 bytes of the content's sha256; null where there is nothing to compare), `fault`
    (what is wrong with the content, or null); of images `phash`, `width`, `height` (pixels), `brightness`,
    `contrast` (mean and standard deviation of grey, 0 to 255), `sharpness` (variance of the Laplacian at 64x64 grey),
    `plain` (nothing to be known again by); of windows `frames`, `dims`, `shown`, `gap` (see `WINDOW_FACTS`).

    Args:
        target: what is audited.
        table: one of its tables.

    Raises:
        DataError: a file is not whole.
    """
    reader = _TableReader(target, table)
    with quiet_opencv(), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        names = reader.read(pool)
    frame = pl.concat([names, _facts_frame(table, reader)], how="horizontal")
    frame, roles = _completed(table, frame)
    licences = frame["licence"].drop_nulls().unique().cast(pl.String).sort().to_list()
    return Rows(
        frame.drop("licence"),
        reader.kept,
        roles,
        reader.windows.trajectories(),
        tuple(licences),
        reader.bytes,
    )


class _TableReader:
    """Reads names and contents of one table.

    Attributes:
        facts: a part for each batch.
        faults: row of the table -> what is wrong with it.
        kept: thumbnails or sketches.
        windows: reader of windows.
        bytes: of the files.
    """

    def __init__(self, target: Target, table: TableFiles) -> None:
        self.facts: list[NDArray[Any]] = []
        self.faults: dict[int, str] = {}
        self.kept = ScratchArray()
        self.bytes = 0
        self._target, self._table = target, table
        self._rows = 0
        self.windows = WindowReader(None)

    def read(self, pool: ThreadPoolExecutor) -> pl.DataFrame:
        """Reads everything; gives the names and numbers."""
        if self._table.images is not None:
            return self._read_folder(self._table.images, pool)
        parts = []
        total = sum(_row_count(path) for path in self._table.files)
        with Progress(f"audit {self._table.table}", total, "rows") as progress:
            for path in self._table.files:
                self.bytes += path.stat().st_size
                parts.append(self._read_file(path, pool, progress))
        return pl.concat(parts)

    def _read_folder(self, images: pl.Series, pool: ThreadPoolExecutor) -> pl.DataFrame:
        (folder,) = self._table.files
        with Progress(f"audit {self._table.table}", len(images), "images") as progress:
            batches = (
                self._loose(folder, images[at : at + _BATCH_ROWS])
                for at in range(0, len(images), _BATCH_ROWS)
            )
            self._decode(batches, pool, progress)
        names = pl.DataFrame({"name": images, "file": images.cast(pl.Categorical)})
        return _uniform(names).with_columns(row=pl.lit(0, dtype=pl.UInt32))

    def _loose(self, folder: Path, names: pl.Series) -> list[Loader]:
        paths = [folder / name for name in names]
        files = {path for path in paths if path.is_file()}
        self.bytes += sum(path.stat().st_size for path in files)
        # A named pipe would wait for a writer for ever.
        return [partial(read_file, path) if path in files else _nothing for path in paths]

    def _read_file(self, path: Path, pool: ThreadPoolExecutor, progress: Progress) -> pl.DataFrame:
        try:
            with explained(path), open_parquet_file(path) as file:
                rows = _names_and_numbers(file, path, self._table)
                if self._table.content == "image":
                    self._decode(self._image_batches(file), pool, progress)
                else:
                    self._read_windows(file, rows["label"], progress)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(path, error) from error
        relative = pl.lit(self._target.relative(path), dtype=pl.Categorical)
        return rows.with_columns(file=relative, row=pl.int_range(pl.len(), dtype=pl.UInt32))

    def _image_batches(self, file: pq.ParquetFile) -> Iterator[list[Loader]]:
        column = self._table.column("image")
        for batch in _batches(file, [column]):
            yield image_loaders(batch.column(0), self._table.base)

    def _decode(self, batches: Iterable[list[Loader]], pool: ThreadPoolExecutor, progress: Progress) -> None:
        """Decodes in threads, one batch read ahead."""
        pending: list[Future[Facts]] = []
        for loaders in batches:
            pieces = [loaders[at : at + _PIECE] for at in range(0, len(loaders), _PIECE)]
            following = [pool.submit(image_facts, piece) for piece in pieces]
            self._add(pending, progress)
            pending = following
        self._add(pending, progress)

    def _add(self, pending: Iterable[Future[Facts]], progress: Progress) -> None:
        for future in pending:
            self._keep(future.result())
            progress.add(len(self.facts[-1]))

    def _keep(self, part: Facts) -> None:
        self.facts.append(part.facts)
        self.kept.append(part.kept)
        self.faults |= {self._rows + at: fault for at, fault in part.faults.items()}
        self._rows += len(part.facts)

    def _read_windows(self, file: pq.ParquetFile, labels: pl.Series, progress: Progress) -> None:
        if self._rows == 0:
            self.windows = WindowReader(_trajectory(file.schema_arrow))
        features, usable = self._table.column("features"), self._table.column("usable")
        columns = [name for name in (features, usable) if name in file.schema_arrow.names]
        at = 0
        for batch in _batches(file, columns):
            flags = batch.column(usable) if usable in columns else None
            self._keep(self.windows.read(batch.column(features), flags, labels[at : at + batch.num_rows]))
            at += batch.num_rows
            progress.add(batch.num_rows)


def _nothing() -> Encoded:
    return None


def _batches(file: pq.ParquetFile, columns: list[str | None]) -> Iterator[pa.RecordBatch]:
    for group in range(file.num_row_groups):
        # One group a call: over several, pyarrow (26) keeps all that it has read until the last is done.
        yield from file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=columns)


def _row_count(path: Path) -> int:
    with open_parquet_file(path) as file:
        return int(file.metadata.num_rows)


def _trajectory(schema: pa.Schema) -> WindowBlock | None:
    """The block of features that says where the hand is, by the feature schema in the file's metadata."""
    document = read_metadata(schema).get("feature_schema")
    if not isinstance(document, dict):
        return None
    try:
        blocks = schema_blocks(document, int(document["frame_dims"]))
    except (DataError, KeyError, TypeError, ValueError):
        return None
    return next((block for block in blocks if block.name.endswith("trajectory") and block.size >= 2), None)


def _names_and_numbers(file: pq.ParquetFile, path: Path, table: TableFiles) -> pl.DataFrame:
    schema = file.schema_arrow
    wanted = {
        role: column
        for role in _COLUMNS
        if (column := table.column(role))
        and (column in schema.names or column.partition(".")[0] in schema.names)
        and role not in CONTENTS
    }
    read = pl.DataFrame(file.read(columns=sorted(set(wanted.values()))))
    columns = {}
    for role, column in wanted.items():
        top, _, inner = column.partition(".")
        own = read[column] if column in read.columns else read[top].struct.field(inner)
        columns[_COLUMNS[role]] = own
    rows = pl.DataFrame(columns) if columns else pl.DataFrame({"row": np.zeros(file.metadata.num_rows, "u1")})
    if "label" in columns:
        rows = rows.with_columns(label=_labels(columns["label"], table.names))
    if "split" not in columns:
        rows = rows.with_columns(split=pl.lit(split_in_name(path), dtype=pl.String))
    return _uniform(rows)


def _labels(values: pl.Series, names: tuple[str, ...]) -> pl.Series:
    """Numbers as the class names that the file's metadata give them; without such, as they are."""
    values = _whole(values)
    if not (names and values.dtype.is_integer()):
        return values
    return values.replace_strict(dict(enumerate(names)), default=None, return_dtype=pl.String)


def _uniform(rows: pl.DataFrame) -> pl.DataFrame:
    """The columns that every table's frame has, in one order and of one type each."""
    columns = []
    for name in _COLUMNS.values():
        type_ = _TYPES.get(name, pl.Categorical)
        values = (
            rows[name]
            if name in rows.columns
            else pl.Series(name, [None], dtype=type_).new_from_index(0, rows.height)
        )
        if type_ == pl.Categorical:
            values = _texts(values, name != "label")
        columns.append(values.cast(type_, strict=False).alias(name))
    more = [rows["file"]] if "file" in rows.columns else []
    return pl.DataFrame([*columns, *more])


def _texts(values: pl.Series, strip: bool) -> pl.Series:
    """Names as text, an empty one as none; spaces around count for labels only, as `fist ` is a class to a loader."""
    if values.dtype == pl.Categorical:
        return values
    texts = _whole(values).cast(pl.String)
    stripped = texts.str.strip_chars()
    return (stripped if strip else texts).set(stripped == "", None)


def _whole(values: pl.Series) -> pl.Series:
    """Floats that are whole numbers but for gaps, as pandas makes them of numbers with gaps, as numbers with nulls."""
    if not values.dtype.is_float():
        return values
    values = values.fill_nan(None)
    return values.cast(pl.Int64) if bool((values.is_null() | (values % 1 == 0)).all()) else values


def _facts_frame(table: TableFiles, reader: _TableReader) -> pl.DataFrame:
    kind = IMAGE_FACTS if table.content == "image" else WINDOW_FACTS
    facts = np.concatenate([np.empty(0, kind), *reader.facts])
    frame = pl.DataFrame({name: facts[name] for name in kind.names or ()})
    names = frame.columns
    frame = frame.with_columns(pl.when("present").then(pl.col("digest_a", "digest_b")))
    measured = [name for name in names if name not in ("digest_a", "digest_b", "present", "decoded")]
    if table.content == "image":
        frame = frame.with_columns(pl.when("decoded").then(pl.col(measured)))
    faults: list[str | None] = [None] * len(facts)
    for row, fault in reader.faults.items():
        faults[row] = fault
    fault_column = pl.Series("fault", faults, dtype=pl.String).cast(pl.Categorical)
    return frame.drop([n for n in ("present", "decoded") if n in names]).with_columns(fault_column)


def _completed(table: TableFiles, frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, Role]]:
    """Adds what only all rows together tell: split and class by folder, video and frame by name, one split."""
    roles = dict(table.roles)
    if table.images is not None:
        folders = read_folders(table.images)
        frame = frame.with_columns(
            split=folders.splits.cast(pl.Categorical), label=folders.labels.cast(pl.Categorical)
        )
        if folders.splits.null_count() < len(folders.splits):
            roles["split"] = Role(None, "file name", "a folder is called like a split")
        if folders.labels.null_count() < len(folders.labels):
            roles["label"] = Role(None, "file name", "the name of an image's folder")
    frame = frame.with_columns(split=_canonical(frame["split"]))
    frame = _with_frames(frame, roles)
    frame = frame.with_columns(end=pl.coalesce("end", "start"))
    if table.content == "features":
        frame = frame.with_columns(pl.coalesce("usable_fraction", "shown"))
    if "split" not in roles:
        frame = frame.with_columns(split=pl.lit(ONE_SPLIT, dtype=pl.Categorical))
        roles["split"] = Role(
            None, "none", "neither a column nor names tell of one: all rows are taken as one split"
        )
    if frame["class_id"].null_count() == frame.height and table.names:
        numbers = {name: number for number, name in enumerate(table.names)}
        label = pl.col("label").cast(pl.String)
        frame = frame.with_columns(
            class_id=label.replace_strict(numbers, default=None, return_dtype=pl.Int64)
        )
    for role in ("label", "group", "subject", "video", "frame", "dataset"):
        roles.setdefault(role, UNKNOWN)
    return frame, roles


def _canonical(splits: pl.Series) -> pl.Series:
    names = [name for name in splits.cast(pl.String).unique() if name is not None]
    return (
        splits.cast(pl.String).replace({name: canonical_split(name) for name in names}).cast(pl.Categorical)
    )


def _with_frames(frame: pl.DataFrame, roles: dict[str, Role]) -> pl.DataFrame:
    """Video and frame from file names, where there is no column of them."""
    if frame["start"].null_count() < frame.height or frame["name"].null_count() == frame.height:
        return frame
    videos = frame["video_id"] if "video" in roles else None
    found = recover_frames(frame["name"], frame["label"], frame["split"], videos)
    if found is None:
        return frame
    roles["frame"] = Role(None, "file name", found.note)
    if videos is not None:
        return frame.with_columns(start=found.frame)
    roles["video"] = Role(None, "file name", found.note)
    return frame.with_columns(start=found.frame, video_id=found.video.cast(pl.Categorical))


def examples(rows: pl.DataFrame, columns: Iterable[str]) -> tuple[Mapping[str, Any], ...]:
    """The first few rows, in the order of the files, as examples of a finding."""
    first = rows.sort("file", "row").head(EXAMPLES)
    return tuple(first.select("file", "row", *columns).to_dicts())


def references(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows as a report names them: file, row, split, label, group (subject or video, where there is none), name."""
    group = pl.coalesce("group_id", "subject_id", "video_id")
    texts = [pl.col(name).cast(pl.String) for name in ("file", "split", "label")]
    return rows.select(*texts, pl.col("row").cast(pl.Int64), "name", group=group.cast(pl.String)).to_dicts()
