"""Sorting more rows than memory holds, by a place that is known of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pgc_data.storage.files import (
    ensure_writable,
    read_json,
    remove_folder,
    sync_file,
    unwritable,
    write_json,
)
from pgc_data.storage.schemas import arrow_array

MEMORY = 32 << 20
_BATCH_ROWS = 1000

_PLACE, _SEAL = "__place__", "sealed.json"
_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Run:
    """Rows sorted by place, in memory or in a file.

    Attributes:
        places: (n,) ascending.
        table: the rows, or None where they are in `path`.
        path: of the file.
    """

    places: _Ints
    table: pa.Table | None
    path: Path | None

    def within(self, first: int, stop: int) -> slice:
        """Its rows with places from `first` up to `stop`."""
        return slice(*np.searchsorted(self.places, [first, stop]).tolist())


class SortedRows:
    """Takes rows in any order and gives them back by place; what is beyond `memory` is kept in files meanwhile.

    Example:
        >>> rows = SortedRows(folder, schema)  # doctest: +SKIP
        >>> rows.add(table, places)  # doctest: +SKIP
        >>> rows.read(0, 1000)  # doctest: +SKIP
    """

    def __init__(self, folder: Path, schema: pa.Schema, memory: int = MEMORY) -> None:
        """Prepares to keep files in `folder`, bytes of rows beyond `memory`."""
        self._folder = folder
        self._schema = schema
        self._memory = memory
        self._tables: list[pa.Table] = []
        self._places: list[_Ints] = []
        self._held = 0
        self._runs: list[_Run] = []
        self._maps: dict[Path, pa.Table] = {}
        self._touched = 0

    @classmethod
    def sealed(cls, folder: Path, schema: pa.Schema, mark: str) -> tuple[SortedRows, dict[str, Any]] | None:
        """Rows that an earlier run left in `folder` under the same mark, with its facts; None where there are none."""
        if not (folder / _SEAL).is_file():
            return None
        seal = read_json(folder / _SEAL)
        paths = sorted(folder.glob("*.arrow"))
        if seal["mark"] != mark or len(paths) != seal["runs"]:
            return None
        rows = cls(folder, schema)
        rows._runs = [_Run(pl.Series(_mapped(path)[_PLACE]).to_numpy(), None, path) for path in paths]
        return rows, seal["facts"]

    def add(self, table: pa.Table, places: _Ints) -> None:
        """Takes rows.

        Args:
            table: n rows of the schema.
            places: (n,) the place of each; no place comes twice.

        Raises:
            DataError: the folder cannot be written.
        """
        # The same types; what is said of nulls may differ.
        columns = table.select(self._schema.names).columns
        self._tables.append(pa.Table.from_arrays(columns, schema=self._schema))
        self._places.append(places)
        self._held += table.nbytes
        if self._held >= self._memory:
            self._spill()

    @property
    def is_kept(self) -> bool:
        """Whether all rows are in files that `sealed` finds."""
        return (self._folder / _SEAL).is_file()

    def seal(self, mark: str, facts: Mapping[str, Any]) -> None:
        """Ends the taking. Where rows are in files, the others go there too, and `sealed` finds all of them.

        Args:
            mark: changes when anything changes that decides the rows.
            facts: what else a later run needs to know, as JSON values.
        """
        if self._runs and self._tables:
            self._spill()
        if self._runs:
            for path in filter(None, (run.path for run in self._runs)):
                sync_file(path)
            write_json(self._folder / _SEAL, {"mark": mark, "runs": len(self._runs), "facts": dict(facts)})
        elif self._tables:
            places, order, table = self._gather()
            self._runs = [_Run(places[order], table.take(arrow_array(order)), None)]

    def read(self, first: int, stop: int) -> pa.Table:
        """The rows with places from `first` up to `stop`, in order; `seal` comes before."""
        parts, places = [pa.Table.from_batches([], self._schema)], [np.empty(0, np.int64)]
        for run in self._runs:
            mine = run.within(first, stop)
            if mine.stop > mine.start:
                parts.append(self._table(run).slice(mine.start, mine.stop - mine.start))
                places.append(run.places[mine])
        table = pa.concat_tables(parts)
        if len(parts) > 2:
            table = table.take(arrow_array(np.argsort(np.concatenate(places))))
        self._touched += table.nbytes
        if self._touched >= self._memory:
            # Pages of files stay in memory for as long as these are mapped.
            self._maps, self._touched = {}, 0
        return table

    def _table(self, run: _Run) -> pa.Table:
        if run.path is None:
            return run.table
        if run.path not in self._maps:
            self._maps[run.path] = _mapped(run.path).drop_columns(_PLACE)
        return self._maps[run.path]

    def clear(self) -> None:
        """Removes the files."""
        self._runs, self._maps = [], {}
        remove_folder(self._folder)

    def _gather(self) -> tuple[_Ints, _Ints, pa.Table]:
        """Places (n,), the order (n,) that sorts them, and the rows as they came."""
        places = np.concatenate(self._places)
        order = np.argsort(places)
        # In one piece: `take` would else join the pieces anew each time.
        table = pa.concat_tables(self._tables).combine_chunks()
        self._tables, self._places, self._held = [], [], 0
        return places, order, table

    def _spill(self) -> None:
        ensure_writable(self._folder)
        path = self._folder / f"{len(self._runs):05d}.arrow"
        places, order, table = self._gather()
        table = table.append_column(_PLACE, arrow_array(places))
        try:
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                for at in range(0, len(order), _BATCH_ROWS):
                    writer.write_table(table.take(arrow_array(order[at : at + _BATCH_ROWS])))
        except OSError as error:
            raise unwritable(path, error) from error
        self._runs.append(_Run(places[order], None, path))
        del table
        pa.default_memory_pool().release_unused()


def _mapped(path: Path | None) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
