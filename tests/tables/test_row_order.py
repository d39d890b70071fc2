import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pgc_data.tables.row_order import RowOrder


@given(st.integers(1, 300), st.integers(1, 40), st.data())
def test_every_row_has_a_place_of_its_own_by_split_class_and_group(total, group_rows, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    names = ["d:c", "d:a", "d:b", "d:d"]
    groups, classes = rng.integers(0, 4, total), rng.integers(0, 3, total)
    assignment = np.array([0, 1, 0, 2])
    counts = np.zeros((4, 3), int)
    np.add.at(counts, (groups, classes), 1)
    order = RowOrder(names, assignment, counts, group_rows, seed=0)
    places, at = [], 0
    while at < total:
        stop = at + data.draw(st.integers(1, total))
        places.append(order.places([names[g] for g in groups[at:stop]], classes[at:stop]))
        at = stop
    places = np.concatenate(places)
    assert sorted(places.tolist()) == list(range(total))
    keys = [(assignment[g], c, names[g], n) for n, (g, c) in enumerate(zip(groups, classes, strict=True))]
    assert [keys[row] for row in np.argsort(places)] == sorted(keys)
    assert order.amiss() == 0
    found = sorted((group.first, group.stop, group.split) for group in order.row_groups)
    assert [first for first, _, _ in found] == [0, *(stop for _, stop, _ in found[:-1])]
    assert found[-1][1] == total
    assert max(stop - first for first, stop, _ in found) <= group_rows
    ordered = np.argsort(places)
    for first, stop, split in found:
        assert {int(assignment[groups[row]]) for row in ordered[first:stop]} == {split}


def test_row_groups_come_in_drawn_order_within_their_split():
    order, again = (RowOrder(["a", "b"], np.arange(2), np.full((2, 1), 1000), 10, seed=1) for _ in range(2))
    firsts = [group.first for group in order.row_groups]
    assert [group.split for group in order.row_groups] == [0] * 100 + [1] * 100
    assert firsts != sorted(firsts)
    assert order.row_groups == again.row_groups


def test_rows_that_did_not_come_or_came_twice_are_noticed():
    order = RowOrder(["a"], np.array([0]), np.array([[2, 2]]), 10, seed=0)
    order.places(["a"] * 3, np.array([0, 0, 0]))
    assert order.amiss() == 3
