from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgc_data.errors import ConfigError
from pgc_data.splits import assign_groups, folds, group_samples, report, three_way

RATIOS = (0.7, 0.15, 0.15)
SPLITS = three_way(RATIOS)


def test_the_strongest_unit_known_makes_the_group():
    groups = group_samples(
        "d", [("s1", "v1", "p1"), ("s2", "v2", "p1"), ("s3", "v3", None), ("s4", None, None)]
    )
    assert {s: (g.id, g.kind) for s, g in groups.items()} == {
        "s1": ("d:p1", "subject"), "s2": ("d:p1", "subject"), "s3": ("d:v3", "video"), "s4": ("d:s4", "sample"),
    }  # fmt: skip


def test_people_in_one_video_and_people_that_may_be_one_stay_together():
    samples = [("s1", "v1", "p1"), ("s2", "v1", "p2"), ("s3", "v3", "p3"), ("s4", "v4", "p4")]
    groups = group_samples("d", samples, same_person=[("p3", "p4")])
    assert groups["s1"] == groups["s2"]
    assert groups["s3"].members == ("p3", "p4")
    assert groups["s1"] != groups["s3"]


def test_a_clip_without_a_known_subject_joins_its_video():
    groups = group_samples("d", [("s1", "v1", "p1"), ("s2", "v1", None)])
    assert groups["s1"] == groups["s2"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_group_is_ever_cut(data):
    names = st.sampled_from(["a", "b", "c", "d", "e", None])
    rows = data.draw(st.lists(st.tuples(names, names), min_size=1, max_size=30))
    samples = [(f"s{i}", video and f"v{video}", person) for i, (video, person) in enumerate(rows)]
    groups = group_samples("d", samples)
    ids = sorted({g.id for g in groups.values()})
    counts = np.zeros((len(ids), 2), dtype=np.int64)
    for i, (sample, _, _) in enumerate(samples):
        counts[ids.index(groups[sample].id), i % 2] += 1
    split_of = dict(zip(ids, assign_groups(counts, RATIOS), strict=True))
    for unit in (1, 2):
        sides: dict[str, set[int]] = {}
        for row in samples:
            if row[unit] is not None:
                sides.setdefault(row[unit], set()).add(int(split_of[groups[row[0]].id]))
        assert all(len(found) == 1 for found in sides.values())


def test_many_small_groups_come_near_exact():
    rng = np.random.default_rng(0)
    counts = np.zeros((5000, 18), dtype=np.int64)
    np.add.at(counts, (rng.integers(0, 5000, 70_000), rng.integers(0, 18, 70_000)), 1)
    assert report(counts, assign_groups(counts, RATIOS), SPLITS, [str(i) for i in range(18)]).worst < 0.1


def test_few_large_groups_are_searched():
    rng = np.random.default_rng(1)
    counts = rng.integers(100, 2000, (50, 14))
    found = report(counts, assign_groups(counts, RATIOS), SPLITS, [str(i) for i in range(14)])
    assert found.worst < 2.5
    assert found.unmet == ()


def test_every_class_is_put_in_every_split_where_it_can_be():
    counts = np.zeros((10, 2), dtype=np.int64)
    counts[:, 0] = 100
    counts[:3, 1] = 1
    split = assign_groups(counts, RATIOS)
    assert set(split[:3]) == {0, 1, 2}


def test_the_same_seed_gives_the_same_split_and_fixed_groups_stay():
    counts = np.random.default_rng(2).integers(1, 50, (30, 5))
    fixed = np.full(30, -1)
    fixed[[3, 7]] = [2, 1]
    first, again = (assign_groups(counts, RATIOS, seed=4, fixed=fixed) for _ in range(2))
    assert (first == again).all()
    assert (first[3], first[7]) == (2, 1)


def test_a_closed_split_takes_no_more_groups_and_the_rest_keeps_its_ratios():
    counts = np.full((40, 3), 10)
    fixed = np.full(40, -1)
    fixed[:20] = 2
    split = assign_groups(counts, (0.8, 0.2, 0.0), fixed=fixed)
    assert np.bincount(split, minlength=3).tolist() == [16, 4, 20]


def test_what_cannot_be_met_is_said():
    found = report(
        np.array([[5, 0, 0], [5, 3, 0]]), np.array([0, 1]), three_way((0.5, 0.5, 0.0)), ["a", "b", "c"]
    )
    assert found.unmet == (
        "class 'b' is missing from train: only 1 group has it",
        "class 'c' has no row in any split: no source has it",
    )
    assert found.worst == pytest.approx(50.0)


@pytest.mark.parametrize("ratios", [(1, 2), (0, 1, 1), (0.5, -0.1, 0.6), (float("nan"), 1, 1)])
def test_ratios_that_make_no_sense_are_refused(ratios):
    with pytest.raises(ConfigError, match="give train, val and test"):
        three_way(ratios)


def test_folds_share_every_class_evenly():
    counts = np.random.default_rng(3).integers(20, 60, (50, 4))
    splits = folds(5)
    found = report(counts, assign_groups(counts, splits.ratios), splits, list("abcd"))
    assert list(found.rows) == [f"fold-{number}" for number in range(5)]
    assert found.worst < 1


def test_a_fold_keeps_its_name_when_there_are_more():
    assert folds(12).names[:9] == folds(9).names


def test_a_class_missing_from_many_folds_is_said_in_a_few_words():
    counts = np.ones((8, 2), dtype=np.int64)
    counts[1:, 1] = 0
    found = report(counts, np.arange(8), folds(8), ["a", "b"])
    assert found.unmet == ("class 'b' is missing from 7 of 8 splits: only 1 group has it",)


def test_a_class_that_enough_groups_have_is_not_said_to_have_few():
    found = report(np.ones((3, 1), dtype=np.int64), np.zeros(3, dtype=np.int64), three_way((1, 1, 1)), ["a"])
    assert found.unmet == ("class 'a' is missing from val and test: 3 groups have it",)


def test_a_second_column_is_shared_evenly_too():
    rng = np.random.default_rng(8)
    side = np.zeros((40, 2), dtype=np.int64)
    side[np.arange(40), rng.integers(0, 2, 40)] = 30
    counts = rng.multinomial(30, [0.5, 0.3, 0.2], 40)
    both = np.concatenate([counts, side], axis=1)
    alone, together = (
        report(side, assign_groups(c, RATIOS), SPLITS, ["left", "right"]).worst for c in (counts, both)
    )
    assert together < 4 < alone


def test_large_and_small_groups_are_in_every_split_alike():
    rng = np.random.default_rng(9)
    counts = rng.geometric(0.05, (3000, 1)) * np.array([[2, 1]])
    found = report(counts, assign_groups(counts, RATIOS), SPLITS, ["a", "b"])
    assert [found.groups[name] / 3000 for name in SPLITS.names] == pytest.approx(RATIOS, abs=0.01)
    assert found.worst < 0.1


def test_splits_share_groups_too_not_only_rows():
    """Most rows are of few groups: by rows alone these go to train, and the many small ones elsewhere."""
    rng = np.random.default_rng(0)
    counts = (rng.pareto(1.0, (1000, 1)) * 5).astype(np.int64) + 1
    splits = three_way((0.7, 0.15, 0.15))
    found = report(counts, assign_groups(counts, splits.ratios), splits, ["a"])
    assert [found.groups[name] / 1000 for name in splits.names] == pytest.approx(splits.ratios, abs=0.005)
    assert found.worst < 1
