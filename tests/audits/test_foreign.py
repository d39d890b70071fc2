"""Tables that are not ours: understood, clean when they are clean, and their faults found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pgc_data.audits.audit import Audit, audit_target
from pgc_data.audits.pictures import pictures
from pgc_data.audits.targets import find_target
from pgc_data.errors import ConfigError, DataError

CLASSES = ("fist", "palm", "peace")
PEOPLE, PHOTOS = 6, 4
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def audited(path: Path, **columns: str) -> Audit:
    return audit_target(find_target(path, columns), with_probe=False)


def kinds(audit: Audit) -> list[tuple[str, int]]:
    return [(finding.kind, finding.count) for finding in audit.findings]


def photographs(png: Any) -> list[dict[str, Any]]:
    """Every person shows every class a few times; one person in validation, one in test."""
    splits = ("train", "train", "train", "train", "validation", "test")
    return [
        {
            "person": f"p{person}",
            "label": label,
            "split": splits[person],
            "png": png(1000 * person + 10 * label + n),
        }
        for person in range(PEOPLE)
        for label in range(len(CLASSES))
        for n in range(PHOTOS)
    ]


def hugging_face(rows: list[dict[str, Any]], folder: Path, **more: Any) -> Path:
    """As `datasets` writes: split in the file's name, label a ClassLabel, image a struct."""
    features = {"image": {"_type": "Image"}, "label": {"names": list(CLASSES), "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    for split in dict.fromkeys(row["split"] for row in rows):
        own = [row for row in rows if row["split"] == split]
        table = pa.table(
            {
                "image": pa.array(
                    [{"bytes": row["png"], "path": f"{n}.png"} for n, row in enumerate(own)], IMAGE
                ),
                "label": pa.array([row["label"] for row in own], pa.int64()),
                "signer": [row["person"] for row in own],
            }
        )
        path = folder / "data" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.replace_schema_metadata(metadata), path)
    return folder


def test_a_hugging_face_export(tmp_path: Path, png: Any) -> None:
    audit = audited(hugging_face(photographs(png), tmp_path / "hf"))
    assert audit.findings == ()
    table = audit.tables["images"]
    assert audit.splits == ["train", "val", "test"]
    assert table["balance"]["classes"] == list(CLASSES)
    assert {role: known["how"] for role, known in table["roles"].items() if known["how"] != "none"} == {
        "image": "declared", "label": "named", "split": "file name", "subject": "named", "name": "named",
    }  # fmt: skip


def unlabelled(rows: list[dict[str, Any]]) -> None:
    rows[3]["label"] = -1


def shared(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        row["person"] = "p0" if row["person"] == "p5" else row["person"]


def truncated(rows: list[dict[str, Any]]) -> None:
    rows[3]["png"] = rows[3]["png"][:-9]


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (unlabelled, [("bad_label", 1)]),
        (shared, [("subject_overlap", 1)]),
        (truncated, [("undecodable_image", 1)]),
    ],
)
def test_faults_of_a_hugging_face_export(tmp_path: Path, png: Any, plant: Any, expected: Any) -> None:
    rows = photographs(png)
    plant(rows)
    assert kinds(audited(hugging_face(rows, tmp_path / "hf"))) == expected


