from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loaders.tables import CLASSES, crop_row, window_row, write_dataset, write_file

import pgc_data
from pgc_data.errors import ConfigError, DataError
from pgc_data.loaders import files
from pgc_data.storage.schemas import METADATA_KEY, read_metadata, table_schema


def frames(split):
    return split.to_arrow(["frame"])["frame"].to_pylist()


def test_a_dataset_says_what_it_holds(tmp_path):
    data = pgc_data.load(write_dataset(tmp_path / "d", files=2))
    assert (data.table, data.classes, len(data)) == ("crops", CLASSES, 130)
    assert list(data.splits.items()) == [("train", 95), ("val", 20), ("test", 15)]
    assert data.metadata["fingerprint"] == "f"
    assert data.schema.names == [column.name for column in table_schema("crops").columns]
    assert [path.name for path in data.files][:2] == [
        "test-00000-of-00002.parquet",
        "test-00001-of-00002.parquet",
    ]


@pytest.mark.parametrize("inside", ["", "crops", "crops/train-00000-of-00001.parquet"])
def test_a_dataset_a_table_or_a_file_is_opened(tmp_path, inside):
    root = write_dataset(tmp_path / "d")
    data = pgc_data.load(str(root / inside))
    assert data.root == root
    assert frames(data.split("train")) == list(range(95))


def test_of_two_tables_crops_are_opened_unless_windows_are_asked_for(tmp_path):
    root = write_dataset(write_dataset(tmp_path / "d"), "windows")
    assert pgc_data.load(root).table == "crops"
    assert pgc_data.load(root, "windows").table == "windows"
    with pytest.raises(ConfigError, match="holds crops, not 'windows'"):
        pgc_data.load(root / "crops", "windows")


def test_splits_are_named_in_many_ways(tmp_path):
    data = pgc_data.load(write_dataset(tmp_path / "d"))
    assert frames(data.split("validation")) == frames(data.split("val")) == list(range(95, 115))
    with pytest.raises(
        ConfigError, match=r"unknown split 'tran'; did you mean 'train'\? \(known: test, train, val\)"
    ):
        data.split("tran")


@pytest.mark.parametrize("table", ["crops", "windows"])
@pytest.mark.parametrize("single", [False, True])
def test_frames_and_arrow_hold_the_same_rows(tmp_path, table, single):
    root = write_dataset(tmp_path / "d", table, files=2)
    if single:
        make = crop_row if table == "crops" else window_row
        rows = [make(n, "test" if n < 15 else "train" if n < 110 else "val") for n in range(130)]
        write_file(tmp_path / "s" / table / "dataset.parquet", table, rows)
        root = tmp_path / "s"
    data = pgc_data.load(root)
    assert list(data.splits.items()) == [("train", 95), ("val", 20), ("test", 15)]
    for name in data.splits:
        split = data.split(name)
        whole = split.to_polars()
        assert whole.height == len(split)
        assert set(whole["split"]) == {name}
        assert whole.equals(split.scan().collect())
        assert whole.equals(pl.DataFrame(split.to_arrow()))
        assert split.to_polars(["label", "class_id"]).columns == ["label", "class_id"]


def test_row_groups_of_one_split_are_not_searched(tmp_path, monkeypatch):
    rows = [crop_row(n, "train" if n < 25 else "val") for n in range(40)]
    write_file(tmp_path / "crops" / "dataset.parquet", "crops", rows)
    groups = pgc_data.load(tmp_path).source.splits
    assert [(g.number, g.rows, g.taken is None) for g in groups["train"]] == [
        (0, 10, True),
        (1, 10, True),
        (2, 5, False),
    ]
    assert [(g.number, g.rows, g.taken is None) for g in groups["val"]] == [(2, 5, False), (3, 10, True)]


def test_rows_of_a_split_need_not_stand_together(tmp_path):
    rows = [crop_row(n, ("train", "val", "test")[n % 3]) for n in range(40)]
    write_file(tmp_path / "crops" / "mine.parquet", "crops", rows)
    data = pgc_data.load(tmp_path)
    assert frames(data.split("val")) == list(range(1, 40, 3))
    assert data.split("val").scan().collect()["frame"].to_list() == list(range(1, 40, 3))


@pytest.mark.parametrize("single", [False, True])
def test_folds(tmp_path, single):
    splits = {f"fold-{n}": 10 for n in range(11)}
    if single:
        rows = [crop_row(n, f"fold-{n // 10}") for n in range(110)]
        write_file(tmp_path / "crops" / "dataset.parquet", "crops", rows, group_rows=25)
    else:
        write_dataset(tmp_path, splits=splits)
    data = pgc_data.load(tmp_path)
    assert list(data.splits.items()) == list(splits.items())
    fold = data.fold(10)
    assert frames(fold.split("test")) == list(range(100, 110))
    assert frames(fold.split("validation")) == list(range(10))
    assert frames(fold.split("train")) == list(range(10, 100))
    assert fold.split("train").scan().collect()["frame"].to_list() == list(range(10, 100))
    assert fold.splits == {"train": 90, "val": 10, "test": 10}
    with pytest.raises(ConfigError, match="fold 11 is none of 0 to 10"):
        data.fold(11)
    with pytest.raises(ConfigError, match="unknown split 'fold-0'"):
        fold.split("fold-0")


def test_what_has_no_folds_says_so(tmp_path):
    with pytest.raises(ConfigError, match="no folds, but the splits train, val, test"):
        pgc_data.load(write_dataset(tmp_path / "a")).fold(0)
    with pytest.raises(ConfigError, match="at least 3"):
        pgc_data.load(write_dataset(tmp_path / "b", splits={"fold-0": 3, "fold-1": 3})).fold(0)


