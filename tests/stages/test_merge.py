"""`merge`: one group a person, none in two splits, no row twice, nothing uncounted."""

from __future__ import annotations

import json
from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stages.small_datasets import crop, window, write_dataset

from pgc_data.audits.audit import audit_target
from pgc_data.audits.targets import find_target
from pgc_data.errors import ConfigError, DataError
from pgc_data.stages import merge, subset, to_parquet
from pgc_data.stages.merge import MergeConfig
from pgc_data.stages.subset import SubsetConfig
from pgc_data.stages.to_parquet import ToParquetConfig
from pgc_data.storage import sorting
from pgc_data.storage.files import read_json, sha256_file, write_json
from pgc_data.tables import writer

SPLITS = ("train", "val", "test")


def run(workspace, *names, new="m", **given):
    return merge.run(MergeConfig(workspace=workspace, parents=names or ("a", "b"), as_=new, **given))


def folder(workspace, name="m"):
    return workspace / "parquet" / name


def rows(workspace, name="m", kind="crops"):
    return pl.read_parquet(folder(workspace, name) / kind / "*.parquet")


def files(workspace, name="m"):
    root = folder(workspace, name)
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*.parquet")}


def write(workspace, name, crops=None, windows=None, **given):
    return write_dataset(folder(workspace, name), crops=crops, windows=windows, **given)


def dropped(table):
    found = Counter()
    for row in table["dropped"]:
        found[row["reason"], row["detail"]] += row["count"]
    return dict(found)


def people(**splits):
    return [crop(p, f, "left", split) for p, split in splits.items() for f in range(1, 4)]


def leaks(workspace, name="m"):
    return audit_target(find_target(folder(workspace, name))).verdict in {"leak", "damage"}


def test_datasets_of_different_people_are_put_together(tmp_path):
    write(tmp_path, "a", people(p="train", q="test"))
    write(tmp_path, "b", people(r="train", s="val"))
    summary = run(tmp_path)
    table = summary.tables["crops"]
    assert table["rows"] == {"train": 6, "val": 3, "test": 3}
    assert table["groups"] == {"train": 2, "val": 1, "test": 1}
    assert table["dropped"] == []
    key = ["image_path"]
    both = pl.concat([rows(tmp_path, "a"), rows(tmp_path, "b")])
    assert rows(tmp_path).sort(key).equals(both.sort(key))
    parents = table["parents"]
    assert [p["name"] for p in parents] == ["a", "b"]
    assert parents[1]["manifest_sha256"] == sha256_file(folder(tmp_path, "b") / "manifest.json")
    assert table["worst"] == pytest.approx(100 * (0.7 - 0.5))
    card = (folder(tmp_path) / "README.md").read_text()
    assert "merge of a, 6 rows" in card
    assert "of 12 rows compared none showed what a row of another split shows" in card
    assert any("merge of b, 6 rows" in line for line in summary.lines())
    assert not leaks(tmp_path)


def test_what_was_parted_is_whole_again(extracted):
    """Byte for byte, but for what the files say of their parents."""
    to_parquet.run(
        ToParquetConfig(
            workspace=extracted, datasets=("ipn",), vocabulary="pointing", name="d", near_duplicates="keep",
            table=("crops", "windows"),
        )
    )  # fmt: skip
    names = ("1CM1_0", "1CM1_1", "1CM1_2")
    for new, what in (("a", {"subject": names}), ("b", {"without_subject": names})):
        subset.run(SubsetConfig(workspace=extracted, name="d", as_=new, **what))
    tables = run(extracted, near_duplicates="keep").tables
    for kind in ("crops", "windows"):
        for path in sorted((folder(extracted, "d") / kind).iterdir()):
            assert pl.read_parquet(path).equals(pl.read_parquet(folder(extracted) / kind / path.name))
        before = read_json(folder(extracted, "d") / "manifest.json")["tables"][kind]
        same = (
            "rows",
            "groups",
            "class_rows",
            "origins",
            "ratios",
            "settings",
            "sizes",
            "classes",
            "vocabulary",
        )
        assert {name: tables[kind][name] for name in same} == {name: before[name] for name in same}
    locks = [pl.read_parquet(folder(extracted, name) / "splits.parquet") for name in "dm"]
    assert locks[0].equals(locks[1])


