import re

import numpy as np
import pytest
from features_factories import one_hand, walk

from pgc_data.errors import DataError
from pgc_data.features import HandSequence, choose_hand, choose_rows

RNG = np.random.default_rng(1)
GOOD = {
    "landmarks": walk(RNG, 4),
    "timestamps": np.arange(4) / 30,
    "track_ids": np.zeros(4, int),
    "width": 640,
    "height": 480,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"landmarks": np.zeros((4, 20, 3))}, "landmarks has shape (4, 20, 3), it must be (4, 21, 3)"),
        ({"landmarks": np.zeros((3, 21, 3))}, "landmarks has shape (3, 21, 3), it must be (4, 21, 3)"),
        ({"landmarks": [["hand"]]}, "landmarks is not an array of numbers"),
        ({"timestamps": np.zeros((4, 1))}, "timestamps has shape (4, 1)"),
        ({"timestamps": [0, 0.1, np.nan, 0.2]}, "timestamps[2] = nan"),
        ({"timestamps": [0, 0.2, 0.1, 0.3]}, "timestamps[2] = 0.1 comes after 0.2"),
        ({"timestamps": [0, 33_333, 66_667, 100_000]}, "are they in milliseconds?"),
        ({"track_ids": np.zeros(3, int)}, "track_ids has shape (3,), it must be (4,)"),
        ({"track_ids": np.zeros(4)}, "track_ids holds float64"),
        ({"track_ids": np.array([0, 0, -7, 0])}, "track_ids[2] = -7"),
        ({"width": 0}, "width = 0"),
        ({"height": -480}, "height = -480"),
    ],
)
def test_bad_sequences_are_refused_by_value(change, message):
    with pytest.raises(DataError, match=re.escape(message)):
        HandSequence(**{**GOOD, **change})


def test_lists_and_float32_are_taken_and_no_rows_are_allowed():
    hand = HandSequence(
        **{**GOOD, "landmarks": GOOD["landmarks"].astype(np.float32), "track_ids": [0, 0, 1, -1]}
    )
    assert hand.landmarks.dtype == np.float64
    assert hand.track_ids.dtype == np.int64
    assert len(hand) == 4
    assert len(HandSequence(np.empty((0, 21, 3)), np.empty(0), np.empty(0, int), 640, 480)) == 0


def test_without_depth_z_is_zero_and_the_input_is_untouched():
    flat = walk(RNG, 4)
    flat[:, :, 2] = np.nan
    hand = HandSequence(**{**GOOD, "landmarks": flat, "has_z": False})
    assert (hand.landmarks[:, :, 2] == 0).all()
    assert hand.valid().all()
    assert np.isnan(flat[:, :, 2]).all()


def _found(*hands, frames, width=640, height=480, has_z=True):
    """Rows of (frame, wrist x, wrist y, score) as the flat arrays of `choose_rows`."""
    shape = one_hand(np.random.default_rng(0))
    shape = shape - shape[0]
    return {
        "frame_index": np.array([hand[0] for hand in hands], dtype=int),
        "landmarks": np.array([shape + np.array([hand[1], hand[2], 0]) for hand in hands]).reshape(-1, 21, 3),
        "score": np.array([hand[3] for hand in hands], dtype=float),
        "frames": frames,
        "width": width,
        "height": height,
        "has_z": has_z,
    }


