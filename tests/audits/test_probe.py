"""The probe: what it says where the truth is known, and what it says where it can say nothing."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import polars as pl
import pytest

from pgc_data.audits.findings import Severity
from pgc_data.audits.probe.descriptors import describe, sketch_windows
from pgc_data.audits.probe.estimate import Probe, estimate
from pgc_data.audits.probe.sample import sample_rows
from pgc_data.audits.probe.scores import Answers, Interval, bootstrap, neighbours, vote

COLUMNS = ("split", "label", "dataset", "sample_id", "video_id", "subject_id", "group_id", "fault")


def frame(split: Any, label: Any, **more: Any) -> pl.DataFrame:
    """Rows as `read_rows` gives them, null where nothing is said."""
    n = len(label)
    known: dict[str, Any] = {"split": split, "label": label, "dataset": ["d"] * n, **more}
    columns = {
        name: pl.Series([None if v is None else str(v) for v in known.get(name, [None] * n)], dtype=pl.String)
        for name in COLUMNS
    }
    numbers = {"start": more.get("start", range(n)), "digest_a": more.get("digest_a", range(n))}
    rows = pl.DataFrame({name: column.cast(pl.Categorical) for name, column in columns.items()})
    return rows.with_columns(
        start=pl.Series(numbers["start"], dtype=pl.Int64),
        digest_a=pl.Series(numbers["digest_a"], dtype=pl.UInt64),
    )


def people(
    habit: float, by: str, seed: int = 0, count: int = 12, each: int = 60, classes: int = 3
) -> tuple[pl.DataFrame, np.ndarray[Any, Any]]:
    """Rows whose class shows in itself, and in a habit of each person's own; split by row or by person."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(count), each)
    label = rng.integers(0, classes, len(person))
    shape, own = rng.normal(size=(classes, 20)), rng.normal(size=(count, classes, 20))
    features = shape[label] + habit * own[person, label] + 2 * rng.normal(size=(len(person), 20))
    held_out = rng.random(len(person)) < 0.25 if by == "row" else np.isin(person, rng.permutation(count)[:3])
    rows = frame(np.where(held_out, "test", "train"), label, subject_id=person)
    return rows, features.astype(np.float32)


def probed(rows: pl.DataFrame, contents: np.ndarray[Any, Any], seed: int = 0) -> Probe:
    return estimate(rows, lambda at: contents[at], seed)


def test_a_split_by_row_flatters_the_more_the_more_people_have_habits() -> None:
    gaps = []
    for habit in (0.0, 2.0, 4.0):
        probe = probed(*people(habit, "row"))
        assert probe.gap is not None
        gaps.append(probe.gap.f1.value)
    assert gaps == sorted(gaps)
    assert abs(gaps[0]) < 0.05
    assert gaps[-1] > 0.4


@pytest.mark.parametrize("habit", [0.0, 2.0])
def test_a_split_by_person_does_not(habit: float) -> None:
    gaps = []
    for seed in range(4):
        probe = probed(*people(habit, "person", seed))
        assert probe.gap is not None
        assert probe.grouped
        assert probe.findings("windows") == []
        assert "already holds people out whole" in " ".join(probe.sentences())
        gaps.append(probe.gap.f1)
    assert abs(np.mean([gap.value for gap in gaps])) < 0.05
    assert sum(gap.low < 0 < gap.high for gap in gaps) >= 3


def test_what_is_memory_is_found_in_pictures_too() -> None:
    rng = np.random.default_rng(0)
    person, label = np.repeat(np.arange(10), 40), np.tile(np.repeat([0, 1], 20), 10)
    # Every person shows each class before a background of their own: there is nothing else to learn.
    backgrounds = rng.integers(0, 256, (10, 2, 32, 32))
    noise = rng.normal(0, 20, (400, 32, 32))
    pictures = np.clip(backgrounds[person, label] + noise, 0, 255).astype(np.uint8)
    rows = frame(np.where(rng.random(400) < 0.25, "val", "train"), label, video_id=person)
    probe = probed(rows, pictures)
    assert probe.given is not None and probe.unseen is not None and probe.gap is not None
    assert probe.given.f1.value > 0.95
    assert probe.unseen.f1.value < 0.7
    (finding,) = probe.findings("crops")
    assert (finding.kind, finding.severity, finding.share) == ("probe_gap", Severity.WARNING, 1.0)
    assert finding.count == (rows["split"].cast(pl.String) == "val").sum()
    assert "videos it has not seen" in finding.meaning
    assert "Split by video" in finding.remedy


