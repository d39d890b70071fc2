import features_reference as reference
import numpy as np
import pytest
from features_factories import faulty, sequence, walk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pgc_data.features import SCHEMA, HandGrid, blocks, cut_windows, frame_features, grid_features, resample
from pgc_data.features.frames import usable_frames

VELOCITIES = SCHEMA.indices("velocity", "wrist_vel_raw")
SHAPES = SCHEMA.indices("position", "fingertip_spread", "joint_angles")
few = settings(max_examples=40, deadline=None)


def columns(name):
    return SCHEMA.block(name).columns


def assert_same(features, expected):
    features, expected = np.asarray(features, float), np.asarray(expected, float)
    moving = np.zeros(147, bool)
    moving[VELOCITIES] = True
    np.testing.assert_allclose(features[..., moving], expected[..., moving], atol=1e-3, rtol=1e-6)
    np.testing.assert_allclose(features[..., ~moving], expected[..., ~moving], atol=1e-5, rtol=1e-6)


def slow_frames(hand):
    return reference.frames(
        hand.landmarks.tolist(), hand.timestamps.tolist(), hand.track_ids.tolist(), hand.width, hand.height
    )


@pytest.mark.parametrize("fps", [12, 15, 24, 25, 29.97, 30, 60])
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_plain_implementation(fps, seed):
    hand = faulty(np.random.default_rng([seed, int(fps)]), int(6 * fps), fps)
    expected = slow_frames(hand)
    frames = frame_features(hand)
    assert frames.usable.tolist() == [row[1] for row in expected]
    assert_same(frames.values, [row[0] for row in expected])
    np.testing.assert_allclose(frames.wrist, [row[2] for row in expected], atol=1e-12)
    np.testing.assert_allclose(frames.scale, [row[3] for row in expected], atol=1e-12)
    assert frames.source_index.tolist() == [row[4] for row in expected]
    for stride in (1, 4):
        windows, (kept, dropped) = (
            cut_windows(frames, stride=stride),
            reference.windows(expected, stride=stride),
        )
        assert windows.dropped == dropped
        assert windows.start.tolist() == [window[0] for window in kept]
        assert windows.usable.tolist() == [window[2] for window in kept]
        if kept:
            assert_same(windows.features, [window[1] for window in kept])


def gap(length, *, tracks=None):
    """30 fps frames 0-9 seen, `length` missing, 10 seen."""
    hands = walk(np.random.default_rng(7), 20 + length)
    hands[10 : 10 + length] = np.nan
    ids = None if tracks is None else [tracks[0]] * (10 + length) + [tracks[1]] * 10
    return hands, frame_features(sequence(hands, tracks=ids))


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6, 30])
def test_a_gap_is_held_for_three_frames_then_unusable(length):
    _, frames = gap(length)
    held = min(length, 3)
    assert frames.usable.tolist() == [True] * (10 + held) + [False] * (length - held) + [True] * 10
    for k in range(10, 10 + held):
        np.testing.assert_array_equal(frames.values[k, SHAPES], frames.values[9, SHAPES])
        np.testing.assert_array_equal(frames.wrist[k], frames.wrist[9])
        assert (frames.values[k, VELOCITIES] == 0).all()
    assert (frames.values[10 + held : 10 + length] == 0).all()


@pytest.mark.parametrize(("length", "moves"), [(1, True), (5, True), (6, False), (30, False)])
def test_velocity_after_a_gap_is_over_the_real_time_up_to_a_fifth_of_a_second(length, moves):
    hands, frames = gap(length)
    found = frames.values[10 + length, columns("wrist_vel_raw")]
    expected = (hands[10 + length, 0] - hands[9, 0]) * 30 / (length + 1) if moves else np.zeros(3)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (frames.values[10 + length, columns("velocity")] != 0).any() == moves


@pytest.mark.parametrize(
    ("tracks", "moves"), [((3, 3), True), ((3, 4), False), ((-1, -1), True), ((3, -1), False)]
)
@pytest.mark.parametrize("length", [0, 2])
def test_a_new_track_starts_at_rest(tracks, moves, length):
    _, frames = gap(length, tracks=tracks)
    assert (frames.values[10 + length, VELOCITIES] != 0).any() == moves
    assert (frames.values[11 + length, VELOCITIES] != 0).any()


