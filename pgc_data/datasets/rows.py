"""What ingesters share: the ledger of what they drop, tables made of columns, folders and lists read safely."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from pgc_data.datasets.base import Row
from pgc_data.errors import DataError
from pgc_data.paths import remote_of
from pgc_data.storage.files import folder_entries
from pgc_data.storage.schemas import arrow_schema, conform

_UNSAFE = re.compile(r'[/\\:*?"<>|\x00-\x1f]')

DROPPED, KEPT = "dropped", "kept"
MOST_ALIKE = 20
"""Rows of one kind in one file that the ledger names one by one; it counts the others in one row."""


class Ledger:
    """What was dropped, or kept although odd.

    Hundreds of thousands of things of one kind are common (a sample of HaGRID comes with the annotation of
    all of it), so what is alike is counted: with `tally` at once, with `add` after the first `MOST_ALIKE`.

    Example:
        >>> ledger = Ledger()
        >>> ledger.add(DROPPED, "bad_id", "x;Stop Sign", "'x' is no number", file="train.csv", line=3)
        >>> ledger.dropped
        1
    """

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._tallies: dict[tuple[str, ...], dict[str, Any]] = {}
        self._alike: Counter[tuple[str, str, str | None]] = Counter()

    def add(
        self, action: str, reason: str, item: str, detail: str, *, file: str | None = None,
        line: int | None = None, unit: str = "rows",
    ) -> None:  # fmt: skip
        """Notes one thing, where it stands, and what was found there."""
        self._alike[action, reason, file] += 1
        if self._alike[action, reason, file] > MOST_ALIKE:
            self.tally(action, reason, f"more in {file}", f"the first: {detail}", file=file, unit=unit)
            return
        self._rows.append(
            {
                "item": item, "action": action, "reason": reason, "count": 1, "unit": unit, "detail": detail,
                "file": file, "line": line,
            }
        )  # fmt: skip

    def tally(
        self, action: str, reason: str, item: str, detail: str, *, count: int = 1, file: str | None = None,
        unit: str = "rows",
    ) -> None:  # fmt: skip
        """Counts `count` things of one kind in the one row of `item`; the first detail is kept."""
        key = (action, reason, item, unit, file or "")
        if key not in self._tallies:
            row = {
                "item": item, "action": action, "reason": reason, "count": 0, "unit": unit, "detail": detail,
                "file": file,
            }  # fmt: skip
            self._rows.append(row)
            self._tallies[key] = row
        self._tallies[key]["count"] += count

    @property
    def rows(self) -> list[Row]:
        """The ledger's rows, in the order in which each kind was first met."""
        return list(self._rows)

    @property
    def dropped(self) -> int:
        """How many annotation rows were dropped."""
        return sum(row["count"] for row in self._rows if row["action"] == DROPPED)

    def reasons(self) -> str:
        """Why rows were dropped, in brief, for an error."""
        return (
            ", ".join(sorted({row["reason"] for row in self._rows if row["action"] == DROPPED})) or "no rows"
        )


def samples_table(rows: int, **columns: Any) -> pa.Table:
    """A `samples` table made of columns.

    Args:
        rows: its length.
        columns: a list or array of that length, or one value for every row; a column not given is null.
    """
    schema = arrow_schema("samples")
    made = {field.name: _column(columns.get(field.name), field.type, rows) for field in schema}
    return conform(made, schema)


def _column(value: Any, type_: pa.DataType, rows: int) -> Any:
    if value is None:
        return pa.nulls(rows, type_)
    if isinstance(value, str | int | float):
        return pa.repeat(pa.scalar(value, type_), rows)
    return pa.array(value, type_) if isinstance(value, list) else value


def is_safe_name(name: str) -> bool:
    """Whether a name in an annotation can be a file or folder in its place, and nothing else."""
    return bool(name) and name.strip(". ") != "" and not _UNSAFE.search(name)


def entries(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the folders and of the files in `folder`, each sorted, hidden ones left out.

    Raises:
        DataError: it is missing or cannot be read, or a name in it is not UTF-8, which no table can hold.
    """
    folders: list[str] = []
    files: list[str] = []
    try:
        for name, is_folder in folder_entries(folder):
            if not name.startswith("."):
                name.encode()
                (folders if is_folder else files).append(name)
    except OSError as error:
        raise DataError(
            f"the folder {folder} cannot be read ({error.strerror}): check its name and permissions"
        ) from error
    except UnicodeEncodeError as error:
        raise DataError(f"{folder} holds the name {error.object!r}, which is not UTF-8: rename it") from error
    return sorted(folders), sorted(files)


def identity(folder: Path) -> object:
    """What is the same for a folder and for a link to it, and different for two folders."""
    if remote_of(folder) is not None:
        return folder
    place = folder.stat()
    return place.st_dev, place.st_ino


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of each line that is not blank; a BOM, CRLF and outer spaces are dropped.

    Raises:
        DataError: the file cannot be read, or is no UTF-8 text.
    """
    try:
        with path.open(encoding="utf-8-sig") as handle:
            for number, line in enumerate(handle, start=1):
                if stripped := line.strip():
                    yield number, stripped
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} is not a text file ({error}): get it again") from error


def no_raw_folder(raw: Path, title: str, dataset_id: str) -> DataError:
    """The error for a raw folder that is not there."""
    return DataError(
        f"no raw folder {raw}: download {title} into it (see `pgc-data datasets`), name it with --raw, or draw a "
        f"stand-in with `pgc-data synthesize {dataset_id}`"
    )