def test_the_same_seed_gives_the_same_numbers_and_they_are_plain_json() -> None:
    rows, features = people(1.0, "row")
    first, second = (probed(rows, features, seed=3).as_dict() for _ in range(2))
    assert first == second == json.loads(json.dumps(first, allow_nan=False))
    assert first != probed(rows, features, seed=4).as_dict()


def test_both_splits_are_compared_at_equal_size_and_on_the_same_classes() -> None:
    rows, features = people(1.0, "row")
    label = rows["label"].cast(pl.String).to_list()
    subject = rows["subject_id"].cast(pl.String).to_list()
    # Only one person shows the fourth class: no split by person has it on both sides.
    label = [
        "only s0's" if person == "0" and i % 2 else name
        for i, (name, person) in enumerate(zip(label, subject, strict=True))
    ]
    probe = probed(frame(rows["split"].cast(pl.String).to_list(), label, subject_id=subject), features)
    assert probe.classes == ("0", "1", "2")
    assert probe.as_dict()["classes_left_out"] == ["only s0's"]
    assert (probe.train, probe.groups) == (min(probe.train, 540), 12)
    assert probe.gap is not None


def test_without_groups_only_chance_is_beside_the_score() -> None:
    rows, features = people(0.0, "row")
    probe = probed(rows.with_columns(subject_id=pl.lit(None, pl.Categorical)), features)
    assert probe.given is not None and probe.chance is not None
    assert probe.unseen is None and probe.gap is None and probe.unit == ""
    assert probe.given.f1.low > probe.chance.f1.high
    assert "cannot be estimated: no row has a group, a subject or a video" in probe.sentences()[-1]
    assert probe.findings("windows") == []


def test_labels_that_nothing_shows_are_called_so() -> None:
    rng = np.random.default_rng(0)
    rows = frame(["train"] * 150 + ["test"] * 50, rng.integers(0, 2, 200), group_id=np.arange(200) // 10)
    probe = probed(rows, rng.normal(size=(200, 8)))
    assert "hardly better than shuffled labels" in probe.sentences()[1]


HALVES = ["train"] * 60 + ["test"] * 40


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (frame([], []), "no row has"),
        (frame(HALVES, [None] * 100), "no row has"),
        (frame([None] * 100, [0, 1] * 50), "no row has"),
        (frame(HALVES, [0, 1] * 50, digest_a=[None] * 100), "no row has"),
        (frame(HALVES, [0, 1] * 50, fault=["broken"] * 100), "no row has"),
        (frame(["all"] * 100, [0, 1] * 50), "a split named train"),
        (frame(["train"] * 100, [0, 1] * 50), "rows in another"),
        (frame(["train"] * 97 + ["test"] * 3, [0, 1, 2, 3] * 25), "fewer than 20 rows"),
        (frame(["train"] * 3 + ["test"] * 97, [0, 1, 2, 3] * 25), "fewer than 20 rows"),
        (frame(HALVES, [0] * 100), "one class only"),
        # A class absent from train, and the only other one.
        (frame(HALVES, [0] * 60 + [1] * 40), "fewer than two classes"),
    ],
)
def test_says_why_it_can_say_nothing(rows: pl.DataFrame, reason: str) -> None:
    probe = probed(rows, np.random.default_rng(0).normal(size=(rows.height, 6)).astype(np.float32))
    assert probe.given is None
    assert reason in probe.reason
    assert probe.sentences() == [f"How much the split flatters cannot be estimated: {probe.reason}."]
    assert probe.findings("crops") == []
    json.dumps(probe.as_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("groups", "label", "reason"),
    [
        ([0] * 100, [0, 1] * 50, "there are only 1 groups"),
        ([0, 1] * 50, [0, 1] * 50, "there are only 2 groups"),
        # Every class is one group's own.
        (np.arange(100) % 4, np.arange(100) % 4, "fewer than two classes are shown by several groups"),
        ([0] * 90 + list(range(1, 11)), [0, 1] * 50, ""),
    ],
)
def test_says_why_it_cannot_compare_groups(groups: Any, label: Any, reason: str) -> None:
    split = np.where(np.random.default_rng(0).random(100) < 0.4, "test", "train")
    probe = probed(frame(split, label, group_id=groups), np.random.default_rng(0).normal(size=(100, 6)))
    assert probe.given is not None
    assert reason in probe.reason
    assert (probe.unseen is None) == bool(reason)
    json.dumps(probe.as_dict(), allow_nan=False)


