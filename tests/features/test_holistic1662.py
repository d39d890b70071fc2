"""holistic1662 against the text of its rules, written once more as a plain loop over frames."""

from __future__ import annotations

import json
import math
import tracemalloc
from bisect import bisect_left

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pgc_data.errors import DataError
from pgc_data.features.body import BODY_PARTS, BodySequence
from pgc_data.features.holistic1662 import body_features, usable_body
from pgc_data.features.schema import SCHEMA
from pgc_data.resources import schema_file

DOCUMENT = json.loads(schema_file("holistic1662.json").read_text())
# Written out from the specification: part, points, values a point, first feature.
LAYOUT = [("pose", 33, 4, 0), ("face", 468, 3, 132), ("left_hand", 21, 3, 1536), ("right_hand", 21, 3, 1599)]


def parts_of(rng, frames):
    return {name: rng.uniform(-0.5, 1.5, (frames, points, values)) for name, points, values, _ in LAYOUT}


def body(parts, fps=30.0, times=None, width=640, height=480):
    times = np.arange(len(parts["pose"])) / fps if times is None else times
    return BodySequence(timestamps=times, width=width, height=height, **parts)


def faulty(rng, frames):
    """Parts that go missing on their own, in runs of every length, by one bad value or by all."""
    parts = parts_of(rng, frames)
    for part in parts.values():
        at = 0
        while (at := at + int(rng.integers(1, 15))) < frames:
            run = slice(at, at + int(rng.integers(1, 10)))
            if rng.random() < 0.5:
                part[run] = np.nan
            else:
                part[run, rng.integers(part.shape[1]), rng.integers(part.shape[2])] = rng.choice(
                    [np.nan, np.inf, -np.inf, 100.5, -1e300]
                )
            at = run.stop
    return parts


def reference(parts, times):
    """[(time, nearest source row, usable, 1662 values)], one grid frame at a time."""
    out = []
    there = {name: [row for row in range(len(times)) if whole(parts[name][row])] for name, *_ in LAYOUT}
    last = {name: (None, None) for name, *_ in LAYOUT}
    k = 0
    while len(times) and times[0] + k / 30 <= times[-1] + 0.001:
        t = times[0] + k / 30
        near = nearest_row(t, times)
        values, shows = [], False
        for name, points, each, _ in LAYOUT:
            seen = at_time(parts[name], there[name], times, t, near)
            if seen is not None:
                last[name] = (k, seen)
            since, held = last[name]
            if since is None or k - since > 3:
                values += [0.0] * (points * each)
                continue
            values += held
            shows |= name != "face"
        out.append((t, near, shows, values if shows else [0.0] * 1662))
        k += 1
    return out


def nearest_row(t, times):
    best = min(range(len(times)), key=lambda row: (abs(times[row] - t), row))
    # Midway within a microsecond is the earlier one.
    return next(row for row in range(len(times)) if abs(times[row] - t) <= abs(times[best] - t) + 1e-6)


def at_time(part, there, times, t, near):
    """A part's values at a time, or None; `there` are the source rows that have it whole."""
    if abs(times[near] - t) <= 0.001:
        return flat(part[near]) if near in there else None
    cut = bisect_left([times[row] for row in there], t)
    if cut == 0 or cut == len(there):
        return None
    a, b = there[cut - 1], there[cut]
    if times[b] - times[a] > 0.201:
        return None
    w = (t - times[a]) / (times[b] - times[a])
    return [(1 - w) * p + w * q for p, q in zip(flat(part[a]), flat(part[b]), strict=True)]


def whole(row):
    return all(math.isfinite(v) and abs(v) <= 100.0 for v in flat(row))


def flat(row):
    return [float(v) for point in row for v in point]


