"""A few rows of every class, for contact sheets."""

from __future__ import annotations

from typing import Any

import polars as pl

from pgc_data.audits.rows import references

_A_CLASS = 12


def samples(rows: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Up to 12 rows of each class without a fault, at even distances over splits and groups.

    Args:
        rows: see `rows.read_rows`.
    """
    good = rows.with_row_index("at").filter(pl.col("label").is_not_null() & pl.col("fault").is_null())
    texts = [
        pl.col(name).cast(pl.String)
        for name in ("label", "split", "group_id", "subject_id", "video_id", "file")
    ]
    order = good.select("at", "row", *texts).sort(
        "label", "split", "group_id", "subject_id", "video_id", "file", "row"
    )
    place, size = pl.int_range(pl.len()).over("label"), pl.len().over("label")
    # Row k of n is taken where k/n first reaches another twelfth.
    taken = (place * _A_CLASS // size) != ((place - 1) * _A_CLASS // size)
    chosen = order.filter(taken)
    found: dict[str, list[dict[str, Any]]] = {}
    for label, reference in zip(chosen["label"], references(rows[chosen["at"]]), strict=True):
        found.setdefault(label, []).append(reference)
    return found
