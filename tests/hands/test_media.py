from __future__ import annotations

import cv2
import numpy as np
import pytest
from factories import frames, write_video

from pgc_data.hands.media import decode_file, numbered_files, read_frames


def picture(height=20, width=30, dtype=np.uint8, channels=3):
    rng = np.random.default_rng(0)
    shape = (height, width, channels) if channels > 1 else (height, width)
    return rng.integers(0, np.iinfo(dtype).max, shape).astype(dtype)


def jpeg(image=None):
    return cv2.imencode(".jpg", picture(200, 200) if image is None else image)[1].tobytes()


def test_every_frame_asked_for_comes_back_in_order(tmp_path):
    folder = frames(tmp_path, "v", 5)
    (folder / "v_000003.jpg").unlink()
    (folder / "v_000004.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("x")
    found = list(read_frames(folder, "frames", [(1, 4), (6, 7)], fps=10))
    assert [(f.number, f.status) for f in found] == [
        (1, "decoded"), (2, "decoded"), (3, "missing"), (4, "undecodable"), (6, "missing"), (7, "missing"),
    ]  # fmt: skip
    assert [f.timestamp_s for f in found[:2]] == [0.0, 0.1]
    assert int(found[1].image[0, 0, 0]) == 2
    assert found[3].detail == "v_000004.jpg is empty"


def test_a_folder_that_is_gone_gives_missing_frames(tmp_path):
    assert [f.status for f in read_frames(tmp_path / "x", "frames", [(1, 2)], None)] == ["missing"] * 2


@pytest.mark.parametrize("name", ["00012.jpg", "v_#3_000012.JPG", "frame_00_01_0012.png", "a12.jpeg"])
def test_names_that_end_in_a_number_are_frames(tmp_path, name):
    (tmp_path / name).touch()
    assert numbered_files(tmp_path) == {12: name}


def test_a_video_is_read_in_sequence_and_ends_where_it_ends(tmp_path):
    write_video(tmp_path / "v.avi", 10)
    found = list(read_frames(tmp_path / "v.avi", "video", [(3, 4), (9, 12)], fps=30))
    assert [(f.number, f.status) for f in found] == [
        (3, "decoded"), (4, "decoded"), (9, "decoded"), (10, "decoded"), (11, "missing"), (12, "missing"),
    ]  # fmt: skip
    assert [round(float(f.image.mean()) / 4) for f in found[:4]] == [3, 4, 9, 10]
    assert found[-1].detail == "the video ends at frame 10"


@pytest.mark.parametrize("content", [b"", b"no video at all"])
def test_a_video_that_cannot_be_opened_is_told_from_one_that_ends(tmp_path, content):
    (tmp_path / "v.avi").write_bytes(content)
    found = list(read_frames(tmp_path / "v.avi", "video", [(1, 3)], 30))
    assert {(f.status, f.detail) for f in found} == {("undecodable", "v.avi cannot be opened as a video")}
    assert [f.status for f in read_frames(tmp_path / "w.avi", "video", [(1, 3)], 30)] == ["missing"] * 3


def test_a_damaged_frame_of_a_video_does_not_shift_the_others(tmp_path):
    write_video(tmp_path / "v.avi", 40)
    data = bytearray((tmp_path / "v.avi").read_bytes())
    whole = [round(float(f.image.mean())) for f in read_frames(tmp_path / "v.avi", "video", [(1, 40)], 30)]
    at = data.find(b"movi")
    for _ in range(20):
        at = data.find(b"00dc", at + 1)
    size = int.from_bytes(data[at + 4 : at + 8], "little")
    data[at + 8 : at + 8 + size] = bytes(size)
    (tmp_path / "v.avi").write_bytes(data)
    found = list(read_frames(tmp_path / "v.avi", "video", [(1, 42)], 30))
    assert [f.number for f in found if f.status == "undecodable"] == [20]
    assert [f.number for f in found if f.status == "missing"] == [41, 42]
    assert all(round(float(f.image.mean())) == whole[f.number - 1] for f in found if f.image is not None)


def test_masks_and_thumbnails_beside_the_frames_are_not_frames(tmp_path):
    folder = frames(tmp_path, "v", 5)
    for name in ("mask_000002.png", "v_000003.png", "zz_000004.jpg"):
        (folder / name).write_bytes(b"x")
    assert sorted(numbered_files(folder).values()) == [f"v_{n:06d}.jpg" for n in range(1, 6)]


def test_an_enormous_image_is_refused_before_it_takes_the_memory(tmp_path):
    huge = cv2.imencode(".png", np.zeros((10_001, 10_000), np.uint8))[1].tobytes()
    (tmp_path / "x.png").write_bytes(huge)
    image, status, detail = decode_file(tmp_path / "x.png")
    assert (image, status) == (None, "undecodable")
    assert "refused by OpenCV" in detail


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("16-bit.png", cv2.imencode(".png", picture(dtype=np.uint16))[1].tobytes()),
        ("grey.png", cv2.imencode(".png", picture(channels=1))[1].tobytes()),
        ("alpha.png", cv2.imencode(".png", picture(channels=4))[1].tobytes()),
        ("plain.jpg", jpeg(picture())),
        ("padded.jpg", jpeg(picture()) + bytes(9)),
    ],
)
def test_every_kind_of_image_becomes_8_bit_bgr(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    image, status, _ = decode_file(tmp_path / name)
    assert status == "decoded"
    assert (image.shape, image.dtype) == ((20, 30, 3), np.uint8)


def test_an_exif_rotation_is_followed(tmp_path):
    data = jpeg(picture(20, 30))
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (tmp_path / "turned.jpg").write_bytes(data[:2] + segment + data[2:])
    image, _, _ = decode_file(tmp_path / "turned.jpg")
    assert image.shape == (30, 20, 3)


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "x.jpg is empty"),
        (b"<html>not found</html>", "x.jpg is no image that OpenCV can read"),
        (jpeg()[:3000], "x.jpg is cut off"),
        (jpeg()[:-2], "x.jpg is cut off"),
        (b"\xff\xd8\xff\xd9", "x.jpg is no image that OpenCV can read"),
    ],
)
def test_a_broken_image_is_told_apart_from_a_good_one(tmp_path, content, detail):
    (tmp_path / "x.jpg").write_bytes(content)
    assert decode_file(tmp_path / "x.jpg") == (None, "undecodable", detail)
