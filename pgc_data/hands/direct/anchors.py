"""The palm detector's anchors: the points in its input that its 2,016 outputs are relative to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

INPUT_SIDE = 192

# Side of a cell in pixels of the input, and outputs for each cell.
_LAYERS = ((8, 2), (16, 6))


def palm_anchors() -> NDArray[np.float32]:
    """(2016, 2) x and y of the anchors, as fractions of the input, in the order of the network's outputs."""
    return np.concatenate([_layer(stride, repeats) for stride, repeats in _LAYERS])


def _layer(stride: int, repeats: int) -> NDArray[np.float32]:
    cells = INPUT_SIDE // stride
    centres = (np.arange(cells, dtype=np.float32) + np.float32(0.5)) / np.float32(cells)
    y, x = np.meshgrid(centres, centres, indexing="ij")
    return np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), repeats, axis=0)
