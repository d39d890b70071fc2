"""PNG as pgc-data writes it, decoded with ISA-L's inflate where that is installed: a third less time than OpenCV's."""

from __future__ import annotations

import importlib
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _isal() -> Any:
    try:
        return importlib.import_module("isal.isal_zlib")
    except ImportError:
        return None


_ISAL = _isal()
_BEGIN = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"
_MOST_PIXELS = 1 << 24
# 8 bits, RGB, nothing unusual, not interlaced.
_KIND = (8, 2, 0, 0, 0)
_FILTER_UP = 2


def decode_own_png(data: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Decodes a PNG like those of `encode_png`: 8-bit RGB, every row stored as its difference to the one above.

    Args:
        data: (bytes,) of an encoded image.

    Returns:
        (height, width, 3) RGB; or None, where it is anything else, damaged, or ISA-L is missing.
    """
    view = memoryview(data.data)
    if _ISAL is None or view[:16] != _BEGIN or len(view) < 33:
        return None
    width, height, *kind = struct.unpack_from(">IIBBBBB", view, 16)
    if tuple(kind) != _KIND or width * height > _MOST_PIXELS:
        return None
    size = height * (3 * width + 1)
    inflate = _ISAL.decompressobj()
    try:
        packed = list(_pixel_chunks(view))
        raw = inflate.decompress(packed[0] if len(packed) == 1 else b"".join(packed), size + 1)
    except (ValueError, struct.error, _ISAL.error):
        return None
    if not inflate.eof or len(raw) != size:
        return None
    rows = np.frombuffer(raw, np.uint8).reshape(height, 3 * width + 1)
    if (rows[:, 0] != _FILTER_UP).any():
        return None
    return np.add.accumulate(rows[:, 1:], axis=0, dtype=np.uint8).reshape(height, width, 3)


def _pixel_chunks(view: memoryview) -> Iterator[memoryview]:
    """What the IDAT chunks hold.

    Raises:
        ValueError: a checksum is wrong, or there are other chunks, which may change what is seen.
        struct.error: it is cut short.
    """
    start, name = 8, b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", view, start)
        end = start + 12 + length
        if name not in (b"IHDR", b"IDAT", b"IEND"):
            raise ValueError(f"a chunk {name!r}")
        if zlib.crc32(view[start + 4 : end - 4]) != struct.unpack_from(">I", view, end - 4)[0]:
            raise ValueError("a wrong checksum")
        if name == b"IDAT":
            yield view[start + 8 : end - 4]
        start = end
