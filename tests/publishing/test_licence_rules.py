from __future__ import annotations

import pytest

from pgc_data.datasets import DATASETS
from pgc_data.publishing.licence_rules import RULES, verdicts
from pgc_data.tables.licences import hub_identifier


def source(name, licence):
    return {"name": name, "licence": licence, "licence_url": "https://example.org"}


@pytest.mark.parametrize(
    ("licence", "allowed", "reason"),
    [
        ("CC0-1.0", True, "no conditions"),
        ("CC BY 4.0", True, "authors are named"),
        ("CC BY-NC-SA 4.0", True, "not for commercial use"),
        ("Qualcomm Research Use License", False, "limits redistribution"),
        ("HaGRID licence", False, "terms of their own"),
        ("unstated", False, "nobody has said"),
        ("My own terms", False, "does not know this licence"),
        ("", False, "does not know this licence"),
    ],
)
def test_rules(licence, allowed, reason):
    (verdict,) = verdicts({"crops": {"sources": [source("x", licence)]}})
    assert verdict.rule.allowed is allowed
    assert reason in verdict.rule.reason
    assert verdict.line().startswith(f"x ({licence}) may {'' if allowed else 'not '}be published: ")
    assert verdict.as_dict()["url"] == "https://example.org"


def test_every_dataset_has_a_rule():
    assert {d.licence.name for d in DATASETS.values()} <= RULES.keys()


def test_what_may_be_published_has_an_identifier_on_the_hub():
    assert [name for name, rule in RULES.items() if rule.allowed and hub_identifier(name) == "other"] == []


def test_a_source_of_two_tables_is_judged_once():
    tables = {
        "crops": {"sources": [source("b", "CC BY 4.0"), source("a", "unstated")]},
        "windows": {"sources": [source("b", "CC BY 4.0")]},
    }
    assert [(v.source, v.rule.allowed) for v in verdicts(tables)] == [("a", False), ("b", True)]
