"""All checks of one dataset, in the order of the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pgc_data import __version__
from pgc_data.audits.adjacency import adjacency
from pgc_data.audits.balance import balance, split_order
from pgc_data.audits.duplicates import duplicates
from pgc_data.audits.findings import Finding, Severity, by_severity, counted, verdict
from pgc_data.audits.images import images
from pgc_data.audits.integrity import integrity
from pgc_data.audits.manifest import check_manifest, split_proof
from pgc_data.audits.near import near_duplicates
from pgc_data.audits.overlap import UNITS, groups_unknown, overlaps
from pgc_data.audits.probe.descriptors import Reader
from pgc_data.audits.probe.estimate import estimate
from pgc_data.audits.rows import ONE_SPLIT, Rows, read_rows
from pgc_data.audits.samples import samples
from pgc_data.audits.schema_check import schema_differences
from pgc_data.audits.targets import TableFiles, Target
from pgc_data.audits.thresholds import Thresholds
from pgc_data.audits.windows import windows
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
        frames: table -> its rows, see `rows.read_rows`.
    """

    name: str
    findings: tuple[Finding, ...]
    tables: dict[str, dict[str, Any]]
    overlap: dict[str, Any]
    manifest: dict[str, Any]
    frames: Mapping[str, pl.DataFrame] = field(default_factory=dict, repr=False, compare=False)

    @property
    def verdict(self) -> str:
        """`leak`, `damage`, `warning` or `clean`."""
        return verdict(self.findings)

    @property
    def splits(self) -> list[str]:
        """The names of all splits, train, val and test first."""
        return split_order(split for table in self.tables.values() for split in table["splits"])

    @property
    def groups_unknown(self) -> bool:
        """Whether of some rows nothing tells whom or what they show, so that no split can be proved clean."""
        return any(finding.kind == "no_groups_known" for finding in self.findings)

    def sentence(self) -> str:
        """The verdict in words, which promise no more than was looked at."""
        severities = [finding.severity for finding in self.findings]
        warnings = severities.count(Severity.WARNING)
        leaks, damaged = Severity.LEAK in severities, Severity.DAMAGE in severities
        if leaks or damaged:
            faults = ["leaks between its splits"] * leaks + ["is damaged"] * damaged
            return f"{self.name} {' and '.join(faults)}."
        if len(self.splits) == 1:
            only = "no splits" if self.splits == [ONE_SPLIT] else f"one split only, {self.splits[0]}"
            start = f"{self.name} has {only}: nothing to leak to; nothing is damaged"
        elif self.groups_unknown:
            start = (
                f"{self.name}: no copies found in two of {', '.join(self.splits)}, and nothing damaged; which rows "
                "show one person or recording is not known, so leaks between splits cannot be ruled out"
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


def audit_target(target: Target, thresholds: Thresholds | None = None, with_probe: bool = True) -> Audit:
    """Reads every table of `target` once and runs all checks.

    Args:
        target: see `targets.find_target`.
        thresholds: from when on what is found is told of.
        with_probe: whether to estimate how much the split flatters.

    Raises:
        DataError: a file is not whole, or there are no rows at all.
    """
    thresholds = thresholds or Thresholds()
    read = {files.table: read_rows(target, files) for files in target.tables}
    frames = {name: rows.frame for name, rows in read.items()}
    if not any(frame.height for frame in frames.values()):
        raise DataError(f"{target.path} holds no rows: write it again, or give another path")
    overlap, manifest = overlaps(frames), check_manifest(target)
    findings = [*overlap.findings, *manifest.findings]
    tables = {}
    for files in target.tables:
        rows = read.pop(files.table)
        tables[files.table], more = _audit_table(target, files, rows, thresholds, with_probe)
        findings += more
    return Audit(target.name, tuple(by_severity(findings)), tables, overlap.numbers, manifest.numbers, frames)


def _audit_table(
    target: Target, files: TableFiles, rows: Rows, thresholds: Thresholds, with_probe: bool
) -> tuple[dict[str, Any], list[Finding]]:
    table, frame = files.table, rows.frame
    of_windows, hands = windows(table, frame, rows.trajectories, thresholds)
    checks = {
        "duplicates": duplicates(table, frame, files.noun),
        "adjacency": adjacency(table, frame),
        "near_duplicates": near_duplicates(table, frame, rows.kept, thresholds),
        "balance": balance(table, frame, files.names, thresholds),
        "integrity": integrity(files, frame),
        "schema": schema_differences(target, files),
        "images": images(table, frame, thresholds),
        "windows": of_windows,
    }
    numbers = {
        "content": files.content,
        "rows": frame.height,
        "files": _files(target, files, rows),
        "roles": {role: known.as_dict() for role, known in rows.roles.items()},
        "splits": _splits(frame),
        **{name: check.numbers for name, check in checks.items()},
        "hands": hands,
        "samples": samples(frame),
        "proof": split_proof(target, table),
        "licences": list(rows.licences),
        "probe": None,
    }
    findings = [finding for check in checks.values() for finding in check.findings]
    findings += groups_unknown(table, frame)
    if with_probe and frame.height:
        probe = estimate(frame, _reader(files, rows))
        numbers["probe"] = probe.as_dict()
        points = 100 * probe.gap.f1.value if probe.gap else 0.0
        if points > thresholds.probe_gap:
            findings += [replace(finding, measure=points) for finding in probe.findings(table)]
    return numbers, findings


def _reader(files: TableFiles, rows: Rows) -> Reader:
    """Gives the probe thumbnails of images, (m, 32, 32) grey, or sketches of windows."""

    def read(at: NDArray[np.int64]) -> NDArray[Any]:
        kept = rows.kept[at]
        return kept[:, : 32 * 32].reshape(-1, 32, 32) if files.content == "image" else kept

    return read


def _files(target: Target, files: TableFiles, rows: Rows) -> list[dict[str, Any]]:
    if files.images is not None:
        return [
            {"path": f"{target.relative(files.files[0])}/", "rows": rows.frame.height, "bytes": rows.bytes}
        ]
    counts = dict(rows.frame.group_by(pl.col("file").cast(pl.String)).len().iter_rows())
    paths = {target.relative(path): path for path in files.files}
    return [
        {"path": name, "rows": counts.get(name, 0), "bytes": path.stat().st_size}
        for name, path in paths.items()
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