def test_rows_without_a_group_are_left_out_where_others_have_one() -> None:
    rows, features = people(0.0, "row")
    subject = [None if i % 3 == 0 else i % 9 for i in range(rows.height)]
    probe = probed(
        rows.with_columns(subject_id=pl.Series(subject).cast(pl.String).cast(pl.Categorical)), features
    )
    assert probe.as_dict()["rows"]["without_group"] == rows.height // 3
    assert probe.sample.usable == rows.height - rows.height // 3


@pytest.mark.parametrize(
    ("known", "unit", "groups"),
    [
        ({"group_id": [0, 0, 1, 1]}, "groups", 2),
        ({"group_id": [0, 0, 1, 1], "subject_id": [5, 5, 6, 7]}, "people", 2),
        ({"subject_id": [5, 5, 6, 7], "video_id": [1, 2, 3, 4]}, "people", 3),
        ({"video_id": [1, 2, 3, 3]}, "videos", 3),
        # The same id in two datasets is two people.
        ({"subject_id": [5, 5, 5, 5], "dataset": ["a", "a", "b", "b"]}, "people", 2),
        ({}, "", 0),
    ],
)
def test_the_strongest_unit_known(known: dict[str, Any], unit: str, groups: int) -> None:
    sample = sample_rows(frame(["train", "test"] * 2, ["x"] * 4, **known))
    assert sample.unit == unit
    assert (0 if sample.group is None else len(set(sample.group.tolist()))) == groups


def test_held_out_rows_of_known_groups_are_counted() -> None:
    rows = frame(["train", "test", "test", "val"], ["x"] * 4, subject_id=[1, 1, 2, 2])
    sample = sample_rows(rows)
    assert (sample.held_out, sample.shared) == (3, 1)


@pytest.mark.parametrize("groups", [3, 200])
def test_a_sample_takes_neighbours_together_and_every_group(groups: int) -> None:
    group = np.sort(np.arange(20_000) % groups)
    rows = frame(["train"] * 20_000, ["x"] * 20_000, group_id=group, start=np.arange(20_000))
    shuffled = rows.with_columns(at=pl.Series(np.random.default_rng(0).permutation(20_000))).sort("at")
    sample = sample_rows(shuffled, most=4000)
    starts = np.sort(shuffled["start"].to_numpy()[sample.at])
    assert 4000 - 16 * 2 < len(starts) <= 4000
    assert (np.diff(starts) == 1).mean() > 0.9
    assert sample.group is not None
    assert len(set(sample.group.tolist())) == groups
    assert (np.diff(sample.at) > 0).all()


def test_neighbours_are_those_of_every_pair_and_votes_break_ties_by_nearness() -> None:
    vectors = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    train, held_out = np.arange(0, 60, 2), np.arange(1, 60, 2)
    expected = np.argsort(-(vectors[held_out] @ vectors[train].T), axis=1)[:, :5]
    assert (neighbours(vectors, train, held_out) == expected).all()
    assert neighbours(vectors, train[:3], held_out).shape == (30, 3)
    votes = vote(np.array([[2, 1, 1, 2, 0], [0, 1, 1, 2, 2], [3, 0, 1, 2, 0]]), 4)
    assert votes.tolist() == [2, 1, 0]