def test_a_group_on_two_sides_is_refused_or_left_out_of_the_later_one(tmp_path):
    write(tmp_path, "a", people(p="train", q="test", t="val"))
    write(
        tmp_path,
        "b",
        [crop(p, f, "left", s) for p, s in {"p": "test", "q": "test", "r": "train"}.items() for f in (7, 8)],
    )
    with pytest.raises(
        DataError,
        match=r"1 group lies in different splits \(ipn:p: train of a, test of b\).*leave out 2 rows",
    ):
        run(tmp_path)
    assert not (folder(tmp_path) / "crops").exists()
    table = run(tmp_path, conflicts="drop").tables["crops"]
    assert dropped(table) == {("group_in_another_split", "of b"): 2}
    assert rows(tmp_path).filter(pl.col("subject_id") == "p")["split"].to_list() == ["train"] * 3
    assert rows(tmp_path).filter(pl.col("subject_id") == "q").height == 5
    assert not leaks(tmp_path)
    other = run(tmp_path, "b", "a", new="n", conflicts="drop").tables["crops"]
    assert dropped(other) == {("group_in_another_split", "of a"): 3}


def test_many_conflicts_are_counted_and_some_of_them_named(tmp_path):
    write(tmp_path, "a", people(**{f"p{n}": "train" for n in range(5)}))
    write(tmp_path, "b", people(**{f"p{n}": "val" for n in range(5)}))
    with pytest.raises(
        DataError, match=r"5 groups lie in .*ipn:p0: train of a, val of b; .*; \.\.\.\).*15 rows"
    ):
        run(tmp_path)


def test_crops_and_windows_are_of_one_mind(tmp_path):
    """A person whose crops one has in train, and whose windows the other has in test."""
    write(tmp_path, "a", people(p="train"), [window("x", 1, "left", "train")])
    write(tmp_path, "b", people(y="train"), [window("p", 1, "left", "test"), window("z", 1, "left", "test")])
    with pytest.raises(DataError, match="ipn:p: train of a, test of b"):
        run(tmp_path)
    tables = run(tmp_path, conflicts="drop").tables
    assert dropped(tables["windows"]) == {("group_in_another_split", "of b"): 1}
    assert tables["crops"]["dropped"] == []
    assert run(tmp_path, new="n", table=("crops",)).tables["crops"]["dropped"] == []


@pytest.mark.parametrize(
    ("second", "groups", "joined"),
    [
        # A group of the second that holds two people of the first.
        ([crop("r", 9, "left", "train", group="ipn:p+r", video="vr")], {"ipn:p+r": ["p", "r"]}, {"p", "r"}),
        # A video that the second does not know the person of.
        ([crop("v", 9, "left", "train", group="ipn:vp", subject=None, video="vp")], {}, {"p", None}),
        # People who may be one, by the facts of the dataset.
        ([crop("4CM11_17", 9, "left", "train")], {}, {"4CM11_1", "4CM11_17"}),
    ],
)  # fmt: skip
def test_groups_that_share_somebody_become_one(tmp_path, second, groups, joined):
    write(tmp_path, "a", people(p="train", q="test", **{"4CM11_1": "train"}))
    write(tmp_path, "b", second, groups=groups)
    run(tmp_path)
    found = rows(tmp_path)
    shared = found.filter(pl.col("frame") == 9)["group_id"][0]
    assert set(found.filter(pl.col("group_id") == shared)["subject_id"]) == joined
    lock = pl.read_parquet(folder(tmp_path) / "splits.parquet")
    assert set(lock["group_id"]) == set(found["group_id"])
    assert lock.height == 3
    assert not leaks(tmp_path)


