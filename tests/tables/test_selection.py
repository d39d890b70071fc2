import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pgc_data.splits import folds, three_way
from pgc_data.tables.selection import OVER_CAP, THINNED, Selection, even_shares

TRAIN, VAL = 0, 1
SPLITS = three_way((1, 1, 1))


@pytest.mark.parametrize(
    ("available", "cap", "expected"),
    [
        ([2, 10, 10], 12, [2, 5, 5]),
        ([2, 10, 10], 100, [2, 10, 10]),
        ([5, 5, 5], 7, [2, 2, 3]),
        ([1, 1, 1, 50], 2, [0, 1, 0, 1]),
        ([50, 1, 1, 1, 1, 50], 3, [0, 1, 0, 1, 0, 1]),
        ([4, 0], 1, [1, 0]),
        ([0, 9], 4, [0, 4]),
        ([1, 1, 1], 2, [0, 1, 1]),
        ([], 5, []),
    ],
)
def test_shares_are_even_as_far_as_rows_last(available, cap, expected):
    assert even_shares(np.array(available, dtype=np.int64), cap).tolist() == expected


@given(hnp.arrays(np.int64, st.integers(0, 12), elements=st.integers(0, 30)), st.integers(1, 60))
def test_shares_fill_the_cap_and_take_no_more_from_one_group_than_another_has_left(available, cap):
    shares = even_shares(available, cap)
    assert shares.sum() == min(cap, available.sum())
    assert (shares <= available).all()
    cut = shares < available
    if cut.any():
        assert shares.max() - shares[cut].min() <= 1


def test_rows_at_even_distances_are_kept_whatever_the_batches():
    def kept(sizes):
        selection = Selection(["a"], np.array([TRAIN]), SPLITS, np.array([[100]]), np.array([[50]]), 10)
        parts = [selection.keep(["a"] * n, np.zeros(n, int), np.zeros(n, bool), ["g"] * n) for n in sizes]
        return np.flatnonzero(np.concatenate(parts)).tolist(), selection.take_dropped()

    rows, dropped = kept([100])
    assert rows == list(range(9, 100, 10))
    assert dropped == {(OVER_CAP, "g"): 90}
    assert kept([1, 13, 50, 36]) == (rows, dropped)


def test_val_is_thinned_and_not_capped():
    selection = Selection(
        ["a", "b"], np.array([TRAIN, VAL]), SPLITS, np.array([[4], [4]]), np.array([[2], [2]]), cap=3
    )
    thin = np.array([True, False, True, False])
    assert selection.keep(["a"] * 4, np.zeros(4, int), thin, "ghij").sum() == 3
    assert selection.keep(["b"] * 4, np.zeros(4, int), thin, "ghij").tolist() == thin.tolist()
    assert selection.quota.tolist() == [[3], [2]]
    assert selection.take_dropped() == {(OVER_CAP, "g"): 1, (THINNED, "h"): 1, (THINNED, "j"): 1}
    assert selection.take_dropped() == {}
    assert (selection.split_of("a"), selection.split_of("b")) == ("train", "val")


def test_every_fold_is_dense():
    selection = Selection(
        ["a", "b"], np.array([0, 1]), folds(2), np.array([[4], [4]]), np.array([[2], [2]]), None
    )
    for group in ("a", "b"):
        assert selection.keep([group] * 4, np.zeros(4, int), np.array([True, False] * 2), "ghij").all()
    assert (selection.split_of("a"), selection.split_of("b")) == ("fold-0", "fold-1")


@given(st.integers(1, 200), st.data())
def test_what_was_promised_is_kept(total, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    groups, classes = rng.integers(0, 4, total), rng.integers(0, 3, total)
    thin = rng.random(total) < 0.5
    assignment = rng.integers(0, 3, 4)
    train, rare = np.zeros((4, 3), int), np.zeros((4, 3), int)
    np.add.at(train, (groups, classes), 1)
    np.add.at(rare, (groups[thin], classes[thin]), 1)
    selection = Selection(list("abcd"), assignment, SPLITS, train, rare, data.draw(st.integers(1, 40)))
    kept = selection.keep([list("abcd")[g] for g in groups], classes, thin, ["g"] * total)
    found = np.zeros((4, 3), int)
    np.add.at(found, (groups[kept], classes[kept]), 1)
    assert found.tolist() == selection.quota.tolist()
    assert kept.sum() + sum(selection.take_dropped().values()) == total


def test_the_cap_is_shared_by_datasets_before_groups():
    groups = [*(f"jester:{n}" for n in range(60)), "ipn:a", "ipn:b"]
    counts = np.array([[2]] * 60 + [[100], [30]])
    quota = Selection(groups, np.zeros(62, int), SPLITS, counts, counts, 40).quota[:, 0]
    assert (quota[:60].sum(), quota[60:].tolist()) == (20, [10, 10])
    assert np.flatnonzero(quota[:60]).tolist() == list(range(2, 60, 3))
