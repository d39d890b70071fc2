"""landmarks63: the landmarks of one hand as they are, on the grid and by the gap rules of feature-schema-v1."""

from __future__ import annotations

import numpy as np

from pgc_data.features.blocks import valid_frames
from pgc_data.features.frames import FrameFeatures, hold
from pgc_data.features.resample import HandGrid
from pgc_data.features.schema import SCHEMA

_DIMS = len(SCHEMA.joint_names) * len(SCHEMA.axes)


def grid_landmarks(grid: HandGrid) -> FrameFeatures:
    """The landmarks of every grid frame, joint-major x, y, z: (M, 63) float32.

    A missing hand is held for up to 3 grid frames; later frames are unusable and 0. Row k depends on rows k-3 to
    k alone.
    """
    valid = valid_frames(grid.landmarks, grid.width, grid.height)
    points = grid.landmarks[valid].reshape(-1, _DIMS)
    # The last row is what a frame without a hand shows.
    rows = np.concatenate([points, np.zeros((1, _DIMS))]).astype(np.float32)
    shown = hold(valid)
    return FrameFeatures(shown >= 0, grid.times, grid.source_index, rows[shown])
