"""Both layouts of Jester, and each way in which their lists and folders go wrong."""

from __future__ import annotations

import pytest

from pgc_data.datasets.jester import JESTER, ingest
from pgc_data.errors import DataError

# As in the files: `;`, no header, LF, the test list with ids only.
TRAIN = "34870;Drumming Fingers\n56557;Sliding Two Fingers Right\n129112;Sliding Two Fingers Down\n"
VALIDATION = "9223;Shaking Hand\n"
TEST = "15\n17\n"
KAGGLE = "video_id,label,frames,label_id,shape,format\n"
KAGGLE_ROW = '34870,Drumming Fingers,37,24,"(37, 100, 176, 3)",jpg\n'


def write(raw, **files):
    raw.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = raw / {"train": "jester-v1-train.csv", "validation": "jester-v1-validation.csv",
                      "test": "jester-v1-test.csv"}.get(name, f"{name}.csv")  # fmt: skip
        path.write_bytes(text.encode())


def frames(raw, folder, numbers):
    (raw / folder).mkdir(parents=True)
    for number in numbers:
        (raw / folder / f"{number:05d}.jpg").touch()


def rows(made):
    names = ("sample_id", "media", "frame_end", "label", "label_id", "official_split")
    return [tuple(row[name] for name in names) for row in made.samples.to_pylist()]


def reasons(made):
    return [(row["action"], row["reason"], row["count"]) for row in made.ledger]


def conserved(made):
    dropped = sum(row["count"] for row in made.ledger if row["action"] == "dropped")
    return made.rows_read == made.samples.num_rows + dropped


def test_the_original_layout(tmp_path):
    write(tmp_path, train=TRAIN, validation=VALIDATION, test=TEST)
    for clip, count in (("34870", 37), ("56557", 30), ("129112", 35), ("9223", 12), ("15", 3), ("17", 4)):
        frames(tmp_path, f"20bn-jester-v1/{clip}", range(1, count + 1))
    made = ingest(tmp_path, annotations_only=False)
    assert made.samples.to_pylist()[0] == {
        "dataset": "jester", "sample_id": "34870", "media": "20bn-jester-v1/34870", "media_kind": "frames",
        "frame_start": 1, "frame_end": 37, "fps": 12.0, "label": "Drumming Fingers", "label_id": 24,
        "video_id": "34870", "subject_id": None, "official_split": "train", "boxes": None, "landmarks_2d": None,
    }  # fmt: skip
    assert rows(made)[3:] == [
        ("9223", "20bn-jester-v1/9223", 12, "Shaking Hand", 22, "val"),
        ("15", "20bn-jester-v1/15", 3, None, None, "test"),
        ("17", "20bn-jester-v1/17", 4, None, None, "test"),
    ]
    assert (made.rows_read, made.ledger, made.layout) == (6, [], "original")


def test_clips_may_lie_directly_below_raw(tmp_path):
    write(tmp_path, train="7;Stop Sign\n", validation=VALIDATION, test=TEST)
    frames(tmp_path, "7", range(1, 4))
    made = ingest(tmp_path, annotations_only=False)
    assert rows(made) == [("7", "7", 3, "Stop Sign", 23, "train")]
    assert reasons(made) == [("dropped", "missing_media", 1), ("dropped", "missing_media", 2)]
    assert conserved(made)


def test_the_lists_of_the_label_archive_and_its_test_answers(tmp_path):
    write(tmp_path / "labels", **{"test-answers": "15;Thumb Up\n99;Thumb Down\n"})
    for name, text in (("train", TRAIN), ("validation", VALIDATION), ("test", TEST)):
        (tmp_path / "labels" / f"{name}.csv").write_text(text)
    made = ingest(tmp_path, annotations_only=True)
    assert [row[3] for row in rows(made)[-2:]] == ["Thumb Up", None]
    assert ("kept", "answer_without_clip", 1) in reasons(made)
    (tmp_path / "labels" / "test.csv").unlink()
    assert rows(ingest(tmp_path, annotations_only=True))[-1][:4] == (
        "99",
        "20bn-jester-v1/99",
        0,
        "Thumb Down",
    )


