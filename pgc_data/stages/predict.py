"""`predict`: what an exported pointing model says of images, folders of them, and Parquet tables."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgc_data.config import Config, option
from pgc_data.engines import cores
from pgc_data.errors import ConfigError, DataError
from pgc_data.inference.images import ImageItem, image_inputs
from pgc_data.inference.network import PointingNetwork
from pgc_data.inference.options import found_inputs, size_option
from pgc_data.inference.resize import Size, resized
from pgc_data.inference.rows import TABLE_SUFFIXES, RowWriter, check_suffix
from pgc_data.onnx_session import PROVIDERS
from pgc_data.progress import Progress
from pgc_data.stages.summary import Plan, aligned

_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class PredictConfig(Config):
    """Which images, by which model, and where the answers go."""

    model: Path = option(..., "ONNX file of a pointing model, ours or PGC's", argument=True, local=True)
    inputs: tuple[Path, ...] = option(
        (), "images, folders of them, Parquet files, or the name of a dataset in the workspace", argument=True
    )
    output: Path | None = option(
        None,
        "file to write, CSV or Parquet by its ending; without one the first rows are printed",
        metavar="FILE",
    )
    threshold: float | None = option(
        None,
        "probability from which an image is positive; the model's own by default",
        minimum=0.0,
        maximum=1.0,
    )
    image_size: str | None = option(
        None, "height and width for a model that leaves them open; 32x32 by default", metavar="HxW"
    )
    batch_size: int = option(64, "images of one call of the network", minimum=1)
    workers: int | None = option(None, "threads that decode; one for each core by default", minimum=1)
    provider: str = option("cpu", "what the network runs on", choices=PROVIDERS)
    strict: bool = option(False, "exit with status 1 if any image could not be decoded")

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ConfigError: see `Config`; or a size that is none, an output of another ending.
        """
        super().__post_init__()
        size_option(self.image_size)
        if self.output is not None:
            check_suffix("output", self.output, TABLE_SUFFIXES)


@dataclass(frozen=True)
class PredictSummary:
    """What was predicted.

    Attributes:
        model: the file.
        images: looked at.
        labels: class name -> images.
        errors: images that could not be decoded.
        threshold: used.
        first: the first rows, and the first that failed.
        written: the file, or None.
        exit_code: 1 where nothing could be decoded, or with `strict` anything could not.
    """

    model: Path
    images: int
    labels: dict[str, int]
    errors: int
    threshold: float
    first: tuple[dict[str, Any], ...]
    written: Path | None
    exit_code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values; the rows themselves only where they are in no file."""
        return {
            "model": str(self.model), "images": self.images, "labels": self.labels, "errors": self.errors,
            "threshold": self.threshold, "written": None if self.written is None else str(self.written),
            **({"first_rows": list(self.first)} if self.written is None else {}),
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The result as lines of text."""
        found = ", ".join(f"{count:,} {label}" for label, count in self.labels.items())
        lines = [
            f"{self.images:,} images: {found} (threshold {self.threshold:g}), {self.errors:,} not decoded"
        ]
        shown = [row for row in self.first if row["error"] is not None] if self.written else list(self.first)
        if shown:
            lines += aligned([(_place(row), *_answer(row)) for row in shown])
        if self.written is not None:
            lines.append(f"written: {self.written}")
        elif self.images > len(shown):
            lines.append(f"  and {self.images - len(shown):,} more: --output FILE writes all of them")
        return lines


def _place(row: dict[str, Any]) -> str:
    return row["path"] if row["row"] is None else f"{row['path']}, row {row['row']}"


def _answer(row: dict[str, Any]) -> tuple[str, str]:
    if row["error"] is not None:
        return "", row["error"]
    return f"{row['prob_pointing']:.4f}", row["label"]


def plan(config: PredictConfig) -> Plan:
    """What `run` would read and write."""
    _network(config)
    inputs = image_inputs(found_inputs(config.inputs, config.workspace))
    written = () if config.output is None else (config.output,)
    return Plan(
        (config.model, *config.inputs), written, f"{inputs.count:,} images in {len(inputs.files):,} files"
    )


def run(config: PredictConfig) -> PredictSummary:
    """Predicts every image; one that cannot be decoded becomes a row that says why.

    Raises:
        ConfigError: no such model or provider, or a size that is not the model's.
        DataError: the model cannot be used, an input is not there or is no table of images, or the output cannot be
            written.
    """
    network = _network(config)
    inputs = image_inputs(found_inputs(config.inputs, config.workspace))
    threshold = network.facts.threshold if config.threshold is None else config.threshold
    labels = dict.fromkeys((network.facts.positive, network.facts.negative), 0)
    images, errors, first = 0, 0, list[dict[str, Any]]()
    with _writer(config, threshold) as writer, Progress("predict", inputs.count, "images") as progress:
        for rows in _rows(network, iter(inputs), config, threshold):
            if writer is not None:
                writer.write(rows)
            for row in rows:
                if row["error"] is None:
                    labels[row["label"]] += 1
                else:
                    errors += 1
                if len(first) < _SHOWN and (writer is None or row["error"] is not None):
                    first.append(row)
            images += len(rows)
            progress.add(len(rows))
    failed = images == errors or (config.strict and errors > 0)
    return PredictSummary(
        config.model, images, labels, errors, threshold, tuple(first), config.output, int(failed)
    )


def _network(config: PredictConfig) -> PointingNetwork:
    network = PointingNetwork(
        config.model, config.provider, threads=config.workers or cores(), size=size_option(config.image_size)
    )
    network.need_images_alone()
    return network


def _writer(config: PredictConfig, threshold: float) -> Any:
    if config.output is None:
        return nullcontext()
    if config.output.is_dir():
        raise ConfigError(f"output={config.output} is a folder: give a file in it")
    return RowWriter(config.output, "predictions", {"model": config.model.name, "threshold": threshold})


def _rows(
    network: PointingNetwork, items: Iterator[ImageItem], config: PredictConfig, threshold: float
) -> Iterator[list[dict[str, Any]]]:
    """The rows of one batch after the other."""
    with ThreadPoolExecutor(config.workers or cores()) as pool:
        while batch := list(islice(items, config.batch_size)):
            decoded = list(pool.map(partial(_decoded, size=network.size), batch))
            crops = [image for image in decoded if not isinstance(image, str)]
            found = iter(network.probabilities(network.images(crops)).tolist() if crops else ())
            yield [
                _row(item, image if isinstance(image, str) else next(found), network, threshold)
                for item, image in zip(batch, decoded, strict=True)
            ]


def _decoded(item: ImageItem, size: Size) -> NDArray[np.uint8] | str:
    """The image in the network's size, for a batch of photographs would fill the memory; or why there is none."""
    try:
        return resized(item.decoded(), size)
    except DataError as error:
        return str(error)


def _row(item: ImageItem, answer: float | str, network: PointingNetwork, threshold: float) -> dict[str, Any]:
    place = {"path": item.path.as_posix(), "row": item.row, "name": item.name}
    if isinstance(answer, str):
        return {**place, "prob_pointing": None, "label": None, "error": answer}
    label = network.facts.positive if answer >= threshold else network.facts.negative
    return {**place, "prob_pointing": answer, "label": label, "error": None}
