"""All checks of one dataset, in the order of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from pgc_data import __version__
from pgc_data.audits.adjacency import adjacency
from pgc_data.audits.balance import balance, split_order
from pgc_data.audits.duplicates import duplicates
from pgc_data.audits.findings import Finding, Severity, by_severity, counted, verdict
from pgc_data.audits.integrity import integrity
from pgc_data.audits.manifest import check_manifest
from pgc_data.audits.overlap import UNITS, overlaps
from pgc_data.audits.rows import read_rows
from pgc_data.audits.targets import TableFiles, Target, class_names
from pgc_data.errors import DataError


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        name: the dataset's name.
        findings: all findings, worst first.
        tables: table name -> its numbers, as plain JSON values.
        overlap: column -> how many values it has, and how many lie in more than one split.
        manifest: the files against the manifest.
    """

    name: str
    findings: tuple[Finding, ...]
    tables: dict[str, dict[str, Any]]
    overlap: dict[str, Any]
    manifest: dict[str, Any]

    @property
    def verdict(self) -> str:
        """`leak`, `damage`, `warning` or `clean`."""
        return verdict(self.findings)

    @property
    def failed(self) -> bool:
        """Whether the dataset leaks or is damaged."""
        return self.verdict in (Severity.LEAK, Severity.DAMAGE)

    @property
    def splits(self) -> list[str]:
        """The names of all splits, train, val and test first."""
        return split_order(split for table in self.tables.values() for split in table["splits"])

    def sentence(self) -> str:
        """The verdict in words."""
        severities = [finding.severity for finding in self.findings]
        warnings = severities.count(Severity.WARNING)
        leaks, damaged = Severity.LEAK in severities, Severity.DAMAGE in severities
        if leaks or damaged:
            faults = ["leaks between its splits"] * leaks + ["is damaged"] * damaged
            return f"{self.name} {' and '.join(faults)}."
        if len(self.splits) == 1:
            start = (
                f"{self.name} has one split only, {self.splits[0]}: nothing to leak to; nothing is damaged"
            )
        else:
            start = f"{self.name}: no leak found between {', '.join(self.splits)}, and nothing damaged"
        return f"{start}; {counted(warnings, 'warning')}." if warnings else f"{start}."

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values: the content of `audit.json`."""
        return {
            "name": self.name,
            "verdict": self.verdict,
            "sentence": self.sentence(),
            "findings": [finding.as_dict() for finding in self.findings],
            "overlap": self.overlap,
            "tables": self.tables,
            "manifest": self.manifest,
            "pgc_data_version": __version__,
        }


def audit_target(target: Target) -> Audit:
    """Reads every table of `target` once and runs all checks.

    Raises:
        DataError: a file is not whole, lacks a column, or there are no rows at all.
    """
    frames = {files.table: read_rows(target, files) for files in target.tables}
    if not any(rows.height for rows in frames.values()):
        raise DataError(f"{target.path} holds no rows: run to-parquet again, or give another path")
    overlap, manifest = overlaps(frames), check_manifest(target)
    findings = [*overlap.findings, *manifest.findings]
    tables = {}
    for files in target.tables:
        tables[files.table], more = _audit_table(target, files, frames[files.table])
        findings += more
    name = target.root.name if target.path == target.root else f"{target.root.name}/{target.path.name}"
    return Audit(name, tuple(by_severity(findings)), tables, overlap.numbers, manifest.numbers)


def _audit_table(
    target: Target, files: TableFiles, rows: pl.DataFrame
) -> tuple[dict[str, Any], list[Finding]]:
    names = class_names(files)
    paths = [target.relative(path) for path in files.files]
    checks = {
        "duplicates": duplicates(files.table, rows),
        "adjacency": adjacency(files.table, rows),
        "balance": balance(files.table, rows, names),
        "integrity": integrity(files, names, rows, paths),
    }
    numbers = {
        "rows": rows.height,
        "files": _files(files, rows, paths),
        "splits": _splits(rows),
        **{name: check.numbers for name, check in checks.items()},
    }
    return numbers, [finding for check in checks.values() for finding in check.findings]


def _files(files: TableFiles, rows: pl.DataFrame, paths: Sequence[str]) -> list[dict[str, Any]]:
    counts = dict(rows.group_by(pl.col("file").cast(pl.String)).len().iter_rows())
    return [
        {"path": name, "rows": counts.get(name, 0), "bytes": path.stat().st_size}
        for name, path in zip(paths, files.files, strict=True)
    ]


def _splits(rows: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Split -> number of rows, groups, subjects, videos and samples."""
    known = rows.filter(pl.col("split").is_not_null())
    distinct = {
        f"{unit}s": pl.struct("dataset", column).filter(pl.col(column).is_not_null()).n_unique()
        for column, unit in UNITS.items()
    }
    table = known.group_by(pl.col("split").cast(pl.String)).agg(rows=pl.len(), **distinct)
    found = {row.pop("split"): row for row in table.to_dicts()}
    return {split: found[split] for split in split_order(found)}