def folder_of_images(
    folder: Path, png: Any, form: str = "{split}/{label}/{person}_{n:04d}.png", count: int = 20
) -> Path:
    splits = ("train", "train", "train", "valid")
    for person, split in enumerate(splits):
        for number in range(2 * count):
            label = CLASSES[number // count]
            path = folder / form.format(split=split, label=label, person=f"p{person}x", n=number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(100 * person + number))
    return folder


def test_a_folder_of_images(tmp_path: Path, png: Any) -> None:
    audit = audited(folder_of_images(tmp_path / "photos", png))
    assert audit.findings == ()
    table = audit.tables["images"]
    assert table["balance"]["rows"] == {"train": {"fist": 60, "palm": 60}, "val": {"fist": 20, "palm": 20}}
    assert table["files"] == [{"path": "./", "rows": 160, "bytes": table["files"][0]["bytes"]}]
    assert table["roles"]["video"]["how"] == "file name"


def test_a_folder_without_splits_or_people(tmp_path: Path, png: Any) -> None:
    root = folder_of_images(tmp_path / "photos", png, "{label}/{n:02d}{person}.png")
    audit = audited(root)
    assert kinds(audit) == [("no_groups_known", 160)]
    assert "has no splits" in audit.sentence()
    assert audit.tables["images"]["roles"]["split"]["note"].startswith("neither a column nor names")


def test_earlier_reports_and_hidden_files_are_no_images(tmp_path: Path, png: Any) -> None:
    root = folder_of_images(tmp_path / "photos", png)
    for name in ("audit/audit.json", "audit/chart.png", ".cache/x.png", "notes.txt"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("{}")
    assert audited(root).tables["images"]["rows"] == 160


def test_a_broken_loose_image(tmp_path: Path, png: Any) -> None:
    root = folder_of_images(tmp_path / "photos", png)
    (root / "train/fist/p0x_0003.png").write_bytes(b"")
    audit = audited(root)
    assert kinds(audit) == [("undecodable_image", 1)]
    assert audit.findings[0].examples[0]["file"] == "train/fist/p0x_0003.png"


def landmarks(
    folder: Path, change: Callable[[list[Any]], None] = lambda rows: None, type_: Any = None
) -> Path:
    """Windows of 8 frames of 5 features under other names than ours."""
    rng = np.random.default_rng(0)
    windows = [rng.random((8, 5)).tolist() for _ in range(120)]
    change(windows)
    people = [n // 20 for n in range(120)]
    type_ = type_ or pa.list_(pa.list_(pa.float64()))
    table = pa.table(
        {
            "keypoints": pa.array(windows, type_),
            "gesture": [CLASSES[n % 3] for n in range(120)],
            "subset": ["val" if person == 5 else "training" for person in people],
            "participant": people,
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "all.parquet")
    return folder / "all.parquet"


def shorter(rows: list[Any]) -> None:
    rows[7] = rows[7][:-1]


def ragged(rows: list[Any]) -> None:
    rows[7] = [*rows[7][:-1], rows[7][-1][:-1]]


def all_ragged(rows: list[Any]) -> None:
    rows[:] = [[*window[:-1], window[-1][:-1]] for window in rows]


def empty(rows: list[Any]) -> None:
    rows[:] = [[]] * len(rows)


def all_nan(rows: list[Any]) -> None:
    rows[:] = [[[float("nan")] * 5] * 8] * len(rows)


def not_a_number(rows: list[Any]) -> None:
    rows[7][2][1] = float("inf")


def null(rows: list[Any]) -> None:
    rows[7] = None


def gap(rows: list[Any]) -> None:
    rows[7][2:7] = [[0.0] * 5] * 5


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda rows: None, []),
        (shorter, [("wrong_shape", 1)]),
        (ragged, [("wrong_shape", 1)]),
        (all_ragged, [("wrong_shape", 120)]),
        (empty, [("wrong_shape", 120), ("windows_without_hand", 120)]),
        (all_nan, [("non_finite", 120)]),
        (not_a_number, [("non_finite", 1)]),
        (null, [("non_finite", 1)]),
        (gap, [("few_usable_frames", 1)]),
    ],
)
def test_landmarks_of_someone_else(tmp_path: Path, change: Any, expected: Any) -> None:
    audit = audited(landmarks(tmp_path, change))
    assert kinds(audit) == expected
    table = audit.tables["features"]
    assert table["roles"]["features"]["column"] == "keypoints"
    assert audit.splits == ["train", "val"]


def test_flat_landmarks_and_points_are_one_frame(tmp_path: Path) -> None:
    flat = landmarks(
        tmp_path / "flat",
        lambda rows: rows.__setitem__(slice(None), [np.ravel(w).tolist() for w in rows]),
        pa.list_(pa.float32()),
    )
    points = landmarks(
        tmp_path / "points",
        lambda rows: rows.__setitem__(slice(None), [np.reshape(w, (20, 2)).tolist() for w in rows]),
        pa.list_(pa.list_(pa.float32(), 2), 20),
    )
    for path in (flat, points):
        windows = audited(path).tables["features"]["windows"]
        assert (windows["frames"], windows["dims"]) == ({"1": 120}, {"40": 120})


@pytest.fixture
def odd_names(tmp_path: Path, png: Any) -> Path:
    """A table whose columns say nothing by their names."""
    rows = photographs(png)
    table = pa.table(
        {
            "a": [row["png"] for row in rows],
            "b": [CLASSES[row["label"]] for row in rows],
            "c": [row["split"] for row in rows],
            "d": [row["person"] for row in rows],
            "e": list(range(len(rows))),
        }
    )
    path = tmp_path / "odd.parquet"
    pq.write_table(table, path, row_group_size=7)
    return path


def test_columns_by_their_content(odd_names: Path) -> None:
    table = find_target(odd_names).tables[0]
    assert {role: (known.column, known.how) for role, known in table.roles.items()} == {
        "image": ("a", "content"), "split": ("c", "content"),
    }  # fmt: skip


def test_columns_that_the_user_names(odd_names: Path) -> None:
    audit = audited(odd_names, label="b", group="d", split="c", image="a")
    assert audit.findings == ()
    assert audit.overlap["group_id"]["values"] == PEOPLE
    assert audit.tables["images"]["roles"]["group"] == {"column": "d", "how": "option", "note": ""}


def test_a_group_column_that_leaks(odd_names: Path) -> None:
    assert kinds(audited(odd_names, label="b", group="b"))[0] == ("group_overlap", 3)


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    [
        ({"label": "gestur"}, ConfigError, "unknown column for --label-column 'gestur'"),
        ({"image": "e"}, DataError, "column 'e' is int64, which cannot hold the image"),
        ({"frame": "b"}, DataError, "column 'b' is string, which cannot hold the frame"),
    ],
)
def test_columns_that_cannot_be(odd_names: Path, columns: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        find_target(odd_names, columns)


def test_a_folder_of_images_has_no_columns(tmp_path: Path, png: Any) -> None:
    with pytest.raises(DataError, match="leave out --label-column"):
        find_target(folder_of_images(tmp_path / "photos", png), {"label": "x"})


def without(column: str) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.drop([column])


@pytest.mark.parametrize(
    ("change", "severity", "words"),
    [
        (without("signer"), "warning", "it has no column 'signer'"),
        (lambda t: t.append_column("more", t["label"]), "warning", "it has a column 'more'"),
        (
            lambda t: t.set_column(1, "label", t["label"].cast(pa.int32())),
            "warning",
            "column 'label' is int32",
        ),
        (without("image"), "damage", "it has no column 'image'"),
    ],
)
def test_files_of_one_table_that_differ(
    tmp_path: Path, png: Any, change: Any, severity: str, words: str
) -> None:
    root = hugging_face(photographs(png), tmp_path / "hf")
    path = root / "data/validation-00000-of-00001.parquet"
    pq.write_table(change(pq.read_table(path)), path)
    found = [f for f in audited(root).findings if f.kind == "schema_difference"]
    assert [(str(f.severity), f.count) for f in found] == [(severity, 1)]
    assert words in found[0].meaning


def test_a_table_of_ours_of_another_version(datasets: Any) -> None:
    root = datasets.write(manifest=False, crops=datasets.rows())
    for path in root.glob("crops/*.parquet"):
        table = pq.read_table(path)
        facts = json.loads(table.schema.metadata[b"pgc_data"]) | {"schema_version": 9}
        pq.write_table(
            table.replace_schema_metadata(table.schema.metadata | {b"pgc_data": json.dumps(facts)}), path
        )
    audit = audited(root)
    assert kinds(audit) == [("schema_difference", 3)]
    assert "holds crops in version 9" in audit.findings[0].meaning


def test_another_table_beside_is_left_alone(tmp_path: Path, png: Any) -> None:
    root = hugging_face(photographs(png), tmp_path / "hf")
    pq.write_table(pa.table({"id": [1], "what": ["no image"]}), root / "data/index.parquet")
    assert audited(root).findings == ()


def test_pictures_of_some_rows(odd_names: Path, png: Any) -> None:
    rows = photographs(png)
    refs = [{"file": "odd.parquet", "row": row} for row in (40, 3, 8, 3)]
    found = pictures(find_target(odd_names), refs)
    assert found == {("odd.parquet", row): rows[row]["png"] for row in (3, 8, 40)}


def test_pictures_of_loose_files_and_of_features(tmp_path: Path, png: Any) -> None:
    root = folder_of_images(tmp_path / "photos", png)
    ref = {"file": "train/fist/p0x_0003.png", "row": 0}
    assert pictures(find_target(root), [ref]) == {(ref["file"], 0): png(3)}
    assert pictures(find_target(landmarks(tmp_path / "lm")), [{"file": "all.parquet", "row": 0}]) == {}


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"label": [n % 2 == 0 for n in range(40)]}, [("no_groups_known", 40)]),
        ({"label": pa.array(["a", "b"] * 20).dictionary_encode(), "user": [n % 4 for n in range(40)]}, []),
        ({"label": [["a"]] * 40}, [("no_groups_known", 40)]),
        (
            {"label": [None] * 40, "split": pa.array([None] * 40, pa.string())},
            [("wrong_split", 40), ("no_groups_known", 40)],
        ),
        ({"fold": [f"fold-{n % 4}" for n in range(40)], "subject": [n % 4 for n in range(40)]}, []),
        ({"video": ["v"] * 40, "frame": [float("nan"), *map(float, range(39))]}, []),
    ],
)
@pytest.mark.parametrize("binary", [pa.binary(), pa.large_binary(), pa.binary_view()], ids=str)
def test_columns_of_unusual_types(
    tmp_path: Path, png: Any, columns: Any, expected: Any, binary: pa.DataType
) -> None:
    table = pa.table({"image": pa.array([png(n) for n in range(40)], binary), **columns})
    pq.write_table(table, tmp_path / "x.parquet")
    assert kinds(audited(tmp_path)) == expected
    found = pictures(find_target(tmp_path), [{"file": "x.parquet", "row": 7}])
    assert found == {("x.parquet", 7): png(7)}


@pytest.mark.parametrize(("given", "content"), [({}, "image"), ({"features": "lm"}, "features")])
def test_of_images_and_landmarks_the_images_unless_asked(
    tmp_path: Path, png: Any, given: Any, content: str
) -> None:
    landmarks = pa.array([[float(n)] * 42 for n in range(40)], pa.list_(pa.float32()))
    pq.write_table(pa.table({"image": [png(n) for n in range(40)], "lm": landmarks}), tmp_path / "x.parquet")
    assert find_target(tmp_path, given).tables[0].content == content
