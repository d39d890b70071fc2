"""Records of HaGRID's three releases, with null, missing and empty fields, and images elsewhere or nowhere."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pgc_data.datasets.hagrid import ingest
from pgc_data.errors import DataError

# Real records of 2.0 (HaGRID's annotation, test/call.json): a hand beside the gesture in the first.
CALL = """{"00084dfa-60a2-4c8e-9bd9-25658382b8b7": {"bboxes": [[0.29899824, 0.46524975, 0.11401282, 0.08444908],
[0.58974142, 0.86414454, 0.07406441, 0.09017549]], "user_id":
"e393e67f96f41c1c7c9d8fe4add72ae9ad0379dd5385da235020b95396ce7a0b", "labels": ["call", "no_gesture"]},
"002181df-a03c-4c3d-b382-435f9bd7eb7c": {"bboxes": [[0.44901004, 0.31655566, 0.20290344, 0.13688925]], "user_id":
"2eb654e9fc8dd729ba0841a9b60a83f2a8524f437b9b601e239d41f740c2894b", "labels": ["call"]}}"""
KEY = "00084dfa-60a2-4c8e-9bd9-25658382b8b7"
BOX, OTHER = [0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.2, 0.1]
HAND = [[n / 100, n / 50] for n in range(21)]


def record(labels=("call",), boxes=(BOX,), **more):
    return {"bboxes": list(boxes), "labels": list(labels), "user_id": "u", **more}


def write(raw, records, name="annotations/test/call.json"):
    path = raw / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(records if isinstance(records, str) else json.dumps(records))


def image(raw, name):
    (raw / name).parent.mkdir(parents=True, exist_ok=True)
    (raw / name).touch()


def read(raw, records, **how):
    write(raw, records, **how)
    return ingest(raw, annotations_only=True)


def rows(made, *names):
    return [tuple(row[name] for name in names) for row in made.samples.to_pylist()]


def reasons(made):
    return sorted((row["action"], row["reason"], row["count"]) for row in made.ledger)


def conserved(made):
    dropped = sum(row["count"] for row in made.ledger if row["action"] == "dropped")
    return made.rows_read == made.samples.num_rows + dropped


def close(found, expected):
    return np.allclose(np.array(found), np.array(expected), atol=1e-6)


def test_real_records_of_2_0_give_a_sample_for_each_image_and_label(tmp_path):
    made = read(tmp_path, CALL)
    found = made.samples.to_pylist()
    assert [row["sample_id"] for row in found] == [
        f"{KEY}:call", f"{KEY}:no_gesture", "002181df-a03c-4c3d-b382-435f9bd7eb7c:call",
    ]  # fmt: skip
    assert close(found[1].pop("boxes"), [[0.58974142, 0.86414454, 0.07406441, 0.09017549]])
    assert found[1] == {
        "dataset": "hagrid", "sample_id": f"{KEY}:no_gesture", "media": f"hagrid_dataset/call/{KEY}.jpg",
        "media_kind": "image", "frame_start": 1, "frame_end": 1, "fps": None, "label": "no_gesture", "label_id": 33,
        "video_id": None, "subject_id": "e393e67f96f41c1c7c9d8fe4add72ae9ad0379dd5385da235020b95396ce7a0b",
        "official_split": "test", "landmarks_2d": None,
    }  # fmt: skip
    assert (made.rows_read, made.ledger, made.layout) == (3, [], "2.0")


def test_boxes_of_one_label_stay_together(tmp_path):
    made = read(tmp_path, {"a": record(["call", "no_gesture", "call"], [BOX, OTHER, OTHER])})
    (first, second) = rows(made, "label", "boxes")
    assert (first[0], second[0]) == ("call", "no_gesture")
    assert close(first[1], [BOX, OTHER])
    assert close(second[1], [OTHER])


def test_v1_carries_landmarks_and_has_folders_of_its_own(tmp_path):
    hands = record(
        ["call", "no_gesture"], [BOX, OTHER], landmarks=[HAND, []], leading_hand="right", leading_conf=1.0
    )
    write(tmp_path, {"a": hands}, "ann_train_val/call.json")
    made = read(tmp_path, {"b": record(landmarks=[])}, name="ann_test/call.json")
    assert rows(made, "sample_id", "media", "official_split") == [
        ("a:call", "train_val_call/a.jpg", "train"),
        ("a:no_gesture", "train_val_call/a.jpg", "train"),
        ("b:call", "test/call/b.jpg", "test"),
    ]
    landmarks = [row[0] for row in rows(made, "landmarks_2d")]
    assert close(landmarks[0], [HAND])
    assert landmarks[1:] == [None, None]
    assert (made.ledger, made.layout) == ([], "v1")


def test_the_subsample_has_no_split(tmp_path):
    made = read(tmp_path, {"a": record(leading_hand="left")}, name="ann_subsample/call.json")
    assert rows(made, "media", "official_split") == [("subsample/call/a.jpg", None)]


# The record of v2's own README: a gesture of both hands.
UNITED = {
    "bboxes": [[0.0694444444, 0.3104166667, 0.2666666667, 0.2640625],
               [0.5993055556, 0.2875, 0.2569444444, 0.2760416667]],
    "labels": ["thumb_index2", "thumb_index2"],
    "united_bbox": [[0.0694444444, 0.2875, 0.7868055556, 0.2869791667]],
    "united_label": ["thumb_index2"],
    "user_id": "2fe6a9156ff8ca27fbce8ada318c592b",
    "hand_landmarks": [HAND, HAND],
    "meta": {"age": [24.41], "gender": ["female"], "race": ["White"]},
}  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"united_bbox": UNITED["united_bbox"][0], "united_label": "thumb_index2"},
        {"united_bbox": [None, UNITED["united_bbox"][0]], "united_label": [None, "thumb_index2"]},
        {"labels": None, "bboxes": None, "hand_landmarks": None},
    ],
)
def test_a_gesture_of_both_hands_has_their_boxes_else_the_one_around_both(tmp_path, changes):
    made = read(tmp_path, {"a": {**UNITED, **changes}})
    assert rows(made, "sample_id", "label_id") == [("a:thumb_index2", 32)]
    assert close(rows(made, "boxes")[0][0], UNITED["united_bbox" if "labels" in changes else "bboxes"])
    landmarks = rows(made, "landmarks_2d")[0][0]
    assert landmarks is None if "labels" in changes else close(landmarks, [HAND, HAND])
    assert (made.layout, conserved(made), made.ledger) == ("v2", True, [])


@pytest.mark.parametrize(
    "empty",
    [
        {},
        {"united_bbox": None, "united_label": None, "hand_landmarks": None, "meta": None},
        {"united_bbox": [], "united_label": [], "hand_landmarks": [], "meta": {}},
        {"hand_landmarks": [[]]},
        {"hand_landmarks": [None]},
    ],
)
def test_null_missing_and_empty_are_the_same(tmp_path, empty):
    made = read(tmp_path, {"a": record(**empty)})
    assert close(rows(made, "boxes")[0][0], [BOX])
    assert rows(made, "label", "subject_id", "landmarks_2d") == [("call", "u", None)]
    assert made.ledger == []


@pytest.mark.parametrize(
    ("bad", "ledger", "samples"),
    [
        (record(boxes=[]), [("kept", "no_boxes", 1)], 1),
        (record() | {"bboxes": None}, [("kept", "no_boxes", 1)], 1),
        ({"labels": ["call"], "user_id": "u"}, [("kept", "no_boxes", 1)], 1),
        (record() | {"labels": None}, [("dropped", "no_labels", 1)], 0),
        (record(labels=[]), [("dropped", "no_labels", 1)], 0),
        (record() | {"labels": "call"}, [("dropped", "no_labels", 1)], 0),
        (record(labels=[None]), [("dropped", "no_labels", 1)], 0),
        (None, [("dropped", "bad_record", 1)], 0),
        ([], [("dropped", "bad_record", 1)], 0),
        (record(labels=["calling"]), [("dropped", "unknown_label", 1)], 0),
        (record(boxes=[BOX, OTHER]), [("dropped", "boxes_and_labels_differ", 1)], 0),
        (record() | {"bboxes": "x"}, [("dropped", "boxes_and_labels_differ", 1)], 0),
        (record(["call", "one"], [BOX]), [("dropped", "boxes_and_labels_differ", 2)], 0),
        (record(boxes=[None]), [("dropped", "bad_box", 1)], 0),
        (record(boxes=[[0.1, 0.2, 0.3]]), [("dropped", "bad_box", 1)], 0),
        (record(boxes=[[0.1, 0.2, 0.0, 0.1]]), [("dropped", "bad_box", 1)], 0),
        (record(boxes=[[100, 200, 300, 400]]), [("dropped", "bad_box", 1)], 0),
        (record(boxes=[[0.1, 0.2, float("nan"), 0.1]]), [("dropped", "bad_box", 1)], 0),
        (record(boxes=[["0.1", 0.2, 0.3, 0.1]]), [("dropped", "bad_box", 1)], 0),
        (record(["call", "call"], [BOX, None]), [("kept", "bad_box", 1)], 1),
        (record(["call", "one"], [BOX, None]), [("dropped", "bad_box", 1)], 1),
        (record() | {"user_id": None}, [("kept", "no_user_id", 1)], 1),
        (record() | {"user_id": 7}, [("kept", "no_user_id", 1)], 1),
        (record() | {"user_id": "\ud800"}, [("kept", "no_user_id", 1)], 1),
        (record(landmarks=[HAND[:20]]), [("kept", "bad_landmarks", 1)], 1),
        (record(landmarks=[[[0.1, 0.2, 0.3]] * 21]), [("kept", "bad_landmarks", 1)], 1),
        (record(landmarks=[[[10**400, 0.2]] * 21]), [("kept", "bad_landmarks", 1)], 1),
        (record(landmarks=[HAND, HAND]), [("kept", "bad_landmarks", 1)], 1),
        (record(landmarks={"x": 1}), [("kept", "bad_landmarks", 1)], 1),
        (record(united_label=["holy"], united_bbox=[BOX, BOX]), [("dropped", "no_labels", 1)], 0),
    ],
)
def test_a_damaged_record_is_noted_and_hurts_no_other(tmp_path, bad, ledger, samples):
    made = read(tmp_path, {"bad": bad, "good": record()})
    assert reasons(made) == ledger
    assert made.ledger[0]["file"] == "annotations/test/call.json"
    assert made.ledger[0]["detail"].startswith("bad: ")
    assert made.samples.num_rows == samples + 1
    assert conserved(made)


@pytest.mark.parametrize("key", ["../a", "a/b", "..", "", "C:a", "a\nb", "\ud800"])
def test_keys_that_are_no_file_names_are_refused(tmp_path, key):
    made = read(tmp_path, {key: record(["call", "one"], [BOX, OTHER]), "good": record()})
    assert reasons(made) == [("dropped", "unsafe_name", 2)]
    assert conserved(made)


def test_a_key_that_stands_twice_is_counted(tmp_path):
    one = json.dumps(record())
    made = read(tmp_path, f'{{"a": {one}, "a": {json.dumps(record(["call", "one"], [BOX, OTHER]))}}}')
    assert reasons(made) == [("dropped", "duplicate_row", 1)]
    assert (made.samples.num_rows, conserved(made)) == (2, True)


def test_an_image_in_two_splits_is_in_neither(tmp_path):
    write(tmp_path, {"a": record(), "b": record()}, "annotations/train/call.json")
    write(tmp_path, {"a": record(["one"])}, "annotations/test/one.json")
    made = ingest(tmp_path, annotations_only=True)
    assert rows(made, "sample_id", "official_split") == [
        ("a:call", None),
        ("b:call", "train"),
        ("a:one", None),
    ]
    assert reasons(made) == [("kept", "official_split_conflict", 1)]


@pytest.mark.parametrize("folder", ["hagrid_dataset/call", "hagrid_dataset/like", "hagridv2_512/like", "."])
def test_an_image_is_found_wherever_it_lies(tmp_path, folder):
    write(tmp_path, {"a": record(), "b": record()})
    image(tmp_path, f"{folder}/a.jpg")
    image(tmp_path, f"{folder}/unlisted.jpg")
    image(tmp_path, f"{folder}/readme.txt")
    made = ingest(tmp_path, annotations_only=False)
    assert rows(made, "media") == [(f"{folder}/a.jpg".removeprefix("./"),)]
    assert reasons(made) == [("dropped", "missing_image", 1), ("kept", "unlisted_image", 1)]
    assert conserved(made)


def test_a_sample_from_kaggle_comes_with_the_annotation_of_all(tmp_path):
    root = "hagrid-sample-30k-384p"
    everything = {f"{n}": record(leading_hand="left", landmarks=[HAND]) for n in range(500)}
    write(tmp_path, everything, f"{root}/ann_train_val/call.json")
    image(tmp_path, f"{root}/hagrid_30k/train_val_call/7.jpg")
    made = ingest(tmp_path, annotations_only=False)
    assert rows(made, "media", "official_split") == [(f"{root}/hagrid_30k/train_val_call/7.jpg", "train")]
    assert len(made.ledger) == 1
    assert reasons(made) == [("dropped", "missing_image", 499)]
    assert close(rows(made, "landmarks_2d")[0][0], [HAND])


def test_of_two_images_of_one_name_one_is_used(tmp_path):
    write(tmp_path, {"a": record()})
    image(tmp_path, "hagrid_dataset/call/a.jpg")
    image(tmp_path, "hagridv2_512/call/a.PNG")
    made = ingest(tmp_path, annotations_only=False)
    assert rows(made, "media") == [("hagrid_dataset/call/a.jpg",)]
    assert reasons(made) == [("kept", "image_twice", 1)]


def test_a_circle_of_links_ends(tmp_path):
    write(tmp_path, {"a": record()})
    image(tmp_path, "hagrid_dataset/call/a.jpg")
    (tmp_path / "hagrid_dataset" / "circle").symlink_to(tmp_path)
    assert rows(ingest(tmp_path, annotations_only=False), "media") == [("hagrid_dataset/call/a.jpg",)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"call.json is not JSON: .*line 1, column 1: it is damaged or cut off"),
        (CALL[:200], r"call.json is not JSON: .*line \d, column \d+: it is damaged or cut off"),
        ("<!DOCTYPE html>", "is not JSON"),
        ("[]", "holds a JSON list, expected an object"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("{}", "none of the 0 labelled images"),
        (json.dumps({"a": record()}), r"none of the 1 labelled images .*missing_image.*--annotations-only"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_error(tmp_path, text, message):
    write(tmp_path, text)
    with pytest.raises(DataError, match=message):
        ingest(tmp_path, annotations_only=False)


def test_bytes_that_are_no_text_and_a_bom(tmp_path):
    write(tmp_path, "")
    path = tmp_path / "annotations" / "test" / "call.json"
    path.write_bytes(b"\xef\xbb\xbf" + CALL.encode())
    assert ingest(tmp_path, annotations_only=True).samples.num_rows == 3
    path.write_bytes(b'{"\xff\xfe": 1}')
    with pytest.raises(DataError, match="cannot be read as JSON"):
        ingest(tmp_path, annotations_only=True)


def test_releases_are_never_mixed(tmp_path):
    write(tmp_path, {"a": record(leading_hand="left")}, "ann_train_val/call.json")
    with pytest.raises(DataError, match=r"records of v1 \(leading_hand\) and of v2 \(united_bbox\)"):
        read(tmp_path, {"b": record(united_bbox=None)})


@pytest.mark.parametrize(("make", "message"), [(False, "no raw folder"), (True, "no annotations/train/")])
def test_a_folder_without_annotation_is_one_clear_error(tmp_path, make, message):
    if make:
        (tmp_path / "raw").mkdir()
        (tmp_path / "raw" / "synthetic.json").write_text("{}")
    with pytest.raises(DataError, match=message):
        ingest(tmp_path / "raw", annotations_only=True)
