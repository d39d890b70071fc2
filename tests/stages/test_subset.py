"""`subset`: rows keep their split and group, classes are numbered anew, nothing goes uncounted."""

from __future__ import annotations

import json

import polars as pl
import pyarrow.parquet as pq
import pytest
from stages.small_datasets import crop, window, write_dataset

from pgc_data.errors import ConfigError, DataError
from pgc_data.stages import audit, subset, to_parquet
from pgc_data.stages.subset import SubsetConfig
from pgc_data.stages.to_parquet import ToParquetConfig
from pgc_data.storage import parquet, sorting
from pgc_data.storage.files import read_json, sha256_file, write_json
from pgc_data.storage.schemas import arrow_schema, read_metadata, table_schema
from pgc_data.tables import writer

PEOPLE = {"a": "train", "b": "train", "c": "val", "d": "test"}


def run(workspace, name="d", new="e", **given):
    return subset.run(SubsetConfig(workspace=workspace, name=name, as_=new, **given))


def folder(workspace, name="e"):
    return workspace / "parquet" / name


def rows(workspace, name="e", kind="crops"):
    return pl.read_parquet(folder(workspace, name) / kind / "*.parquet")


def files(workspace, name="e"):
    root = folder(workspace, name)
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*.parquet")}


@pytest.fixture
def dataset(tmp_path):
    """Four people, each with 4 crops and 4 windows of each of three classes; every second crop is small and unsure."""
    crops = [
        crop(
            person,
            10 * number + frame,
            label,
            split,
            score=0.4 + 0.5 * (frame % 2),
            width=20 + 20 * (frame % 2),
        )
        for person, split in PEOPLE.items()
        for number, label in enumerate(("still", "left", "right"), 1)
        for frame in range(4)
    ]
    windows = [
        window(person, 10 * number + frame, label, split, usable_fraction=1 - frame / 10)
        for person, split in PEOPLE.items()
        for number, label in enumerate(("still", "left", "right"), 1)
        for frame in range(4)
    ]
    write_dataset(folder(tmp_path, "d"), crops=crops, windows=windows)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "left", "reasons"),
    [
        ({"class_": ("left",)}, 16, {"other_class": 32}),
        ({"without_class": ("left",)}, 32, {"other_class": 16}),
        ({"split": ("train",)}, 24, {"other_split": 24}),
        ({"subject": ("a", "d")}, 24, {"other_subject": 24}),
        ({"without_subject": ("a",)}, 36, {"unwanted_subject": 12}),
        ({"source": ("ipn",), "min_score": 0.9}, 24, {"low_score": 24}),
        ({"dataset": ("ipn",), "min_size": 40}, 24, {"too_small": 24}),
        ({"cap": 3}, 24 + 9, {"over_cap": 15}),
        (
            {"class_": ("left", "right"), "split": ("train", "test"), "min_score": 0.5},
            12,
            {"other_class": 16, "other_split": 8, "low_score": 12},
        ),
    ],
)
def test_rows_are_taken_or_counted(dataset, given, left, reasons):
    table = run(dataset, table=("crops",), **given).tables["crops"]
    found, before = rows(dataset), rows(dataset, "d")
    assert found.height == sum(table["rows"].values()) == left
    dropped = {}
    for row in table["dropped"]:
        dropped[row["reason"]] = dropped.get(row["reason"], 0) + row["count"]
    assert dropped == reasons
    assert left + sum(reasons.values()) == before.height == table["parents"][0]["rows"]
    ledger = pl.read_parquet(folder(dataset) / "ledger" / "crops.parquet")
    assert ledger["count"].sum() == sum(reasons.values())
    assert set(ledger["stage"]) == {"subset"}
    # Nothing of a row changes but its class number, where classes are chosen.
    same = [name for name in before.columns if name != "class_id"]
    key = ["image_path"]
    assert (
        found.select(same)
        .sort(key)
        .equals(
            before.select(same).filter(pl.col("image_path").is_in(found["image_path"].to_list())).sort(key)
        )
    )


def test_windows_have_a_quality_of_their_own(dataset):
    table = run(dataset, table=("windows",), min_usable=0.85).tables["windows"]
    assert rows(dataset, kind="windows")["usable_fraction"].min() == pytest.approx(0.9)
    assert sum(table["rows"].values()) == 24
    both = run(dataset, new="f", min_usable=0.85, min_score=0.9).tables
    assert [sum(both[kind]["rows"].values()) for kind in ("crops", "windows")] == [24, 24]
    assert both["crops"]["parents"][0]["filters"] == {"min_score": 0.9}
    assert both["windows"]["parents"][0]["filters"] == {"min_usable": 0.85}


