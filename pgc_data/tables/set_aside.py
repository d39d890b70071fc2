"""Which pictures to leave out so that none is shown on two sides."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pgc_data.similarity import near_rows, pixel_check, plain
from pgc_data.tables.hand_pictures import Pictures, digests, thumbnails

_Ints = NDArray[np.int64]
_Bools = NDArray[np.bool_]


def set_aside(pictures: Pictures, hands: _Ints, sides: _Ints, weights: _Ints) -> tuple[_Ints, int]:
    """Finds pictures that two sides show, with the same bytes or nearly the same pixels, and decides which stay.

    Args:
        pictures: n of them.
        hands: (m,) numbers of those to compare, ascending.
        sides: (n,) side of each.
        weights: (n,) of two that are alike the one that weighs more stays; equal only within a side.

    Returns:
        The numbers of those to leave out, and how many more may have to be: they have too many look-alikes.
    """
    sides, weights = sides[hands], weights[hands]
    kept = ~repeated(digests(pictures, hands), sides, weights)
    with thumbnails(pictures, hands) as small:
        shown = ~plain(small)
        while True:
            rows = np.flatnonzero(kept & shown)
            found = near_rows(pictures.hashes[hands[rows]], sides[rows], _check_of(small, rows))
            if not found.found.any():
                return hands[~kept], int(found.cut_short.sum())
            with_partner = np.flatnonzero(found.found)
            first, second = rows[with_partner], rows[found.partner[with_partner]]
            lighter = weights[first] < weights[second]
            heavy, light = np.where(lighter, second, first), np.where(lighter, first, second)
            # What has to go itself makes no other go.
            kept[light[~np.isin(heavy, light)]] = False


def _check_of(small: NDArray[np.uint8], rows: _Ints) -> Callable[[_Ints, _Ints], _Bools]:
    """The check of the pixels of some of the thumbnails, by their number among these."""
    check = pixel_check(small)
    return lambda first, second: check(rows[first], rows[second])


def repeated(digest: NDArray[np.uint64], sides: _Ints, weights: _Ints) -> _Bools:
    """Which contents to leave out so that none is on two sides: those not on the side of the heaviest.

    Args:
        digest: (m,) of the contents.
        sides: (m,) side of each.
        weights: (m,) weight of each.
    """
    rows = pl.DataFrame({"digest": digest, "side": sides, "weight": weights})
    stays = pl.col("side").get(pl.col("weight").arg_max()).over("digest")
    return rows.select(pl.col("side") != stays).to_series().to_numpy()
