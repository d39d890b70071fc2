import re

import numpy as np
import pytest
from features_factories import faulty, sequence, walk

from pgc_data.errors import ConfigError
from pgc_data.features import SCHEMA, FrameFeatures, cut_windows, frame_features, windows
from pgc_data.features.windows import fill_windows, frames_needed

TRAJECTORY = SCHEMA.block("wrist_trajectory").columns


def clip(frames, missing=()):
    hands = walk(np.random.default_rng(11), frames)
    hands[list(missing)] = np.nan
    return frame_features(sequence(hands))


@pytest.mark.parametrize(
    ("frames", "length", "stride", "start"),
    [
        (0, 16, 4, []),
        (15, 16, 4, []),
        (16, 16, 4, [0]),
        (19, 16, 4, [0]),
        (20, 16, 4, [0, 4]),
        (18, 16, 1, [0, 1, 2]),
        (40, 16, 8, [0, 8, 16, 24]),
        (64, 32, 32, [0, 32]),
        (3, 1, 1, [0, 1, 2]),
    ],
)
def test_where_windows_start(frames, length, stride, start):
    windows = cut_windows(clip(frames), length, stride)
    assert windows.start.tolist() == start
    assert windows.start.dtype == np.int64
    assert windows.features.shape == (len(start), length, 147)
    assert windows.usable.shape == (len(start), length)
    assert len(windows) == len(start)
    assert windows.dropped == 0


@pytest.mark.parametrize(("missing", "kept"), [(3, True), (6, True), (7, False), (16, False)])
def test_thirteen_of_sixteen_frames_must_be_usable(missing, kept):
    # The first three missing frames are held.
    windows = cut_windows(clip(17, range(1, 1 + missing)), stride=16)
    assert (len(windows), windows.dropped) == ((1, 0) if kept else (0, 1))
    if kept:
        assert windows.usable_fraction.tolist() == [np.float32((16 - max(0, missing - 3)) / 16)]


@pytest.mark.parametrize(
    ("share", "length", "needed"),
    [(0.8, 16, 13), (0.8, 5, 4), (0.6, 15, 9), (0.6, 16, 10), (0.9, 10, 9), (0, 16, 0)],
)
def test_frames_needed(share, length, needed):
    assert frames_needed(share, length) == needed


def test_trajectory_starts_at_the_oldest_usable_frame_of_each_window():
    frames = clip(60, range(3))
    windows = cut_windows(frames, stride=1)
    assert windows.start[0] == 0
    for window, usable, start in zip(windows.features, windows.usable, windows.start, strict=True):
        oldest = start + int(np.argmax(usable))
        at = np.arange(start, start + 16)[usable]
        expected = (frames.wrist[at] - frames.wrist[oldest]) / frames.scale[at, None]
        np.testing.assert_allclose(window[usable, TRAJECTORY], expected, atol=1e-6)
        assert (window[oldest - start, TRAJECTORY] == 0).all()
        assert (window[~usable] == 0).all()


def faulty_clip():
    hand = faulty(np.random.default_rng(13), 300, 30)
    hand.landmarks[40:75] = np.nan
    return frame_features(hand)


def stretch(frames, part, order="C"):
    """The frames of a slice, as a clip of their own."""
    return FrameFeatures(
        frames.usable[part],
        frames.times[part],
        frames.source_index[part],
        np.array(frames.values[part], order=order),
        np.array(frames.wrist[part], order=order),
        frames.scale[part],
    )


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("chunk", [1, 3, 512])
def test_a_window_has_the_same_bits_cut_from_any_stretch(monkeypatch, chunk, order):
    frames = faulty_clip()
    start = np.arange(300 - 15)
    whole = fill_windows(frames, start, 16)
    assert (whole.usable.sum(axis=1) == 0).any()
    monkeypatch.setattr(windows, "CHUNK_WINDOWS", chunk)
    for first, length in [(0, 16), (5, 17), (37, 100), (201, 99), (284, 16)]:
        part = fill_windows(stretch(frames, slice(first, first + length), order), start[: length - 15], 16)
        assert part.features.tobytes() == whole.features[first : first + length - 15].tobytes()
        assert part.usable.tobytes() == whole.usable[first : first + length - 15].tobytes()


def test_windows_may_start_anywhere_in_any_order():
    frames = faulty_clip()
    start = np.array([270, 3, 3, 100, 41])
    found, whole = fill_windows(frames, start, 16, dropped=2), fill_windows(frames, np.arange(285), 16)
    assert found.features.tobytes() == whole.features[start].tobytes()
    assert found.start.tolist() == start.tolist()
    assert found.dropped == 2


def test_windows_outside_the_clip_are_refused():
    with pytest.raises(IndexError):
        fill_windows(clip(20), np.array([0, 5]), 16)


def test_a_feature_set_without_an_origin_is_cut_as_it_is():
    frames = faulty_clip()
    bare = FrameFeatures(frames.usable, frames.times, frames.source_index, frames.values[:, :5])
    found = cut_windows(bare, stride=1, min_usable=0)
    within = np.arange(285)[:, None] + np.arange(16)
    np.testing.assert_array_equal(found.features, frames.values[:, :5][within])


def test_frames_are_left_as_they_were():
    frames = clip(40)
    cut_windows(frames)
    assert (frames.values[:, TRAJECTORY] == 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 0}, "length = 0"),
        ({"stride": 0}, "stride = 0"),
        ({"stride": -4}, "stride = -4"),
        ({"min_usable": 1.2}, "min_usable = 1.2"),
        ({"min_usable": float("nan")}, "min_usable = nan"),
    ],
)
def test_impossible_arguments(arguments, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        cut_windows(clip(20), **arguments)
