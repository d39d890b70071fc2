"""An ONNX network that finds boxes, under PGC's contract, run by ONNX Runtime."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from pgc_data.errors import ConfigError, DataError
from pgc_data.hands.media import Image
from pgc_data.hands.model_file import ModelFile
from pgc_data.storage.files import sha256_file

log = logging.getLogger(__name__)

Rows = NDArray[np.float32]

# Each with what works on the nodes that it cannot.
_PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}
PROVIDERS = tuple(_PROVIDERS)
# Images of one call where the batch is free: eight photographs of HaGRID as float32 are 200 MB.
_BATCH = 8
_COLUMNS = 6
_TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}
_CONTRACT = (
    "a detector takes BGR images (B, 3, height, width), float32 or uint8, 0 to 255, and gives float32 "
    "(B, N, 6): class, x1, y1, x2, y2 as fractions of the image, score"
)
# What ONNX Runtime raises has no common base but Exception.
_FAILURES = (
    *(
        getattr(ort_errors, name)
        for name in (
            "EPFail", "EngineError", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoModel",
            "NoSuchFile", "NotImplemented", "RuntimeException",
        )
    ),
    RuntimeError, ValueError,
)  # fmt: skip


def find_detector(path: Path, provider: str) -> ModelFile:
    """Checks a detector and where it is to run, without a GPU.

    Args:
        path: the ONNX file.
        provider: one of `PROVIDERS`.

    Raises:
        ConfigError: no such file, or ONNX Runtime as it is installed lacks the provider.
        DataError: the file is no detector of this contract.
    """
    check_provider(provider)
    if not path.is_file():
        raise ConfigError(f"no detector {path}: check --detector")
    DetectorNetwork(path, "cpu")
    model = ModelFile(path, sha256_file(path), "given by the user")
    log.info("detector %s (sha256 %s)", path, model.sha256[:12])
    return model


def check_provider(provider: str) -> None:
    """Refuses a provider that ONNX Runtime was built without.

    Raises:
        ConfigError: naming those it has.
    """
    offered = onnxruntime.get_available_providers()
    if _PROVIDERS[provider][0] not in offered:
        have = ", ".join(name for name, (first, *_) in _PROVIDERS.items() if first in offered)
        raise ConfigError(
            f"provider={provider} is not in this ONNX Runtime {onnxruntime.__version__}, which has {have}: install "
            "onnxruntime-gpu in its place, or take one of these"
        )


class DetectorNetwork:
    """A network that takes a batch of BGR images as they are and gives rows of class, x1, y1, x2, y2, score.

    Scaling and normalising are the network's own, as in PGC: it gets 0 to 255 at the image's own size, or stretched to
    the size of its input where that is fixed, which leaves fractions of the image what they are.

    Attributes:
        batch: how many images it takes at once.
    """

    def __init__(self, path: Path, provider: str) -> None:
        """Loads the network with one thread of its own.

        Raises:
            DataError: the file is no such network, or the provider cannot be used on this machine.
        """
        self._name = path.name
        self._session = _open(path, provider)
        self._check_inputs()
        self._check_output()

    def _check_inputs(self) -> None:
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise self._refused(f"has {len(inputs)} inputs ({', '.join(i.name for i in inputs)})")
        (only,) = inputs
        if only.type not in _TYPES:
            raise self._refused(f"takes {only.type}")
        self._input, self._type = only.name, _TYPES[only.type]
        shape = [side if isinstance(side, int) else None for side in only.shape]
        if len(shape) != 4 or shape[1] not in (3, None):
            raise self._refused(f"takes an input of shape {only.shape}")
        self._size = (shape[2], shape[3])
        if shape[0] not in (1, None):
            raise self._refused(
                f"takes batches of {shape[0]} alone; export it with a batch of 1 or a free one"
            )
        self.batch = shape[0] or _BATCH

    def _check_output(self) -> None:
        first = self._session.get_outputs()[0]
        if first.type != "tensor(float)":
            raise self._refused(f"gives {first.type}")
        self._output, shape = first.name, first.shape
        last = shape[-1] if shape else None
        if shape and (len(shape) not in (2, 3) or (isinstance(last, int) and last != _COLUMNS)):
            raise self._refused(f"gives an output of shape {shape}")
        if len(shape) == 2:
            # Without an axis for images their boxes could not be told apart.
            self.batch = 1

    def run(self, images: Sequence[Image]) -> list[Rows]:
        """The rows (N, 6) of each of some (height, width, 3) BGR images; images of one size share a batch.

        Raises:
            DataError: the network fails, or breaks its contract.
        """
        prepared = [self._prepared(image) for image in images]
        rows: list[Rows] = [np.empty((0, _COLUMNS), np.float32)] * len(images)
        for shape in dict.fromkeys(each.shape for each in prepared):
            same = [at for at, each in enumerate(prepared) if each.shape == shape]
            for first in range(0, len(same), self.batch):
                part = same[first : first + self.batch]
                for at, found in zip(
                    part, self._answer(np.stack([prepared[at] for at in part])), strict=True
                ):
                    rows[at] = found
        return rows

    def _prepared(self, image: Image) -> NDArray[Any]:
        """The image as (3, height, width), in the size and type of the input."""
        height, width = (fixed or own for fixed, own in zip(self._size, image.shape[:2], strict=True))
        if (height, width) != image.shape[:2]:
            image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
        return image.transpose(2, 0, 1).astype(self._type)

    def _answer(self, batch: NDArray[Any]) -> Rows:
        """The rows of a batch, (B, N, 6)."""
        try:
            (answer,) = self._session.run([self._output], {self._input: batch})
        except _FAILURES as error:
            raise DataError(
                f"the detector {self._name} failed on {batch.shape}: {_first_line(error)}"
            ) from error
        if answer.ndim == 2 and len(batch) == 1:
            answer = answer[None]
        if answer.ndim != 3 or len(answer) != len(batch) or answer.shape[2] != _COLUMNS:
            raise self._refused(f"gave {answer.shape} for a batch of {len(batch)}")
        rows: Rows = answer
        return rows

    def _refused(self, what: str) -> DataError:
        return DataError(f"the detector {self._name} {what}: {_CONTRACT}")


def _open(path: Path, provider: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Errors alone: what it has to say of a fallback is checked below.
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=list(_PROVIDERS[provider]))
    except _FAILURES as error:
        with path.open("rb") as file:
            head = file.read(64).lstrip().lower()
        if head.startswith((b"<!doctype", b"<html")):
            raise DataError(f"{path} is an HTML page, not an ONNX file: download it again") from error
        raise DataError(f"{path} is no network that ONNX Runtime can use: {_first_line(error)}") from error
    if (used := session.get_providers()[0]) != _PROVIDERS[provider][0]:
        raise DataError(
            f"{provider} cannot be used on this machine (ONNX Runtime fell back to {used}): check its driver and "
            "libraries, or pass --provider cpu"
        )
    return session


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or ["no message"])[0]
