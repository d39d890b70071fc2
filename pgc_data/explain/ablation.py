"""How much a network's answer changes when one of its tensors is switched off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgc_data.explain.graph import Tensor
from pgc_data.explain.probe import Probe
from pgc_data.inference.network import Images, Probabilities


@dataclass(frozen=True, eq=False)
class Effect:
    """What switching off one tensor does.

    Attributes:
        tensor: switched off.
        deltas: (B,) for each image the probability as it is, less that without the tensor.
    """

    tensor: Tensor
    deltas: NDArray[np.float32]

    @property
    def weight(self) -> float:
        """The mean of the deltas' size: what tensors are ranked by, for deltas of two signs cancel out."""
        return float(np.abs(self.deltas).mean())

    def facts(self) -> dict[str, Any]:
        """As JSON values; the deviation is over the images, not that of a mean."""
        deltas = self.deltas.astype(np.float64)
        return {
            "layer": self.tensor.index, "name": self.tensor.node, "tensor": self.tensor.name,
            "kind": self.tensor.kind, "shape": list(self.tensor.shape), "mean_abs": self.weight,
            "mean": float(deltas.mean()), "std": float(deltas.std()), "min": float(deltas.min()),
            "max": float(deltas.max()),
        }  # fmt: skip


def ablate(
    probe: Probe, tensors: Sequence[Tensor], images: Images, batch: int, done: Callable[[int], None]
) -> tuple[Probabilities, list[Effect]]:
    """Switches off each tensor in turn, all in one session.

    Args:
        probe: with gates for these tensors, in this order.
        tensors: to be switched off.
        images: (B, 3, H, W).
        batch: images of one run of the network.
        done: called with the number of images done, once for each tensor and batch, and the baseline.

    Returns:
        The probabilities as they are, (B,), and the effects, greatest first.
    """
    parts = [images[start : start + batch] for start in range(0, len(images), batch)]

    def answers(answer: Callable[[Images], Probabilities]) -> Probabilities:
        found = []
        for part in parts:
            found.append(answer(part))
            done(len(part))
        return np.concatenate(found)

    baseline = answers(probe.probabilities)
    effects = []
    for at, tensor in enumerate(tensors):
        without = answers(lambda part, at=at: probe.gated(part, at))  # type: ignore[misc]
        effects.append(Effect(tensor, baseline - without))
    return baseline, sorted(effects, key=lambda effect: -effect.weight)
