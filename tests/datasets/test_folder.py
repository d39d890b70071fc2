"""The worked example: a plain folder of images, clips and folders of frames."""

from __future__ import annotations

import pytest
from factories import write_video

from pgc_data.datasets.folder import ingest
from pgc_data.datasets.vocabularies import load_vocabulary
from pgc_data.errors import DataError


def test_images_clips_and_folders_of_frames(tmp_path):
    for name in (
        "wave/ada/photo.JPG",
        "wave/ada/clip/00001.jpg",
        "wave/ada/clip/00002.jpg",
        "no hand/bo/x.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    write_video(tmp_path / "wave" / "bo" / "film.avi", 5)
    made = ingest(tmp_path, annotations_only=False)
    names = ("sample_id", "media_kind", "frame_end", "fps", "label", "subject_id", "video_id")
    assert [tuple(row[name] for name in names) for row in made.samples.to_pylist()] == [
        ("no hand/bo/x.png", "image", 1, None, "no hand", "bo", None),
        ("wave/ada/clip", "frames", 2, None, "wave", "ada", "wave/ada/clip"),
        ("wave/ada/photo.JPG", "image", 1, None, "wave", "ada", None),
        ("wave/bo/film.avi", "video", 5, 30.0, "wave", "bo", "wave/bo/film.avi"),
    ]
    assert (made.rows_read, made.ledger) == (4, [])


def test_what_cannot_be_used_is_dropped_with_its_reason(tmp_path):
    for name in ("wave/ada/photo.jpg", "wave/ada/notes.txt", "wave/ada/empty.mp4", "wave/stray.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "wave" / "ada" / "nothing").mkdir()
    made = ingest(tmp_path, annotations_only=True)
    assert [(row["reason"], row["item"]) for row in made.ledger] == [
        ("no_subject", "wave/stray.jpg"), ("no_frames", "wave/ada/nothing"), ("no_frames", "wave/ada/empty.mp4"),
        ("no_frames", "wave/ada/notes.txt"),
    ]  # fmt: skip
    assert made.rows_read == made.samples.num_rows + 4


@pytest.mark.parametrize(
    ("make", "message"), [(False, "cannot be read .No such file"), (True, "nothing below")]
)
def test_a_folder_without_media_is_one_clear_error(tmp_path, make, message):
    if make:
        (tmp_path / "raw" / "wave" / "ada").mkdir(parents=True)
    with pytest.raises(DataError, match=message):
        ingest(tmp_path / "raw", annotations_only=False)


def test_a_vocabulary_may_name_any_label_of_it(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('classes = ["wave", "none"]\n[folder]\nwave = ["wave"]\nnone = ["no hand"]\n')
    assert load_vocabulary(str(path)).class_ids("folder", ["wave", "no hand"]) == {"wave": 0, "no hand": 1}


def test_strays_are_counted_and_photographs_of_a_camera_are_no_clip(tmp_path):
    for name in ("readme.txt", "wave/list.csv", "wave/ada/trip/IMG_20240102_101111.jpg", "wave/ada/ok/1.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    made = ingest(tmp_path, annotations_only=False)
    assert [row["media"] for row in made.samples.to_pylist()] == ["wave/ada/ok"]
    assert sorted(row["reason"] for row in made.ledger) == ["no_frames", "no_label", "no_subject"]
    assert made.rows_read == 4
