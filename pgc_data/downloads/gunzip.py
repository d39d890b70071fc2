"""Reading gzip as a stream that can be taken up again in the middle, after the bytes before it are gone.

A gzip stream cannot be entered just anywhere: a decoder needs the last 32 KiB of output and a place where a deflate
block begins, which may be any bit of any byte. zlib does not tell where blocks begin. Here they are found by trial:
from the end of what has been read backwards, every bit that could begin a block is decoded to the end, and accepted
only if it reproduces, with the output before it as window, the very output that is known. (RFC 1951; the search is the
one of parallel decoders such as pugz and rapidgzip.)
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from pgc_data.storage.files import atomic_path

_WINDOW = 1 << 15
_CHUNK = 1 << 18
# After a member's last block: checksum and size.
_TRAILER = 8
# Compressed bytes searched for a block; gzip's blocks hold at most 32 Ki symbols, so this holds several.
_SEARCHED = 1 << 18
_STEP = 1 << 14
# Output that must be reproduced before a place is believed, and output remembered for that.
_PROOF = 2048
_REMEMBERED = 8 << 20
# An entry of a tar archive larger than this is not carried over a restart.
_CARRIED = 64 << 20
# Deflate blocks without content, bit by bit: header, codes, end of block.
_EMPTY_FIXED = "100000000" + "0"
# 257 literal codes and one distance code, 19 lengths of which 18 (repeat zero) and 1 are in use: 256 zeros, 1, 1, end.
_EMPTY_DYNAMIC = (
    "001" + "00000" + "00000" + "1111" + "000000" + "100" + "000" * 14 + "100" + "000"
    + "1" + "1111111" + "1" + "1101011" + "0" + "0" + "0"
)  # fmt: skip


class Readable(Protocol):
    """What can be read in pieces."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; empty at the end."""


@dataclass(frozen=True)
class Restart:
    """Where a stream is taken up again.

    Attributes:
        shift: bits of the first byte of `compressed` that belong to the block before.
        compressed: input from the beginning of a block to the place reached.
        window: output before that block, at most 32 KiB.
        known: output that `compressed` gives, in bytes; it was seen already.
        carried: the last output, from the mark on, which is to be read again.
    """

    shift: int
    compressed: bytes
    window: bytes
    known: int
    carried: bytes

    def save(self, path: Path, facts: dict[str, int]) -> None:
        """Writes it to `path` atomically, with `facts` of the caller."""
        blobs = (self.compressed, self.window, self.carried)
        head = {"shift": self.shift, "known": self.known, "sizes": [len(b) for b in blobs], **facts}
        with atomic_path(path) as temporary:
            temporary.write_bytes(json.dumps(head).encode() + b"\n" + b"".join(blobs))

    @staticmethod
    def load(path: Path) -> tuple[Restart, dict[str, int]]:
        """Reads what `save` wrote: the restart and the caller's facts."""
        data = path.read_bytes()
        end = data.index(b"\n")
        head = json.loads(data[:end])
        blobs, at = [], end + 1
        for size in head["sizes"]:
            blobs.append(data[at : at + size])
            at += size
        return Restart(head["shift"], blobs[0], blobs[1], head["known"], blobs[2]), head