def test_numbers_as_arrays(tmp_path):
    train = pgc_data.load(write_dataset(tmp_path / "w", "windows")).split("train")
    features = train.to_numpy("features")
    assert (features.shape, features.dtype) == ((95, 4, 3), np.float32)
    assert features[:, 2, 1].tolist() == list(range(95))
    assert train.to_numpy("usable")[:2].tolist() == [[True, True, True, False], [True, True, False, False]]
    train = pgc_data.load(write_dataset(tmp_path / "c")).split("train")
    assert train.to_numpy("class_id").tolist() == [n % 2 for n in range(95)]
    joints = train.to_numpy("landmarks")
    assert joints.shape == (95, 21, 3)
    assert np.isnan(joints[1]).all()
    assert (joints[2, :, 0] == 2).all()
    with pytest.raises(ConfigError, match="only numbers"):
        train.to_numpy("label")
    with pytest.raises(ConfigError, match="did you mean 'class_id'"):
        train.to_numpy("class_ids")


def test_an_older_version_gives_nulls_for_new_columns(tmp_path, monkeypatch):
    root = write_dataset(tmp_path / "d", splits={"train": 12})
    path = root / "crops" / "train-00000-of-00001.parquet"
    rows = pq.read_table(path)
    older = rows.drop_columns(["native_label", "landmarks"])
    _rewrite(path, older, schema_version=table_schema("crops").version - 1)
    train = pgc_data.load(root).split("train")
    assert train.to_arrow().schema.names == rows.schema.names
    assert train.to_polars(["native_label", "frame"])["native_label"].null_count() == 12
    assert train.scan().select("landmarks").collect()["landmarks"].null_count() == 12
    assert np.isnan(train.to_numpy("landmarks")).all()


def _rewrite(path, rows, **facts):
    known = json.dumps({**read_metadata(rows.schema), **facts}).encode()
    pq.write_table(rows.replace_schema_metadata({**rows.schema.metadata, METADATA_KEY: known}), path)


def _newer(path):
    _rewrite(path, pq.read_table(path), schema_version=table_schema("crops").version + 1)


def _foreign(path):
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)


def _other_type(path):
    rows = pq.read_table(path)
    at = rows.schema.names.index("class_id")
    _rewrite(path, rows.set_column(at, "class_id", rows["class_id"].cast(pa.int32())))


def _without(path):
    _rewrite(path, pq.read_table(path).drop_columns(["class_id"]))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_newer, "pip install --upgrade pgc-data"),
        (_foreign, "is not a table of crops by pgc-data"),
        (_other_type, "column 'class_id' is int32, expected int64"),
        (_without, "no column 'class_id'"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "is not a whole Parquet file"),
        (lambda path: path.write_text("hello"), "is not a whole Parquet file"),
        (lambda path: path.unlink(), "no Parquet files in"),
        (lambda path: pq.write_table(pa.table({"a": [1]}), path), "is not a table of crops"),
    ],
)
def test_what_cannot_be_read_is_explained(tmp_path, damage, message):
    root = write_dataset(tmp_path / "d", splits={"train": 12})
    damage(root / "crops" / "train-00000-of-00001.parquet")
    with pytest.raises(DataError, match=message):
        pgc_data.load(root)


def test_a_damaged_page_is_explained(tmp_path):
    root = write_dataset(tmp_path / "d", splits={"train": 200}, group_rows=200)
    path = root / "crops" / "train-00000-of-00001.parquet"
    data = bytearray(path.read_bytes())
    data[4:200] = bytes(196)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"train-00000-of-00001.parquet is not a whole Parquet file"):
        pgc_data.load(root).split("train").to_arrow()


def test_files_of_two_tables_do_not_mix(tmp_path):
    root = write_dataset(tmp_path / "d", "windows", splits={"train": 5})
    rows = pq.read_table(root / "windows" / "train-00000-of-00001.parquet")
    wide = pa.list_(pa.list_(pa.float32(), 5), 4)
    at = rows.schema.names.index("features")
    rows = rows.set_column(at, pa.field("features", wide), pa.array([[[0.0] * 5] * 4] * 5, wide))
    path = root / "windows" / "val-00000-of-00001.parquet"
    _rewrite(path, rows, sizes={"T": 4, "F": 5})
    with pytest.raises(DataError, match="has other sizes than"):
        pgc_data.load(root)


def test_unknown_columns_are_named(tmp_path):
    train = pgc_data.load(write_dataset(tmp_path / "d")).split("train")
    with pytest.raises(ConfigError, match="unknown column 'lable'; did you mean 'label'"):
        train.to_arrow(["lable"])


def test_importing_the_package_is_cheap():
    code = (
        "import sys, pgc_data; print({'polars', 'pyarrow', 'cv2', 'torch'} & set(sys.modules), pgc_data.load)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("set() <function load")
    with pytest.raises(AttributeError, match="'pgc_data' has no attribute 'lode'"):
        _ = pgc_data.lode


def test_splits_of_a_table_are_in_a_fixed_order():
    names = ["other", "fold-10", "test", "fold-2", "val", "train"]
    assert sorted(names, key=files._split_order) == ["train", "val", "test", "fold-2", "fold-10", "other"]


def test_a_table_in_a_store_is_read_alike(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    root = write_dataset(tmp_path / "d", files=2)
    store = fsspec.filesystem("memory")
    store.put(f"{root}/", "/loaders-test/d/", recursive=True)
    here, there = pgc_data.load(root), pgc_data.load("memory://loaders-test/d")
    assert here.splits == there.splits
    for name in here.splits:
        assert here.split(name).to_polars().equals(there.split(name).to_polars())
        assert here.split(name).scan().collect().equals(there.split(name).scan().collect())
