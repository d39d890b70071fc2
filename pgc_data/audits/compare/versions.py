"""One of two versions of a dataset: its rows, and what its files say of how they were made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from pgc_data.audits.findings import Finding
from pgc_data.audits.targets import TableFiles, Target, open_parquet_file
from pgc_data.storage.files import read_json
from pgc_data.storage.schemas import read_metadata

_RESULTS = frozenset(
    ("rows", "class_rows", "groups", "worst", "worst_where", "unmet", "dropped", "origins", "fingerprint")
)
"""What a manifest counts, which is no setting."""

_PLACES = frozenset(("raw",))
"""Where the raw data lay, which is another folder on every machine."""


@dataclass(frozen=True)
class Version:
    """One version of a dataset.

    Attributes:
        name: the dataset's name.
        frames: table -> its rows, see `rows.read_rows`.
        findings: what its audit found.
        schemas: table -> column -> its type.
        settings: table and setting -> its value, as text.
    """

    name: str
    frames: Mapping[str, pl.DataFrame]
    findings: Sequence[Finding]
    schemas: Mapping[str, Mapping[str, str]]
    settings: Mapping[tuple[str, str], str]


def version_of(target: Target, frames: Mapping[str, pl.DataFrame], findings: Sequence[Finding]) -> Version:
    """Reads the schemas, the metadata and the manifest of an audited dataset.

    Args:
        target: what was audited.
        frames: table -> its rows, see `rows.read_rows`.
        findings: what was found.

    Raises:
        DataError: a file is not whole.
    """
    schemas: dict[str, dict[str, str]] = {}
    settings: dict[tuple[str, str], str] = {}
    for table in target.tables:
        columns, facts = _declared(table)
        schemas[table.table] = columns
        told = {**_listed(target, table.table), **facts, "classes": list(table.names)}
        settings |= {(table.table, name): text for name, text in _flat(told)}
    return Version(target.name, frames, findings, schemas, settings)


def _declared(table: TableFiles) -> tuple[dict[str, str], dict[str, Any]]:
    if table.images is not None:
        return {}, {}
    with open_parquet_file(table.files[0]) as file:
        schema = file.schema_arrow
    return {field.name: str(field.type) for field in schema}, read_metadata(schema)


def _listed(target: Target, table: str) -> dict[str, Any]:
    path = target.root / "manifest.json"
    manifest = read_json(path) if path.exists() else {}
    tables = manifest.get("tables") if isinstance(manifest, dict) else None
    entry = tables.get(table) if isinstance(tables, dict) else None
    return entry if isinstance(entry, dict) else {}


def _flat(values: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Nested settings as `a.b` -> text; sources by their name, other lists as JSON."""
    found = []
    for name, value in values.items():
        path = f"{above}{name}"
        if name in _PLACES or (not above and name in _RESULTS):
            continue
        if isinstance(value, list) and value and all(isinstance(v, dict) and "name" in v for v in value):
            value = {str(item["name"]): item for item in value}
        if isinstance(value, Mapping):
            found += _flat(value, f"{path}.")
        else:
            found.append((path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
    return found
