"""Findings: what an audit has to say, how bad it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

EXAMPLES = 10
"""The most examples that a finding lists."""


class Severity(StrEnum):
    """How bad a finding is, worst first."""

    LEAK = "leak"
    DAMAGE = "damage"
    WARNING = "warning"
    NOTE = "note"


KINDS: dict[str, Severity] = {
    "group_overlap": Severity.LEAK,
    "subject_overlap": Severity.LEAK,
    "video_overlap": Severity.LEAK,
    "sample_overlap": Severity.LEAK,
    "duplicate_across_splits": Severity.LEAK,
    "near_duplicate_across_splits": Severity.LEAK,
    "adjacent_frames": Severity.LEAK,
    "undecodable_image": Severity.DAMAGE,
    "non_finite": Severity.DAMAGE,
    "wrong_shape": Severity.DAMAGE,
    "wrong_split": Severity.DAMAGE,
    "bad_label": Severity.DAMAGE,
    "file_missing": Severity.DAMAGE,
    "file_changed": Severity.DAMAGE,
    "contradictory_labels": Severity.WARNING,
    "class_absent": Severity.WARNING,
    "class_share_deviation": Severity.WARNING,
    "dataset_gives_class_away": Severity.WARNING,
    "tiny_image": Severity.WARNING,
    "odd_image": Severity.WARNING,
    "windows_without_hand": Severity.WARNING,
    "class_without_hands": Severity.WARNING,
    "few_usable_frames": Severity.WARNING,
    "schema_difference": Severity.WARNING,
    "file_unlisted": Severity.WARNING,
    "probe_gap": Severity.WARNING,
    "leak_between_versions": Severity.WARNING,
    "class_imbalance": Severity.NOTE,
    "duplicate_within_split": Severity.NOTE,
    "no_groups_known": Severity.NOTE,
}
"""Every kind of finding, and how bad it is as a rule."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that an audit found.

    Attributes:
        kind: one of `KINDS`.
        severity: a leak or damage fails the audit, a warning or note does not.
        table: the table or tables it was found in, or `files`.
        count: how many values, images, rows or files are concerned.
        share: `count` as a fraction of all of them.
        meaning: a sentence that says what it means.
        remedy: a sentence that says what to do.
        examples: up to `EXAMPLES` cases, column name -> value.
        measure: the number that says how bad it is where that is not `count`: a ratio, or percentage points.
    """

    kind: str
    severity: Severity
    table: str
    count: int
    share: float
    meaning: str
    remedy: str
    examples: tuple[Mapping[str, Any], ...] = ()
    measure: float | None = None

    @property
    def amount(self) -> float:
        """What `--fail-on KIND:NUMBER` compares with its number."""
        return self.count if self.measure is None else self.measure

    def as_dict(self) -> dict[str, Any]:
        """The finding as plain JSON values."""
        return {
            "kind": self.kind,
            "severity": str(self.severity),
            "table": self.table,
            "count": self.count,
            "share": round(self.share, 6),
            "measure": None if self.measure is None else round(self.measure, 6),
            "meaning": self.meaning,
            "remedy": self.remedy,
            "examples": [dict(example) for example in self.examples],
        }


@dataclass(frozen=True)
class Checked:
    """The result of one check: all its numbers, as plain JSON values, and what they amount to."""

    numbers: dict[str, Any]
    findings: list[Finding] = field(default_factory=list)


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, worst first; equals stay in the order given."""
    order = list(Severity)
    return sorted(findings, key=lambda finding: order.index(finding.severity))


def verdict(findings: Iterable[Finding]) -> str:
    """`leak`, `damage`, `warning` or `clean`: the worst severity found, notes aside."""
    found = {finding.severity for finding in findings}
    return next((str(s) for s in Severity if s in found and s is not Severity.NOTE), "clean")


def counted(count: int, noun: str, plural: str = "") -> str:
    """A number with its noun.

    Example:
        >>> counted(1, "row"), counted(1200, "row"), counted(2, "class", "classes")
        ('1 row', '1,200 rows', '2 classes')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def percent(share: float) -> str:
    """A share in percent, with the decimals it needs to be told from 0 and from 100 %.

    Example:
        >>> percent(0.5), percent(0.9999), percent(0.00002)
        ('50.0 %', '99.99 %', '0.002 %')
    """
    for decimals in (1, 2, 3):
        text = f"{100 * share:.{decimals}f}"
        if float(text) not in (0.0, 100.0) or share in (0.0, 1.0):
            break
    return f"{text} %"
