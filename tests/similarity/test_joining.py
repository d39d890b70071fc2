"""Joining: groups that share pictures become one, but none too large, whatever the order of the pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgc_data.similarity import Pairs, join_alike


def pairs_of(rows):
    first, second, distance = (
        (np.array(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    )
    return Pairs(np.asarray(first, np.int64), np.asarray(second, np.int64), np.asarray(distance, np.uint8))


def listed(pairs):
    return list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))


@st.composite
def problems(draw):
    """Groups of rows, and pairs of rows."""
    groups = draw(st.lists(st.integers(0, 9), min_size=2, max_size=40))
    row = st.integers(0, len(groups) - 1)
    some = st.tuples(row, row, st.integers(0, 8)).filter(lambda pair: pair[0] < pair[1])
    rows = draw(st.lists(some, max_size=30, unique_by=lambda pair: pair[:2]))
    return np.array(groups), rows


GROUPS = np.array([0, 0, 1, 1, 1, 2, 3, 3])


@pytest.mark.parametrize(
    ("most_rows", "component", "joins", "refused", "largest"),
    [
        (8, [0, 0, 0, 0], [(4, 5), (0, 2), (1, 6)], [], (8, 4)),
        (7, [0, 0, 0, 3], [(4, 5), (0, 2)], [(1, 6)], (6, 3)),
        (5, [0, 1, 1, 0], [(4, 5), (1, 6)], [(0, 2)], (4, 2)),
        (3, [0, 1, 2, 3], [], [(4, 5), (0, 2), (1, 6)], (0, 0)),
    ],
)
def test_the_nearest_pairs_are_joined_first_as_far_as_there_is_room(
    most_rows, component, joins, refused, largest
):
    pairs = pairs_of([(1, 6, 7), (0, 2, 5), (4, 5, 2), (2, 3, 0)])
    result = join_alike(GROUPS, pairs, most_rows)
    assert result.component.tolist() == component
    assert listed(result.joins) == joins
    assert listed(result.refused) == refused
    assert (result.largest_rows, result.largest_groups) == largest
    assert result.pairs == 3


@given(problems(), st.integers(1, 40), st.randoms())
def test_joining_keeps_its_word(problem, most_rows, random):
    groups, rows = problem
    result = join_alike(groups, pairs_of(rows), most_rows)
    sizes = np.bincount(groups)
    component = result.component
    rows_of = np.bincount(component, weights=sizes, minlength=len(component))
    assert len(component) == len(sizes)
    assert (component <= np.arange(len(component))).all()
    assert (component[component] == component).all()

    several = np.bincount(component, minlength=len(component)) > 1
    assert (rows_of[several] <= most_rows).all()
    assert result.largest_rows == (rows_of[several].max() if several.any() else 0)
    assert len(result.joins) == len(component) - len(np.unique(component))

    for first, second in listed(result.refused):
        ends = component[groups[[first, second]]]
        assert ends[0] != ends[1]
        assert rows_of[ends].sum() > most_rows
    refused = set(listed(result.refused))
    for first, second, _ in rows:
        together = component[groups[first]] == component[groups[second]]
        assert together != ((first, second) in refused)

    shuffled = random.sample(rows, len(rows))
    again = join_alike(groups, pairs_of(shuffled), most_rows)
    assert again.component.tolist() == component.tolist()
    assert listed(again.joins) == listed(result.joins)
    assert listed(again.refused) == listed(result.refused)


@given(problems(), st.randoms())
def test_without_a_limit_only_what_is_connected_counts(problem, random):
    groups, rows = problem
    order = random.sample(range(len(groups)), len(groups))
    place = {row: at for at, row in enumerate(order)}
    moved = [(*sorted((place[a], place[b])), distance) for a, b, distance in rows]
    one = join_alike(groups, pairs_of(rows), len(groups))
    other = join_alike(groups[order], pairs_of(moved), len(groups))
    assert one.component.tolist() == other.component.tolist()
    assert not len(one.refused)


def test_nothing_to_join():
    result = join_alike(np.empty(0, np.int64), pairs_of([]), 10)
    assert (len(result.component), len(result.joins), len(result.refused), result.pairs) == (0, 0, 0, 0)
