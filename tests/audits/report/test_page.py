"""The page: whole, escaped, reachable by keyboard and screen reader, small, and nothing from elsewhere."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pgc_data.audits.findings import Finding, Severity
from pgc_data.audits.report import JSON_NAME, PAGE_NAME, write_report
from pgc_data.audits.report.findings import SHOWN_PAIRS
from pgc_data.audits.report.page import key_numbers, page

EVIL = "<script>alert('x')</script> & \"quotes\""
LONG = "very_long_file_name_" * 20 + ".parquet"
VOID = {"meta", "img", "wbr", "path", "rect", "circle", "line", "br", "link"}
CASES: dict[str, dict[str, Any]] = {
    "usual": {},
    "many": {"classes": 226, "subjects": 2000, "tables": ("crops",)},
    "one class": {"classes": 1, "subjects": 1, "splits": ("train",)},
    "no splits": {"splits": ()},
    "evil names": {"classes": [EVIL, "b" * 300, "ok"], "name": EVIL, "files": (EVIL, LONG)},
    "no findings": {"findings": []},
}


class Page(HTMLParser):
    """The elements of a page, with their attributes and whether they are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.said = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            self.said += " "

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.said += data

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]


@pytest.fixture(params=CASES, scope="module")
def read(request: pytest.FixtureRequest, audit_of: Callable[..., Any], pictures: Any) -> Page:
    return Page(page(audit_of(**CASES[request.param]), pictures))


def test_is_well_formed(read: Page) -> None:
    assert read.open == []
    assert not [name for name, n in Counter(a["id"] for _, a in read.elements if "id" in a).items() if n > 1]
    ids = {attributes["id"] for _, attributes in read.elements if "id" in attributes}
    for _, attributes in read.elements:
        for name in ("aria-labelledby", "for"):
            assert attributes.get(name) is None or attributes[name] in ids
        link = attributes.get("href")
        assert link is None or (link[0] == "#" and link[1:] in ids)


def test_needs_nothing_from_elsewhere(read: Page) -> None:
    text = re.sub(r"base64,[^\"]+", "", read.text)
    assert not re.findall(r"//[a-z]", text)
    assert not re.findall(r"url\(|@import", text)
    assert not read.all("link", "iframe")
    assert all((a["src"] or "").startswith("data:image/jpeg;base64,") for a in read.all("img"))
    assert read.all("script") == [{}]


def test_landmarks_and_headings_in_order(read: Page) -> None:
    for tag in ("header", "nav", "main", "footer", "h1"):
        assert len(read.all(tag)) == 1
    levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))
    assert read.all("html") == [{"lang": "en"}]


def test_pictures_have_words(read: Page) -> None:
    assert all(a.get("alt") for a in read.all("img"))
    drawings = read.all("svg")
    assert all(a.get("role") == "img" and a.get("aria-label") for a in drawings)


def test_boxes_that_scroll_are_reached_by_keyboard(read: Page) -> None:
    boxes = [a for a in read.all("div") if "scroll" in (a.get("class") or "").split()]
    assert boxes
    assert all(a["tabindex"] == "0" and a["role"] == "group" and a["aria-label"] for a in boxes)


def test_sortable_titles_are_buttons(read: Page) -> None:
    heads = [(i, a) for i, (tag, a) in enumerate(read.elements) if tag == "th" and "aria-sort" in a]
    assert all(a["aria-sort"] == "none" and a["scope"] == "col" for _, a in heads)
    assert all(read.elements[i + 1] == ("button", {"type": "button"}) for i, _ in heads)


def test_is_small(read: Page) -> None:
    assert len(read.text.encode()) < 2_000_000


def test_names_are_escaped_everywhere(audit_of: Callable[..., Any], pictures: Any) -> None:
    text = page(audit_of(**CASES["evil names"]), pictures)
    assert text.count("<script>") == 1
    assert "alert('x')" not in text
    assert EVIL in Page(text).said


@pytest.mark.parametrize(("findings", "last"), [([], "None: every check below passed."), (None, "To do")])
def test_findings_come_first(
    audit_of: Callable[..., Any], pictures: Any, findings: list[Finding] | None, last: str
) -> None:
    text = page(audit_of(findings=findings), pictures)
    assert text.index('id="findings"') < text.index('id="balance"')
    assert last in text or findings is None
    if findings is None:
        kinds = re.findall(r'<article class="finding (\w+)"', text)
        order = [str(severity) for severity in Severity]
        assert kinds == sorted(kinds, key=order.index) and len(kinds) == 5


def test_leak_shows_its_pairs(audit_of: Callable[..., Any], pictures: Any) -> None:
    text = page(audit_of(), pictures)
    first = text[text.index('id="finding-1"') : text.index('id="finding-2"')]
    shown, folded = first.split("<details>")
    assert shown.count("<li>") == SHOWN_PAIRS and shown.count("<img") == 2 * SHOWN_PAIRS - 1
    assert "12 more pairs" in folded
    assert "not shown: no image that decodes" in shown


