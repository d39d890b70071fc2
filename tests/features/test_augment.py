import dataclasses

import numpy as np
import pytest
from features_factories import faulty, one_hand, sequence, walk
from hypothesis import given, settings
from hypothesis import strategies as st

from pgc_data.errors import ConfigError, DataError
from pgc_data.features import SCHEMA, HandSequence, cut_windows, frame_features
from pgc_data.features.augment import (
    Augmentation,
    DropFrames,
    Flip,
    Jitter,
    Scale,
    TimeScale,
    Translate,
    ZeroOcclusion,
    augmentation_preset,
    flip_handedness,
    flip_permutation,
    flipped,
    rng_for,
)

EVERY = [
    TimeScale(),
    Jitter(),
    Flip(),
    Scale(),
    Translate(),
    DropFrames(frame=0.5),
    ZeroOcclusion(frame=0.9, coordinate=0.5),
]
each = pytest.mark.parametrize("step", EVERY, ids=lambda step: type(step).__name__)
few = settings(max_examples=40, deadline=None)
WIDE = {"atol": 1e-3, "rtol": 1e-5}


def rng(seed=0):
    return np.random.default_rng(seed)


def with_gaps(frames=40):
    """A walk in which some hands are missing, partly missing, or collapsed to a point."""
    hands = walk(rng(3), frames)
    hands[5:8] = np.nan
    hands[12, 4, 1] = np.nan
    hands[20] = hands[20, 0]
    return sequence(hands)


def many(step, count=400, frames=17):
    """The same window changed `count` times, each by a generator of its own."""
    hand = sequence(walk(rng(1), frames))
    return hand, [step.apply(hand, rng_for(0, copy)) for copy in range(count)]


def same(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name == "landmarks")
        for name in ("landmarks", "timestamps", "track_ids", "width", "height", "has_z")
    )


