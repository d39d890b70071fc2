"""Rows of a crops table as a model's inputs, a few of a split: to calibrate and check what is exported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgc_data.loaders.dataset import Split
from pgc_data.models.landmarks import frame_aspect, landmark_features
from pgc_data.models.options import TensorSpec


@dataclass(frozen=True)
class Crops:
    """Some rows of one split.

    Attributes:
        inputs: name -> (rows, ...) float32.
        positive: (rows,) whether the label is the positive class; None where there are no labels.
    """

    inputs: dict[str, NDArray[np.float32]]
    positive: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))


def read_crops(split: Split, specs: Sequence[TensorSpec], limit: int, positive: str) -> Crops:
    """Reads rows from all over a split, always the same.

    Args:
        split: of a crops table.
        specs: the inputs of the model; rows without valid landmarks are left out if it needs them.
        limit: rows at most.
        positive: name of the positive class.

    Raises:
        DataError: a crop cannot be decoded, or a file is damaged.
    """
    size = next((spec.shape[1:] for spec in specs if len(spec.shape) == 3), (1, 1))
    columns = ("label", "landmarks", "box")
    batch = next(iter(split.torch(limit, size=(size[0], size[1]), columns=columns, shuffle=True, seed=0)))
    joints, boxes = (np.asarray(batch[name], np.float64) for name in ("landmarks", "box"))
    features, valid = landmark_features(joints, frame_aspect(joints, boxes))
    made: dict[str, Any] = {
        "images": np.asarray(batch["image"]) / np.float32(255),
        "landmarks": features,
    }
    kept = valid if any(spec.name == "landmarks" for spec in specs) else np.ones(len(valid), np.bool_)
    inputs = {spec.name: np.ascontiguousarray(made[spec.name][kept]) for spec in specs}
    return Crops(inputs, np.array([label == positive for label in batch["label"]])[kept])
