"""Writing a table as `<split>-NNNNN-of-NNNNN.parquet`, in a folder that appears when it is whole."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.compute as pc

from pgc_data.paths import RemotePath, remote_of
from pgc_data.splits import SPLITS
from pgc_data.storage.files import ensure_writable, remove_folder, unwritable
from pgc_data.storage.parquet import TableWriter
from pgc_data.storage.remote import copy_file, remove_tree

FILE_BYTES = 500 << 20


class SplitWriter:
    """Writes rows to the file of their split; files end after about `FILE_BYTES`.

    Everything is written below `<folder>.incomplete`, which replaces `folder` when the block ends well. In an object
    store, which cannot rename, the old files are removed and then the new ones copied: stopped in between, the table
    is not what the manifest says, and is made again.
    """

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        """Prepares to write `folder` with `schema`, metadata included."""
        self._folder = folder
        self._partial = folder.with_name(f".{folder.name}.incomplete")
        self._schema = schema
        self._open: dict[str, tuple[TableWriter, ExitStack]] = {}
        self._bytes = dict.fromkeys(SPLITS, 0)
        self._files: dict[str, list[Path]] = {split: [] for split in SPLITS}
        self.rows = dict.fromkeys(SPLITS, 0)

    def __enter__(self) -> SplitWriter:
        remove_folder(self._partial)
        ensure_writable(self._partial)
        return self

    def write(self, table: pa.Table) -> None:
        """Adds rows, each to the split that its `split` column names."""
        for split in SPLITS:
            rows = table.filter(pc.equal(table["split"], split))
            if rows.num_rows:
                self._writer(split).write(rows)
                self.rows[split] += rows.num_rows
                self._bytes[split] += rows.nbytes
                if self._bytes[split] >= FILE_BYTES:
                    self._close(split)

    def _writer(self, split: str) -> TableWriter:
        if split not in self._open:
            path = self._partial / f"{split}-{len(self._files[split]):05d}.parquet"
            self._files[split].append(path)
            stack = ExitStack()
            self._open[split] = (stack.enter_context(TableWriter(path, self._schema)), stack)
        return self._open[split][0]

    def _close(self, split: str) -> None:
        _, stack = self._open.pop(split)
        stack.close()
        self._bytes[split] = 0

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            for _, stack in self._open.values():
                stack.__exit__(kind, value, trace)
            remove_folder(self._partial)
            return
        for split in list(self._open):
            self._close(split)
        try:
            self._publish()
        except OSError as error:
            raise unwritable(self._folder, error) from error

    def _publish(self) -> None:
        names = {
            path: f"{path.stem}-of-{len(files):05d}.parquet"
            for files in self._files.values()
            for path in files
        }
        if (folder := remote_of(self._folder)) is not None:
            remove_tree(folder)
            for path, name in names.items():
                copy_file(RemotePath(path), folder / name)
            remove_folder(self._partial)
            return
        for path, name in names.items():
            path.rename(path.with_name(name))
        old = self._folder.with_name(f".{self._folder.name}.old")
        remove_folder(old)
        if self._folder.exists():
            self._folder.replace(old)
        self._partial.replace(self._folder)
        remove_folder(old)
