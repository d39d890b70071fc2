"""`explain heatmaps`: where in an image each layer of a pointing model answers."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pgc_data.config import option
from pgc_data.errors import DataError
from pgc_data.explain.heatmaps import HeatMap, heat_maps, on_one_scale, strongest
from pgc_data.explain.pictures import Picture, Style, composite_picture, panel_picture
from pgc_data.explain.probe import Probe
from pgc_data.inference.images import image_inputs
from pgc_data.inference.options import found_inputs
from pgc_data.progress import Progress
from pgc_data.stages.explaining import (
    ExplainConfig,
    LayerList,
    Sample,
    fault_lines,
    file_name,
    image_facts,
    open_subject,
    output_folder,
    planned_folder,
    read_sample,
)
from pgc_data.stages.summary import Plan, aligned
from pgc_data.storage.files import atomic_path, write_json

_SCALES = ("image", "layer")
_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class HeatmapsConfig(ExplainConfig):
    """Which heat maps, and how they are drawn."""

    max_images: int = option(8, "the first images that are looked at", minimum=1)
    scale: str = option(
        "image",
        "what the colours of a layer span: its range in each image, or its range in all",
        choices=_SCALES,
    )
    composite_topk: int = option(6, "layers of the composite; 0 writes none", minimum=0)

    @property
    def style(self) -> Style:
        """How heat maps are drawn."""
        return replace(super().style, shared=self.scale == "layer")


@dataclass(frozen=True)
class HeatmapsSummary:
    """What was drawn.

    Attributes:
        model: the file.
        folder: where it is.
        images: path, row, name, probability and label of each.
        offered: images that there were.
        faults: name and reason of those that could not be decoded.
        rows: facts of each heat map.
        pictures: files written.
    """

    model: Path
    folder: Path
    images: tuple[dict[str, Any], ...]
    offered: int
    faults: tuple[tuple[str, str], ...]
    rows: tuple[dict[str, Any], ...]
    pictures: int
    exit_code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values; also what `heatmaps.json` holds."""
        return {
            "model": self.model.as_posix(), "images": list(self.images), "heatmaps": list(self.rows),
            "not_decoded": [{"name": name, "error": why} for name, why in self.faults],
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The result as lines of text."""
        table = [(image["name"], f"{image['prob_pointing']:.4f}", image["label"]) for image in self.images]
        more = self.offered - len(self.images) - len(self.faults)
        return [
            f"{len(self.rows):,} heat maps of {len(self.images):,} images"
            + (f" (the first of {self.offered:,}: see --max-images)" if more else ""),
            *aligned(table[:_SHOWN]),
            *fault_lines(self.faults),
            f"  in {self.folder}: {self.pictures:,} pictures, heatmaps.json, heatmaps.csv",
        ]


def plan(config: HeatmapsConfig) -> Plan:
    """What `run` would read and write."""
    subject = open_subject(config)
    if config.list_layers:
        return Plan((config.model,), (), f"{len(subject.layers)} layers to list")
    count = min(image_inputs(found_inputs(config.inputs, config.workspace)).count, config.max_images)
    folder = planned_folder(config, "heatmaps")
    return Plan((config.model, *config.inputs), (folder,), f"{count:,} images x {len(subject.layers)} layers")


def run(config: HeatmapsConfig) -> HeatmapsSummary | LayerList:
    """Draws the heat maps, or lists the layers.

    Raises:
        ConfigError: no such model, provider or layer; no input; a folder that is not to be overwritten.
        DataError: the model or all images cannot be used, or a picture cannot be written.
    """
    subject = open_subject(config)
    if config.list_layers:
        return LayerList(config.model, subject.layers)
    layers = [tensor for tensor in subject.layers if tensor.map_size is not None]
    if not layers:
        raise DataError(
            f"none of the {len(subject.layers)} layers chosen is a map of several places: see --list-layers"
        )
    sample = read_sample(config, subject.network)
    folder = output_folder(config, "heatmaps")
    probe = Probe(subject.network, subject.model, layers, gates=False, provider=config.provider,
                  threads=subject.threads)  # fmt: skip
    maps = [heat_maps(layers, values, config.reduce) for values in probe.maps(sample.images)]
    if config.scale == "layer":
        maps = on_one_scale(maps)
    written = _draw(config, folder, sample, maps)
    rows = [
        {"image": picture.name, **each.facts()}
        for picture, of_image in zip(sample.pictures, maps, strict=True)
        for each in of_image
    ]
    summary = HeatmapsSummary(
        config.model, folder, tuple(image_facts(sample)), sample.offered, sample.faults, tuple(rows), written
    )
    write_json(folder / "heatmaps.json", summary.as_dict())
    write_csv(folder / "heatmaps.csv", rows)
    return summary


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes rows of equal keys, lists joined by x, atomically."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {
                    key: "x".join(map(str, value)) if isinstance(value, list) else value
                    for key, value in row.items()
                }
            )


def _draw(config: HeatmapsConfig, folder: Path, sample: Sample, maps: Sequence[Sequence[HeatMap]]) -> int:
    written = 0
    with Progress("heatmaps", sum(map(len, maps)), "heat maps") as progress:
        for number, (picture, of_image) in enumerate(zip(sample.pictures, maps, strict=True)):
            inside = folder / file_name(number, Path(picture.name).stem)
            for heat in of_image:
                panel_picture(
                    inside / f"{file_name(heat.tensor.index, heat.tensor.title)}.png",
                    picture,
                    heat,
                    config.style,
                )
                progress.add(1)
            written += len(of_image)
            if config.composite_topk:
                _composite(config, inside / "composite.png", picture, of_image)
                written += 1
    return written


def _composite(config: HeatmapsConfig, path: Path, picture: Picture, maps: Sequence[HeatMap]) -> None:
    best = strongest(maps, config.composite_topk, config.composite_sort)
    order = "strongest first" if config.composite_sort == "intensity" else "in the order of the network"
    which = (
        f"All {len(best)} layers"
        if len(best) == len(maps)
        else f"The {len(best)} strongest of {len(maps)} layers"
    )
    title = f"{which}, {order}"
    notes = [title, *(f"mean {float(each.values.mean()):.3g}" for each in best)]
    composite_picture(path, picture, best, config.style, config.composite_layout, notes)
