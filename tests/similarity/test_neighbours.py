"""Neighbours: every row that has a partner in reach is told of, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgc_data.similarity import near_rows, pixel_check
from pgc_data.similarity.neighbours import MOST_CHECKED


def believe(first, second):
    return np.ones(len(first), dtype=np.bool_)


def doubt(first, second):
    return np.zeros(len(first), dtype=np.bool_)


def differ(hashes):
    return np.bitwise_count(hashes[:, None] ^ hashes[None])


def check(hashes, apart, same, bits):
    """Holds the answer against all rows compared with all."""
    answer = near_rows(hashes, apart, same, bits)
    near = (differ(hashes) <= bits) & (apart[:, None] != apart[None])
    first, second = np.nonzero(near)
    near[first, second] = same(first, second)
    assert not answer.cut_short.any()
    assert answer.found.tolist() == near.any(axis=1).tolist()
    rows = np.flatnonzero(answer.found)
    assert near[rows, answer.partner[rows]].all()
    assert (answer.distance[rows] == differ(hashes)[rows, answer.partner[rows]]).all()
    assert (answer.distance[~answer.found] == 255).all()
    return answer


@pytest.mark.parametrize("bits", range(11))
@pytest.mark.parametrize("by_row", [True, False])
def test_every_row_along_videos(walks, bits, by_row):
    hashes, groups = walks(700, 60)
    sides = np.random.default_rng(0).integers(0, 3, 700)
    answer = check(hashes, sides if by_row else sides[groups], believe, bits)
    assert by_row or answer.found.sum() < 700


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2), st.integers(0, 3)), max_size=40),
    st.integers(0, 4),
)
@settings(max_examples=150, deadline=None)
def test_the_pixels_decide(rows, bits):
    """Small numbers as hashes lie near one another; a picture is the same if its content is."""
    hashes = np.array([row[0] for row in rows], dtype=np.uint64)
    sides = np.array([row[1] for row in rows], dtype=np.int64)
    content = np.array([row[2] for row in rows], dtype=np.int64)
    check(hashes, sides, lambda a, b: content[a] == content[b], bits)


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows(rows):
    answer = near_rows(np.zeros(rows, dtype=np.uint64), np.zeros(rows, dtype=np.int64), believe)
    assert answer.partner.tolist() == [-1] * rows


def test_a_crowd_of_equal_hashes_and_other_pictures_ends_early_and_says_so():
    rows, held = 3000, []

    def count(first, second):
        held.append(len(first))
        return doubt(first, second)

    answer = near_rows(np.zeros(rows, dtype=np.uint64), np.arange(rows) % 2, count)
    assert answer.cut_short.all()
    assert not answer.found.any()
    assert sum(held) == rows * MOST_CHECKED


def test_a_crowd_that_shows_one_picture_is_found_by_few_looks():
    rows, held = 20_000, []

    def count(first, second):
        held.append(len(first))
        return believe(first, second)

    sides = (np.arange(rows) % 10 == 0).astype(np.int64)
    answer = near_rows(np.zeros(rows, dtype=np.uint64), sides, count)
    assert answer.found.all()
    assert sum(held) < 20 * rows


def test_comparisons_beyond_the_limit_are_told_of(monkeypatch):
    monkeypatch.setattr("pgc_data.similarity.bands.MOST_COMPARED", 100)
    sides = np.zeros(3000, dtype=np.int64)
    sides[0] = 1
    answer = near_rows(np.arange(3000, dtype=np.uint64), sides, believe, 1)
    assert answer.cut_short.any()
    assert not (answer.cut_short & answer.found).any()


def test_thumbnails_in_a_file_serve(tmp_path, walks):
    hashes, groups = walks(300, 20)
    pictures = np.random.default_rng(0).integers(0, 256, (4, 1152), dtype=np.uint8)
    which = np.random.default_rng(1).integers(0, 4, 300)
    np.save(tmp_path / "thumbnails.npy", pictures[which])
    stored = np.load(tmp_path / "thumbnails.npy", mmap_mode="r")
    expected = near_rows(hashes, groups, lambda a, b: which[a] == which[b])
    answer = near_rows(hashes, groups, pixel_check(stored))
    assert 0 < answer.found.sum() < 300
    assert answer.partner.tolist() == expected.partner.tolist()