def block(values, name):
    return values[..., SCHEMA.block(name).columns]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Jitter(p=1.5), r"p = 1\.5"),
        (lambda: Flip(p=-0.1), r"p = -0\.1"),
        (lambda: Flip(p=float("nan")), "p = nan"),
        (lambda: Scale(p="0.5"), "p = '0.5'"),
        (lambda: Jitter(p=True), "p = True"),
        (lambda: Jitter(sigma=0), "sigma = 0"),
        (lambda: Jitter(sigma=-0.01), r"sigma = -0\.01"),
        (lambda: Jitter(sigma=float("inf")), "sigma = inf"),
        (lambda: TimeScale(0, 1.2), "low = 0"),
        (lambda: TimeScale(1.2, 0.8), r"low = 1\.2, high = 0\.8"),
        (lambda: TimeScale(1, 1), "low = 1, high = 1"),
        (lambda: Scale(-0.5, 1), r"low = -0\.5"),
        (lambda: Scale(0.5, float("inf")), "high = inf"),
        (lambda: Translate(0.1, -0.1), r"low = 0\.1, high = -0\.1"),
        (lambda: Translate(None, 0.1), "low = None"),
        (lambda: DropFrames(frame=1.1), r"frame = 1\.1"),
        (lambda: ZeroOcclusion(frame=-1), "frame = -1"),
        (lambda: ZeroOcclusion(coordinate=2), "coordinate = 2"),
        (lambda: Augmentation(()), "steps is empty"),
        (lambda: Augmentation((Jitter(),), copies=-1), "copies = -1"),
        (lambda: Augmentation((Jitter(),)).expand(with_gaps(), 0), "copies = 0"),
        (lambda: augmentation_preset("mastro"), "unknown augmentation 'mastro'.*maestro"),
        (lambda: rng_for(0.5), r"seed 0\.5"),
        (lambda: rng_for("0"), "seed '0'"),
        (lambda: rng_for(0, "window", 1.0), r"keys \('window', 1\.0\)"),
        (lambda: rng_for(0, None), r"keys \(None,\)"),
    ],
)
def test_bad_calls_are_refused_by_value(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@each
def test_the_sequence_given_is_untouched_and_a_seed_gives_the_same_bytes(step):
    hand, copy = with_gaps(), with_gaps()
    first, again, other = (step.apply(hand, rng(seed)) for seed in (7, 7, 8))
    assert same(hand, copy)
    assert not same(first, hand)
    assert first.landmarks.tobytes() == again.landmarks.tobytes()
    assert first.timestamps.tobytes() == again.timestamps.tobytes()
    assert same(first, other) == isinstance(step, Flip)


@each
@pytest.mark.parametrize(("p", "low", "high"), [(0.0, 0, 0), (0.3, 0.22, 0.38), (1.0, 1, 1)])
def test_p_is_the_share_of_sequences_that_change(step, p, low, high):
    hand, results = many(dataclasses.replace(step, p=p))
    assert low <= np.mean([not same(hand, result) for result in results]) <= high


@each
def test_rows_without_a_hand_stay_without(step):
    hand = with_gaps()
    for seed in range(20):
        changed = step.apply(hand, rng(seed))
        assert not changed.valid()[~hand.valid()].any()
        assert np.isnan(changed.landmarks[5:8]).all()
        assert np.isnan(changed.landmarks[12, 4, 1])


@each
@pytest.mark.parametrize("frames", [0, 1, 2, 17])
def test_a_sequence_of_any_length_keeps_its_shape(step, frames):
    changed = step.apply(sequence(walk(rng(), frames)), rng())
    assert changed.landmarks.shape == (frames, 21, 3)
    assert (changed.width, changed.height, changed.has_z) == (640, 480, True)


@each
def test_a_clip_without_any_hand_has_none_afterwards(step):
    assert np.isnan(step.apply(sequence(np.full((17, 21, 3), np.nan)), rng()).landmarks).all()


@each
def test_dead_dimensions_and_depth_stay_dead(step):
    hands = walk(rng(2), 30)
    for seed in range(5):
        frames = frame_features(step.apply(sequence(hands), rng(seed)))
        windows = cut_windows(frames, stride=1, min_usable=0)
        dead = [dimension.index for dimension in SCHEMA.dead_dims]
        assert len(windows) >= 8
        assert (windows.features[..., dead] == 0).all()
        assert (step.apply(sequence(hands, has_z=False), rng(seed)).landmarks[..., 2] == 0).all()


@few
@given(st.integers(0, 2**32), st.sampled_from([12, 25, 30, 60]), st.sampled_from(["maestro", "a-01a"]))
def test_features_stay_finite_whatever_the_clip(seed, fps, name):
    hand = faulty(rng(seed), 3 * fps, fps)
    changed = augmentation_preset(name)(hand, rng_for(seed)).sequence
    assert np.isfinite(frame_features(changed).values).all()


def linear(frames=30):
    """A hand whose wrist and fingers move at constant speed, its palm constant in length."""
    hands = np.repeat(one_hand(rng(5))[None], frames, axis=0)
    hands[:, 0, 2] = 0
    step = rng(6).normal(0, 0.001, (21, 3))
    step[0, 2] = 0
    step[9] = step[0]
    return sequence(hands + np.arange(frames)[:, None, None] * step)


@pytest.mark.parametrize("seed", range(5))
def test_time_scaling_divides_velocities_and_leaves_landmarks(seed):
    hand = linear()
    changed = TimeScale(0.5, 2.0).apply(hand, rng(seed))
    factor = changed.timestamps[-1] / hand.timestamps[-1]
    before, after = frame_features(hand), frame_features(changed)
    assert len(after) == int((29 * factor / 30 + 0.001) * 30) + 1
    for name in ("velocity", "wrist_vel_raw"):
        rates = block(before.values, name)[1]
        assert np.abs(rates).max() > 0.01
        found = block(after.values, name)[1:].astype(float)
        # A grid point takes a row within 1 ms as it is: up to 2 ms of one step, 1 ms of the whole way.
        np.testing.assert_allclose(found, np.tile(rates / factor, (len(found), 1)), atol=1e-4, rtol=0.062)
        np.testing.assert_allclose(found.mean(axis=0), rates / factor, atol=1e-4, rtol=0.003)
    np.testing.assert_array_equal(changed.landmarks, hand.landmarks)


def test_time_scaling_is_uniform_about_the_first_timestamp():
    hand = sequence(walk(rng(), 17), timestamps=100 + np.cumsum(rng().uniform(0, 0.05, 17)))
    results = [TimeScale(0.8, 1.2).apply(hand, rng_for(0, copy)) for copy in range(4000)]
    assert {result.timestamps[0] for result in results} == {hand.timestamps[0]}
    since = np.array([result.timestamps - 100 for result in results]) - (hand.timestamps[0] - 100)
    factors = since[:, 1:] / (hand.timestamps - hand.timestamps[0])[1:]
    np.testing.assert_allclose(factors, np.repeat(factors[:, -1:], 16, axis=1), rtol=1e-9)
    assert_uniform(factors[:, -1], 0.8, 1.2)


def assert_uniform(values, low, high):
    """Ends, mean and spread of U(low, high), within five standard errors."""
    width, error = high - low, 5 / np.sqrt(values.size)
    assert low <= values.min() < low + 0.01 * width
    assert high - 0.01 * width < values.max() <= high
    assert abs(values.mean() - (low + high) / 2) < error * width / np.sqrt(12)
    assert abs(values.std() - width / np.sqrt(12)) < error * width / 4


@pytest.mark.parametrize("sigma", [0.005, 0.02])
def test_jitter_is_independent_noise_of_the_given_sigma(sigma):
    hand, results = many(Jitter(sigma))
    noise = np.array([result.landmarks for result in results]) - hand.landmarks
    assert (noise[:, :, 0, 2] == 0).all()
    noise = noise.reshape(-1, 63)[:, np.arange(63) != 2]
    np.testing.assert_allclose(noise.std(axis=0), sigma, rtol=0.05)
    assert np.abs(noise.mean(axis=0)).max() < 5 * sigma / np.sqrt(len(noise))
    correlation = np.corrcoef(noise.T) - np.eye(62)
    assert np.abs(correlation).max() < 5 / np.sqrt(len(noise))
    assert abs(np.corrcoef(noise[:-1, 0], noise[1:, 0])[0, 1]) < 5 / np.sqrt(len(noise))


def test_a_flip_negates_x_in_the_features_and_nothing_else():
    hand = with_gaps()
    before, after = (
        cut_windows(frame_features(each), stride=1, min_usable=0) for each in (hand, flipped(hand))
    )
    sign = np.ones(147)
    for name in ("position", "wrist_trajectory", "velocity", "wrist_vel_raw"):
        sign[SCHEMA.block(name).columns][::3] = -1
    np.testing.assert_array_equal(before.usable, after.usable)
    np.testing.assert_allclose(after.features, before.features * sign, **WIDE)
    assert np.abs(block(before.features, "wrist_vel_raw")[..., 0]).max() > 0.01


def test_a_hand_at_the_left_edge_is_at_the_right_edge_in_the_mirror():
    hands = walk(rng(), 3)
    hands[:, :, 0] = [[0.0], [0.25], [1.5]]
    assert flipped(sequence(hands)).landmarks[:, 7, 0].tolist() == [1.0, 0.75, -0.5]


def test_flipping_twice_gives_the_sequence_back():
    hand = faulty(rng(4), 200, 30)
    # As extraction stores them: single precision, whose mirror image is exact in double precision.
    stored = dataclasses.replace(with_gaps(), landmarks=with_gaps().landmarks.astype(np.float32))
    assert same(flipped(flipped(stored)), stored)
    finite = np.isfinite(hand.landmarks) & (np.abs(hand.landmarks) < 2)
    twice = flipped(flipped(hand)).landmarks
    assert np.abs(twice[finite] - hand.landmarks[finite]).max() <= np.spacing(1.0)
    np.testing.assert_array_equal(flipped(hand).landmarks[..., 1:], hand.landmarks[..., 1:])


def test_scaling_keeps_the_centre_and_multiplies_all_lengths():
    hand = with_gaps()
    valid = hand.valid()
    factors = []
    for copy in range(1000):
        changed = Scale(0.8, 1.2).apply(hand, rng_for(1, copy))
        before, after = hand.landmarks[valid], changed.landmarks[valid]
        factors.append(after[:, 5, 2].sum() / before[:, 5, 2].sum())
        np.testing.assert_allclose(after[..., :2].mean((0, 1)), before[..., :2].mean((0, 1)), atol=1e-12)
        np.testing.assert_allclose(after - after[:1, :1], (before - before[:1, :1]) * factors[-1], atol=1e-12)
    assert_uniform(np.array(factors), 0.8, 1.2)


@pytest.mark.parametrize(("step", "to"), [(Translate(), "translation"), (Scale(1.1, 1.2), "scale")], ids=str)
def test_features_are_invariant_as_the_schema_says(step, to):
    hand = with_gaps()
    before, after = (
        cut_windows(frame_features(each), stride=1, min_usable=0).features
        for each in (hand, step.apply(hand, rng(11)))
    )
    for each in SCHEMA.blocks:
        agrees = np.allclose(block(after, each.name), block(before, each.name), **WIDE)
        assert agrees == (to in each.invariant_to), each.name


def test_translation_is_one_step_for_the_whole_sequence():
    hand, results = many(Translate(-0.1, 0.1), count=2000)
    moved = np.array([result.landmarks for result in results]) - hand.landmarks
    np.testing.assert_allclose(moved, np.broadcast_to(moved[:, :1, :1], moved.shape), atol=1e-15)
    steps = moved[:, 0, 0]
    assert (steps[:, 2] == 0).all()
    assert_uniform(steps[:, 0], -0.1, 0.1)
    assert_uniform(steps[:, 1], -0.1, 0.1)
    assert abs(np.corrcoef(steps[:, 0], steps[:, 1])[0, 1]) < 5 / np.sqrt(2000)


def test_dropped_frames_are_missing_hands():
    hand, results = many(DropFrames(frame=0.1))
    lost = np.array([np.isnan(result.landmarks).all(axis=(1, 2)) for result in results])
    kept = np.array([(result.landmarks == hand.landmarks).all(axis=(1, 2)) for result in results])
    assert (lost ^ kept).all()
    assert abs(lost.mean() - 0.1) < 5 * np.sqrt(0.09 / lost.size)
    assert (np.array([result.track_ids for result in results]) == np.where(lost, -1, 0)).all()


def test_occlusion_zeroes_coordinates_of_some_frames():
    hand, results = many(ZeroOcclusion(frame=0.1, coordinate=0.3))
    # The wrist's z is 0 anyway.
    before = hand.landmarks.reshape(-1, 63)[:, np.arange(63) != 2]
    after = np.array([result.landmarks for result in results]).reshape(-1, 17, 63)[..., np.arange(63) != 2]
    zero = after == 0
    assert ((after == before) ^ zero).all()
    hidden = zero.any(axis=2)
    assert abs(hidden.mean() - 0.1) < 5 * np.sqrt(0.09 / hidden.size)
    assert abs(zero[hidden].mean() - 0.3) < 5 * np.sqrt(0.21 / zero[hidden].size)
    correlation = np.corrcoef(zero[hidden].T) - np.eye(62)
    assert np.abs(correlation).max() < 5 / np.sqrt(hidden.sum())


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((Jitter(),), False),
        ((Flip(),), True),
        ((Flip(p=0.0), Jitter()), False),
        ((Flip(), TimeScale(), Flip()), False),
        ((Flip(), Flip(), Flip()), True),
    ],
)
def test_an_augmentation_reports_whether_the_result_is_mirrored(steps, expected):
    assert Augmentation(steps)(with_gaps(), rng()).flipped is expected


