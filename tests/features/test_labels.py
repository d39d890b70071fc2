import re

import numpy as np
import pytest

from pgc_data.errors import DataError
from pgc_data.features import MIXED_LABELS, MOSTLY_UNLABELLED, OFF_CENTRE, clip_labels, interval_labels

B, X, Y, NONE = 0, 1, 2, -1


def ids(*runs):
    return np.array([label for label, count in runs for _ in range(count)])


@pytest.mark.parametrize(
    ("frames", "background", "label", "reason"),
    [
        (ids((X, 16)), B, X, ""),
        (ids((X, 10), (Y, 6)), B, X, ""),
        (ids((X, 9), (Y, 7)), B, NONE, MIXED_LABELS),
        (ids((Y, 3), (X, 10), (Y, 3)), B, X, ""),
        (ids((X, 10), (NONE, 6)), B, X, ""),
        (ids((X, 9), (NONE, 7)), B, NONE, MOSTLY_UNLABELLED),
        (ids((X, 10), (B, 6)), B, X, ""),
        (ids((X, 9), (B, 7)), B, NONE, MIXED_LABELS),
        (ids((B, 16)), B, B, ""),
        (ids((B, 15), (X, 1)), B, B, ""),
        (ids((B, 14), (X, 2)), B, NONE, MIXED_LABELS),
        (ids((B, 15), (NONE, 1)), B, B, ""),
        (ids((B, 14), (NONE, 2)), B, NONE, MIXED_LABELS),
        (ids((B, 10), (Y, 6)), None, B, ""),
        (ids((B, 9), (NONE, 7)), B, NONE, MOSTLY_UNLABELLED),
        (ids((NONE, 16)), B, NONE, MOSTLY_UNLABELLED),
        (ids((-5, 16)), B, NONE, MOSTLY_UNLABELLED),
        (ids((X, 5), (Y, 5), (NONE, 6)), B, NONE, MIXED_LABELS),
        (ids((7, 16)), 99, 7, ""),
    ],
)
def test_interval_labels(frames, background, label, reason):
    labels = interval_labels(frames, np.array([0]), 16, background)
    assert labels.class_id.tolist() == [label]
    assert labels.reason.tolist() == [reason]
    assert labels.kept.tolist() == [reason == ""]


def test_interval_labels_of_many_windows_are_those_of_each():
    rng = np.random.default_rng(4)
    frames = np.repeat(rng.integers(-1, 4, 40), rng.integers(1, 20, 40))
    start = np.arange(0, frames.size - 15, 3)
    together = interval_labels(frames, start, 16, 0)
    for k, first in enumerate(start):
        alone = interval_labels(frames[first : first + 16], np.array([0]), 16, 0)
        assert (together.class_id[k], together.reason[k]) == (alone.class_id[0], alone.reason[0])
    dropped = together.dropped()
    assert set(dropped) == {MIXED_LABELS, MOSTLY_UNLABELLED}
    assert sum(dropped.values()) + together.kept.sum() == start.size


@pytest.mark.parametrize(
    ("visible", "length", "start", "kept"),
    [
        # Visible 0-100, middle 60 %: 20-80. A window of 21 from s has its centre at s + 10.
        ((0, 100), 21, 9, False),
        ((0, 100), 21, 10, True),
        ((0, 100), 21, 40, True),
        ((0, 100), 21, 70, True),
        ((0, 100), 21, 71, False),
        # Visible 50-100: 60-90; even windows have their centre between two frames.
        ((50, 100), 16, 52, False),
        ((50, 100), 16, 53, True),
        ((50, 100), 16, 82, True),
        ((50, 100), 16, 83, False),
    ],
)
def test_clip_labels(visible, length, start, kept):
    usable = np.zeros(120, dtype=bool)
    usable[[visible[0], visible[1]]] = True
    labels = clip_labels(usable, np.array([start]), length, class_id=3)
    assert labels.class_id.tolist() == [3 if kept else -1]
    assert labels.reason.tolist() == ["" if kept else OFF_CENTRE]


@pytest.mark.parametrize(
    ("usable", "class_id", "reason"),
    [(np.zeros(20, bool), 3, OFF_CENTRE), (np.ones(20, bool), -1, MOSTLY_UNLABELLED)],
)
def test_clip_without_hand_or_class(usable, class_id, reason):
    assert clip_labels(usable, np.array([0, 4]), 16, class_id).dropped() == {reason: 2}


@pytest.mark.parametrize("start", [-1, 5])
def test_windows_outside_the_frames_are_refused(start):
    message = re.escape(f"window 0 spans frames {start} to {start + 15} of a clip of 20")
    with pytest.raises(DataError, match=message):
        interval_labels(np.zeros(20, int), np.array([start]), 16, None)
    with pytest.raises(DataError, match=message):
        clip_labels(np.ones(20, bool), np.array([start]), 16, 1)


def test_no_windows():
    none = np.empty(0, dtype=np.int64)
    assert interval_labels(np.zeros(5, int), none, 16, 0).class_id.size == 0
    assert clip_labels(np.ones(5, bool), none, 16, 1).dropped() == {}
