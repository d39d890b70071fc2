import numpy as np
import pytest
from features_factories import sequence, walk

from pgc_data.features import resample

RNG = np.random.default_rng(2)


def has_hand(grid):
    return np.isfinite(grid.landmarks).all(axis=(1, 2))


@pytest.mark.parametrize("rounding", [None, np.round, np.floor], ids=["exact", "rounded to ms", "cut to ms"])
def test_constant_30_fps_passes_through(rounding):
    hands = walk(RNG, 200)
    hands[[0, 7, 50, 51, 199]] = np.nan
    times = 12.345 + np.arange(200) / 30
    times = times if rounding is None else rounding(times * 1000) / 1000
    grid = resample(sequence(hands, timestamps=times, tracks=np.arange(200)))
    np.testing.assert_array_equal(grid.landmarks, hands)
    np.testing.assert_array_equal(grid.source_index, np.arange(200))
    np.testing.assert_array_equal(grid.track_ids, np.arange(200))
    np.testing.assert_allclose(np.diff(grid.times), 1 / 30, atol=1e-9)


def test_60_fps_is_thinned():
    hands = walk(RNG, 120)
    grid = resample(sequence(hands, 60))
    np.testing.assert_array_equal(grid.landmarks, hands[::2])


@pytest.mark.parametrize("fps", [5, 12, 15, 24, 25])
def test_slower_sources_are_interpolated(fps):
    frames = 3 * fps + 1
    line = one_hand_moving(np.arange(frames) / fps)
    grid = resample(sequence(line, fps))
    assert len(grid.times) == 91
    np.testing.assert_allclose(grid.landmarks, one_hand_moving(grid.times), atol=2e-3)
    # Midway between two rows is the earlier one.
    np.testing.assert_array_equal(grid.source_index, np.ceil(np.arange(91) * fps / 30 - 0.5 - 1e-9))


def one_hand_moving(times):
    return walk(np.random.default_rng(0), 1) + np.asarray(times)[:, None, None] * 0.1


@pytest.mark.parametrize(
    ("times", "missing", "tracks", "expected"),
    [
        pytest.param([0, 0.2], [], [0, 0], "1111111", id="0.2 s apart"),
        pytest.param([0, 0.25], [], [0, 0], "10000000", id="0.25 s apart"),
        pytest.param([0, 0.15], [], [0, 1], "10000", id="two tracks"),
        pytest.param([0, 0.15], [], [-1, -1], "11111", id="no tracker"),
        pytest.param([0, 0.083, 0.167], [1], [0, 0, 0], "111111", id="12 fps, one frame missed"),
        pytest.param([0, 0.1, 0.15], [1], [0, 0, 0], "11101", id="a missed frame on the grid stays missed"),
        pytest.param([0, 0.05, 0.15], [0], [0, 0, 0], "00111", id="before the first hand"),
        pytest.param([0, 0.05, 0.15], [2], [0, 0, 0], "11000", id="after the last hand"),
        pytest.param([0, 0, 0.0667], [], [0, 0, 0], "111", id="two rows at one time"),
        pytest.param([4.0], [], [0], "1", id="one row"),
    ],
)
def test_where_the_grid_has_a_hand(times, missing, tracks, expected):
    hands = walk(RNG, len(times))
    hands[missing] = np.nan
    grid = resample(sequence(hands, timestamps=np.array(times, dtype=float), tracks=tracks))
    found = "".join("01"[int(each)] for each in has_hand(grid))
    assert found == expected


def test_no_rows_give_an_empty_grid():
    grid = resample(sequence(np.empty((0, 21, 3))))
    assert grid.landmarks.shape == (0, 21, 3)
    assert grid.times.size == grid.source_index.size == grid.track_ids.size == 0


def test_degenerate_rows_are_not_interpolated_from():
    hands = walk(RNG, 3)
    hands[1, 9] = hands[1, 0]
    grid = resample(sequence(hands, timestamps=np.array([0, 0.05, 0.1])))
    np.testing.assert_allclose(grid.landmarks[1], (2 * hands[0] + hands[2]) / 3)
