"""`export-onnx`: a trained model as ONNX, checked against torch; smaller variants; how accurate and fast each is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pgc_data.config import Config, option
from pgc_data.errors import ConfigError, DataError
from pgc_data.loaders.dataset import TableDataset, load
from pgc_data.models.registry import count_parameters, needs_train
from pgc_data.paths import as_path
from pgc_data.stages.summary import Plan, aligned
from pgc_data.storage.files import write_bytes
from pgc_data.storage.workspace import Workspace

if TYPE_CHECKING:
    import onnx

    from pgc_data.models.options import TensorSpec
    from pgc_data.training.crops import Crops

LARGEST_DIFFERENCE = 1e-5
_ROWS = 1024
_DRAWN_ROWS = 128
# The split to compare on: what the model has not seen, if there is any.
_COMPARED = ("test", "val", "train")


@dataclass(frozen=True, kw_only=True)
class ExportOnnxConfig(Config):
    """Which checkpoint to export, and what besides."""

    checkpoint: Path = option(..., "checkpoint that train wrote", argument=True, local=True)
    output: Path | None = option(
        None,
        "ONNX file to write (default: beside the checkpoint)",
        recorded=False,
        metavar="FILE",
        local=True,
    )
    fp16: bool = option(False, "also write a float16 variant, NAME_fp16.onnx")
    int8: bool = option(False, "also write an int8 variant, NAME_int8.onnx; needs --crops")
    crops: str | None = option(
        None,
        "crops to check and calibrate on: a dataset's name in the workspace, its folder or a Parquet file "
        "(default: drawn inputs)",
        metavar="PATH",
    )
    overwrite: bool = option(False, "replace files that are there", recorded=False)

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ConfigError: see `Config`; or there are no crops to calibrate on; or the output is no ONNX file.
        """
        super().__post_init__()
        if self.int8 and self.crops is None:
            raise ConfigError("int8 needs real crops to see the range of every tensor: give --crops DATASET")
        if self.file.suffix != ".onnx":
            raise ConfigError(f"output={self.file} is not an ONNX file: give a name that ends in .onnx")

    @property
    def file(self) -> Path:
        """The float32 file."""
        return self.output or self.checkpoint.with_suffix(".onnx")

    @property
    def files(self) -> dict[str, Path]:
        """Variant -> file, in the order they are made."""
        variants = [name for name, wanted in (("fp16", self.fp16), ("int8", self.int8)) if wanted]
        smaller = {name: self.file.with_name(f"{self.file.stem}_{name}.onnx") for name in variants}
        return {"fp32": self.file, **smaller}


@dataclass(frozen=True)
class VariantReport:
    """What was measured of one form of the model.

    Attributes:
        name: torch, fp32, fp16 or int8.
        file: its file; None for torch.
        bytes: size of the file.
        largest_difference: of a probability from torch's.
        same_verdict: share of rows on the same side of the threshold as torch.
        accuracy: share of rows classified as labelled; None on drawn inputs.
        f1: of the positive class; None on drawn inputs.
        latency_ms: batch size -> median milliseconds a call, one thread.
    """

    name: str
    file: Path | None
    bytes: int | None
    largest_difference: float
    same_verdict: float
    accuracy: float | None
    f1: float | None
    latency_ms: Mapping[int, float]

    def as_dict(self) -> dict[str, Any]:
        """All numbers as plain JSON values."""
        return {
            "name": self.name,
            "file": None if self.file is None else self.file.as_posix(),
            "bytes": self.bytes,
            "largest_difference": self.largest_difference,
            "same_verdict": self.same_verdict,
            "accuracy": self.accuracy,
            "f1": self.f1,
            "latency_ms": {str(batch): ms for batch, ms in self.latency_ms.items()},
        }


@dataclass(frozen=True)
class ExportOnnxSummary:
    """What was written, and how it compares with torch.

    Attributes:
        architecture: name of the model.
        parameters: how many numbers it has.
        checked_on: the rows that variants were compared on, in words.
        variants: torch first.
    """

    architecture: str
    parameters: int
    checked_on: str
    variants: tuple[VariantReport, ...]

    @property
    def exit_code(self) -> int:
        """0: a model that differs from torch is not written."""
        return 0

    def as_dict(self) -> dict[str, Any]:
        """All numbers as plain JSON values."""
        return {
            "architecture": self.architecture,
            "parameters": self.parameters,
            "checked_on": self.checked_on,
            "variants": [variant.as_dict() for variant in self.variants],
        }

    def lines(self) -> list[str]:
        """A table of the variants, and where they are."""
        batches = tuple(self.variants[0].latency_ms)
        head = (
            "",
            "bytes",
            "largest difference",
            "same verdict",
            "accuracy",
            "F1",
            *(f"ms, batch {b}" for b in batches),
        )
        rows = [
            (
                v.name,
                "" if v.bytes is None else f"{v.bytes:,}",
                f"{v.largest_difference:.1e}",
                f"{v.same_verdict:.2%}",
                "" if v.accuracy is None else f"{v.accuracy:.2%}",
                "" if v.f1 is None else f"{v.f1:.3f}",
                *(f"{ms:.3f}" for ms in v.latency_ms.values()),
            )
            for v in self.variants
        ]
        written = [f"written: {v.file}" for v in self.variants if v.file is not None]
        return [
            f"{self.architecture}, {self.parameters:,} parameters, compared with torch on {self.checked_on}; "
            "latency on 1 thread",
            *aligned([head, *rows]),
            *written,
        ]


def plan(config: ExportOnnxConfig) -> Plan:
    """What `run` would read and write."""
    dataset = _dataset(config)
    reads = [config.checkpoint, *(dataset.files if dataset else ())]
    return Plan(tuple(reads), tuple(config.files.values()), f"the model as {', '.join(config.files)}")