def test_classes_left_are_numbered_anew(dataset):
    table = run(dataset, class_=("right", "left"), table=("crops",)).tables["crops"]
    assert table["classes"] == ["left", "right"]
    assert table["parents"][0]["class_ids"] == {"still": -1, "left": 0, "right": 1}
    assert table["static"] == []
    assert dict(rows(dataset).select("class_id", "label").unique().rows()) == {0: "left", 1: "right"}
    schema = pq.read_schema(next(folder(dataset).glob("crops/*.parquet")))
    assert read_metadata(schema)["classes"] == ["left", "right"]
    assert read_metadata(schema)["flip"] == [["left", "right"]]
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features["class_id"]["names"] == ["left", "right"]
    assert "its classes are numbered anew" in (folder(dataset) / "README.md").read_text()
    whole = run(dataset, new="f", split=("train",)).tables["crops"]
    assert (whole["classes"], whole["parents"][0]["class_ids"]) == (["still", "left", "right"], None)
    alone = run(dataset, new="g", class_=("left",), table=("crops",)).tables["crops"]
    assert alone["classes"] == ["left"]
    schema = pq.read_schema(next(folder(dataset, "g").glob("crops/*.parquet")))
    # Flipped, it would be a class that is not there: `flip_permutation` refuses that.
    assert read_metadata(schema)["flip"] == [["left", "right"]]


def test_a_subset_says_where_it_comes_from_and_does_not_leak(dataset):
    summary = run(dataset, without_subject=("b",), min_score=0.5)
    table = summary.tables["crops"]
    parent = table["parents"][0]
    assert parent["name"] == "d"
    assert parent["manifest_sha256"] == sha256_file(folder(dataset, "d") / "manifest.json")
    assert (
        parent["fingerprint"]
        == read_json(folder(dataset, "d") / "manifest.json")["tables"]["crops"]["fingerprint"]
    )
    assert parent["filters"] == {"min_score": 0.5, "without_subjects": ["b"]}
    stored = read_metadata(pq.read_schema(next(folder(dataset).glob("crops/*.parquet"))))
    assert {**stored["parents"][0], "manifest_sha256": parent["manifest_sha256"]} == parent
    assert stored["feature_schema"] == {"name": "f"}
    card = (folder(dataset) / "README.md").read_text()
    assert "subset of d, 48 rows: without subjects b; min score 0.5" in card
    assert any("subset of d, 48 rows" in line for line in summary.lines())
    lock = pl.read_parquet(folder(dataset) / "splits.parquet")
    assert dict(lock.select("group_id", "split").rows()) == {
        "ipn:a": "train", "ipn:c": "val", "ipn:d": "test",
    }  # fmt: skip
    found = audit.run(audit.AuditConfig(workspace=dataset, path="e"))
    assert found.exit_code == 0
    grandchild = run(dataset, "e", "f", class_=("left",)).tables["crops"]
    assert grandchild["parents"][0]["parents"][0]["name"] == "d"


def test_one_split_alone_has_its_whole_share(dataset):
    table = run(dataset, split=("train", "test"), table=("crops",)).tables["crops"]
    assert table["splits"] == ["train", "test"]
    assert table["ratios"] == pytest.approx([0.7 / 0.85, 0.15 / 0.85])
    assert table["worst"] == pytest.approx(100 * (0.7 / 0.85 - 2 / 3))
    alone = run(dataset, new="f", split=("val",), table=("crops",)).tables["crops"]
    assert (alone["ratios"], alone["worst"], alone["unmet"]) == ([1.0], 0.0, [])


def test_the_same_again_is_up_to_date_and_other_settings_need_overwrite(dataset):
    run(dataset, class_=("left",))
    before = files(dataset)
    again = run(dataset, class_=("left",))
    assert (again.fresh, files(dataset)) == ((), before)
    with pytest.raises(DataError, match="with other settings: pass --overwrite"):
        run(dataset, class_=("right",))
    assert files(dataset) == before
    run(dataset, class_=("right",), table=("crops",), overwrite=True)
    assert set(rows(dataset)["label"]) == {"right"}
    assert not (folder(dataset) / "windows").exists()
    assert set(read_json(folder(dataset) / "manifest.json")["tables"]) == {"crops"}
    run(dataset, new="f", class_=("right",), table=("crops",))
    assert files(dataset) == files(dataset, "f")
    manifests = [read_json(folder(dataset, name) / "manifest.json") for name in "ef"]
    assert manifests[0]["tables"] == manifests[1]["tables"]


