"""What tables must have in common to be merged, and what the merged table then says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgc_data.errors import DataError
from pgc_data.splits import Splits
from pgc_data.storage.files import sha256_json
from pgc_data.tables.derived_parents import ParentTable
from pgc_data.tables.derived_parts import parent_facts


@dataclass(frozen=True, eq=False)
class Terms:
    """What tables of one kind agree on.

    Attributes:
        tables: the parents' tables.
        classes: those of the parent that has most.
        class_ids: of each parent, (its classes,) their number in `classes`.
        splits: those of the parent that has most, and the shares wanted of each.
        sources: by name, as the manifests have them.
    """

    tables: Sequence[ParentTable]
    classes: Sequence[str]
    class_ids: Sequence[NDArray[np.int64]]
    splits: Splits
    sources: Mapping[str, Any]

    def facts(self) -> dict[str, Any]:
        """What the manifest and the files say of all of them."""
        entries = [table.entry for table in self.tables]
        first = entries[0]
        caps = [entry["cap"] for entry in entries]
        return {
            "split": " and ".join(dict.fromkeys(entry["split"] for entry in entries)),
            "ratios": None if first["ratios"] is None else list(self.splits.ratios),
            "folds": first["folds"],
            "stratify": [c for c in first["stratify"] if all(c in entry["stratify"] for entry in entries)],
            "near_duplicates": "join" if all(e["near_duplicates"] == "join" for e in entries) else "keep",
            "seed": first["seed"],
            "vocabulary": " and ".join(dict.fromkeys(entry["vocabulary"] for entry in entries)),
            "settings": {
                name: value for name, value in first["settings"].items()
                if all(entry["settings"].get(name) == value for entry in entries)
            },
            "sizes": first["sizes"],
            "cap": None if None in caps else sum(caps),
            "static": [name for name in self.classes if any(name in entry["static"] for entry in entries)],
            "parents": [
                parent_facts(table, {}, ids) for table, ids in zip(self.tables, self.class_ids, strict=True)
            ],
        }  # fmt: skip

    def metadata(self, sources: frozenset[str]) -> dict[str, Any]:
        """What the files alone say: of the sources that have rows, and of the classes that a flip swaps."""
        every = [source for table in self.tables for source in table.metadata["sources"]]
        flips = [pair for table in self.tables for pair in table.metadata.get("flip", [])]
        return {"sources": _distinct(s for s in every if s["name"] in sources), "flip": _distinct(flips)}

    def said(self, sources: frozenset[str]) -> dict[str, Any]:
        """What the manifest alone says."""
        kept = [source for name, source in self.sources.items() if name in sources]
        datasets = {source["dataset"] for source in kept}
        unverified = {name for table in self.tables for name in table.entry["unverified"]}
        return {
            "single_file": all(table.entry["single_file"] for table in self.tables),
            "sources": kept,
            "unverified": sorted(unverified & datasets),
        }


def _distinct(values: Any) -> list[Any]:
    """The values, each once, in the order in which they come first."""
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def common_terms(tables: Sequence[ParentTable]) -> Terms:
    """Checks that tables of one kind can be one, and says what they agree on.

    The parent with most classes must have those of all others, which are matched by name; likewise splits.

    Raises:
        DataError: they differ in their classes, splits, sizes or features, or a source is not the same in both.
    """
    for what, value in (("sizes", _sizes), ("features", _features), ("kind of split", _folded)):
        _same(tables, what, value)
    classes = _widest(tables, "classes", lambda table: table.classes)
    names = _widest(tables, "splits", lambda table: list(table.splits.names))
    ids = [np.array([classes.index(name) for name in t.classes], dtype=np.int64) for t in tables]
    return Terms(tables, classes, ids, Splits(tuple(names), _ratios(tables, names)), _sources(tables))


def _sizes(table: ParentTable) -> str:
    return ", ".join(f"{name} = {value}" for name, value in table.entry["sizes"].items())


def _features(table: ParentTable) -> str:
    schema = table.metadata.get("feature_schema")
    return f"{table.entry['settings'].get('features')}, sha256 {sha256_json(schema)[:8]}"


def _folded(table: ParentTable) -> str:
    return "train, val and test" if table.entry["ratios"] else "folds"


def _same(tables: Sequence[ParentTable], what: str, value: Callable[[ParentTable], str]) -> None:
    first = tables[0]
    for other in tables[1:]:
        if value(first) != value(other):
            raise DataError(
                f"{first.kind} of {first.parent} and {other.parent} have different {what} "
                f"({value(first)}; {value(other)}): write both in one way with to-parquet"
            )


def _widest(tables: Sequence[ParentTable], what: str, names: Callable[[ParentTable], list[str]]) -> list[str]:
    """The names of the table that has most, which must be all that any has."""
    widest = max(tables, key=lambda table: len(names(table)))
    for table in tables:
        if lacking := [name for name in names(table) if name not in names(widest)]:
            raise DataError(
                f"{table.kind} of {table.parent} and {widest.parent} have different {what}: {', '.join(lacking)} of "
                f"{table.parent} is none of {', '.join(names(widest))}; write both in one way with to-parquet"
            )
    return names(widest)


def _ratios(tables: Sequence[ParentTable], names: Sequence[str]) -> tuple[float, ...]:
    """The shares that were wanted of each split, of all rows together."""
    wanted = [dict(zip(table.splits.names, table.splits.ratios, strict=True)) for table in tables]
    if all(each == wanted[0] for each in wanted):
        return tuple(wanted[0][name] for name in names)
    rows = sum(table.rows for table in tables)
    return tuple(
        sum(each.get(name, 0.0) * table.rows for each, table in zip(wanted, tables, strict=True)) / rows
        for name in names
    )


def _sources(tables: Sequence[ParentTable]) -> dict[str, Any]:
    """Every source by name.

    Raises:
        DataError: a name stands for two sources, or a dataset is there in two releases, whose people cannot be told
            apart.
    """
    known: dict[str, tuple[Any, str]] = {}
    layouts: dict[str, tuple[str, str]] = {}
    for table in tables:
        for source in table.entry["sources"]:
            name, layout = source["name"], source.get("layout", "")
            before, where = known.setdefault(name, (source, table.parent))
            differing = [
                k for k in ("dataset", "licence", "synthetic", "layout") if before.get(k) != source.get(k)
            ]
            if differing:
                raise DataError(
                    f"source {name} is not the same in {where} and {table.parent} ({differing[0]}: "
                    f"{before.get(differing[0])!r}; {source.get(differing[0])!r}): prepare one under another --name"
                )
            release, other = layouts.setdefault(source["dataset"], (layout, table.parent))
            if release != layout:
                raise DataError(
                    f"{other} has {source['dataset']} {release} and {table.parent} has {layout}: their people cannot "
                    "be told apart, so one table of both would leak"
                )
    return {name: source for name, (source, _) in known.items()}
