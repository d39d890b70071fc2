"""Bands: whatever two hashes differ in, one band's lookups find it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgc_data.errors import ConfigError
from pgc_data.similarity.bands import MOST_BITS, MOST_COMPARED, Band, BandIndex, expanded, plan_bands

SIZES = (0, 1, 1000, 100_000, 1_000_000, 100_000_000)


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("bits", range(MOST_BITS + 1))
def test_bands_share_no_bit_and_cannot_all_be_exceeded(rows, bits):
    bands = plan_bands(rows, bits)
    positions = [position for band in bands for position in band.positions]
    assert len(set(positions)) == len(positions)
    assert sum(band.radius + 1 for band in bands) > bits


@given(st.sets(st.integers(0, 63), max_size=10), st.sampled_from(SIZES))
def test_some_band_covers_every_difference(flipped, rows):
    difference = np.array([sum(1 << bit for bit in flipped)], dtype=np.uint64)
    assert any(band.covers(difference)[0] for band in plan_bands(rows, len(flipped)))


@pytest.mark.parametrize("bits", [-1, MOST_BITS + 1])
def test_bits_out_of_range(bits):
    with pytest.raises(ConfigError, match=f"bits={bits}: hashes may differ in 0 to {MOST_BITS}"):
        plan_bands(10, bits)


def test_flips_are_every_key_within_the_radius_once_fewest_first():
    band = Band(tuple(range(0, 64, 8)), 2)
    flips = list(band.flips())
    assert len(set(flips)) == len(flips) == band.lookups == 1 + 8 + math.comb(8, 2)
    weights = [flip.bit_count() for flip in flips]
    assert weights == sorted(weights)
    assert max(flips) < 1 << 8


def test_an_index_finds_the_places_of_a_key():
    hashes = np.array([5, 1, 5, 0, 7], dtype=np.uint64)
    index = BandIndex(Band((0, 1, 2), 0), hashes)
    assert index.order.tolist() == [3, 1, 0, 2, 4]
    assert index.distinct.tolist() == [0, 1, 5, 7]
    low, high = index.places(np.array([5, 2, 7], dtype=np.uint32))
    assert (low[0], high[0], high[1] - low[1], high[2] - low[2]) == (2, 4, 0, 1)
    assert index.occupied(np.array([2, 7, 6, 0], dtype=np.uint32)).tolist() == [1, 3]


def test_ranges_are_drawn_in_when_a_place_has_been_compared_enough():
    index = BandIndex(Band((0, 1, 2), 0), np.zeros(2, dtype=np.uint64))
    place, low = np.array([0]), np.array([0])
    lengths = [
        int(index.limited(place, low, low + length)[0]) for length in (MOST_COMPARED - 100, 1000, 1000, 50)
    ]
    assert lengths == [MOST_COMPARED - 100, 100, 64, 50]


def test_expanded_pairs_every_place_with_its_whole_range_in_blocks():
    low, high = np.array([3, 0, 7]), np.array([5, 400_000, 300_007])
    blocks = list(expanded(np.array([10, 11, 12]), low, high))
    assert len(blocks) == 2
    left, right = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    assert right[:4].tolist() == [3, 4, 0, 1]
    assert np.bincount(left)[10:].tolist() == (high - low).tolist()
    assert (left[-1], right[-1]) == (12, 300_006)