class Gunzip:
    """The decompressed content of a gzip stream, as a readable.

    Attributes:
        position: bytes read from it so far.
    """

    def __init__(self, source: Readable, restart: Restart | None = None) -> None:
        """Begins at the start of `source`, or at a restart whose next input byte `source` gives."""
        self._raw = restart is not None
        self._source = source
        self._input = b""
        self._skip = restart.known if restart else 0
        self._tail = bytearray()
        # Output from `_start` on, in positions of this reader.
        self._output = bytearray(restart.carried if restart else b"")
        self._start = self.position = self._mark = 0
        self._ended = False
        if restart is None:
            self._decoder = zlib.decompressobj(31)
        else:
            self._decoder = zlib.decompressobj(-15, zdict=restart.window)
            self._input = _lead_in(restart.shift, restart.compressed[0]) + restart.compressed[1:]
            self._tail += restart.compressed

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; empty at the end.

        Raises:
            EOFError: the input ended before its end mark.
            zlib.error: it is damaged.
        """
        size = _CHUNK if size < 0 else size
        while self._available() < size and not self._ended:
            self._decode()
        begin = self.position - self._start
        piece = bytes(self._output[begin : begin + size])
        self.position += len(piece)
        self._forget()
        return piece

    def mark(self, position: int) -> None:
        """Says that output before `position` will not be asked for again."""
        self._mark = position

    def _available(self) -> int:
        return self._start + len(self._output) - self.position

    def _decode(self) -> None:
        """Decodes the next piece of input; asks for more only when all that came before is decoded."""
        piece = self._decoder.decompress(self._input, _CHUNK)
        self._input = self._decoder.unconsumed_tail
        if self._decoder.eof:
            self._end_of_member()
        elif not piece and not self._input:
            fresh = self._source.read(_CHUNK)
            if not fresh:
                raise EOFError("the compressed stream ends too early")
            self._tail += fresh
            del self._tail[: -2 * _SEARCHED]
            self._input = fresh
        if self._skip:
            skipped = min(self._skip, len(piece))
            self._skip -= skipped
            piece = piece[skipped:]
        self._output += piece

    def _end_of_member(self) -> None:
        """Goes on with the next gzip member, if there is one; zeros after the last are padding."""
        rest = self._decoder.unused_data
        while len(rest) < _CHUNK and (fresh := self._source.read(_CHUNK)):
            rest += fresh
        if self._raw:
            # The checksum of all output cannot be checked: its beginning was seen by another decoder.
            if len(rest) < _TRAILER:
                raise EOFError("the compressed stream ends too early")
            rest, self._raw = rest[_TRAILER:], False
        if not rest.strip(b"\0"):
            self._ended = True
            return
        self._decoder = zlib.decompressobj(31)
        self._input = rest

    def _forget(self) -> None:
        if len(self._output) < 4 * _REMEMBERED:
            return
        keep = min(self._mark, self._start + len(self._output) - _REMEMBERED, self.position)
        drop = keep - self._start
        if drop > 0:
            del self._output[:drop]
            self._start += drop

    def restart(self) -> Restart | None:
        """Where to take up again if all input given so far were gone, or None where no place is found.

        Call it from the source's `read`, when it is asked for more.
        """
        carried = bytes(self._output[max(self._mark - self._start, 0) :])
        if self._skip or self._mark < self._start or len(carried) > _CARRIED:
            return None
        known = bytes(self._output[-_REMEMBERED:])
        compressed = bytes(self._tail[-_SEARCHED:])
        for bit in _candidates(compressed):
            window_and_length = _proven(compressed, bit, known)
            if window_and_length is not None:
                window, length = window_and_length
                return Restart(bit % 8, compressed[bit // 8 :], window, length, carried)
        return None


def _lead_in(shift: int, first: int) -> bytes:
    """Bytes that bring a decoder to bit `shift` of the byte `first`, with its remaining bits following.

    Blocks without content: fixed codes (10 bits, as often as needed), and for an odd shift dynamic codes (93 bits).
    Moving the stream by `shift` bits instead would break stored blocks, which lie on the edges of bytes.
    """
    bits = _EMPTY_DYNAMIC * (shift % 2)
    while len(bits) % 8 != shift:
        bits += _EMPTY_FIXED
    value = int(bits[::-1] or "0", 2) | (first >> shift << shift) << (len(bits) // 8 * 8)
    return value.to_bytes(len(bits) // 8 + 1, "little")


def _candidates(compressed: bytes) -> Iterator[int]:
    """Bit positions where the header of a deflate block may lie, from the last step backwards."""
    for begin in range(max(len(compressed) - _STEP, 0), -_STEP, -_STEP):
        first = max(begin, 0)
        data = np.frombuffer(compressed[first : begin + _STEP + 5], dtype=np.uint8).astype(np.uint32)
        if len(data) < 5:
            continue
        # 24 bits from each byte on.
        word = data[:-4] | data[1:-3] << 8 | data[2:-2] << 16
        found: list[int] = []
        for shift in range(8):
            bits = word >> shift
            # Not the last block, dynamic codes, at most 286 literal and 30 distance codes.
            dynamic = (bits & 7 == 4) & (bits >> 3 & 31 <= 29) & (bits >> 8 & 31 <= 29)
            found += (np.flatnonzero(dynamic) * 8 + shift).tolist()
        # Stored: three zero bits up to a byte's edge, then a length and its complement.
        length = data[1:-3] | data[2:-2] << 8
        stored = (data[:-4] >> 5 == 0) & (length[: len(data) - 4] ^ (data[3:-1] | data[4:] << 8) == 0xFFFF)
        found += (np.flatnonzero(stored) * 8 + 5).tolist()
        yield from (first * 8 + bit for bit in sorted(found))


def _proven(compressed: bytes, bit: int, known: bytes) -> tuple[bytes, int] | None:
    """The window before a block at `bit` and the output from there on, if it reproduces the end of `known`."""
    start, shift = bit // 8, bit % 8
    lead = _lead_in(shift, compressed[start])
    if _decoded(lead + compressed[start + 1 : start + _PROOF], b"") is None:
        return None
    blind = _decoded(lead + compressed[start + 1 :], b"")
    if blind is None or not _PROOF <= len(blind) <= len(known):
        return None
    before = len(known) - len(blind)
    window = known[max(before - _WINDOW, 0) : before]
    return (
        (window, len(blind)) if _decoded(lead + compressed[start + 1 :], window) == known[before:] else None
    )


def _decoded(deflated: bytes, window: bytes) -> bytes | None:
    """What a raw deflate stream gives, or None where it is none."""
    decoder = zlib.decompressobj(-15, zdict=window or b"\0" * _WINDOW)
    try:
        output = decoder.decompress(deflated)
    except zlib.error:
        return None
    return None if decoder.eof else output
