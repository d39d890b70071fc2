"""The files against `manifest.json`: all there, none changed, none unlisted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa

from pgc_data.audits.findings import EXAMPLES, Checked, Finding, Severity, counted
from pgc_data.audits.targets import TABLES, Target
from pgc_data.errors import DataError
from pgc_data.storage.files import read_json, sha256_file
from pgc_data.storage.parquet import parquet_file

_REMEDY = "Copy the dataset again, or run to-parquet again."


def check_manifest(target: Target) -> Checked:
    """Compares the files of `target` with the manifest of its dataset, if there is one.

    Existence, bytes, sha256 and, for Parquet, rows are compared. Of a dataset folder every file listed is
    checked; of a part of one, that part.

    Raises:
        DataError: the manifest is not one that pgc-data wrote.
    """
    # A file of that name beside a stranger's table is the stranger's.
    ours = any(table.table in TABLES for table in target.tables)
    entries = _entries(target.root / "manifest.json") if ours else None
    if entries is None:
        return Checked({"present": False})
    entries = [entry for entry in entries if (target.root / entry["path"]).is_relative_to(target.path)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        faults = list(pool.map(lambda entry: _fault(target.root, entry), entries))
    problems = [(e["path"], f) for e, f in zip(entries, faults, strict=True) if f]
    missing = [path for path, fault in problems if fault == _MISSING]
    changed = [(path, fault) for path, fault in problems if fault != _MISSING]
    listed = {entry["path"] for entry in entries}
    files = [target.relative(file) for table in target.tables for file in (*table.files, *table.lacking)]
    unlisted = [path for path in files if path not in listed]
    numbers = {
        "present": True,
        "files": len(entries),
        "missing": missing,
        "changed": [path for path, _ in changed],
        "unlisted": unlisted,
    }
    findings = [
        _missing(missing, len(entries)),
        _changed(changed, len(entries)),
        _unlisted(unlisted, len(files)),
    ]
    return Checked(numbers, [finding for finding in findings if finding.count])


def split_proof(target: Target, table: str) -> dict[str, Any] | None:
    """What the manifest says of how a table was split; None where it says nothing.

    Returns:
        `ratios` (wanted shares of train, val, test), `split`, `seed`, `shares` (split -> class -> share of its rows),
        `groups` (split -> groups), `worst` (percentage points), `worst_where`, `unmet` (wishes), and `sources`.
    """
    path = target.root / "manifest.json"
    if table not in TABLES or not path.exists():
        return None
    tables = read_json(path).get("tables")
    entry = tables.get(table) if isinstance(tables, dict) else None
    if not isinstance(entry, dict) or "ratios" not in entry:
        return None
    names = (
        "ratios",
        "split",
        "seed",
        "groups",
        "worst",
        "worst_where",
        "unmet",
        "unverified",
        "sources",
        "dropped",
    )
    return {name: entry[name] for name in names if name in entry} | {
        "shares": _shares(entry.get("class_rows") or {})
    }


def _shares(rows: dict[str, dict[str, int]]) -> dict[str, dict[str, float]]:
    totals: dict[str, int] = {}
    for counts in rows.values():
        for name, count in counts.items():
            totals[name] = totals.get(name, 0) + count
    return {
        split: {name: round(count / totals[name], 6) for name, count in counts.items() if totals[name]}
        for split, counts in rows.items()
    }


_MISSING = "missing"


def _entries(path: Path) -> list[dict[str, Any]] | None:
    if not path.exists():
        return None
    manifest = read_json(path)
    entries = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(entries, list) or not all(_is_entry(entry) for entry in entries):
        raise DataError(
            f"{path} is not a manifest: expected files with path, rows, bytes and sha256; "
            "remove it, or run to-parquet again"
        )
    return entries


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or not {"path", "rows", "bytes", "sha256"} <= entry.keys():
        return False
    parts = Path(str(entry["path"]))
    return isinstance(entry["path"], str) and not parts.is_absolute() and ".." not in parts.parts


def _fault(root: Path, entry: dict[str, Any]) -> str | None:
    path = root / entry["path"]
    if not path.is_file():
        return _MISSING
    size = path.stat().st_size
    if size != entry["bytes"]:
        return f"{size} bytes, listed with {entry['bytes']}"
    if sha256_file(path) != entry["sha256"]:
        return "another sha256 than listed"
    if path.suffix == ".parquet" and (rows := _rows(path)) != entry["rows"]:
        return f"{rows} rows, listed with {entry['rows']}"
    return None


def _rows(path: Path) -> int | None:
    try:
        with parquet_file(path) as file:
            return int(file.metadata.num_rows)
    except (OSError, pa.ArrowException):
        return None


def _finding(
    kind: str, severity: Severity, total: int, meaning: str, remedy: str, cases: Sequence[dict[str, Any]]
) -> Finding:
    return Finding(
        kind=kind,
        severity=severity,
        table="files",
        count=len(cases),
        share=len(cases) / max(total, 1),
        meaning=meaning,
        remedy=remedy,
        examples=tuple(cases[:EXAMPLES]),
    )


def _missing(paths: Sequence[str], total: int) -> Finding:
    verb = "is" if len(paths) == 1 else "are"
    meaning = (
        f"{counted(len(paths), 'file')} of {total:,} in the manifest {verb} missing: rows are lost, and no "
        "count here includes them."
    )
    cases = [{"file": path} for path in paths]
    return _finding("file_missing", Severity.DAMAGE, total, meaning, _REMEDY, cases)


def _changed(changes: Sequence[tuple[str, str]], total: int) -> Finding:
    verb = "is" if len(changes) == 1 else "are"
    meaning = (
        f"{counted(len(changes), 'file')} of {total:,} {verb} not as the manifest lists them: changed, or cut "
        "short, since the dataset was written."
    )
    cases = [{"file": path, "found": fault} for path, fault in changes]
    return _finding("file_changed", Severity.DAMAGE, total, meaning, _REMEDY, cases)


def _unlisted(paths: Sequence[str], total: int) -> Finding:
    verb = "is" if len(paths) == 1 else "are"
    meaning = (
        f"{counted(len(paths), 'file')} beside the others {verb} not in the manifest: a reader that takes the "
        "folder as it is reads rows that the dataset does not list."
    )
    cases = [{"file": path} for path in paths]
    remedy = "Remove what an earlier run left behind, or run to-parquet again."
    return _finding("file_unlisted", Severity.WARNING, total, meaning, remedy, cases)
