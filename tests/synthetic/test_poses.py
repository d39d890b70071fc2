"""Static hand shapes: which fingers are out, and that no two of them are the same."""

from itertools import combinations

import numpy as np
import pytest

from pgc_data.synthetic.gestures import angles_of
from pgc_data.synthetic.poses import LEAP_POSES, POSES, TWO_HANDED
from pgc_data.synthetic.skeleton import draw_proportions, pose_skeleton

PROPORTIONS = draw_proportions(np.random.default_rng(1))
THUMB, INDEX, MIDDLE, RING, LITTLE = range(5)


def skeleton(pose, left=False):
    return pose_skeleton(PROPORTIONS, angles_of(pose[None]), left=left)


def fingers_out(pose):
    """The fingers whose tip is farther from the wrist than their middle joint, without the thumb."""
    joints = skeleton(pose).joints[0]
    reach = np.linalg.norm(joints, axis=1)
    return {finger for finger in range(1, 5) if reach[4 * finger + 4] > 1.1 * reach[4 * finger + 2]}


@pytest.mark.parametrize(
    ("name", "out"),
    [
        ("call", {LITTLE}),
        ("dislike", set()),
        ("fist", set()),
        ("four", {INDEX, MIDDLE, RING, LITTLE}),
        ("like", set()),
        ("mute", {INDEX}),
        ("ok", {MIDDLE, RING, LITTLE}),
        ("one", {INDEX}),
        ("palm", {INDEX, MIDDLE, RING, LITTLE}),
        ("peace", {INDEX, MIDDLE}),
        ("peace_inverted", {INDEX, MIDDLE}),
        ("rock", {INDEX, LITTLE}),
        ("stop", {INDEX, MIDDLE, RING, LITTLE}),
        ("three", {INDEX, MIDDLE, RING}),
        ("three2", {INDEX, MIDDLE}),
        ("three3", {MIDDLE, RING, LITTLE}),
        ("thumb_index", {INDEX}),
        ("two_up", {INDEX, MIDDLE}),
    ],
)
def test_fingers_that_are_out(name, out):
    assert fingers_out(POSES[name]) == out


def test_thumbs_up_is_up_and_thumbs_down_is_down_on_either_hand():
    for left in (False, True):
        for name, sign in (("like", -1), ("dislike", 1)):
            joints = skeleton(POSES[name], left).joints[0]
            others = sign * np.delete(joints[:, 1], [3, 4])
            assert sign * joints[4, 1] > others.max() + 0.3, name


def test_ok_touches_thumb_and_index():
    joints = skeleton(POSES["ok"]).joints[0]
    assert np.linalg.norm(joints[4] - joints[8]) < 0.3


def test_inverted_poses_show_the_back():
    for name in ("peace", "stop", "two_up"):
        assert skeleton(POSES[name]).frame[0, 2, 2] > 0.9
        assert skeleton(POSES[f"{name}_inverted"]).frame[0, 2, 2] < -0.9


@pytest.mark.parametrize("poses", [POSES, LEAP_POSES])
def test_no_two_poses_look_alike(poses):
    apart = [name for name in poses if name not in (*TWO_HANDED, "mute")]
    joints = {name: skeleton(poses[name]).joints[0, :, :2] for name in apart}
    for first, second in combinations(apart, 2):
        distance = np.linalg.norm(joints[first] - joints[second], axis=1).max()
        assert distance > 0.28, (first, second, distance)
