import pickle
import re

import numpy as np
import pytest
from features_factories import faulty, sequence, walk
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pgc_data.errors import ConfigError, DataError
from pgc_data.features import HandSequence, choose_hand, cut_windows, feature_set, grid_features, resample
from pgc_data.features.sets import HandSet
from pgc_data.features.streaming import StreamingFeatures

HANDS = walk(np.random.default_rng(3), 400)
few = settings(max_examples=25, deadline=None)
many = settings(max_examples=100, deadline=None)
seeds = st.integers(0, 2**32 - 1)
cuts = st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([0.0, 0.5, 0.8, 1.0]))
# How far from a grid point rows lie: to either side of the 1 us and the 1 ms that the rules name.
NEAR = (1e-9, 4e-7, 1e-6, 1.2e-6, 5e-4, 1e-3 - 1e-6, 1e-3, 1e-3 + 1e-6, 0.008)
OFFSETS = (0.0, *NEAR, *(-offset for offset in NEAR))


def pushed(stream, hand, *, finish=True):
    """The windows of a sequence pushed row by row; a missing hand is None."""
    rows = zip(hand.timestamps, hand.landmarks, hand.track_ids, strict=True)
    found = [
        window
        for time, landmarks, track in rows
        for window in stream.push(time, None if np.isnan(landmarks).all() else landmarks, track)
    ]
    return found + stream.finish() if finish else found


def assert_same(found, dropped, frames, length, stride, min_usable=0.8):
    """Streamed windows are `cut_windows`' to the bit."""
    windows = cut_windows(frames, length, stride, min_usable)
    assert [window.start for window in found] == windows.start.tolist()
    assert dropped == windows.dropped
    assert [window.usable_fraction for window in found] == windows.usable_fraction.tolist()
    assert [window.time_start_s for window in found] == frames.times[windows.start].tolist()
    assert [window.time_end_s for window in found] == frames.times[windows.start + length - 1].tolist()
    for window, features, usable in zip(found, windows.features, windows.usable, strict=True):
        assert window.features.dtype == np.float32
        np.testing.assert_array_equal(window.features, features)
        np.testing.assert_array_equal(window.usable, usable)


@many
@given(seeds, st.sampled_from([5, 8, 12, 15, 24, 25, 29.97, 30, 50, 60, 120]) | st.floats(5, 120), cuts)
def test_streamed_windows_are_the_batch_windows(seed, fps, cut):
    hand = faulty(np.random.default_rng(seed), 90, fps)
    length, stride, min_usable = cut
    stream = StreamingFeatures(640, 480, length=length, stride=stride, min_usable=min_usable)
    assert_same(pushed(stream, hand), stream.dropped, grid_features(resample(hand)), *cut)


# Of each row: grid points since the last, seconds from there, what it shows, its track.
rows = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 0, 1, 1, 1, 1, 2, 3, 5, 6, 7, 50]),
        st.sampled_from(OFFSETS) | st.floats(-0.02, 0.02),
        st.sampled_from("hhhh.x"),
        st.sampled_from([0, 0, 0, 0, 0, -1]),
    ),
    max_size=60,
)
EVERY_FRAME = (1, 1, 0.0)


