"""Groups, subjects, videos and samples that lie in more than one split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from pgc_data.audits.findings import EXAMPLES, Checked, Finding, Severity, counted, percent

UNITS = {"group_id": "group", "subject_id": "subject", "video_id": "video", "sample_id": "sample"}
"""The columns compared, and what one of their values is called."""

_MEANING = {
    "group_id": "the unit that the split should keep together is on both sides, so a score on held-out rows "
    "says little about new data",
    "subject_id": "the same person is trained on and tested on, so a score says little about new people",
    "video_id": "frames of one recording are trained on and tested on, so a score says little about new "
    "recordings",
    "sample_id": "parts of one labelled image or clip are trained on and tested on",
}


def overlaps(tables: Mapping[str, pl.DataFrame]) -> Checked:
    """Counts the values of each unit that lie in more than one split, over all tables of a dataset.

    Subjects, videos and samples are compared within their dataset, groups over all. A null is not a value.

    Args:
        tables: table name -> its rows, see `rows.read_rows`.
    """
    numbers, findings = {}, []
    for column, unit in UNITS.items():
        values = _values(tables, column)
        shared = values.filter(pl.col("splits").list.len() > 1)
        numbers[column] = {
            "values": values.height,
            "shared": shared.height,
            "rows": sum(rows.height for rows in tables.values()),
            "rows_without": sum(rows[column].null_count() for rows in tables.values()),
        }
        if shared.height:
            findings.append(_finding(column, unit, values.height, shared))
    return Checked(numbers, findings)


def _values(tables: Mapping[str, pl.DataFrame], column: str) -> pl.DataFrame:
    """One row for each value: `dataset` (not for groups), the value, `splits`, `tables`, `rows`."""
    key = [column] if column == "group_id" else ["dataset", column]
    parts = [
        rows.filter(pl.col(column).is_not_null() & pl.col("split").is_not_null())
        .group_by(*key, "split")
        .agg(rows=pl.len())
        .with_columns(pl.col("split").cast(pl.String), table=pl.lit(name))
        for name, rows in tables.items()
    ]
    lists = {"splits": pl.col("split").unique().sort(), "tables": pl.col("table").unique().sort()}
    return pl.concat(parts).group_by(key).agg(**lists, rows=pl.col("rows").sum()).sort(key)


def _finding(column: str, unit: str, values: int, shared: pl.DataFrame) -> Finding:
    tables = sorted({name for names in shared["tables"] for name in names})
    share = shared.height / values
    verb = "lies" if shared.height == 1 else "lie"
    return Finding(
        kind=f"{unit}_overlap",
        severity=Severity.LEAK,
        table=" and ".join(tables),
        count=shared.height,
        share=share,
        meaning=f"{counted(shared.height, unit)} of {values:,} ({percent(share)}) {verb} in more than one "
        f"split: {_MEANING[column]}.",
        remedy=f"Split again so that every row of one {unit} goes to one split, as to-parquet does.",
        examples=tuple(_example(row) for row in shared.head(EXAMPLES).to_dicts()),
    )


def _example(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: ", ".join(v) if isinstance(v, list) else v for name, v in row.items()}


def groups_unknown(table: str, rows: pl.DataFrame) -> list[Finding]:
    """A note of rows that name no group, subject or video, so that nothing can be proved of their splits."""
    unnamed = pl.all_horizontal(pl.col("group_id", "subject_id", "video_id").is_null())
    count = rows.select(unnamed.sum()).item()
    if not count:
        return []
    which = "a row comes from" if count == rows.height else f"{count:,} of {rows.height:,} rows come from"
    return [
        Finding(
            kind="no_groups_known",
            severity=Severity.NOTE,
            table=table,
            count=count,
            share=count / rows.height,
            meaning=f"No column and no file name tells which person or recording {which}: only copies and "
            "near-copies can be looked for, and that none is found does not prove that nothing leaks.",
            remedy="Name the column with --subject-column, --video-column or --group-column, or add one.",
        )
    ]