def run(config: ExportOnnxConfig) -> ExportOnnxSummary:
    """Exports a checkpoint.

    Raises:
        ConfigError: an output exists and is not to be replaced; a package of the extra `train` is missing.
        DataError: the checkpoint or the crops cannot be read; or the graph differs from torch by more than 1e-5, and
            nothing is written.
    """
    there = [path for path in config.files.values() if path.exists()]
    if there and not config.overwrite:
        raise ConfigError(f"{there[0]} exists: pass --overwrite to replace it, or another --output")
    with needs_train("export-onnx"):
        return _export(config)


def _export(config: ExportOnnxConfig) -> ExportOnnxSummary:
    from pgc_data.training.checkpoints import load_model, read_checkpoint
    from pgc_data.training.export import export_onnx, torch_probabilities
    from pgc_data.training.latency import torch_latency

    checkpoint = read_checkpoint(config.checkpoint)
    model, found, options = load_model(checkpoint, config.checkpoint)
    graph = export_onnx(model, found, options, checkpoint.facts)
    calibration, crops, checked_on = _checks(config, options.inputs, checkpoint.facts["positive"])
    graphs = _variants(config, graph, calibration)
    reference = torch_probabilities(model, found.kind, crops.inputs)
    judge = _Judge(crops, reference, float(checkpoint.facts["threshold"]))
    reports = [judge.report("torch", None, None, reference, torch_latency(model, judge.timed))]
    reports += [judge.report_graph(name, config.files[name], graph) for name, graph in graphs.items()]
    if not reports[1].largest_difference <= LARGEST_DIFFERENCE:
        raise DataError(
            f"the exported graph of {config.checkpoint} differs from torch by {reports[1].largest_difference:.1e}, "
            f"more than {LARGEST_DIFFERENCE:.0e}: nothing was written; please report it with torch's version"
        )
    for name, graph in graphs.items():
        write_bytes(config.files[name], graph.SerializeToString())
    return ExportOnnxSummary(found.name, count_parameters(model), checked_on, tuple(reports))


def _variants(
    config: ExportOnnxConfig, graph: onnx.ModelProto, calibration: Crops
) -> dict[str, onnx.ModelProto]:
    from pgc_data.training.variants import to_fp16, to_int8

    graphs = {"fp32": graph}
    if config.fp16:
        graphs["fp16"] = to_fp16(graph)
    if config.int8:
        graphs["int8"] = to_int8(graph, calibration.inputs)
    return graphs


class _Judge:
    """Compares probabilities with torch's and with the labels."""

    def __init__(self, crops: Crops, reference: NDArray[np.float32], threshold: float) -> None:
        from pgc_data.training.latency import BATCHES

        self._crops, self._reference, self._threshold = crops, reference, threshold
        repeats = -(-max(BATCHES) // len(crops))
        self.timed = {name: np.concatenate([rows] * repeats) for name, rows in crops.inputs.items()}

    def report_graph(self, name: str, file: Path, graph: onnx.ModelProto) -> VariantReport:
        from pgc_data.training.export import onnx_probabilities
        from pgc_data.training.latency import onnx_latency

        found = onnx_probabilities(graph, self._crops.inputs)
        return self.report(name, file, graph.ByteSize(), found, onnx_latency(graph, self.timed))

    def report(
        self,
        name: str,
        file: Path | None,
        size: int | None,
        found: NDArray[np.float32],
        latency: Mapping[int, float],
    ) -> VariantReport:
        verdict, positive = found >= self._threshold, self._crops.positive
        return VariantReport(
            name=name,
            file=file,
            bytes=size,
            largest_difference=float(np.abs(found - self._reference).max()),
            same_verdict=float((verdict == (self._reference >= self._threshold)).mean()),
            accuracy=None if positive is None else float((verdict == positive).mean()),
            f1=None if positive is None else _f1(verdict, positive),
            latency_ms=latency,
        )


def _f1(verdict: NDArray[np.bool_], positive: NDArray[np.bool_]) -> float:
    wrong = int((verdict != positive).sum())
    hits = int((verdict & positive).sum())
    return 2 * hits / (2 * hits + wrong) if hits else 0.0


def _checks(config: ExportOnnxConfig, specs: Sequence[TensorSpec], positive: str) -> tuple[Crops, Crops, str]:
    """Crops to calibrate on, crops to compare on, and what those are."""
    from pgc_data.training.crops import Crops, read_crops
    from pgc_data.training.export import drawn_inputs
    from pgc_data.training.variants import CALIBRATION_ROWS

    dataset = _dataset(config)
    if dataset is None:
        drawn = Crops(drawn_inputs(specs, _DRAWN_ROWS))
        return drawn, drawn, f"{_DRAWN_ROWS} drawn inputs"
    split = next((name for name in _COMPARED if name in dataset.splits), next(iter(dataset.splits), ""))
    if not split:
        raise DataError(f"{config.crops} has no rows: give another dataset")
    learnt = "train" if "train" in dataset.splits else split
    crops = read_crops(dataset.split(split), specs, _ROWS, positive)
    calibration = read_crops(dataset.split(learnt), specs, CALIBRATION_ROWS, positive)
    if not len(crops) or not len(calibration):
        raise DataError(f"{config.crops} has no valid landmarks, which the model takes: give another dataset")
    return calibration, crops, f"{len(crops):,} crops of {config.crops}, {split}"


def _dataset(config: ExportOnnxConfig) -> TableDataset | None:
    """The dataset at the path or of the name given."""
    if config.crops is None:
        return None
    given, named = as_path(config.crops), Workspace(config.workspace).parquet(config.crops)
    return load(given if given.exists() else named, "crops")
