"""What changed in one table: rows, labels, splits, groups and classes, and what a model of the other has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from pgc_data.audits.compare.matching import Matched, match_rows

TRAIN, VAL = "train", "val"
MOST_LISTED = 50
"""The most classes, changes of label or groups that a list names."""

_NONE = "(none)"
_DIGEST = ["digest_a", "digest_b"]
_UNITS = ("dataset", "group_id", "subject_id", "video_id")
Records = list[dict[str, Any]]


@dataclass(frozen=True)
class TableChanges:
    """What changed in one table, as plain JSON values.

    Attributes:
        rows: how many there are, were kept, added, removed, ...
        labels: each change of label of a kept row, most first; a renamed class is none.
        splits: each change of split of a kept row, most first.
        groups: the groups that lie in other splits than before, and how many there are of both kinds.
        classes: classes added, removed and renamed.
        balance: share of each class, in all rows and in each split.
        leaks: for each way round and split, how much of it a model of the other version has seen.
    """

    rows: dict[str, int]
    labels: Records
    splits: Records
    groups: Records
    classes: Records
    balance: Records
    leaks: Records


def table_changes(a: pl.DataFrame, b: pl.DataFrame) -> TableChanges:
    """Compares the rows of one table in two versions, see `rows.read_rows`."""
    matched = match_rows(a, b)
    how = matched.pairs["how"]
    labels, splits = (_moves(a, b, matched, column) for column in ("label", "split"))
    renamed = _renamed(labels)
    relabelled = [move for move in labels if move["a"] != move["b"] and renamed.get(move["a"]) != move["b"]]
    resplit = [move for move in splits if move["a"] != move["b"]]
    groups, moved, kept_groups = _group_moves(a, b)
    rows = {
        "a": a.height,
        "b": b.height,
        "kept": matched.pairs.height,
        "added": len(matched.added),
        "removed": len(matched.removed),
        "renamed": int((how == "moved").sum()),
        "content_changed": int((how == "changed").sum()),
        "relabelled": sum(move["rows"] for move in relabelled),
        "in_another_split": sum(move["rows"] for move in resplit),
        "groups_kept": kept_groups,
        "groups_in_other_splits": moved,
    }
    return TableChanges(
        rows,
        relabelled[:MOST_LISTED],
        resplit,
        groups,
        _classes(a, b, renamed),
        _balance(a, b, renamed),
        [*_leaks(a, b, matched, "A", "B"), *_leaks(b, a, _turned(matched), "B", "A")],
    )


def _turned(matched: Matched) -> Matched:
    return Matched(matched.pairs.rename({"a": "b", "b": "a"}), matched.added, matched.removed)


def _moves(a: pl.DataFrame, b: pl.DataFrame, matched: Matched, column: str) -> Records:
    """How many kept rows have which value of a column in A and which in B, most first."""
    pairs = pl.DataFrame({"a": a[column][matched.pairs["a"]], "b": b[column][matched.pairs["b"]]})
    counts = pairs.group_by("a", "b").agg(rows=pl.len())
    texts = counts.with_columns(pl.col("a", "b").cast(pl.String).fill_null(_NONE))
    return texts.sort("rows", "a", "b", descending=[True, False, False]).to_dicts()


def _renamed(labels: Records) -> dict[str, str]:
    """Class of A -> class of B: where most kept rows of each are of the other, and neither name is in both."""
    of_a, of_b = _totals(labels, "a"), _totals(labels, "b")
    found = {}
    for move in labels:
        a, b, rows = move["a"], move["b"], move["rows"]
        new = a not in of_b and b not in of_a and _NONE not in (a, b)
        if new and 2 * rows > max(of_a[a], of_b[b]):
            found[a] = b
    return found


def _totals(moves: Records, side: str) -> dict[str, int]:
    totals: dict[str, int] = {}
    for move in moves:
        totals[move[side]] = totals.get(move[side], 0) + move["rows"]
    return totals


def _group() -> pl.Expr:
    """The strongest unit known, as text: its group, else its subject, else its video."""
    own = [
        pl.format("{}:{}", pl.col("dataset").cast(pl.String).fill_null(""), pl.col(column).cast(pl.String))
        for column in ("subject_id", "video_id")
    ]
    return pl.coalesce(pl.col("group_id").cast(pl.String), *own)


def _group_splits(rows: pl.DataFrame) -> pl.DataFrame:
    cells = (
        rows.select(*_UNITS, "split").unique().with_columns(pl.col("split").cast(pl.String), group=_group())
    )
    known = cells.filter(pl.col("group").is_not_null() & pl.col("split").is_not_null())
    return known.group_by("group").agg(splits=pl.col("split").unique().sort())


def _group_moves(a: pl.DataFrame, b: pl.DataFrame) -> tuple[Records, int, int]:
    both = _group_splits(a).join(_group_splits(b), on="group", suffix="_b")
    moved = both.filter(pl.col("splits") != pl.col("splits_b")).sort("group")
    listed = moved.head(MOST_LISTED).select(
        "group", a=pl.col("splits").list.join(", "), b=pl.col("splits_b").list.join(", ")
    )
    return listed.to_dicts(), moved.height, both.height


def _counts(rows: pl.DataFrame) -> dict[str, int]:
    named = rows["label"].drop_nulls()
    return dict(zip(*named.value_counts().select(pl.col("label").cast(pl.String), "count"), strict=True))


def _classes(a: pl.DataFrame, b: pl.DataFrame, renamed: Mapping[str, str]) -> Records:
    old, new = _counts(a), _counts(b)
    found = [
        {"class": name, "change": "renamed", "was": was, "rows": new[name]} for was, name in renamed.items()
    ]
    for change, names, counts in (
        ("added", new.keys() - old.keys() - set(renamed.values()), new),
        ("removed", old.keys() - new.keys() - renamed.keys(), old),
    ):
        found += [
            {"class": name, "change": change, "was": "", "rows": counts[name]} for name in sorted(names)
        ]
    return found


def _balance(a: pl.DataFrame, b: pl.DataFrame, renamed: Mapping[str, str]) -> Records:
    """Share of each class in A and B, under its name in B; furthest apart first within each split."""
    splits = sorted(set(_values(a, "split")) | set(_values(b, "split")))
    found = []
    for split in ("all", *splits):
        sides = [
            _counts(rows if split == "all" else rows.filter(pl.col("split") == split)) for rows in (a, b)
        ]
        old = {renamed.get(name, name): count for name, count in sides[0].items()}
        new = sides[1]
        before, after = max(sum(old.values()), 1), max(sum(new.values()), 1)
        points = {
            name: round(100 * (new.get(name, 0) / after - old.get(name, 0) / before), 3)
            for name in sorted(old.keys() | new.keys())
        }
        names = sorted(points, key=lambda name: -abs(points[name]))
        found += [
            {
                "split": split,
                "class": name,
                "rows_a": old.get(name, 0),
                "rows_b": new.get(name, 0),
                "share_a": round(old.get(name, 0) / before, 6),
                "share_b": round(new.get(name, 0) / after, 6),
                "points": points[name],
            }
            for name in names[:MOST_LISTED]
        ]
    return found


def _values(rows: pl.DataFrame, column: str) -> list[str]:
    return rows[column].drop_nulls().unique().cast(pl.String).to_list()


def _leaks(a: pl.DataFrame, b: pl.DataFrame, matched: Matched, trained: str, tested: str) -> Records:
    """For each split of `b` but train: rows that a model trained, and selected, on `a` has seen.

    What `b` has in its own train, or val, as well is its own leak, and not counted here.
    """
    position = pl.int_range(pl.len(), dtype=pl.UInt32).alias("at")
    rows = b.select(position, pl.col("split").cast(pl.String), *_DIGEST, group=_group())
    flags: dict[str, pl.Expr] = {}
    for split in (TRAIN, VAL):
        paired = matched.pairs["b"].filter(a["split"][matched.pairs["a"]].cast(pl.String) == split)
        copies, of_groups = _known(rows, a, split)
        own_copies, own_groups = _known(rows, b, split)
        # That a model was selected on what is val in both versions is no leak.
        counts = pl.lit(True) if split == TRAIN else pl.col("split") != VAL
        seen = {f"in_{split}": (pl.concat([paired, copies]), own_copies)}
        seen |= {f"of_groups_in_{split}": (of_groups, own_groups)}
        flags |= {name: _at(there) & ~_at(own) & counts for name, (there, own) in seen.items()}
    table = (
        rows.filter(pl.col("split").is_not_null() & (pl.col("split") != TRAIN))
        .select("split", **flags)
        .with_columns(seen=pl.any_horizontal(list(flags)))
        .group_by("split")
        .agg(pl.len().alias("rows"), pl.col("seen", *flags).sum())
        .sort("split")
    )
    return [{"trained_on": trained, "tested_on": tested, **record} for record in table.to_dicts()]


def _known(rows: pl.DataFrame, version: pl.DataFrame, split: str) -> tuple[pl.Series, pl.Series]:
    """Positions of the rows with a content, and of those with a group, that a split of a version has."""
    there = version.filter(pl.col("split").cast(pl.String) == split)
    contents = there.select(_DIGEST).unique().drop_nulls()
    groups = there.select(_UNITS).unique().select(group=_group()).unique().drop_nulls()
    return rows.join(contents, on=_DIGEST, how="semi")["at"], rows.join(groups, on="group", how="semi")["at"]


def _at(positions: pl.Series) -> pl.Expr:
    return pl.col("at").is_in(positions.implode())


def flattened(tables: Mapping[str, TableChanges], part: str) -> Records:
    """One list of all tables, each record with the name of its table."""
    return [{"table": name, **record} for name, of in tables.items() for record in getattr(of, part)]
