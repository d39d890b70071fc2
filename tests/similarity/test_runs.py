"""Runs of equal values."""

from __future__ import annotations

import numpy as np
import pytest

from pgc_data.similarity.runs import ranks, run_lengths, run_starts


@pytest.mark.parametrize(
    ("columns", "starts", "lengths", "places"),
    [
        ([[]], [], [], []),
        ([[7]], [0], [1], [0]),
        ([[1, 1, 2, 2, 2, 1]], [0, 2, 5], [2, 3, 1], [0, 1, 0, 1, 2, 0]),
        ([[1, 1, 1, 2], [0, 3, 3, 3]], [0, 1, 3], [1, 2, 1], [0, 0, 1, 0]),
    ],
)
def test_runs(columns, starts, lengths, places):
    arrays = [np.array(column) for column in columns]
    found = run_starts(*arrays)
    assert found.tolist() == starts
    assert run_lengths(found, len(arrays[0])).tolist() == lengths
    assert ranks(*arrays).tolist() == places
