import math

import numpy as np
import pytest
from features_factories import one_hand, walk

from pgc_data.features import blocks

RNG = np.random.default_rng(3)


@pytest.mark.parametrize(
    ("fault", "valid"),
    [
        (lambda hand: None, True),
        (lambda hand: hand.fill(np.nan), False),
        (lambda hand: hand.__setitem__((20, 2), np.inf), False),
        (lambda hand: hand.__setitem__((4, 0), 100.1), False),
        (lambda hand: hand.__setitem__((4, 0), -99.9), True),
        (lambda hand: hand.__setitem__(9, hand[0]), False),
        (lambda hand: hand.__setitem__(9, hand[0] + [0.9e-4, 0, 0]), False),
        (lambda hand: hand.__setitem__(9, hand[0] + [1.1e-4, 0, 0]), True),
        (lambda hand: hand.__setitem__(9, hand[0] + [0, 1.1e-4, 0]), False),
    ],
)
def test_valid_frames(fault, valid):
    hand = one_hand(RNG)
    fault(hand)
    assert blocks.valid_frames(hand[None], 640, 480).tolist() == [valid]


def test_aspect_correction_makes_distances_independent_of_the_frame():
    pixels = np.array([[100.0, 200.0, 0.0], [400.0, 600.0, 0.0]])
    for width, height in ((640, 480), (480, 640), (1920, 1080)):
        points = blocks.aspect_correct(pixels / [width, height, width], width, height)
        assert np.linalg.norm(points[1] - points[0]) * width == pytest.approx(500)


@pytest.mark.parametrize("degrees", [0, 30, 90, 135, 180])
def test_joint_angle_is_the_interior_angle(degrees):
    hand = one_hand(RNG)
    hand[5] = hand[0] + [0.1, 0, 0]
    hand[6] = hand[5] + 0.05 * np.array(
        [-math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), 0]
    )
    assert blocks.joint_angles(hand[None])[0, 2] == pytest.approx(math.radians(degrees), abs=1e-9)


def test_joints_that_coincide_have_angle_zero():
    assert (blocks.joint_angles(np.zeros((1, 21, 3))) == 0).all()


def test_spread_is_in_palms():
    hand = np.zeros((1, 21, 3))
    hand[0, 4, 0], hand[0, 8, 0] = 0.1, 0.4
    spread = blocks.fingertip_spread(hand, np.array([0.2]))
    assert spread[0].tolist() == pytest.approx([1.5, 2.0, 0, 0, 0.5])


def test_velocity_is_zero_where_no_time_has_passed():
    shape = blocks.position(walk(RNG, 3), np.full(3, 0.2))
    moved = blocks.velocity(shape[1:], shape[:-1], np.array([0.0, 0.5]))
    assert (moved[0] == 0).all()
    np.testing.assert_allclose(moved[1], (shape[2] - shape[1]) / 0.5)
    assert (blocks.wrist_vel_raw(shape[:1, :3], shape[1:2, :3], np.array([-1.0])) == 0).all()


ELAPSED = RNG.uniform(0.01, 0.2, 60)
BLOCKS = {
    "palm_scale": lambda points, elapsed: blocks.palm_scale(points),
    "position": lambda points, elapsed: blocks.position(points, blocks.palm_scale(points)),
    "fingertip_spread": lambda points, elapsed: blocks.fingertip_spread(points, blocks.palm_scale(points)),
    "joint_angles": lambda points, elapsed: blocks.joint_angles(points),
    "velocity": lambda points, elapsed: blocks.velocity(points[:, 1], points[:, 2], elapsed),
    "wrist_vel_raw": lambda points, elapsed: blocks.wrist_vel_raw(points[:, 0], points[:, 8], elapsed),
    "wrist_trajectory": lambda points, elapsed: blocks.wrist_trajectory(points[:, 0], elapsed, points[:, 9]),
}


@pytest.mark.parametrize("order", [np.ascontiguousarray, np.asfortranarray, blocks.frames_last])
@pytest.mark.parametrize("name", BLOCKS)
def test_a_frame_gives_the_same_bits_in_any_company_and_memory_order(name, order):
    points = walk(RNG, 60)
    whole = BLOCKS[name](points, ELAPSED)
    for start in range(0, 60, 7):
        for stop in range(start + 1, 61):
            part = BLOCKS[name](order(points[start:stop]), ELAPSED[start:stop])
            assert part.tobytes() == whole[start:stop].tobytes(), (start, stop)


@pytest.mark.parametrize("frames", [0, 1, 5])
def test_frames_last_copies(frames):
    hands = walk(RNG, 5)[:frames]
    copy = blocks.frames_last(hands)
    np.testing.assert_array_equal(copy, hands)
    assert not np.shares_memory(copy, hands)
    assert copy.strides[0] == copy.itemsize or frames < 2


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("chunk", [1, 7, 512])
def test_validity_does_not_depend_on_chunks_or_memory_order(monkeypatch, chunk, order):
    monkeypatch.setattr(blocks, "CHUNK_FRAMES", chunk)
    hands = walk(RNG, 40)
    hands[[3, 13, 14, 39], [0, 4, 20, 9], 1] = np.nan, np.inf, -100.5, 1e308
    hands[21, 9] = hands[21, 0]
    valid = blocks.valid_frames(np.array(hands, order=order), 640, 480)
    assert np.flatnonzero(~valid).tolist() == [3, 13, 14, 21, 39]


def test_aspect_correction_leaves_its_input_alone():
    hands = walk(RNG, 3)
    before = hands.copy()
    blocks.aspect_correct(hands, 640, 480)
    np.testing.assert_array_equal(hands, before)
