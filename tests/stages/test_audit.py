"""The audit stage: what it prints and writes, and what bad input gets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pgc_data.errors import DataError
from pgc_data.stages.audit import AuditConfig, AuditSummary, plan, run

NAMES = ["audit.json", "class_balance_crops.png", "class_by_subject_crops.png", "report.html"]


def column(values: list[Any], type_: Any = None) -> pa.Array:
    return pa.array(values, type=type_)


def crops_table(rows: int = 6, **changes: Any) -> pa.Table:
    """A crops table with just the columns that an audit needs."""
    image = [{"bytes": b"x", "path": "p"}] * rows
    columns = {
        "image": column(image, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        **{
            name: column(["train"] * rows, pa.string()) for name in ("split", "label", "dataset", "sample_id")
        },
        **{name: column(["x"] * rows, pa.string()) for name in ("video_id", "subject_id", "group_id")},
        "class_id": column([0] * rows, pa.int64()),
        "frame": column([1] * rows, pa.int32()),
    }
    columns |= changes
    return pa.table({name: values for name, values in columns.items() if values is not None})


def dataset(path: Path) -> Path:
    """Six subjects, two classes, four rows each; clean."""
    rng = np.random.default_rng(0)
    rows = [(s, c, f) for s in range(6) for c in range(2) for f in range(1, 5)]
    subject = np.array([s for s, _, _ in rows])
    splits = np.where(subject < 4, "train", np.where(subject == 4, "val", "test"))
    png = [cv2.imencode(".png", rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))[1].tobytes() for _ in rows]
    image = column([{"bytes": data, "path": "p"} for data in png], crops_table().schema.field("image").type)
    names = {"video_id": "v{}_{}", "subject_id": "s{}", "group_id": "ipn:s{}", "sample_id": "v{}_{}/<b>&1"}
    table = crops_table(
        len(rows),
        image=image,
        split=column(splits.tolist()),
        label=column([("not_pointing", "<pointing>")[c] for _, c, _ in rows]),
        class_id=column([c for _, c, _ in rows], pa.int64()),
        frame=column([f for _, _, f in rows], pa.int32()),
        **{name: column([form.format(s, c) for s, c, _ in rows]) for name, form in names.items()},
    )
    (path / "crops").mkdir(parents=True)
    for split in ("train", "val", "test"):
        chosen = table.filter(pa.array(splits == split))
        pq.write_table(chosen, path / "crops" / f"{split}-00000-of-00001.parquet")
    return path


def leak(path: Path) -> None:
    file = path / "crops/val-00000-of-00001.parquet"
    table = pq.read_table(file)
    position = table.column_names.index("subject_id")
    pq.write_table(table.set_column(position, "subject_id", column(["s0"] * table.num_rows)), file)


def audited(path: Path | str, **options: Any) -> AuditSummary:
    return run(AuditConfig(path=str(path), **options))


def test_a_clean_dataset(tmp_path: Path) -> None:
    root = dataset(tmp_path / "ds")
    summary = audited(root)
    assert summary.exit_code == 0
    lines = summary.lines()
    assert lines[0] == "ds: no leak found between train, val, test, and nothing damaged."
    assert re.fullmatch(r" +crops +train +val +test", lines[1])
    assert re.fullmatch(r" +not_pointing +16 +4 +4", lines[3])
    assert str(root / "audit/report.html") in lines[-2]
    assert sorted(p.name for p in (root / "audit").iterdir()) == NAMES
    assert json.loads(json.dumps(summary.as_dict(), allow_nan=False))["verdict"] == "clean"


def test_a_leaking_dataset_fails(tmp_path: Path) -> None:
    leak(dataset(tmp_path / "ds"))
    summary = audited(tmp_path / "ds")
    assert summary.exit_code == 1
    assert summary.lines()[0] == "ds leaks between its splits."
    assert summary.lines()[1].startswith(
        "leak:    crops: 1 subject of 5 (20.0 %) lies in more than one split"
    )


def test_the_report_is_one_page_that_needs_nothing_else(tmp_path: Path) -> None:
    leak(dataset(tmp_path / "ds"))
    audited(tmp_path / "ds")
    page = (tmp_path / "ds/audit/report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    assert set(re.findall(r'src="([^,"]+)', page)) == {"data:image/png;base64"}
    assert page.count("<img") == 2
    assert "&lt;pointing&gt;" in page and "<pointing>" not in page
    assert "prefers-color-scheme: dark" in page and 'name="viewport"' in page
    assert "ds leaks between its splits." in page
    for tag in ("section", "table", "article", "details", "div", "tr"):
        assert page.count(f"<{tag}>") + page.count(f"<{tag} ") == page.count(f"</{tag}>")


def test_audit_json_holds_what_the_summary_says(tmp_path: Path) -> None:
    leak(dataset(tmp_path / "ds"))
    summary = audited(tmp_path / "ds")
    stored = json.loads((tmp_path / "ds/audit/audit.json").read_text())
    assert stored == {k: v for k, v in summary.as_dict().items() if k != "written"}
    assert stored["tables"]["crops"]["balance"]["rows"]["train"] == {"<pointing>": 16, "not_pointing": 16}
    units = {"groups": 4, "subjects": 4, "videos": 8, "samples": 8}
    assert stored["tables"]["crops"]["splits"]["train"] == {"rows": 32, **units}


def test_a_second_run_writes_the_same_bytes(tmp_path: Path) -> None:
    leak(dataset(tmp_path / "ds"))
    audited(tmp_path / "ds", output=tmp_path / "one")
    audited(tmp_path / "ds", output=tmp_path / "two")
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == NAMES
    for name in NAMES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(
    ("part", "folder"),
    [
        ("", "audit"),
        ("crops", "audit/crops"),
        ("crops/val-00000-of-00001.parquet", "audit/val-00000-of-00001"),
    ],
)
def test_a_dataset_a_table_and_a_file(tmp_path: Path, part: str, folder: str) -> None:
    root = dataset(tmp_path / "ds")
    assert audited(root / part).exit_code == 0
    assert (root / folder / "report.html").is_file()


def test_a_name_in_the_workspace(tmp_path: Path) -> None:
    root = dataset(tmp_path / "data/parquet/mine")
    assert audited("mine", workspace=tmp_path / "data").exit_code == 0
    assert (root / "audit/audit.json").is_file()


def test_a_plan_writes_nothing(tmp_path: Path) -> None:
    root = dataset(tmp_path / "ds")
    planned = plan(AuditConfig(path=str(root)))
    assert [path.name for path in planned.writes] == ["audit.json", "report.html", *NAMES[1:3]]
    assert len(planned.reads) == 3
    assert not (root / "audit").exists()


def test_an_empty_shard_is_no_fault(tmp_path: Path) -> None:
    root = dataset(tmp_path / "ds")
    empty = pq.read_table(root / "crops/test-00000-of-00001.parquet").slice(0, 0)
    pq.write_table(empty, root / "crops/extra-00000-of-00001.parquet")
    assert audited(root).exit_code == 0


def nothing(path: Path) -> None:
    (path / "readme.txt").write_text("no data")


def truncated(path: Path) -> None:
    file = dataset(path) / "crops/val-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:-50])


def torn_inside(path: Path) -> None:
    file = dataset(path) / "crops/val-00000-of-00001.parquet"
    data = bytearray(file.read_bytes())
    data[4:600] = bytes(596)
    file.write_bytes(data)


def html_page(path: Path) -> None:
    (path / "crops").mkdir()
    (path / "crops/train-00000-of-00001.parquet").write_text("<!DOCTYPE html>")


def write(**changes: Any) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        pq.write_table(crops_table(**changes), path / "one.parquet")

    return make


def bad_manifest(path: Path) -> None:
    (dataset(path) / "manifest.json").write_text('{"files": [{"path": "../x"}]}')


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (nothing, "no Parquet files in"),
        (truncated, "val-00000-of-00001.parquet is not a whole Parquet file"),
        (torn_inside, "val-00000-of-00001.parquet is not a whole Parquet file"),
        (html_page, "is not a whole Parquet file"),
        (write(split=None), "has no column 'split'"),
        (write(group_id=None), "has no column 'group_id'"),
        (write(image=None), "has neither a column 'image' nor 'features'"),
        (write(frame=column(["a"] * 6)), "column 'frame' is string, expected int32"),
        (write(image=column([b"x"] * 6)), "column 'image' is binary, expected struct"),
        (write(rows=0), "holds no rows"),
        (bad_manifest, "is not a manifest"),
    ],
)
def test_bad_input_gets_one_line(tmp_path: Path, make: Callable[[Path], None], words: str) -> None:
    path = tmp_path / "ds"
    path.mkdir()
    make(path)
    with pytest.raises(DataError, match=re.escape(words)) as caught:
        audited(path, output=tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_a_path_that_is_nowhere_names_both_places(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        audited("mine", workspace=tmp_path)
    assert "neither mine nor" in str(caught.value)
    assert str(tmp_path / "parquet/mine") in str(caught.value)


def test_an_unwritable_output_is_said_before_reading(tmp_path: Path) -> None:
    root = dataset(tmp_path / "ds")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        audited(root, output=tmp_path / "file/audit")
