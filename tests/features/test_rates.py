"""The same motion seen at 12 and at 30 frames a second, and the signs of a throw."""

from __future__ import annotations

import numpy as np
import pytest
from features_factories import sequence

from pgc_data.features import SCHEMA, cut_windows, frame_features
from pgc_data.synthetic.gestures import LABELS, draw_manner, mirrored, movement
from pgc_data.synthetic.performance import perform
from pgc_data.synthetic.subjects import draw_subject

SIZE = (640, 480)
# In palms and radians: medians and 99th percentiles of the differences that a drawn gesture of 2 s may show.
TOLERANCE = {"position": (0.001, 0.1), "fingertip_spread": (0.001, 0.08), "joint_angles": (0.001, 0.06)}


def performed(label, person, seconds=2.0, rate=60):
    """The hand of a drawn person through a gesture, at `rate` frames a second, as MediaPipe would give it."""
    manner, subject = draw_manner(np.random.default_rng([7, person]), 1.0), draw_subject(0, person)
    # Movements are drawn for a right hand, and mirrored in space for a left one.
    label = mirrored(label) if subject.left else label
    joints = perform(subject, movement(label, int(seconds * rate), manner), SIZE).joints
    return joints / [SIZE[0], SIZE[1], SIZE[0]]


def at(hands, every, fps):
    return frame_features(sequence(hands[::every], fps=fps))


@pytest.mark.parametrize("block", TOLERANCE)
def test_invariant_blocks_agree_at_12_and_30_fps(block):
    columns = SCHEMA.block(block).columns
    differences = []
    for label in LABELS:
        for person in range(4):
            hands = performed(label, person)
            slow, fast = cut_windows(at(hands, 5, 12)), cut_windows(at(hands, 2, 30))
            both = min(len(slow), len(fast))
            assert both >= len(fast) - 1 >= 10
            apart = slow.features[:both, :, columns] - fast.features[:both, :, columns]
            differences.append(np.abs(apart).reshape(both * 16, -1).max(axis=1))
    median, tail = np.percentile(np.concatenate(differences), [50, 99])
    assert median <= TOLERANCE[block][0]
    assert tail <= TOLERANCE[block][1]


@pytest.mark.parametrize(
    ("label", "axis", "sign"), [("G03", 1, -1), ("G04", 1, 1), ("G05", 0, 1), ("G06", 0, -1)]
)
@pytest.mark.parametrize("person", range(4))
@pytest.mark.parametrize(("every", "fps"), [(2, 30), (5, 12)])
def test_a_throw_shows_its_direction_in_the_raw_wrist_velocity(label, axis, sign, person, every, fps):
    # A throw to the left is one to the subject's left, whichever hand throws: +x in an image that is not mirrored.
    speed = at(performed(label, person), every, fps).values[:, SCHEMA.block("wrist_vel_raw").columns]
    fastest = speed[np.abs(speed[:, axis]).argmax(), axis]
    assert fastest * sign > 0
