"""What is wrong with an encoded image, as far as its own structure shows before it is decoded."""

from __future__ import annotations

import struct
import zlib

MOST_PIXELS = 100_000_000

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_END, _SCAN = b"\xff\xd9", b"\xff\xda"
_NO_SIZE = frozenset((0xC4, 0xC8, 0xCC))


def structure_fault(data: bytes | memoryview) -> str | None:
    """What the structure of a PNG or JPEG file says is wrong: cut short, a bad checksum, too large to decode.

    Args:
        data: the file; of other formats nothing is looked at.
    """
    if not len(data):
        return "it is empty"
    if data[:8] == _PNG:
        return _too_large(_png_size(data)) or _png_fault(data)
    if data[:3] == _JPEG:
        return _too_large(_jpeg_size(data)) or _jpeg_fault(data)
    return None


def _too_large(size: tuple[int, int] | None) -> str | None:
    if size is None or size[0] * size[1] <= MOST_PIXELS:
        return None
    return f"its {size[0]:,} x {size[1]:,} pixels are too many to decode safely (at most {MOST_PIXELS:,})"


def _png_size(data: bytes | memoryview) -> tuple[int, int] | None:
    return struct.unpack_from(">II", data, 16) if len(data) >= 24 else None


def _png_fault(data: bytes | memoryview) -> str | None:
    """Walks the chunks (length, name, data, CRC-32) to the end: libpng tells standard error of a bad one, not us."""
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


def _jpeg_size(data: bytes | memoryview) -> tuple[int, int] | None:
    """Width and height in the frame header, found by walking the segments before the picture."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in _NO_SIZE:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def _jpeg_fault(data: bytes | memoryview) -> str | None:
    """Whether the end marker is missing, which decoders fill up with grey and call an image."""
    if data[-2:] == _END:
        return None
    whole = bytes(data)
    # The marker cannot occur in the coded picture; a thumbnail before it may have one of its own.
    return None if whole.find(_END, whole.rfind(_SCAN) + 1) >= 0 else "it is cut short"
