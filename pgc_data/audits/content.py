"""What a row holds, reduced to a few bytes: a digest of its image or features, and what is wrong with it."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pgc_data.errors import DataError

_PNG = b"\x89PNG\r\n\x1a\n"
_PIECE = 64
"""Rows handed to a thread at a time: few enough to share evenly, enough to be worth the hand-over."""


@dataclass(frozen=True)
class Contents:
    """The contents of n rows.

    Attributes:
        digests: (n, 2) uint64, the first 16 bytes of the content's sha256; zeros where there is none.
        present: (n,) bool, whether there is anything to compare: bytes, or a feature that is not zero.
        faults: n strings, what is wrong with the row, or None.
    """

    digests: np.ndarray[Any, np.dtype[np.uint64]]
    present: np.ndarray[Any, np.dtype[np.bool_]]
    faults: list[str | None]


Reader = Callable[[pa.Array, ThreadPoolExecutor], Contents]


def joined(parts: Sequence[Contents]) -> Contents:
    """The contents of several batches, one after the other."""
    digests = [np.empty((0, 2), np.uint64), *(part.digests for part in parts)]
    present = [np.empty(0, np.bool_), *(part.present for part in parts)]
    return Contents(
        np.concatenate(digests), np.concatenate(present), [f for part in parts for f in part.faults]
    )


def read_images(column: pa.Array, pool: ThreadPoolExecutor) -> Contents:
    """Hashes and decodes the images of one batch.

    Args:
        column: n structs with a field `bytes`, the encoded image.
        pool: threads to decode in.
    """
    buffers = [scalar.as_buffer() for scalar in pc.struct_field(column, "bytes")]
    with _quiet_opencv():
        pieces = pool.map(_check_images, _pieces(buffers))
        return joined(list(pieces))


def _pieces(items: Any) -> Iterator[Any]:
    return (items[start : start + _PIECE] for start in range(0, len(items), _PIECE))


def _check_images(buffers: Sequence[pa.Buffer | None]) -> Contents:
    faults = [image_fault(b"" if buffer is None else memoryview(buffer)) for buffer in buffers]
    present = np.array([buffer is not None and buffer.size > 0 for buffer in buffers], dtype=np.bool_)
    return Contents(_digests(buffers, present), present, faults)


def _digests(
    buffers: Sequence[Any], present: np.ndarray[Any, np.dtype[np.bool_]]
) -> np.ndarray[Any, np.dtype[np.uint64]]:
    hashes = (
        hashlib.sha256(buffer).digest()[:16] if there else bytes(16)
        for buffer, there in zip(buffers, present, strict=True)
    )
    return np.frombuffer(b"".join(hashes), dtype=">u8").reshape(-1, 2).astype(np.uint64)


def image_fault(data: bytes | memoryview) -> str | None:
    """What is wrong with an encoded image, or None if it decodes."""
    if not len(data):
        return "it is empty"
    # libpng reports a broken file straight on standard error: what its checksums show is found before.
    if data[:8] == _PNG and (fault := _png_fault(data)):
        return fault
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    return "it is not an image that OpenCV decodes" if pixels is None else None


def _png_fault(data: bytes | memoryview) -> str | None:
    """Walks the chunks of a PNG file (length, name, data, CRC-32) to its end."""
    view, start = memoryview(data), len(_PNG)
    while start + 12 <= len(view):
        length, name = struct.unpack_from(">I4s", view, start)
        end = start + 12 + length
        if end > len(view):
            break
        if zlib.crc32(view[start + 4 : end - 4]) != struct.unpack_from(">I", view, end - 4)[0]:
            return f"the checksum of its {name.decode('ascii', 'replace')} chunk is wrong"
        if name == b"IEND":
            return None
        start = end
    return "it is cut short"


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def read_features(column: pa.Array, pool: ThreadPoolExecutor) -> Contents:
    """Hashes the windows of one batch and looks for values that are not finite.

    Args:
        column: n fixed-size lists of T x F floats.
        pool: threads to hash in.

    Raises:
        DataError: a window holds a null instead of a frame.
    """
    values = _matrix(column)
    finite = np.isfinite(values).all(axis=1)
    missing = column.is_null().to_numpy(zero_copy_only=False)
    faults = [
        "it is null" if gone else None if good else "it holds NaN or infinite values"
        for gone, good in zip(missing, finite, strict=True)
    ]
    present = (values != 0).any(axis=1)
    pieces = pool.map(_digests, _pieces(values), _pieces(present))
    return Contents(np.concatenate([np.empty((0, 2), np.uint64), *pieces]), present, faults)


def _matrix(column: pa.Array) -> np.ndarray[Any, np.dtype[np.floating[Any]]]:
    """(n, T*F) floats, C order; a null window is a row of zeros."""
    size = column.type.list_size * column.type.value_type.list_size
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    flat = column.drop_null().flatten().flatten().to_numpy(zero_copy_only=False)
    if flat.size != size * valid.sum():
        raise DataError("column 'features' holds a null instead of a frame: run to-parquet again")
    if valid.all():
        return np.ascontiguousarray(flat).reshape(-1, size)
    values = np.zeros((len(column), size), dtype=flat.dtype)
    values[valid] = flat.reshape(-1, size)
    return values


READERS: dict[str, Reader] = {"image": read_images, "features": read_features}
"""The reader of each content column."""
