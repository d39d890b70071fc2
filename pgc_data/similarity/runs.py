"""Runs of equal values in sorted columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def run_starts(*columns: NDArray[Any]) -> Ints:
    """The places where any of the (n,) columns differs from the place before; place 0 is one."""
    new = np.zeros(len(columns[0]), dtype=np.bool_)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(new)


def run_lengths(starts: Ints, size: int) -> Ints:
    """How long each run is, of which the last ends at `size`."""
    return np.diff(starts, append=size)


def ranks(*columns: NDArray[Any]) -> Ints:
    """(n,) how many places of its run lie before each place."""
    size = len(columns[0])
    starts = run_starts(*columns)
    return np.arange(size) - np.repeat(starts, run_lengths(starts, size))
