"""Arrays too large for memory: written once to a temporary file, then read in pieces."""

from __future__ import annotations

import mmap
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

_KEPT = 1 << 26
_AROUND = 1 << 16
"""Bytes that Linux maps into the process around one that is read."""
_PIECE = _KEPT // _AROUND


class ScratchArray:
    """Rows of numbers on disk: appended first, then read by number; the file is gone when the object is.

    Example:
        >>> scratch = ScratchArray()
        >>> scratch.append(np.arange(6).reshape(3, 2))
        >>> scratch[np.array([2, 0])].tolist()
        [[4, 5], [0, 1]]
    """

    def __init__(self) -> None:
        """Begins an empty array in the folder for temporary files."""
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._map: np.memmap[Any, Any] | None = None
        self._dtype: Any = None
        self._shape: tuple[int, ...] = ()
        self._rows = 0
        self._touched = 0

    def append(self, rows: NDArray[Any]) -> None:
        """Adds (m, ...) rows, of the same shape and type as those before; (m, 0, 0) ones have no shape yet."""
        if self._dtype is None and rows[:1].size:
            self._dtype, self._shape = rows.dtype, rows.shape[1:]
            self._file.write(np.zeros((self._rows, *self._shape), self._dtype).tobytes())
        self._rows += len(rows)
        self._file.write(rows.tobytes())

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """A copy of some rows, (m, ...); (m, 0) where none ever had a shape."""
        if self._dtype is None:
            return np.zeros((len(rows), 0), np.uint8)
        if self._map is None:
            self._file.flush()
            self._map = np.memmap(self._file, self._dtype, "r", shape=(self._rows, *self._shape))
        found = np.empty((len(rows), *self._shape), self._dtype)
        for at in range(0, len(rows), _PIECE):
            piece = rows[at : at + _PIECE]
            found[at : at + _PIECE] = self._map[piece]
            self._touched += _AROUND * len(np.unique(piece * self._map[:1].nbytes // _AROUND))
            if self._touched > _KEPT:
                # Pages read stay in the system's cache, but not in this process.
                self._map._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
                self._touched = 0
        return found