def test_a_table_that_is_gone_is_made_again(dataset):
    run(dataset, class_=("left",))
    before = files(dataset)
    next((folder(dataset) / "windows").glob("train*")).unlink()
    assert run(dataset, class_=("left",)).fresh == ("windows",)
    assert files(dataset) == before


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"class_": ("lfet",)}, ConfigError, "unknown class of d 'lfet'; did you mean 'left'"),
        ({"subject": ("x",)}, ConfigError, r"unknown subject of d 'x' \(known: a, b, c, d\)"),
        ({"source": ("inp",)}, ConfigError, "unknown source of d 'inp'; did you mean 'ipn'"),
        ({"dataset": ("jester",)}, ConfigError, "unknown dataset of d 'jester'"),
        ({"split": ("trian",)}, ConfigError, "did you mean 'train'"),
        ({"class_": ("left",), "without_class": ("left",)}, ConfigError, "no class of crops is left"),
        ({}, ConfigError, "nothing to choose by"),
        ({"new": "d", "split": ("val",)}, ConfigError, "never changed in place"),
        ({"new": "../x", "split": ("val",)}, ConfigError, "cannot be a folder name"),
        ({"min_usable": 0.5, "table": ("crops",)}, ConfigError, "--min-usable is for windows"),
        ({"cap": 3, "split": ("val",)}, ConfigError, "--cap is for train, and there is but val"),
        (
            {"subject": ("a",), "split": ("val",)},
            DataError,
            r"nothing is left of 48 crops \(left out: other_s",
        ),
        ({"name": "x", "split": ("val",)}, DataError, "no dataset in .*x: manifest.json is missing"),
    ],
)
def test_what_cannot_be_done_is_said(dataset, given, error, message):
    with pytest.raises(error, match=message):
        run(dataset, **given)
    assert not (folder(dataset) / "manifest.json").exists()


def test_rows_without_a_person_are_not_those_of_anybody(tmp_path):
    crops = [crop("a", 1, "left", "train"), crop("u", 2, "left", "test", subject=None)]
    write_dataset(folder(tmp_path, "d"), crops=crops)
    assert run(tmp_path, subject=("a",)).tables["crops"]["rows"] == {"train": 1, "val": 0, "test": 0}
    assert run(tmp_path, new="f", without_subject=("a",)).tables["crops"]["rows"]["test"] == 1


def test_sources_without_rows_are_not_named(tmp_path):
    crops = [crop("a", 1, "left", "train"), crop("b", 2, "left", "train", dataset="jester")]
    write_dataset(folder(tmp_path, "d"), crops=crops, unverified=["jester"])
    table = run(tmp_path, dataset=("ipn",)).tables["crops"]
    assert [source["name"] for source in table["sources"]] == ["ipn"]
    assert table["unverified"] == []
    assert table["origins"]["left"] == {"ipn": 1}


def test_folds_and_single_files_stay_what_they_are(tmp_path):
    names = ("fold-0", "fold-1", "fold-2")
    crops = [crop(f"p{n}", 1 + f, "left", names[n % 3]) for n in range(6) for f in range(3)]
    write_dataset(folder(tmp_path, "d"), crops=crops, names=names, single_file=True)
    table = run(tmp_path, without_subject=("p0",)).tables["crops"]
    assert table["rows"] == {"fold-0": 3, "fold-1": 6, "fold-2": 6}
    assert [p.name for p in (folder(tmp_path) / "crops").iterdir()] == ["dataset.parquet"]
    assert rows(tmp_path)["split"].rle().struct.field("value").to_list() == list(names)
    with pytest.raises(ConfigError, match="--cap is for train"):
        run(tmp_path, new="f", cap=2)


@pytest.fixture
def written(extracted):
    """`d`: crops and windows as `to-parquet` writes them, 480 crops of six people."""
    config = ToParquetConfig(
        workspace=extracted, datasets=("ipn",), vocabulary="pointing", name="d", near_duplicates="keep",
        table=("crops", "windows"),
    )  # fmt: skip
    to_parquet.run(config)
    return extracted


