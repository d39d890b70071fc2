"""`audit`: what a dataset really holds, and whether its splits leak."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pgc_data.audits import export
from pgc_data.audits.audit import Audit, audit_target
from pgc_data.audits.compare.compare import Comparison, compare
from pgc_data.audits.compare.versions import version_of
from pgc_data.audits.pictures import pictures
from pgc_data.audits.report import JSON_NAME, PAGE_NAME, write_report
from pgc_data.audits.report.html import shortened
from pgc_data.audits.roles import Role
from pgc_data.audits.targets import Target, find_target
from pgc_data.audits.thresholds import Rule, Thresholds, fail_rules, read_thresholds, tightened
from pgc_data.config import Config, option
from pgc_data.errors import ConfigError, DataError
from pgc_data.paths import as_path
from pgc_data.stages.summary import Plan, aligned
from pgc_data.storage.files import ensure_writable
from pgc_data.storage.workspace import Workspace

_ROLES = ("image", "features", "label", "split", "group", "subject", "video", "frame")
_UNITS = {"group", "subject", "video"}
_MOST_CLASSES, _LONGEST_NAME = 40, 40


@dataclass(frozen=True, kw_only=True)
class AuditConfig(Config):
    """What to audit, and where the report goes."""

    path: str = option(
        ...,
        "dataset folder, table folder, Parquet file or folder of images; or a dataset's name in the workspace",
        argument=True,
    )
    output: Path | None = option(
        None, "folder of the report (default: audit/ in the dataset)", recorded=False, metavar="FOLDER"
    )
    compare: str | None = option(
        None, "an earlier version of the same dataset: also say what changed since", metavar="OTHER"
    )
    fail_on: str = option(
        "leak,damage",
        "what makes the exit status 1: severities and kinds of findings, each with a number up to which it passes, "
        "such as leak,imbalance:10,undecodable:1%; or none",
        metavar="KINDS",
    )
    thresholds: Path | None = option(
        None, "TOML of thresholds, name = value; docs/audit.md lists them", metavar="FILE", local=True
    )
    threshold: tuple[str, ...] = option(
        (), "one threshold, such as near_bits=4; may be repeated", metavar="NAME=VALUE"
    )
    image_column: str | None = option(None, "column of the images, or of their paths", metavar="NAME")
    features_column: str | None = option(None, "column of the features or landmarks", metavar="NAME")
    label_column: str | None = option(None, "column of the class", metavar="NAME")
    split_column: str | None = option(None, "column of the split", metavar="NAME")
    group_column: str | None = option(None, "column of what must stay in one split", metavar="NAME")
    subject_column: str | None = option(None, "column of the person", metavar="NAME")
    video_column: str | None = option(None, "column of the video", metavar="NAME")
    frame_column: str | None = option(None, "column of the frame's number", metavar="NAME")
    no_probe: bool = option(False, "do not estimate how much the split flatters")

    def __post_init__(self) -> None:
        super().__post_init__()
        fail_rules(self.fail_on)
        given = self.columns()
        for role, column in given.items():
            # A person may well be the group; nothing else is two things at once.
            other = next(
                (r for r, c in given.items() if c == column and r != role and {r, role} - _UNITS), None
            )
            if other is not None:
                raise ConfigError(f"column {column!r} cannot be both --{role}-column and --{other}-column")

    def columns(self) -> dict[str, str]:
        """Role -> column, of those given."""
        named = {role: getattr(self, f"{role}_column") for role in _ROLES}
        return {role: column for role, column in named.items() if column is not None}

    def limits(self) -> Thresholds:
        """The thresholds, as low as `fail_on` needs them."""
        return tightened(read_thresholds(self.thresholds, self.threshold), fail_rules(self.fail_on))


@dataclass(frozen=True)
class AuditSummary:
    """What an audit found.

    Attributes:
        audit: the verdict, the findings and all numbers.
        written: the files written.
        rules: what makes it fail.
        comparison: what changed since another version, if one was given.
    """

    audit: Audit
    written: tuple[Path, ...]
    rules: tuple[Rule, ...] = fail_rules("leak,damage")
    comparison: Comparison | None = None

    @property
    def failing(self) -> list[str]:
        """The kinds of findings that make it fail."""
        findings = [*self.audit.findings, *(self.comparison.warnings if self.comparison else ())]
        found = [f.kind for f in findings if any(rule.fails(f) for rule in self.rules)]
        return list(dict.fromkeys(found))

    @property
    def exit_code(self) -> int:
        """1 if something was found that `--fail-on` names, else 0."""
        return int(bool(self.failing))

    def as_dict(self) -> dict[str, Any]:
        """All numbers as plain JSON values."""
        written = [path.as_posix() for path in self.written]
        compared = {"comparison": self.comparison.as_dict()} if self.comparison else {}
        return {**self.audit.as_dict(), **compared, "failing": self.failing, "written": written}

    def lines(self) -> list[str]:
        """The verdict, how columns were understood, a line for each finding, rows by class and split, the report."""
        lines = [self.audit.sentence()]
        for name, table in self.audit.tables.items():
            lines += _understood(name, table["roles"])
        lines += [f"{f'{f.severity}:':<9}{f.table}: {f.meaning}" for f in self.audit.findings]
        for name, table in self.audit.tables.items():
            lines += _balance(name, table["balance"])
            if table["probe"]:
                lines.append(f"{name}: {_flattery(table['probe'])}")
        if self.comparison:
            lines += self.comparison.lines()
        page = next(path for path in self.written if path.name == PAGE_NAME)
        lines.append(f"report: {page}")
        charts = [path.name for path in self.written if path.suffix == ".png"]
        return [*lines, f"charts: {', '.join(charts)}, in the same folder"] if charts else lines


def _understood(table: str, roles: dict[str, dict[str, Any]]) -> list[str]:
    """How the columns of a stranger's table were taken; nothing for a table that says it itself."""
    if all(role["how"] in ("declared", "none") for role in roles.values()):
        return []
    parts = [
        f"{role.replace('_', ' ')}: {_how(Role(**known))}"
        for role, known in roles.items()
        if known["how"] != "none"
    ]
    unknown = [role for role, known in roles.items() if known["how"] == "none"]
    lines = [f"{table} was read as", *(f"  {part}" for part in parts)]
    return [*lines, f"  not known: {', '.join(unknown)}"] if unknown else lines


