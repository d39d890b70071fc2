"""Whether two pictures are the same, by thumbnails: their detail in grey, their colours, a little shift allowed.

Measured on pairs within 8 bits of hash: IPN crops, photographs of digits and drawn hands, each with itself after a
shift or scaling of its box by up to 2 pixels, 10 % brightness, 0.5 to 2 times the size, JPEG of quality 30 to 95 and
noise all at once; and different pictures within 12 bits (drawn: 10), of different people except for the digits, whose
people are not known:

    pairs               likeness, 1st / 5th / 50th percentile          colour difference, 99th / 50th
    same, IPN           0.84 / 0.87 / 0.94                             2.9 / 1.2
    same, digits        0.77 / 0.79 / 0.92                             1.4 / 0.8
    same, drawn         0.75 / 0.79 / 0.92                             2.2 / 0.9
                        50th / 95th / 99th percentile, highest         1st / 50th
    different, IPN      0.26 / 0.41 / 0.50, 0.59                       4.9 / 10.6
    different, digits   0.43 / 0.66 / 0.70, 0.82                       0.8 / 1.7
    different, drawn    0.58 / 0.78 / 0.86, 0.91                       2.6 / 9.1
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pgc_data.errors import DataError
from pgc_data.similarity.bands import Bools
from pgc_data.similarity.neighbours import Check
from pgc_data.similarity.pairs import Pairs
from pgc_data.similarity.runs import Ints

Thumbnails = NDArray[np.uint8]
_Reals = NDArray[np.float32]

LIKENESS = 0.75
"""Least likeness of the same picture."""
COLOUR = 4.0
"""Most mean difference of its colours, levels of 255."""
PLAIN = 1.0
"""Less detail than this, levels of 255 (root mean square), and nothing tells one picture from another."""

_SIDE, _COLOUR_SIDE = 32, 8
_GREY = _SIDE * _SIDE
THUMBNAIL_BYTES = _GREY + 2 * _COLOUR_SIDE * _COLOUR_SIDE
_SHIFTS = (-1, 0, 1)
_PIECE = 2048
# A Gaussian of 2 pixels: what is coarser the hashes have compared already.
_BLUR = np.asarray(
    cv2.GaussianBlur(np.eye(_SIDE, dtype=np.float32), (1, 13), sigmaX=1, sigmaY=2.0), dtype=np.float32
)


def image_thumbnail(image: NDArray[np.uint8]) -> Thumbnails:
    """Shrinks a picture to what `likeness` and `same_picture` compare.

    Args:
        image: (height, width, 3) BGR.

    Returns:
        (1152,) 32 x 32 levels of grey, then 8 x 8 of Cr and of Cb, row by row.
    """
    small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    grey, red, blue = cv2.split(cv2.cvtColor(small, cv2.COLOR_BGR2YCrCb))
    colours = (
        cv2.resize(plane, (_COLOUR_SIDE, _COLOUR_SIDE), interpolation=cv2.INTER_AREA) for plane in (red, blue)
    )
    return np.concatenate([plane.ravel() for plane in (grey, *colours)])


def thumbnail(data: bytes) -> Thumbnails:
    """The thumbnail of an encoded picture; see `image_thumbnail`.

    Raises:
        DataError: OpenCV cannot decode it.
    """
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise DataError(f"{len(data)} bytes are not an image that OpenCV decodes")
    return image_thumbnail(np.asarray(image, dtype=np.uint8))


def _detail(thumbnails: Thumbnails) -> _Reals:
    """(m, 32, 32) grey without what is coarser than a few pixels."""
    grey = thumbnails[:, :_GREY].reshape(-1, _SIDE, _SIDE).astype(np.float32)
    return np.asarray(grey - _BLUR @ grey @ _BLUR.T)


def plain(thumbnails: Thumbnails) -> Bools:
    """(n,) whether a picture is too plain to be known again: black, one colour, or a soft gradient."""
    pieces = (thumbnails[at : at + _PIECE] for at in range(0, len(thumbnails), _PIECE))
    return np.concatenate([np.empty(0, np.bool_), *(_is_plain(_detail(piece)) for piece in pieces)])


def _is_plain(detail: _Reals) -> Bools:
    return np.asarray(np.einsum("nyx,nyx->n", detail, detail) < PLAIN**2 * _GREY)


def likeness(a: Thumbnails, b: Thumbnails) -> _Reals:
    """How alike the detail of two pictures is, whatever their brightness and contrast.

    Args:
        a: (m, 1152) thumbnails.
        b: (m, 1152) thumbnails to hold against them.

    Returns:
        (m,) the highest correlation over shifts of up to one pixel of the thumbnail, -1 to 1; 0 where either is
        plain. Swapping `a` and `b` changes nothing.
    """
    first, second = _detail(a), _detail(b)
    best = np.full(len(a), -1.0, dtype=np.float32)
    for down in _SHIFTS:
        for right in _SHIFTS:
            np.maximum(best, _correlation(_part(first, down, right), _part(second, -down, -right)), out=best)
    best[_is_plain(first) | _is_plain(second)] = 0
    return best


def _part(detail: _Reals, down: int, right: int) -> _Reals:
    """The part of each picture that it shares with one shifted by so many pixels."""
    rows = slice(max(down, 0), _SIDE + min(down, 0))
    columns = slice(max(right, 0), _SIDE + min(right, 0))
    return detail[:, rows, columns]


def _correlation(a: _Reals, b: _Reals) -> _Reals:
    products = np.einsum("nyx,nyx->n", a, b)
    energies = np.einsum("nyx,nyx->n", a, a) * np.einsum("nyx,nyx->n", b, b)
    return np.asarray(products / np.sqrt(np.maximum(energies, 1e-6)))


def same_picture(a: Thumbnails, b: Thumbnails) -> Bools:
    """Whether two pictures whose hashes are near are one picture, re-encoded or a little changed.

    A mirrored picture is another picture, and so is one without its colours. A frame is the same as the next
    only where nothing in it has moved much.

    Args:
        a: (m, 1152) thumbnails.
        b: (m, 1152) thumbnails to hold against them.

    Returns:
        (m,) booleans.
    """
    colours = np.abs(a[:, _GREY:].astype(np.int16) - b[:, _GREY:]).mean(axis=1) <= COLOUR
    result = np.zeros(len(a), dtype=np.bool_)
    which = np.flatnonzero(colours)
    for at in range(0, len(which), _PIECE):
        piece = which[at : at + _PIECE]
        result[piece] = likeness(a[piece], b[piece]) >= LIKENESS
    return result


def pixel_check(thumbnails: Thumbnails) -> Check:
    """`same_picture` of rows by their number, for `near_rows`; the thumbnails may be a memory map.

    Args:
        thumbnails: (n, 1152), one a row.
    """

    def same(first: Ints, second: Ints) -> Bools:
        pieces = (slice(at, at + _PIECE) for at in range(0, len(first), _PIECE))
        parts = [same_picture(thumbnails[first[piece]], thumbnails[second[piece]]) for piece in pieces]
        return np.concatenate([np.empty(0, np.bool_), *parts])

    return same


def confirmed(pairs: Pairs, thumbnails: Thumbnails) -> Pairs:
    """Those pairs that show the same picture.

    Args:
        pairs: of rows.
        thumbnails: (k, 1152) those of `pairs.rows()`, in that order.
    """
    rows = pairs.rows()
    check = pixel_check(thumbnails)
    return pairs.take(check(np.searchsorted(rows, pairs.first), np.searchsorted(rows, pairs.second)))
