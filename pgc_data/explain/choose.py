"""Choosing tensors of a network by name, pattern, kind and number."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pgc_data.config import unknown_name
from pgc_data.errors import ConfigError, DataError
from pgc_data.explain.graph import Tensor


@dataclass(frozen=True)
class Choice:
    """Which tensors; every condition that is given must hold.

    Attributes:
        layers: numbers as `--list-layers` prints them, or names of tensors or nodes.
        contains: texts of which the name holds one, whatever their case.
        regex: found in the name.
        kinds: activations or operators.
        limit: how many, from the first.
    """

    layers: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    regex: str | None = None
    kinds: tuple[str, ...] = ()
    limit: int | None = None

    def check(self) -> None:
        """Refuses a pattern that is none.

        Raises:
            ConfigError: with what is wrong in it.
        """
        try:
            re.compile(self.regex or "")
        except re.error as error:
            raise ConfigError(f"regex={self.regex!r} is no regular expression: {error}") from error


def chosen(tensors: Sequence[Tensor], choice: Choice, model: str) -> list[Tensor]:
    """The tensors of a choice, in order, with the numbers that they have among all.

    Raises:
        ConfigError: a layer or kind that is not among them, or none fulfils all conditions.
        DataError: there are no tensors at all.
    """
    if not tensors:
        raise DataError(
            f"{model} has no activation that is known (SiLU, ReLU, GELU, HardSwish, ...): pass --all to take "
            "every tensor"
        )
    known = {text: tensor for tensor in tensors for text in (str(tensor.index), tensor.node, tensor.name)}
    for layer in choice.layers:
        if layer not in known:
            raise _unknown(layer, tensors)
    kinds = {kind.lower() for kind in choice.kinds}
    for kind in choice.kinds:
        if kind.lower() not in {tensor.kind.lower() for tensor in tensors}:
            raise unknown_name("op type", kind, {tensor.kind for tensor in tensors})
    wanted = {known[layer].name for layer in choice.layers}
    conditions: list[Callable[[Tensor], bool]] = [
        lambda tensor: not wanted or tensor.name in wanted,
        lambda tensor: not kinds or tensor.kind.lower() in kinds,
        lambda tensor: not choice.contains or any(_holds(tensor, text) for text in choice.contains),
        lambda tensor: choice.regex is None or any(re.search(choice.regex, name) for name in _names(tensor)),
    ]
    found = [tensor for tensor in tensors if all(holds(tensor) for holds in conditions)]
    if not found:
        raise ConfigError(f"none of {len(tensors):,} layers of {model} is meant: see --list-layers")
    return found[: choice.limit]


def _names(tensor: Tensor) -> tuple[str, str]:
    return tensor.node, tensor.name


def _holds(tensor: Tensor, text: str) -> bool:
    return any(text.lower() in name.lower() for name in _names(tensor))


def _unknown(layer: str, tensors: Sequence[Tensor]) -> ConfigError:
    if layer.isdigit():
        return ConfigError(f"no layer {layer}: there are 0 to {len(tensors) - 1}, see --list-layers")
    return ConfigError(
        f"{unknown_name('layer', layer, (tensor.node for tensor in tensors[:8]))}; see --list-layers"
    )
