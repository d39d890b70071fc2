"""Which licences let others be given what was made from the data, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rule:
    """What a licence says of publishing.

    Attributes:
        allowed: whether crops and windows made from the data may be published.
        reason: why, or on which terms.
        basis: where that is said.
    """

    allowed: bool
    reason: str
    basis: str


# By the short names that sources carry. What is said of Jester and HaGRID is what can be had without their full text.
RULES = {
    "CC0-1.0": Rule(True, "no conditions", "CC0 1.0, section 2"),
    "CC BY 4.0": Rule(
        True, "the authors are named, with a link to the licence, on the card", "CC BY 4.0, sections 2(a)(1), 3(a)"
    ),
    "CC BY-NC-SA 4.0": Rule(
        True,
        "the authors are named on the card; not for commercial use; to be passed on under the same licence",
        "CC BY-NC-SA 4.0, sections 2(a)(1), 3(a), 3(b)",
    ),
    "HaGRID licence": Rule(
        False,
        "its authors reworked CC BY-SA 4.0 into terms of their own; what these say of passing on must be read there",
        "the licence's own words: it is not a Creative Commons licence",
    ),
    "Qualcomm Research Use License": Rule(
        False,
        "for internal, non-profit research; limits redistribution, and combining with the data of others",
        "Qualcomm Research Use License of 2022; before it CC BY-NC-ND 4.0, which allows no adaptations",
    ),
    "unstated": Rule(False, "nobody has said what the owner of the images allows", "a folder of your own"),
}  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """Whether one source of a dataset may be published.

    Attributes:
        source: its name in the workspace.
        licence: short name.
        url: where the licence lies; empty if nowhere.
        rule: what the licence says.
    """

    source: str
    licence: str
    url: str
    rule: Rule

    def as_dict(self) -> dict[str, Any]:
        """The verdict as JSON values."""
        return {
            "source": self.source, "licence": self.licence, "url": self.url, "allowed": self.rule.allowed,
            "reason": self.rule.reason, "basis": self.rule.basis,
        }  # fmt: skip

    def line(self) -> str:
        """The verdict in a line."""
        word = "may be published" if self.rule.allowed else "may not be published"
        return f"{self.source} ({self.licence}) {word}: {self.rule.reason}"


def verdicts(tables: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """One verdict for each source of a dataset, in the order of their names.

    Args:
        tables: table -> what the manifest says of it, `sources` among it.

    Example:
        >>> source = {"name": "ipn", "licence": "CC BY 4.0", "licence_url": ""}
        >>> [verdict.rule.allowed for verdict in verdicts({"crops": {"sources": [source]}})]
        [True]
    """
    sources = {s["name"]: s for table in tables.values() for s in table["sources"]}
    return tuple(
        Verdict(name, s["licence"], s["licence_url"], rule_of(s["licence"]))
        for name, s in sorted(sources.items())
    )


def rule_of(licence: str) -> Rule:
    """The rule for a licence by its short name; one that is not known does not allow to publish."""
    unknown = Rule(False, "pgc-data does not know this licence", "no rule")
    return RULES.get(licence, unknown)
