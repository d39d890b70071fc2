"""`explain ablate`: how much a pointing model's answer needs each of its layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgc_data.config import option
from pgc_data.errors import ConfigError
from pgc_data.explain.ablation import Effect, ablate
from pgc_data.explain.heatmaps import heat_maps
from pgc_data.explain.pictures import composite_picture, panel_picture
from pgc_data.explain.probe import Probe
from pgc_data.explain.ranking import ranking_chart
from pgc_data.inference.images import image_inputs
from pgc_data.inference.options import found_inputs
from pgc_data.progress import Progress
from pgc_data.stages.explain_heatmaps import write_csv
from pgc_data.stages.explaining import (
    ExplainConfig,
    LayerList,
    Sample,
    Subject,
    fault_lines,
    file_name,
    image_facts,
    open_subject,
    output_folder,
    planned_folder,
    read_sample,
)
from pgc_data.stages.summary import Plan, aligned
from pgc_data.storage.files import write_json

_SHOWN = 15
_RANKED = 6


@dataclass(frozen=True, kw_only=True)
class AblateConfig(ExplainConfig):
    """Which layers are switched off, and for which heat maps are drawn."""

    max_images: int = option(100, "the first images that are looked at", minimum=1)
    ablation_value: float = option(0.0, "what a layer holds everywhere when it is switched off")
    batch_size: int = option(64, "images of one run of the network", minimum=1)
    topk_heatmaps: int = option(_RANKED, "most important layers of which heat maps are drawn", minimum=0)
    topk_image: int = option(0, "number of the image whose heat maps are drawn, from 0", minimum=0)
    composite_sort: str = option(
        "intensity", "the composite's order: most important first (intensity), or that of the network (order)",
        choices=("intensity", "order"),
    )  # fmt: skip


@dataclass(frozen=True)
class AblateSummary:
    """What was found.

    Attributes:
        model: the file.
        folder: where the files are.
        images: path, row, name, probability and label of each.
        offered: images that there were.
        faults: name and reason of those that could not be decoded.
        value: what a layer held when it was switched off.
        ranking: facts of each layer, the most important first.
        pictures: files written.
    """

    model: Path
    folder: Path
    images: tuple[dict[str, Any], ...]
    offered: int
    faults: tuple[tuple[str, str], ...]
    value: float
    ranking: tuple[dict[str, Any], ...]
    pictures: int
    exit_code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values; also what `ablation.json` holds."""
        probabilities = [image["prob_pointing"] for image in self.images]
        return {
            "model": self.model.as_posix(), "ablation_value": self.value,
            "baseline_mean": sum(probabilities) / len(probabilities), "ranking": list(self.ranking),
            "images": list(self.images), "not_decoded": [{"name": name, "error": why} for name, why in self.faults],
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The ranking, and where the files are."""
        head = ("rank", "layer", "name", "kind", "mean |d|", "mean d", "std", "min", "max")
        rows = [
            (str(rank), str(row["layer"]), row["name"], row["kind"], f"{row['mean_abs']:.4f}",
             *(f"{row[key]:+.4f}" for key in ("mean", "std", "min", "max")))
            for rank, row in enumerate(self.ranking[:_SHOWN], 1)
        ]  # fmt: skip
        more = len(self.ranking) - len(rows)
        unseen = self.offered - len(self.images) - len(self.faults)
        return [
            f"{len(self.ranking)} layers switched off one by one, {len(self.images):,} images"
            + (f" (the first of {self.offered:,}: see --max-images)" if unseen else "")
            + "; d = probability as it is - without the layer",
            *aligned([head, *rows]),
            *([f"  and {more} more in ablation.csv"] if more else []),
            *fault_lines(self.faults),
            f"  in {self.folder}: {self.pictures:,} pictures, ablation.json, ablation.csv",
        ]


def plan(config: AblateConfig) -> Plan:
    """What `run` would read and write."""
    subject = open_subject(config)
    if config.list_layers:
        return Plan((config.model,), (), f"{len(subject.layers)} layers to list")
    count = min(image_inputs(found_inputs(config.inputs, config.workspace)).count, config.max_images)
    folder = planned_folder(config, "ablation")
    work = f"{count:,} images x {len(subject.layers)} layers and once without a change"
    return Plan((config.model, *config.inputs), (folder,), work)


def run(config: AblateConfig) -> AblateSummary | LayerList:
    """Switches off each layer in turn, and draws the most important ones; or lists the layers.

    Raises:
        ConfigError: no such model, provider, layer or image; no input; a folder that is not to be overwritten.
        DataError: the model or all images cannot be used, or a file cannot be written.
    """
    subject = open_subject(config)
    if config.list_layers:
        return LayerList(config.model, subject.layers)
    sample = read_sample(config, subject.network)
    if config.topk_image >= len(sample.pictures):
        raise ConfigError(f"topk-image={config.topk_image}: there are images 0 to {len(sample.pictures) - 1}")
    folder = output_folder(config, "ablation")
    probe = Probe(subject.network, subject.model, subject.layers, gates=True, provider=config.provider,
                  threads=subject.threads, value=config.ablation_value)  # fmt: skip
    with Progress("ablate", len(sample.images) * (len(subject.layers) + 1), "runs") as progress:
        _, effects = ablate(probe, subject.layers, sample.images, config.batch_size, progress.add)
    pictures = _draw(config, folder, subject, probe, sample, effects)
    ranking = tuple({"rank": rank, **effect.facts()} for rank, effect in enumerate(effects, 1))
    summary = AblateSummary(
        config.model, folder, tuple(image_facts(sample)), sample.offered, sample.faults, config.ablation_value,
        ranking, pictures,
    )  # fmt: skip
    write_json(folder / "ablation.json", summary.as_dict())
    write_csv(folder / "ablation.csv", ranking)
    return summary


def _draw(
    config: AblateConfig,
    folder: Path,
    subject: Subject,
    probe: Probe,
    sample: Sample,
    effects: Sequence[Effect],
) -> int:
    """The ranking, and heat maps of its first layers; how many pictures were written."""
    ranking_chart(
        folder / "ranking.png", effects, f"What {config.model.name} needs: its layers, switched off one by one",
        f"{len(sample.images):,} images  ·  {min(len(effects), 20)} of {len(effects)} layers, by the mean size of the "
        f"change  ·  switched off: {config.ablation_value:g} everywhere",
    )  # fmt: skip
    at, picture = config.topk_image, sample.pictures[config.topk_image]
    places = {tensor.name: place for place, tensor in enumerate(subject.layers)}
    best = [effect for effect in effects if effect.tensor.map_size is not None][: config.topk_heatmaps]
    if not best:
        return 1
    (values,) = probe.maps(sample.images[at : at + 1], [places[effect.tensor.name] for effect in best])
    maps = heat_maps([effect.tensor for effect in best], values, config.reduce)
    drawn = list(zip(maps, best, strict=True))
    for rank, (heat, _) in enumerate(drawn, 1):
        panel_picture(
            folder / "heatmaps" / f"{file_name(rank, heat.tensor.title)}.png", picture, heat, config.style
        )
    if config.composite_sort == "order":
        drawn.sort(key=lambda pair: pair[0].tensor.index)
    order = "most important first" if config.composite_sort == "intensity" else "in the order of the network"
    notes = [f"The {len(drawn)} layers that matter most, {order}"]
    notes += [
        f"change: size {effect.weight:.3f}, mean {float(effect.deltas.mean()):+.3f}" for _, effect in drawn
    ]
    composite_picture(
        folder / "composite.png",
        picture,
        [heat for heat, _ in drawn],
        config.style,
        config.composite_layout,
        notes,
    )
    return len(drawn) + 2