def test_a_group_that_shows_two_groups_of_the_first_to_be_one(tmp_path):
    """Then even the first dataset leaked: the split with most rows stays."""
    write(tmp_path, "a", [*people(p="train"), *[crop("q", f, "left", "test") for f in range(1, 6)]])
    write(tmp_path, "b", [crop("p", 9, "left", "train", group="ipn:p+q")], groups={"ipn:p+q": ["p", "q"]})
    with pytest.raises(DataError, match=r"ipn:p\+q: test of a, train of a, train of b"):
        run(tmp_path)
    table = run(tmp_path, conflicts="drop").tables["crops"]
    assert dropped(table) == {("group_in_another_split", "of a"): 3, ("group_in_another_split", "of b"): 1}
    assert set(rows(tmp_path)["group_id"]) == {"ipn:p+q"}


@pytest.mark.parametrize("kind", ["crops", "windows"])
def test_a_row_that_both_have_is_kept_once(tmp_path, kind):
    row = crop if kind == "crops" else window
    write(tmp_path, "a", **{kind: [row("p", f, "left", "train") for f in (1, 2, 3)]})
    write(tmp_path, "b", **{kind: [row("p", f, "right", "train") for f in (3, 4)]})
    write(tmp_path, "c", **{kind: [row("p", f, "right", "train") for f in (1, 4, 5)]})
    table = run(tmp_path, "a", "b", "c").tables[kind]
    assert dropped(table) == {("duplicate", "of b"): 1, ("duplicate", "of c"): 2}
    found = rows(tmp_path, kind=kind)
    key = "frame" if kind == "crops" else "frame_start"
    assert dict(found.select(key, "label").rows()) == {
        1: "left",
        2: "left",
        3: "left",
        4: "right",
        5: "right",
    }


def test_pictures_shown_in_two_splits_stay_in_that_of_the_first(tmp_path):
    """Exact copies, and a brighter one that only pixels tell; within a split they stay."""
    first = (("p", 1, "train", 1), ("p", 2, "train", 2), ("q", 3, "test", 3))
    second = (
        ("r", 4, "test", 1), ("r", 5, "test", -2), ("r", 6, "test", 3), ("r", 7, "test", 8), ("s", 8, "train", -3),
        ("s", 9, "train", 2),
    )  # fmt: skip
    for name, dataset, found in (("a", "ipn", first), ("b", "jester", second)):
        crops = [crop(p, f, "left", split, dataset=dataset, shows=n) for p, f, split, n in found]
        write(tmp_path, name, crops)
    table = run(tmp_path).tables["crops"]
    assert dropped(table) == {("in_another_split", "of b"): 3}
    assert sorted(rows(tmp_path)["frame"]) == [1, 2, 3, 6, 7, 9]
    assert table["joined"] == {"between": "splits", "rows": 9, "dropped": 3}
    assert not leaks(tmp_path)
    assert (
        "of 9 rows compared 3 showed what a row of another split shows"
        in (folder(tmp_path) / "README.md").read_text()
    )
    kept = run(tmp_path, new="n", near_duplicates="keep").tables["crops"]
    assert (kept["dropped"], kept["joined"]) == ([], None)
    assert "were not searched" in (folder(tmp_path, "n") / "README.md").read_text()
    assert leaks(tmp_path, "n")


def test_windows_of_equal_features_in_two_splits_are_left_out_of_the_later(tmp_path):
    write(tmp_path, "a", windows=[window("p", f, "left", "train", shows=f) for f in (1, 2, 3)])
    found = (
        ("r", 4, "test", 1),
        ("r", 5, "test", 9),
        ("s", 6, "train", 9),
        ("s", 7, "train", 2),
        ("s", 8, "train", 9),
    )
    write(
        tmp_path, "b",
        windows=[window(p, f, "left", split, dataset="jester", shows=n) for p, f, split, n in found],
    )  # fmt: skip
    table = run(tmp_path).tables["windows"]
    assert dropped(table) == {("in_another_split", "of b"): 2}
    assert sorted(rows(tmp_path, kind="windows")["frame_start"]) == [1, 2, 3, 6, 7, 8]
    assert not leaks(tmp_path)


