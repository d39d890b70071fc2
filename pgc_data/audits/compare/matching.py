"""Which row of one version is which row of the other."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

_DIGEST = ["digest_a", "digest_b"]
_PLACE = ("sample_id", "video_id", "start", "end")


@dataclass(frozen=True)
class Matched:
    """The rows of two tables, paired.

    Attributes:
        pairs: `a` and `b`, positions of the rows that are in both, and `how`: `same`, `moved` (the same content
            under another name) or `changed` (another content under the same name).
        removed: positions of the rows that only A has, ascending.
        added: positions of the rows that only B has, ascending.
    """

    pairs: pl.DataFrame
    removed: pl.Series
    added: pl.Series


def match_rows(a: pl.DataFrame, b: pl.DataFrame) -> Matched:
    """Pairs rows that have the same content and name, then the same content, then the same name.

    A name is the row's own (its image's path, its window's id) within its dataset where both tables have one, else
    its sample, video and frames. Of rows alike in all of it, the first is paired with the first.

    Args:
        a: rows of one version, see `rows.read_rows`.
        b: rows of the other.
    """
    named = not any(frame["name"].null_count() for frame in (a, b))
    left, right = (_keys(frame, named) for frame in (a, b))
    parts = []
    for keys in ([*_DIGEST, "name"], _DIGEST, ["name"]):
        pairs = _joined(left, right, keys)
        parts.append(pairs.select("a", "b", how=_how(keys)))
        left, right = (
            side.join(pairs.select(at=pl.col(column)), on="at", how="anti", maintain_order="left")
            for side, column in ((left, "a"), (right, "b"))
        )
    return Matched(pl.concat(parts).sort("b"), left["at"], right["at"])


def _keys(rows: pl.DataFrame, named: bool) -> pl.DataFrame:
    """Position, digest, and a number for the name; null where there is none."""
    columns = ("name",) if named else _PLACE
    texts = rows.select(pl.col("dataset", *columns).cast(pl.String))
    known = pl.any_horizontal(pl.col(columns).is_not_null())
    names = texts.select(pl.when(known).then(pl.struct(pl.all()).hash()).alias("name"))
    return rows.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("at"), *_DIGEST).hstack(names)


def _joined(left: pl.DataFrame, right: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """The rows with equal keys, none of them null: the first with the first, the second with the second."""
    sides = [
        side.filter(pl.all_horizontal(pl.col(keys).is_not_null())).with_columns(
            turn=pl.int_range(pl.len(), dtype=pl.UInt32).over(keys)
        )
        for side in (left, right)
    ]
    pairs = sides[0].join(sides[1], on=[*keys, "turn"], suffix="_b")
    others = {name: pairs[f"{name}_b" if name not in keys else name] for name in (*_DIGEST, "name")}
    return pl.DataFrame(
        {
            "a": pairs["at"],
            "b": pairs["at_b"],
            "named": pairs["name"].is_not_null() & others["name"].is_not_null(),
            "held": pairs["digest_a"].is_not_null() | others["digest_a"].is_not_null(),
        }
    )


def _how(keys: list[str]) -> pl.Expr:
    if keys == _DIGEST:
        return pl.when("named").then(pl.lit("moved")).otherwise(pl.lit("same"))
    if keys == ["name"]:
        # Windows without a hand have no digest: a pair of such is the same.
        return pl.when("held").then(pl.lit("changed")).otherwise(pl.lit("same"))
    return pl.lit("same")
