"""Pairs: none is missed, none told twice, and a crowd of equal hashes stays cheap."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgc_data.errors import ConfigError, DataError
from pgc_data.similarity import best_pairs, hash_numbers, near_pairs
from pgc_data.similarity import pairs as module
from pgc_data.similarity.bands import plan_bands
from pgc_data.similarity.pairs import MOST_A_PAIR, MOST_EQUAL, concatenated


def found(hashes, apart, bits):
    return concatenated(list(near_pairs(hashes, apart, bits)))


def listed(pairs):
    return list(zip(pairs.first.tolist(), pairs.second.tolist(), pairs.distance.tolist(), strict=True))


def by_force(hashes, apart, bits):
    """Pairs of the first rows of each hash and key, every one compared with every other."""
    keys = list(zip(hashes.tolist(), np.asarray(apart).tolist(), strict=True))
    first = [row for row, key in enumerate(keys) if keys.index(key) == row]
    return sorted(
        (a, b, (keys[a][0] ^ keys[b][0]).bit_count())
        for a in first
        for b in first
        if a < b and keys[a][1] != keys[b][1] and (keys[a][0] ^ keys[b][0]).bit_count() <= bits
    )


@st.composite
def clustered(draw):
    """Hashes few bits around a few centres, with keys."""
    centres = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=3))
    flips = st.lists(st.integers(0, 63), max_size=12).map(lambda bits: sum(1 << bit for bit in set(bits)))
    one = st.tuples(st.sampled_from(centres), flips, st.integers(0, 4))
    rows = draw(st.lists(one, max_size=25))
    hashes = np.array([centre ^ flip for centre, flip, _ in rows], dtype=np.uint64)
    return hashes, np.array([key for *_, key in rows], dtype=np.int64)


@given(clustered(), st.integers(0, 10))
@settings(max_examples=150, deadline=None)
def test_every_pair_once_around_centres(rows, bits):
    assert sorted(listed(found(*rows, bits))) == by_force(*rows, bits)


@pytest.mark.parametrize("bits", range(11))
def test_every_pair_once_along_videos(walks, bits):
    hashes, groups = walks(700, 40)
    expected = by_force(hashes, groups, bits)
    assert len(expected) > 100
    assert sorted(listed(found(hashes, groups, bits))) == expected


@pytest.mark.parametrize("rows", [0, 1000, 60_000, 10**8])
def test_every_pair_once_whatever_the_bands(rows, monkeypatch, walks):
    bands = plan_bands(rows, 10)
    monkeypatch.setattr(module, "plan_bands", lambda *_: bands)
    hashes, groups = walks(400, 20, seed=1)
    assert sorted(listed(found(hashes, groups, 10))) == by_force(hashes, groups, 10)


def test_the_pairs_do_not_depend_on_the_order_of_rows(walks):
    hashes, groups = walks(600, 30)
    order = np.random.default_rng(0).permutation(len(hashes))
    pairs = found(hashes[order], groups[order], 8)
    plain = {tuple(sorted((a, b))) for a, b, _ in listed(found(hashes, groups, 8))}

    # Of equal hashes in a group any row may stand for the others.
    def named(a, b):
        return frozenset([(hashes[a], groups[a]), (hashes[b], groups[b])])

    assert {named(*order[[a, b]]) for a, b, _ in listed(pairs)} == {named(a, b) for a, b in plain}


@pytest.mark.parametrize("kind", [str, np.int8, np.int64])
def test_keys_may_be_of_any_kind(kind):
    pairs = found(np.array([1, 3, 1], dtype=np.uint64), np.array([7, 9, 7]).astype(kind), 1)
    assert listed(pairs) == [(0, 1, 1)]


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_for_a_pair(rows):
    pairs = found(np.zeros(rows, dtype=np.uint64), np.zeros(rows, dtype=np.int64), 8)
    assert (len(pairs), pairs.left_out, len(pairs.rows())) == (0, 0, 0)


def test_wrong_bits_are_refused_at_once():
    with pytest.raises(ConfigError, match="bits=17"):
        near_pairs(np.zeros(2, dtype=np.uint64), np.arange(2), 17)


def test_a_crowd_of_equal_hashes_is_connected_by_few_pairs_and_the_rest_is_counted():
    crowd = 5000
    hashes = np.append(np.zeros(crowd, dtype=np.uint64), np.uint64(1))
    pairs = found(hashes, np.arange(crowd + 1), 1)
    complete = MOST_EQUAL * (MOST_EQUAL - 1) // 2
    assert len(pairs) == complete + (crowd - MOST_EQUAL) + MOST_EQUAL
    assert pairs.left_out == crowd * (crowd - 1) // 2 - complete - (crowd - MOST_EQUAL)
    reached = {0}
    for first, second, _ in sorted(listed(pairs), key=lambda pair: pair[1]):
        assert first in reached
        reached.add(second)
    assert len(reached) == crowd + 1


def test_a_crowd_of_near_hashes_is_compared_to_a_limit_and_the_rest_is_counted(monkeypatch):
    monkeypatch.setattr("pgc_data.similarity.bands.MOST_COMPARED", 100)
    # Twelve bits differ, few of them in each band: hundreds of hashes have one key.
    hashes = np.arange(3000, dtype=np.uint64)
    pairs = found(hashes, np.arange(3000), 1)
    assert pairs.left_out > 0
    assert len(pairs) < 3000 * 100
    assert (np.bitwise_count(hashes[pairs.first] ^ hashes[pairs.second]) == pairs.distance).all()


def test_pairs_come_in_lots(monkeypatch, walks):
    monkeypatch.setattr(module, "_CHUNK", 50)
    hashes, groups = walks(700, 40)
    lots = list(near_pairs(hashes, groups, 8))
    assert len(lots) > 3
    assert sorted(listed(concatenated(lots))) == by_force(hashes, groups, 8)


def nearest(hashes, groups, bits):
    """The few best pairs of every two groups, best first."""
    kept, count = [], {}
    for a, b, distance in sorted(
        by_force(hashes, groups, bits), key=lambda pair: (pair[2], pair[0], pair[1])
    ):
        two = frozenset([int(groups[a]), int(groups[b])])
        count[two] = count.get(two, 0) + 1
        if count[two] <= MOST_A_PAIR:
            kept.append((a, b, distance))
    return kept


@pytest.mark.parametrize("chunk", [1, 60, 10_000])
def test_best_pairs_are_the_nearest_of_every_two_groups(monkeypatch, walks, chunk):
    monkeypatch.setattr(module, "_CHUNK", chunk)
    hashes, groups = walks(700, 12)
    expected = nearest(hashes, groups, 8)
    assert 20 < len(expected) < len(by_force(hashes, groups, 8))
    assert listed(best_pairs(hashes, groups, 8)) == expected


@given(clustered(), st.sampled_from([1, 10_000]))
@settings(max_examples=150, deadline=None)
def test_of_too_many_best_pairs_the_nearest_are_kept_and_the_others_counted(rows, chunk):
    expected = nearest(*rows, 8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", chunk)
        patch.setattr(module, "MOST_PAIRS", 6)
        pairs = best_pairs(*rows, 8)
    assert listed(pairs) == expected[:6]
    assert pairs.left_out >= len(expected) - len(pairs)


def test_of_two_pairs_as_near_the_one_of_lower_rows_is_kept_though_found_later(monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 1)
    monkeypatch.setattr(module, "MOST_PAIRS", 1)
    # Bit 0 is in the first band, which finds the other pair.
    hashes = np.array([0, 1 << 0, 1 << 1], dtype=np.uint64)
    assert [len(lot) for lot in near_pairs(hashes, np.arange(3), 1)] == [1, 1]
    assert listed(best_pairs(hashes, np.arange(3), 1)) == [(0, 1, 1)]


def test_hash_numbers_reads_hexadecimal_digits():
    column = pl.Series(["0000000000000001", "ffffffffffffffff", "9c0bec7b8a803ecf"])
    assert hash_numbers(column).tolist() == [1, 2**64 - 1, 0x9C0BEC7B8A803ECF]
    assert hash_numbers(pl.Series([], dtype=pl.String)).dtype == np.uint64


@pytest.mark.parametrize(
    "wrong", [None, "", "12", "000000000000000g", "-000000000000001", "00000000000000001"]
)
def test_hash_numbers_names_the_row_that_holds_something_else(wrong):
    with pytest.raises(DataError, match=r"row 1: phash is .* not 16 hexadecimal digits"):
        hash_numbers(pl.Series(["0" * 16, wrong, "x"]))