def test_the_first_frame_is_at_rest_and_leading_gaps_are_unusable():
    hands = walk(np.random.default_rng(8), 10)
    hands[:4] = np.nan
    frames = frame_features(sequence(hands))
    assert frames.usable.tolist() == [False] * 4 + [True] * 6
    assert (frames.values[4, VELOCITIES] == 0).all()


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_short_sequences(frames):
    features = frame_features(sequence(walk(np.random.default_rng(0), frames)))
    assert features.values.shape == (frames, 147)
    assert len(features) == frames
    assert len(cut_windows(features)) == 0


def test_without_depth_equals_depth_zero():
    hands = walk(np.random.default_rng(9), 30)
    flat = hands * [1, 1, 0]
    np.testing.assert_array_equal(
        frame_features(sequence(hands, has_z=False)).values, frame_features(sequence(flat)).values
    )


anything = hnp.arrays(
    np.float64,
    st.tuples(st.integers(0, 40), st.just(21), st.just(3)),
    elements=st.one_of(st.floats(), st.floats(-2, 2), st.just(0.5)),
    fill=st.one_of(st.just(0.5), st.just(np.nan), st.floats(-1, 1)),
)


@few
@given(anything, st.sampled_from([1, 12, 30, 60]), st.sampled_from([(640, 480), (1, 10_000), (10_000, 1)]))
def test_any_input_gives_finite_features(hands, fps, size):
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        frames = frame_features(sequence(hands, fps, width=size[0], height=size[1]))
        windows = cut_windows(frames, stride=1, min_usable=0)
    assert frames.values.dtype == windows.features.dtype == np.float32
    assert np.isfinite(frames.values).all()
    assert np.isfinite(windows.features).all()
    assert (frames.values[~frames.usable] == 0).all()
    assert (windows.features[~windows.usable] == 0).all()


seeds = st.integers(0, 2**32 - 1)


@few
@given(seeds, st.sampled_from([12, 24, 30, 60]))
def test_properties_of_faulty_sequences(seed, fps):
    frames = frame_features(faulty(np.random.default_rng(seed), 60, fps))
    windows = cut_windows(frames, stride=1)
    assert np.isfinite(frames.values).all()
    assert (frames.values[:, [0, 1, 2, 71, 72, 73]] == 0).all()
    assert (windows.features[:, :, [0, 1, 2, 71, 72, 73]] == 0).all()
    angles = frames.values[:, columns("joint_angles")]
    assert (angles >= 0).all()
    assert (angles <= np.float32(np.pi)).all()
    assert (windows.usable.sum(axis=1) >= 13).all()


@few
@given(seeds)
def test_the_two_depth_dims_are_dead_where_the_wrist_is_the_origin_of_z(seed):
    hands = walk(np.random.default_rng(seed), 40)
    windows = cut_windows(frame_features(sequence(hands)))
    assert (windows.features[:, :, [70, 146]] == 0).all()


@few
@given(seeds, st.floats(0.2, 5), st.floats(-2, 2), st.floats(-2, 2))
def test_translation_and_scale_leave_the_invariant_blocks_alone(seed, factor, right, down):
    hands = walk(np.random.default_rng(seed), 24)
    before = cut_windows(frame_features(sequence(hands)), stride=1).features
    after = cut_windows(frame_features(sequence(hands * factor + [right, down, 0])), stride=1).features
    invariant = [block.name for block in SCHEMA.blocks if {"translation", "scale"} <= set(block.invariant_to)]
    assert invariant == ["position", "fingertip_spread", "wrist_trajectory", "velocity", "joint_angles"]
    for name in invariant:
        tolerance = 1e-3 if name == "velocity" else 1e-5
        np.testing.assert_allclose(
            after[..., columns(name)], before[..., columns(name)], atol=tolerance, rtol=1e-5
        )
    raw = columns("wrist_vel_raw")
    np.testing.assert_allclose(after[..., raw], before[..., raw] * factor, atol=1e-4)


@few
@given(seeds)
def test_rotation_leaves_spread_and_angles_alone(seed):
    rng = np.random.default_rng(seed)
    hands = walk(rng, 5)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    before = frame_features(sequence(hands, width=500, height=500)).values
    after = frame_features(sequence(hands @ turn, width=500, height=500)).values
    rotatable = [block.name for block in SCHEMA.blocks if "rotation" in block.invariant_to]
    assert rotatable == ["fingertip_spread", "joint_angles"]
    for name in rotatable:
        np.testing.assert_allclose(after[:, columns(name)], before[:, columns(name)], atol=1e-5)