def _how(role: Role) -> str:
    words = {
        "named": "by its name",
        "content": "by its content",
        "option": "as you say",
        "declared": "as it says",
    }
    how = words.get(role.how, f"by {role.how}")
    taken = how if role.column is None else f"column {role.column}, {how}"
    return f"{taken} ({role.note})" if role.note else taken


def _balance(name: str, balance: dict[str, Any]) -> list[str]:
    classes = balance["classes"]
    if not balance["rows"] or not classes:
        return []
    head = [name, *map(_plain, balance["rows"])]
    rows = [[_plain(c), *(row[c] for row in balance["rows"].values())] for c in classes[:_MOST_CLASSES]]
    left_out = len(classes) - len(rows)
    return aligned([head, *rows]) + ([f"  and {left_out:,} classes more"] if left_out else [])


def _plain(name: str) -> str:
    """A name that keeps the terminal's table a table."""
    return "".join(c if c.isprintable() else "?" for c in shortened(name, _LONGEST_NAME))


def _flattery(probe: dict[str, Any]) -> str:
    """What the probe found, in a line; the page says the rest."""
    if probe["given"] is None:
        return f"how much the split flatters cannot be estimated: {probe['reason']}"
    words = f"a small model scores macro F1 {probe['given']['f1']['value']:.2f} on this split"
    if probe["gap"] is None:
        return f"{words}; on groups not seen it cannot be estimated: {probe['reason']}"
    unseen, gap = probe["unseen"]["f1"], probe["gap"]["f1"]
    if probe["grouped"]:
        return f"{words}, which holds {probe['unit']} out whole, and {unseen['value']:.2f} with others of them held out"
    return (
        f"{words} and {unseen['value']:.2f} on {probe['unit']} not seen, a difference of {gap['value']:.2f} "
        f"({gap['low']:.2f} to {gap['high']:.2f})"
    )


def plan(config: AuditConfig) -> Plan:
    """What `run` would read and write."""
    config.limits()
    target = find_target(_named(config, config.path), config.columns())
    if config.compare:
        _named(config, config.compare)
    folder = _folder(config, target)
    reads = [path for table in target.tables for path in table.files]
    writes = [folder / name for name in (JSON_NAME, PAGE_NAME, *export.NAMES)]
    loose = [table.images for table in target.tables if table.images is not None]
    size = sum(path.stat().st_size for path in reads)
    work = f"{len(loose[0]):,} images" if loose else f"{len(reads)} files, {size / 1e6:,.1f} MB"
    return Plan(tuple(reads), tuple(writes), f"{work}; of what it finds to draw also charts as PNG")


def run(config: AuditConfig) -> AuditSummary:
    """Audits a dataset and writes its report.

    Raises:
        DataError: there is nothing to audit there, a file cannot be read, or the report cannot be written.
        ConfigError: a threshold, a kind of finding or a column that is not known.
    """
    thresholds = config.limits()
    target = find_target(_named(config, config.path), config.columns())
    earlier = find_target(_named(config, config.compare)) if config.compare else None
    folder = _folder(config, target)
    ensure_writable(folder)
    audit = audit_target(target, thresholds, not config.no_probe)
    comparison = _compared(earlier, target, audit, thresholds) if earlier else None
    changes = comparison.as_dict() if comparison else None
    written = write_report(audit, folder, partial(pictures, target), changes, export.NAMES)
    written += export.write_numbers(audit, folder)
    return AuditSummary(audit, tuple(written), fail_rules(config.fail_on), comparison)


def _compared(earlier: Target, target: Target, audit: Audit, thresholds: Thresholds) -> Comparison:
    before = audit_target(earlier, thresholds, with_probe=False)
    return compare(
        version_of(earlier, before.frames, before.findings), version_of(target, audit.frames, audit.findings)
    )


def _folder(config: AuditConfig, target: Target) -> Path:
    """The folder of the report, which must not be one of those read: another audit would read the report too."""
    folder = config.output or target.audit_folder
    read = {t.base if t.images is not None else path.parent for t in target.tables for path in t.files}
    if folder.resolve() in read | {target.root}:
        raise ConfigError(
            f"--output {folder} is a folder of the data: give another, such as {target.audit_folder}"
        )
    return folder


def _named(config: AuditConfig, name: str) -> Path:
    """A path, or that of a dataset of this name in the workspace."""
    given = as_path(name)
    named = Workspace(config.workspace).parquet(name)
    for path in (given, named):
        if path.exists():
            return path
    raise DataError(f"nothing to audit: there is neither {given} nor {named}; give another path or name")
