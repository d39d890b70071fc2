"""Whether the files of a table have the same columns, and those of our schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from pgc_data.audits.findings import EXAMPLES, Checked, Finding, Severity, counted
from pgc_data.audits.roles import our_table
from pgc_data.audits.targets import TableFiles, Target, open_parquet_file
from pgc_data.errors import DataError
from pgc_data.storage.schemas import check_schema


def schema_differences(target: Target, table: TableFiles) -> Checked:
    """Compares the columns of each file with those of the first, and of a table of ours with its schema.

    A file without the table's content column is damage: none of its rows could be read.
    """
    if table.images is not None:
        return Checked({})
    first = _schema(table.files[0])
    cases = []
    for path in table.files:
        schema = _schema(path)
        why = _against(schema, first) or _against_ours(schema)
        if why:
            cases.append({"file": target.relative(path), "difference": why})
    lost = [
        {"file": target.relative(path), "difference": f"it has no column {table.column(table.content)!r}"}
        for path in table.lacking
        if 2 * len(set(_schema(path).names) & set(first.names)) >= len(first.names)
    ]
    count, files = len(cases) + len(lost), len(table.files) + len(lost)
    if not count:
        return Checked({"schema_difference": 0})
    return Checked({"schema_difference": count}, [_finding(table.table, [*lost, *cases], files, bool(lost))])


def _schema(path: Any) -> pa.Schema:
    with open_parquet_file(path) as file:
        return file.schema_arrow


def _against(schema: pa.Schema, first: pa.Schema) -> str:
    """The first difference to another file's columns, in words."""
    for name in first.names:
        if name not in schema.names:
            return f"it has no column {name!r}, which the first file has"
        if not schema.field(name).type.equals(first.field(name).type):
            return f"column {name!r} is {schema.field(name).type}, in the first file {first.field(name).type}"
    more = [name for name in schema.names if name not in first.names]
    return f"it has a column {more[0]!r}, which the first file has not" if more else ""


def _against_ours(schema: pa.Schema) -> str:
    name = our_table(schema)
    if name is None:
        return ""
    try:
        check_schema(schema, name, "it")
    except DataError as error:
        return str(error).partition(": run the stage")[0].removeprefix("it: ")
    return ""


def _finding(table: str, cases: list[Mapping[str, Any]], files: int, damage: bool) -> Finding:
    verb = "differs" if len(cases) == 1 else "differ"
    consequence = (
        "rows without the content were not read" if damage else "a reader may refuse them, or fill in nulls"
    )
    first = cases[0]
    return Finding(
        kind="schema_difference",
        severity=Severity.DAMAGE if damage else Severity.WARNING,
        table=table,
        count=len(cases),
        share=len(cases) / files,
        meaning=f"{counted(len(cases), 'file')} of {files:,} {verb} in columns from the others or from the schema "
        f"({first['file']}: {first['difference']}): {consequence}.",
        remedy="Write the files again, all with one version of what writes them.",
        examples=tuple(cases[:EXAMPLES]),
    )
