"""Quirks of IPN's own files, each met by a real user (facts gathered from the real annotation)."""

from __future__ import annotations

import pytest
from factories import HEADER, annotate, frames, write_video

from pgc_data.datasets.ipn import ingest
from pgc_data.datasets.rows import is_safe_name
from pgc_data.errors import DataError

VIDEO = "1CM1_4_R_#229"


def read(folder, rows, **how):
    annotate(folder, rows, **how)
    return ingest(folder, annotations_only=True)


def samples_of(ingested):
    return [
        {k: v for k, v in row.items() if k not in ("boxes", "landmarks_2d")}
        for row in ingested.samples.to_pylist()
    ]


def reasons(ingested):
    return [(row["action"], row["reason"]) for row in ingested.ledger]


def test_a_segment_becomes_a_sample(tmp_path):
    made = read(tmp_path, [f"{VIDEO},D0X,1,1,17,17", f"{VIDEO},G11,14,18,55,38"])
    assert samples_of(made)[1] == {
        "dataset": "ipn", "sample_id": f"{VIDEO}:18-55:G11", "media": f"frames/{VIDEO}", "media_kind": "frames",
        "frame_start": 18, "frame_end": 55, "fps": 30.0, "label": "G11", "label_id": 14, "video_id": VIDEO,
        "subject_id": "1CM1_4", "official_split": None,
    }  # fmt: skip
    assert (made.rows_read, made.ledger) == (2, [])


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_line_ends_bom_blank_lines_and_spaces_do_not_matter(tmp_path, end):
    rows = ["", f"{VIDEO}, D0X ,1,1,17,17", "", "  ", f"{VIDEO},B0A,2,18,20,3 ", ""]
    made = read(tmp_path, rows, header="\ufeff" + HEADER, end=end)
    assert [s["label"] for s in samples_of(made)] == ["D0X", "B0A"]
    assert made.rows_read == 2


def test_the_official_split_comes_from_the_lists_without_a_header(tmp_path):
    (tmp_path / "Annot_TrainList.txt").write_text(f"{VIDEO},B0A,2,1,9,9")
    (tmp_path / "Annot_TestList.txt").write_text("\r\n1CM1_1_R_#217,B0A,2,1,9,9")
    made = read(tmp_path, [f"{VIDEO},B0A,2,1,9,9", "1CM1_1_R_#217,B0A,2,1,9,9", "4CM11_2_L_#3,B0A,2,1,9,9"])
    assert {s["video_id"]: s["official_split"] for s in samples_of(made)} == {
        VIDEO: "train", "1CM1_1_R_#217": "test", "4CM11_2_L_#3": None,
    }  # fmt: skip


def test_the_lists_alone_are_enough(tmp_path):
    (tmp_path / "Annot_TestList.txt").write_text(f"{VIDEO},B0A,2,1,9,9")
    assert samples_of(ingest(tmp_path, annotations_only=True))[0]["official_split"] == "test"


def test_a_video_in_both_lists_has_no_official_split(tmp_path):
    for name in ("Annot_TrainList.txt", "Annot_TestList.txt"):
        (tmp_path / name).write_text(f"{VIDEO},B0A,2,1,9,9")
    made = read(tmp_path, [f"{VIDEO},B0A,2,1,9,9"])
    assert samples_of(made)[0]["official_split"] is None
    assert reasons(made) == [("kept", "official_split_conflict")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"{VIDEO},B0A,2", "bad_row"),
        (f"{VIDEO},B0A,2,x,9,9", "bad_number"),
        (f"{VIDEO},B0A,2,1,,9", "bad_number"),
        (f"{VIDEO},B0A,2,1,99999999999,9", "bad_number"),
        (f"{VIDEO},B0A,2,9,1,9", "bad_interval"),
        (f"{VIDEO},B0A,2,0,9,10", "bad_interval"),
        (f"{VIDEO},B0C,2,1,9,9", "unknown_label"),
        ("../../etc/passwd,B0A,2,1,9,9", "unsafe_name"),
        ("..,B0A,2,1,9,9", "unsafe_name"),
        (",B0A,2,1,9,9", "unsafe_name"),
        (f"{VIDEO},D0X,1,1,17,17", "duplicate_row"),
        (f"{VIDEO},D0X,1,01,17,17", "duplicate_row"),
        (f"{VIDEO},B0A,2,1,99999999,9", "bad_number"),
    ],
)
def test_a_row_that_cannot_be_used_is_dropped_with_its_reason_and_place(tmp_path, row, reason):
    made = read(tmp_path, [f"{VIDEO},D0X,1,1,17,17", row])
    assert reasons(made) == [("dropped", reason)]
    assert (made.ledger[0]["file"], made.ledger[0]["line"]) == ("Annot_List.txt", 3)
    assert made.rows_read == len(made.samples) + 1 == 2


