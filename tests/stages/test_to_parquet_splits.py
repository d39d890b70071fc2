"""How `to-parquet` splits and lays out its tables: folds, further columns, single files, row order, resuming."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

import pgc_data
from pgc_data.errors import ConfigError, DataError
from pgc_data.stages import to_parquet
from pgc_data.stages.to_parquet import ToParquetConfig
from pgc_data.storage import parquet, sorting
from pgc_data.storage.files import sha256_file
from pgc_data.storage.parquet import read_table, write_table
from pgc_data.storage.schemas import read_metadata
from pgc_data.tables import writer


def run(workspace, **settings):
    given = {
        "datasets": ("ipn",),
        "vocabulary": "pointing",
        "name": "d",
        "near_duplicates": "keep",
        **settings,
    }
    return to_parquet.run(ToParquetConfig(workspace=workspace, **given))


def folder(workspace, name="d"):
    return workspace / "parquet" / name


def rows(workspace, kind="crops", name="d"):
    return pl.read_parquet(folder(workspace, name) / kind / "*.parquet")


def contents(workspace):
    return {path: path.read_bytes() for path in folder(workspace).rglob("*") if path.is_file()}


def files(workspace, name="d"):
    root = folder(workspace, name)
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*.parquet")}


def test_folds_hold_every_person_once_and_every_class(extracted):
    table = run(extracted, split="folds", folds=3, table=("crops", "windows")).tables["crops"]
    crops = rows(extracted)
    assert crops.group_by("subject_id").agg(pl.col("split").n_unique())["split"].to_list() == [1] * 6
    assert crops.group_by("split").agg(pl.col("label").n_unique()).sort("split").rows() == [
        ("fold-0", 2), ("fold-1", 2), ("fold-2", 2),
    ]  # fmt: skip
    assert table["rows"] == {"fold-0": 160, "fold-1": 160, "fold-2": 160}
    assert sorted(p.name for p in (folder(extracted) / "crops").iterdir()) == [
        f"fold-{number}-00000-of-00001.parquet" for number in range(3)
    ]
    windows = dict(rows(extracted, "windows").select("subject_id", "split").unique().rows())
    assert windows == dict(crops.select("subject_id", "split").unique().rows())
    card = (folder(extracted) / "README.md").read_text()
    assert "split: fold_2\n    path: crops/fold-2-*.parquet" in card


def test_each_person_can_be_left_out(extracted):
    run(extracted, split="leave-one-out")
    found = rows(extracted).select("subject_id", "split").unique().sort("subject_id")
    assert found["split"].to_list() == [f"fold-{number}" for number in range(6)]
    assert run(extracted, split="leave-one-out").fresh == ()


def test_a_fold_for_each_of_too_few_people_is_refused(extracted):
    with pytest.raises(DataError, match="6 groups cannot make 10 folds: ask for fewer"):
        run(extracted, split="folds", folds=10)
    with pytest.raises(
        DataError, match=r"made by --split group --ratios .* asked for is --split folds --folds 2"
    ):
        run(extracted)
        run(extracted, split="folds", folds=2, overwrite=True)


def test_a_person_keeps_the_fold_in_tables_of_fewer_and_of_more_people(extracted, second_source):
    second_source([f"4CM11_{number}" for number in range(6)])
    both = {"split": "leave-one-out", "datasets": ("ipn", "two")}

    def folds_of(kind):
        return dict(rows(extracted, kind).select("subject_id", "split").unique().rows())

    run(extracted, split="leave-one-out", datasets=("two",))
    first = folds_of("crops")
    table = run(extracted, **both, overwrite=True).tables["crops"]
    every = folds_of("crops")
    assert every.items() > first.items()
    assert set(every.values()) == set(table["splits"]) == {f"fold-{number}" for number in range(12)}
    run(extracted, split="leave-one-out", table=("windows",))
    windows = folds_of("windows")
    assert windows.items() < every.items()
    data = pgc_data.load(folder(extracted), "windows")
    assert data.folds == 12
    number = int(windows["1CM1_0"].removeprefix("fold-"))
    assert set(data.fold(number).split("test").to_polars()["subject_id"]) == {"1CM1_0"}
    assert len(data.fold(0).split("test")) == 0
    assert data.fold(0).split("test").scan().collect().shape == (0, len(data.schema))


def test_a_new_person_does_not_get_the_fold_of_one_who_is_not_shown(extracted, second_source):
    second_source(["4CM11_1"], "two")
    second_source(["4CM11_2"], "three")
    run(extracted, split="leave-one-out", datasets=("ipn", "two"))
    run(extracted, split="leave-one-out", datasets=("ipn", "three"), overwrite=True)
    lock = pl.read_parquet(folder(extracted) / "splits.parquet")
    assert (lock.height, lock["split"].n_unique()) == (8, 8)


def test_a_new_split_that_cannot_be_made_leaves_everything_as_it_was(extracted):
    run(extracted, table=("crops", "windows"))
    before = contents(extracted)
    with pytest.raises(DataError, match="6 groups cannot make 10 folds"):
        run(extracted, table=("crops", "windows"), split="folds", folds=10, new_split=True)
    with pytest.raises(DataError, match="is missing"):
        run(extracted, table=("crops", "windows"), new_split=True, lock=extracted / "none.parquet")
    assert contents(extracted) == before


@pytest.mark.parametrize("stop_at", ["crops", "windows"])
def test_a_new_split_stopped_between_tables_leaves_none_with_the_old_one(extracted, monkeypatch, stop_at):
    """The settings are the same, but for a lock that the first split kept to."""
    run(extracted, split="group", ratios=(1, 0, 0), name="e")
    run(extracted, table=("crops", "windows"))
    lock = folder(extracted) / "splits.parquet"
    table = read_table(lock, "splits")
    turned = pl.DataFrame(table).with_columns(split=pl.col("split").reverse()).to_arrow().cast(table.schema)
    write_table(lock, turned, "splits", read_metadata(table.schema))
    for kind in ("crops", "windows"):
        shutil.rmtree(folder(extracted) / kind)
    run(extracted, table=("crops", "windows"), overwrite=True)
    before = dict(rows(extracted).select("subject_id", "split").unique().rows())
    publish = writer.OrderedWriter._publish

    def stopping(self, names):
        if self._folder.name == stop_at:
            raise KeyboardInterrupt
        publish(self, names)

    monkeypatch.setattr(writer.OrderedWriter, "_publish", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(extracted, table=("crops", "windows"), new_split=True)
    monkeypatch.setattr(writer.OrderedWriter, "_publish", publish)
    assert run(extracted, table=("crops", "windows")).fresh[-1] == "windows"
    now = dict(rows(extracted).select("subject_id", "split").unique().rows())
    assert now != before
    assert dict(rows(extracted, "windows").select("subject_id", "split").unique().rows()) == now
    run(extracted, name="f", table=("crops", "windows"))
    assert files(extracted) == files(extracted, "f")


def test_a_table_cannot_be_left_with_another_split(extracted):
    run(extracted)
    run(extracted, layout="pgc")
    with pytest.raises(ConfigError, match=r"--new-split would leave pgc with the old split: remove .*d/pgc"):
        run(extracted, new_split=True)
    shutil.rmtree(folder(extracted) / "pgc")
    tables = run(extracted, new_split=True, seed=1).tables
    assert list(tables) == ["crops"]
    named = [file["path"] for file in json.loads((folder(extracted) / "manifest.json").read_text())["files"]]
    assert not [path for path in named if "pgc" in path]
    (folder(extracted) / "splits.parquet").unlink()
    with pytest.raises(
        ConfigError, match=r"there is no .*splits.parquet.* add --table crops and --new-split"
    ):
        run(extracted, table=("windows",))


def test_the_dataset_s_own_lock_cannot_be_named(extracted):
    run(extracted)
    with pytest.raises(ConfigError, match="is the dataset's own, which is kept anyway: leave it out"):
        run(extracted, new_split=True, lock=folder(extracted) / "." / "splits.parquet")


def test_the_card_loads_what_is_there(extracted):
    for settings in ({}, {"split": "folds", "folds": 2}, {"single_file": True}, {"layout": "pgc"}):
        run(extracted, new_split=True, **settings)
        pattern = re.search(r'scan_parquet\("d/(.*?)"\)', (folder(extracted) / "README.md").read_text())[1]
        assert list(folder(extracted).glob(pattern))
        for kind in ("crops", "pgc"):
            shutil.rmtree(folder(extracted) / kind, ignore_errors=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"folds": 4}, "--folds does not go with --split group"),
        ({"split": "folds", "ratios": (0.8, 0.1, 0.1)}, "--ratios does not go with --split folds"),
        ({"split": "leave-one-out", "cap": 5}, "--cap does not go with --split leave-one-out"),
        ({"layout": "pgc", "table": ("windows",)}, "--layout pgc is for crops"),
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        run(tmp_path, **settings)


def test_tables_written_together_are_balanced_together(extracted):
    """Windows of a class need not be spread as its crops are."""
    tables = run(
        extracted, vocabulary="maestro10", table=("crops", "windows"), ratios=(0.5, 0.25, 0.25)
    ).tables
    assert tables["windows"]["worst"] < 10
    assert tables["crops"]["worst"] < 10


def test_a_further_column_is_shared_evenly(extracted, monkeypatch):
    seen = []
    whole = to_parquet.build_tables.__globals__["assign"]

    def spy(counts, *rest):
        seen.append(counts.shape[1])
        return whole(counts, *rest)

    monkeypatch.setitem(to_parquet.build_tables.__globals__, "assign", spy)
    run(extracted)
    run(extracted, name="e", stratify=("native_label", "handedness"), table=("crops", "windows"))
    # Two classes and their sum; then the same of both tables, with three labels and one side each.
    assert seen == [3, 2 * (3 + 3 + 1)]
    assert rows(extracted, name="e")["native_label"].n_unique() == 3


def test_one_file_holds_every_split_in_order(extracted):
    table = run(extracted, single_file=True, table=("crops", "windows")).tables["crops"]
    path = folder(extracted) / "crops" / "dataset.parquet"
    found = pl.read_parquet(path)
    assert found["split"].rle().struct.field("value").to_list() == ["train", "val", "test"]
    assert dict(found["split"].value_counts().rows()) == table["rows"]
    assert "path: crops/dataset.parquet" in (folder(extracted) / "README.md").read_text()
    with pytest.raises(DataError, match="with other settings"):
        run(extracted)


def test_the_layout_of_pgc_is_exactly_its_columns(extracted):
    run(extracted, layout="pgc")
    path = folder(extracted) / "pgc" / "dataset.parquet"
    schema = pq.read_schema(path)
    assert [(f.name, str(f.type)) for f in schema] == [
        ("split", "string"), ("label", "string"), ("class_id", "int64"), ("image_path", "string"),
        ("source", "string"), ("image_bytes", "binary"),
    ]  # fmt: skip
    found = pl.read_parquet(path)
    assert dict(found.select("class_id", "label").unique().rows()) == {0: "not_pointing", 1: "pointing"}
    assert found["image_bytes"].bin.starts_with(b"\x89PNG").all()
    run(extracted)
    ours = rows(extracted)
    assert found["image_path"].sort().to_list() == ours["image_path"].sort().to_list()
    assert dict(found.select("image_path", "split").rows()) == dict(ours.select("image_path", "split").rows())


def test_a_class_or_a_person_can_be_read_by_the_statistics_of_row_groups(extracted, monkeypatch):
    monkeypatch.setattr(parquet, "IMAGE_GROUP_ROWS", 20)
    run(extracted, ratios=(1, 0, 0))
    file = pq.ParquetFile(next((folder(extracted) / "crops").glob("train-*")))
    names = file.schema_arrow.names

    def groups_with(column, value):
        at = next(i for i in range(file.metadata.num_columns) if file.schema.column(i).path == column)
        found = (file.metadata.row_group(g).column(at).statistics for g in range(file.num_row_groups))
        return sum(s.min <= value <= s.max for s in found)

    assert {"class_id", "subject_id"} <= set(names)
    assert file.num_row_groups == 24
    assert groups_with("class_id", 1) == 12
    assert groups_with("subject_id", "1CM1_3") <= 2 * 3
    order = [file.read_row_group(g, ["class_id"])["class_id"][0].as_py() for g in range(24)]
    assert order != sorted(order)


def test_equal_tables_whether_or_not_rows_were_kept_in_files(extracted, monkeypatch):
    run(extracted, table=("crops", "windows"))
    monkeypatch.setattr(sorting.SortedRows.__init__, "__defaults__", (10_000,))
    run(extracted, name="e", table=("crops", "windows"))
    assert files(extracted) == files(extracted, "e")
    assert not list(folder(extracted, "e").glob(".*.incomplete"))


@pytest.mark.parametrize("stop_at", [0, 1, 2])
def test_a_run_stopped_between_files_goes_on_where_it_was(extracted, monkeypatch, stop_at):
    monkeypatch.setattr(writer, "FILE_BYTES", 150_000)
    run(extracted)
    monkeypatch.setattr(sorting.SortedRows.__init__, "__defaults__", (10_000,))
    whole, written, taken = writer.OrderedWriter._write_file, [], []
    rows_of = to_parquet.CropsBuilder.rows

    def stopping(self, path, *rest):
        if len(written) == stop_at:
            raise KeyboardInterrupt
        written.append(path.name)
        return whole(self, path, *rest)

    def counting(self, *args):
        taken.append(args[1])
        return rows_of(self, *args)

    monkeypatch.setattr(writer.OrderedWriter, "_write_file", stopping)
    monkeypatch.setattr(to_parquet.CropsBuilder, "rows", counting)
    with pytest.raises(KeyboardInterrupt):
        run(extracted, name="e")
    assert len(taken) == 3
    monkeypatch.setattr(writer.OrderedWriter, "_write_file", whole)
    again = []
    monkeypatch.setattr(
        writer.OrderedWriter, "_write_file", lambda self, *a: again.append(a[0].name) or whole(self, *a)
    )
    run(extracted, name="e")
    assert len(taken) == 3
    assert not set(again) & set(written)
    assert files(extracted) == files(extracted, "e")
    assert not list(folder(extracted, "e").glob(".*.incomplete"))


def test_what_a_run_with_other_settings_left_is_not_taken_up(extracted, monkeypatch):
    monkeypatch.setattr(sorting.SortedRows.__init__, "__defaults__", (10_000,))
    whole = writer.OrderedWriter._write_file
    monkeypatch.setattr(
        writer.OrderedWriter, "_write_file", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        run(extracted, min_size=20)
    monkeypatch.setattr(writer.OrderedWriter, "_write_file", whole)
    run(extracted)
    run(extracted, name="e")
    assert files(extracted) == files(extracted, "e")


def test_a_file_that_is_not_what_was_written_is_noticed(extracted, monkeypatch):
    whole = parquet.TableWriter.__exit__

    def damaging(self, *error):
        whole(self, *error)
        if self._path.name.startswith("val"):
            data = bytearray(self._path.read_bytes())
            data[len(data) // 2] ^= 1
            self._path.write_bytes(bytes(data))

    monkeypatch.setattr(parquet.TableWriter, "__exit__", damaging)
    with pytest.raises(
        DataError, match=r"val-00000.parquet does not hold what was written to it: check the disk"
    ):
        run(extracted)
    assert not (folder(extracted) / "crops").exists()


def test_the_manifest_knows_the_hashes_of_files_without_reading_them_again(extracted, monkeypatch):
    run(extracted)
    hashed = []

    def spy(path):
        hashed.append(path.name)
        return sha256_file(path)

    monkeypatch.setattr("pgc_data.tables.manifest.sha256_file", spy)
    run(extracted, table=("crops", "windows"))
    assert not [name for name in hashed if "-of-" in name]
    manifest = json.loads((folder(extracted) / "manifest.json").read_text())
    for file in manifest["files"]:
        assert file["sha256"] == sha256_file(folder(extracted) / file["path"])
    assert sum(file["rows"] for file in manifest["files"] if file["path"].startswith("crops/")) == 480


def test_times_of_crops_are_those_of_their_frames(extracted):
    run(extracted)
    crops = rows(extracted)
    np.testing.assert_allclose(crops["timestamp_s"], (crops["frame"] - 1) / 30)


def test_a_file_damaged_since_a_run_was_stopped_is_written_anew(extracted, monkeypatch):
    monkeypatch.setattr(writer, "FILE_BYTES", 150_000)
    run(extracted)
    monkeypatch.setattr(sorting.SortedRows.__init__, "__defaults__", (10_000,))
    whole = writer.OrderedWriter._write_file

    def stopping(self, path, *rest):
        if path.name.startswith("val"):
            raise KeyboardInterrupt
        return whole(self, path, *rest)

    monkeypatch.setattr(writer.OrderedWriter, "_write_file", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(extracted, name="e")
    monkeypatch.setattr(writer.OrderedWriter, "_write_file", whole)
    first = folder(extracted, "e") / ".crops.incomplete" / "train-00000.parquet"
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 1
    first.write_bytes(bytes(data))
    run(extracted, name="e")
    assert files(extracted) == files(extracted, "e")
