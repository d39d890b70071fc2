"""What `explain heatmaps` and `explain ablate` have in common: options, the network, the images, their files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgc_data.config import Config, option
from pgc_data.engines import cores
from pgc_data.errors import ConfigError, DataError
from pgc_data.explain.choose import Choice, chosen
from pgc_data.explain.graph import Tensor, activations, all_tensors, load_network
from pgc_data.explain.heatmaps import ORDERS, REDUCTIONS
from pgc_data.explain.pictures import LAYOUTS, Picture, Style
from pgc_data.inference.images import ImageItem, image_inputs
from pgc_data.inference.network import Images, PointingNetwork
from pgc_data.inference.options import found_inputs, size_option
from pgc_data.inference.resize import resized
from pgc_data.onnx_session import PROVIDERS
from pgc_data.stages.summary import aligned
from pgc_data.storage.files import ensure_writable

if TYPE_CHECKING:
    import onnx

_UNSAFE = re.compile(r"[^A-Za-z0-9.+@-]+")
_LONGEST_NAME = 80


@dataclass(frozen=True, kw_only=True)
class ExplainConfig(Config):
    """Which layers of which model, on which images, and how they are drawn."""

    model: Path = option(..., "ONNX file of a pointing model, ours or PGC's", argument=True, local=True)
    inputs: tuple[Path, ...] = option(
        (), "images, folders of them, Parquet files, or the name of a dataset in the workspace", argument=True
    )
    max_images: int = option(0, "the first images that are looked at", minimum=1)
    list_layers: bool = option(False, "list the layers that can be looked at, and do nothing else")
    layers: tuple[str, ...] = option(
        (), "layer to look at, by its number or name as listed; may be repeated", metavar="LAYER"
    )
    name: tuple[str, ...] = option((), "only layers whose name holds this; may be repeated", metavar="TEXT")
    regex: str | None = option(None, "only layers whose name matches", metavar="PATTERN")
    op_type: tuple[str, ...] = option(
        (),
        "only layers of this kind, such as SiLU, or with --all an operator; may be repeated",
        metavar="KIND",
    )
    all: bool = option(False, "every tensor is a layer, not activations alone")
    limit: int | None = option(None, "the most layers, from the first", minimum=1)
    image_size: str | None = option(
        None, "height and width for a model that leaves them open; 32x32 by default", metavar="HxW"
    )
    reduce: str = option("mean", "how the channels of a layer become one map", choices=REDUCTIONS)
    cmap: str = option("turbo", "matplotlib colour map", metavar="NAME")
    invert_cmap: bool = option(False, "turn the colour map round")
    alpha: float = option(0.55, "of the heat map over the image", minimum=0.0, maximum=1.0)
    composite_sort: str = option(
        "intensity", "the composite's order: strongest first, or that of the network", choices=ORDERS
    )
    composite_layout: str = option(
        "row", "the composite's layers beside or below each other", choices=LAYOUTS
    )
    out: Path | None = option(
        None, "folder to write to; named after the model, here, by default", metavar="FOLDER"
    )
    overwrite: bool = option(False, "write into a folder that is not empty")
    provider: str = option("cpu", "what the network runs on", choices=PROVIDERS)

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ConfigError: see `Config`; or a size, pattern or colour map that is none.
        """
        super().__post_init__()
        size_option(self.image_size)
        self.choice.check()
        _ = self.style.colours

    @property
    def choice(self) -> Choice:
        """Which layers."""
        return Choice(self.layers, self.name, self.regex, self.op_type, self.limit)

    @property
    def style(self) -> Style:
        """How heat maps are drawn."""
        return Style(self.cmap, self.invert_cmap, self.alpha, self.reduce)


@dataclass(frozen=True, eq=False)
class Subject:
    """A network and those of its layers that are looked at.

    Attributes:
        network: as it is.
        model: its graph.
        layers: chosen.
        threads: for a session.
    """

    network: PointingNetwork
    model: onnx.ModelProto
    layers: tuple[Tensor, ...]
    threads: int


@dataclass(frozen=True, eq=False)
class Sample:
    """The images that are looked at.

    Attributes:
        items: those that could be decoded.
        pictures: of these.
        images: (B, 3, H, W), as the network takes them.
        faults: name and reason of each that could not.
        offered: images that there are.
    """

    items: tuple[ImageItem, ...]
    pictures: tuple[Picture, ...]
    images: Images
    faults: tuple[tuple[str, str], ...]
    offered: int