@settings(max_examples=300, deadline=None)
@given(rows, st.sampled_from([0.0, 5.1, -3.0, 1.7e9]), cuts, st.booleans())
@example([(0, 0, "h", 0), (6, 4e-4, ".", 0), (0, 9e-4, "h", 0)], 0.0, EVERY_FRAME, True).via("0.2009 s apart")
@example([(0, 0, "h", 0), (6, 1e-3, ".", 0), (0, 1e-3, "h", 0)], 0.0, EVERY_FRAME, True).via("0.201 s apart")
@example(
    [(0, 0, "h", 0), (1, -1.2e-6, "h", 0), (0, -4e-7, "h", 0), (1, 0, "h", 0)], 0.0, EVERY_FRAME, True
).via("two rows within 1 us before a grid point: the later, once a row follows")
@example([(0, 0, "h", 0), (1, -1.2e-6, "h", 0), (0, -4e-7, "h", 0)], 0.0, EVERY_FRAME, True).via(
    "two rows within 1 us before a grid point: the earlier, at the end"
)
@example(
    [(0, 0, "h", 0), (1, -1.2e-6, "h", 0), (0, -4e-7, "h", 0), (0, -4e-7, ".", 0)], 0.0, EVERY_FRAME, True
).via("the same, the later of them twice")
@example(
    [(0, 0, "h", 0), *[(1, -5e-4, "h", 0)], *[(0, -5e-4, "h", 0)] * 3, (1, 0, "h", 0)], 0.0, EVERY_FRAME, True
).via("of four rows at one time the first")
def test_however_the_rows_lie_to_the_grid(rows, first, cut, finish):
    length, stride, min_usable = cut
    stream = StreamingFeatures(640, 480, length=length, stride=stride, min_usable=min_usable)
    found, taken, time, point = [], [], first, 0
    for at, (points, offset, shown, track) in enumerate(rows):
        point += points
        earlier, time = time, max(time, first + point / 30 + offset)
        hand = {"h": HANDS[at], ".": np.full((21, 3), np.nan), "x": HANDS[at] + np.inf}[shown]
        try:
            found += stream.push(time, None if shown == "." else hand, track)
        except DataError as error:
            assert 0 < time - earlier < 1e-6
            assert "less than 1 us" in str(error)
            time = earlier
            continue
        taken.append((time, hand, track))
    times, hands, tracks = zip(*taken, strict=True) if taken else ((), np.empty((0, 21, 3)), ())
    frames = grid_features(
        resample(sequence(hands, timestamps=np.array(times), tracks=np.array(tracks, int)))
    )
    if finish:
        assert_same(found + stream.finish(), stream.dropped, frames, *cut)
        return
    # What was yielded before the end is the beginning of what the whole gives.
    windows = cut_windows(frames, *cut)
    assert [window.start for window in found] == windows.start[: len(found)].tolist()
    for window, features in zip(found, windows.features[: len(found)], strict=True):
        np.testing.assert_array_equal(window.features, features)


@few
@given(seeds, st.sampled_from(["landmarks63", "feature-schema-v1"]), st.booleans())
def test_every_set_of_hand_features_with_and_without_depth(seed, name, has_z):
    hands = faulty(np.random.default_rng(seed), 90, 25)
    hand = sequence(hands.landmarks, timestamps=hands.timestamps, tracks=hands.track_ids, has_z=has_z)
    chosen = feature_set(name)
    assert isinstance(chosen, HandSet)
    stream = StreamingFeatures(640, 480, length=chosen.window_frames, has_z=has_z, of_grid=chosen.of_grid)
    rows = zip(hands.timestamps, hands.landmarks, hands.track_ids, strict=True)
    found = [window for row in rows for window in stream.push(*row)] + stream.finish()
    assert_same(found, stream.dropped, chosen.frames(hand), chosen.window_frames, 1)


@few
@given(seeds, st.sampled_from([12, 30, 60]), st.booleans())
def test_of_several_hands_the_one_that_choose_hand_keeps(seed, fps, has_z):
    rng = np.random.default_rng(seed)
    sides = np.array([[-0.3, 0, 0], [0, 0, 0], [0.3, 0, 0]])
    people = np.stack([faulty(rng, 80, fps).landmarks + side for side in sides], axis=1)
    found, rows = [], []
    stream = StreamingFeatures(600, 800, has_z=has_z)
    for frame, hands in enumerate(people):
        who = rng.permutation(3)[: rng.integers(4)]
        scores = rng.choice([0.2, 0.9, np.nan], who.size)
        rows += [(frame, hands[each], score, each) for each, score in zip(who, scores, strict=True)]
        found += stream.push_hands(frame / fps, hands[who], scores, who)
    index, landmarks, score, track = zip(*rows, strict=True)
    whole = choose_hand(
        frame_index=np.array(index),
        landmarks=np.array(landmarks),
        score=np.array(score),
        track_id=np.array(track),
        timestamps=np.arange(80) / fps,
        width=600,
        height=800,
        has_z=has_z,
    )
    assert_same(found + stream.finish(), stream.dropped, grid_features(resample(whole)), 16, 1)


def test_a_hand_chosen_long_ago_is_still_followed():
    stream, whole = StreamingFeatures(640, 480, length=1), []
    left, right = HANDS[0] - [0.3, 0, 0], HANDS[0] + [0.3, 0, 0]
    stream.push_hands(0.0, [right], [0.5], [7])
    stream.push_hands(5.0, [], [], [])
    whole += stream.push_hands(9.0, np.array([left, right]), [0.9, 0.1], [1, 2])
    expected = StreamingFeatures(640, 480, length=1).push(0.0, right)
    np.testing.assert_array_equal(whole[-1].features, expected[0].features)


