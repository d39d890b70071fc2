"""One group a person over several datasets: groups that share a member, a subject, a video or a sample are one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pgc_data.datasets import DATASETS
from pgc_data.similarity import Pairs, join_alike
from pgc_data.splits import Group, merged
from pgc_data.tables.derived_parents import Parent

_UNITS = ("subject", "video", "sample")
_KEYS = ("key", "node")
_Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Linked:
    """The groups of several datasets, joined.

    Attributes:
        nodes: of each parent, group id -> number of the group among those of all parents.
        component: (nodes,) number of the joined group of each.
        groups: joined group -> what it is.
    """

    nodes: Sequence[Mapping[str, int]]
    component: _Ints
    groups: Mapping[int, Group]

    def of(self, parent: int) -> dict[str, Group]:
        """Group id of a parent -> joined group."""
        return {name: self.groups[int(self.component[node])] for name, node in self.nodes[parent].items()}


def link_groups(parents: Sequence[Parent]) -> Linked:
    """Joins the groups of datasets that are one: by id, by their members, and by what their rows show.

    The last finds what ids do not: a video that one dataset knows by its person, the other by itself. A group that has
    no row joins others too. Groups of different datasets never meet.
    """
    nodes: list[dict[str, int]] = []
    every: list[Group] = []
    for parent in parents:
        nodes.append({name: len(every) + n for n, name in enumerate(parent.groups)})
        every += parent.groups.values()
    keys = [_named(every)]
    if len(parents) > 1:
        keys += [_shown(parent, numbers) for parent, numbers in zip(parents, nodes, strict=True)]
    component = _components(pl.concat(keys).unique(), len(every))
    members: dict[int, list[Group]] = {}
    for number, group in zip(component.tolist(), every, strict=True):
        members.setdefault(number, []).append(group)
    return Linked(nodes, component, {number: _joined(groups) for number, groups in members.items()})


def _joined(groups: Sequence[Group]) -> Group:
    return groups[0] if all(group == groups[0] for group in groups) else merged(groups)


def _components(keys: pl.DataFrame, count: int) -> _Ints:
    """(count,) lowest number of the nodes that each is connected with by keys in common."""
    before = pl.col("node").shift(1).over("key", order_by="node")
    edges = keys.select("node", before=before).drop_nulls().unique().sort("before", "node")
    first, second = edges["before"].to_numpy(), edges["node"].to_numpy()
    pairs = Pairs(first, second, np.zeros(len(first), dtype=np.uint8))
    return join_alike(np.arange(count), pairs, most_rows=count).component


def _named(groups: Sequence[Group]) -> pl.DataFrame:
    """Keys of groups by id and members."""
    rows = [
        (f"{what}/{name}", node)
        for node, group in enumerate(groups)
        for what, name in (
            ("id", group.id),
            *(("member", _one_person(f"{group.id.split(':', 1)[0]}:{member}")) for member in group.members),
        )
    ]
    frame = pl.DataFrame(rows, schema={"key": pl.String, "node": pl.Int64}, orient="row")
    return frame.with_columns(pl.col("key").hash())


def _shown(parent: Parent, nodes: Mapping[str, int]) -> pl.DataFrame:
    """Keys of groups by the subjects, videos and samples of their rows."""
    columns = ["group_id", "dataset", *(f"{unit}_id" for unit in _UNITS)]
    found = [pl.DataFrame(schema={"key": pl.UInt64, "group": pl.UInt64})]
    for table in parent.tables.values():
        for _, frame in table.frames(columns):
            rows = frame.unique()
            found += [_unit_keys(rows, unit) for unit in _UNITS]
    names = pl.Series(list(nodes), dtype=pl.String).hash()
    numbers = pl.DataFrame(
        {"group": names, "node": list(nodes.values())}, schema_overrides={"node": pl.Int64}
    )
    return pl.concat(found).unique().join(numbers, on="group").select(*_KEYS)


def _unit_keys(rows: pl.DataFrame, unit: str) -> pl.DataFrame:
    name = pl.format("{}:{}", "dataset", f"{unit}_id")
    if unit == "subject":
        name = name.replace(_SAME_PERSON)
    known = rows.filter(pl.col(f"{unit}_id").is_not_null())
    key = pl.format("{}/{}", pl.lit(unit), name).hash()
    return known.select(key=key, group=pl.col("group_id").hash()).unique()


def _one_person(name: str) -> str:
    return _SAME_PERSON.get(name, name)


_SAME_PERSON = {
    f"{dataset.id}:{person}": f"{dataset.id}:{people[0]}"
    for dataset in DATASETS.values()
    for people in dataset.same_person
    for person in people[1:]
}