@dataclass(frozen=True)
class LayerList:
    """What `--list-layers` says."""

    model: Path
    layers: tuple[Tensor, ...]
    exit_code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The layers as JSON values."""
        return {"model": str(self.model), "layers": [layer_facts(tensor) for tensor in self.layers]}

    def lines(self) -> list[str]:
        """The layers as a table."""
        rows = [(str(t.index), t.node, t.kind, t.size_text, t.name) for t in self.layers]
        return [
            f"{self.model}: {len(rows)} layers",
            *aligned([("layer", "name", "kind", "shape", "tensor"), *rows]),
        ]


def layer_facts(tensor: Tensor) -> dict[str, Any]:
    """A layer as JSON values."""
    return {
        "layer": tensor.index, "name": tensor.node, "tensor": tensor.name, "kind": tensor.kind,
        "shape": list(tensor.shape),
    }  # fmt: skip


def open_subject(config: ExplainConfig) -> Subject:
    """Opens the model and chooses the layers.

    Raises:
        ConfigError: the package onnx is not installed; no such model, provider or layer.
        DataError: the model cannot be used, or has no layer to look at.
    """
    threads = cores()
    network = PointingNetwork(
        config.model, config.provider, threads=threads, size=size_option(config.image_size)
    )
    network.need_images_alone()
    model = load_network(config.model, network.size)
    tensors = all_tensors(model) if config.all else activations(model)
    return Subject(network, model, tuple(chosen(tensors, config.choice, str(config.model))), threads)


def read_sample(config: ExplainConfig, network: PointingNetwork) -> Sample:
    """Reads the images, and what the network says of them.

    Raises:
        ConfigError: none is given.
        DataError: an input is not there, or none can be decoded.
    """
    inputs = image_inputs(found_inputs(config.inputs, config.workspace))
    items, crops, faults = list[ImageItem](), list[Any](), list[tuple[str, str]]()
    for item in inputs:
        if len(items) == config.max_images:
            break
        try:
            crops.append(item.decoded())
            items.append(item)
        except DataError as error:
            faults.append((item.name, str(error)))
    if not items:
        why = f"; {faults[0][0]}: {faults[0][1]}" if faults else ""
        raise DataError(f"none of {inputs.count:,} images can be decoded{why}")
    images = network.images(crops)
    pictures = [
        Picture(item.name, crop, resized(crop, network.size), probability, _label(probability, network))
        for item, crop, probability in zip(items, crops, network.probabilities(images).tolist(), strict=True)
    ]
    return Sample(tuple(items), tuple(pictures), images, tuple(faults), inputs.count)


def _label(probability: float, network: PointingNetwork) -> str:
    facts = network.facts
    return facts.positive if probability >= facts.threshold else facts.negative


def output_folder(config: ExplainConfig, suffix: str) -> Path:
    """The folder to write to, made if needed.

    Raises:
        ConfigError: it holds something and is not to be overwritten.
        DataError: it cannot be written.
    """
    folder = planned_folder(config, suffix)
    if folder.is_dir() and any(folder.iterdir()) and not config.overwrite:
        raise ConfigError(f"{folder} is not empty: pass --overwrite to write into it, or another --out")
    ensure_writable(folder)
    return folder


def planned_folder(config: ExplainConfig, suffix: str) -> Path:
    """The folder that `output_folder` would take."""
    return config.out or Path(f"{config.model.stem}_{suffix}")


def file_name(number: int, text: str) -> str:
    """A file's name without its ending: a number, and a text without what file systems refuse; its end if long."""
    return f"{number:03d}_{_UNSAFE.sub('_', text)[-_LONGEST_NAME:].strip('._-') or 'image'}"


def image_facts(sample: Sample) -> list[dict[str, Any]]:
    """The images as JSON values."""
    return [
        {
            "path": item.path.as_posix(), "row": item.row, "name": item.name,
            "prob_pointing": picture.probability, "label": picture.label,
        }
        for item, picture in zip(sample.items, sample.pictures, strict=True)
    ]  # fmt: skip


def fault_lines(faults: Sequence[tuple[str, str]]) -> list[str]:
    """The images that could not be decoded, the first of them named."""
    if not faults:
        return []
    name, why = faults[0]
    return [f"  {len(faults):,} images not decoded; {name}: {why}"]
