from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from factories import annotate, drawn_hand

from pgc_data.errors import ConfigError, DataError
from pgc_data.hands.model_file import ModelFile
from pgc_data.hands.types import Body, Found
from pgc_data.stages import audit, extract, networks, prepare, to_parquet
from pgc_data.stages.to_parquet import ToParquetConfig
from pgc_data.storage.schemas import arrow_schema, read_metadata
from pgc_data.tables.crops import CropsBuilder
from pgc_data.tables.labelling import label_frames, label_hands


def run(workspace, **settings):
    # All drawn frames are plain: looked at as pictures, each is the same as those of the other clips.
    same = {"near_duplicates": "keep"}
    given = {"datasets": ("ipn",), "vocabulary": "pointing", "name": "d", **same, **settings}
    return to_parquet.run(ToParquetConfig(workspace=workspace, **given))


def rows(workspace, kind="crops", name="d"):
    return pl.read_parquet(workspace / "parquet" / name / kind / "*.parquet")


def files(workspace, name="d"):
    folder = workspace / "parquet" / name
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.parquet")}


def test_crops_equal_hands_less_drops(extracted):
    table = run(extracted).tables["crops"]
    crops = rows(extracted)
    assert crops.height == sum(table["rows"].values()) == 600 - 120
    assert table["dropped"] == [
        {"source": "ipn", "reason": "excluded_label", "label": "D0X", "count": 120,
         "detail": "non-gesture frames hold any hand shape, pointing ones too; PGC skips them as well"},
    ]  # fmt: skip
    ledger = pl.read_parquet(extracted / "parquet" / "d" / "ledger" / "crops.parquet")
    assert ledger["count"].sum() + crops.height == 600
    assert crops["label"].value_counts().sort("label").rows() == [("not_pointing", 240), ("pointing", 240)]


def test_the_columns_say_where_a_crop_comes_from(extracted):
    run(extracted)
    row = rows(extracted).filter(video_id="1CM1_3_R_#3", frame=21).row(0, named=True)
    assert row["image"]["path"] == row["image_path"] == "ipn/frames/1CM1_3_R_#3/000021_0.png"
    assert (row["frame"], row["native_label"], row["label"], row["class_id"]) == (21, "B0A", "pointing", 1)
    assert (row["subject_id"], row["group_id"], row["licence"]) == ("1CM1_3", "ipn:1CM1_3", "CC BY 4.0")
    assert row["sample_id"] == "1CM1_3_R_#3:21-60:B0A"


def test_a_subject_lies_in_one_split_and_the_audit_agrees(extracted):
    run(extracted, table=("crops", "windows"), near_duplicates="join")
    for kind in ("crops", "windows"):
        sides = rows(extracted, kind).group_by("subject_id").agg(pl.col("split").n_unique())
        assert set(sides["split"]) == {1}
    summary = audit.run(audit.AuditConfig(workspace=extracted, path="d"))
    assert summary.exit_code == 0
    assert not [f for f in summary.audit.findings if f.severity in {"leak", "damage"}]