def test_what_to_parquet_wrote_can_be_taken(written):
    tables = run(written, class_=("pointing",), without_subject=("1CM1_0",)).tables
    crops = rows(written)
    assert set(crops["label"]) == {"pointing"}
    assert set(crops["class_id"]) == {0}
    assert crops["subject_id"].n_unique() == 5
    splits = dict(rows(written, "d").select("group_id", "split").unique().rows())
    assert set(crops.select("group_id", "split").unique().rows()) == set(splits.items()) - {
        ("ipn:1CM1_0", splits["ipn:1CM1_0"])
    }
    assert (
        tables["windows"]["settings"]
        == read_json(folder(written, "d") / "manifest.json")["tables"]["windows"]["settings"]
    )


def test_to_parquet_does_not_write_over_a_subset(written):
    run(written, class_=("pointing",))
    before = files(written)
    config = ToParquetConfig(
        workspace=written, datasets=("ipn",), vocabulary="pointing", name="e", near_duplicates="keep"
    )
    with pytest.raises(DataError, match=r"was written by `pgc-data subset`: write to another --name"):
        to_parquet.run(config)
    assert files(written) == before


def test_what_to_parquet_wrote_is_never_overwritten(written):
    config = ToParquetConfig(
        workspace=written, datasets=("ipn",), vocabulary="pointing", name="e", near_duplicates="keep"
    )
    to_parquet.run(config)
    before = files(written)
    with pytest.raises(DataError, match="was not made by merge or subset and stays as it is"):
        run(written, class_=("pointing",), overwrite=True)
    assert files(written) == before


def test_the_layout_of_pgc_has_no_groups_to_take(written):
    config = ToParquetConfig(
        workspace=written,
        datasets=("ipn",),
        vocabulary="pointing",
        name="p",
        layout="pgc",
        near_duplicates="keep",
    )
    to_parquet.run(config)
    with pytest.raises(DataError, match="layout of PGC only, whose rows do not say their group"):
        run(written, "p", class_=("pointing",))


@pytest.mark.parametrize("stop_at", [0, 1, 2])
def test_a_run_stopped_between_files_goes_on_where_it_was(written, monkeypatch, stop_at):
    monkeypatch.setattr(writer, "FILE_BYTES", 50_000)
    monkeypatch.setattr(sorting.SortedRows.__init__, "__defaults__", (10_000,))
    given = {"without_subject": ("1CM1_0",), "table": ("crops",)}
    run(written, **given)
    whole, done = writer.OrderedWriter._write_file, []

    def stopping(self, path, *rest):
        if len(done) == stop_at:
            raise KeyboardInterrupt
        done.append(path.name)
        return whole(self, path, *rest)

    monkeypatch.setattr(writer.OrderedWriter, "_write_file", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(written, new="f", **given)
    assert not (folder(written, "f") / "manifest.json").exists()
    again = []
    monkeypatch.setattr(
        writer.OrderedWriter, "_write_file", lambda self, *a: again.append(a[0].name) or whole(self, *a)
    )
    run(written, new="f", **given)
    assert not set(again) & set(done)
    assert files(written, "f") == files(written)


def test_row_groups_without_a_row_wanted_are_not_read(written, monkeypatch):
    monkeypatch.setattr(parquet, "IMAGE_GROUP_ROWS", 20)
    config = ToParquetConfig(
        workspace=written,
        datasets=("ipn",),
        vocabulary="pointing",
        name="s",
        near_duplicates="keep",
        ratios=(1, 0, 0),
    )
    to_parquet.run(config)
    seen = []
    whole = pq.ParquetFile.read_row_group

    def counting(self, group, columns=None, **rest):
        seen.append(columns)
        return whole(self, group, columns=columns, **rest)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counting)
    run(written, "s", "f", class_=("pointing",))
    # And the lock.
    assert seen.count(None) == 12 + 1


@pytest.mark.parametrize("spoil", ["cut", "other", "gone", "old"])
def test_a_dataset_that_is_not_whole_is_refused(dataset, spoil):
    root = folder(dataset, "d")
    path = next((root / "crops").glob("train*"))
    manifest = read_json(root / "manifest.json")
    if spoil == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif spoil == "gone":
        path.unlink()
    else:
        if spoil == "other":
            manifest["tables"]["crops"]["fingerprint"] = "another"
        else:
            del manifest["tables"]["crops"]["classes"]
        write_json(root / "manifest.json", manifest)
    with pytest.raises(DataError, match="run the command that wrote it again"):
        run(dataset, class_=("left",))


