"""Tables and folders as strangers leave them: understood, or refused in a line that says what to do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pgc_data.audits.audit import Audit, audit_target
from pgc_data.audits.targets import find_target
from pgc_data.errors import ConfigError, DataError

ROWS = 60
Columns = dict[str, Any]


@pytest.fixture(name="columns")
def columns_fixture(png: Any) -> Columns:
    """Six people, three classes, two splits by person."""
    return {
        "image": [png(n) for n in range(ROWS)],
        "label": [("fist", "palm", "peace")[n % 3] for n in range(ROWS)],
        "split": ["train" if n < 40 else "test" for n in range(ROWS)],
        "subject": [f"s{n // 10}" for n in range(ROWS)],
    }


def written(folder: Path, columns: Columns, metadata: dict[str, str] | None = None) -> Path:
    path = folder / "table.parquet"
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)
    return path


def audited(path: Path, **columns: str) -> Audit:
    return audit_target(find_target(path, columns), with_probe=False)


def kinds(audit: Audit) -> list[str]:
    return [finding.kind for finding in audit.findings]


BALANCE = {"train": [14, 13, 13], "test": [6, 7, 7]}
NUMBERS = [n % 3 for n in range(ROWS)]


@pytest.mark.parametrize(
    ("column", "change", "classes"),
    [
        ("label", lambda v: pa.array(v).dictionary_encode(), ["fist", "palm", "peace"]),
        ("label", lambda v: pa.array(v, pa.large_string()), ["fist", "palm", "peace"]),
        ("label", lambda v: NUMBERS, ["0", "1", "2"]),
        ("label", lambda v: [float(n) for n in NUMBERS], ["0", "1", "2"]),
        ("label", lambda v: [f"{name} " for name in v], ["fist ", "palm ", "peace "]),
        ("image", lambda v: pa.array(v, pa.large_binary()), ["fist", "palm", "peace"]),
        ("image", lambda v: pa.array(v, pa.binary_view()), ["fist", "palm", "peace"]),
        ("image", lambda v: pa.array(v).dictionary_encode(), ["fist", "palm", "peace"]),
        ("subject", lambda v: [int(name[1:]) for name in v], ["fist", "palm", "peace"]),
    ],
)
def test_columns_of_other_types(
    tmp_path: Path, columns: Columns, column: str, change: Callable[[Any], Any], classes: list[str]
) -> None:
    columns[column] = change(columns[column])
    audit = audited(written(tmp_path, columns))
    assert kinds(audit) == []
    balance = audit.tables["images"]["balance"]
    assert balance["rows"] == {
        split: dict(zip(classes, rows, strict=True)) for split, rows in BALANCE.items()
    }


def test_a_number_with_gaps_lacks_labels_only_there(tmp_path: Path, columns: Columns) -> None:
    columns["label"] = [None if n == 4 else float(n % 3) for n in range(ROWS)]
    audit = audited(written(tmp_path, columns))
    assert [(f.kind, f.count) for f in audit.findings] == [("bad_label", 1)]
    assert audit.tables["images"]["balance"]["classes"] == ["0", "1", "2"]


@pytest.mark.parametrize("name", ["split", "fold"])
def test_splits_may_be_numbers(tmp_path: Path, columns: Columns, name: str) -> None:
    columns[name] = [n // 20 for n in range(ROWS)]
    if name != "split":
        del columns["split"]
    assert audited(written(tmp_path, columns)).splits == ["0", "1", "2"]


def test_names_with_points_are_columns_of_their_own(tmp_path: Path, columns: Columns) -> None:
    columns = {f"my.{name}": values for name, values in columns.items()}
    audit = audited(written(tmp_path, columns), subject="my.subject", label="my.label")
    assert kinds(audit) == []
    assert audit.tables["images"]["balance"]["rows"]["test"] == {"fist": 6, "palm": 7, "peace": 7}
    assert audit.overlap["subject_id"]["values"] == 6


def test_spaces_around_a_name_are_not_part_of_it(tmp_path: Path, columns: Columns) -> None:
    columns["subject"][59] = "s0 "
    (finding,) = audited(written(tmp_path, columns)).findings
    assert (finding.kind, finding.count) == ("subject_overlap", 1)
    assert finding.examples[0]["subject_id"] == "s0"


def test_rows_without_a_name_are_told_of(tmp_path: Path, columns: Columns) -> None:
    columns["subject"][0], columns["subject"][59] = "", None
    audit = audited(written(tmp_path, columns))
    (finding,) = audit.findings
    assert (finding.kind, finding.count, round(finding.share, 3)) == ("no_groups_known", 2, 0.033)
    assert "2 of 60 rows" in finding.meaning
    assert "cannot be ruled out" in audit.sentence()


def test_a_class_listed_twice_is_counted_once(tmp_path: Path, columns: Columns) -> None:
    columns["label"] = NUMBERS
    names = {"label": {"names": ["fist", "fist", "peace"], "_type": "ClassLabel"}}
    path = written(tmp_path, columns, {"huggingface": json.dumps({"info": {"features": names}})})
    balance = audited(path).tables["images"]["balance"]
    assert balance["classes"] == ["fist", "peace"]
    assert sum(balance["overall"]["rows"].values()) == ROWS


def test_landmarks_may_be_whole_numbers(tmp_path: Path, columns: Columns) -> None:
    del columns["image"]
    columns["landmarks"] = np.random.default_rng(0).integers(0, 640, (ROWS, 8, 42)).tolist()
    columns["box"] = [[0, 0, n, n] for n in range(ROWS)]
    audit = audited(written(tmp_path, columns))
    assert kinds(audit) == []
    assert audit.tables["features"]["windows"]["frames"] == {"8": ROWS}


def test_boxes_are_not_taken_for_landmarks(tmp_path: Path, columns: Columns) -> None:
    del columns["image"]
    columns["box"] = [[0, 0, n, n] for n in range(ROWS)]
    with pytest.raises(DataError, match="--features-column"):
        find_target(written(tmp_path, columns))


@pytest.mark.parametrize("metadata", [{"pgc_data": "[1"}, {"pgc_data": "[1]"}])
def test_broken_metadata(tmp_path: Path, columns: Columns, metadata: dict[str, str]) -> None:
    with pytest.raises(DataError, match="not JSON"):
        find_target(written(tmp_path, columns, metadata))


def test_two_columns_of_one_name(tmp_path: Path, columns: Columns) -> None:
    table = pa.table([*map(pa.array, columns.values()), pa.array(NUMBERS)], names=[*columns, "label"])
    pq.write_table(table, tmp_path / "table.parquet")
    with pytest.raises(DataError, match="several columns called 'label'"):
        find_target(tmp_path)


def test_a_path_that_no_file_can_have(tmp_path: Path, columns: Columns, png: Any) -> None:
    (tmp_path / "x.png").write_bytes(png(0))
    images: list[Columns] = [{"bytes": None, "path": "x.png"}] * ROWS
    images[1], images[2] = {"bytes": None, "path": "a\0.png"}, {"bytes": b"", "path": "x" * 5000}
    columns["image"] = pa.array(images, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    faults = audited(written(tmp_path, columns)).findings
    assert [(f.kind, f.count) for f in faults if f.kind == "undecodable_image"] == [("undecodable_image", 2)]


@pytest.fixture(name="folder")
def folder_fixture(tmp_path: Path, png: Any) -> Path:
    """Six images in a folder of their class."""
    (tmp_path / "fist").mkdir()
    for n in range(6):
        (tmp_path / "fist" / f"{n}.png").write_bytes(png(n))
    return tmp_path


def test_links_in_a_circle_are_followed_once(folder: Path) -> None:
    (folder / "fist" / "again").symlink_to(folder)
    assert audited(folder).tables["images"]["rows"] == 6


def test_a_named_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "fist" / "pipe.png")
    audit = audited(folder)
    assert (audit.findings[0].kind, audit.findings[0].count) == ("undecodable_image", 1)


def test_other_files_are_told_of(folder: Path) -> None:
    (folder / "fist" / "moving.gif").write_bytes(b"GIF89a")
    note = audited(folder).tables["images"]["roles"]["image"]["note"]
    assert note == "6 image files; 1 other file not looked at"


def test_a_name_that_is_no_text(folder: Path) -> None:
    name = os.fsencode(folder / "fist") + b"/\xff.png"
    try:
        os.close(os.open(name, os.O_CREAT))
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    with pytest.raises(DataError, match="not UTF-8: rename it"):
        find_target(folder)


def test_one_image_is_not_a_dataset(folder: Path) -> None:
    with pytest.raises(DataError, match="is one image: give the folder"):
        find_target(folder / "fist" / "0.png")


def test_a_column_of_another_kind(tmp_path: Path, columns: Columns) -> None:
    with pytest.raises((ConfigError, DataError), match="cannot hold the label"):
        find_target(written(tmp_path, columns), {"label": "image"})