@pytest.mark.parametrize(("fps", "seed"), [(30, 0), (30, 1), (12, 2), (24, 3), (60, 4), (4, 5)])
def test_features_are_those_of_the_rules(fps, seed):
    rng = np.random.default_rng(seed)
    parts = faulty(rng, 50)
    times = 3.0 + np.arange(50) / fps
    if seed % 2:
        times = times + rng.uniform(-0.3, 0.3, 50) / fps
    frames = body_features(body(parts, times=times))
    expected = reference(parts, times.tolist())
    assert len(frames) == len(expected)
    np.testing.assert_allclose(frames.times, [row[0] for row in expected], atol=1e-9)
    np.testing.assert_array_equal(frames.source_index, [row[1] for row in expected])
    np.testing.assert_array_equal(frames.usable, [row[2] for row in expected])
    np.testing.assert_allclose(frames.values, [row[3] for row in expected], rtol=1e-5, atol=1e-6)
    assert frames.values.dtype == np.float32
    assert frames.usable.sum() > 0


@pytest.mark.parametrize(("name", "points", "values", "start"), LAYOUT)
def test_a_part_lies_where_the_specification_puts_it(name, points, values, start):
    entry = next(block for block in DOCUMENT["blocks"] if block["name"] == name)
    size = points * values
    assert (entry["start"], entry["end"], entry["size"]) == (start, start + size - 1, size)
    assert BODY_PARTS[name] == (points, values)
    assert entry["joints"] in ([], [[point] for point in range(points)])
    rng = np.random.default_rng(0)
    parts = parts_of(rng, 3)
    features = body_features(body(parts)).values
    np.testing.assert_array_equal(
        features[:, start : start + size], parts[name].reshape(3, size).astype(np.float32)
    )


def test_the_schema_covers_the_frame_and_repeats_the_rules_of_the_grid():
    ends = [block["end"] for block in DOCUMENT["blocks"]]
    assert [block["start"] for block in DOCUMENT["blocks"]] == [0, *(end + 1 for end in ends[:-1])]
    assert (DOCUMENT["frame_dims"], ends[-1]) == (1662, 1661)
    assert len(DOCUMENT["pose_names"]) == 33
    assert tuple(DOCUMENT["joint_names"]) == SCHEMA.joint_names
    rules = {name: rule["value"] for name, rule in DOCUMENT["rules"].items()}
    for name in ("coordinate_limit", "grid_hz", "time_tolerance_s", "interpolate_s", "hold_frames"):
        assert rules[name] == getattr(SCHEMA.rules, name)
    assert [rules[name] for name in ("window_frames", "train_stride", "eval_every", "min_usable")] == [
        30,
        15,
        1,
        0.8,
    ]
    assert all(set(rule) == {"value", "unit", "rule"} for rule in DOCUMENT["rules"].values())


@pytest.mark.parametrize(
    ("seen", "usable"),
    [
        ({"pose"}, True), ({"left_hand"}, True), ({"right_hand"}, True), ({"face"}, False), (set(), False),
        ({"face", "right_hand"}, True),
    ],
)  # fmt: skip
def test_a_frame_is_usable_with_a_pose_or_a_hand(seen, usable):
    parts = parts_of(np.random.default_rng(1), 1)
    for name in parts.keys() - seen:
        parts[name][:] = np.nan
    frames = body_features(body(parts))
    assert frames.usable.tolist() == [usable]
    for name, points, values, start in LAYOUT:
        assert frames.values[0, start : start + points * values].any() == (usable and name in seen)


def test_each_part_is_held_on_its_own_for_three_frames():
    parts = parts_of(np.random.default_rng(2), 10)
    parts["left_hand"][2:9] = np.nan
    parts["pose"][6:] = np.nan
    parts["right_hand"][:] = np.nan
    frames = body_features(body(parts))
    left, pose = frames.values[:, 1536:1599], frames.values[:, :132]
    for row in (2, 3, 4):
        np.testing.assert_array_equal(left[row], left[1])
    assert not left[5:9].any()
    assert left[9].any()
    for row in (6, 7, 8):
        np.testing.assert_array_equal(pose[row], pose[5])
    assert not pose[9].any()
    assert frames.usable.all()
    parts["left_hand"][9] = np.nan
    assert not body_features(body(parts)).values[9].any()