def test_classes_are_matched_by_name(tmp_path):
    write(tmp_path, "a", people(p="train"))
    write(
        tmp_path,
        "b",
        [crop("q", 1, "right", "train"), crop("q", 2, "left", "train")],
        classes=("right", "left"),
    )
    table = run(tmp_path).tables["crops"]
    assert table["classes"] == ["still", "left", "right"]
    assert [p["class_ids"] for p in table["parents"]] == [None, {"right": 2, "left": 1}]
    assert dict(rows(tmp_path).select("class_id", "label").unique().rows()) == {1: "left", 2: "right"}
    assert table["unmet"][0] == "class 'still' has no row in any split: no source has it"
    turned = run(tmp_path, "b", "a", new="n").tables["crops"]
    assert turned["classes"] == ["still", "left", "right"]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"classes": ("left", "up")}, "have different classes: up of b is none of still, left, right"),
        ({"names": ("fold-0", "fold-1")}, "have different kind of split"),
        ({"sizes": {"T": 4, "F": 3}}, "windows of a and b have different sizes"),
        ({"settings": {"features": "g"}}, "have different features"),
        ({"layout": "v2"}, "a has ipn  and b has v2: their people cannot be told apart"),
        ({"licence": "CC0-1.0"}, "source ipn is not the same in a and b .licence: 'CC BY 4.0'; 'CC0-1.0'"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, second, message):
    names = second.get("names", SPLITS)
    shown = {"classes": second["classes"]} if "classes" in second else {}
    for name, more in (("a", {}), ("b", {"names": names, **shown})):
        split, person = more.get("names", SPLITS)[0], f"{name}p"
        write(tmp_path, name, [crop(person, 1, "left", split)], [window(person, 1, "left", split)], **more)
    manifest = read_json(folder(tmp_path, "b") / "manifest.json")
    for table in manifest["tables"].values():
        if "T" in second.get("sizes", {}) and table["sizes"]:
            table["sizes"] = second["sizes"]
        if "settings" in second and table["sizes"]:
            table["settings"] = second["settings"]
        for key in ("layout", "licence"):
            if key in second:
                table["sources"][0][key] = second[key]
    if "layout" in second:
        for table in manifest["tables"].values():
            table["sources"][0]["name"] = "other"
    write_json(folder(tmp_path, "b") / "manifest.json", manifest)
    with pytest.raises(DataError, match=message):
        run(tmp_path)


@pytest.mark.parametrize(
    ("names", "given", "error", "message"),
    [
        (("a",), {}, ConfigError, "nothing to merge: name two datasets or more"),
        (("a", "a"), {}, ConfigError, "stands twice"),
        (("a", "b"), {"new": "b"}, ConfigError, "never changed in place"),
        (("a", "b"), {"conflicts": "dorp"}, ConfigError, "did you mean 'drop'"),
        (("a", "x"), {}, DataError, "no dataset in"),
        (("a", "w"), {}, DataError, "a has crops, w has windows: say which to merge"),
        (("a", "w"), {"table": ("crops",)}, DataError, r"w has no crops \(it has: windows\)"),
    ],
)
def test_what_cannot_be_merged_is_said(tmp_path, names, given, error, message):
    write(tmp_path, "a", people(p="train"))
    write(tmp_path, "b", people(q="train"))
    write(tmp_path, "w", windows=[window("q", 1, "left", "train")])
    with pytest.raises(error, match=message):
        run(tmp_path, *names, **given)