@few
@given(st.sampled_from([6, 10, 12, 15, 24, 25, 30, 50, 60, 120]), st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
def test_velocities_are_per_second_at_any_frame_rate(fps, wrist_speed, tip_speed):
    seconds = np.arange(2 * fps + 1)[:, None] / fps
    hands = np.repeat(walk(np.random.default_rng(0), 1), seconds.size, axis=0)
    hands[:, :, 0] += wrist_speed * seconds
    hands[:, 8, 0] += tip_speed * seconds[:, 0]
    frames = frame_features(sequence(hands, fps))
    # Down to the 1 ms by which a source row may miss the grid point it stands for.
    tolerance = 0.02 if 30 % fps and fps % 30 else 1e-4
    np.testing.assert_allclose(frames.values[1:, 144], wrist_speed, atol=tolerance)
    np.testing.assert_allclose(frames.values[1:, 71 + 24] * frames.scale[1:], tip_speed, atol=tolerance)


def rows_of(grid, part, order="C"):
    """The grid rows of a slice, as a grid of their own."""
    return HandGrid(
        np.array(grid.landmarks[part], order=order),
        grid.times[part],
        grid.track_ids[part],
        grid.source_index[part],
        grid.width,
        grid.height,
    )


def assert_same_bits(found, expected, part=slice(None)):
    for name in ("usable", "values", "wrist", "scale"):
        assert getattr(found, name).tobytes() == getattr(expected, name)[part].tobytes(), name


@few
@given(seeds, st.sampled_from([12, 30, 60]), st.sampled_from("CF"))
def test_a_row_depends_on_the_last_seven_grid_rows_alone(seed, fps, order):
    grid = resample(faulty(np.random.default_rng(seed), 60, fps))
    whole = grid_features(grid)
    for end in range(8, len(grid.times) + 1, 3):
        tail = grid_features(rows_of(grid, slice(end - 7, end), order))
        np.testing.assert_array_equal(tail.values[-1], whole.values[end - 1])
        assert tail.values[-1].tobytes() == whole.values[end - 1].tobytes()
        assert tail.usable[-1] == whole.usable[end - 1]
        assert tail.wrist[-1].tobytes() == whole.wrist[end - 1].tobytes()
        assert tail.scale[-1] == whole.scale[end - 1]


@pytest.mark.parametrize("make", [faulty, lambda rng, frames, fps: sequence(walk(rng, frames), fps)])
@pytest.mark.parametrize("order", "CF")
def test_rows_have_the_same_bits_in_stretches_of_any_length(make, order):
    grid = resample(make(np.random.default_rng(21), 560, 30))
    whole = grid_features(grid)
    for length in [*range(7, 40), 63, 64, 65, 127, 128, 505, 506, 507, 512, 513]:
        start = 37 * length % (560 - length)
        part = grid_features(rows_of(grid, slice(start, start + length), order))
        assert part.values[6:].tobytes() == whole.values[start + 6 : start + length].tobytes(), (
            start,
            length,
        )


@pytest.mark.parametrize("chunk", [7, 8, 13, 64])
@pytest.mark.parametrize("fps", [12, 30])
@pytest.mark.parametrize("seed", range(3))
def test_chunks_leave_no_trace(monkeypatch, chunk, fps, seed):
    grid = resample(faulty(np.random.default_rng([31, seed]), 200, fps))
    whole = grid_features(grid)
    monkeypatch.setattr(blocks, "CHUNK_FRAMES", chunk)
    assert_same_bits(grid_features(grid), whole)


def test_a_clip_of_many_chunks_agrees_with_the_plain_implementation():
    hand = faulty(np.random.default_rng(41), 2 * blocks.CHUNK_FRAMES + 100, 30)
    expected = slow_frames(hand)
    frames = frame_features(hand)
    assert frames.usable.tolist() == [row[1] for row in expected]
    assert_same(frames.values, [row[0] for row in expected])


@few
@given(seeds, st.sampled_from([12, 24, 30]))
def test_usable_frames_says_what_frame_features_says(seed, fps):
    hand = faulty(np.random.default_rng(seed), 60, fps)
    usable, frames = usable_frames(hand), frame_features(hand)
    for name in ("usable", "times", "source_index"):
        np.testing.assert_array_equal(getattr(usable, name), getattr(frames, name))
