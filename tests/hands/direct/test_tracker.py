"""The tracker with networks that are told what to see."""

from __future__ import annotations

import numpy as np
import pytest

from pgc_data.hands.direct.landmarks import Reading
from pgc_data.hands.direct.region import Region, Size
from pgc_data.hands.direct.tracker import Tracker, distinct

SIZE = Size(100, 100)
IMAGE = np.zeros((100, 100, 3), np.uint8)


def region(x, y=0.5, side=0.2):
    return Region(*map(np.float32, (x, y, side, side, 0.0)))


def reading(x, y=0.5, length=0.055):
    """A hand around a point: wrist below, middle finger above."""
    landmarks = np.zeros((21, 3), np.float32)
    landmarks[:, 0] = x + length * np.linspace(-0.4, 0.4, 21)
    landmarks[:, 1] = y - length * np.linspace(-1, 1, 21)
    return Reading(landmarks, landmarks, 0.9, 0.9)


class Scene:
    """Hands at given places; a hand is read where a region's centre is near it."""

    def __init__(self, *hands, hidden=()):
        self.hands = list(hands)
        self.hidden = set(hidden)
        self.detections = 0
        self.read_at = []

    def detect(self, image):
        self.detections += 1
        return [region(x) for x in self.hands if x not in self.hidden]

    def read(self, image, where):
        self.read_at.append(float(where.x))
        near = [x for x in self.hands if abs(x - where.x) < 0.1]
        return reading(near[0]) if near else None


def start(scene, hands, tracking=True, same_hand=0.5):
    tracker = Tracker(scene.detect, scene.read, hands, same_hand)
    tracker.start(tracking)
    return tracker


def places(hands):
    return [round(float(hand.landmarks[10, 0]), 3) for hand in hands]


def test_palms_are_not_looked_for_while_all_wanted_hands_are_followed():
    scene = Scene(0.2, 0.7)
    tracker = start(scene, hands=1)
    assert [places(tracker.step(IMAGE)) for _ in range(5)] == [[0.2]] * 5
    assert scene.detections == 1


def test_palms_are_looked_for_in_every_frame_while_a_hand_is_missing():
    scene = Scene(0.2)
    tracker = start(scene, hands=2)
    for _ in range(4):
        assert places(tracker.step(IMAGE)) == [0.2]
    assert scene.detections == 4
    # The one that is followed is not read a second time.
    assert len(scene.read_at) == 4


def test_a_new_hand_comes_after_those_followed():
    scene = Scene(0.7)
    tracker = start(scene, hands=2)
    tracker.step(IMAGE)
    scene.hands = [0.2, 0.7]
    assert places(tracker.step(IMAGE)) == [0.7, 0.2]
    assert places(tracker.step(IMAGE)) == [0.7, 0.2]
    assert scene.detections == 2


def test_a_hand_that_moves_is_followed_and_one_that_jumps_is_found_a_frame_later():
    scene = Scene(0.2)
    tracker = start(scene, hands=1)
    tracker.step(IMAGE)
    scene.hands = [0.25]
    assert places(tracker.step(IMAGE)) == [0.25]
    scene.hands = [0.8]
    assert places(tracker.step(IMAGE)) == []
    assert places(tracker.step(IMAGE)) == [0.8]
    assert scene.detections == 2


def test_a_hand_that_the_detector_cannot_see_is_followed_all_the_same():
    scene = Scene(0.5)
    tracker = start(scene, hands=2)
    tracker.step(IMAGE)
    scene.hidden = {0.5}
    assert places(tracker.step(IMAGE)) == [0.5]


def test_starting_forgets_every_hand():
    scene = Scene(0.5)
    tracker = start(scene, hands=1)
    tracker.step(IMAGE)
    tracker.start(tracking=True)
    tracker.step(IMAGE)
    assert scene.detections == 2


def test_single_images_know_nothing_of_each_other():
    scene = Scene(0.5)
    tracker = start(scene, hands=1, tracking=False)
    for _ in range(3):
        assert places(tracker.step(IMAGE)) == [0.5]
    assert scene.detections == 3
    scene.hands = []
    assert tracker.step(IMAGE) == []


@pytest.mark.parametrize(("tracking", "hands"), [(True, 1), (True, 2), (False, 1), (False, 2)])
def test_no_hand_is_no_hand(tracking, hands):
    scene = Scene()
    tracker = start(scene, hands, tracking)
    assert [tracker.step(IMAGE) for _ in range(3)] == [[]] * 3
    assert (scene.detections, scene.read_at) == (3, [])


@pytest.mark.parametrize("tracking", [True, False])
@pytest.mark.parametrize("hands", [1, 2, 3])
def test_no_more_hands_than_wanted_the_best_first(tracking, hands):
    scene = Scene(0.9, 0.1, 0.5, 0.3)
    assert places(start(scene, hands, tracking).step(IMAGE)) == [0.9, 0.1, 0.5][:hands]


def test_detections_of_one_hand_are_read_once_in_a_clip():
    scene = Scene(0.5)
    scene.detect = lambda image: [region(0.5), region(0.51)]
    assert places(start(scene, hands=2).step(IMAGE)) == [0.5]
    assert scene.read_at == pytest.approx([0.5])


def test_detections_of_one_hand_give_one_hand_in_a_single_image():
    scene = Scene(0.5)
    scene.detect = lambda image: [region(0.5), region(0.51)]
    assert places(start(scene, hands=2, tracking=False).step(IMAGE)) == [0.5]
    assert len(scene.read_at) == 2


@pytest.mark.parametrize(
    ("others", "kept"),
    [
        ([], 1),
        ([reading(0.5)], 1),
        ([reading(0.505)], 1),
        ([reading(0.6)], 2),
        ([reading(0.5, length=0.01)], 2),
        ([reading(0.6), reading(0.505), reading(0.605)], 2),
    ],
    ids=["one", "the same", "a little off", "beside", "much smaller", "two pairs"],
)
def test_hands_whose_landmarks_lie_on_each_other_are_one(others, kept):
    first = reading(0.5)
    found = distinct([first, *others], SIZE)
    assert len(found) == kept
    assert found[0] is first
