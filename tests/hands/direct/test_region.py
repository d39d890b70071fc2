"""Regions: where they lie, what grows out of palms and landmarks, and the way back to the image."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgc_data.hands.direct.region import Region, Size, landmark_region, overlap, palm_region


def region(x, y, width, height, rotation=0.0):
    return Region(*map(np.float32, (x, y, width, height, rotation)))


def square(x, y, side, rotation, size):
    """A region of `side` pixels around a pixel."""
    return region(x / size.width, y / size.height, side / size.width, side / size.height, rotation)


def into(where, points, size):
    """The way into a region, in 64 bits: (n, 2) pixels of the image -> fractions of the region."""
    x, y = (points - [where.x * size.width, where.y * size.height]).T / (where.width * size.width)
    cos, sin = math.cos(where.rotation), math.sin(where.rotation)
    return np.stack([x * cos + y * sin, y * cos - x * sin], axis=1) + 0.5


sizes = st.builds(Size, st.integers(1, 4000), st.integers(1, 4000))
angles = st.floats(-math.pi, math.pi)


@given(sizes, st.floats(-0.5, 1.5), st.floats(-0.5, 1.5), st.floats(0.01, 3.0), angles)
def test_points_go_into_a_region_and_back(size, x, y, share, rotation):
    where = square(x * size.width, y * size.height, share * max(size.width, size.height), rotation, size)
    points = np.random.default_rng(0).uniform(-0.2, 1.2, (21, 2))
    pixels = where.to_image(points.astype(np.float32)) * [size.width, size.height]
    np.testing.assert_allclose(into(where, pixels, size), points, atol=2e-3)


def hand(size, centre, length, turned=0.0):
    """(21, 2) landmarks of an open hand in fractions, fingers up, turned clockwise about its middle knuckle."""
    knuckles = [(0.0, 1.0), (-0.3, 0.8), (-0.5, 0.55), (-0.6, 0.35), (-0.7, 0.2)]
    for across in (-0.25, 0.0, 0.2, 0.4):
        knuckles += [(across, 0.1 * abs(across)), (across, -0.4), (across, -0.6), (across, -0.75)]
    cos, sin = math.cos(turned), math.sin(turned)
    points = np.array(knuckles) @ np.array([[cos, sin], [-sin, cos]]) * length + centre
    return (points / [size.width, size.height]).astype(np.float32)


@given(angles, st.floats(40, 200), st.floats(-50, 700), st.floats(-50, 500))
def test_the_next_region_turns_moves_and_grows_with_the_hand(turned, length, x, y):
    size = Size(640, 480)
    upright = landmark_region(hand(size, (320, 240), 100), size)
    found = landmark_region(hand(size, (x, y), length, turned), size)
    change = (found.rotation - upright.rotation - turned) % (2 * math.pi)
    assert min(change, 2 * math.pi - change) < 1e-3
    assert found.width * size.width == pytest.approx(upright.width * size.width * length / 100, rel=1e-3)
    assert found.height * size.height == pytest.approx(found.width * size.width, rel=1e-3)
    # The hand lies in its region as it did before.
    np.testing.assert_allclose(
        into(found, hand(size, (x, y), length, turned) * [640, 480], size),
        into(upright, hand(size, (320, 240), 100) * [640, 480], size),
        atol=1e-3,
    )


def test_the_next_region_is_twice_the_palm_and_first_joints_of_a_hand_without_the_finger_tips():
    size = Size(1000, 1000)
    where = landmark_region(hand(size, (500, 500), 100), size)
    # From thumb to little finger 1.0, from the wrist to the middle joints 1.4 palm lengths.
    assert where.height * 1000 == pytest.approx(2 * 140, rel=0.01)
    upright = into(where, np.array([[500, 600], [500, 425]]), size)
    assert upright[0, 1] > 0.7 and upright[1, 1] < 0.3


def test_a_palm_of_an_upright_hand_gives_mediapipes_turned_region():
    size = Size(640, 480)
    corner, extent = np.float32([300 / 640, 200 / 480]), np.float32([40 / 640, 60 / 480])
    wrist, middle = np.float32([0.5, 260 / 480]), np.float32([0.5, 200 / 480])
    where = palm_region(corner, extent, wrist, middle, size)
    turned = 90 - math.pi / 2 - 28 * math.pi
    assert where.rotation == pytest.approx(turned, abs=1e-5)
    assert (where.width * 640, where.height * 480) == pytest.approx((156, 156), rel=1e-5)
    assert where.x * 640 == pytest.approx(320 + 30 * math.sin(turned), rel=1e-5)
    assert where.y * 480 == pytest.approx(230 - 30 * math.cos(turned), rel=1e-5)


@pytest.mark.parametrize(
    ("a", "b", "share"),
    [
        ((0.5, 0.5, 0.2, 0.2), (0.5, 0.5, 0.2, 0.2), 1.0),
        ((0.5, 0.5, 0.2, 0.2), (0.6, 0.5, 0.2, 0.2), 1 / 3),
        ((0.5, 0.5, 0.2, 0.2), (0.5, 0.5, 0.1, 0.1), 0.25),
        ((0.5, 0.5, 0.2, 0.2), (0.7, 0.5, 0.2, 0.2), 0.0),
        ((0.5, 0.5, 0.2, 0.2), (0.9, 0.9, 0.2, 0.2), 0.0),
    ],
)
def test_overlap_is_intersection_over_union(a, b, share):
    assert overlap(region(*a), region(*b)) == pytest.approx(share, abs=1e-5)
    assert overlap(region(*b), region(*a)) == pytest.approx(share, abs=1e-5)


@pytest.mark.parametrize(
    ("numbers", "usable"),
    [
        ((0.5, 0.5, 0.1, 0.1), True),
        ((-3.0, 0.5, 0.1, 0.1), True),
        ((0.5, 0.5, 0.0, 0.0), False),
        ((0.5, 0.5, 1e-9, 1e-9), False),
        ((0.5, 0.5, -0.1, 0.1), False),
        ((math.nan, 0.5, 0.1, 0.1), False),
        ((0.5, 0.5, math.inf, 0.1), False),
    ],
)
def test_a_region_is_usable_if_there_is_something_to_look_at(numbers, usable):
    assert region(*numbers).usable is usable