def test_odd_rows_are_kept_and_noted(tmp_path):
    made = read(tmp_path, [f"{VIDEO},D0X,1,1,17,99", f"{VIDEO},B0A,2,17,20,4"])
    assert reasons(made) == [("kept", "frame_count_disagrees"), ("kept", "overlapping_interval")]
    assert len(made.samples) == 2


def test_media_are_looked_for_and_intervals_are_measured_against_them(tmp_path):
    frames(tmp_path, "a_1_R_#1", 10)
    (tmp_path / "frames" / "b_1_R_#2").mkdir()
    write_video(tmp_path / "videos" / "c_1_R_#3.avi", 5)
    annotate(
        tmp_path,
        ["a_1_R_#1,B0A,2,1,8,8", "a_1_R_#1,B0B,3,9,12,4", "a_1_R_#1,G01,4,13,20,8", "b_1_R_#2,B0A,2,1,9,9",
         "c_1_R_#3,B0A,2,1,9,9", "d_1_R_#4,B0A,2,1,9,9"],
    )  # fmt: skip
    made = ingest(tmp_path, annotations_only=False)
    assert [(s["media"], s["media_kind"], s["frame_end"]) for s in samples_of(made)] == [
        ("frames/a_1_R_#1", "frames", 8), ("frames/a_1_R_#1", "frames", 10), ("videos/c_1_R_#3.avi", "video", 9),
    ]  # fmt: skip
    assert reasons(made) == [
        ("kept", "interval_past_end"), ("dropped", "interval_past_end"), ("dropped", "no_frames"),
        ("dropped", "missing_media"),
    ]  # fmt: skip
    assert made.rows_read == len(made.samples) + 3


def test_a_stray_quote_swallows_nothing(tmp_path):
    made = read(tmp_path, [f'{VIDEO},"B0B,3,1,9,9', f"{VIDEO},B0A,2,10,19,10", f"{VIDEO},G01,4,20,29,10"])
    assert (made.rows_read, reasons(made)) == (3, [("dropped", "unknown_label")])


def test_an_empty_frames_folder_does_not_hide_the_video(tmp_path):
    (tmp_path / "frames" / "c_1_R_#3").mkdir(parents=True)
    write_video(tmp_path / "videos" / "c_1_R_#3.avi", 5)
    annotate(tmp_path, ["c_1_R_#3,B0A,2,1,5,5"])
    assert samples_of(ingest(tmp_path, annotations_only=False))[0]["media_kind"] == "video"


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: None, "no raw folder"),
        (lambda folder: folder.mkdir(), "no Annot_List.txt in"),
        (
            lambda folder: annotate(folder, [], header=""),
            "expected the columns video,label,id,t_start,t_end,frames",
        ),
        (lambda folder: annotate(folder, ["x"], header="video,label"), "found video,label"),
        (lambda folder: annotate(folder, [], header="./frames/vid 2 1 17"), "found ./frames/vid 2 1 17"),
        (
            lambda folder: annotate(folder, [f"{VIDEO},B0X,2,1,9,9"]),
            r"none of the 1 annotation rows .*unknown_label",
        ),
        (lambda folder: annotate(folder, [f"{VIDEO},B0A,2,1,9,9"]), r"missing_media.*--annotations-only"),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_clear_error(tmp_path, prepare, message):
    prepare(tmp_path / "raw")
    with pytest.raises(DataError, match=message):
        ingest(tmp_path / "raw", annotations_only=False)


def test_a_file_that_is_no_text_is_one_clear_error(tmp_path):
    (tmp_path / "Annot_List.txt").write_bytes(b"\xff\xfe\x00\x01binary")
    with pytest.raises(DataError, match="is not a text file"):
        ingest(tmp_path, annotations_only=True)


@pytest.mark.parametrize(
    ("name", "safe"),
    [(VIDEO, True), ("a b", True), ("a/b", False), ("a\\b", False), ("..", False), (".", False), ("", False),
     ("c:x", False), ("a\nb", False)],
)  # fmt: skip
def test_only_plain_folder_names_are_safe(name, safe):
    assert is_safe_name(name) is safe
