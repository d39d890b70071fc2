"""Whole videos as joints: what is performed, in which direction, without a jump."""

from collections import Counter
from functools import cache

import numpy as np
import pytest

from pgc_data.synthetic.gestures import LABELS
from pgc_data.synthetic.score import compose
from pgc_data.synthetic.skeleton import PALM, TIPS
from pgc_data.synthetic.subjects import BACKDROPS, draw_subject

SIZE = (320, 240)
PEOPLE = [(seed, index) for seed in (0, 5) for index in range(6)]
# A joint's longest way between two frames, in palm lengths: a hand that is let down out of the picture.
LONGEST_STEP = 1.0


@cache
def score_of(seed, index, repeats=1):
    return compose(draw_subject(seed, index), repeats, SIZE, np.random.default_rng((seed, index, 0)))


@pytest.mark.parametrize("repeats", [1, 2, 5])
def test_segments_cover_the_video_and_every_label(repeats):
    score = score_of(1, 2, repeats)
    assert score.segments[0].start == 1
    assert (
        score.segments[-1].end
        == len(score.performance.joints)
        == len(score.performance.visible)
        == len(score.performance.palm)
    )
    for before, after in zip(score.segments[:-1], score.segments[1:], strict=True):
        assert after.start == before.end + 1
    counts = Counter(segment.label for segment in score.segments)
    assert set(counts) == set(LABELS)
    assert min(counts.values()) >= repeats
    assert score.segments[0].label == score.segments[-1].label == "D0X"
    assert all(16 <= segment.frames <= 60 for segment in score.segments)


def test_orders_differ_between_people():
    orders = {tuple(s.label for s in score_of(0, index).segments) for index in range(4)}
    assert len(orders) == 4


@pytest.mark.parametrize(("seed", "index"), PEOPLE)
def test_joints_lie_inside_the_picture_where_the_hand_counts_as_visible(seed, index):
    shown = score_of(seed, index).performance
    inside = ((shown.joints[:, :, :2] >= 0) & (shown.joints[:, :, :2] < SIZE)).all(axis=2)
    assert inside[shown.visible][:, PALM].all()
    assert (inside[shown.visible][:, TIPS].sum(axis=1) >= 4).all()
    assert 0.85 < shown.visible.mean() < 1.0


@pytest.mark.parametrize(("seed", "index"), PEOPLE)
def test_every_gesture_is_in_view_and_the_hand_is_away_at_both_ends(seed, index):
    score = score_of(seed, index)
    for segment in score.segments:
        if segment.label != "D0X":
            assert score.performance.visible[segment.start - 1 : segment.end].all(), segment
    assert not score.performance.visible[0]
    assert not score.performance.visible[-1]
    assert (score.performance.joints[[0, -1], :, 1] > SIZE[1]).all()


@pytest.mark.parametrize(("seed", "index"), PEOPLE)
@pytest.mark.parametrize(
    ("label", "axis", "sign"), [("G03", 1, -1), ("G04", 1, 1), ("G05", 0, 1), ("G06", 0, -1)]
)
def test_throws_go_the_subjects_way(seed, index, label, axis, sign):
    """G05 goes to the subject's left, which is the image's right, whichever hand makes it."""
    score = score_of(seed, index)
    shown = score.performance
    segment = next(s for s in score.segments if s.label == label)
    knuckle = shown.joints[segment.start - 1 : segment.end, 9, axis] / shown.palm[segment.start - 1]
    quarter, late = segment.frames // 4, (segment.frames * 2) // 3
    assert sign * (knuckle[late] - knuckle[quarter]) > 0.8


@pytest.mark.parametrize(("seed", "index"), PEOPLE)
def test_no_joint_jumps(seed, index):
    score = score_of(seed, index)
    steps = (
        np.linalg.norm(np.diff(score.performance.joints, axis=0), axis=2) / score.performance.palm[1:, None]
    )
    seen = score.performance.visible[1:] & score.performance.visible[:-1]
    assert steps[seen].max() < LONGEST_STEP


def test_clicks_bend_the_finger_and_unbend_it():
    score = score_of(0, 1)
    shown = score.performance
    for label, dips in (("G01", 1), ("G08", 2)):
        segment = next(s for s in score.segments if s.label == label)
        frames = slice(segment.start + 4, segment.end - 1)
        reach = np.linalg.norm(shown.joints[frames, 8] - shown.joints[frames, 0], axis=1) / shown.palm[frames]
        bent = reach < (reach.max() + reach.min()) / 2
        assert np.count_nonzero(np.diff(bent.astype(int)) == 1) == dips, label


def test_zooming_in_spreads_and_zooming_out_closes():
    score = score_of(0, 3)
    shown = score.performance
    for label, sign in (("G10", 1), ("G11", -1)):
        segment = next(s for s in score.segments if s.label == label)
        gap = np.linalg.norm(shown.joints[:, 4] - shown.joints[:, 8], axis=1) / shown.palm
        assert sign * (gap[segment.end - 1] - gap[segment.start + 7]) > 0.4, label


def test_subjects_differ_and_are_the_same_again():
    people = [draw_subject(4, index) for index in range(12)]
    assert len({p.subject_id for p in people}) == 12
    assert len({p.skin for p in people}) == 12
    assert {p.backdrop for p in people} == set(BACKDROPS)
    assert [sum(p.left for p in people[i : i + 4]) for i in (0, 4, 8)] == [1, 1, 1]
    again = draw_subject(4, 7)
    assert again.subject_id == people[7].subject_id
    assert again.skin == people[7].skin
    np.testing.assert_array_equal(again.proportions.lengths, people[7].proportions.lengths)
    brightness = [np.mean(p.skin) for p in people]
    assert max(brightness) - min(brightness) > 90