@pytest.mark.parametrize(
    ("hands", "frames", "expected"),
    [
        pytest.param([], 2, [-1, -1], id="no hands"),
        pytest.param([(0, 0.2, 0.5, 0.9), (2, 0.9, 0.5, 0.1)], 3, [0, -1, 1], id="one a frame: no choice"),
        pytest.param([(0, 0.2, 0.5, 0.6), (0, 0.8, 0.5, 0.9)], 1, [1], id="first frame: highest score"),
        pytest.param([(0, 0.2, 0.5, 0.9), (0, 0.8, 0.5, 0.9)], 1, [0], id="equal scores: earlier row"),
        pytest.param(
            [(0, 0.2, 0.5, 0.9), (1, 0.8, 0.5, 0.9), (1, 0.25, 0.5, 0.3)], 2, [0, 2], id="nearest beats score"
        ),
        pytest.param(
            [(0, 0.2, 0.5, 0.9), (9, 0.8, 0.5, 0.9), (9, 0.3, 0.5, 0.3)],
            10,
            [0, *[-1] * 8, 2],
            id="remembered through a gap",
        ),
        pytest.param(
            [
                (0, 0.2, 0.5, 0.9),
                (1, 0.3, 0.5, 0.5),
                (1, 0.7, 0.5, 0.9),
                (2, 0.5, 0.5, 0.5),
                (2, 0.8, 0.5, 0.9),
            ],
            3,
            [0, 1, 3],
            id="the chain follows the choice, not the score",
        ),
        pytest.param([(0, np.nan, 0.5, 0.9), (0, 0.2, 0.5, 0.1)], 1, [1], id="invalid hand passed over"),
        pytest.param([(0, 0.2, 0.5, np.nan), (0, 0.3, 0.5, 0.1)], 1, [1], id="score missing"),
        pytest.param([(1, 0.9, 0.5, 0.1), (0, 0.2, 0.5, 0.9)], 2, [1, 0], id="rows in any order"),
        pytest.param(
            [(0, 0.5, 0.5, 0.9), (1, 0.6, 0.5, 0.5), (1, 0.4, 0.5, 0.5)], 2, [0, 1], id="equally near"
        ),
    ],
)
def test_one_hand_a_frame(hands, frames, expected):
    assert choose_rows(**_found(*hands, frames=frames)).tolist() == expected


def test_nearness_is_measured_in_the_image_plane():
    found = _found(
        (0, 0.5, 0.5, 0.9), (1, 0.7, 0.5, 0.5), (1, 0.5, 0.62, 0.5), frames=2, width=100, height=200
    )
    assert choose_rows(**found).tolist() == [0, 1]


def test_the_chosen_hand_becomes_a_sequence():
    found = _found((0, 0.2, 0.5, 0.9), (2, 0.8, 0.5, 0.9), (2, 0.3, 0.5, 0.4), frames=3)
    del found["frames"]
    hand = choose_hand(**found, track_id=np.array([4, 5, 6]), timestamps=np.arange(3) / 30)
    assert hand.track_ids.tolist() == [4, -1, 6]
    assert hand.landmarks[2, 0, 0] == pytest.approx(0.3)
    assert np.isnan(hand.landmarks[1]).all()


def test_two_dimensional_hands_can_be_chosen():
    found = _found((0, 0.2, 0.5, 0.9), frames=1, has_z=False)
    found["landmarks"][:, :, 2] = np.nan
    assert choose_rows(**found).tolist() == [0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame_index": np.array([3])}, "frame_index[0] = 3 is outside the clip's 3 frames"),
        ({"frame_index": np.array([-1])}, "frame_index[0] = -1 is outside"),
        ({"score": np.zeros(2)}, "score has shape (2,), frame_index (1,)"),
        ({"landmarks": np.zeros((2, 21, 3))}, "landmarks has shape (2, 21, 3), it must be (1, 21, 3)"),
        ({"width": 0}, "width = 0"),
    ],
)
def test_bad_flat_rows_are_refused(change, message):
    with pytest.raises(DataError, match=re.escape(message)):
        choose_rows(**{**_found((0, 0.2, 0.5, 0.9), frames=3), **change})


def test_choice_equals_a_plain_loop():
    rng = np.random.default_rng(5)
    frame_index = np.sort(rng.integers(0, 200, 300))
    found = _found(*[(f, rng.random(), rng.random(), rng.random()) for f in frame_index], frames=200)
    wrists = found["landmarks"][:, 0, :2] * [1, 480 / 640]
    expected, last = [], None
    for frame in range(200):
        rows = np.flatnonzero(frame_index == frame)
        if rows.size == 0:
            expected.append(-1)
            continue
        cost = -found["score"][rows] if last is None else np.linalg.norm(wrists[rows] - wrists[last], axis=1)
        last = rows[np.argmin(cost)]
        expected.append(last)
    assert choose_rows(**found).tolist() == expected
