"""Activations reduced to one map an image and layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgc_data.explain.graph import Tensor

Map = NDArray[np.float32]

REDUCTIONS = ("mean", "max", "sum")
ORDERS = ("intensity", "order")


@dataclass(frozen=True, eq=False)
class HeatMap:
    """How strongly a layer answers to each place of an image.

    Attributes:
        tensor: the layer.
        values: (h, w), its channels reduced.
        low, high: what the ends of the colour scale stand for.
    """

    tensor: Tensor
    values: Map
    low: float
    high: float

    @property
    def shares(self) -> Map:
        """The values from 0 at `low` to 1 at `high`; 0 everywhere where these are equal."""
        span = self.high - self.low
        return np.asarray(
            (self.values - self.low) / span if span > 0 else np.zeros_like(self.values), np.float32
        )

    def facts(self) -> dict[str, Any]:
        """What it says, as JSON values: least, greatest and mean, and where the greatest is, as shares of the image."""
        row, column = np.unravel_index(int(self.values.argmax()), self.values.shape)
        height, width = self.values.shape
        return {
            "layer": self.tensor.index, "name": self.tensor.node, "tensor": self.tensor.name,
            "kind": self.tensor.kind, "shape": list(self.tensor.shape), "height": height, "width": width,
            "min": float(self.values.min()), "max": float(self.values.max()), "mean": float(self.values.mean()),
            "peak_x": (float(column) + 0.5) / width, "peak_y": (float(row) + 0.5) / height,
        }  # fmt: skip


def reduced(values: NDArray[Any], channels_last: bool, how: str) -> Map:
    """A tensor (C, h, w), or (h, w, C), as (h, w).

    Args:
        values: of one image.
        channels_last: which of both.
        how: one of `REDUCTIONS`.
    """
    axis = -1 if channels_last else 0
    reductions: dict[str, Any] = {"mean": np.mean, "max": np.max, "sum": np.sum}
    return np.asarray(reductions[how](values.astype(np.float32), axis=axis), np.float32)


def heat_maps(tensors: Sequence[Tensor], values: Sequence[NDArray[Any]], how: str) -> list[HeatMap]:
    """The heat maps of one image, each over its own range."""
    maps = [reduced(each, tensor.channels_last, how) for tensor, each in zip(tensors, values, strict=True)]
    return [
        HeatMap(tensor, found, float(found.min()), float(found.max()))
        for tensor, found in zip(tensors, maps, strict=True)
    ]


def on_one_scale(images: Sequence[Sequence[HeatMap]]) -> list[list[HeatMap]]:
    """The heat maps of several images with one range for each layer, so that images can be compared."""
    lows = [min(each.low for each in layer) for layer in zip(*images, strict=True)]
    highs = [max(each.high for each in layer) for layer in zip(*images, strict=True)]
    return [
        [
            HeatMap(each.tensor, each.values, low, high)
            for each, low, high in zip(maps, lows, highs, strict=True)
        ]
        for maps in images
    ]


def strongest(maps: Sequence[HeatMap], count: int, order: str) -> list[HeatMap]:
    """The layers with the highest mean, strongest first, or these in the order of the network.

    Args:
        maps: of one image.
        count: how many.
        order: one of `ORDERS`.
    """
    best = sorted(maps, key=lambda each: -float(each.values.mean()))[:count]
    return best if order == "intensity" else sorted(best, key=lambda each: each.tensor.index)
