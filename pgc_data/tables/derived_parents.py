"""Finished datasets that others are made from: what their manifests say, their locks, their rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pgc_data.errors import DataError
from pgc_data.splits import Group, Splits
from pgc_data.storage.files import sha256_file, sha256_json
from pgc_data.storage.parquet import open_parquet, read_row_groups, read_table
from pgc_data.storage.schemas import read_metadata
from pgc_data.tables.lock import LOCK_FILE
from pgc_data.tables.manifest import MANIFEST_FILE, files_are_whole, files_of, read_manifest

KINDS = ("crops", "windows")
# What a manifest says of how tables were split.
SPLIT_FACTS = ("split", "ratios", "folds", "stratify", "near_duplicates", "seed")
# What older versions did not say.
_DEFAULTS: Mapping[str, Any] = {
    "folds": None, "stratify": [], "near_duplicates": "keep", "single_file": False, "cap": None, "static": [],
    "joined": None, "unverified": [],
}  # fmt: skip
_NEEDED = frozenset(
    {"fingerprint", "vocabulary", "classes", "settings", "sizes", "rows", "sources", "split", "ratios", "seed"}
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ParentTable:
    """A table of a dataset, to be read.

    Attributes:
        parent: name of the dataset.
        kind: crops or windows.
        entry: what the manifest says of it.
        metadata: of its files.
        files: its files, sorted by name.
        row_groups: rows of each row group of each file.
        digest: changes when the table does, or what the manifest says of it.
    """

    parent: str
    kind: str
    entry: Mapping[str, Any]
    metadata: Mapping[str, Any]
    files: tuple[Path, ...]
    row_groups: tuple[tuple[int, ...], ...]
    digest: str

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return sum(map(sum, self.row_groups))

    @property
    def classes(self) -> list[str]:
        """Class names by their number."""
        return list(self.entry["classes"])

    @property
    def splits(self) -> Splits:
        """Names of the splits, and the shares that were wanted."""
        names = tuple(self.entry["splits"])
        return Splits(names, tuple(self.entry["ratios"] or [1 / len(names)] * len(names)))

    def blocks(
        self, columns: Sequence[str] | None = None, wanted: NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[slice, pa.Table]]:
        """Reads the rows, a row group at a time.

        Args:
            columns: to read; None for all.
            wanted: (rows,) row groups without a row wanted are left out.

        Yields:
            Where the rows stand among all of the table, and the rows.
        """
        first = 0
        for path, sizes in zip(self.files, self.row_groups, strict=True):
            ends = first + np.cumsum([0, *sizes])
            places = [slice(int(a), int(b)) for a, b in itertools.pairwise(ends)]
            chosen = [n for n, place in enumerate(places) if wanted is None or wanted[place].any()]
            tables = read_row_groups(path, self.kind, columns, chosen) if chosen else ()
            yield from zip((places[number] for number in chosen), tables, strict=True)
            first = int(ends[-1])

    def frames(
        self, columns: Sequence[str], wanted: NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[slice, pl.DataFrame]]:
        """As `blocks`, as polars frames."""
        for place, table in self.blocks(columns, wanted):
            yield place, pl.DataFrame(table)


@dataclass(frozen=True, eq=False)
class Parent:
    """A dataset that another is made from.

    Attributes:
        name: of the dataset.
        folder: where it lies.
        manifest_sha256: of its manifest's bytes.
        tables: those asked for.
        groups: id -> group, of its lock and of its rows.
    """

    name: str
    folder: Path
    manifest_sha256: str
    tables: Mapping[str, ParentTable]
    groups: Mapping[str, Group]

    def check_unchanged(self) -> None:
        """Checks that nobody has written it since it was opened.

        Raises:
            DataError: its manifest is another one.
        """
        path = self.folder / MANIFEST_FILE
        if not path.is_file() or sha256_file(path) != self.manifest_sha256:
            raise DataError(
                f"{self.folder} was written anew while it was read: run the same command again when that is done"
            )


def open_parent(folder: Path, asked: Sequence[str]) -> Parent:
    """Opens a dataset.

    Args:
        folder: `parquet/NAME` of a workspace.
        asked: tables wanted; none for all.

    Raises:
        DataError: there is no dataset, it is not whole, lacks a table asked for, or is of another version.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise DataError(f"no dataset in {folder}: {MANIFEST_FILE} is missing; name one that to-parquet wrote")
    digest, manifest = sha256_file(path), read_manifest(folder)
    kinds = _kinds(folder, list(manifest["tables"]), asked)
    lock_digest = sha256_file(folder / LOCK_FILE) if (folder / LOCK_FILE).is_file() else ""
    tables = {kind: _open_table(folder, manifest, kind, lock_digest) for kind in kinds}
    groups = {
        row["group_id"]: Group(row["group_id"], row["kind"], tuple(row["members"]))
        for row in read_table(folder / LOCK_FILE, "splits").to_pylist()
    }
    for table in tables.values():
        groups |= _unlisted_groups(table, groups)
    return Parent(folder.name, folder, digest, tables, groups)


