"""Rows that are not what their table promises: broken content, wrong split, unknown label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

import polars as pl

from pgc_data.audits.file_names import split_in_name
from pgc_data.audits.findings import Checked, Finding, Severity, counted, percent
from pgc_data.audits.rows import examples
from pgc_data.audits.targets import TableFiles

_AGAIN = "Write these files again from their source; if it stays, look at the rows named in the examples."


def integrity(files: TableFiles, rows: pl.DataFrame) -> Checked:
    """Checks every row of a table by itself.

    Args:
        files: the table.
        rows: its rows, see `rows.read_rows`.
    """
    found = [_wrong_split(files, rows), _bad_label(files, rows)]
    if files.content == "image":
        found.insert(0, _undecodable(files.table, rows))
    return Checked({finding.kind: finding.count for finding in found}, [f for f in found if f.count])


def _undecodable(table: str, rows: pl.DataFrame) -> Finding:
    broken = rows.filter(pl.col("fault").is_not_null())
    share = broken.height / max(rows.height, 1)
    verb = "does" if broken.height == 1 else "do"
    return Finding(
        kind="undecodable_image",
        severity=Severity.DAMAGE,
        table=table,
        count=broken.height,
        share=share,
        meaning=f"{counted(broken.height, 'image')} ({percent(share)}) {verb} not decode: a loader stops at it or "
        "skips it.",
        remedy=_AGAIN,
        examples=examples(broken, ["label", "name", "fault"]),
    )


def _wrong_split(files: TableFiles, rows: pl.DataFrame) -> Finding:
    table, paths = files.table, rows["file"].unique().cast(pl.String)
    in_names = {path: split_in_name(PurePath(path)) for path in paths} if files.images is None else {}
    named = pl.col("file").cast(pl.String).replace_strict(in_names, default=None, return_dtype=pl.String)
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


def _bad_label(files: TableFiles, rows: pl.DataFrame) -> Finding:
    wrong = rows.filter(_is_bad(files.names, rows))
    share = wrong.height / max(rows.height, 1)
    verb = "has" if wrong.height == 1 else "have"
    return Finding(
        kind="bad_label",
        severity=Severity.DAMAGE,
        table=files.table,
        count=wrong.height,
        share=share,
        meaning=f"{counted(wrong.height, 'row')} ({percent(share)}) {verb} no label, one that is not in the "
        "vocabulary, or a class_id that is not the label's.",
        remedy="Correct the vocabulary or the rows, then write the table again.",
        examples=examples(wrong, ["label", "class_id", "name"]),
    )


def _is_bad(names: Sequence[str], rows: pl.DataFrame) -> pl.Expr:
    if rows["label"].null_count() == rows.height and not names:
        return pl.lit(value=False)
    label, number = pl.col("label").cast(pl.String), pl.col("class_id")
    if names:
        known = {name: position for position, name in enumerate(names)}
        own = label.replace_strict(known, default=None, return_dtype=pl.Int64)
        return label.is_null() | own.ne_missing(number)
    # Without a vocabulary the number that most rows of a label have is the label's.
    usual = rows.group_by(label).agg(number.drop_nulls().mode().min())
    own = label.replace_strict(usual["label"], usual["class_id"], default=None, return_dtype=pl.Int64)
    return label.is_null() | own.ne_missing(number)