def test_a_reported_flip_is_the_flip_that_happened():
    hand = with_gaps()
    results = [Augmentation((Flip(p=0.5),))(hand, rng_for(2, copy)) for copy in range(400)]
    assert 0.38 < np.mean([result.flipped for result in results]) < 0.62
    for result in results:
        assert same(result.sequence, flipped(hand) if result.flipped else hand)


def test_steps_run_in_order():
    hand = with_gaps()
    changed = Augmentation([Translate(1.0, 1.1), Flip()])(hand, rng()).sequence
    assert np.nanmax(changed.landmarks[..., 0]) < 0


@pytest.mark.parametrize(
    ("name", "steps", "copies"),
    [
        (
            "maestro",
            [("TimeScale", {"low": 0.8, "high": 1.2, "p": 1}), ("Jitter", {"sigma": 0.005, "p": 1})],
            0,
        ),
        (
            "a-01a",
            [
                ("Jitter", {"sigma": 0.02, "p": 0.7}),
                ("Scale", {"low": 0.8, "high": 1.2, "p": 0.5}),
                ("Translate", {"low": -0.1, "high": 0.1, "p": 0.5}),
                ("ZeroOcclusion", {"frame": 0.1, "coordinate": 0.3, "p": 0.5}),
            ],
            2,
        ),
    ],
)
def test_presets_are_the_published_ones(name, steps, copies):
    preset = augmentation_preset(name)
    assert [(type(step).__name__, dataclasses.asdict(step)) for step in preset.steps] == steps
    assert preset.copies == copies


