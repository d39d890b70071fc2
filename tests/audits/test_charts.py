"""Charts are PNG, the same every time, and take any number of classes and subjects."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgc_data.audits.charts import class_balance_chart, class_by_subject_chart

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    "counts",
    [
        {"train": {"a": 10, "b": 20}, "val": {"a": 1, "b": 0}, "test": {"a": 3, "b": 4}},
        {"": {f"class {i} with a $long$ name, rather <long>": i for i in range(12)}},
        {"train": {"a": 1}, "test": {"b": 2}},
        {"train": {"a": 0, "b": 0}},
        {"train": {}},
        {},
    ],
)
def test_class_balance(tmp_path: Path, counts: dict[str, dict[str, int]]) -> None:
    for name in ("one.png", "two.png"):
        class_balance_chart(tmp_path / name, counts, "Frames of $x$", "frames")
    data = (tmp_path / "one.png").read_bytes()
    assert data.startswith(PNG)
    assert data == (tmp_path / "two.png").read_bytes()
    assert b"tEXt" not in data and b"tIME" not in data


@pytest.mark.parametrize(("subjects", "classes"), [(1, 1), (8, 2), (61, 15)])
def test_class_by_subject(tmp_path: Path, subjects: int, classes: int) -> None:
    counts = {f"s{i}": {f"c{j}": i * j for j in range(classes)} for i in range(subjects)}
    splits = {name: ["train"] if i % 3 else ["test", "train"] for i, name in enumerate(counts)}
    for name in ("one.png", "two.png"):
        class_by_subject_chart(tmp_path / name, counts, splits, "Class by subject")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert (tmp_path / "one.png").read_bytes().startswith(PNG)
