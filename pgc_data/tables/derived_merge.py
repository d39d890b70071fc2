"""Merges: the rows of several datasets in one, so that no group lies in two splits and no row comes twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pgc_data.errors import DataError
from pgc_data.tables.derive import Draft
from pgc_data.tables.derived_groups import Linked, link_groups
from pgc_data.tables.derived_parents import Parent
from pgc_data.tables.derived_parts import Part, all_of, take_census
from pgc_data.tables.derived_pictures import Search, without_repeated
from pgc_data.tables.derived_terms import Terms, common_terms

REFUSE, DROP, KEEP = "refuse", "drop", "keep"
CONFLICT, DUPLICATE = "group_in_another_split", "duplicate"
# What makes a row the same in two datasets.
_ROW_KEY = {"crops": "image_path", "windows": "window_id"}
_EXAMPLES = 3


def merge(parents: Sequence[Parent], conflicts: str, near_duplicates: str) -> list[Draft]:
    """Chooses the rows.

    A group keeps the split that it has in the parent named first; a group of that parent which another parent shows to
    be one with another one, the split with most of its rows.

    Args:
        parents: two or more, with the same kinds of tables.
        conflicts: `refuse` groups that lie in different splits, or `drop` their rows in all splits but one.
        near_duplicates: `drop` rows that show what another split shows, or `keep` them.

    Raises:
        DataError: the parents do not go together, or groups lie in different splits of them.
    """
    terms = {kind: common_terms([p.tables[kind] for p in parents]) for kind in parents[0].tables}
    linked = link_groups(parents)
    sides = _sides(parents, linked)
    if conflicts == REFUSE and sides.torn.height:
        raise _conflict(parents, linked, sides)
    return [_draft(each, linked, sides, near_duplicates) for each in terms.values()]


@dataclass(frozen=True, eq=False)
class _Sides:
    """In which splits the joined groups lie.

    Attributes:
        rows: `component, parent, split, rows`, by component and parent, most rows first.
        split: component -> the split that it keeps.
    """

    rows: pl.DataFrame
    split: Mapping[int, str]

    @property
    def torn(self) -> pl.DataFrame:
        """What lies in another split than that which its group keeps."""
        kept = pl.col("component").replace_strict(self.split, return_dtype=pl.String)
        return self.rows.filter(pl.col("split") != kept)


def _sides(parents: Sequence[Parent], linked: Linked) -> _Sides:
    found = []
    for number, parent in enumerate(parents):
        nodes = linked.nodes[number]
        parts = [
            frame.group_by("group_id", "split").agg(rows=pl.len())
            for table in parent.tables.values()
            for _, frame in table.frames(["group_id", "split"])
        ]
        rows = pl.concat(parts).group_by("group_id", "split").agg(pl.col("rows").sum())
        component = [int(linked.component[nodes[name]]) for name in rows["group_id"]]
        found.append(
            rows.select("split", "rows", component=pl.Series(component, dtype=pl.Int64), parent=number)
        )
    keys = ["component", "parent", "split"]
    every = pl.concat(found).group_by(keys).agg(pl.col("rows").sum())
    every = every.sort("component", "parent", "rows", "split", descending=[False, False, True, False])
    kept = every.group_by("component", maintain_order=True).agg(pl.col("split").first())
    return _Sides(every, dict(kept.iter_rows()))


def _conflict(parents: Sequence[Parent], linked: Linked, sides: _Sides) -> DataError:
    torn = sides.torn
    components = torn["component"].unique(maintain_order=True).to_list()
    shown = []
    for component in components[:_EXAMPLES]:
        places = sides.rows.filter(pl.col("component") == component).select("split", "parent").iter_rows()
        where = ", ".join(f"{split} of {parents[parent].name}" for split, parent in places)
        shown.append(f"{linked.groups[component].id}: {where}")
    more = "; ..." if len(components) > _EXAMPLES else ""
    count = f"{len(components):,} group{'s lie' if len(components) > 1 else ' lies'}"
    return DataError(
        f"{count} in different splits ({'; '.join(shown)}{more}): write one of them again with `to-parquet --lock` "
        f"and the splits.parquet of the other, or pass --conflicts drop to leave out {torn['rows'].sum():,} rows"
    )


def _draft(terms: Terms, linked: Linked, sides: _Sides, near_duplicates: str) -> Draft:
    tables, torn = terms.tables, sides.torn.height
    parts = [
        all_of(table, ids, linked.of(number))
        for number, (table, ids) in enumerate(zip(tables, terms.class_ids, strict=True))
    ]
    if torn:
        parts = [_without_torn(part, linked, number, sides.split) for number, part in enumerate(parts)]
    parts = _without_duplicates(parts)
    search = Search(parts)
    if near_duplicates == DROP:
        search = without_repeated(parts, terms.splits)
    census = take_census(search.parts, terms.splits, len(terms.classes))
    return Draft(
        tables[0].kind, terms.classes, terms.splits, search.parts, census, terms.facts(),
        said={**terms.said(census.sources), "joined": search.facts}, metadata=terms.metadata(census.sources),
        unmet=search.unmet,
    )  # fmt: skip


def _without_torn(part: Part, linked: Linked, number: int, split: Mapping[int, str]) -> Part:
    """Without the rows in another split than that which their group keeps."""
    kept = {name: split.get(int(linked.component[node])) for name, node in linked.nodes[number].items()}
    torn = np.zeros(part.table.rows, dtype=np.bool_)
    for place, frame in part.table.frames(["group_id", "split"]):
        stays = pl.Series([kept[name] for name in frame["group_id"]], dtype=pl.String)
        torn[place] = (frame["split"] != stays).to_numpy()
    return part.without(torn, CONFLICT)


def _without_duplicates(parts: Sequence[Part]) -> list[Part]:
    """Without the rows that an earlier part has."""
    result: list[Part] = []
    seen = pl.DataFrame(schema={"a": pl.UInt64, "b": pl.UInt64})
    if not _shared_sources(parts):
        return list(parts)
    for part in parts:
        keys = _row_keys(part)
        again = np.zeros(part.table.rows, dtype=np.bool_)
        again[keys.join(seen, on=["a", "b"], how="semi")["row"].to_numpy()] = True
        result.append(part.without(again, DUPLICATE))
        seen = pl.concat([seen, keys.select("a", "b")])
    return result


def _shared_sources(parts: Sequence[Part]) -> bool:
    """Whether a source is in several parts: rows say their source, so others have no row in common."""
    names = [source["name"] for part in parts for source in part.table.entry["sources"]]
    return len(set(names)) < len(names)


def _row_keys(part: Part) -> pl.DataFrame:
    """Of every row taken, its number as `row`, and 128 bits that tell it from others as `a` and `b`."""
    column = _ROW_KEY[part.table.kind]
    found = [pl.DataFrame(schema={"a": pl.UInt64, "b": pl.UInt64, "row": pl.Int64})]
    for place, frame in part.table.frames([column], part.taken):
        numbers = pl.Series(np.arange(place.start, place.stop))
        rows = frame.select(a=pl.col(column).hash(0), b=pl.col(column).hash(1), row=numbers)
        found.append(rows.filter(pl.Series(part.reasons[place] == 0)))
    return pl.concat(found)