def test_pairs_without_pictures_stay_in_the_examples(audit_of: Callable[..., Any]) -> None:
    said = Page(page(audit_of(), lambda refs: {})).said
    assert "train-00000-of-00001.parquet, row 10" in said


SECTIONS = (
    "roles",
    "balance",
    "splits",
    "probe",
    "hands",
    "images",
    "sheets",
    "windows",
    "licences",
    "files",
)


def test_sections_in_order(audit_of: Callable[..., Any], pictures: Any) -> None:
    ids = re.findall(r'<section id="([a-z]+)"', page(audit_of(), pictures))
    assert ids == ["findings", *SECTIONS]


@pytest.mark.parametrize(
    "missing", ["roles", "probe", "hands", "images", "samples", "windows", "licences", "proof"]
)
def test_a_section_without_numbers_is_left_out(
    audit_of: Callable[..., Any], pictures: Any, missing: str
) -> None:
    audit = audit_of()
    for table in audit.tables.values():
        table.pop(missing, None)
    name = {"samples": "sheets"}.get(missing, missing)
    assert f'<section id="{name}"' not in page(audit, pictures)


def test_an_older_audit_has_a_page(audit_of: Callable[..., Any], pictures: Any) -> None:
    audit = audit_of(tables=("crops",))
    older = ("rows", "files", "splits", "duplicates", "adjacency", "balance", "integrity")
    kept = {name: audit.tables["crops"][name] for name in older}
    audit.tables["crops"].clear()
    audit.tables["crops"].update(kept)
    assert Page(page(audit, pictures)).open == []


def test_roles_of_our_own_tables_are_not_told(audit_of: Callable[..., Any], pictures: Any) -> None:
    audit = audit_of(tables=("crops",))
    for role in audit.tables["crops"]["roles"].values():
        role["how"] = "declared"
    assert 'id="roles"' not in page(audit, pictures)


def test_without_labels(audit_of: Callable[..., Any], pictures: Any) -> None:
    audit = audit_of(classes=1, tables=("crops",))
    audit.tables["crops"]["balance"] = {"classes": [], "rows": {}, "shares": {}, "overall": {"rows": {}}}
    audit.tables["crops"]["samples"] = {}
    assert "No row of crops has both a label and a split" in page(audit, pictures)


def test_key_numbers(audit_of: Callable[..., Any]) -> None:
    found = dict(key_numbers(audit_of(tables=("crops",))))
    assert found["classes"] == 4 and found["subjects"] == 8
    assert found["of 32 videos in more than one split"] == "25.0 %"
    assert found["of val rows have a near-copy in another split"] == "95.9 %"
    assert found["points by which the split flatters a small model"] == "31"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, True),
        ({"grouped": True}, False),
        ({"gap": None}, False),
        ({"gap": {"f1": {"value": 0.02, "low": -0.01, "high": 0.05}}}, False),
    ],
)
def test_a_gap_is_told_where_there_is_one(
    audit_of: Callable[..., Any], pictures: Any, change: dict[str, Any], told: bool
) -> None:
    audit = audit_of(tables=("crops",))
    audit.tables["crops"]["probe"] |= change
    assert ("points too high" in page(audit, pictures)) is told


COMPARISON: dict[str, Any] = {
    "a": EVIL,
    "b": "v2",
    "sentences": ["Val of A is in train of B.", f"crops: 12 rows were added to {EVIL}."],
    "warnings": [
        {"meaning": "Val of A is in train of B.", "remedy": "Do not tune on it.", "examples": [{"row": 3}]}
    ],
    "tables": [],
    "rows": {"crops": {"a": 310, "b": 322}},
    "classes": {"classes": [{"table": "crops", "class": "fist", "change": "added"}], "balance": []},
    "splits": [{"table": "crops", "a": "train", "b": "val", "rows": 4021}],
    "findings": {"new": [{"kind": "tiny_image", "table": "crops"}], "gone": [], "still": []},
}


def test_comparison(audit_of: Callable[..., Any], pictures: Any) -> None:
    read = Page(page(audit_of(), pictures, COMPARISON))
    assert f"crops: 12 rows were added to {EVIL}." in read.said
    assert read.said.count("Val of A is in train of B.") == 1 and "Do not tune on it." in read.said
    for shown in ("310", "322", "fist", "4,021", "New findings (1)"):
        assert shown in read.said
    assert "Findings gone" not in read.said and "Class balance (" not in read.said
    assert (
        read.text.index('id="findings"') < read.text.index('id="compare"') < read.text.index('id="balance"')
    )


def test_comparison_of_equal_versions(audit_of: Callable[..., Any], pictures: Any) -> None:
    same = {"a": "v1", "b": "v2", "sentences": ["v2 holds the same rows as v1."], "warnings": []}
    assert "v2 holds the same rows as v1." in page(audit_of(), pictures, same)