def test_a_folder_of_strange_files_is_no_dataset(tmp_path):
    (folder(tmp_path, "d") / "crops").mkdir(parents=True)
    pl.DataFrame({"x": [1]}).write_parquet(folder(tmp_path, "d") / "crops" / "a.parquet")
    with pytest.raises(DataError, match=r"manifest\.json is missing"):
        run(tmp_path, split=("train",))


def test_tables_of_an_older_version_are_taken(dataset):
    """As version 1 was: no times, and a manifest that says less."""
    root = folder(dataset, "d")
    manifest = read_json(root / "manifest.json")
    for path in (root / "crops").iterdir():
        table = pq.read_table(path).drop_columns("timestamp_s")
        facts = json.loads(table.schema.metadata[b"pgc_data"])
        facts["schema_version"] = 1
        table = table.replace_schema_metadata({b"pgc_data": json.dumps(facts).encode()})
        pq.write_table(table, path)
        for file in manifest["files"]:
            if file["path"] == f"crops/{path.name}":
                file.update(bytes=path.stat().st_size, sha256=sha256_file(path))
    for name in ("splits", "single_file", "joined", "folds", "stratify", "near_duplicates"):
        del manifest["tables"]["crops"][name]
    write_json(root / "manifest.json", manifest)
    table = run(dataset, class_=("left",), table=("crops",)).tables["crops"]
    assert sum(table["rows"].values()) == 16
    assert rows(dataset)["timestamp_s"].null_count() == 16
    stored = pq.read_schema(next(folder(dataset).glob("crops/*.parquet")))
    assert stored.names == arrow_schema("crops").names
    assert read_metadata(stored)["schema_version"] == table_schema("crops").version > 1
    assert run(dataset, class_=("left",), table=("crops",)).fresh == ()


def test_groups_that_the_lock_has_outgrown_are_found_again(tmp_path):
    """Crops know person a; the lock, extended for later windows, knows a and b as one."""
    crops = [crop("a", 1, "left", "train"), crop("c", 2, "left", "test")]
    windows = [window(p, 1, "left", "train", group="ipn:a+b", video=f"v{p}") for p in "ab"] + [
        window("c", 2, "left", "test")
    ]
    root = write_dataset(folder(tmp_path, "d"), crops=crops, windows=windows, groups={"ipn:a+b": ["a", "b"]})
    lock = pl.read_parquet(root / "splits.parquet")
    schema = pq.read_schema(root / "splits.parquet")
    pq.write_table(
        lock.filter(pl.col("group_id") != "ipn:a").to_arrow().cast(schema), root / "splits.parquet"
    )
    run(tmp_path, class_=("left",))
    assert set(rows(tmp_path)["group_id"]) == {"ipn:a+b", "ipn:c"}
    found = pl.read_parquet(folder(tmp_path) / "splits.parquet")
    assert found.filter(pl.col("group_id") == "ipn:a+b")["members"].to_list() == [["a", "b"]]


def test_a_parent_written_anew_meanwhile_is_noticed(dataset, monkeypatch):
    whole = writer.OrderedWriter.write

    def meddling(self, *args):
        manifest = folder(dataset, "d") / "manifest.json"
        manifest.write_text(manifest.read_text() + " ")
        whole(self, *args)

    monkeypatch.setattr(writer.OrderedWriter, "write", meddling)
    with pytest.raises(DataError, match="was written anew while it was read"):
        run(dataset, class_=("left",))
    assert not (folder(dataset) / "crops").exists()


def test_the_command_line(dataset, cli):
    words = ["subset", "d", "--as", "e", "--class", "left", "--class", "right", "--workspace", dataset]
    planned = cli(*words, "--dry-run")
    assert planned.exit_code == 0, planned.output
    assert f"would write  {folder(dataset)}/crops" in planned.output
    assert not (folder(dataset)).exists()
    result = cli(*words, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["tables"]["crops"]["classes"] == ["left", "right"]
    assert "none: everything is up to date" in cli(*words, "--dry-run").output
    text = cli(*words).output
    assert "up to date, nothing redone" in text
    assert "48 rows = 32 rows + 16 dropped" in text
