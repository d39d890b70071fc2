"""What is wrong with an image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pgc_data.audits.content import image_fault

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
PNG = cv2.imencode(".png", PIXELS)[1].tobytes()
JPEG = cv2.imencode(".jpg", PIXELS)[1].tobytes()
DEEP = cv2.imencode(".png", PIXELS.astype(np.uint16) * 257)[1].tobytes()
FLIPPED = PNG[:100] + bytes([PNG[100] ^ 255]) + PNG[101:]


@pytest.mark.parametrize("data", [PNG, JPEG, DEEP, PNG + b"behind the end"])
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
        (JPEG[: len(JPEG) // 3], "not an image"),
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
