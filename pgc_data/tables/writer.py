"""Writing a table as `<split>-NNNNN-of-NNNNN.parquet`, in a folder that appears when it is whole."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from pgc_data.errors import DataError
from pgc_data.paths import RemotePath, explained, remote_of
from pgc_data.storage.files import (
    ensure_writable,
    read_json,
    remove_folder,
    sha256_file,
    unwritable,
    write_json,
)
from pgc_data.storage.parquet import TableWriter, parquet_file
from pgc_data.storage.remote import copy_file, remove_tree, temporary_folder
from pgc_data.storage.sorting import SortedRows
from pgc_data.tables.row_order import RowGroup, RowOrder

FILE_BYTES = 500 << 20
SINGLE_FILE = "dataset.parquet"
_DONE = "files.json"


class OrderedWriter:
    """Takes the rows of a table in any order and writes them in that of a `RowOrder`.

    Everything is written below `.<folder>.incomplete`, which replaces `folder` at the end. What a killed run left there
    is taken up: the rows, once all have come (where they are more than memory holds), and the files that are whole. In
    an object store, which cannot rename, the old files are removed and then the new ones copied: stopped in between,
    the table is not what the manifest says, and is made again.

    Example:
        >>> with OrderedWriter(folder, schema, order, names, mark) as writer:  # doctest: +SKIP
        ...     if writer.facts is None:
        ...         writer.write(table)
        ...         writer.seal({"dropped": 3})
        ...     files = writer.finish()
    """

    def __init__(
        self,
        folder: Path,
        schema: pa.Schema,
        order: RowOrder,
        splits: Sequence[str],
        mark: str,
        single_file: bool = False,
    ) -> None:
        """Prepares to write `folder`.

        Args:
            folder: of the table.
            schema: of its files, metadata included; with columns `group_id` and `class_id`.
            order: of the rows.
            splits: their names.
            mark: changes when anything changes that decides the rows.
            single_file: whether to write one file of all splits.
        """
        self._folder = folder
        self._partial = folder.with_name(f".{folder.name}.incomplete")
        self._schema = schema
        self._order = order
        self._splits = splits
        self._mark = mark
        self._single = single_file
        self._resumes = remote_of(folder) is None
        self.facts: dict[str, Any] | None = None

    def __enter__(self) -> OrderedWriter:
        if self._resumes:
            self._scratch = self._partial / "rows"
        else:
            self._temporary = temporary_folder()
            self._scratch = self._temporary.__enter__()
        found = SortedRows.sealed(self._scratch, self._schema, self._mark) if self._resumes else None
        if found is None:
            remove_folder(self._partial)
            ensure_writable(self._partial)
            self._rows = SortedRows(self._scratch, self._schema)
        else:
            self._rows, self.facts = found
        return self

    def write(self, table: pa.Table, groups: Sequence[str], class_ids: Any) -> None:
        """Adds rows.

        Args:
            table: n rows of the schema.
            groups: (n,) group of each.
            class_ids: (n,) class of each.
        """
        self._rows.add(table, self._order.places(groups, class_ids))

    def seal(self, facts: Mapping[str, Any]) -> None:
        """Says that all rows have come.

        Args:
            facts: what a later run needs to know of them, as JSON values.

        Raises:
            DataError: there are not as many as the order has places for.
        """
        if amiss := self._order.amiss():
            raise DataError(
                f"{self._folder.name}: {amiss} rows counted did not come, or came uncounted: a row went missing"
            )
        self._rows.seal(self._mark, facts)
        self.facts = dict(facts)

    def finish(self) -> list[dict[str, Any]]:
        """Writes the files, checks them and puts them in place.

        Returns:
            Path relative to the dataset folder, rows, bytes and sha256 of each.

        Raises:
            DataError: a file cannot be written, or is not what was written.
        """
        files = self._write_files()
        self._rows.clear()
        if self._resumes:
            self._remove_others({file["name"] for file in files})
        counts = {split: sum(file["split"] == split for file in files) for split in self._splits}
        try:
            self._publish({file["name"]: self._final_name(file, counts) for file in files})
        except OSError as error:
            raise unwritable(self._folder, error) from error
        return [
            {"path": f"{self._folder.name}/{self._final_name(file, counts)}", "rows": file["rows"],
             "bytes": file["bytes"], "sha256": file["sha256"]}
            for file in files
        ]  # fmt: skip

    def _final_name(self, file: Mapping[str, Any], counts: Mapping[str, int]) -> str:
        return (
            SINGLE_FILE
            if self._single
            else f"{Path(file['name']).stem}-of-{counts[file['split']]:05d}.parquet"
        )

    def _write_files(self) -> list[dict[str, Any]]:
        groups = self._order.row_groups
        done = self._done_files()
        at = done[-1]["stop"] if done else 0
        while at < len(groups):
            split = self._splits[groups[at].split]
            number = sum(file["split"] == split for file in done)
            name = SINGLE_FILE if self._single else f"{split}-{number:05d}.parquet"
            file = self._write_file(self._partial / name, groups, at)
            done.append({"name": name, "split": split, **file})
            at = file["stop"]
            if self._resumes:
                write_json(self._partial / _DONE, done)
        return done

    def _done_files(self) -> list[dict[str, Any]]:
        """Files that a killed run finished, in order; the first that is not as noted ends them."""
        path = self._partial / _DONE
        found = read_json(path) if self._resumes and path.is_file() else []
        whole: list[dict[str, Any]] = []
        for file in found:
            if not _is_whole(self._partial / file["name"], file):
                break
            whole.append(file)
        return whole

    def _write_file(self, path: Path, groups: Sequence[RowGroup], at: int) -> dict[str, Any]:
        written, first = 0, groups[at].split
        writer = TableWriter(path, self._schema)
        with writer:
            while at < len(groups) and written < (1 << 62 if self._single else FILE_BYTES):
                group = groups[at]
                if group.split != first and not self._single:
                    break
                table = self._rows.read(group.first, group.stop)
                writer.write(table)
                writer.end_group()
                written += table.nbytes
                at += 1
        size = path.stat().st_size
        facts = {"stop": at, "rows": writer.rows, "bytes": size, "sha256": writer.sha256}
        if not _is_whole(path, facts):
            raise DataError(
                f"{path} does not hold what was written to it: check the disk, then run the same command again"
            )
        return facts

    def _remove_others(self, names: Collection[str]) -> None:
        """Removes what killed runs left half-written, and the list of files."""
        for path in list(self._partial.iterdir()):
            if path.name not in names:
                path.unlink()

    def _publish(self, names: Mapping[str, str]) -> None:
        if (folder := remote_of(self._folder)) is not None:
            remove_tree(folder)
            for old, new in names.items():
                copy_file(RemotePath(self._partial / old), folder / new)
            remove_folder(self._partial)
            return
        for old, new in names.items():
            (self._partial / old).rename(self._partial / new)
        aside = self._folder.with_name(f".{self._folder.name}.old")
        remove_folder(aside)
        if self._folder.exists():
            self._folder.replace(aside)
        self._partial.replace(self._folder)
        remove_folder(aside)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._resumes:
            self._temporary.__exit__(kind, value, trace)
        if kind is not None and not (self._resumes and self._rows.is_kept):
            remove_folder(self._partial)


def _is_whole(path: Path, file: Mapping[str, Any]) -> bool:
    """Whether a file has the rows and the bytes that were written."""
    if not path.is_file() or path.stat().st_size != file["bytes"]:
        return False
    with explained(path), parquet_file(path) as found:
        rows = found.metadata.num_rows
    return bool(rows == file["rows"] and sha256_file(path) == file["sha256"])