@pytest.mark.parametrize("first", [0.0, 12.345, 1.7e9])
@pytest.mark.parametrize(
    "times",
    [
        pytest.param(lambda k: k / 30, id="exact"),
        pytest.param(lambda k: k / 30 + 1e-9 * np.sin(k), id="wobble of 1 ns"),
        pytest.param(lambda k: k / 30 + np.where(k % 3, 9e-4, 0), id="up to 1 ms late"),
        pytest.param(lambda k: np.cumsum(np.full(k.size, 1 / 30)) - 1 / 30, id="summed"),
    ],
)
@pytest.mark.parametrize("missing", [[], [9, 10, 30]], ids=["all shown", "some missed"])
def test_a_source_on_the_grid_waits_for_nothing(first, times, missing):
    stream = StreamingFeatures(640, 480)
    for at, time in enumerate(first + times(np.arange(60))):
        windows = stream.push(time, None if at in missing else HANDS[at])
        assert [window.start for window in windows] == ([at - 15] if at >= 15 else [])
        assert all(abs(window.delay_s) <= 1e-3 for window in windows)
    assert stream.finish() == []


@pytest.mark.parametrize(
    ("times", "missing", "delay_s"),
    [
        pytest.param(np.arange(240) / 120, [], 0, id="120 fps: none"),
        pytest.param(np.arange(120) / 60, [], 0, id="60 fps: none"),
        # 25, 50 and 24 fps: a grid point never lies right after a row, or the delay would be 1 / fps.
        pytest.param(np.arange(100) / 50, [], 1 / 50 - 1 / 150, id="50 fps: the next row"),
        pytest.param(np.arange(50) / 25, [], 1 / 25 - 1 / 150, id="25 fps: the next row"),
        pytest.param(np.arange(48) / 24, [], 1 / 24 - 1 / 120, id="24 fps: the next row"),
        pytest.param(np.arange(24) / 12, [], 1 / 12 - 1 / 60, id="12 fps: the next row"),
        pytest.param(np.arange(12) / 6, [], 1 / 6 - 1 / 30, id="6 fps: the next row"),
        pytest.param(np.arange(20) / 4, [], 1 / 4 - 1 / 60, id="4 fps: the next row"),
        pytest.param(
            np.floor(np.arange(60) / 30 * 1000) / 1000, [], 1 / 30, id="30 fps cut to ms: the next row"
        ),
        pytest.param(np.arange(48) / 24, [20, 21], 3 / 24 - 1 / 120, id="24 fps, two missed: the next hand"),
        # The first row more than 0.201 s after the hand's last, at 19 / 24 s, is at 1 s; the grid point, 0.8 s.
        pytest.param(
            np.arange(48) / 24, range(20, 24), 0.2, id="24 fps, four missed: the first after 0.201 s"
        ),
        pytest.param(np.arange(48) / 24, range(20, 48), 0.2, id="24 fps, hand lost: the first after 0.201 s"),
    ],
)
def test_how_long_a_window_may_be_held_back(times, missing, delay_s):
    stream = StreamingFeatures(640, 480, length=1, min_usable=0)
    delays = [
        window.delay_s
        for at, time in enumerate(times)
        for window in stream.push(time, None if at in missing else HANDS[at])
    ]
    assert max(delays) == pytest.approx(delay_s, abs=7e-4)
    assert min(delays) > -1e-6


def test_once_the_hand_is_long_gone_nothing_waits_for_it():
    stream = StreamingFeatures(640, 480, length=1, min_usable=0)
    for at in range(48):
        windows = stream.push(at / 24, HANDS[0] if at < 20 else None)
        assert at < 28 or all(window.delay_s < 1 / 24 for window in windows)


def test_the_end_of_the_clip_decides_what_waited():
    stream = StreamingFeatures(640, 480, length=2)
    times = [0.0, 1 / 30 - 5e-4]
    assert [window for k in range(2) for window in stream.push(times[k], HANDS[k])] == []
    windows = stream.finish()
    assert [window.start for window in windows] == [0]
    assert windows[0].delay_s == pytest.approx(-5e-4)
    assert stream.finish() == []
    assert StreamingFeatures(640, 480).finish() == []


class Counted:
    """`grid_features` that counts the grid rows it is asked for."""

    def __init__(self):
        self.rows = 0

    def __call__(self, grid):
        self.rows += grid.times.size
        return grid_features(grid)


@pytest.mark.parametrize(
    "cut",
    [
        (1, 1, 0.8),
        (1, 3, 0.8),
        (3, 2, 0.5),
        (16, 1, 0.8),
        (16, 4, 0.8),
        (5, 40, 0.8),
        (70, 3, 0.8),
        (4, 1, 0.0),
    ],
)
@pytest.mark.parametrize("pause_s", [0.3, 0.5, 2.0, 2.5167, 120.0])
def test_a_pause_counts_as_in_batch(cut, pause_s):
    length, stride, min_usable = cut
    times = np.concatenate([np.arange(100), np.arange(100, 150) + pause_s * 30]) / 30
    hand = sequence(HANDS[:150], timestamps=times)
    stream = StreamingFeatures(640, 480, length=length, stride=stride, min_usable=min_usable)
    assert_same(pushed(stream, hand), stream.dropped, grid_features(resample(hand)), *cut)


