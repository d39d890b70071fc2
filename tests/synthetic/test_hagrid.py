"""The photographs and JSON files that `write_hagrid` writes, in all three releases."""

import json
import re
from collections import Counter, defaultdict

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from pgc_data.datasets.hagrid import HAGRID
from pgc_data.errors import DataError
from pgc_data.synthetic import SyntheticSummary, write_hagrid
from pgc_data.synthetic.hagrid import HAGRID_V1_LABELS, HAGRID_V2_LABELS
from pgc_data.synthetic.truth import MEDIA_SCHEMA

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
RELEASES = ("v1", "2.0", "v2")
IMAGES = {"v1": 3, "2.0": 2, "v2": 2}


def contents(out):
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("hagrid")
    return {
        release: (
            root / release,
            write_hagrid(root / release, images=IMAGES[release], subjects=3, release=release),
        )
        for release in RELEASES
    }


def records(out):
    """Path of the JSON, key and record of all of them."""
    return [
        (path.relative_to(out), key, record)
        for path in sorted(out.rglob("*.json"))
        for key, record in json.loads(path.read_text()).items()
    ]


def by_media(out):
    rows = defaultdict(list)
    for row in pq.read_table(out / "joints.parquet").to_pylist():
        rows[row["media"]].append(row)
    return rows


def classes(release):
    return HAGRID_V2_LABELS if release == "v2" else HAGRID_V1_LABELS


def test_labels_are_the_datasets_own():
    assert len(HAGRID_V1_LABELS) == 18
    assert len(HAGRID_V2_LABELS) == 29
    assert set(HAGRID_V1_LABELS) < set(HAGRID_V2_LABELS) < set(HAGRID.labels)


@pytest.mark.parametrize("release", RELEASES)
def test_folders_and_names(drawn, release):
    out, summary = drawn[release]
    images = [p.relative_to(out) for p in out.rglob("*.jpg")]
    assert summary == SyntheticSummary(len(images), len(images), subjects=3)
    assert all(UUID.fullmatch(p.stem) for p in images)
    per_class = Counter(p.parent.name.removeprefix("train_val_") for p in images)
    assert per_class == dict.fromkeys(classes(release), IMAGES[release])
    tops = {p.name for p in out.iterdir()}
    if release == "v1":
        train = {f"train_val_{label}" for label in HAGRID_V1_LABELS}
        assert tops == {*train, "test", "ann_train_val", "ann_test", "joints.parquet"}
        assert {p.parts[0] for p in images if len(p.parts) == 3} == {"test"}
    else:
        assert tops == {"hagrid_dataset", "annotations", "joints.parquet"}
        assert {p.name for p in (out / "annotations").iterdir()} == {"train", "val", "test"}


@pytest.mark.parametrize("release", RELEASES)
def test_every_image_is_in_the_one_list_of_its_class_and_split(drawn, release):
    out, _ = drawn[release]
    places = {p.stem: p.relative_to(out) for p in out.rglob("*.jpg")}
    absent = []
    for path, key, record in records(out):
        place = places.pop(key, None)
        if place is None:
            absent.append(path.stem)
            continue
        assert path.stem in str(place.parent)
        assert path.stem in record["labels"]
        assert (path.parts[0] == "ann_test") == (place.parts[0] == "test")
    assert not places
    assert sorted(absent) == (sorted(HAGRID_V1_LABELS) if release == "v1" else [])


@pytest.mark.parametrize("release", RELEASES)
def test_a_user_is_in_one_split_only_and_in_several_images(drawn, release):
    out, _ = drawn[release]
    splits = defaultdict(set)
    for path, _, record in records(out):
        splits[record["user_id"]].add(path.parent.name)
        assert re.fullmatch(f"[0-9a-f]{{{32 if release == 'v2' else 64}}}", record["user_id"])
    assert len(splits) == 3
    assert all(len(where) == 1 for where in splits.values())


def test_keys_of_the_records(drawn):
    first = ["bboxes", "labels", "landmarks", "leading_hand", "leading_conf", "user_id"]
    assert {tuple(r) for _, _, r in records(drawn["v1"][0])} == {tuple(first)}
    assert {tuple(r) for _, _, r in records(drawn["2.0"][0])} == {("bboxes", "user_id", "labels")}
    full = ("bboxes", "labels", "united_bbox", "united_label", "user_id", "hand_landmarks", "meta")
    kinds = Counter(tuple(r) for _, _, r in records(drawn["v2"][0]))
    assert kinds.most_common(1)[0][0] == full
    assert set(kinds) == {
        full,
        full[:-1],
        tuple(k for k in full if not k.startswith("united")),
    }


def test_v2_says_unknown_in_three_ways(drawn):
    rows = [r for _, _, r in records(drawn["v2"][0])]
    for key in ("united_bbox", "united_label"):
        values = [r[key] for r in rows if key in r]
        assert len(values) < len(rows)
        assert None in values
        assert [] in values
    metas = [r.get("meta", "missing") for r in rows]
    assert "missing" in metas
    assert None in metas
    assert {"age": [], "gender": [], "race": []} in metas
    assert any(r["hand_landmarks"] is None for r in rows)