def test_the_kaggle_layout(tmp_path):
    write(
        tmp_path,
        Train=KAGGLE + KAGGLE_ROW,
        Validation=KAGGLE + '9223,Shaking Hand,36,22,"(36, 100, 132, 3)",jpg\n',
        Test='id,label,frames,label_id,shape,format\n15,,30,,"(30, 100, 176, 3)",jpg\n17,Thumb Up,31,20,x,jpg\n',
    )
    made = ingest(tmp_path, annotations_only=True)
    assert rows(made) == [
        ("34870", "Train/34870", 37, "Drumming Fingers", 24, "train"),
        ("9223", "Validation/9223", 36, "Shaking Hand", 22, "val"),
        ("15", "Test/15", 30, None, None, "test"),
        ("17", "Test/17", 31, "Thumb Up", 20, "test"),
    ]
    assert (made.rows_read, made.ledger, made.layout) == (4, [], "kaggle")


def test_numbers_of_labels_are_not_read(tmp_path):
    write(tmp_path, Train=KAGGLE + KAGGLE_ROW.replace(",24,", ",3,"))
    assert rows(ingest(tmp_path, annotations_only=True))[0][4] == 24


def test_no_frame_is_claimed_where_nobody_counted_them(tmp_path):
    write(tmp_path, train=TRAIN, validation=VALIDATION, test=TEST)
    made = ingest(tmp_path, annotations_only=True)
    assert {row[2] for row in rows(made)} == {0}
    assert reasons(made) == [("kept", "frame_count_unknown", n) for n in (3, 1, 2)]
    assert made.rows_read == made.samples.num_rows == 6


@pytest.mark.parametrize(
    ("numbers", "last", "reason"),
    [
        (range(1, 38), 37, None),
        (range(1, 31), 30, "frame_count_disagrees"),
        ([1, 2, 5], 5, "frames_with_gaps"),
        (range(37), 36, "frames_with_gaps"),
    ],
)
def test_frames_are_counted_in_the_folder_and_compared_with_the_list(tmp_path, numbers, last, reason):
    write(tmp_path, Train=KAGGLE + KAGGLE_ROW, Validation=KAGGLE, Test=KAGGLE)
    frames(tmp_path, "Train/34870", numbers)
    made = ingest(tmp_path, annotations_only=False)
    assert rows(made)[0][2] == last
    assert [row["reason"] for row in made.ledger] == ([reason] if reason else [])


@pytest.mark.parametrize(
    "text", ["\ufeff" + TRAIN, TRAIN.replace("\n", "\r\n"), "\n\n" + TRAIN + "  \n", TRAIN[:-1]]
)
def test_line_ends_bom_and_blank_lines_do_not_matter(tmp_path, text):
    write(tmp_path, train=text, validation=VALIDATION, test=TEST)
    assert [row[0] for row in rows(ingest(tmp_path, annotations_only=True))][:3] == [
        "34870",
        "56557",
        "129112",
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("x;Stop Sign", "bad_id"),
        ("../7;Stop Sign", "bad_id"),
        (";Stop Sign", "bad_id"),
        ("1234567890;Stop Sign", "bad_id"),
        ("7,Stop Sign", "bad_id"),
        ("7;Stop", "unknown_label"),
        ("7;Stop Sign;x", "unknown_label"),
        ("7", "no_label"),
        ("7;", "no_label"),
        ("34870;Stop Sign", "duplicate_row"),
    ],
)
def test_a_row_that_cannot_be_used_is_dropped_with_its_reason_and_place(tmp_path, row, reason):
    write(tmp_path, train=TRAIN + row + "\n", validation=VALIDATION, test=TEST)
    made = ingest(tmp_path, annotations_only=True)
    bad = [r for r in made.ledger if r["action"] == "dropped"]
    assert [(r["reason"], r["file"], r["line"]) for r in bad] == [(reason, "jester-v1-train.csv", 4)]
    assert conserved(made)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('7,"Stop Sign,37,23,"(3)",jpg', "unknown_label"),
        ("7", "no_label"),
        ("7,Stop Sign,x,23,s,jpg", "bad_number"),
        ("7,Stop Sign,0,23,s,jpg", "bad_number"),
        ("7,Stop Sign,99999999,23,s,jpg", "bad_number"),
        ("7,Stop Sign", "frame_count_unknown"),
    ],
)
def test_a_stray_row_of_the_kaggle_lists_touches_no_other(tmp_path, row, reason):
    write(tmp_path, Train=f"{KAGGLE}{row}\n{KAGGLE_ROW}", Validation=KAGGLE, Test=KAGGLE)
    made = ingest(tmp_path, annotations_only=True)
    assert rows(made)[-1][0] == "34870"
    assert reason in [r["reason"] for r in made.ledger]
    assert conserved(made)


