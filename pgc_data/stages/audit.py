"""`audit`: what a dataset really holds, and whether its splits leak."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgc_data.audits.audit import Audit, audit_target
from pgc_data.audits.report import PAGE_NAME, report_files, write_report
from pgc_data.audits.targets import Target, find_target
from pgc_data.config import Config, option
from pgc_data.errors import DataError
from pgc_data.paths import as_path
from pgc_data.stages.summary import Plan, aligned
from pgc_data.storage.files import ensure_writable
from pgc_data.storage.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class AuditConfig(Config):
    """What to audit, and where the report goes."""

    path: str = option(
        ..., "dataset, table folder or Parquet file; or a dataset's name in the workspace", argument=True
    )
    output: Path | None = option(
        None, "folder of the report (default: audit/ in the dataset)", recorded=False, metavar="FOLDER"
    )


@dataclass(frozen=True)
class AuditSummary:
    """What an audit found.

    Attributes:
        audit: the verdict, the findings and all numbers.
        written: the files written.
    """

    audit: Audit
    written: tuple[Path, ...]

    @property
    def exit_code(self) -> int:
        """1 if the dataset leaks or is damaged, else 0."""
        return int(self.audit.failed)

    def as_dict(self) -> dict[str, Any]:
        """All numbers as plain JSON values."""
        return {**self.audit.as_dict(), "written": [path.as_posix() for path in self.written]}

    def lines(self) -> list[str]:
        """The verdict, a line for each finding, rows by class and split, and where the report is."""
        lines = [self.audit.sentence()]
        lines += [f"{f'{f.severity}:':<9}{f.table}: {f.meaning}" for f in self.audit.findings]
        for name, table in self.audit.tables.items():
            rows = table["balance"]["rows"]
            head = [name, *rows]
            lines += aligned(
                [head, *([c, *(row[c] for row in rows.values())] for c in table["balance"]["classes"])]
            )
        page = next(path for path in self.written if path.name == PAGE_NAME)
        charts = [path.name for path in self.written if path.suffix == ".png"]
        lines.append(f"report: {page}")
        return [*lines, f"charts: {', '.join(charts)}, in the same folder"] if charts else lines


def plan(config: AuditConfig) -> Plan:
    """What `run` would read and write."""
    target = find_target(_resolve(config))
    reads = [path for table in target.tables for path in table.files]
    size = sum(path.stat().st_size for path in reads)
    writes = report_files(_folder(config, target), [table.table for table in target.tables])
    return Plan(tuple(reads), tuple(writes), f"{len(reads)} files, {size / 1e6:,.1f} MB")


def run(config: AuditConfig) -> AuditSummary:
    """Audits a dataset and writes its report.

    Raises:
        DataError: there is nothing to audit there, a file cannot be read, or the report cannot be written.
    """
    target = find_target(_resolve(config))
    folder = _folder(config, target)
    ensure_writable(folder)
    audit = audit_target(target)
    return AuditSummary(audit, tuple(write_report(audit, folder)))


def _folder(config: AuditConfig, target: Target) -> Path:
    return config.output or target.audit_folder


def _resolve(config: AuditConfig) -> Path:
    given = as_path(config.path)
    named = Workspace(config.workspace).parquet(config.path)
    for path in (given, named):
        if path.exists():
            return path
    raise DataError(f"nothing to audit: there is neither {given} nor {named}; give another path or name")