def test_a_dataset_that_leaks_by_itself_is_refused(tmp_path):
    write(tmp_path, "a", people(p="train"))
    write(tmp_path, "b", [crop("r", 1, "left", "train"), crop("r", 2, "left", "test")])
    with pytest.raises(DataError, match="ipn:r: test of b, train of b"):
        run(tmp_path)
    with pytest.raises(DataError, match="group ipn:r lies in test and in train of b: split again"):
        subset.run(SubsetConfig(workspace=tmp_path, name="b", as_="s", class_=("left",)))


def test_folds_and_single_files_are_merged(tmp_path):
    names = ("fold-0", "fold-1")
    for name, who in (("a", "pq"), ("b", "rs")):
        crops = [crop(p, f, "left", names[n]) for n, p in enumerate(who) for f in (1, 2)]
        write(tmp_path, name, crops, names=names, single_file=True)
    table = run(tmp_path).tables["crops"]
    assert (table["rows"], table["folds"], table["ratios"]) == ({"fold-0": 4, "fold-1": 4}, 2, None)
    assert [p.name for p in (folder(tmp_path) / "crops").iterdir()] == ["dataset.parquet"]


def test_ratios_that_differ_are_weighed_by_rows(tmp_path):
    write(tmp_path, "a", people(p="train", q="val", r="test"))
    write(tmp_path, "b", people(s="train"), ratios=[0.4, 0.3, 0.3], near_duplicates="keep", cap=5)
    table = run(tmp_path).tables["crops"]
    assert table["ratios"] == pytest.approx([0.625, 0.1875, 0.1875])
    assert (table["near_duplicates"], table["cap"]) == ("keep", None)


def test_the_same_again_is_up_to_date(tmp_path):
    write(tmp_path, "a", people(p="train"))
    write(tmp_path, "b", people(q="test"))
    run(tmp_path)
    before = files(tmp_path)
    assert run(tmp_path).fresh == ()
    run(tmp_path, new="n")
    assert files(tmp_path, "n") == before
    write(tmp_path, "b", people(q="test", r="val"))
    with pytest.raises(DataError, match="pass --overwrite"):
        run(tmp_path)
    assert run(tmp_path, overwrite=True).tables["crops"]["rows"] == {"train": 3, "val": 3, "test": 3}


