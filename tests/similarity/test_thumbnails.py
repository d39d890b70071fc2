"""Thumbnails: a picture is known again after what happens to pictures, and another is not taken for it."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from pgc_data.errors import DataError
from pgc_data.similarity import (
    LIKENESS,
    THUMBNAIL_BYTES,
    Pairs,
    confirmed,
    image_thumbnail,
    likeness,
    plain,
    same_picture,
    thumbnail,
)

PEOPLE = range(6)
GESTURES = ("fist", "palm", "peace")


def cut(picture, box, shift=(0, 0), wider=(0, 0)):
    x, y, width, height = box
    x, y = x + shift[0], y + shift[1]
    return picture[y : y + height + wider[1], x : x + width + wider[0]]


def jpeg(image, quality):
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def scaled(image, factor):
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=how)


def noisy(image, levels):
    noise = np.random.default_rng(0).normal(0, levels, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


CHANGES = {
    "JPEG of quality 30": lambda p, b: jpeg(cut(p, b), 30),
    "JPEG of quality 95": lambda p, b: jpeg(cut(p, b), 95),
    "half the size": lambda p, b: scaled(cut(p, b), 0.5),
    "twice the size": lambda p, b: scaled(cut(p, b), 2),
    "two pixels right": lambda p, b: cut(p, b, (2, -2)),
    "two pixels left": lambda p, b: cut(p, b, (-2, 2)),
    "wider and lower": lambda p, b: cut(p, b, (1, 1), (2, -2)),
    "darker": lambda p, b: cv2.convertScaleAbs(cut(p, b), alpha=0.9),
    "brighter": lambda p, b: cv2.convertScaleAbs(cut(p, b), alpha=1.1),
    "noise": lambda p, b: noisy(cut(p, b), 5),
    "all": lambda p, b: noisy(jpeg(scaled(cv2.convertScaleAbs(cut(p, b, (1, -2)), alpha=0.9), 0.7), 50), 2),
}


def thumbnails(images):
    return np.stack([image_thumbnail(image) for image in images])


@pytest.fixture(scope="module")
def drawn(photograph):
    """Pictures with the boxes around their hands, of every person and gesture."""
    return [photograph(*which) for which in itertools.product(PEOPLE, GESTURES)]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_picture_is_the_same(drawn, change):
    before = thumbnails([cut(*one) for one in drawn])
    after = thumbnails([CHANGES[change](*one) for one in drawn])
    assert same_picture(before, after).all()


def test_another_person_making_the_same_gesture_is_another_picture(drawn):
    ours = thumbnails([cut(*one) for one in drawn])
    a, b = np.array(list(itertools.combinations(range(len(drawn)), 2))).T
    assert not same_picture(ours[a], ours[b]).any()


def test_a_mirrored_picture_is_another(drawn):
    ours = thumbnails([cut(*one) for one in drawn])
    mirrored = thumbnails([cut(*one)[:, ::-1] for one in drawn])
    assert not same_picture(ours, mirrored).any()


def test_other_colours_are_another_picture(drawn):
    ours = thumbnails([cut(*one) for one in drawn])
    swapped = thumbnails([cut(*one)[:, :, ::-1] for one in drawn])
    grey = thumbnails(
        [cv2.cvtColor(cut(*one), cv2.COLOR_BGR2YCrCb)[:, :, :1].repeat(3, axis=2) for one in drawn]
    )
    assert (likeness(ours, grey) > LIKENESS).all()
    assert not same_picture(ours, swapped).any()
    assert not same_picture(ours, grey).any()


def test_likeness_is_the_same_from_either_side(drawn):
    ours = thumbnails([cut(*one) for one in drawn])
    assert (likeness(ours, ours[::-1]) == likeness(ours[::-1], ours)).all()
    assert likeness(ours, ours) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("level", [0, 20, 255])
def test_plain_pictures_are_not_taken_for_one_another(level, drawn):
    flat = np.full((50, 40, 3), level, np.uint8)
    gradient = np.repeat(np.linspace(0, 60, 40, dtype=np.uint8)[None], 50, axis=0)[:, :, None].repeat(
        3, axis=2
    )
    these = thumbnails([flat, gradient, cut(*drawn[0])])
    assert plain(these).tolist() == [True, True, False]
    assert likeness(these, these)[:2].tolist() == [0, 0]
    assert same_picture(these, these).tolist() == [False, False, True]


def test_dark_noise_is_not_taken_for_other_dark_noise():
    rng = np.random.default_rng(0)
    dark = thumbnails(rng.integers(0, 12, (40, 80, 80, 3), dtype=np.uint8))
    assert not same_picture(dark[:20], dark[20:]).any()


def test_no_pictures_at_all():
    none = np.empty((0, THUMBNAIL_BYTES), np.uint8)
    assert (len(plain(none)), len(likeness(none, none)), len(same_picture(none, none))) == (0, 0, 0)


@pytest.mark.parametrize("kind", [".png", ".bmp"])
def test_a_thumbnail_of_an_encoded_picture(drawn, kind):
    image = cut(*drawn[0])
    data = bytes(cv2.imencode(kind, image)[1])
    small = thumbnail(data)
    assert (small.shape, small.dtype) == ((THUMBNAIL_BYTES,), np.uint8)
    assert (small == image_thumbnail(image)).all()


@pytest.mark.parametrize("image", [
    np.full((1, 1), 9, np.uint8),
    np.full((5, 3, 4), 9, np.uint8),
    np.full((40, 30), 2313, np.uint16),
], ids=["one grey pixel", "with alpha", "16 bits"])  # fmt: skip
def test_pictures_of_other_kinds_are_read_as_colours_of_8_bits(image):
    small = thumbnail(bytes(cv2.imencode(".png", image)[1]))
    assert small.tolist() == [9] * 1024 + [128] * 128


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n"])
def test_what_is_not_a_picture_is_refused(data):
    with pytest.raises(DataError, match=f"{len(data)} bytes are not an image"):
        thumbnail(data)


def test_pairs_are_confirmed_by_the_thumbnails_of_their_rows(drawn):
    first, second = np.array([5, 2, 5, 9]), np.array([9, 90, 90, 40])
    pairs = Pairs(first, second, np.arange(4, dtype=np.uint8), left_out=3)
    one, changed, another = cut(*drawn[0]), CHANGES["all"](*drawn[0]), cut(*drawn[1])
    shown = {2: another, 5: one, 9: changed, 40: another, 90: one}
    kept = confirmed(pairs, thumbnails([shown[row] for row in pairs.rows().tolist()]))
    assert (kept.first.tolist(), kept.second.tolist()) == ([5, 5], [9, 90])
    assert (kept.distance.tolist(), kept.left_out) == ([0, 2], 3)


def test_no_pairs_need_no_thumbnails():
    none = Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint8))
    assert not len(confirmed(none, np.empty((0, THUMBNAIL_BYTES), np.uint8)))