def test_two_handed_gestures_have_two_boxes_in_a_united_one(drawn):
    seen = set()
    for path, _, record in records(drawn["v2"][0]):
        united = record.get("united_bbox")
        assert bool(united) == (path.stem in ("thumb_index2", "xsign"))
        if not united:
            continue
        seen.add(path.stem)
        assert record["labels"] == [path.stem] * 2
        assert record["united_label"] == [path.stem]
        ((x, y, w, h),) = united
        for left, top, width, height in record["bboxes"]:
            assert left >= x - 1e-6
            assert top >= y - 1e-6
            assert left + width <= x + w + 1e-6
            assert top + height <= y + h + 1e-6
    assert seen == {"thumb_index2", "xsign"}


@pytest.mark.parametrize("release", RELEASES)
def test_boxes_and_landmarks_are_those_of_the_drawn_joints(drawn, release):
    out, _ = drawn[release]
    truth = {m.rsplit("/", 1)[1][:-4]: rows for m, rows in by_media(out).items()}
    for _, key, record in records(out):
        if key not in truth:
            continue
        rows = truth[key]
        assert record["labels"] == [row["label"] for row in rows]
        points = record.get("landmarks" if release == "v1" else "hand_landmarks")
        for index, ((x, y, w, h), row) in enumerate(zip(record["bboxes"], rows, strict=True)):
            joints = np.clip(np.array(row["joints"])[:, :2], 0.0, 1.0)
            assert (joints >= [x - 1e-6, y - 1e-6]).all()
            assert (joints <= [x + w + 1e-6, y + h + 1e-6]).all()
            assert 0.0 <= x < x + w <= 1.0 + 1e-6
            assert 0.0 <= y < y + h <= 1.0 + 1e-6
            if points and points[index]:
                np.testing.assert_allclose(points[index], np.array(row["joints"])[:, :2], atol=1e-6)
    if release != "2.0":
        lists = [r.get("landmarks", r.get("hand_landmarks")) or [] for _, _, r in records(out)]
        assert {len(hand) for hands in lists for hand in hands} == {0, 21}


def test_v1_names_the_hand_that_gestures(drawn):
    out, _ = drawn["v1"]
    truth = {m.rsplit("/", 1)[1][:-4]: rows for m, rows in by_media(out).items()}
    for path, key, record in records(out):
        assert 0.0 < record["leading_conf"] <= 1.0
        if key in truth:
            (row,) = (r for r in truth[key] if r["label"] == path.stem)
            assert record["leading_hand"] == row["handedness"].lower()


@pytest.mark.parametrize("release", RELEASES)
def test_json_is_one_line_with_sorted_keys_as_the_real_files_have_it(drawn, release):
    for path in drawn[release][0].rglob("*.json"):
        text = path.read_text()
        assert text == json.dumps(json.loads(text))
        assert list(json.loads(text)) == sorted(json.loads(text))


def test_photographs_are_upright_and_wide_and_show_the_hands(drawn):
    out, _ = drawn["2.0"]
    shapes = {cv2.imread(str(p)).shape for p in out.rglob("*.jpg")}
    assert shapes == {(640, 480, 3), (480, 640, 3)}
    assert pq.read_schema(out / "joints.parquet").equals(MEDIA_SCHEMA)
    hands = Counter(len(rows) for rows in by_media(out).values())
    assert set(hands) == {1, 2}
    assert hands[1] > hands[2]
    rows = [row for rows in by_media(out).values() for row in rows]
    assert all(row["frame"] == 1 for row in rows)
    assert np.mean([row["visible"] for row in rows]) > 0.95


@pytest.mark.parametrize("release", RELEASES)
def test_same_seed_same_bytes_whatever_the_workers(tmp_path, release):
    for folder, seed, workers in (("one", 5, 1), ("two", 5, 2), ("other", 6, 1)):
        write_hagrid(tmp_path / folder, images=1, subjects=3, seed=seed, workers=workers, release=release)
    one, two, other = (contents(tmp_path / f) for f in ("one", "two", "other"))
    assert one == two
    assert not {n for n in one if n.endswith(".jpg")} & set(other)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"images": 0}, "images=0"),
        ({"subjects": 0}, "subjects=0"),
        ({"release": "3"}, "release='3': give v1, 2.0, v2"),
    ],
)
def test_refuses_arguments_that_make_no_sense(tmp_path, wrong, message):
    with pytest.raises(DataError, match=message):
        write_hagrid(tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


def test_refuses_a_folder_that_holds_photographs(tmp_path):
    (tmp_path / "hagrid_dataset").mkdir()
    with pytest.raises(DataError, match="hagrid_dataset already exists"):
        write_hagrid(tmp_path)