def test_files_carry_schema_metadata_and_sizes(extracted):
    run(extracted, table=("crops", "windows"), frames=12)
    folder = extracted / "parquet" / "d"
    crops = pq.read_schema(next((folder / "crops").glob("*.parquet")))
    windows = pq.read_schema(next((folder / "windows").glob("*.parquet")))
    assert crops.types == arrow_schema("crops").types
    assert windows.types == arrow_schema("windows", T=12, F=147).types
    assert read_metadata(windows)["feature_schema"]["name"] == "feature-schema-v1"
    assert read_metadata(crops)["classes"] == ["not_pointing", "pointing"]
    assert read_metadata(crops)["sources"][0]["citation"].startswith("Benitez-Garcia")
    features = json.loads(crops.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert features["class_id"] == {"names": ["not_pointing", "pointing"], "_type": "ClassLabel"}


def test_windows_follow_the_label_rules(extracted):
    table = run(extracted, vocabulary="maestro10", table=("windows",)).tables["windows"]
    windows = rows(extracted, "windows")
    candidates = 6 * len(range(0, 100 - 16 + 1, 4))
    assert windows.height + sum(d["count"] for d in table["dropped"]) == candidates
    assert {d["reason"] for d in table["dropped"]} <= {"mixed_labels", "mostly_unlabelled", "thinned"}
    first = windows.filter(pl.col("video_id") == "1CM1_0_R_#0").sort("frame_start").row(0, named=True)
    assert (first["frame_start"], first["frame_end"], first["label"]) == (1, 16, "unknown")
    assert np.asarray(first["features"]).shape == (16, 147)
    covered = windows.filter(pl.col("label") == "point_one")
    assert covered["frame_start"].min() >= 21 - 6
    assert covered["frame_end"].max() <= 60 + 6
    assert windows["window_id"].n_unique() == windows.height
    assert windows["handedness"].unique().to_list() == ["Right"]


def starts(windows):
    return windows["window_id"].str.extract(r":(\d+)\+", 1).cast(pl.Int64)


def test_static_classes_val_and_test_keep_every_second_window(extracted):
    run(extracted, vocabulary="maestro10", table=("windows",))
    windows = rows(extracted, "windows")
    windows = windows.with_columns(start=starts(windows)).sort("sample_id", "start")
    for (_, split, label), mine in windows.group_by("sample_id", "split", "label"):
        apart = 4 if split == "train" and label == "swiping_left" else 8
        assert set(mine["start"].diff().drop_nulls().to_list()) <= {apart}
    table = run(extracted, vocabulary="maestro10", table=("windows",), eval_every=1, overwrite=True).tables[
        "windows"
    ]
    assert "thinned" not in {d["reason"] for d in table["dropped"]}
    assert rows(extracted, "windows").height > windows.height


def test_a_cap_is_shared_by_the_people_of_train(extracted):
    dense = run(extracted, table=("crops", "windows"), cap=30).tables
    for kind in ("crops", "windows"):
        found = rows(extracted, kind)
        train = found.filter(pl.col("split") == "train")
        for label, people in train.group_by("label").agg(pl.col("subject_id").value_counts()).iter_rows():
            each = [person["count"] for person in people]
            assert sum(each) <= 30, label
            assert max(each) - min(each) <= 1, label
        total = found.height + sum(d["count"] for d in dense[kind]["dropped"])
        assert total == (600 if kind == "crops" else 6 * 22)
        assert dense[kind]["rows"]["train"] == train.height
    over = [d["count"] for d in dense["crops"]["dropped"] if d["reason"] == "over_cap"]
    assert sum(over) == 4 * 80 - 60
    free = run(extracted, cap=None, overwrite=True).tables["crops"]
    assert free["worst"] == dense["crops"]["worst"]
    assert free["rows"]["val"] == dense["crops"]["rows"]["val"]


def test_landmarks63_are_the_landmarks_of_the_grid(extracted):
    run(extracted, table=("windows",), features="landmarks63", name="l", stride=1)
    windows = rows(extracted, "windows", "l")
    metadata = read_metadata(pq.read_schema(next((extracted / "parquet" / "l" / "windows").glob("*"))))
    assert (metadata["feature_schema"]["name"], metadata["sizes"]) == ("landmarks63", {"T": 30, "F": 63})
    hands = pl.read_parquet(extracted / "extracted" / "ipn" / "hands-*.parquet")
    row = windows.row(0, named=True)
    media = row["window_id"].split("/", 1)[1].rsplit(":", 1)[0]
    span = pl.col("frame").is_between(row["frame_start"], row["frame_end"])
    shown = hands.filter((pl.col("media") == media) & span).sort("frame")["landmarks"].to_numpy()
    np.testing.assert_array_equal(np.asarray(row["features"]), shown.reshape(30, 63))
    assert row["feature_schema"] == "landmarks63"


def test_box42_gives_a_row_to_every_hand(extracted):
    table = run(extracted, table=("crops", "windows"), features="box42", name="b").tables
    images, crops = rows(extracted, "windows", "b"), rows(extracted, "crops", "b")
    assert table["windows"]["rows"] == table["crops"]["rows"]
    keys = ["sample_id", "split", "class_id", "label", "subject_id", "group_id", "native_label"]
    ours = images.select("frame_start", *keys).sort(pl.all())
    assert ours.rows() == crops.select("frame", *keys).sort(pl.all()).rows()
    assert images["window_id"].n_unique() == images.height
    assert images.select(pl.col("has_z").any(), pl.col("fps_grid").is_null().all()).row(0) == (False, True)
    features = images["features"].to_numpy().reshape(-1, 21, 2)
    # The hull of the joints is the box: its longer side is 1, and its middle 0.5.
    span = features.max(axis=1) - features.min(axis=1)
    np.testing.assert_allclose(span.max(axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(features.max(axis=1) + features.min(axis=1), 1.0, atol=1e-5)
    metadata = read_metadata(pq.read_schema(next((extracted / "parquet" / "b" / "windows").glob("*"))))
    assert metadata["graph"]["directed_edges"] == 2 * len(metadata["graph"]["links"]) == 46


def test_mirrored_left_hands_look_like_right_ones(prepared, recorded):
    def one_side(side):
        return lambda image, t: [replace(drawn_hand(t + image[-1, -1, 0] / 50), handedness=side)]

    found = {}
    for side in ("Left", "Right"):
        recorded.hands = staticmethod(one_side(side))
        extract.run(extract.ExtractConfig(workspace=prepared, dataset="ipn", restart=True))
        for features in ("box42", "box42+mirror_left"):
            run(prepared, table=("windows",), features=features, overwrite=True)
            windows = rows(prepared, "windows").sort("window_id")
            found[side, features] = windows["features"].to_numpy().reshape(-1, 21, 2)
    plain = found["Right", "box42"]
    np.testing.assert_array_equal(found["Right", "box42+mirror_left"], plain)
    np.testing.assert_array_equal(found["Left", "box42"], plain)
    np.testing.assert_allclose(found["Left", "box42+mirror_left"], [1, 0] + plain * [-1, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": "landmark63"}, r"unknown feature set 'landmark63'.*landmarks63"),
        ({"features": "landmarks63+mirror_left"}, "landmarks63 has no option 'mirror_left'"),
        ({"features": "box42", "frames": 16}, "single images: leave --frames out"),
        ({"features": "box42", "stride": 4}, "single images: leave --stride out"),
        ({"features": "box42", "eval_every": 2}, "single images: leave --eval-every out"),
        ({"table": ("crops",), "frames": 16}, "--frames is for windows: add --table windows"),
        ({"frames": 10**10}, "frames"),
        ({"stride": 10**21}, "stride"),
        ({"eval_every": 10**20}, "eval"),
        ({"cap": 0}, "cap"),
        ({"eval_every": 0}, "eval-every|eval_every"),
    ],
)
def test_features_that_cannot_be_are_refused(extracted, settings, message):
    with pytest.raises(ConfigError, match=message):
        run(extracted, **{"table": ("windows",), **settings})


def test_bodies_need_another_extraction(extracted):
    with pytest.raises(DataError, match=r"extract ipn --backend holistic --restart"):
        run(extracted, table=("windows",), features="holistic1662")


def test_a_second_table_keeps_the_splits_of_the_first(extracted):
    run(extracted)
    before = dict(rows(extracted).select("group_id", "split").unique().rows())
    run(extracted, vocabulary="maestro10", table=("windows",), seed=99)
    assert dict(rows(extracted, "windows").select("group_id", "split").unique().rows()) == before
    manifest = json.loads((extracted / "parquet" / "d" / "manifest.json").read_text())
    assert list(manifest["tables"]) == ["crops", "windows"]


def test_a_lock_of_another_dataset_is_kept(extracted):
    run(extracted)
    lock = extracted / "parquet" / "d" / "splits.parquet"
    run(extracted, name="e", seed=5, lock=lock, ratios=(0.4, 0.3, 0.3))
    first, second = (dict(rows(extracted, name=n).select("group_id", "split").unique().rows()) for n in "de")
    assert first == second


def splits_of(workspace, kind="crops", column="group_id", name="d"):
    return dict(rows(workspace, kind, name).select(column, "split").unique().rows())


def test_a_lock_made_another_way_is_not_passed_off_as_this_one(extracted):
    run(extracted)
    with pytest.raises(
        DataError, match=r"made by --split group --ratios 0.7 0.15 0.15, asked for is --split official"
    ):
        run(extracted, split="official", overwrite=True)
    with pytest.raises(DataError, match=r"asked for is --split group --ratios 0.5 0.25 0.25"):
        run(extracted, vocabulary="maestro10", table=("windows",), ratios=(0.5, 0.25, 0.25))
    table = run(extracted, split="official", new_split=True).tables["crops"]
    assert (table["split"], table["unmet"]) == ("official", [])
    assert splits_of(extracted, column="subject_id")["1CM1_5"] == "test"
    run(extracted, vocabulary="maestro10", table=("windows",), split="official")
    with pytest.raises(ConfigError, match="add --table windows"):
        run(extracted, new_split=True)


def test_a_named_lock_that_contradicts_the_official_split_is_refused(extracted):
    run(extracted, name="e", ratios=(1.0, 0.0, 0.0))
    lock = extracted / "parquet" / "e" / "splits.parquet"
    with pytest.raises(DataError, match=r"has group ipn:1CM1_5 in train, officially it lies in test"):
        run(extracted, split="official", lock=lock)


def test_one_person_in_two_sources_is_one_group(extracted, second_source):
    second_source(["1CM1_0", "4CM11_1", "4CM11_17"])
    for seed in range(3):
        run(extracted, datasets=("ipn", "two"), name=f"m{seed}", seed=seed)
        crops = rows(extracted, name=f"m{seed}")
        assert crops.group_by("subject_id").agg(pl.col("split").n_unique())["split"].max() == 1
        assert crops.filter(pl.col("subject_id").is_in(["4CM11_1", "4CM11_17"]))["group_id"].n_unique() == 1
    assert set(crops["source"]) == {"ipn", "two"}


def test_the_lock_forgets_nobody(extracted, second_source):
    second_source(["4CM11_2", "4CM11_3"])
    run(extracted, datasets=("ipn", "two"))
    before = splits_of(extracted)
    run(extracted, datasets=("ipn",), vocabulary="maestro10", table=("windows",))
    run(
        extracted, datasets=("ipn", "two"), vocabulary="maestro10", table=("windows",), seed=9, overwrite=True
    )
    assert splits_of(extracted, "windows").items() <= before.items()
    found = audit.run(audit.AuditConfig(workspace=extracted, path="d")).audit.findings
    assert not {f.kind for f in found} & {"group_overlap", "subject_overlap", "video_overlap"}


def test_people_without_a_row_are_left_for_a_later_table(extracted, tmp_path):
    """G10 is in no class of maestro10, so who shows only that has no place in its split yet."""
    raw = extracted / "raw" / "ipn"
    text = (raw / "Annot_List.txt").read_text()
    for person in (0, 1, 2):
        for label in ("B0A", "D0X", "G05"):
            text = text.replace(f"1CM1_{person}_R_#{person},{label},", f"1CM1_{person}_R_#{person},G10,")
    (raw / "Annot_List.txt").write_text(text)
    prepare.run(prepare.PrepareConfig(workspace=extracted, dataset="ipn"))
    table = run(extracted, vocabulary="maestro10").tables["crops"]
    assert sum(table["groups"].values()) == 3
    lock = pl.read_parquet(extracted / "parquet" / "d" / "splits.parquet")
    assert lock.height == 3


def test_a_source_prepared_again_is_noticed(extracted):
    run(extracted)
    annotation = extracted / "raw" / "ipn" / "Annot_List.txt"
    annotation.write_text(annotation.read_text().replace("1CM1_0_R_#0,B0A", "1CM1_0_R_#0,B0B"))
    prepare.run(prepare.PrepareConfig(workspace=extracted, dataset="ipn"))
    with pytest.raises(DataError, match="made from other input"):
        run(extracted)
    assert run(extracted, overwrite=True).tables["crops"]["class_rows"]["train"]["pointing"] < 240
    annotation.write_text(
        annotation.read_text().replace("1CM1_0_R_#0,G10,1,91,100", "1CM1_0_R_#0,G10,1,91,95")
    )
    prepare.run(prepare.PrepareConfig(workspace=extracted, dataset="ipn"))
    with pytest.raises(DataError, match=r"prepared again with other frames .*run `pgc-data extract ipn`"):
        run(extracted)


def test_a_table_left_by_a_run_that_failed_later_is_not_taken_for_another(extracted, monkeypatch):
    run(extracted)
    monkeypatch.setattr(to_parquet, "write_manifest", fail)
    with pytest.raises(DataError, match="stopped"):
        run(extracted, vocabulary="maestro10", overwrite=True)
    monkeypatch.undo()
    assert "swiping_left" in set(rows(extracted)["label"])
    assert run(extracted).fresh == ("crops",)
    assert set(rows(extracted)["label"]) == {"pointing", "not_pointing"}


def fail(*_):
    raise DataError("stopped")


def test_hands_that_vanish_before_they_are_counted_are_caught(extracted, monkeypatch):
    whole = CropsBuilder._select

    def lossy(self, source, shard):
        chosen, drops = whole(self, source, shard)
        return chosen.slice(5), drops

    monkeypatch.setattr(CropsBuilder, "_select", lossy)
    with pytest.raises(DataError, match=r"holds 200 hands, but 195 were written or dropped"):
        run(extracted)


def test_clips_too_short_for_a_window_are_counted(prepared, recorded):
    raw = prepared / "raw" / "ipn"
    rows_ = (raw / "Annot_List.txt").read_text().splitlines()
    (raw / "Annot_List.txt").write_text(
        "\n".join(r for r in rows_ if "1CM1_0" not in r) + "\n1CM1_0_R_#0,B0A,2,1,9,9"
    )
    prepare.run(prepare.PrepareConfig(workspace=prepared, dataset="ipn"))
    extract.run(extract.ExtractConfig(workspace=prepared, dataset="ipn"))
    dropped = run(prepared, vocabulary="maestro10", table=("windows",)).tables["windows"]["dropped"]
    assert {
        "source": "ipn",
        "reason": "clip_too_short",
        "label": "B0A",
        "count": 1,
        "detail": None,
    } in dropped


def test_a_frame_that_nobody_annotated_lends_no_class(prepared, recorded):
    raw = prepared / "raw" / "ipn"
    head, *lines = (raw / "Annot_List.txt").read_text().splitlines()
    lines = [line for line in lines if "1CM1_0" not in line]
    lines += ["1CM1_0_R_#0,G05,8,1,20,20", "1CM1_0_R_#0,D0X,1,27,60,34"]
    (raw / "Annot_List.txt").write_text("\n".join([head, *lines]))
    prepare.run(prepare.PrepareConfig(workspace=prepared, dataset="ipn"))
    extract.run(extract.ExtractConfig(workspace=prepared, dataset="ipn"))
    run(prepared, vocabulary="maestro10", table=("windows",), stride=1)
    mine = rows(prepared, "windows").filter(pl.col("video_id") == "1CM1_0_R_#0")
    swipes = mine.filter(pl.col("label") == "swiping_left")
    starts = sorted(int(w.rsplit(":", 1)[1].split("+")[0]) for w in swipes["window_id"])
    # 60 % of 16 frames are 10: a window from grid frame 10 on has fewer than ten of the twenty.
    assert starts == list(range(11))


def test_a_damaged_table_is_made_again(extracted):
    run(extracted)
    before = files(extracted)
    path = next((extracted / "parquet" / "d" / "crops").glob("train-*.parquet"))
    path.write_bytes(path.read_bytes()[:1000])
    assert run(extracted).fresh == ("crops",)
    assert files(extracted) == before


@pytest.mark.parametrize("content", ["{}", "[]", "null", '{"tables": {"crops": {}}, "files": []}'])
def test_a_manifest_that_is_not_ours_is_named(extracted, content):
    run(extracted)
    (extracted / "parquet" / "d" / "manifest.json").write_text(content)
    with pytest.raises(DataError, match="is not a manifest of pgc-data: remove it"):
        run(extracted)


def test_the_official_split_is_kept_and_validation_is_carved_from_training(extracted):
    run(extracted, split="official")
    found = dict(rows(extracted).select("subject_id", "split").unique().rows())
    assert found["1CM1_5"] == "test"
    assert sorted(found[f"1CM1_{n}"] for n in range(5)) == ["train"] * 4 + ["val"]


def test_the_same_call_redoes_nothing_and_other_settings_are_refused(extracted):
    run(extracted)
    before = files(extracted)
    assert run(extracted).fresh == ()
    with pytest.raises(DataError, match="other settings: pass --overwrite"):
        run(extracted, min_size=9)
    assert files(extracted) == before
    assert run(extracted, min_size=9, overwrite=True).fresh == ("crops",)


def test_the_same_input_gives_the_same_bytes(extracted):
    run(extracted, table=("crops", "windows"))
    before = files(extracted)
    shutil.rmtree(extracted / "parquet")
    run(extracted, table=("crops", "windows"))
    assert files(extracted) == before


def test_a_run_that_fails_half_way_leaves_the_earlier_table(extracted, monkeypatch):
    run(extracted)
    before = files(extracted)

    def broken(self, source, shard, split_of):
        if shard == 1:
            raise DataError("stopped")
        yield from whole(self, source, shard, split_of)

    whole = CropsBuilder.rows
    monkeypatch.setattr(CropsBuilder, "rows", broken)
    with pytest.raises(DataError, match="stopped"):
        run(extracted, overwrite=True, min_size=9)
    assert files(extracted) == before


def test_a_row_that_goes_missing_is_caught(extracted, monkeypatch):
    whole = CropsBuilder.rows

    def lossy(self, source, shard, split_of):
        for groups, table in whole(self, source, shard, split_of):
            yield groups[1:], table.slice(1)

    monkeypatch.setattr(CropsBuilder, "rows", lossy)
    with pytest.raises(DataError, match="a row went missing"):
        run(extracted)
    assert not (extracted / "parquet" / "d" / "crops").exists()


def test_tiny_and_outside_hands_are_dropped_and_counted(prepared, recorded):
    outside = replace(drawn_hand(), box=(900.0, 900.0, 5.0, 5.0))
    tiny = replace(drawn_hand(), box=(5.0, 5.0, 2.0, 2.0))
    recorded.hands = lambda image, t: [drawn_hand(t), outside, tiny]
    extract.run(extract.ExtractConfig(workspace=prepared, dataset="ipn", shard_frames=200))
    table = run(prepared).tables["crops"]
    dropped = {}
    for row in table["dropped"]:
        dropped[row["reason"]] = dropped.get(row["reason"], 0) + row["count"]
    assert dropped == {"excluded_label": 360, "outside_image": 480, "too_small": 480}
    assert sum(table["rows"].values()) + sum(dropped.values()) == 1800


BOXES = pl.List(pl.Array(pl.Float32, 4))


def samples_table(rows, boxes=None):
    """Samples m: (first frame, last frame, class), with boxes where given."""
    return pl.DataFrame(
        {
            "media": ["m"] * len(rows),
            "frame_start": [r[0] for r in rows],
            "frame_end": [r[1] for r in rows],
            "sample": range(len(rows)),
            "class_id": [r[2] for r in rows],
            "label": [r[3] if len(r) > 3 else "x" for r in rows],
            "boxes": pl.Series(boxes or [None] * len(rows), dtype=BOXES),
        }
    )


def test_frames_of_two_classes_are_in_neither():
    samples = samples_table([(1, 6, 1), (5, 8, 0), (9, 12, 1), (10, 11, 1), (20, 20, -1), (21, 21, -1, None)])
    frames = pl.DataFrame(
        {"row": range(8), "media": ["m"] * 7 + ["x"], "frame": [1, 5, 7, 10, 13, 20, 21, 1]}
    )
    found = label_frames(frames, samples)
    assert found.select("sample", "class_id", "reason").rows() == [
        (0, 1, None), (0, -1, "conflicting_labels"), (1, 0, None), (2, 1, None), (None, -1, "no_sample"),
        (4, -1, "excluded_label"), (5, -1, "unlabelled"), (None, -1, "no_sample"),
    ]  # fmt: skip


def test_a_hand_takes_the_label_of_the_box_it_lies_in():
    samples = samples_table(
        [(1, 1, 3), (1, 1, 7)],
        [[[0.1, 0.1, 0.2, 0.2]], [[0.6, 0.5, 0.2, 0.3], [0.3, 0.5, 0.1, 0.1]]],
    )
    boxes = [[122, 52, 36, 25], [22, 11, 36, 18], [60, 50, 21, 11], [150, 5, 20, 20]]
    # Of an image of 200 by 100 pixels.
    hands = pl.DataFrame({"row": range(4), "media": ["m"] * 4, "frame": [1] * 4}).with_columns(
        box=pl.Series(boxes, dtype=pl.Array(pl.Float32, 4)), image_width=200, image_height=100
    )
    assert label_hands(hands, samples).select("sample", "class_id", "reason").rows() == [
        (1, 7, None), (0, 3, None), (1, 7, None), (None, -1, "no_annotated_box"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"vocabulary": "pointin"}, ConfigError, "did you mean 'pointing'"),
        ({"datasets": ("nowhere",)}, DataError, "nowhere is not prepared"),
        ({"ratios": (1.0, 1.0)}, ConfigError, "give train, val and test"),
        ({"name": "../d"}, ConfigError, "cannot be a folder name"),
        ({"table": ("crop",)}, ConfigError, "did you mean 'crops'"),
        ({"table": ()}, ConfigError, "no table to write"),
        ({"datasets": ()}, ConfigError, "no source given"),
        ({"datasets": ("ipn", "ipn")}, ConfigError, "a source stands twice"),
        ({"lock": "nowhere.parquet"}, DataError, "nowhere.parquet is missing"),
    ],
)
def test_bad_calls_are_clear_errors(extracted, settings, error, message):
    with pytest.raises(error, match=message):
        run(extracted, **{k: extracted / v if k == "lock" else v for k, v in settings.items()})


def test_an_extraction_that_did_not_end_is_named(extracted):
    (extracted / "extracted" / "ipn" / "summary.json").unlink()
    with pytest.raises(DataError, match=r"not extracted to the end \(only 3 shards are done\)"):
        run(extracted)


def test_a_source_without_a_hand_is_named(prepared, recorded):
    recorded.hands = lambda image, t: []
    extract.run(extract.ExtractConfig(workspace=prepared, dataset="ipn"))
    with pytest.raises(DataError, match="no crops to write"):
        run(prepared)
    with pytest.raises(DataError, match=r"no windows to write: 1\d\d dropped as"):
        run(prepared, table=("windows",))


def test_a_dry_run_writes_nothing(extracted):
    config = ToParquetConfig(workspace=extracted, datasets=("ipn",), vocabulary="pointing")
    assert "nothing was written (--dry-run)" in to_parquet.plan(config).lines()
    assert not (extracted / "parquet").exists()


def photographs(workspace, name, layout_record, users):
    """A HaGRID-like source of one photograph a user, each with a gesture and a hand that shows none."""
    raw = workspace / "raw" / name
    images = raw / "hagrid_dataset" / "call"
    images.mkdir(parents=True)
    records = {}
    for number, user in enumerate(users):
        key = f"{name}{number}"
        (images / f"{key}.jpg").write_bytes(
            next((workspace / "raw" / "ipn" / "frames").rglob("*.jpg")).read_bytes()
        )
        records[key] = {
            "bboxes": [[0.35, 0.35, 0.3, 0.3], [0.0, 0.0, 0.1, 0.1]], "labels": ["call", "no_gesture"],
            "user_id": user, **layout_record,
        }  # fmt: skip
    folder = raw / "annotations" / "train"
    folder.mkdir(parents=True)
    (folder / "call.json").write_text(json.dumps(records))
    prepare.run(prepare.PrepareConfig(workspace=workspace, dataset="hagrid", name=name))
    extract.run(extract.ExtractConfig(workspace=workspace, dataset=name))


def test_hands_of_one_photograph_stay_together_without_a_user(prepared, recorded):
    corner = replace(drawn_hand(), box=(0.5, 0.5, 5.0, 4.0))
    recorded.hands = lambda image, t: [drawn_hand(), corner]
    photographs(prepared, "photos", {}, [None] * 12)
    run(prepared, datasets=("photos",), vocabulary="hagrid34", min_size=4)
    crops = rows(prepared)
    assert sorted(crops["label"].unique()) == ["call", "no_gesture"]
    assert crops.filter(pl.col("hand_index") == 0)["label"].unique().to_list() == ["call"]
    assert crops.group_by("image_path").len().height == 24
    photo = pl.col("image_path").str.replace(r"_\d\.png$", "")
    by_photo = crops.group_by(photo).agg(pl.col("split").n_unique(), hands=pl.len())
    assert by_photo.select("split", "hands").unique().rows() == [(1, 2)]


def test_two_releases_of_one_dataset_are_not_merged(prepared, recorded):
    photographs(prepared, "one", {}, ["a" * 64, "b" * 64])
    photographs(prepared, "two", {"united_bbox": None, "united_label": None, "meta": None}, ["a" * 32])
    with pytest.raises(DataError, match=r"one is hagrid .* and two is v2: their people cannot be told apart"):
        run(prepared, datasets=("one", "two"), vocabulary="hagrid34")


def test_the_default_name_tells_the_options_of_a_vocabulary():
    for vocabulary, name in (
        ("maestro10+exclude_clicks", "ipn-maestro10-exclude_clicks"),
        ("a/my.toml+x", "ipn-my-x"),
    ):
        assert ToParquetConfig(datasets=("ipn",), vocabulary=vocabulary).dataset_name == name


class BodyBackend:
    """A hand and a pose in every frame, all different; the left hand in every other frame, no face."""

    name = "holistic"

    def start(self, tracking):
        pass

    def find(self, image, timestamp_s):
        hand = drawn_hand(timestamp_s + image[-1, -1, 0] / 50)
        pose = np.linspace(0, 0.1, 132).reshape(33, 4).astype(np.float32) + np.float32(timestamp_s / 10)
        left = None if round(timestamp_s * 30) % 2 else hand.landmarks
        return Found([hand], Body(pose, None, left, hand.landmarks))

    def close(self):
        pass


def test_windows_of_bodies_are_the_parts_of_their_frames(prepared, recorded, monkeypatch, tmp_path):
    model = tmp_path / "h.task"
    model.touch()
    monkeypatch.setattr(extract, "make_backend", lambda *what: BodyBackend())
    monkeypatch.setattr(networks, "find_holistic_model", lambda given: ModelFile(model, "1" * 64, "recorded"))
    extract.run(extract.ExtractConfig(workspace=prepared, dataset="ipn", backend="holistic"))
    run(prepared, table=("windows",), features="holistic1662", stride=1)
    windows = rows(prepared, "windows")
    bodies = pl.read_parquet(prepared / "extracted" / "ipn" / "holistic-*.parquet").sort("media", "frame")
    for row in windows.sort("window_id")[:: windows.height // 10].iter_rows(named=True):
        media = row["window_id"].split("/", 1)[1].rsplit(":", 1)[0]
        shown = bodies.filter(
            (pl.col("media") == media) & pl.col("frame").is_between(row["frame_start"], row["frame_end"])
        )
        found = np.asarray(row["features"], np.float32)
        np.testing.assert_array_equal(found[:, :132], shown["pose"].to_numpy().reshape(30, 132))
        np.testing.assert_array_equal(found[:, 132:1536], 0)
        np.testing.assert_array_equal(found[:, 1599:], shown["right_hand"].to_numpy().reshape(30, 63))
        seen = shown["left_hand"].is_not_null().to_numpy()
        left = np.stack([hand.ravel() for hand in shown["left_hand"].drop_nulls().to_numpy()])
        np.testing.assert_array_equal(found[seen, 1536:1599], left)
        assert row["handedness"] is None
    with pytest.raises(ConfigError, match="--features is for windows: add --table windows"):
        run(prepared, table=("crops",), features="holistic1662")


def test_card_and_manifest_say_what_the_files_hold(extracted):
    table = run(extracted, vocabulary="maestro10", table=("windows",), cap=5).tables["windows"]
    found = rows(extracted, "windows")
    for split in ("train", "val", "test"):
        mine = found.filter(pl.col("split") == split)
        assert table["rows"][split] == mine.height
        assert table["groups"][split] == mine["group_id"].n_unique()
        counts = dict(mine["label"].value_counts().iter_rows())
        assert {name: n for name, n in table["class_rows"][split].items() if n} == counts
    totals = dict(found["label"].value_counts().iter_rows())
    assert {name: sum(kinds.values()) for name, kinds in table["origins"].items() if kinds} == totals
    card = (extracted / "parquet" / "d" / "README.md").read_text()
    assert "one window in 2 is kept of val, test, class 'fist'" in card
    assert "train holds at most 5 rows of a class" in card
    with pytest.raises(DataError, match="other settings"):
        run(extracted, vocabulary="maestro10", table=("windows",), cap=6)


def test_thinning_leaves_no_class_out(prepared, recorded):
    raw = prepared / "raw" / "ipn"
    labels = {"G10": (1, 7), "G05": (8, 23), "G11": (24, 60)}
    lines = [
        f"1CM1_{person}_R_#{person},{label},1,{a},{b},{b - a + 1}"
        for person in range(6)
        for label, (a, b) in labels.items()
    ]
    annotate(raw, lines)
    prepare.run(prepare.PrepareConfig(workspace=prepared, dataset="ipn"))
    extract.run(extract.ExtractConfig(workspace=prepared, dataset="ipn"))
    table = run(prepared, vocabulary="maestro10", table=("windows",), eval_every=50).tables["windows"]
    assert all(table["class_rows"][split]["swiping_left"] > 0 for split in ("train", "val", "test"))
    assert not [line for line in table["unmet"] if "swiping_left" in line]


def test_hands_without_landmarks_or_extent_have_no_box_features(prepared, recorded):
    def hands(image, t):
        good = drawn_hand(t + image[-1, -1, 0] / 50)
        frame = round(t * 30)
        if frame % 10 == 3:
            return [replace(good, landmarks=None)]
        return [replace(good, box=(5.0, 5.0, 0.2, 0.2))] if frame % 10 == 4 else [good]

    recorded.hands = staticmethod(hands)
    extract.run(extract.ExtractConfig(workspace=prepared, dataset="ipn"))
    table = run(prepared, vocabulary="ipn14", table=("windows",), features="box42", cap=20).tables["windows"]
    counts = {}
    for row in table["dropped"]:
        counts[row["reason"]] = counts.get(row["reason"], 0) + row["count"]
    assert (counts["no_landmarks"], counts["degenerate_hand"]) == (60, 60)
    found = rows(prepared, "windows")
    hands_ = pl.read_parquet(prepared / "extracted" / "ipn" / "hands-*.parquet")
    at = {(media, frame): (np.asarray(points), box) for media, frame, points, box in
          hands_.select("media", "frame", "landmarks", "box").drop_nulls().iter_rows()}  # fmt: skip
    for row in found.iter_rows(named=True):
        media, frame = row["window_id"].split("/", 1)[1].rsplit("#", 1)[0].rsplit(":", 1)
        points, (x, y, w, h) = at[media, int(frame)]
        expected = 0.5 + (points[:, :2] * [64, 48] - [x + w / 2, y + h / 2]) / max(w, h)
        np.testing.assert_allclose(np.asarray(row["features"]).reshape(21, 2), expected, atol=1e-4)
    assert found["fps_source"].unique().to_list() == [30.0]