def _kinds(folder: Path, there: Sequence[str], asked: Sequence[str]) -> list[str]:
    known = [kind for kind in KINDS if kind in there]
    if there and not known:
        raise DataError(
            f"{folder} has the layout of PGC only, whose rows do not say their group: write crops with "
            "`to-parquet` without --layout pgc, and take those"
        )
    missing = [kind for kind in asked if kind not in known]
    if missing or not known:
        has = f" (it has: {', '.join(known)})" if known else ""
        raise DataError(f"{folder} has no {missing[0] if missing else 'table'}{has}")
    return [kind for kind in known if not asked or kind in asked]


def _open_table(folder: Path, manifest: Mapping[str, Any], kind: str, lock_digest: str) -> ParentTable:
    said, files = manifest["tables"][kind], files_of(manifest, kind)
    if absent := sorted(_NEEDED - said.keys()):
        raise DataError(
            f"{folder / MANIFEST_FILE} does not say {absent[0]!r} of {kind}: it is of another version of pgc-data; "
            "run the command that wrote it again"
        )
    spoiled = DataError(
        f"{folder / kind} is not what its {MANIFEST_FILE} says: run the command that wrote it again"
    )
    if not files_are_whole(folder, manifest, kind):
        raise spoiled
    paths = tuple(folder / name for name in sorted(file["path"] for file in files))
    row_groups, metadata = [], []
    for path in paths:
        with open_parquet(path, kind) as file:
            metadata.append(read_metadata(file.schema_arrow))
            found = file.metadata
            row_groups.append(tuple(found.row_group(n).num_rows for n in range(found.num_row_groups)))
    entry = {
        **_DEFAULTS, "splits": list(said["rows"]), **said,
        "sources": [{name: value for name, value in s.items() if name != "raw"} for s in said["sources"]],
    }  # fmt: skip
    digest = sha256_json([folder.name, said, files, lock_digest])
    table = ParentTable(folder.name, kind, entry, metadata[0], paths, tuple(row_groups), digest)
    if table.rows != sum(said["rows"].values()) or {m.get("fingerprint") for m in metadata} != {
        said["fingerprint"]
    }:
        raise spoiled
    return table


def _unlisted_groups(table: ParentTable, known: Mapping[str, Group]) -> dict[str, Group]:
    """Groups of rows that the lock does not list: it was extended since, and has them as parts of larger ones."""
    units = ("subject", "video", "sample")
    columns = ["group_id", *(f"{unit}_id" for unit in units)]
    found = [frame.select("group_id").unique() for _, frame in table.frames(["group_id"])]
    names = pl.concat(found).unique()["group_id"].to_list() if found else []
    left = sorted(name for name in names if name not in known)
    if not left:
        return {}
    # A group's strongest unit, as `group_samples` has it.
    kind = pl.coalesce(pl.when(pl.col(f"{unit}_id").is_not_null()).then(pl.lit(unit)) for unit in units)
    rows = [
        frame.filter(pl.col("group_id").is_in(left))
        .select("group_id", kind=kind, member=pl.coalesce(columns[1:]))
        .unique()
        for _, frame in table.frames(columns)
    ]
    members = pl.concat(rows).unique().group_by("group_id").agg("kind", "member")
    return {
        name: Group(name, min(kinds, key=units.index), tuple(sorted(set(values))))
        for name, kinds, values in members.iter_rows()
    }
