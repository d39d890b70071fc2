"""Table schemas, read from `schemas/*.json`: the one source for code, tests, docs and file metadata."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pgc_data import __version__
from pgc_data.errors import DataError
from pgc_data.resources import schema_file

METADATA_KEY = b"pgc_data"
HUGGINGFACE_KEY = b"huggingface"

_SCALARS: dict[str, pa.DataType] = {
    "string": pa.string(),
    "bool": pa.bool_(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "binary": pa.binary(),
    "image": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
}
_TYPE = re.compile(r"(?P<scalar>\w+)(?P<dims>(\[\w+\])*)")


@dataclass(frozen=True)
class Column:
    """One column of a table schema.

    Attributes:
        name: column name.
        type: `string`, `float32[21][3]` (fixed sizes), `list<float32[4]>` (any number), `image`, ...
        description: what it holds, in words.
        nullable: whether it may be null.
        unit: physical unit, or an empty string.
        since: version of the table that first had it; a newer column is nullable, and null in older files.
    """

    name: str
    type: str
    description: str
    nullable: bool = False
    unit: str = ""
    since: int = 1


@dataclass(frozen=True)
class TableSchema:
    """A table as declared in `schemas/<name>.json`."""

    name: str
    version: int
    description: str
    columns: tuple[Column, ...]

    def arrow(self, **sizes: int) -> pa.Schema:
        """The Arrow schema; `sizes` gives a value to each named dimension, such as T=16, F=147."""
        return pa.schema(
            [pa.field(c.name, _arrow_type(c.type, sizes), nullable=c.nullable) for c in self.columns]
        )


def _arrow_type(text: str, sizes: Mapping[str, int]) -> pa.DataType:
    """`float32[21][3]` -> a list of 21 lists of 3 floats, sizes fixed."""
    if text.startswith("list<") and text.endswith(">"):
        return pa.list_(_arrow_type(text[5:-1], sizes))
    match = _TYPE.fullmatch(text)
    if match is None or match["scalar"] not in _SCALARS:
        raise ValueError(f"unknown column type {text!r}")
    result = _SCALARS[match["scalar"]]
    for size in reversed(re.findall(r"\w+", match["dims"])):
        result = pa.list_(result, int(size) if size.isdigit() else sizes[size])
    return result


@cache
def table_schema(name: str) -> TableSchema:
    """The schema declared in `schemas/<name>.json`.

    Example:
        >>> table_schema("splits").columns[0].name
        'group_id'
    """
    raw = json.loads(schema_file(f"{name}.json").read_text(encoding="utf-8"))
    columns = tuple(Column(**column) for column in raw["columns"])
    return TableSchema(raw["name"], raw["version"], raw["description"], columns)


def arrow_schema(name: str, **sizes: int) -> pa.Schema:
    """The Arrow schema of table `name`; see `TableSchema.arrow`."""
    return table_schema(name).arrow(**sizes)


def with_metadata(
    schema: pa.Schema,
    name: str,
    facts: Mapping[str, Any],
    class_names: Mapping[str, tuple[str, ...]] | None = None,
) -> pa.Schema:
    """Adds the file-level metadata: schema name and version, pgc-data version and `facts`, as JSON.

    Args:
        schema: Arrow schema of the table.
        name: its name in `schemas/`.
        facts: what else a reader should know: licences, vocabulary, seed, config, ...
        class_names: for tables meant for Hugging Face `datasets`: integer column -> its class names. The
            column then loads as a ClassLabel, and an `image` column as an Image.
    """
    declared = table_schema(name)
    own = {"schema": name, "schema_version": declared.version, "pgc_data_version": __version__, **facts}
    metadata = {METADATA_KEY: json.dumps(own, sort_keys=True, ensure_ascii=False).encode()}
    if class_names is not None:
        features = {field.name: _huggingface_type(field, declared, class_names) for field in schema}
        metadata[HUGGINGFACE_KEY] = json.dumps({"info": {"features": features}}).encode()
        # `datasets` ignores what is said of a column that is not nullable; `conform` sees to the nulls.
        schema = pa.schema([field.with_nullable(True) for field in schema])
    return schema.with_metadata(metadata)


def _huggingface_type(
    field: pa.Field, declared: TableSchema, class_names: Mapping[str, tuple[str, ...]]
) -> dict[str, Any]:
    if field.name in class_names:
        return {"names": list(class_names[field.name]), "_type": "ClassLabel"}
    if next(c for c in declared.columns if c.name == field.name).type == "image":
        return {"_type": "Image"}
    return _huggingface_value(field.type)


def _huggingface_value(type_: pa.DataType) -> dict[str, Any]:
    if pa.types.is_fixed_size_list(type_):
        return {
            "feature": _huggingface_value(type_.value_type),
            "length": type_.list_size,
            "_type": "List",
        }
    if pa.types.is_list(type_):
        return {"feature": _huggingface_value(type_.value_type), "_type": "List"}
    dtype = {"float": "float32", "double": "float64"}.get(str(type_), str(type_))
    return {"dtype": dtype, "_type": "Value"}


def upgraded(rows: pa.Table, name: str) -> pa.Table:
    """Rows of table `name`, perhaps of an older version, with newer columns as nulls, in the order of the schema."""
    declared = table_schema(name)
    for column in declared.columns:
        if column.since > 1 and column.name not in rows.column_names:
            rows = rows.append_column(column.name, pa.nulls(rows.num_rows, _arrow_type(column.type, {})))
    known = [column.name for column in declared.columns if column.name in rows.column_names]
    return rows.select([*known, *(name for name in rows.column_names if name not in known)])


def arrow_array(values: Sequence[Any] | NDArray[Any]) -> pa.Array:
    """A list, or a (n,) array, as an Arrow array.

    `pyarrow.array` imports pandas wherever it is installed: 0.3 s, 50 MB.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
        values = np.ascontiguousarray(values)
        return pa.Array.from_buffers(
            pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)]
        )
    return pl.Series(values).to_arrow()