def test_a_pause_of_a_day_costs_no_more_than_one_of_seconds():
    counted = {}
    for pause_s in (10.0, 86_000.0):
        counted[pause_s] = Counted()
        stream = StreamingFeatures(640, 480, of_grid=counted[pause_s])
        times = np.concatenate([np.arange(30), np.arange(30, 60) + pause_s * 30]) / 30
        found = pushed(stream, sequence(HANDS[:60], timestamps=times))
        assert stream.dropped + len(found) == 60 + pause_s * 30 - 15
        assert found[-1].start == 60 + pause_s * 30 - 16
    assert counted[86_000.0].rows == counted[10.0].rows


def test_memory_stays_what_it_is():
    stream = StreamingFeatures(640, 480)
    sizes = []
    for at in range(1200):
        stream.push(at / 90, HANDS[at % 400] if at % 50 > 9 else None)
        sizes.append(len(pickle.dumps(stream)))
    assert max(sizes[600:]) <= max(sizes[:600]) + 100


def test_a_clock_that_stands_still_fills_no_memory():
    stream = StreamingFeatures(640, 480)
    sizes = []
    for at in range(300):
        stream.push(1.0, HANDS[at] if at % 3 else None)
        sizes.append(len(pickle.dumps(stream)))
    assert max(sizes[10:]) <= max(sizes[:10]) + 10


def test_reset_begins_another_clip():
    first, second = faulty(np.random.default_rng(1), 60, 30), faulty(np.random.default_rng(2), 80, 25)
    stream = StreamingFeatures(640, 480)
    for hand in (first, second, first):
        stream.reset()
        assert stream.dropped == 0
        assert_same(pushed(stream, hand), stream.dropped, grid_features(resample(hand)), 16, 1)


def test_reset_forgets_the_hand_that_was_chosen():
    pair = HANDS[:2] + np.array([[[0.3, 0, 0]], [[-0.3, 0, 0]]])
    stream = StreamingFeatures(640, 480, length=1)
    stream.push_hands(0, pair, [0.9, 0.1], [0, 1])
    stream.reset()
    (window,) = stream.push_hands(0, pair, [0.1, 0.9], [0, 1])
    np.testing.assert_array_equal(
        window.features, StreamingFeatures(640, 480, length=1).push(0, pair[1])[0].features
    )


def test_streams_do_not_share_anything():
    hands = [faulty(np.random.default_rng(seed), 60, 30) for seed in range(2)]
    streams = [StreamingFeatures(640, 480), StreamingFeatures(640, 480)]
    found = [[], []]
    for at in range(60):
        for which in range(2):
            hand = hands[which]
            found[which] += streams[which].push(
                hand.timestamps[at], hand.landmarks[at], int(hand.track_ids[at])
            )
    for which in range(2):
        found[which] += streams[which].finish()
        frames = grid_features(resample(hands[which]))
        assert_same(found[which], streams[which].dropped, frames, 16, 1)


