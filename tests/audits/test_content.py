"""What is wrong with an image."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest

from pgc_data.audits.content import image_facts, image_fault, image_loaders

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
PNG = cv2.imencode(".png", PIXELS)[1].tobytes()
JPEG = cv2.imencode(".jpg", PIXELS)[1].tobytes()
DEEP = cv2.imencode(".png", PIXELS.astype(np.uint16) * 257)[1].tobytes()
HUGE = PNG[:16] + struct.pack(">II", 30_000, 30_000) + PNG[24:]
SIZE = JPEG.index(b"\xff\xc0") + 5
HUGE_JPEG = JPEG[:SIZE] + struct.pack(">HH", 30_000, 30_000) + JPEG[SIZE + 4 :]
BMP = cv2.imencode(".bmp", PIXELS)[1].tobytes()
WEBP = cv2.imencode(".webp", PIXELS)[1].tobytes()
GREY = cv2.imencode(".png", PIXELS[:, :, 0])[1].tobytes()
FLIPPED = PNG[:100] + bytes([PNG[100] ^ 255]) + PNG[101:]


@pytest.mark.parametrize("data", [PNG, JPEG, DEEP, BMP, WEBP, GREY, PNG + b"behind the end"])
def test_a_whole_image_has_no_fault(data: bytes) -> None:
    assert image_fault(data) is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (PNG[:-1], "cut short"),
        (PNG[: len(PNG) // 2], "cut short"),
        (PNG[:8], "cut short"),
        (FLIPPED, "checksum of its IDAT chunk"),
        (b"<!DOCTYPE html>", "not an image"),
        (JPEG[: len(JPEG) // 3], "cut short"),
        (JPEG[:-2], "cut short"),
        (HUGE, "30,000 x 30,000 pixels are too many"),
        (HUGE_JPEG, "30,000 x 30,000 pixels are too many"),
        (b"\xff\xd8\xff\xe0\x00", "cut short"),
    ],
)
def test_a_broken_image_is_found_and_nothing_is_printed(
    data: bytes, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        assert words in str(image_fault(data))
    finally:
        cv2.utils.logging.setLogLevel(level)
    assert capfd.readouterr().err == ""


def test_an_image_is_measured() -> None:
    half = np.zeros((40, 80, 3), np.uint8)
    half[:, 40:] = 200
    sharp, blurred = (cv2.imencode(".png", i)[1].tobytes() for i in (half, cv2.GaussianBlur(half, (0, 0), 8)))
    measured = image_facts([lambda: sharp, lambda: blurred, lambda: b"no", lambda: None])
    one, other, broken, none = measured.facts
    assert (one["width"], one["height"], one["decoded"]) == (80, 40, True)
    assert abs(one["brightness"] - 100) < 2 and abs(one["contrast"] - 100) < 2
    assert one["sharpness"] > 10 * other["sharpness"] > 0
    assert int(one["phash"]) == int.from_bytes(cv2.img_hash.pHash(half).tobytes(), "big")
    assert (broken["present"], broken["decoded"], none["present"]) == (True, False, False)
    assert measured.faults == {2: "it is not an image that OpenCV decodes", 3: "there is no image"}
    assert measured.kept[0].any() and not measured.kept[2:].any()


STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.mark.parametrize(
    "column",
    [
        pa.array([{"bytes": PNG, "path": "x"}, None], STRUCT),
        pa.array([{"bytes": None, "path": "a/b.png"}, {"bytes": None, "path": "../outside.png"}], STRUCT),
        pa.array([PNG, None], pa.binary()),
        pa.array([PNG, None], pa.large_binary()),
        pa.array([PNG, None], pa.binary_view()),
        pa.array(["a/b.png", "../outside.png"]),
        pa.array(["a\\b.png", "missing.png"]).dictionary_encode(),
    ],
    ids=lambda column: str(column.type),
)
def test_images_of_every_kind_of_column(tmp_path: Path, column: pa.Array) -> None:
    (tmp_path / "base/a").mkdir(parents=True)
    (tmp_path / "base/a/b.png").write_bytes(PNG)
    (tmp_path / "outside.png").write_bytes(PNG)
    first, second = (load() for load in image_loaders(column, tmp_path / "base"))
    assert first is not None and bytes(first) == PNG
    assert second is None
