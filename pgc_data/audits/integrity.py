"""Rows that are not what their table promises: broken content, wrong split, unknown label."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pgc_data.audits.findings import Checked, Finding, Severity, counted, percent
from pgc_data.audits.rows import examples
from pgc_data.audits.targets import TableFiles, split_in_name

USABLE_FRACTION = 0.8
"""The least share of frames of a window that should show a hand."""

_BROKEN = {
    "crops": (
        "undecodable_image",
        "image",
        "does not decode",
        "do not decode",
        "a loader stops at it or skips it",
    ),
    "windows": (
        "non_finite_window",
        "window",
        "is not all finite numbers",
        "are not all finite numbers",
        "one such value turns a whole training run into NaN",
    ),
}
_RERUN = "Run to-parquet again for these files; if it stays, look at the rows named in the examples."


def integrity(files: TableFiles, names: Sequence[str], rows: pl.DataFrame, paths: Sequence[str]) -> Checked:
    """Checks every row of a table by itself.

    Args:
        files: the table's files.
        names: the class names of its vocabulary, in order; where empty, only null labels are found.
        rows: its rows, see `rows.read_rows`.
        paths: what `rows` calls each of `files`.
    """
    table = files.table
    splits = {path: split_in_name(file) for path, file in zip(paths, files.files, strict=True)}
    found = [_broken(table, rows), _wrong_split(table, rows, splits), _bad_label(table, rows, names)]
    if table == "windows":
        found.append(_hardly_usable(table, rows))
    return Checked({finding.kind: finding.count for finding in found}, [f for f in found if f.count])


def _broken(table: str, rows: pl.DataFrame) -> Finding:
    kind, noun, singular, plural, consequence = _BROKEN[table]
    broken = rows.filter(pl.col("fault").is_not_null())
    share = broken.height / max(rows.height, 1)
    return Finding(
        kind=kind,
        severity=Severity.DAMAGE,
        table=table,
        count=broken.height,
        share=share,
        meaning=f"{counted(broken.height, noun)} ({percent(share)}) {singular if broken.height == 1 else plural}: "
        f"{consequence}.",
        remedy=_RERUN,
        examples=examples(broken, ["sample_id", "start", "fault"]),
    )


def _wrong_split(table: str, rows: pl.DataFrame, splits: dict[str, str | None]) -> Finding:
    named = pl.col("file").cast(pl.String).replace_strict(splits, return_dtype=pl.String)
    differs = pl.col("split").is_null() | (pl.col("split").cast(pl.String) != pl.col("in_file_name"))
    wrong = rows.with_columns(in_file_name=named).filter(differs)
    share = wrong.height / max(rows.height, 1)
    verb = "has" if wrong.height == 1 else "have"
    return Finding(
        kind="wrong_split",
        severity=Severity.DAMAGE,
        table=table,
        count=wrong.height,
        share=share,
        meaning=f"{counted(wrong.height, 'row')} ({percent(share)}) {verb} a null in the column split, or another "
        "split than the file's name says: two readers of this dataset may train on different rows.",
        remedy="Move the rows into the file of their split, or run to-parquet again.",
        examples=examples(wrong, ["split", "in_file_name"]),
    )


def _bad_label(table: str, rows: pl.DataFrame, names: Sequence[str]) -> Finding:
    bad = pl.col("label").is_null()
    if names:
        numbers = {name: number for number, name in enumerate(names)}
        label = pl.col("label").cast(pl.String)
        number = label.replace_strict(numbers, default=None, return_dtype=pl.Int64)
        bad = bad | number.ne_missing(pl.col("class_id"))
    wrong = rows.filter(bad)
    share = wrong.height / max(rows.height, 1)
    verb = "has" if wrong.height == 1 else "have"
    return Finding(
        kind="bad_label",
        severity=Severity.DAMAGE,
        table=table,
        count=wrong.height,
        share=share,
        meaning=f"{counted(wrong.height, 'row')} ({percent(share)}) {verb} no label, one that is not in the "
        "vocabulary, or a class_id that is not the label's.",
        remedy="Correct the vocabulary or the rows, then run to-parquet again.",
        examples=examples(wrong, ["label", "class_id", "sample_id"]),
    )


def _hardly_usable(table: str, rows: pl.DataFrame) -> Finding:
    low = rows.filter(pl.col("usable_fraction").fill_null(0.0).fill_nan(0.0) < USABLE_FRACTION)
    share = low.height / max(rows.height, 1)
    verb = "shows" if low.height == 1 else "show"
    return Finding(
        kind="hardly_usable_window",
        severity=Severity.WARNING,
        table=table,
        count=low.height,
        share=share,
        meaning=f"{counted(low.height, 'window')} ({percent(share)}) {verb} a hand in fewer than "
        f"{USABLE_FRACTION:.0%} of the frames: the rest is zeros that carry the class label.",
        remedy="Leave them out, or ask to-parquet for a larger share of usable frames.",
        examples=examples(low, ["sample_id", "start", "usable_fraction"]),
    )
