"""The audit stage: what it prints and writes, and what bad input gets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pgc_data.errors import ConfigError, DataError
from pgc_data.stages.audit import AuditConfig, AuditSummary, _flattery, plan, run

CHARTS = ["class_balance_crops.png", "class_by_subject_crops.png", "images_crops.png"]
TABLES = ["balance.parquet", "findings.parquet", "near_duplicates.parquet"]
NAMES = sorted(["audit.json", "report.html", *CHARTS, *TABLES])


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
    png = [cv2.imencode(".png", rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))[1].tobytes() for _ in rows]
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
    assert lines[1:3] == ["crops was read as", "  image: column image, by its name"]
    assert any(re.fullmatch(r" +crops +train +val +test", line) for line in lines)
    assert any(re.fullmatch(r" +not_pointing +16 +4 +4", line) for line in lines)
    assert str(root / "audit/report.html") in lines[-2]
    assert sorted(p.name for p in (root / "audit").iterdir()) == NAMES
    assert json.loads(json.dumps(summary.as_dict(), allow_nan=False))["verdict"] == "clean"


def test_a_leaking_dataset_fails(tmp_path: Path) -> None:
    leak(dataset(tmp_path / "ds"))
    summary = audited(tmp_path / "ds")
    assert summary.exit_code == 1
    assert summary.lines()[0] == "ds leaks between its splits."
    leaks = [line for line in summary.lines() if line.startswith("leak:")]
    assert len(leaks) == 1
    assert leaks[0].startswith("leak:    crops: 1 subject of 5 (20.0 %) lies in more than one split")


def test_audit_json_holds_what_the_summary_says(tmp_path: Path) -> None:
    leak(dataset(tmp_path / "ds"))
    summary = audited(tmp_path / "ds")
    stored = json.loads((tmp_path / "ds/audit/audit.json").read_text())
    assert stored == {k: v for k, v in summary.as_dict().items() if k not in ("written", "failing")}
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


@pytest.mark.parametrize("output", ["crops", ""])
def test_the_report_does_not_go_among_the_data(tmp_path: Path, output: str) -> None:
    root = dataset(tmp_path / "ds")
    before = sorted(root.rglob("*"))
    with pytest.raises(ConfigError, match="is a folder of the data"):
        run(AuditConfig(path=str(root), output=root / output))
    assert sorted(root.rglob("*")) == before


def test_one_column_is_not_two_things() -> None:
    with pytest.raises(ConfigError, match="cannot be both --label-column and --split-column"):
        AuditConfig(path="x", label_column="kind", split_column="kind")
    assert AuditConfig(path="x", group_column="who", subject_column="who").columns()["group"] == "who"


def test_a_plan_writes_nothing(tmp_path: Path) -> None:
    root = dataset(tmp_path / "ds")
    planned = plan(AuditConfig(path=str(root)))
    assert {path.name for path in planned.writes} == set(NAMES) - set(CHARTS)
    assert "charts" in planned.work
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
        (nothing, "no Parquet files and no images in"),
        (truncated, "val-00000-of-00001.parquet is not a whole Parquet file"),
        (torn_inside, "val-00000-of-00001.parquet is not a whole Parquet file"),
        (html_page, "is not a whole Parquet file"),
        (write(image=None), "has neither a column of images nor one of features"),
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


def compared_with(path: Path) -> Path:
    """The same dataset with one label changed."""
    root = dataset(path)
    file = root / "crops/val-00000-of-00001.parquet"
    table = pq.read_table(file)
    labels = ["<pointing>", *table["label"].to_pylist()[1:]]
    table = table.set_column(table.column_names.index("label"), "label", column(labels))
    pq.write_table(
        table.set_column(table.column_names.index("class_id"), "class_id", column([1, *[0] * 3, *[1] * 4])),
        file,
    )
    return root


def test_what_changed_since_an_earlier_version(tmp_path: Path) -> None:
    earlier, later = dataset(tmp_path / "one"), compared_with(tmp_path / "two")
    summary = audited(later, compare=str(earlier))
    assert summary.as_dict()["comparison"]["rows"]["crops"]["relabelled"] == 1
    assert any("with another label" in line for line in summary.lines())
    stored = json.loads((later / "audit/audit.json").read_text())
    assert stored["comparison"] == summary.as_dict()["comparison"]


def test_a_version_that_is_nowhere(tmp_path: Path) -> None:
    root = dataset(tmp_path / "ds")
    for call in (run, plan):
        with pytest.raises(DataError, match="nothing to audit"):
            call(AuditConfig(path=str(root), compare=str(tmp_path / "gone")))


def test_the_probe_takes_a_line_of_each_table(tmp_path: Path) -> None:
    root = dataset(tmp_path / "ds")
    summary = audited(root)
    told = [line for line in summary.lines() if line.startswith("crops: ")]
    assert told == [f"crops: {_flattery(summary.audit.tables['crops']['probe'])}"]
    assert "cannot be estimated: fewer than 20 rows" in told[0]


SCORES = {name: {"f1": {"value": v, "low": v - 0.1, "high": v + 0.1}} for name, v in
          (("given", 0.9), ("unseen", 0.6), ("gap", 0.3))}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "0.90 on this split and 0.60 on people not seen, a difference of 0.30 (0.20 to 0.40)"),
        (
            {"grouped": True},
            "0.90 on this split, which holds people out whole, and 0.60 with others of them held out",
        ),
        (
            {"gap": None, "reason": "no row has a group"},
            "on groups not seen it cannot be estimated: no row has a group",
        ),
    ],
)
def test_what_the_probe_found_in_a_line(change: dict[str, Any], words: str) -> None:
    line = _flattery(SCORES | {"unit": "people", "grouped": False, "reason": ""} | change)
    assert line.endswith(words)


def test_strange_names_keep_the_terminal_readable(tmp_path: Path) -> None:
    root = dataset(tmp_path / "ds")
    for file in (root / "crops").iterdir():
        table = pq.read_table(file)
        names = ["a\nb" if label == "not_pointing" else "c" * 500 for label in table["label"].to_pylist()]
        at = table.column_names.index("label")
        pq.write_table(table.set_column(at, "label", column(names)), file)
    lines = audited(root, no_probe=True).lines()
    assert max(len(line) for line in lines if line.startswith("  ")) < 120
    assert any(line.split()[0] == "a?b" for line in lines)


def test_the_probe_can_be_left_out(tmp_path: Path) -> None:
    root = dataset(tmp_path / "ds")
    assert audited(root).audit.tables["crops"]["probe"] is not None
    assert audited(root, no_probe=True).audit.tables["crops"]["probe"] is None


def test_the_numbers_as_parquet(tmp_path: Path) -> None:
    root = dataset(tmp_path / "ds")
    leak(root)
    audited(root)
    findings = pl.read_parquet(root / "audit/findings.parquet")
    assert findings.select("severity", "kind", "count").rows() == [("leak", "subject_overlap", 1)]
    assert json.loads(findings["examples"][0])[0]["subject_id"] == "s0"
    balance = pl.read_parquet(root / "audit/balance.parquet")
    assert balance["rows"].sum() == 48
    assert balance.filter(split="val", label="<pointing>").select("subject", "rows").rows() == [("s0", 4)]
    assert pl.read_parquet(root / "audit/near_duplicates.parquet").height == 0


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, 1),
        ({"fail_on": "damage"}, 0),
        ({"fail_on": "none"}, 0),
        ({"fail_on": "subject_overlap:1"}, 0),
        ({"fail_on": "subject:5%"}, 1),
        ({"fail_on": "imbalance:10,overlap"}, 1),
    ],
)
def test_the_exit_status(tmp_path: Path, options: Any, code: int) -> None:
    root = dataset(tmp_path / "ds")
    leak(root)
    summary = audited(root, no_probe=True, **options)
    assert summary.exit_code == code
    assert summary.failing == ["subject_overlap"] * code


def test_a_file_of_thresholds(tmp_path: Path) -> None:
    root = dataset(tmp_path / "ds")
    file = tmp_path / "limits.toml"
    file.write_text("tiny_pixels = 20\nimbalance = 5\n")
    found = audited(root, thresholds=file, no_probe=True).audit.findings
    assert [(f.kind, f.count) for f in found] == [("tiny_image", 48)]
    assert audited(root, thresholds=file, threshold=("tiny_pixels=16",), no_probe=True).audit.findings == ()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fail-on", "leek"], "did you mean 'leak'?"),
        (["--fail-on", "undecodeable"], "unknown kind of finding 'undecodeable'"),
        (["--fail-on", "leak:many"], "'many' is not a number"),
        (["--fail-on", ""], "fail-on is empty"),
        (["--threshold", "near_bit=4"], "did you mean 'near_bits'?"),
        (["--threshold", "near_bits"], "not of the form NAME=VALUE"),
        (["--threshold", "near_bits=20"], "not between 0 and 16"),
        (["--threshold", "near_bits=2.5"], "not a whole number"),
        (["--threshold", "imbalance=x"], "is not a number"),
        (["--thresholds", "nowhere.toml"], "cannot be read"),
        (["--label-column", "lable"], "did you mean 'label'?"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(
    tmp_path: Path, cli: Any, words: list[str], message: str
) -> None:
    root = dataset(tmp_path / "ds")
    result = cli("audit", root, *words)
    assert result.exit_code == 2
    assert message in result.output and len(result.output.splitlines()) == 1
    assert not (root / "audit").exists()


def test_a_manifest_of_someone_else(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[1, 2]")
    pq.write_table(crops_table(3), tmp_path / "all.parquet")
    assert audited(tmp_path, no_probe=True).audit.manifest == {"present": False}
