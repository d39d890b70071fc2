"""The pieces of the page."""

from __future__ import annotations

import base64
import re
from typing import Any

import cv2
import numpy as np
import pytest

from pgc_data.audits.report import html
from pgc_data.audits.report.heatmap import MOST_CLASSES, MOST_SUBJECTS, heatmap
from pgc_data.audits.report.images import sampled
from pgc_data.audits.report.plots import bar, histogram, number, trajectory
from pgc_data.audits.report.thumbnails import SIDE, Thumbnails


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (1234567, "1,234,567"), (True, "True"), (0.123456, "0.1235"), (1234567.0, "1,234,567"),
     ("<b>", "&lt;b&gt;")],
)  # fmt: skip
def test_text(value: object, shown: str) -> None:
    assert html.text(value) == shown


def test_words_may_break() -> None:
    assert html.words("a_b/<c>") == "a_<wbr>b/&lt;c&gt;"


@pytest.mark.parametrize(("name", "shown"), [("a" * 60, "a" * 60), ("a" * 61, "a" * 59 + "…")])
def test_shortened(name: str, shown: str) -> None:
    assert html.shortened(name) == shown


@pytest.mark.parametrize(
    ("rows", "sortable", "buttons", "tall"),
    [(2, True, 0, False), (3, True, 2, False), (3, False, 0, False), (html.MOST_ROWS + 1, True, 2, True)],
)
def test_table(rows: int, sortable: bool, buttons: int, tall: bool) -> None:
    text = html.table(["name", "n"], [[f"r{i}", i] for i in range(rows)], "Numbers", sortable=sortable)
    assert text.count("<button") == text.count("aria-sort") == buttons
    assert ("scroll tall" in text) is tall


def test_table_sorts_by_the_number_behind_what_is_shown() -> None:
    text = html.table(["name", "n"], [["a", html.Cell("<i>1,234</i>", 1234.0)]], "Numbers")
    assert '<td data-key="1234"><i>1,234</i></td>' in text


def test_records_with_different_keys() -> None:
    text = html.records([{"a": 1}, {"b": ["x", "y"]}], "Examples")
    assert text.count("–") == 2 and "x, y" in text


@pytest.mark.parametrize(
    ("share", "limit", "width"), [(0.5, 1.0, "50%"), (2.0, 1.0, "100%"), (0.1, 0.0, "0%")]
)
def test_bar(share: float, limit: float, width: str) -> None:
    assert f'style="width:{width}"' in bar(share, limit)


def test_histogram_has_a_row_of_bars_for_each_split_with_rows() -> None:
    measured = {"edges": [0, 1, 2], "counts": {"test": [1, 3], "train": [2, 2], "val": [0, 0]}}
    text = histogram("Width", measured, ["train", "val", "test"], "")
    assert text.count("<svg") == 2 and text.index(">train<") < text.index(">test<")
    assert histogram("Width", {"edges": [0, 1], "counts": {"train": [0]}}, ["train"], "") == ""


@pytest.mark.parametrize(("value", "shown"), [(0.12345, "0.123"), (256.0, "256"), (12345.6, "12,346")])
def test_number(value: float, shown: str) -> None:
    assert number(value) == shown


def test_trajectory_is_drawn_as_in_the_image() -> None:
    text = trajectory([0.0, 1.0], [0.0, -1.0], 1.0, "up")
    assert 'd="M50.0 50.0L96.0 4.0"' in text


def test_heatmap_keeps_the_largest() -> None:
    classes = [f"c{i}" for i in range(MOST_CLASSES + 5)]
    counts = {f"s{i}": dict.fromkeys(classes, i) for i in range(1, MOST_SUBJECTS + 4)}
    text = heatmap(counts, {name: ["train"] for name in counts}, classes, ["train"], "subject")
    assert f"{MOST_SUBJECTS} of {len(counts)} subjects and {MOST_CLASSES} of {len(classes)} classes" in text
    assert text.count('class="split s0"') == MOST_SUBJECTS
    assert ">s1<" not in text and f">s{len(counts)}<" in text


@pytest.mark.parametrize(
    ("classes", "each", "shown"), [(3, 12, 3), (226, 1, 226), (60, 6, 60), (5000, 1, 360)]
)
def test_sampled_fewer_where_there_are_many_classes(classes: int, each: int, shown: int) -> None:
    chosen = sampled({str(i): [{}] * 12 for i in range(classes)})
    assert len(chosen) == shown and {len(refs) for refs in chosen.values()} == {each}


def _image(height: int, width: int, kind: str = ".png") -> bytes:
    pixels: Any = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return bytes(cv2.imencode(kind, pixels)[1])


@pytest.mark.parametrize(
    ("data", "size"),
    [(_image(300, 600), (48, SIDE)), (_image(8, 6, ".bmp"), (8, 6)), (_image(2000, 1, ".png"), (SIDE, 1)),
     (b"", None), (_image(20, 20)[:60], None)],
    ids=["large", "small", "thin", "empty", "cut"],
)  # fmt: skip
def test_thumbnails(data: bytes, size: tuple[int, int] | None) -> None:
    ref = {"file": "f", "row": 0, "split": "val", "label": '"a"', "group": None}
    thumbnails = Thumbnails(lambda refs: {("f", 0): data}, [ref, ref], ["train", "val"])
    text = thumbnails.figure(ref)
    assert (ref in thumbnails) is (size is not None)
    assert 'class="thumb s1"' in text
    if size is not None:
        assert 'alt="Row 0: &quot;a&quot;, val"' in text
        found = re.search('base64,([^"]+)', text)
        assert found
        pixels = cv2.imdecode(np.frombuffer(base64.b64decode(found[1]), np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None and pixels.shape[:2] == size