def conform(columns: Mapping[str, Any], schema: pa.Schema) -> pa.Table:
    """Columns (arrays or lists, in any order) as a table of exactly `schema`.

    Raises:
        DataError: a column that must not has a null.
    """
    arrays = []
    for field in schema:
        column = columns[field.name]
        if not isinstance(column, pa.Array | pa.ChunkedArray):
            column = arrow_array(column)
        if column.null_count and not field.nullable:
            raise DataError(f"column {field.name!r} has {column.null_count} nulls, it must have none")
        arrays.append(column.cast(field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def read_metadata(schema: pa.Schema) -> dict[str, Any]:
    """The facts that `with_metadata` stored, or an empty dictionary for a foreign file."""
    stored = (schema.metadata or {}).get(METADATA_KEY)
    return {} if stored is None else dict(json.loads(stored))


def check_schema(found: pa.Schema, name: str, where: str) -> None:
    """Checks that `found` has the columns and types of table `name`, as this version or an older one writes them.

    Fixed sizes that the schema leaves open (T, F) are taken from the file's own metadata.

    Raises:
        DataError: naming the first difference.
    """
    facts = read_metadata(found)
    declared = table_schema(name)
    stored = facts.get("schema_version", declared.version)
    if not isinstance(stored, int) or stored > declared.version:
        raise DataError(
            f"{where} holds {name} in version {stored}, this pgc-data reads version {declared.version} and older: "
            "upgrade pgc-data"
        )
    try:
        expected = declared.arrow(**facts.get("sizes", {}))
    except KeyError as error:
        raise DataError(
            f"{where} does not say its size {error}: it is not a table of {name} by pgc-data"
        ) from error
    newer = {column.name for column in declared.columns if column.since > stored}
    for field in expected:
        if field.name in newer:
            continue
        position = found.get_field_index(field.name)
        if position < 0:
            raise DataError(f"{where} has no column {field.name!r}: it is not a table of {name}")
        if not found.field(position).type.equals(field.type):
            raise DataError(
                f"{where}: column {field.name!r} is {found.field(position).type}, "
                f"expected {field.type} in a table of {name}"
            )