@settings(deadline=None, max_examples=40)
@given(
    missing=arrays(np.bool_, st.tuples(st.integers(0, 40), st.just(4))),
    bad=st.sampled_from([np.nan, np.inf, -np.inf, 1e300, -101.0]),
    fps=st.sampled_from([5.0, 12.0, 25.0, 29.97, 30.0, 50.0, 240.0]),
    one=st.booleans(),
)
def test_whatever_is_missing_the_features_are_finite(missing, bad, fps, one):
    parts = parts_of(np.random.default_rng(3), len(missing))
    for column, name in enumerate(parts):
        where = missing[:, column]
        if one:
            parts[name][where, 7, 1] = bad
        else:
            parts[name][where] = bad
    sequence = body(parts, fps)
    frames, usable = body_features(sequence), usable_body(sequence)
    assert np.isfinite(frames.values).all()
    assert np.abs(frames.values).max(initial=0.0) <= 1.5
    assert not frames.values[~frames.usable].any()
    for name in ("usable", "times", "source_index"):
        np.testing.assert_array_equal(getattr(usable, name), getattr(frames, name))
    assert frames.wrist is None
    assert frames.scale is None


def test_no_frame_gives_no_feature():
    frames = body_features(body(parts_of(np.random.default_rng(4), 0)))
    assert frames.values.shape == (0, 1662)
    assert len(usable_body(body(parts_of(np.random.default_rng(4), 0)))) == 0


def test_a_long_clip_in_pieces_is_the_same_as_a_short_one():
    """Pieces of the grid meet without a seam: the end of a long clip is that of its own last frames."""
    parts = faulty(np.random.default_rng(5), 2600)
    whole_clip = body_features(body(parts, 24)).values
    tail = {name: part[2400:] for name, part in parts.items()}
    np.testing.assert_allclose(body_features(body(tail, 24)).values[20:], whole_clip[3020:], atol=1e-5)


def test_a_clip_of_ten_thousand_frames_needs_little_more_than_its_features():
    frames = 10_000
    parts = {name: np.zeros((frames, points, values)) for name, points, values, _ in LAYOUT}
    sequence = body(parts, 24)
    tracemalloc.start()
    try:
        result = body_features(sequence)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * result.values.nbytes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pose": np.zeros((3, 33, 3))}, r"pose has shape \(3, 33, 3\), it must be \(3, 33, 4\)"),
        ({"face": np.zeros((3, 478, 3))}, r"face has shape \(3, 478, 3\), it must be \(3, 468, 3\)"),
        ({"left_hand": np.zeros((2, 21, 3))}, "left_hand has shape"),
        ({"right_hand": "none"}, "right_hand is not an array of numbers"),
        ({"timestamps": np.zeros((3, 1))}, r"timestamps has shape \(3, 1\)"),
        ({"timestamps": [0.0, 2.0, 1.0]}, r"timestamps\[2\] = 1.0 comes after 2.0"),
        ({"timestamps": [0.0, np.nan, 1.0]}, r"timestamps\[1\] = nan"),
        ({"timestamps": [0.0, 1.0, 1e6]}, "milliseconds"),
        ({"width": 0}, "width = 0"),
        ({"height": 2_000_000}, "height = 2000000"),
    ],
)
def test_a_bad_sequence_says_what_is_wrong(change, message):
    good = {
        **parts_of(np.random.default_rng(6), 3),
        "timestamps": np.arange(3) / 30,
        "width": 64,
        "height": 48,
    }
    assert len(BodySequence(**good)) == 3
    with pytest.raises(DataError, match=message):
        BodySequence(**{**good, **change})
