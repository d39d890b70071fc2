"""The charts of an audit as PNG: the same every time, and only where there are numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from pgc_data.audits.report import figures
from pgc_data.audits.report.figures import draw

SPLITS = ("train", "val", "test")
PNG = b"\x89PNG\r\n\x1a\n"
BOTH = {"class_balance_t.png", "class_by_subject_t.png", "probe_t.png"}


@pytest.mark.parametrize(
    ("table", "given", "names"),
    [
        ("crops", {}, BOTH | {"images_t.png"}),
        ("windows", {}, BOTH | {"trajectories_t.png"}),
        ("crops", {"classes": ["$x$", "a" * 200], "splits": ("train",)}, BOTH | {"images_t.png"}),
    ],
)
def test_draw(
    tmp_path: Path, audit_of: Callable[..., Any], table: str, given: dict[str, Any], names: set[str]
) -> None:
    audit = audit_of(tables=(table,), **given)
    first = draw(tmp_path / "a", "t", audit.tables[table], audit.splits)
    second = draw(tmp_path / "b", "t", audit.tables[table], audit.splits)
    assert {path.name for path in first} == names == {path.name for path in (tmp_path / "a").iterdir()}
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes().startswith(PNG) and one.read_bytes() == other.read_bytes()


def test_nothing_to_draw(tmp_path: Path) -> None:
    nothing = {"images": {"width": None}, "windows": {"trajectories": {}}, "balance": {}, "probe": None}
    assert draw(tmp_path, "t", nothing, []) == []
    assert not any(tmp_path.iterdir())


def test_only_the_largest_classes_are_drawn(
    tmp_path: Path, audit_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = audit_of(classes=4, tables=("windows",)).tables["windows"]
    draw(tmp_path / "four", "t", table, SPLITS)
    monkeypatch.setattr(figures, "MOST_CLASSES", 3)
    draw(tmp_path / "three", "t", table, SPLITS)
    for name in ("class_balance_t.png", "class_by_subject_t.png", "trajectories_t.png"):
        four, three = (cv2.imread(str(tmp_path / folder / name)) for folder in ("four", "three"))
        assert three.size < four.size


def test_one_person_is_no_chart_of_people(tmp_path: Path, audit_of: Callable[..., Any]) -> None:
    audit = audit_of(subjects=1, splits=("train",), tables=("crops",))
    names = {path.name for path in draw(tmp_path, "t", audit.tables["crops"], audit.splits)}
    assert "class_by_subject_t.png" not in names and "class_balance_t.png" in names