def test_scores_are_macro_f1_and_accuracy_of_weighted_rows() -> None:
    answers = Answers(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), 3)
    assert answers.point == pytest.approx([(2 / 3 + 4 / 5) / 2, 0.75])
    assert np.isnan(answers.scores(np.zeros(4))).all()
    # A draw without class 1 takes its F1 of all rows.
    assert answers.scores(np.array([1.0, 1.0, 0.0, 0.0])) == pytest.approx([(2 / 3 + 4 / 5) / 2, 0.5])


def test_the_bootstrap_draws_groups_not_rows() -> None:
    truth = np.zeros(1000, np.int64)
    said = np.repeat([0, 1], 500)
    widths = []
    for cluster in (np.arange(1000), np.repeat(np.arange(4), 250)):
        answers = Answers(truth, said, cluster, 2)
        each, mean = bootstrap([answers], [answers], int(cluster.max()) + 1, within=False, seed=0)
        assert mean == pytest.approx(each[:, 0])
        interval = Interval.of(answers.point[1], each[:, 0, 1])
        assert interval.low <= 0.5 <= interval.high
        widths.append(interval.high - interval.low)
    # A coin thrown 1000 times, and 4 times.
    assert widths[0] == pytest.approx(4 * 0.5 / 1000**0.5, rel=0.15)
    assert widths[1] > 0.9


def test_rows_within_a_lone_group_are_drawn_too() -> None:
    answers = Answers(np.zeros(100, np.int64), np.repeat([0, 1], 50), np.zeros(100, np.int64), 2)
    each, _ = bootstrap([answers], [], 1, within=True, seed=0)
    interval = Interval.of(answers.point[1], each[:, 0, 1])
    assert interval.high - interval.low == pytest.approx(4 * 0.5 / 100**0.5, rel=0.15)


def test_descriptors_forget_light_and_keep_what_is_shown() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(40, 120, (20, 32, 32)).astype(np.uint8)
    brighter = (pictures * 1.5 + 20).astype(np.uint8)
    vectors = describe(lambda at: np.concatenate([pictures, brighter])[at], np.arange(40))
    assert vectors.shape == (40, 64)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(40), abs=1e-5)
    assert ((vectors[:20] @ vectors[20:].T).argmax(axis=1) == np.arange(20)).all()


def test_features_of_any_scale_or_fault_become_vectors() -> None:
    features = np.random.default_rng(0).normal(size=(50, 4, 30)).astype(np.float16)
    features[0, 0, 0], features[1, 0, 0] = np.nan, np.inf
    features[:, :, 1] *= 1000
    vectors = describe(lambda at: features[at], np.arange(50))
    assert vectors.shape == (50, 50)
    assert np.isfinite(vectors).all()
    flat = describe(lambda at: np.ones((len(at), 7)), np.arange(10))
    assert not flat.any()


@pytest.mark.parametrize(("frames", "parts"), [(1, 1), (3, 3), (4, 4), (16, 4), (18, 4)])
def test_a_sketch_is_the_mean_of_each_part(frames: int, parts: int) -> None:
    windows = np.random.default_rng(0).normal(size=(3, frames, 5)).astype(np.float32)
    sketch = sketch_windows(windows)
    assert sketch.shape == (3, parts, 5)
    bounds = [frames * part // parts for part in range(parts + 1)]
    expected = np.stack([windows[:, a:b].mean(axis=1) for a, b in itertools.pairwise(bounds)], axis=1)
    assert np.abs(sketch - expected).max() < 2e-3


def test_a_sketch_of_what_is_not_finite_is() -> None:
    windows = np.array([[[np.nan, np.inf, 1e30]]], np.float32)
    assert sketch_windows(windows).tolist() == [[[0.0, 0.0, 65504.0]]]
