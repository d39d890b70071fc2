"""Each planted fault is found, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pgc_data.audits.audit import Audit, audit_target
from pgc_data.audits.findings import KINDS, Severity
from pgc_data.audits.targets import find_target

Rows = list[dict[str, Any]]


def audited(path: Path) -> Audit:
    return audit_target(find_target(path), with_probe=False)


def where(rows: Rows, **wanted: Any) -> Rows:
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def same_group(rows: Rows) -> None:
    for row in where(rows, subject_id="s4"):
        row["group_id"] = "ipn:s0"


def same_subject(rows: Rows) -> None:
    for row in where(rows, subject_id="s4"):
        row["subject_id"] = "s0"


def same_video_far_apart(rows: Rows) -> None:
    for row in where(rows, video_id="s4_v0"):
        row["video_id"] = "s0_v0"
        for name in {"frame", "frame_start", "frame_end"} & row.keys():
            row[name] += 1000


def same_sample(rows: Rows) -> None:
    for row in where(rows, video_id="s4_v0"):
        row["sample_id"] = "s0_v0/clip"


def copy_content(rows: Rows, source: int, target: int) -> None:
    for name in {"image", "features"} & rows[source].keys():
        rows[target][name] = rows[source][name]


def copy_across(rows: Rows) -> None:
    copy_content(rows, 0, rows.index(where(rows, split="val", class_id=0)[0]))


def copy_with_other_label(rows: Rows) -> None:
    copy_content(rows, 0, rows.index(where(rows, split="train", class_id=1)[0]))


def copy_within(rows: Rows) -> None:
    copy_content(rows, 0, 1)


def thin_class(rows: Rows) -> None:
    for row in where(rows, split="val", class_id=1)[4:]:
        rows.remove(row)


def rare_class(rows: Rows) -> None:
    rows[:] = [
        row for row in rows if row["class_id"] == 0 or row.get("frame", row.get("frame_end", 4) // 4) == 1
    ]


def break_content(rows: Rows) -> None:
    if "image" in rows[5]:
        rows[5]["image"] = {"bytes": rows[5]["image"]["bytes"][:-20], "path": "x.png"}
    else:
        rows[5]["features"][1][2] = float("nan")


def low_usable(rows: Rows) -> None:
    rows[5]["usable_fraction"] = 0.5


def wrong_file(rows: Rows) -> None:
    for row in where(rows, subject_id="s3"):
        row["in_file"] = "val"


def null_label(rows: Rows) -> None:
    rows[5]["label"] = None


def unknown_label(rows: Rows) -> None:
    rows[5]["class_id"] = 7


LEAK, DAMAGE, WARNING, NOTE = Severity


def near_copy(rows: Rows, target: int) -> None:
    """Row `target` shows the picture of row 0, a little darker."""
    pixels = cv2.imdecode(np.frombuffer(rows[0]["image"]["bytes"], np.uint8), cv2.IMREAD_COLOR)
    repaint(rows, target, cv2.convertScaleAbs(pixels, alpha=0.97))


def near_across(rows: Rows) -> None:
    near_copy(rows, rows.index(where(rows, split="val", class_id=0)[0]))


def near_with_other_label(rows: Rows) -> None:
    near_copy(rows, rows.index(where(rows, split="train", class_id=1)[0]))


def repaint(rows: Rows, number: int, pixels: Any) -> None:
    rows[number]["image"] = {"bytes": bytes(cv2.imencode(".png", pixels)[1]), "path": "x.png"}


def tiny(rows: Rows) -> None:
    repaint(rows, 5, np.random.default_rng(99).integers(0, 256, (8, 40, 3), dtype=np.uint8))


def black_white_and_grey(rows: Rows) -> None:
    for number, level in enumerate((0, 255, 100)):
        repaint(rows, 5 + number, np.full((20, 20, 3), level, np.uint8))


def truncated_jpeg(rows: Rows) -> None:
    pixels = np.random.default_rng(99).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    rows[0]["image"] = {"bytes": bytes(cv2.imencode(".jpg", pixels)[1])[:-30], "path": "x.jpg"}


def dataset_of_one_class(rows: Rows) -> None:
    for row in where(rows, class_id=1):
        row["dataset"] = "jester"


def no_hand(rows: Rows) -> None:
    rows[5]["features"] = [[0.0] * 3] * 4
    rows[5] |= {"usable": [False] * 4, "usable_fraction": 0.0}


def class_without_hands(rows: Rows) -> None:
    for row in where(rows, class_id=1, split="train")[:24]:
        row["features"] = [[0.0] * 3] * 4
        row |= {"usable": [False] * 4, "usable_fraction": 0.0}


def no_groups(rows: Rows) -> None:
    for row in rows:
        row |= dict.fromkeys(("group_id", "subject_id", "video_id"))


def neighbours(rows: Rows) -> None:
    """A video of train goes on in val."""
    for row in where(rows, video_id="s4_v0"):
        row |= {"video_id": "s0_v0", "frame": row["frame"] + 12}


ROW_FAULTS = [
    (same_group, {"group_overlap": (LEAK, 1)}),
    (same_subject, {"subject_overlap": (LEAK, 1)}),
    (same_video_far_apart, {"video_overlap": (LEAK, 1)}),
    (same_sample, {"sample_overlap": (LEAK, 1)}),
    (copy_across, {"duplicate_across_splits": (LEAK, 1)}),
    (copy_with_other_label, {"contradictory_labels": (WARNING, 1)}),
    (copy_within, {"duplicate_within_split": (NOTE, 1)}),
    (thin_class, {"class_share_deviation": (WARNING, 2)}),
    (rare_class, {"class_imbalance": (NOTE, 6)}),
    (break_content, {"broken": (DAMAGE, 1)}),
    (wrong_file, {"wrong_split": (DAMAGE, 24)}),
    (null_label, {"bad_label": (DAMAGE, 1)}),
    (unknown_label, {"bad_label": (DAMAGE, 1)}),
]
IMAGE_FAULTS = [
    (near_across, {"near_duplicate_across_splits": (LEAK, 1)}),
    (near_with_other_label, {"contradictory_labels": (WARNING, 1)}),
    (tiny, {"tiny_image": (WARNING, 1)}),
    (black_white_and_grey, {"odd_image": (WARNING, 3)}),
    (truncated_jpeg, {"undecodable_image": (DAMAGE, 1)}),
    (dataset_of_one_class, {"dataset_gives_class_away": (WARNING, 2)}),
    (no_groups, {"no_groups_known": (NOTE, 144)}),
    (neighbours, {"video_overlap": (LEAK, 1), "adjacent_frames": (LEAK, 5)}),
]
WINDOW_FAULTS = [
    (low_usable, {"few_usable_frames": (WARNING, 1)}),
    (no_hand, {"windows_without_hand": (WARNING, 1)}),
    (class_without_hands, {"class_without_hands": (WARNING, 24)}),
    (dataset_of_one_class, {"dataset_gives_class_away": (WARNING, 2)}),
    (no_groups, {"no_groups_known": (NOTE, 144)}),
]
CASES = [
    *((table, *case) for table in ("crops", "windows") for case in ROW_FAULTS),
    *(("crops", *case) for case in IMAGE_FAULTS),
    *(("windows", *case) for case in WINDOW_FAULTS),
]
BROKEN = {"crops": "undecodable_image", "windows": "non_finite"}


@pytest.mark.parametrize(
    ("table", "plant", "expected"), CASES, ids=lambda value: getattr(value, "__name__", str(value)[:7])
)
def test_a_planted_fault_is_found_and_nothing_else(
    datasets: Any, table: str, plant: Callable[[Rows], None], expected: dict[str, tuple[Severity, int]]
) -> None:
    rows = datasets.rows(table, frames=12)
    plant(rows)
    audit = audited(datasets.write(**{table: rows}))
    found = {finding.kind: (finding.severity, finding.count) for finding in audit.findings}
    assert found == {BROKEN[table] if kind == "broken" else kind: value for kind, value in expected.items()}
    assert (audit.verdict in (LEAK, DAMAGE)) == any(
        severity in (LEAK, DAMAGE) for severity, _ in expected.values()
    )
    for finding in audit.findings:
        assert finding.table == table
        assert 0 < finding.share <= 1
        assert finding.meaning.endswith(".") and finding.remedy.endswith(".")
        assert len(finding.examples) <= 10
        json.dumps(finding.as_dict(), allow_nan=False)


@pytest.mark.parametrize("tables", [("crops",), ("windows",), ("crops", "windows")])
def test_clean_data_has_no_findings(datasets: Any, tables: tuple[str, ...]) -> None:
    audit = audited(datasets.write(**{table: datasets.rows(table) for table in tables}))
    assert audit.findings == ()
    assert audit.verdict == "clean"
    assert "no leak found between train, val, test" in audit.sentence()


def test_a_group_in_train_of_one_table_and_test_of_the_other_leaks(datasets: Any) -> None:
    crops = where(datasets.rows("crops"), split="train")
    windows = datasets.rows("windows")
    for row in windows:
        row["split"] = "test" if row["subject_id"] == "s0" else row["split"]
    audit = audited(datasets.write(crops=crops, windows=windows))
    leaks = [finding for finding in audit.findings if finding.severity is LEAK]
    assert {f.kind for f in leaks} == {"group_overlap", "subject_overlap", "video_overlap", "sample_overlap"}
    assert {f.table for f in leaks} == {"crops and windows"}
    assert leaks[0].examples[0]["splits"] == "test, train"


def test_one_subject_number_in_two_datasets_is_two_people(datasets: Any) -> None:
    rows = datasets.rows()
    for row in where(rows, subject_id="s4"):
        row |= {"dataset": "jester", "subject_id": "s0", "video_id": f"s0_v{row['class_id']}"}
    audit = audited(datasets.write(crops=rows))
    assert audit.findings == ()
    assert {"ipn:s0", "jester:s0"} <= audit.tables["crops"]["balance"]["by_subject"].keys()


def test_null_ids_are_not_values(datasets: Any) -> None:
    rows = datasets.rows()
    for row in rows:
        row |= {"subject_id": None, "video_id": None}
    audit = audited(datasets.write(crops=rows))
    assert audit.findings == ()
    assert audit.overlap["subject_id"] == {"values": 0, "shared": 0, "rows": 120, "rows_without": 120}
    assert audit.tables["crops"]["adjacency"] == {}
    assert audit.tables["crops"]["balance"]["subjects_are_groups"]
    assert "ipn:s3" in audit.tables["crops"]["balance"]["by_subject"]


def test_windows_of_zeros_are_not_duplicates(datasets: Any) -> None:
    rows = datasets.rows("windows")
    for row in rows:
        row["features"] = [[0.0] * 3] * 4
    audit = audited(datasets.write(windows=rows))
    assert audit.findings == ()
    assert audit.tables["windows"]["duplicates"]["rows"] == 0


def test_a_class_without_a_row_in_a_split(datasets: Any) -> None:
    rows = [row for row in datasets.rows() if (row["split"], row["class_id"]) != ("test", 1)]
    audit = audited(datasets.write(crops=rows))
    absent = next(finding for finding in audit.findings if finding.kind == "class_absent")
    assert absent.examples == ({"split": "test", "class": "pointing"},)
    assert audit.verdict not in (LEAK, DAMAGE)


def test_damage_and_leak_are_both_told(datasets: Any) -> None:
    rows = datasets.rows()
    same_subject(rows)
    break_content(rows)
    audit = audited(datasets.write(crops=rows))
    assert [finding.severity for finding in audit.findings] == [LEAK, DAMAGE]
    assert audit.sentence() == "ds leaks between its splits and is damaged."


def test_one_split_only_is_said(datasets: Any) -> None:
    audit = audited(datasets.write(crops=where(datasets.rows(), split="train")))
    assert audit.verdict == "clean"
    assert "one split only, train" in audit.sentence()


def remove(root: Path) -> None:
    (root / "crops/val-00000-of-00001.parquet").unlink()


def add(root: Path) -> None:
    data = (root / "crops/val-00000-of-00001.parquet").read_bytes()
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["files"] = [e for e in manifest["files"] if "val" not in e["path"]]
    (root / "manifest.json").write_text(json.dumps(manifest))
    assert data


def relist(name: str, value: Any) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        manifest = json.loads((root / "manifest.json").read_text())
        manifest["files"][0][name] = value
        (root / "manifest.json").write_text(json.dumps(manifest))

    return change


@pytest.mark.parametrize(
    ("change", "kind", "severity"),
    [
        (remove, "file_missing", DAMAGE),
        (add, "file_unlisted", WARNING),
        (relist("bytes", 1), "file_changed", DAMAGE),
        (relist("sha256", "0" * 64), "file_changed", DAMAGE),
        (relist("rows", 1), "file_changed", DAMAGE),
    ],
)
def test_files_against_the_manifest(
    datasets: Any, change: Callable[[Path], None], kind: str, severity: Severity
) -> None:
    root = datasets.write(crops=datasets.rows())
    change(root)
    audit = audited(root)
    assert [(f.kind, f.severity, f.count) for f in audit.findings] == [(kind, severity, 1)]


def test_a_part_is_compared_with_its_part_of_the_manifest(datasets: Any) -> None:
    root = datasets.write(crops=datasets.rows(), windows=datasets.rows("windows"))
    (root / "windows/val-00000-of-00001.parquet").unlink()
    assert audited(root / "crops").manifest["files"] == 3
    assert audited(root / "crops").findings == ()
    assert audited(root / "windows").verdict == "damage"


def test_every_kind_is_planted_somewhere() -> None:
    planted = {kind for *_, expected in CASES for kind in expected} - {"broken"} | set(BROKEN.values())
    elsewhere = {
        "class_absent", "wrong_shape", "schema_difference", "file_missing", "file_changed", "file_unlisted",
        "probe_gap", "leak_between_versions",
    }  # fmt: skip
    assert planted | elsewhere == set(KINDS)
    assert not planted & elsewhere


def test_severities_are_those_of_the_list() -> None:
    for _, plant, expected in CASES:
        for kind, (severity, _) in expected.items():
            assert kind == "broken" or KINDS[kind] is severity, plant
