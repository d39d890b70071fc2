"""What the images of a table look like: sizes, light, sharpness, and those too small or too empty to show a hand."""

from __future__ import annotations

from typing import Any

import polars as pl

from pgc_data.audits.distributions import distribution
from pgc_data.audits.findings import Checked, Finding, Severity, counted, percent
from pgc_data.audits.rows import examples, references
from pgc_data.audits.thresholds import Thresholds

_SHOWN = 8
_GREYS = (0.0, 255.0)


def images(table: str, rows: pl.DataFrame, thresholds: Thresholds) -> Checked:
    """Measures the images that decode.

    Args:
        table: name of the table.
        rows: its rows, see `rows.read_rows`.
        thresholds: from when on an image is tiny, flat, dark or bright.
    """
    if "phash" not in rows.columns:
        return Checked({})
    rows = rows.filter(pl.col("phash").is_not_null()).with_columns(
        shorter=pl.min_horizontal("width", "height")
    )
    numbers: dict[str, Any] = {
        name: distribution(rows, name, limits)
        for name, limits in (("width", None), ("height", None), ("brightness", _GREYS), ("sharpness", None))
    }
    order = {"smallest": "shorter", "darkest": "brightness", "blurriest": "sharpness"}
    numbers |= {name: references(rows.sort(by, "file", "row").head(_SHOWN)) for name, by in order.items()}
    findings = [_tiny(table, rows, thresholds.tiny_pixels), _odd(table, rows, thresholds)]
    return Checked(numbers, [finding for finding in findings if finding.count])


def _tiny(table: str, rows: pl.DataFrame, least: int) -> Finding:
    tiny = rows.filter(pl.col("shorter") < least)
    share = tiny.height / max(rows.height, 1)
    verb = "is" if tiny.height == 1 else "are"
    return Finding(
        kind="tiny_image",
        severity=Severity.WARNING,
        table=table,
        count=tiny.height,
        share=share,
        meaning=f"{counted(tiny.height, 'image')} ({percent(share)}) {verb} less than {least} pixels wide or high: "
        "too few to tell fingers apart.",
        remedy="Leave them out (to-parquet: --min-size), or look whether the boxes they were cut from are right.",
        examples=examples(tiny, ["label", "name", "width", "height"]),
    )


def _odd(table: str, rows: pl.DataFrame, thresholds: Thresholds) -> Finding:
    what = (
        pl.when(pl.col("brightness") < thresholds.dark).then(pl.lit("black"))
        .when(pl.col("brightness") > thresholds.bright).then(pl.lit("white"))
        .when(pl.col("contrast") < thresholds.flat_contrast).then(pl.lit("flat"))
    )  # fmt: skip
    odd = rows.with_columns(looks=what).filter(pl.col("looks").is_not_null())
    share = odd.height / max(rows.height, 1)
    verb = "is" if odd.height == 1 else "are"
    return Finding(
        kind="odd_image",
        severity=Severity.WARNING,
        table=table,
        count=odd.height,
        share=share,
        meaning=f"{counted(odd.height, 'image')} ({percent(share)}) {verb} black, white or of one colour: whatever "
        "the label says, no hand can be seen.",
        remedy="Look at the examples; leave them out, or find out what went wrong when they were cut.",
        examples=examples(odd, ["label", "name", "looks", "brightness", "contrast"]),
    )
