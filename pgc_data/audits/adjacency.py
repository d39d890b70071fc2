"""Held-out frames that have a neighbour in train: nearly the same image, seen in training."""

from __future__ import annotations

from typing import Any

import polars as pl

from pgc_data.audits.balance import split_order
from pgc_data.audits.findings import EXAMPLES, Checked, Finding, Severity, counted, percent
from pgc_data.audits.rows import references

REACHES = (1, 5)
"""The distances looked at, in frames of the source."""

_TRAIN = "train"
_VIDEO = ("dataset", "video_id")


def adjacency(table: str, rows: pl.DataFrame) -> Checked:
    """Counts the rows outside train that lie within ±1 and ±5 frames of a row of the same video in train.

    A row stands for the frames `start` to `end`; frames in common are a distance of 0. Rows without a video
    or frame are not compared. Where no split is called train (folds), every row is compared with all other splits.

    Args:
        table: name of the table.
        rows: its rows, see `rows.read_rows`.
    """
    rows = rows.filter(pl.all_horizontal(pl.col("video_id", "split", "start").is_not_null()))
    rows = rows.with_columns(pl.col("dataset").cast(pl.String).fill_null(""))
    splits = split_order(rows["split"].cast(pl.String).unique())
    trained = _TRAIN in splits
    sides = [pl.col("split") != _TRAIN] if trained else [pl.col("split") == split for split in splits]
    if len(splits) < 2:
        return Checked({})
    held_out = pl.concat([_distances(rows.filter(~side), rows.filter(side)) for side in sides])
    splits = [split for split in splits if not (trained and split == _TRAIN)]
    numbers = {split: _counts(held_out.filter(pl.col("split") == split)) for split in splits}
    near = held_out.filter(pl.col("distance") <= REACHES[-1])
    if not near.height:
        return Checked(numbers)
    return Checked(numbers, [_finding(table, held_out.height, near, _pairs(rows, near, trained), trained)])


def _distances(train: pl.DataFrame, held_out: pl.DataFrame) -> pl.DataFrame:
    """The rows of `held_out` with their `distance` to `train` (null: none in their video)."""
    train = train.sort("start").select(
        *_VIDEO, train_start="start", reach=pl.col("end").cum_max().over(_VIDEO)
    )
    held_out = held_out.sort("end")
    # Of the train rows that start by our last frame, the one that reaches furthest is nearest; of those that
    # start after it, the first. Polars cannot check the order within groups; both sides are sorted.
    by = list(_VIDEO)
    near = held_out.join_asof(
        train, left_on="end", right_on="train_start", by=by, strategy="backward", check_sortedness=False
    ).join_asof(
        train.select(*_VIDEO, following="train_start"),
        left_on="end",
        right_on="following",
        by=by,
        strategy="forward",
        allow_exact_matches=False,
        check_sortedness=False,
    )
    before = pl.when(pl.col("reach").is_not_null()).then(
        pl.max_horizontal(pl.col("start") - pl.col("reach"), 0)
    )
    return near.with_columns(distance=pl.min_horizontal(before, pl.col("following") - pl.col("end")))


def _counts(held_out: pl.DataFrame) -> dict[str, Any]:
    within = {reach: int((held_out["distance"] <= reach).sum()) for reach in REACHES}
    counts = {f"within_{reach}": count for reach, count in within.items()}
    shares = {f"share_within_{reach}": round(count / held_out.height, 6) for reach, count in within.items()}
    return {"rows": held_out.height, **counts, **shares}


def _pairs(rows: pl.DataFrame, near: pl.DataFrame, trained: bool) -> list[dict[str, Any]]:
    """The nearest rows, of as many videos as there are, each with the row that it is nearest to."""
    near = near.sort("distance", "file", "row")
    turn = pl.int_range(pl.len()).over("distance", *_VIDEO)
    chosen = near.with_columns(turn=turn).sort("distance", "turn", maintain_order=True).head(EXAMPLES)
    pairs = []
    for row, own in zip(chosen.to_dicts(), references(chosen), strict=True):
        side = pl.col("split") == _TRAIN if trained else pl.col("split") != row["split"]
        others = rows.filter(side, *(pl.col(name) == row[name] for name in _VIDEO))
        apart = pl.max_horizontal(pl.col("start") - row["end"], row["start"] - pl.col("end"), 0)
        (other,) = references(others.sort(apart, "file", "row").head(1))
        pairs.append({"a": own, "b": other, "video": row["video_id"], "frames_apart": row["distance"]})
    return pairs


def _finding(
    table: str, rows: int, near: pl.DataFrame, pairs: list[dict[str, Any]], trained: bool
) -> Finding:
    which, other = ("outside train ", "a train row") if trained else ("", "a row of another split")
    next_to = int((near["distance"] <= REACHES[0]).sum())
    return Finding(
        kind="adjacent_frames",
        severity=Severity.LEAK,
        table=table,
        count=near.height,
        share=near.height / rows,
        meaning=f"Of {counted(rows, 'row')} {which}with a video, {near.height:,} ({percent(near.height / rows)}) "
        f"{'lies' if near.height == 1 else 'lie'} within ±{REACHES[1]} frames of {other} of the same video, "
        f"{next_to:,} of them ({percent(next_to / rows)}) within ±{REACHES[0]}: nearly the same picture was "
        "trained on, so a score on these rows measures memory.",
        remedy="Split by subject or video instead of by row or frame, as to-parquet does.",
        examples=tuple(pairs),
    )
