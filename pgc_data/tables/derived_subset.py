"""Subsets: the rows of a dataset that some conditions hold for, each in the split it has."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pgc_data.config import unknown_name
from pgc_data.errors import ConfigError
from pgc_data.splits import TRAIN, Group, Splits
from pgc_data.tables.derive import Draft
from pgc_data.tables.derived_groups import link_groups
from pgc_data.tables.derived_parents import SPLIT_FACTS, Parent, ParentTable
from pgc_data.tables.derived_parts import Part, all_of, capped, parent_facts, take_census

# Quality -> the table that has it.
QUALITIES = {"min_score": "crops", "min_size": "crops", "min_usable": "windows"}
_COLUMNS = {"crops": ("score", "width", "height"), "windows": ("usable_fraction",)}


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Conditions, all of which must hold; an empty one holds for every row.

    Attributes:
        classes: names of classes to take.
        without_classes: names of classes to leave out.
        datasets: to take.
        sources: to take.
        subjects: people to take.
        without_subjects: people to leave out.
        splits: to take.
        min_score: least confidence that a crop shows a hand.
        min_size: least width and height of a crop, pixels.
        min_usable: least share of usable frames of a window.
        cap: most rows of a class in train.
    """

    classes: tuple[str, ...] = ()
    without_classes: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    without_subjects: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    min_score: float | None = None
    min_size: int | None = None
    min_usable: float | None = None
    cap: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Those that are given, as JSON values."""
        values = dataclasses.asdict(self)
        given = {name: value for name, value in values.items() if value is not None and value != ()}
        return {name: sorted(value) if isinstance(value, tuple) else value for name, value in given.items()}

    def of(self, kind: str) -> dict[str, Any]:
        """Those that are given and speak of a kind of table."""
        return {name: value for name, value in self.as_dict().items() if QUALITIES.get(name, kind) == kind}


def subset(parent: Parent, filters: Filters) -> list[Draft]:
    """Chooses the rows.

    Where classes are chosen, those left are numbered anew from 0, in the parent's order.

    Raises:
        ConfigError: a name that the parent does not have.
        DataError: a file cannot be read, or the parent leaks.
    """
    _check_names(parent, filters)
    groups = link_groups([parent]).of(0)
    return [_draft(table, filters, groups) for table in parent.tables.values()]


def _check_names(parent: Parent, filters: Filters) -> None:
    tables = parent.tables.values()
    sources = [source for table in tables for source in table.entry["sources"]]
    subjects = _subjects(parent) if filters.subjects or filters.without_subjects else set()
    for what, wanted, known in (
        (
            "class",
            filters.classes + filters.without_classes,
            {name for table in tables for name in table.classes},
        ),
        ("dataset", filters.datasets, {source["dataset"] for source in sources}),
        ("source", filters.sources, {source["name"] for source in sources}),
        ("subject", filters.subjects + filters.without_subjects, subjects),
        ("split", filters.splits, {name for table in tables for name in table.splits.names}),
    ):
        for name in wanted:
            if name not in known:
                raise unknown_name(f"{what} of {parent.name}", name, known)


def _subjects(parent: Parent) -> set[str]:
    found: set[str] = set()
    for table in parent.tables.values():
        for _, frame in table.frames(["subject_id"]):
            found.update(frame["subject_id"].drop_nulls().unique())
    return found


def _draft(table: ParentTable, filters: Filters, groups: Mapping[str, Group]) -> Draft:
    classes = [
        name
        for name in table.classes
        if (not filters.classes or name in filters.classes) and name not in filters.without_classes
    ]
    if not classes:
        raise ConfigError(f"no class of {table.kind} is left: ask for more of {', '.join(table.classes)}")
    class_ids = np.array(
        [classes.index(name) if name in classes else -1 for name in table.classes], dtype=np.int64
    )
    splits = _chosen_splits(table.splits, filters.splits)
    parts = [_filtered(all_of(table, class_ids, groups), filters)]
    if filters.cap is not None:
        if splits.number(TRAIN) < 0:
            raise ConfigError(f"--cap is for train, and there is but {', '.join(splits.names)}: leave it out")
        parts = capped(parts, take_census(parts, splits, len(classes)), splits, filters.cap)
    census = take_census(parts, splits, len(classes))
    entry, metadata = table.entry, table.metadata
    sources = [source for source in entry["sources"] if source["name"] in census.sources]
    datasets = {source["dataset"] for source in sources}
    caps = [cap for cap in (entry["cap"], filters.cap) if cap is not None]
    facts = {
        **{name: entry[name] for name in SPLIT_FACTS},
        "ratios": None if entry["ratios"] is None else list(splits.ratios),
        "vocabulary": entry["vocabulary"], "settings": entry["settings"], "sizes": entry["sizes"],
        "cap": min(caps, default=None), "static": [name for name in entry["static"] if name in classes],
        "parents": [parent_facts(table, {"filters": filters.of(table.kind)}, class_ids)],
    }  # fmt: skip
    return Draft(
        table.kind, classes, splits, parts, census, facts,
        said={
            "single_file": entry["single_file"], "sources": sources, "joined": entry["joined"],
            "unverified": [name for name in entry["unverified"] if name in datasets],
        },
        metadata={
            "sources": [source for source in metadata["sources"] if source["name"] in census.sources],
            # A class whose mirror image is left out stays in its pair: who flips it anyway is told.
            "flip": [pair for pair in metadata.get("flip", []) if set(pair) & set(classes)],
        },
    )  # fmt: skip


def _chosen_splits(splits: Splits, names: Sequence[str]) -> Splits:
    """Some of the splits, none named for all; their shares sum to 1 again."""
    chosen = [number for number, name in enumerate(splits.names) if not names or name in names]
    if len(chosen) == len(splits.names):
        return splits
    ratios = [splits.ratios[number] for number in chosen]
    total = sum(ratios)
    shares = [ratio / total if total else 1 / len(ratios) for ratio in ratios]
    return Splits(tuple(splits.names[number] for number in chosen), tuple(shares))


def _filtered(part: Part, filters: Filters) -> Part:
    kind = part.table.kind
    rules = _rules(part, filters)
    if not rules:
        return part
    columns = ["class_id", "dataset", "source", "subject_id", "split", *_COLUMNS[kind]]
    reasons: list[NDArray[np.int8]] = [np.empty(0, dtype=np.int8)]
    fails = [
        pl.when(~holds.fill_null(False)).then(pl.lit(number, pl.Int8))
        for number, holds in enumerate(rules.values(), 1)
    ]
    for _, frame in part.table.frames(columns):
        reasons.append(frame.select(pl.coalesce(*fails, pl.lit(0, pl.Int8))).to_series().to_numpy())
    return dataclasses.replace(part, reasons=np.concatenate(reasons), names=tuple(rules))


def _rules(part: Part, filters: Filters) -> dict[str, pl.Expr]:
    """Reason for leaving a row out -> what holds for the rows that stay; the first that does not hold counts."""
    rules = {}
    if (part.class_ids < 0).any():
        rules["other_class"] = pl.col("class_id").is_in(np.flatnonzero(part.class_ids >= 0).tolist())
    for reason, column, wanted in (
        ("other_dataset", "dataset", filters.datasets),
        ("other_source", "source", filters.sources),
        ("other_subject", "subject_id", filters.subjects),
        ("other_split", "split", filters.splits),
    ):
        if wanted:
            rules[reason] = pl.col(column).is_in(wanted)
    if filters.without_subjects:
        rules["unwanted_subject"] = ~pl.col("subject_id").is_in(filters.without_subjects).fill_null(False)
    if part.table.kind == "windows":
        if filters.min_usable is not None:
            rules["too_few_usable_frames"] = pl.col("usable_fraction") >= filters.min_usable
        return rules
    if filters.min_score is not None:
        rules["low_score"] = pl.col("score") >= filters.min_score
    if filters.min_size is not None:
        rules["too_small"] = pl.min_horizontal("width", "height") >= filters.min_size
    return rules