def test_expanding_gives_the_original_and_its_copies():
    hand, preset = with_gaps(), augmentation_preset("a-01a")
    original, *copies = preset.expand(hand, 3, "leap/00/palm")
    assert original.sequence is hand
    assert not original.flipped
    assert len(copies) == 2
    for number, copy in enumerate(copies, start=1):
        assert same(copy.sequence, preset(hand, rng_for(3, "leap/00/palm", number)).sequence)


@few
@given(st.floats(0.3, 1.5), st.floats(0.01, 1), st.integers(1, 40), st.integers(0, 2**32))
def test_enough_frames_are_left_of_the_frames_to_hold(low, wider, frames, seed):
    augment = Augmentation((TimeScale(low, low + wider), Jitter()))
    hand = sequence(walk(rng(seed), augment.frames_to_hold(frames)))
    assert len(frame_features(augment(hand, rng(seed)).sequence)) >= frames


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((Jitter(),), 17),
        ((TimeScale(1.1, 2),), 17),
        ((TimeScale(0.8, 1.2), Jitter()), 21),
        ((TimeScale(0.5, 2), TimeScale(0.5, 2)), 65),
    ],
)
def test_frames_to_hold(steps, expected):
    assert Augmentation(steps).frames_to_hold(17) == expected


def test_generators_are_the_same_on_every_machine():
    assert rng_for(7, "ipn/4CM11_1:120", 3).bit_generator.random_raw() == 3025362251969643541


