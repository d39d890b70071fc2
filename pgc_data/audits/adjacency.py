"""Held-out frames that have a neighbour in train: nearly the same image, seen in training."""

from __future__ import annotations

from typing import Any

import polars as pl

from pgc_data.audits.findings import Checked, Finding, Severity, counted, percent
from pgc_data.audits.rows import examples

REACHES = (1, 5)
"""The distances looked at, in frames of the source."""

_TRAIN = "train"
_VIDEO = ("dataset", "video_id")


def adjacency(table: str, rows: pl.DataFrame) -> Checked:
    """Counts the rows outside train that lie within ±1 and ±5 frames of a row of the same video in train.

    A row stands for the frames `start` to `end`; frames in common are a distance of 0. Rows without a video
    are not compared.

    Args:
        table: name of the table.
        rows: its rows, see `rows.read_rows`.
    """
    held_out = _distances(rows)
    splits = sorted(held_out["split"].cast(pl.String).unique())
    numbers = {split: _counts(held_out.filter(pl.col("split") == split)) for split in splits}
    near = held_out.filter(pl.col("distance") <= REACHES[-1])
    return Checked(numbers, [_finding(table, held_out.height, near)] if near.height else [])


def _distances(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows outside train that have a video, with their `distance` to train (null: none in its video)."""
    rows = rows.filter(pl.col("video_id").is_not_null() & pl.col("split").is_not_null())
    train = (
        rows.filter(pl.col("split") == _TRAIN)
        .sort("start")
        .select(*_VIDEO, train_start="start", reach=pl.col("end").cum_max().over(_VIDEO))
    )
    held_out = rows.filter(pl.col("split") != _TRAIN).sort("end")
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


def _finding(table: str, rows: int, near: pl.DataFrame) -> Finding:
    next_to = int((near["distance"] <= REACHES[0]).sum())
    return Finding(
        kind="adjacent_frames",
        severity=Severity.LEAK,
        table=table,
        count=near.height,
        share=near.height / rows,
        meaning=f"Of {counted(rows, 'row')} outside train, {next_to:,} ({percent(next_to / rows)}) lie within "
        f"±{REACHES[0]} frame of a train row of the same video and {near.height:,} "
        f"({percent(near.height / rows)}) within ±{REACHES[1]}: nearly the same picture was trained on, so a "
        "score on these rows measures memory.",
        remedy="Split by subject or video instead of by row or frame, as to-parquet does.",
        examples=examples(near, ["split", *_VIDEO, "start", "end", "distance"]),
    )
