"""Distributions as the report draws them: histograms and quantiles by split."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from pgc_data.audits.balance import split_order

_BINS = 20
_QUANTILES = (0.05, 0.5, 0.95)
_TAILS = (0.005, 0.995)


def distribution(
    rows: pl.DataFrame, column: str, limits: tuple[float, float] | None = None
) -> dict[str, Any] | None:
    """A column's histogram and quantiles in each split; nulls, NaN and rows without a split left out.

    Args:
        rows: with `split` and `column`.
        column: of numbers.
        limits: first and last edge; by default between the 0.5th and 99.5th percentile. What lies beyond is counted
            in the first and last bin.

    Returns:
        `edges`, `counts` (split -> rows of each bin), `quantiles` (split -> 5, 50, 95 %); None without a value.
    """
    values = rows.select(
        pl.col("split").cast(pl.String), value=pl.col(column).cast(pl.Float64).fill_nan(None)
    ).drop_nulls()
    if not values.height:
        return None
    low, high = limits or (float(values["value"].quantile(tail) or 0.0) for tail in _TAILS)
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    counts, quantiles = {}, {}
    for split in split_order(values["split"].unique()):
        own = values.filter(pl.col("split") == split)["value"]
        counts[split] = np.histogram(np.clip(own.to_numpy(), edges[0], edges[-1]), edges)[0].tolist()
        quantiles[split] = [round(float(own.quantile(q) or 0.0), 4) for q in _QUANTILES]
    return {"edges": [round(float(edge), 4) for edge in edges], "counts": counts, "quantiles": quantiles}