def test_many_bad_rows_of_a_kind_are_counted_together(tmp_path):
    write(tmp_path, train=TRAIN + "x;Stop Sign\n" * 100, validation=VALIDATION, test=TEST)
    made = ingest(tmp_path, annotations_only=True)
    assert [r["count"] for r in made.ledger if r["reason"] == "bad_id"] == [1] * 20 + [80]
    assert conserved(made)


def test_a_clip_in_two_lists_is_in_the_first(tmp_path):
    write(tmp_path, train=TRAIN, validation=TRAIN, test=TEST)
    made = ingest(tmp_path, annotations_only=True)
    assert [row[5] for row in rows(made)] == ["train"] * 3 + ["test"] * 2
    assert conserved(made)


def test_what_the_lists_and_the_folders_do_not_share_is_counted(tmp_path):
    write(tmp_path, train=TRAIN)
    frames(tmp_path, "20bn-jester-v1/34870", [1, 2])
    frames(tmp_path, "20bn-jester-v1/56557", [])
    frames(tmp_path, "20bn-jester-v1/1", [1])
    frames(tmp_path, "34870", [1])
    made = ingest(tmp_path, annotations_only=False)
    assert sorted(reasons(made)) == [
        ("dropped", "missing_media", 1), ("dropped", "no_frames", 1), ("kept", "clip_folder_twice", 1),
        ("kept", "missing_list", 1), ("kept", "missing_list", 1), ("kept", "unlisted_clip", 1),
    ]  # fmt: skip
    assert (conserved(made), made.samples.num_rows) == (True, 1)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "no raw folder"),
        ({}, "no jester-v1-train.csv, labels/train.csv or Train.csv"),
        ({"train": TRAIN, "Train": KAGGLE}, "lists of two layouts"),
        ({"Train": KAGGLE_ROW}, r"Train.csv, line 1: expected the columns video_id,label"),
        ({"Train": ""}, "expected the columns"),
        ({"Validation": "video_id,frames\n7,3\n"}, "expected the columns"),
        ({"train": TRAIN}, r"none of the 3 clips .*missing_media.*--annotations-only"),
        ({"train": "\n"}, r"none of the 0 clips .*no rows"),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_clear_error(tmp_path, files, message):
    if files is not None:
        write(tmp_path / "raw", **files)
    with pytest.raises(DataError, match=message):
        ingest(tmp_path / "raw", annotations_only=False)


def test_a_file_that_is_no_text_is_one_clear_error(tmp_path):
    (tmp_path / "jester-v1-train.csv").write_bytes(b"\x1f\x8b\xff\x00")
    with pytest.raises(DataError, match=r"jester-v1-train.csv is not a text file"):
        ingest(tmp_path, annotations_only=True)


def test_the_labels_stand_in_the_order_of_their_numbers():
    labels = list(JESTER.labels)
    assert (len(labels), labels[0], labels[14], labels[26]) == (
        27, "Swiping Left", "Turning Hand Clockwise", "Doing other things",
    )  # fmt: skip
