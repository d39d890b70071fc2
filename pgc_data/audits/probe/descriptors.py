"""Rows as unit vectors of at most 64 numbers, near where pictures or windows look alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]
Vectors = NDArray[np.float32]
Reader = Callable[[Positions], NDArray[Any]]
"""Positions in the rows frame, ascending -> (m, 32, 32) uint8 grey pictures, or (m, ...) float features."""

_BLOCKS = 8
_WIDTH = 64
_PARTS = 4
_LEAST_CONTRAST = 4.0
"""Grey levels; added to a picture's contrast, so that noise on a flat picture is not blown up."""
_BASIS_ROWS = 1000
_BATCH_BYTES = 16 << 20


def sketch_windows(windows: NDArray[Any]) -> NDArray[np.float16]:
    """Shrinks windows for the probe as thumbnails shrink pictures: the means of four parts in time.

    Args:
        windows: (n, T, F) floats; what is not finite counts as 0.

    Returns:
        (n, min(T, 4), F), clipped to what float16 holds.
    """
    frames = windows.shape[1]
    starts = np.arange(min(_PARTS, frames)) * frames // min(_PARTS, frames)
    sums = np.add.reduceat(np.nan_to_num(windows, posinf=0.0, neginf=0.0), starts, axis=1, dtype=np.float32)
    means = sums / np.diff(starts, append=frames)[:, None]
    limit = float(np.finfo(np.float16).max)
    sketch: NDArray[np.float16] = np.clip(means, -limit, limit).astype(np.float16)
    return sketch


def describe(read: Reader, at: Positions) -> Vectors:
    """Reads rows batch by batch and describes them.

    Pictures: the means of 8 x 8 blocks, with brightness and contrast taken out, and then the mean picture.
    Features: each standardised, then their 64 strongest principal components. On real IPN crops and windows
    finer blocks, DCT coefficients and more features told unseen people apart no better.

    Args:
        read: gives the contents of rows.
        at: n positions, ascending.

    Returns:
        (n, d) vectors of length 1, so that their dot product is how alike two rows are; d is at most 64.
    """
    first = read(at[:1])
    batch = max(1, _BATCH_BYTES // max(4 * first[0].size, 1))
    batches = (at[start : start + batch] for start in range(0, len(at), batch))
    vectors: Vectors
    if first.dtype == np.uint8:
        vectors = np.concatenate([_blocks(read(part)) for part in batches])
        vectors -= vectors.mean(axis=0)
    else:
        mean, basis = _components(_flat(read(at[:: -(-len(at) // min(batch, _BASIS_ROWS))])))
        vectors = np.concatenate([(_flat(read(part)) - mean) @ basis for part in batches], dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = vectors / np.maximum(lengths, np.float32(1e-12))
    return unit


def _blocks(pictures: NDArray[np.uint8]) -> Vectors:
    count, height, width = pictures.shape
    split = pictures.reshape(count, _BLOCKS, height // _BLOCKS, _BLOCKS, width // _BLOCKS)
    means = split.mean(axis=(2, 4), dtype=np.float32).reshape(count, -1)
    means -= means.mean(axis=1, keepdims=True)
    contrast: Vectors = means / (means.std(axis=1, keepdims=True) + _LEAST_CONTRAST)
    return contrast


def _flat(features: NDArray[Any]) -> Vectors:
    flat: Vectors = features.reshape(len(features), -1).astype(np.float32)
    return np.nan_to_num(flat, copy=False, posinf=0.0, neginf=0.0)


def _components(rows: Vectors) -> tuple[Vectors, Vectors]:
    """The mean (D,), and the standardised principal components (D, d)."""
    mean: Vectors = rows.mean(axis=0, dtype=np.float32)
    spread = rows.std(axis=0)
    scale = np.where(spread > 1e-6, spread, 1).astype(np.float32)
    _, _, axes = np.linalg.svd((rows - mean) / scale, full_matrices=False)
    basis: Vectors = (axes[:_WIDTH] / scale).T.astype(np.float32)
    return mean, basis