@pytest.mark.parametrize("stop_at", [0, 1])
def test_a_run_stopped_between_files_goes_on_where_it_was(tmp_path, monkeypatch, stop_at):
    monkeypatch.setattr(sorting.SortedRows.__init__, "__defaults__", (2_000,))
    write(tmp_path, "a", people(p="train", q="test"), [window("p", f, "left", "train") for f in range(9)])
    write(tmp_path, "b", people(r="val", s="train"), [window("s", f, "left", "train") for f in range(9)])
    run(tmp_path, new="whole")
    write_file, done = writer.OrderedWriter._write_file, []

    def stopping(self, path, *rest):
        if len(done) == stop_at:
            raise KeyboardInterrupt
        done.append(path.name)
        return write_file(self, path, *rest)

    monkeypatch.setattr(writer.OrderedWriter, "_write_file", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    assert list(folder(tmp_path).glob(".crops.incomplete/rows/*.arrow"))
    again = []
    monkeypatch.setattr(
        writer.OrderedWriter, "_write_file", lambda self, *a: again.append(a[0].name) or write_file(self, *a)
    )
    run(tmp_path)
    assert len(again) == 3 + 1 - stop_at
    assert files(tmp_path) == files(tmp_path, "whole")


def test_a_run_stopped_between_tables_keeps_the_first(tmp_path, monkeypatch):
    write(tmp_path, "a", people(p="train"), [window("p", 1, "left", "train")])
    write(tmp_path, "b", people(q="test"), [window("q", 1, "left", "test")])
    run(tmp_path, new="whole")
    enter = writer.OrderedWriter.__enter__

    def stopping(self):
        if self._folder.name == "windows":
            raise KeyboardInterrupt
        return enter(self)

    monkeypatch.setattr(writer.OrderedWriter, "__enter__", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    monkeypatch.setattr(writer.OrderedWriter, "__enter__", enter)
    assert run(tmp_path).fresh == ("windows",)
    assert files(tmp_path) == files(tmp_path, "whole")


PERSON = st.sampled_from("pqrst")
ROWS = st.dictionaries(
    st.tuples(PERSON, st.integers(1, 3)), st.tuples(st.sampled_from(("left", "right")), st.integers(1, 12)),
    min_size=1, max_size=10,
)  # fmt: skip
PARENT = st.tuples(ROWS, st.dictionaries(PERSON, st.sampled_from(SPLITS)), st.sets(PERSON, max_size=3))


@settings(max_examples=25, deadline=None)
@given(parents=st.lists(PARENT, min_size=2, max_size=3))
def test_whatever_is_merged_no_group_lies_in_two_splits(tmp_path_factory, parents):
    """Random people, splits, joined groups, videos and pictures: everything is kept or counted, and nothing leaks."""
    workspace = tmp_path_factory.mktemp("merge")
    names = []
    for number, (found, split, together) in enumerate(parents):
        group = {p: "ipn:" + "+".join(sorted(together)) if p in together else f"ipn:{p}" for p in "pqrst"}
        side = {group[p]: split.get(p, "train") for p in "pqrst"}
        crops = [
            crop(p, f, label, side[group[p]], group=group[p], shows=shows)
            for (p, f), (label, shows) in found.items()
        ]
        name = f"d{number}"
        write(workspace, name, crops, groups={g: g[4:].split("+") for g in group.values()})
        names.append(name)
    table = run(workspace, *names, conflicts="drop").tables["crops"]
    merged = rows(workspace)
    for column in ("group_id", "subject_id", "video_id", "sample_id", "phash"):
        assert merged.group_by(column).agg(pl.col("split").n_unique())["split"].max() == 1
    assert not merged["image_path"].is_duplicated().any()
    assert merged.height + sum(r["count"] for r in table["dropped"]) == sum(
        len(found) for found, *_ in parents
    )
    assert merged.height == sum(table["rows"].values()) > 0
    lock = pl.read_parquet(folder(workspace) / "splits.parquet")
    assert set(lock.select("group_id", "split").rows()) == set(merged.select("group_id", "split").rows())
    members = lock["members"].explode()
    assert not members.is_duplicated().any()
    assert not leaks(workspace)


def test_the_command_line(tmp_path, cli):
    write(tmp_path, "a", people(p="train", q="test"))
    write(tmp_path, "b", people(q="train", r="val"))
    words = ["merge", "a", "b", "--as", "m", "--workspace", tmp_path]
    assert "12 rows, about" in cli(*words, "--dry-run").output
    refused = cli(*words)
    assert refused.exit_code == 1
    assert "ipn:q: test of a, train of b" in refused.output
    result = cli(*words, "--conflicts", "drop", "--json")
    assert json.loads(result.output)["tables"]["crops"]["rows"] == {"train": 3, "val": 3, "test": 3}
    assert cli("audit", "m", "--workspace", tmp_path).exit_code == 0


def test_a_recipe_can_merge_and_take_parts(tmp_path, cli):
    write(tmp_path, "a", people(p="train", q="test"))
    write(tmp_path, "b", people(r="train", s="val"))
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        '[01-merge]\nparents = ["a", "b"]\nas = "m"\n'
        '[02-subset]\nas = "s"\nclass = ["left"]\nwithout-subject = ["p"]\n[03-audit]\n'
    )
    result = cli("run", recipe, "--workspace", tmp_path, "--json")
    assert result.exit_code == 0, result.output
    steps = [json.loads(line) for line in result.output.splitlines()]
    assert steps[1]["tables"]["crops"]["rows"] == {"train": 3, "val": 3, "test": 3}
    assert steps[2]["name"] == "s"
