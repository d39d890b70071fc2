"""Two versions of a dataset: each planted change is told, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from pgc_data.audits.compare.changes import table_changes
from pgc_data.audits.compare.compare import Comparison, compare
from pgc_data.audits.compare.matching import match_rows
from pgc_data.audits.compare.versions import Version, version_of
from pgc_data.audits.findings import Finding, Severity
from pgc_data.audits.rows import read_rows
from pgc_data.audits.targets import find_target

TEXTS = ("split", "label", "dataset", "sample_id", "video_id", "subject_id", "group_id")
Rows = list[dict[str, Any]]


def rows(people: int = 6, frames: int = 4) -> Rows:
    """Every person shows two classes; s4 is val, s5 test, the others train."""
    splits = {4: "val", 5: "test"}
    return [
        {
            "split": splits.get(person, "train"),
            "label": label,
            "dataset": "d",
            "sample_id": f"s{person}/{label}",
            "video_id": f"s{person}_v",
            "subject_id": f"s{person}",
            "group_id": f"d:s{person}",
            "start": frame,
            "end": frame,
            "digest_a": 1000 * person + 100 * (label == "b") + frame,
            "digest_b": 7,
            "name": f"s{person}/{label}/{frame}.png",
        }
        for person in range(people)
        for label in ("a", "b")
        for frame in range(frames)
    ]


def framed(rows: Rows) -> pl.DataFrame:
    """Rows as `read_rows` gives them."""
    schema: dict[str, Any] = dict.fromkeys(TEXTS, pl.Categorical)
    numbers = {"start": pl.Int64, "end": pl.Int64, "digest_a": pl.UInt64, "digest_b": pl.UInt64}
    return pl.DataFrame(rows, schema={**schema, **numbers, "name": pl.String})


def version(name: str, rows: Rows, **more: Any) -> Version:
    parts: dict[str, Any] = {"findings": [], "schemas": {"crops": {}}, "settings": {}}
    return Version(name, {"crops": framed(rows)}, **{**parts, **more})


def compared(change: Callable[[Rows], None]) -> Comparison:
    changed = rows()
    change(changed)
    comparison = compare(version("one", rows()), version("two", changed))
    assert comparison.as_dict() == json.loads(json.dumps(comparison.as_dict(), allow_nan=False))
    assert comparison.lines()
    return comparison


def of(rows: Rows, **wanted: Any) -> Rows:
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def nothing(rows: Rows) -> None:
    pass


def another_order(rows: Rows) -> None:
    rows.reverse()


def drop(rows: Rows) -> None:
    rows.remove(rows[3])


def add(rows: Rows) -> None:
    rows.append({**rows[0], "digest_a": 9999, "name": "new.png"})


def copy(rows: Rows) -> None:
    rows.append(dict(rows[0]))


def rename(rows: Rows) -> None:
    rows[3]["name"] = "other.png"


def encode_anew(rows: Rows) -> None:
    for row in rows[:5]:
        row["digest_b"] = 8


def relabel(rows: Rows) -> None:
    for row in rows[:2]:
        row["label"] = "b"


def unlabel(rows: Rows) -> None:
    rows[0]["label"] = None


def call_otherwise(rows: Rows) -> None:
    for row in of(rows, label="b"):
        row["label"] = "fist"


def new_class(rows: Rows) -> None:
    rows[0]["label"] = "c"


def no_b(rows: Rows) -> None:
    rows[:] = of(rows, label="a")


def swap_test(rows: Rows) -> None:
    for person, split in (("s0", "test"), ("s5", "train")):
        for row in of(rows, subject_id=person):
            row["split"] = split


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (nothing, {}),
        (another_order, {}),
        (drop, {"b": 47, "kept": 47, "removed": 1}),
        (add, {"b": 49, "added": 1}),
        (copy, {"b": 49, "added": 1}),
        (rename, {"renamed": 1}),
        (encode_anew, {"content_changed": 5}),
        (relabel, {"relabelled": 2}),
        (unlabel, {"relabelled": 1}),
        (call_otherwise, {}),
        (new_class, {"relabelled": 1}),
        (no_b, {"b": 24, "kept": 24, "removed": 24}),
        (swap_test, {"in_another_split": 16, "groups_in_other_splits": 2}),
    ],
)
def test_each_change_of_rows_is_counted(change: Callable[[Rows], None], expected: dict[str, int]) -> None:
    clean = {
        "a": 48, "b": 48, "kept": 48, "added": 0, "removed": 0, "renamed": 0, "content_changed": 0, "relabelled": 0,
        "in_another_split": 0, "groups_kept": 6, "groups_in_other_splits": 0,
    }  # fmt: skip
    comparison = compared(change)
    assert comparison.tables["crops"].rows == clean | expected
    assert comparison.changed == (change not in (nothing, another_order))


def test_versions_alike_are_called_so() -> None:
    comparison = compared(nothing)
    assert comparison.sentences() == [
        "two holds the same rows, labels and splits as one; nothing else differs."
    ]
    assert comparison.warnings == ()


def test_labels_from_and_to_are_listed() -> None:
    assert compared(relabel).as_dict()["labels"] == [{"table": "crops", "a": "a", "b": "b", "rows": 2}]
    assert compared(unlabel).as_dict()["labels"] == [{"table": "crops", "a": "a", "b": "(none)", "rows": 1}]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (relabel, []),
        (call_otherwise, [{"class": "fist", "change": "renamed", "was": "b", "rows": 24}]),
        (new_class, [{"class": "c", "change": "added", "was": "", "rows": 1}]),
        (no_b, [{"class": "b", "change": "removed", "was": "", "rows": 24}]),
    ],
)
def test_classes_added_removed_and_renamed(change: Callable[[Rows], None], expected: Rows) -> None:
    assert list(compared(change).tables["crops"].classes) == expected


def test_a_renamed_class_keeps_its_share_under_its_new_name() -> None:
    balance = compared(call_otherwise).tables["crops"].balance
    assert {record["class"] for record in balance} == {"a", "fist"}
    assert all(record["points"] == 0 for record in balance)


def test_shares_are_told_for_all_rows_and_each_split() -> None:
    balance = compared(no_b).tables["crops"].balance
    assert [record["split"] for record in balance[::2]] == ["all", "test", "train", "val"]
    assert balance[2:4] == [
        {
            "split": "test",
            "class": "a",
            "rows_a": 4,
            "rows_b": 4,
            "share_a": 0.5,
            "share_b": 1.0,
            "points": 50.0,
        },
        {
            "split": "test",
            "class": "b",
            "rows_a": 4,
            "rows_b": 0,
            "share_a": 0.5,
            "share_b": 0.0,
            "points": -50.0,
        },
    ]


def test_rows_that_a_model_of_the_other_version_has_seen_are_a_warning() -> None:
    comparison = compared(swap_test)
    flags = dict.fromkeys(("in_val", "of_groups_in_val"), 0)
    seen = {"rows": 8, "seen": 8, "in_train": 8, "of_groups_in_train": 8, **flags}
    unseen = {"rows": 8, "seen": 0, "in_train": 0, "of_groups_in_train": 0, **flags}
    assert comparison.tables["crops"].leaks == [
        {"trained_on": trained, "tested_on": tested, "split": split, **numbers}
        for trained, tested in (("A", "B"), ("B", "A"))
        for split, numbers in (("test", seen), ("val", unseen))
    ]
    assert comparison.as_dict()["groups"] == [
        {"table": "crops", "group": "d:s0", "a": "train", "b": "test"},
        {"table": "crops", "group": "d:s5", "a": "test", "b": "train"},
    ]
    assert [(w.kind, w.severity, w.count, w.share) for w in comparison.warnings] == [
        ("leak_between_versions", Severity.WARNING, 8, 0.5)
    ] * 2
    assert "of 8 rows in test, 8 are in A's train" in comparison.warnings[0].meaning


def test_new_rows_of_a_person_trained_on_are_seen_by_group_and_val_counts_for_test_only() -> None:
    old, new = rows(), rows()
    for row in of(new, subject_id="s4"):
        row |= {"split": "test", "digest_b": 99, "name": f"new/{row['name']}", "sample_id": "new"}
    leaks = table_changes(framed(old), framed(new)).leaks
    (test,) = [leak for leak in leaks if leak["trained_on"] == "A" and leak["split"] == "test"]
    assert (test["rows"], test["in_val"], test["of_groups_in_val"], test["of_groups_in_train"]) == (
        16,
        0,
        8,
        0,
    )
    (val,) = [leak for leak in leaks if leak["trained_on"] == "B" and leak["split"] == "val"]
    assert val["seen"] == 0


def test_a_leak_of_the_dataset_s_own_is_not_one_between_versions() -> None:
    def leaky() -> Rows:
        made = rows()
        for at, row in enumerate(made):
            row["split"] = ("train", "test")[at % 2]
        return made

    assert compare(version("one", leaky()), version("two", leaky())).warnings == ()


@pytest.mark.parametrize(
    ("left", "right", "pairs"),
    [
        # Copies are paired one to one, those with the same name first.
        ([("x", 1), ("y", 1)], [("y", 1), ("x", 1)], [(1, 0, "same"), (0, 1, "same")]),
        ([("x", 1), ("x", 1)], [("x", 1)], [(0, 0, "same")]),
        ([("x", 1), ("y", 2)], [("x", 2), ("y", 1)], [(1, 0, "moved"), (0, 1, "moved")]),
        ([("x", 1)], [("x", 2)], [(0, 0, "changed")]),
        # Windows without a hand have no digest.
        ([("x", None)], [("x", None)], [(0, 0, "same")]),
        ([("x", None)], [("x", 2)], [(0, 0, "changed")]),
        ([("x", None)], [("y", None)], []),
        ([(None, 1)], [(None, 1)], [(0, 0, "same")]),
        ([(None, 1)], [(None, 2)], []),
        ([], [("x", 1)], []),
    ],
)
def test_rows_are_paired_by_content_then_by_name(left: Any, right: Any, pairs: Any) -> None:
    def made(side: Any) -> pl.DataFrame:
        return framed([{"dataset": "d", "name": n, "digest_a": d, "digest_b": d} for n, d in side])

    matched = match_rows(made(left), made(right))
    assert matched.pairs.rows() == pairs
    assert set(matched.removed) == set(range(len(left))) - {a for a, _, _ in pairs}
    assert set(matched.added) == set(range(len(right))) - {b for _, b, _ in pairs}


def test_without_names_a_row_is_its_sample_and_frames() -> None:
    old, new = ([{**row, "name": None} for row in rows()] for _ in range(2))
    for row in new:
        row["digest_b"] = 99
    new[0]["start"] = 77
    numbers = table_changes(framed(old), framed(new)).rows
    assert (numbers["content_changed"], numbers["added"], numbers["removed"]) == (47, 1, 1)


def found(kind: str, count: int) -> Finding:
    return Finding(
        kind=kind, severity=Severity.NOTE, table="crops", count=count, share=0, meaning=f"{kind}.", remedy=""
    )


def test_schema_settings_and_findings() -> None:
    a = version(
        "one", rows(),
        schemas={"crops": {"x": "int32", "y": "string"}},
        settings={("crops", "seed"): "0", ("crops", "licence"): "CC BY 4.0", ("crops", "same"): "1"},
        findings=[found("gone_kind", 1), found("still_kind", 2)],
    )  # fmt: skip
    b = version(
        "two", rows(),
        schemas={"crops": {"x": "int64", "z": "string"}},
        settings={("crops", "seed"): "1", ("crops", "cap"): "9", ("crops", "same"): "1"},
        findings=[found("still_kind", 5), found("new_kind", 3)],
    )  # fmt: skip
    comparison = compare(a, b)
    told = comparison.as_dict()
    assert [(r["column"], r["a"], r["b"]) for r in told["schema"]] == [
        ("x", "int32", "int64"), ("y", "string", None), ("z", None, "string"),
    ]  # fmt: skip
    assert [(r["setting"], r["a"], r["b"]) for r in told["settings"]] == [
        ("seed", "0", "1"), ("licence", "CC BY 4.0", None), ("cap", None, "9"),
    ]  # fmt: skip
    kinds = {
        part: [(r["kind"], r["count_a"], r["count_b"]) for r in records]
        for part, records in told["findings"].items()
    }
    assert kinds == {
        "new": [("new_kind", 0, 3)],
        "gone": [("gone_kind", 1, 0)],
        "still": [("still_kind", 2, 5)],
    }
    assert comparison.changed
    assert "New findings: new_kind (crops)." in comparison.sentences()
    assert any("seed: 0 -> 1" in line for line in comparison.lines())


def test_tables_of_one_version_only_and_tables_under_other_names() -> None:
    frame = framed(rows())
    both = Version("two", {"crops": frame, "windows": frame}, [], {"crops": {}, "windows": {}}, {})
    comparison = compare(version("one", rows()), both)
    assert comparison.only == [{"only_in": "B", "table": "windows", "rows": 48}]
    other = Version("theirs", {"images": frame}, [], {"images": {}}, {})
    assert list(compare(version("one", rows()), other).tables) == ["images"]


def test_versions_read_from_files(datasets: Any) -> None:
    old = datasets.rows(frames=3)
    new = [{**row, "licence": "CC0"} for row in old[:-1]]
    versions = []
    for name, made in (("one", old), ("two", new)):
        folder = datasets.write(name, crops=made)
        manifest = json.loads((folder / "manifest.json").read_text())
        entry = {"seed": len(name), "rows": 5, "sources": [{"name": "ipn", "raw": name, "licence": name}]}
        (folder / "manifest.json").write_text(json.dumps(manifest | {"tables": {"crops": entry}}))
        target = find_target(folder)
        frames = {table.table: read_rows(target, table).frame for table in target.tables}
        versions.append(version_of(target, frames, []))
    told = compare(*versions).as_dict()
    assert versions[0].schemas["crops"]["label"] == "string"
    assert [(r["setting"], r["a"], r["b"]) for r in told["settings"]] == [
        ("sources.ipn.licence", "one", "two")
    ]
    assert (told["rows"]["crops"]["removed"], told["rows"]["crops"]["kept"]) == (1, len(old) - 1)
    assert told["schema"] == []
