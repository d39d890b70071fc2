from __future__ import annotations

import io

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgc_data.hands.crops import crop_box, cut, encode_png, perceptual_hash
from pgc_data.hands.tracks import Tracks


def test_a_hand_keeps_its_track_while_it_is_seen():
    tracks = Tracks()
    assert [tracks.assign([(x, 0, 10, 10)], t / 30) for t, x in enumerate((0, 5, 14, 8))] == [[0]] * 4


def test_a_hand_that_jumps_or_stays_away_begins_a_new_track():
    tracks = Tracks()
    assert tracks.assign([(0, 0, 10, 10)], 0.0) == [0]
    assert tracks.assign([(50, 0, 10, 10)], 1 / 30) == [1]
    assert tracks.assign([], 0.1) == []
    assert tracks.assign([(50, 0, 10, 10)], 0.2) == [1]
    assert tracks.assign([(50, 0, 10, 10)], 0.5) == [2]


def test_two_hands_are_told_apart_whatever_their_order():
    tracks = Tracks()
    assert tracks.assign([(0, 0, 10, 10), (30, 0, 10, 10)], 0.0) == [0, 1]
    assert tracks.assign([(31, 0, 10, 10), (1, 0, 10, 10)], 1 / 30) == [1, 0]
    assert tracks.assign([(4, 0, 10, 10), (31, 0, 10, 10), (2, 0, 10, 10)], 2 / 30) == [2, 1, 0]


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [
        ((10, 20, 8, 4), 0.0, (10, 20, 8, 4)),
        ((10.4, 20.6, 8, 4), 0.0, (10, 20, 9, 5)),
        ((10, 20, 8, 4), 0.5, (6, 16, 16, 12)),
        ((-5, -5, 10, 10), 0.0, (0, 0, 5, 5)),
        ((95, 45, 10, 10), 0.2, (93, 43, 7, 7)),
        ((100, 10, 5, 5), 0.0, None),
        ((-20, 10, 5, 5), 0.2, None),
        ((10, 10, 0, 0), 0.2, None),
        ((-60, 10, 50, 50), 0.5, None),
    ],
)
def test_the_crop_is_the_box_with_a_margin_inside_the_image(box, margin, expected):
    assert crop_box(box, margin, width=100, height=50) == expected


numbers = st.floats(-500, 500)


@given(st.tuples(numbers, numbers, st.floats(0, 500), st.floats(0, 500)), st.floats(0, 2))
def test_a_crop_always_lies_inside_the_image(box, margin):
    found = crop_box(box, margin, 64, 48)
    if found is not None:
        x, y, width, height = found
        assert 0 <= x < x + width <= 64
        assert 0 <= y < y + height <= 48


def test_a_crop_survives_as_png_to_the_bit():
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    crop = cut(image, (3, 5, 20, 10))
    assert (cv2.imdecode(np.frombuffer(encode_png(crop), np.uint8), 1) == image[5:15, 3:23]).all()


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 16, 256]), st.integers(0, 99))
def test_every_reader_of_png_sees_the_crop_as_it_was(width, height, levels, seed):
    crop = np.random.default_rng(seed).integers(0, levels, (height, width, 3), dtype=np.uint8)
    assert (np.asarray(PIL.Image.open(io.BytesIO(encode_png(crop)))) == crop[:, :, ::-1]).all()


def test_a_crop_takes_fewer_bytes_than_its_pixels():
    smooth = cv2.resize(np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8), (120, 150))
    assert len(encode_png(smooth)) < smooth.nbytes / 2


def test_the_hash_stays_near_under_noise_and_far_between_images():
    rng = np.random.default_rng(0)
    one, other = (cv2.resize(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8), (60, 60)) for _ in range(2))
    noisy = cv2.add(one, rng.integers(0, 6, one.shape, dtype=np.uint8))

    def bits(a, b):
        return (int(a, 16) ^ int(b, 16)).bit_count()

    assert bits(perceptual_hash(one), perceptual_hash(noisy)) <= 4
    assert bits(perceptual_hash(one), perceptual_hash(other)) > 12
