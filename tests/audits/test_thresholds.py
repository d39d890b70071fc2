"""`--fail-on` and thresholds."""

from __future__ import annotations

import pytest

from pgc_data.audits.findings import KINDS, Finding, Severity
from pgc_data.audits.thresholds import Thresholds, fail_rules, read_thresholds, tightened


def finding(kind: str, count: int = 3, share: float = 0.03, measure: float | None = None) -> Finding:
    return Finding(kind=kind, severity=KINDS[kind], table="crops", count=count, share=share, meaning="It is so.",
                   remedy="Mend it.", measure=measure)  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "told", "fails"),
    [
        ("leak", finding("video_overlap"), True),
        ("leak", finding("bad_label"), False),
        ("bad_label", finding("bad_label"), True),
        ("bad-label", finding("bad_label"), True),
        ("undecodable", finding("undecodable_image"), True),
        ("undecodable:3", finding("undecodable_image"), False),
        ("undecodable:2", finding("undecodable_image"), True),
        ("undecodable:5%", finding("undecodable_image"), False),
        ("undecodable:2.5%", finding("undecodable_image"), True),
        ("imbalance:10", finding("class_imbalance", measure=12.0), True),
        ("imbalance:20", finding("class_imbalance", measure=12.0), False),
        ("overlap", finding("subject_overlap"), True),
        ("duplicate", finding("near_duplicate_across_splits"), True),
        ("duplicate", finding("contradictory_labels"), False),
        ("note:0", finding("class_imbalance", measure=12.0), True),
    ],
)
def test_what_a_rule_fails(rule: str, told: Finding, fails: bool) -> None:
    assert fail_rules(rule)[0].fails(told) is fails


def test_several_rules_and_none() -> None:
    assert [rule.text for rule in fail_rules("leak, imbalance:10 ,undecodable")] == [
        "leak",
        "imbalance:10",
        "undecodable",
    ]
    assert fail_rules("none") == ()


def test_a_rule_that_asks_for_less_lowers_the_threshold() -> None:
    assert tightened(Thresholds(), fail_rules("imbalance:5")).imbalance == 5
    assert tightened(Thresholds(), fail_rules("imbalance:50")).imbalance == Thresholds().imbalance
    assert tightened(Thresholds(), fail_rules("leak,deviation:2")).share_deviation == 2


def test_later_thresholds_win(tmp_path) -> None:
    file = tmp_path / "t.toml"
    file.write_text("near-bits = 4\nimbalance = 20")
    found = read_thresholds(file, ["imbalance=30", "dark=2.5"])
    assert (found.near_bits, found.imbalance, found.dark, found.bright) == (4, 30, 2.5, Thresholds().bright)


def test_severities_are_no_kinds() -> None:
    assert not set(KINDS) & set(Severity)
