import itertools

import numpy as np
import pytest
from features_factories import faulty, sequence, walk
from hypothesis import assume, given
from hypothesis import strategies as st

from pgc_data.errors import ConfigError
from pgc_data.features import (
    SCHEMA,
    BodySet,
    HandSet,
    ImageSet,
    cut_windows,
    feature_set,
    feature_sets,
    frame_features,
    resample,
    usable_windows,
)

HAND_SETS = [each for each in feature_sets().values() if isinstance(each, HandSet)]


@pytest.mark.parametrize(
    ("name", "kind", "dims", "frames", "stride", "every"),
    [
        ("feature-schema-v1", HandSet, 147, 16, 4, 2),
        ("landmarks63", HandSet, 63, 30, 15, 1),
        ("holistic1662", BodySet, 1662, 30, 15, 1),
        ("box42", ImageSet, 42, 1, 1, 1),
    ],
)
def test_a_set_says_what_its_windows_are(name, kind, dims, frames, stride, every):
    found = feature_set(name)
    assert isinstance(found, kind)
    assert (found.dims, found.window_frames, found.train_stride, found.eval_every) == (
        dims,
        frames,
        stride,
        every,
    )


@pytest.mark.parametrize("name", feature_sets())
def test_the_blocks_of_a_schema_file_cover_its_features(name):
    document = feature_set(name).document
    edges = [(block["start"], block["end"]) for block in document["blocks"]]
    assert edges[0][0] == 0
    assert all(end + 1 == start for (_, end), (start, _) in itertools.pairwise(edges))
    assert edges[-1][1] + 1 == document["frame_dims"]
    assert all(b["size"] == b["end"] - b["start"] + 1 for b in document["blocks"])
    assert all(b["unit"] and b["formula"] for b in document["blocks"])
    assert all({"value", "unit", "rule"} <= rule.keys() for rule in document["rules"].values())


def test_options_are_chosen_behind_the_name():
    assert feature_set("box42+mirror_left") == ImageSet("box42", mirror_left=True)
    with pytest.raises(ConfigError, match="unknown feature set 'box43'"):
        feature_set("box43")
    with pytest.raises(ConfigError, match="box42 has no option 'mirror' "):
        feature_set("box42+mirror")


@pytest.mark.parametrize("features", HAND_SETS, ids=lambda each: each.name)
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("fps", [12, 30, 60])
def test_what_is_usable_is_known_without_features(features, seed, fps):
    hand = faulty(np.random.default_rng(seed), 5 * fps, fps)
    use, frames = features.usable(hand), features.frames(hand)
    np.testing.assert_array_equal(use.usable, frames.usable)
    np.testing.assert_array_equal(use.times, frames.times)
    np.testing.assert_array_equal(use.source_index, frames.source_index)
    start, dropped = usable_windows(use.usable, 16, 3, 0.8)
    windows = cut_windows(frames, 16, 3)
    np.testing.assert_array_equal(start, windows.start)
    assert dropped == windows.dropped
    assert frames.values.shape == (len(use), features.dims)
    assert frames.values.dtype == np.float32
    assert np.isfinite(frames.values).all()
    assert (frames.values[~frames.usable] == 0).all()


def test_landmarks63_pass_through_are_held_and_end_in_zeros():
    hands = walk(np.random.default_rng(0), 30)
    hands[10:16] = np.nan
    frames = feature_set("landmarks63").frames(sequence(hands))
    expected = np.nan_to_num(hands.reshape(30, 63)).astype(np.float32)
    expected[10:13] = expected[9]
    np.testing.assert_array_equal(frames.values, expected)
    assert frames.usable.tolist() == [True] * 13 + [False] * 3 + [True] * 14
    assert frames.wrist is None


def test_landmarks63_are_interpolated_like_everything_else():
    hand = sequence(walk(np.random.default_rng(0), 24), fps=12)
    frames = feature_set("landmarks63").frames(hand)
    np.testing.assert_array_equal(frames.values, resample(hand).landmarks.reshape(-1, 63).astype(np.float32))
    np.testing.assert_array_equal(frames.usable, frame_features(hand).usable)
    assert SCHEMA.rules.grid_hz == 30


@pytest.mark.parametrize("features", HAND_SETS, ids=lambda each: each.name)
@given(seed=st.integers(0, 2**32 - 1))
def test_frames_in_another_order_give_other_windows(features, seed):
    rng = np.random.default_rng(seed)
    hands = walk(rng, 40)
    order = rng.permutation(40)
    assume((order != np.arange(40)).any())
    straight = cut_windows(features.frames(sequence(hands)), 30, 1)
    mixed = cut_windows(features.frames(sequence(hands[order])), 30, 1)
    moved = [k for k in range(len(straight)) if (order[k : k + 30] != np.arange(k, k + 30)).any()]
    assert moved
    for k in moved:
        assert (straight.features[k] != mixed.features[k]).any()