def test_arrays_are_neither_kept_nor_shared():
    hand = sequence(walk(np.random.default_rng(4), 40), 25)
    stream = StreamingFeatures(640, 480)
    camera, several = np.empty((21, 3)), np.empty((1, 21, 3))
    found, kept = [], []
    for at, time in enumerate(hand.timestamps):
        camera[:] = several[:] = hand.landmarks[at]
        windows = stream.push(time, camera, 0) if at % 2 else stream.push_hands(time, several, [1.0], [0])
        camera[:] = several[:] = -1
        kept += [window.features.copy() for window in windows]
        found += windows
        for window in windows:
            window.features[:] = -1
            window.usable[:] = False
    frames = grid_features(resample(hand))
    windows = cut_windows(frames, stride=1)
    np.testing.assert_array_equal(np.array(kept), windows.features[: len(kept)])
    assert len(kept) > 20


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((0.9, HANDS[0], 0), "timestamp_s = 0.9 comes after 1.0"),
        ((np.nan, HANDS[0], 0), "= nan: a time in seconds is needed"),
        ((np.inf, HANDS[0], 0), "= inf: a time in seconds is needed"),
        ((None, HANDS[0], 0), "a time in seconds is needed"),
        (("soon", HANDS[0], 0), "timestamps is not an array of numbers"),
        ((33_333_333, HANDS[0], 0), "33333333.0 comes more than a day after 0.0, the clip's first"),
        ((1.1, HANDS[0, :20], 0), "landmarks has shape (1, 20, 3), it must be (1, 21, 3)"),
        ((1.1, HANDS[:2], 0), "landmarks has shape (1, 2, 21, 3)"),
        ((1.1, "hand", 0), "landmarks is not an array of numbers"),
        ((1.1, HANDS[0], 0.5), "track_ids holds float64"),
        ((1.1, HANDS[0], -7), "track_ids[0] = -7"),
    ],
)
def test_a_bad_row_is_refused_and_the_next_is_taken(row, message):
    stream, untouched = StreamingFeatures(640, 480), StreamingFeatures(640, 480)
    times = np.arange(31) / 30
    for each in (stream, untouched):
        pushed(each, sequence(HANDS[:31], timestamps=times), finish=False)
    with pytest.raises(DataError, match=re.escape(message)):
        stream.push(*row)
    after, expected = (each.push(31 / 30, HANDS[31], 0) for each in (stream, untouched))
    assert [window.start for window in after] == [16]
    np.testing.assert_array_equal(after[0].features, expected[0].features)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((1.1, HANDS[:2], [0.5], [0, 1]), "2 landmarks, 1 scores, 2 track_ids"),
        ((1.1, HANDS[:2], [0.5, 0.5], [0]), "2 landmarks, 2 scores, 1 track_ids"),
        ((1.1, [], [0.5], []), "0 landmarks, 1 scores, 0 track_ids"),
        ((1.1, HANDS[:2], ["a", "b"], [0, 1]), "score is not an array of numbers"),
        ((1.1, HANDS[:2], [[0.5], [0.5]], [0, 1]), "score"),
        ((1.1, HANDS[:2, :20], [0.5, 0.5], [0, 1]), "landmarks has shape (2, 20, 3)"),
        ((1.1, HANDS[:2], [0.5, 0.5], [0, -7]), "track_ids[1] = -7"),
        ((0.9, HANDS[:2], [0.5, 0.5], [0, 1]), "timestamp_s = 0.9 comes after 1.0"),
        ((0.9, [], [], []), "timestamp_s = 0.9 comes after 1.0"),
    ],
)
def test_bad_rows_of_several_hands_are_refused(row, message):
    stream = StreamingFeatures(640, 480, length=1)
    stream.push(0.0, HANDS[0])
    stream.push(1.0, HANDS[1])
    with pytest.raises(DataError, match=re.escape(message)):
        stream.push_hands(*row)
    assert len(stream.push_hands(31 / 30, HANDS[2:4], [0.5, 0.6], [0, 1])) == 1


def test_a_second_time_for_a_row_that_was_given_is_refused():
    stream = StreamingFeatures(640, 480, length=1)
    stream.push(0.0, HANDS[0])
    assert len(stream.push(1 / 30 - 8e-7, HANDS[1])) == 1
    with pytest.raises(DataError, match=r"4e-07 s after the last, less than 1 us"):
        stream.push(1 / 30 - 4e-7, HANDS[2])
    assert stream.push(1 / 30 - 8e-7, HANDS[2]) == []
    assert stream.push(1 / 30 + 4e-7, HANDS[2]) == []
    assert [window.start for window in stream.push(2 / 30, HANDS[3])] == [2]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"length": 0}, ConfigError, "length = 0"),
        ({"stride": -1}, ConfigError, "stride = -1"),
        ({"min_usable": 1.5}, ConfigError, "min_usable = 1.5"),
        ({"width": 0}, DataError, "width = 0"),
        ({"height": -1}, DataError, "height = -1"),
    ],
)
def test_impossible_arguments(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        StreamingFeatures(**{"width": 640, "height": 480, **arguments})


def test_nothing_follows_the_end_of_a_clip():
    stream = StreamingFeatures(640, 480)
    stream.push(0.0, HANDS[0])
    stream.finish()
    with pytest.raises(ConfigError, match=r"reset\(\)"):
        stream.push(1.0, HANDS[1])
    stream.reset()
    assert stream.push(0.0, HANDS[1]) == []


def test_more_than_a_day_is_refused_as_in_batch():
    edge = np.array([0.0, 86_400.0])
    HandSequence(HANDS[:2], edge, np.zeros(2, int), 640, 480)
    stream = StreamingFeatures(640, 480)
    stream.push(edge[0], HANDS[0])
    with pytest.raises(DataError, match="more than a day"):
        stream.push(edge[1] + 0.001, HANDS[1])
    stream.push(edge[1], HANDS[1])
    assert stream.dropped > 0
