"""Every architecture by name: what it takes, where it comes from, how many parameters it has; without torch."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pgc_data.config import unknown_name
from pgc_data.errors import ConfigError
from pgc_data.models.options import (
    BaselineOptions,
    ConvNeXtOptions,
    CropLandmarkOptions,
    InvertedSEOptions,
    LandmarkOptions,
    Options,
    options_from,
)

if TYPE_CHECKING:
    from torch import nn

_PGC = "PINTO0309/PGC; layout reconstructed from its published parameter counts and file sizes"
_OURS = "pgc-data"
_NETWORKS = "pgc_data.models.pointing"
# What `train` brings, as modules are called.
_TRAIN = frozenset({"torch", "lightning", "torchmetrics", "tensorboard", "onnx", "onnxscript"})


@dataclass(frozen=True)
class Preset:
    """A named choice of options.

    Attributes:
        name: such as S.
        options: what differs from the architecture's defaults.
        published: parameters that its publisher's model has, if that is known.
        note: what else to know.
    """

    name: str
    options: Mapping[str, Any]
    published: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Architecture:
    """A network that can be built.

    Attributes:
        name: as `--arch` and checkpoints call it.
        kind: the task: `pointing` takes one hand and gives one logit.
        summary: what it is, in a line.
        source: who published it, or whose numbers it is made from.
        options: class of its options.
        factory: `module:function`; called with the options it gives the network, which needs torch.
        presets: named options, the smallest first.
    """

    name: str
    kind: str
    summary: str
    source: str
    options: type[Options]
    factory: str
    presets: tuple[Preset, ...] = field(default=())

    def configure(self, values: Mapping[str, Any] | None = None) -> Options:
        """Checked options.

        Args:
            values: option -> value, of any preset too (`preset`); None for the defaults.

        Raises:
            ConfigError: see `options_from`; or there is no such preset.
        """
        given = dict(values or {})
        name = given.pop("preset", None)
        preset = {} if name is None else self.preset(name).options
        return options_from(self.options, {**preset, **given}, self.name)

    def preset(self, name: str) -> Preset:
        """The preset of that name.

        Raises:
            ConfigError: there is none.
        """
        for preset in self.presets:
            if preset.name == name:
                return preset
        raise unknown_name(f"preset of {self.name}", name, [preset.name for preset in self.presets])

    def as_dict(self) -> dict[str, Any]:
        """What there is to know of it as JSON values; parameters are None where torch is not installed."""
        defaults = self.configure()
        return {
            "name": self.name,
            "kind": self.kind,
            "summary": self.summary,
            "source": self.source,
            "inputs": [spec.as_dict() for spec in defaults.inputs],
            "options": defaults.as_dict(),
            "parameters": parameters_of(self, defaults),
            "presets": [
                {
                    "name": preset.name,
                    "options": dict(preset.options),
                    "parameters": parameters_of(self, self.configure(preset.options)),
                    "published": preset.published,
                    "note": preset.note,
                }
                for preset in self.presets
            ],
        }

    def facts(self) -> list[tuple[str, str]]:
        """The same as rows of a name and a text."""
        found = self.as_dict()
        rows = [("kind", self.kind), ("source", self.source)]
        rows += [
            ("input", f"{spec['name']} [batch, {', '.join(map(str, spec['shape']))}]: {spec['meaning']}")
            for spec in found["inputs"]
        ]
        rows += [("parameters", f"{found['parameters']:,} by default")] if found["parameters"] else []
        return rows + [("preset", _preset_line(preset)) for preset in found["presets"]]

    def build(self, options: Options) -> nn.Module:
        """The network, its weights drawn by torch's generator.

        Raises:
            ConfigError: torch is not installed.
        """
        module, function = self.factory.split(":")
        with needs_train(f"the model {self.name}"):
            network: nn.Module = getattr(importlib.import_module(module), function)(options)
        return network


def architecture(name: str) -> Architecture:
    """The architecture of that name.

    Raises:
        ConfigError: there is none; names the nearest one.
    """
    if name not in ARCHITECTURES:
        raise unknown_name("architecture", name, ARCHITECTURES)
    return ARCHITECTURES[name]


def count_parameters(network: nn.Module) -> int:
    """How many numbers training changes."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def parameters_of(found: Architecture, options: Options) -> int | None:
    """Parameters of a network that is not filled with weights; None where torch is not installed."""
    if not can_train():
        return None
    import torch

    with torch.device("meta"):
        return count_parameters(found.build(options))


def can_train() -> bool:
    """Whether torch is installed."""
    return importlib.util.find_spec("torch") is not None


@contextmanager
def needs_train(what: str) -> Iterator[None]:
    """Turns the absence of an optional package into an error that says what to install.

    Raises:
        ConfigError: a package of the extra `train` is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _TRAIN:
            raise
        raise ConfigError(f"{what} needs {missing}: pip install 'pgc-data[train]'") from error


def _preset_line(preset: Mapping[str, Any]) -> str:
    options = ", ".join(f"{name} {value}" for name, value in preset["options"].items())
    parts = [f"{preset['name']}: {options or 'the defaults'}"]
    if preset["parameters"] is not None:
        parts.append(f"{preset['parameters']:,} parameters")
    if preset["published"] is not None:
        parts.append(f"published: {preset['published']:,}")
    return "; ".join([*parts, preset["note"]] if preset["note"] else parts)


def _blocks(name: str, blocks: int, published: int, note: str) -> Preset:
    return Preset(name, {"num_blocks": blocks}, published, note)


ARCHITECTURES = {
    found.name: found
    for found in (
        Architecture(
            "baseline", "pointing", "depthwise separable convolutions, ReLU", _PGC,
            BaselineOptions, f"{_NETWORKS}:baseline",
            (Preset("default", {}, 11_457),),
        ),
        Architecture(
            "inverted_se", "pointing", "inverted residuals with squeeze-and-excitation, SiLU", _PGC,
            InvertedSEOptions, f"{_NETWORKS}:inverted_se",
            (
                _blocks("P", 1, 26_609, "PGC's history, and PPC"),
                _blocks("N", 2, 40_769, "PGC's history, and PPC"),
                _blocks("T", 3, 65_425, "PPC only"),
                _blocks("S", 4, 118_321, "PGC's release"),
                _blocks("C", 5, 212_689, "PGC's release"),
                _blocks("M", 6, 416_785, "PGC's release"),
                _blocks("L", 8, 1_587_153, "PGC's release"),
            ),
        ),
        Architecture(
            "convnext", "pointing", "ConvNeXt blocks, stem of 4x4 patches",
            "PINTO0309/PGC names it; layout from the ConvNeXt paper (arXiv:2201.03545)",
            ConvNeXtOptions, f"{_NETWORKS}:convnext",
        ),
        Architecture(
            "landmark_mlp", "pointing", "the hand's shape alone: positions, spreads and angles", _OURS,
            LandmarkOptions, f"{_NETWORKS}:LandmarkClassifier",
        ),
        Architecture(
            "crop_landmark", "pointing", "inverted_se and landmark_mlp with one head", _OURS,
            CropLandmarkOptions, f"{_NETWORKS}:CropLandmarkClassifier",
        ),
    )
}  # fmt: skip