def test_generators_differ_by_seed_and_by_key():
    keys = [
        (0,), (1,), (-1,), (2**80,), (0, 0), (0, 1), (0, "1"), (0, "a", "bc"), (0, "ab", "c"), (0, "abc"), (0, "a", 1),
        (0, 1, "a"), (0, ""), (0, "\udce9"), (0, "é"),
    ]  # fmt: skip
    draws = [rng_for(*each).bit_generator.random_raw() for each in keys]
    assert len(set(draws)) == len(keys)
    assert rng_for(np.int64(0), np.int32(1)).random() == rng_for(0, 1).random()


@pytest.mark.parametrize(
    ("classes", "pairs", "expected"),
    [
        (["up", "down"], [], [0, 1]),
        (["left", "up", "right"], [("left", "right")], [2, 1, 0]),
        (["a", "b", "c", "d"], [("d", "a"), ("b", "c")], [3, 2, 1, 0]),
    ],
)
def test_classes_swap_in_the_mirror(classes, pairs, expected):
    swaps = flip_permutation(classes, pairs)
    assert swaps.dtype == np.int64
    assert swaps.tolist() == expected
    assert swaps[swaps].tolist() == list(range(len(classes)))


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("left", "rihgt")], "unknown class in 'flip' 'rihgt'"),
        ([("left", "right"), ("up", "left")], "class 'left' is in 'flip' twice"),
        ([("up", "up")], "class 'up' is in 'flip' twice"),
    ],
)
def test_pairs_that_contradict_themselves_are_refused(pairs, message):
    with pytest.raises(ConfigError, match=message):
        flip_permutation(["left", "right", "up"], pairs)


def test_hands_swap_in_the_mirror():
    assert [flip_handedness(hand) for hand in ("Left", "Right", None)] == ["Right", "Left", None]
    with pytest.raises(DataError, match="handedness 'left'"):
        flip_handedness("left")


def test_a_window_of_seventeen_frames_becomes_a_window_of_features():
    augment = augmentation_preset("maestro")
    hand = sequence(walk(rng(1), augment.frames_to_hold(17)))
    for epoch in range(20):
        changed = augment(hand, rng_for(0, "window", epoch)).sequence
        assert isinstance(changed, HandSequence)
        windows = cut_windows(frame_features(changed), stride=1)
        # The second window: its first frame has one before it to take velocities from.
        assert windows.features[1].shape == (16, 147)
        assert (block(windows.features[1], "velocity")[:, 3:] != 0).all()
