"""The hand's bones: their lengths, the mirror, the direction of bending."""

import numpy as np
import pytest

from pgc_data.synthetic.gestures import LABELS, OPEN, POSE, angles_of, draw_manner, movement
from pgc_data.synthetic.skeleton import PALM, Angles, draw_proportions, pose_skeleton, turn_matrices

BONES = [(a, a + 1) for knuckle in (1, 5, 9, 13, 17) for a in range(knuckle, knuckle + 3)]
PALM_SPANS = [(0, joint) for joint in PALM[1:]]


def bone_lengths(joints):
    pairs = np.array(BONES + PALM_SPANS)
    return np.linalg.norm(joints[:, pairs[:, 0]] - joints[:, pairs[:, 1]], axis=2)


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("left", [False, True])
def test_bones_keep_their_length_while_the_hand_moves(label, left):
    rng = np.random.default_rng(3)
    proportions = draw_proportions(rng)
    poses = movement(label, 30, draw_manner(rng, 1.0))
    lengths = bone_lengths(pose_skeleton(proportions, angles_of(poses), left=left).joints)
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[0], lengths.shape), atol=1e-9)
    np.testing.assert_allclose(lengths[0, : len(BONES)], proportions.lengths.ravel(), atol=1e-9)


def test_palm_length_is_the_unit():
    for seed in range(5):
        skeleton = pose_skeleton(draw_proportions(np.random.default_rng(seed)), angles_of(OPEN[None]))
        assert np.linalg.norm(skeleton.joints[0, 9]) == pytest.approx(1.0)


def test_left_hand_is_the_right_hand_in_the_mirror():
    rng = np.random.default_rng(0)
    proportions = draw_proportions(rng)
    angles = angles_of(movement("G05", 20, draw_manner(rng, 1.0)))
    right, left = (pose_skeleton(proportions, angles, left=side) for side in (False, True))
    np.testing.assert_allclose(left.joints, right.joints * [-1, 1, 1])
    np.testing.assert_allclose(left.facing, right.facing * [-1, 1, 1])


def test_unturned_right_hand_shows_its_palm_with_the_thumb_on_the_right():
    pose = OPEN.copy()
    pose[21:24] = 0.0
    skeleton = pose_skeleton(draw_proportions(np.random.default_rng(0)), angles_of(pose[None]))
    joints = skeleton.joints[0]
    assert joints[4, 0] > joints[8, 0] > joints[12, 0] > joints[16, 0] > joints[20, 0]
    assert joints[12, 1] < joints[9, 1] < joints[0, 1]
    assert (skeleton.facing[0, 1:, 0, 2] < -0.9).all()


def test_curled_fingers_come_towards_the_camera():
    straight, bent = np.zeros((2, POSE))
    bent[3:15] = 0.6
    joints = pose_skeleton(
        draw_proportions(np.random.default_rng(0)), angles_of(np.stack([straight, bent]))
    ).joints
    tips = [8, 12, 16, 20]
    assert (joints[1, tips, 2] < joints[0, tips, 2] - 0.3).all()


def test_turns_are_rotations():
    turns = np.random.default_rng(0).uniform(-2, 2, (10, 3))
    matrices = turn_matrices(turns)
    np.testing.assert_allclose(
        matrices @ matrices.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (10, 3, 3)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(matrices), 1.0)


def test_facing_is_perpendicular_to_the_bones():
    rng = np.random.default_rng(1)
    angles = Angles(
        rng.uniform(0, 1, (6, 5, 3)),
        rng.uniform(-0.5, 0.5, (6, 5)),
        rng.uniform(0, 1, 6),
        rng.uniform(-1, 1, (6, 3)),
    )
    skeleton = pose_skeleton(draw_proportions(rng), angles)
    chain = skeleton.joints[:, 1:].reshape(6, 5, 4, 3)
    dots = np.einsum("nfbi,nfbi->nfb", np.diff(chain, axis=2), skeleton.facing)
    np.testing.assert_allclose(dots, 0.0, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(skeleton.facing, axis=-1), 1.0)
