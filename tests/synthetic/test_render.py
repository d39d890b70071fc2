"""Capsules in the depth buffer, and pictures of a hand."""

import numpy as np
import pytest

from pgc_data.synthetic.flesh import HandView
from pgc_data.synthetic.gestures import FIST, OPEN, angles_of
from pgc_data.synthetic.raster import EMPTY, Canvas, Capsule
from pgc_data.synthetic.render import Camera
from pgc_data.synthetic.skeleton import pose_skeleton
from pgc_data.synthetic.subjects import BACKDROPS, draw_subject

SIZE = (160, 120)


def view_of(subject, pose):
    skeleton = pose_skeleton(subject.proportions, angles_of(pose[None]), left=subject.left)
    joints = skeleton.joints[0] * 24.0 + np.array([80.0, 75.0, 0.0])
    return HandView(joints, skeleton.facing[0], skeleton.frame[0], 24.0)


def test_capsule_covers_its_own_pixels_and_no_others():
    canvas = Canvas(40, 30)
    canvas.draw(Capsule((10, 15, 0), (30, 15, 0), (4, 4)))
    solid = canvas.depth > EMPTY / 2
    assert solid[15, 6:35].sum() == 27
    assert solid[:, 20].sum() == 7
    assert canvas.depth.max() == pytest.approx(4.0)
    assert canvas.normal_y[12, 20] < 0 < canvas.normal_y[18, 20]


def test_nearer_capsule_hides_the_farther_whatever_the_order():
    far, near = Capsule((5, 20, 0), (35, 20, 0), (5, 5)), Capsule((20, 5, 8), (20, 35, 8), (3, 3), material=1)
    first, second = Canvas(40, 40), Canvas(40, 40)
    for canvas, order in ((first, (far, near)), (second, (near, far))):
        for capsule in order:
            canvas.draw(capsule)
    np.testing.assert_array_equal(first.depth, second.depth)
    np.testing.assert_array_equal(first.material, second.material)
    assert first.material[20, 20] == 1


def test_blended_body_has_no_seam():
    capsules = [Capsule((10, 20, 0), (30, 20, 0), (8, 8)), Capsule((10, 26, 0), (30, 26, 0), (8, 8))]
    sharp, blended = Canvas(40, 46), Canvas(40, 46)
    for capsule in capsules:
        sharp.draw(capsule)
    blended.draw_blended(capsules, 2.0)
    bends = [np.abs(np.diff(c.normal_y[16:31, 20])).max() for c in (sharp, blended)]
    assert bends[1] < 0.5 * bends[0]


def test_capsule_outside_the_patch_draws_nothing():
    canvas = Canvas(20, 20)
    canvas.draw(Capsule((60, 60, 0), (80, 60, 0), (5, 5)))
    canvas.draw_blended([Capsule((-60, 5, 0), (-40, 5, 0), (5, 5))], 1.0)
    assert (canvas.depth == EMPTY).all()


@pytest.mark.parametrize("index", range(len(BACKDROPS)))
def test_every_subject_shows_open_hand_and_fist_apart_from_the_room(index):
    subject = draw_subject(2, index)
    camera = Camera(subject, SIZE, np.random.default_rng(0))
    empty, opened, closed = (
        camera.take(view).astype(int) for view in (None, view_of(subject, OPEN), view_of(subject, FIST))
    )
    assert opened.shape == (120, 160, 3)
    changed = [int((np.abs(p - empty).sum(axis=2) > 45).sum()) for p in (opened, closed)]
    assert changed[0] > 900
    assert changed[1] > 500
    assert 20 < empty.mean() < 235


def test_hand_outside_the_picture_leaves_the_room_as_it_is():
    subject = draw_subject(2, 0)
    view = view_of(subject, OPEN)
    away = HandView(view.joints + np.array([0.0, 300.0, 0.0]), view.facing, view.frame, view.palm)
    pictures = [Camera(subject, SIZE, np.random.default_rng(0)).take(v) for v in (None, away)]
    np.testing.assert_array_equal(*pictures)