def _colours() -> dict[str, tuple[str, str]]:
    style = (Path(page.__code__.co_filename).with_name("style.css")).read_text()
    return {
        name: (light, dark)
        for name, light, dark in re.findall(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\)", style)
    }


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("below", ["paper", "panel"])
def test_contrast(theme: int, below: str) -> None:
    colours = {name: pair[theme] for name, pair in _colours().items()}
    words = ("ink", "soft", "accent", "leak", "damage", "warning", "note", "clean")
    assert {name: _contrast(colours[name], colours[below]) >= 4.5 for name in words} == dict.fromkeys(
        words, True
    )
    drawn = [f"split{i}" for i in range(6)]
    assert {name: _contrast(colours[name], colours[below]) >= 3 for name in drawn} == dict.fromkeys(
        drawn, True
    )


def test_write_report(tmp_path: Path, audit_of: Callable[..., Any], pictures: Any) -> None:
    audit = audit_of()
    paths = write_report(audit, tmp_path, pictures, COMPARISON, ["findings.parquet"])
    assert set(paths) == set(tmp_path.iterdir()) > {tmp_path / JSON_NAME, tmp_path / PAGE_NAME}
    assert json.loads((tmp_path / JSON_NAME).read_text())["comparison"] == COMPARISON
    said = Page((tmp_path / PAGE_NAME).read_text()).said
    assert "audit.json, findings.parquet, class_balance_crops.png" in said


def test_one_split_has_no_colours(audit_of: Callable[..., Any], pictures: Any) -> None:
    text = page(audit_of(splits=("all",), tables=("crops",), findings=[]), pictures)
    assert 'class="thumb "' in text and 'class="thumb s0"' not in text
    assert 'class="key"' not in text


def test_write_report_without_pictures(tmp_path: Path, audit_of: Callable[..., Any]) -> None:
    write_report(audit_of(), tmp_path)
    assert "<img" not in (tmp_path / PAGE_NAME).read_text()


def test_pictures_are_asked_for_once(audit_of: Callable[..., Any], pictures: Any) -> None:
    asked: list[Any] = []

    def counting(refs: Any) -> Any:
        asked.append(refs)
        return pictures(refs)

    page(audit_of(), counting)
    (refs,) = asked
    assert len({(ref["file"], ref["row"]) for ref in refs}) == len(refs) > 0


@pytest.mark.parametrize(
    ("kind", "shown"),
    [("probe_gap", "The split flatters"), ("tiny_image", "Tiny image"), ("<b>", "&lt;b&gt;")],
)
def test_a_finding_is_named_in_words_and_by_its_kind(
    audit_of: Callable[..., Any], pictures: Any, kind: str, shown: str
) -> None:
    finding = Finding(
        kind=kind, severity=Severity.NOTE, table="crops", count=1, share=0.1, meaning="", remedy=""
    )
    text = page(audit_of(tables=("crops",), findings=[finding]), pictures)
    assert f"{shown} <code>{kind.replace('<', '&lt;').replace('>', '&gt;')}</code></h3>" in text


def _finding(kind: str, severity: Severity, *examples: Any) -> Finding:
    return Finding(
        kind=kind,
        severity=severity,
        table="crops",
        count=5,
        share=0.5,
        meaning="M.",
        remedy="R.",
        examples=examples,
    )


def test_the_verdict_promises_no_more_than_is_known(audit_of: Callable[..., Any], pictures: Any) -> None:
    clean = audit_of(findings=[])
    unknown = audit_of(findings=[_finding("no_groups_known", Severity.NOTE)])
    assert re.search(r"Clean\s", Page(page(clean, pictures)).said)
    said = Page(page(unknown, pictures)).said
    assert "Nothing found, groups unknown" in said and "cannot be ruled out" in said
    assert not re.search(r"Clean\s", said)


@pytest.mark.parametrize(
    ("apart", "words"), [(0, "frames in common"), (1, "1 frame apart"), (5, "5 frames apart")]
)
def test_neighbouring_frames_stand_side_by_side(
    audit_of: Callable[..., Any], pictures: Any, apart: int, words: str
) -> None:
    sides = [
        {"file": "f", "row": row, "split": split, "label": label, "group": "g", "name": None}
        for row, split, label in ((10, "val", "fist"), (11, "train", "palm"))
    ]
    pair = {"a": sides[0], "b": sides[1], "video": "v", "frames_apart": apart}
    read = Page(page(audit_of(findings=[_finding("adjacent_frames", Severity.LEAK, pair)]), pictures))
    assert words in read.said and "fist / palm" in read.said
    assert {"Row 10: fist, val, g", "Row 11: palm, train, g"} <= {a["alt"] for a in read.all("img")}


@pytest.mark.parametrize(
    ("unmet", "words"), [([], "Every class has rows in every split asked for."), (["a"], "Not met: 1 wish.")]
)
def test_the_proof_says_how_far_it_is_off(
    audit_of: Callable[..., Any], pictures: Any, unmet: list[str], words: str
) -> None:
    audit = audit_of(tables=("crops",))
    audit.tables["crops"]["proof"] |= {"unmet": unmet, "worst": 7.85, "worst_where": ["test", "fist"]}
    said = Page(page(audit, pictures)).said
    assert f"farthest from that, fist in test: 7.85 percentage points. {words}" in said
