"""Rows with exactly the same content: across splits, under two labels, or twice within a split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from pgc_data.audits.findings import EXAMPLES, Checked, Finding, Severity, counted, percent

_DIGEST = ("digest_a", "digest_b")


def duplicates(table: str, rows: pl.DataFrame, noun: str) -> Checked:
    """Finds contents (image bytes, feature bytes) that several rows share, by the first 128 bits of sha256.

    Windows of nothing but zeros and NaN show no hand and are not compared.

    Args:
        table: name of the table.
        rows: its rows, see `rows.read_rows`.
        noun: what one row is called.
    """
    rows = rows.filter(pl.col("digest_a").is_not_null()).select(
        "file", "row", "split", "label", digest=pl.struct(_DIGEST)
    )
    repeated = rows.filter(pl.col("digest").is_duplicated()).sort("file", "row")
    contents = _contents(repeated)
    distinct = rows.height - repeated.height + contents.height
    extra = _extra_copies(repeated)
    across = contents.filter(pl.col("splits").list.len() > 1)
    contradictory = contents.filter(pl.col("labels").list.len() > 1)
    numbers = {
        "rows": rows.height,
        "contents": distinct,
        "in_two_splits": across.height,
        "with_two_labels": contradictory.height,
        "extra_rows_within_splits": extra,
    }
    findings = [
        _across(table, noun, across, distinct),
        _two_labels(table, noun, contradictory, distinct),
        _within(table, noun, extra, rows.height, contents),
    ]
    return Checked(numbers, [finding for finding in findings if finding.count])


def _contents(repeated: pl.DataFrame) -> pl.DataFrame:
    place = pl.format("{} row {}", pl.col("file").cast(pl.String), "row")
    return repeated.group_by("digest", maintain_order=True).agg(
        splits=pl.col("split").cast(pl.String).drop_nulls().unique().sort(),
        labels=pl.col("label").cast(pl.String).drop_nulls().unique().sort(),
        rows=pl.len(),
        places=place.head(3),
        # The pairs that repeat: a copy in another split or under another label is told of elsewhere.
        extra=pl.len() - pl.struct("split", "label").n_unique(),
    )


def _extra_copies(repeated: pl.DataFrame) -> int:
    groups = repeated.group_by("digest", "split", "label").agg(extra=pl.len() - 1)
    return int(groups["extra"].sum())


def _example(row: Mapping[str, Any]) -> Mapping[str, Any]:
    digest = "".join(f"{row['digest'][part]:016x}" for part in _DIGEST)
    lists = {name: ", ".join(row[name]) for name in ("splits", "labels")}
    return {"sha256": digest, **lists, "rows": row["rows"], "places": "; ".join(row["places"])}


def _examples(contents: pl.DataFrame) -> tuple[Mapping[str, Any], ...]:
    return tuple(_example(row) for row in contents.head(EXAMPLES).to_dicts())


def _across(table: str, noun: str, contents: pl.DataFrame, distinct: int) -> Finding:
    share = contents.height / max(distinct, 1)
    verb = "lies" if contents.height == 1 else "lie"
    return Finding(
        kind="duplicate_across_splits",
        severity=Severity.LEAK,
        table=table,
        count=contents.height,
        share=share,
        meaning=f"{counted(contents.height, noun)} of {distinct:,} distinct ones ({percent(share)}) {verb}, byte "
        "for byte, in more than one split: what is tested on was trained on.",
        remedy="Put every group that shares one into the same split, or keep one copy of each.",
        examples=_examples(contents),
    )


def _two_labels(table: str, noun: str, contents: pl.DataFrame, distinct: int) -> Finding:
    share = contents.height / max(distinct, 1)
    verb = "has" if contents.height == 1 else "have"
    return Finding(
        kind="contradictory_labels",
        severity=Severity.WARNING,
        table=table,
        count=contents.height,
        share=share,
        meaning=f"{counted(contents.height, noun)} of {distinct:,} distinct ones ({percent(share)}) {verb} more "
        "than one label: no model can be right on all their rows.",
        remedy="Look at the examples, decide on one label for each, or leave them out.",
        examples=_examples(contents),
    )


def _within(table: str, noun: str, extra: int, rows: int, contents: pl.DataFrame) -> Finding:
    share = extra / max(rows, 1)
    verb = "repeats" if extra == 1 else "repeat"
    return Finding(
        kind="duplicate_within_split",
        severity=Severity.NOTE,
        table=table,
        count=extra,
        share=share,
        meaning=f"{counted(extra, 'row')} ({percent(share)}) {verb} the {noun} and label of another row of the "
        "same split: such content counts more than once, and nothing leaks.",
        remedy="Nothing need be done; drop the copies if every row should count once.",
        examples=_examples(contents.filter(pl.col("extra") > 0)),
    )
