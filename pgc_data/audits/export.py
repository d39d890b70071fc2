"""The numbers of an audit as Parquet: findings, counts, and the near-copies."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from pgc_data.audits.audit import Audit
from pgc_data.storage.files import atomic_path

NAMES = ("findings.parquet", "balance.parquet", "near_duplicates.parquet")

_FINDINGS = {
    "severity": pl.String, "kind": pl.String, "table": pl.String, "count": pl.Int64, "share": pl.Float64,
    "measure": pl.Float64, "meaning": pl.String, "remedy": pl.String, "examples": pl.String,
}  # fmt: skip
_REFERENCE = {"file": pl.String, "row": pl.Int64, "split": pl.String, "label": pl.String, "group": pl.String,
              "name": pl.String}  # fmt: skip
_PAIRS = {
    "table": pl.String, "distance": pl.Int64, "score": pl.Float64,
    **{f"{side}_{name}": type_ for side in "ab" for name, type_ in _REFERENCE.items()},
}  # fmt: skip


def write_numbers(audit: Audit, folder: Path) -> list[Path]:
    """Writes `findings.parquet` (one row a finding; examples as JSON), `balance.parquet` (rows of each table, split,
    dataset, subject, group and label that occur) and `near_duplicates.parquet` (the pairs shown in the report).

    Raises:
        DataError: `folder` cannot be written.
    """
    findings = [f.as_dict() | {"examples": json.dumps(f.as_dict()["examples"])} for f in audit.findings]
    frames = {
        NAMES[0]: pl.DataFrame(findings, schema=_FINDINGS),
        NAMES[1]: pl.concat([_counts(name, rows) for name, rows in audit.frames.items()]),
        NAMES[2]: pl.DataFrame(_pairs(audit), schema=_PAIRS),
    }
    paths = []
    for name, frame in frames.items():
        with atomic_path(folder / name) as temporary:
            frame.write_parquet(temporary)
        paths.append(folder / name)
    return paths


def _counts(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of each split, dataset, person or group, and class."""
    by = {
        "split": "split", "dataset": "dataset", "subject": "subject_id", "group": "group_id", "label": "label",
    }  # fmt: skip
    keys = [pl.col(column).cast(pl.String).alias(name) for name, column in by.items()]
    counts = rows.group_by(keys).agg(rows=pl.len().cast(pl.Int64)).sort(list(by))
    return counts.select(pl.lit(table).alias("table"), *by, "rows")


def _pairs(audit: Audit) -> list[dict[str, object]]:
    return [
        {
            "table": table,
            "distance": pair["distance"],
            "score": pair["score"],
            **{f"{side}_{name}": value for side in "ab" for name, value in pair[side].items()},
        }
        for table, numbers in audit.tables.items()
        for pair in numbers["near_duplicates"].get("pairs", [])
    ]
