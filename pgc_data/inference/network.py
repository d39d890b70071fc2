"""A pointing network as any of our commands runs it: a crop, landmarks or both in, probability of pointing out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgc_data.errors import ConfigError, DataError
from pgc_data.inference.facts import POINTING, read_facts
from pgc_data.inference.resize import Size, resized
from pgc_data.onnx_session import failures, first_line, open_session

Images = NDArray[np.float32]
Probabilities = NDArray[np.float32]
Feeds = Mapping[str, NDArray[Any]]

# What PGC's own networks were trained at, for files that leave it open.
DEFAULT_SIZE = (32, 32)
LANDMARKS = "landmarks"
# A sigmoid in half precision may round up.
_TOLERANCE = 1e-3
_CONTRACT = (
    "a pointing model takes RGB images (B, 3, height, width), float32, 0 to 1, or landmarks (B, D), or both, and "
    "gives float32 (B,), 0 to 1"
)


class PointingNetwork:
    """A network of PGC's contract, exported by pgc-data or by PGC itself.

    Attributes:
        path: of the file.
        facts: what it says of itself.
        size: height and width of its images.
        images_input: name of the input for images; None where it takes none.
        landmark_dims: length of its input `landmarks`; None where it takes none.
        batch: 1 where it takes one hand at a time, None where any number.
        output: name of its output.

    Example:
        >>> network = PointingNetwork(Path("model.onnx"))  # doctest: +SKIP
        >>> network.probabilities(network.images([crop]))  # doctest: +SKIP
        array([0.98], dtype=float32)
    """

    def __init__(
        self, path: Path, provider: str = "cpu", *, threads: int = 1, size: Size | None = None,
        model: bytes | None = None,
    ) -> None:  # fmt: skip
        """Opens the file.

        Args:
            path: ONNX file.
            provider: one of `onnx_session.PROVIDERS`.
            threads: that work on one operation.
            size: height and width, where the file leaves them open; 32x32 by default.
            model: the network to run, where it is not what the file holds: one with scalar inputs besides.

        Raises:
            ConfigError: no such file, no such provider, or a size that is not the file's.
            DataError: the file is no such network.
        """
        self.path = path
        self.session = open_session(path, provider, threads=threads, model=model)
        self.facts = read_facts(self.session.get_modelmeta().custom_metadata_map, path)
        if self.facts.kind != POINTING:
            raise self._refused(f"is a {self.facts.kind} model")
        self.images_input: str | None = None
        self.landmark_dims: int | None = None
        self.batch: int | None = None
        self.size = size or DEFAULT_SIZE
        taken = [self._take(given, size) for given in self.session.get_inputs()]
        if not any(taken):
            raise self._refused("has no input")
        self._check_output()

    def _take(self, given: Any, size: Size | None) -> bool:
        """Finds out what an input is for, and whether it is for a hand: a gate, one number, is not."""
        shape = [side if isinstance(side, int) and side > 0 else None for side in given.shape]
        if not shape:
            return False
        if given.name == LANDMARKS and given.type == "tensor(float)" and len(shape) == 2 and shape[1]:
            self.landmark_dims = shape[1]
        elif (
            given.type != "tensor(float)" or len(shape) != 4 or shape[1] not in (3, None) or self.images_input
        ):
            raise self._refused(f"has an input {given.name!r}, {given.type} of shape {given.shape}")
        else:
            self.images_input = given.name
            self.size = (shape[2] or self.size[0], shape[3] or self.size[1])
            if size is not None and self.size != size:
                raise ConfigError(
                    f"image-size={size[0]}x{size[1]}, but {self.path.name} takes {self.size[0]}x{self.size[1]}: "
                    "leave it out"
                )
        if shape[0] not in (1, None):
            raise self._refused(
                f"takes batches of {shape[0]} alone (export it with a batch of 1 or a free one)"
            )
        self.batch = self.batch or shape[0]
        return True

    def _check_output(self) -> None:
        first = self.session.get_outputs()[0]
        if first.type != "tensor(float)":
            raise self._refused(f"gives {first.type}")
        if len(first.shape) > 2 or (len(first.shape) == 2 and first.shape[1] not in (1, None)):
            raise self._refused(f"gives an output of shape {first.shape}")
        self.output = first.name

    def need_images_alone(self) -> str:
        """Name of the input for images, of a network that takes nothing else.

        Raises:
            DataError: it takes landmarks.
        """
        if self.images_input is None or self.landmark_dims is not None:
            raise DataError(
                f"{self.path} takes landmarks, which an image alone does not have: `pgc-data live` finds them"
            )
        return self.images_input

    def images(self, crops: Sequence[NDArray[np.uint8]]) -> Images:
        """Crops (height, width, 3), RGB, of any size, as the network takes them: (B, 3, H, W), 0 to 1."""
        pixels = np.empty((len(crops), *self.size, 3), np.uint8)
        for place, crop in zip(pixels, crops, strict=True):
            place[:] = resized(crop, self.size)
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32) / np.float32(255)

    def probabilities(self, images: Images) -> Probabilities:
        """The probability of the positive class, (B,), of images (B, 3, H, W); see `answer`."""
        return self.answer({self.need_images_alone(): images})

    def answer(self, feeds: Feeds) -> Probabilities:
        """The probability of the positive class of B hands.

        Args:
            feeds: input -> (B, ...).

        Raises:
            DataError: the network fails, or gives what is no probability.
        """
        count = len(next(iter(feeds.values())))
        if not count:
            return np.empty(0, np.float32)
        found = np.concatenate([self.run(part, [self.output])[0].reshape(-1) for part in self.parts(feeds)])
        if len(found) != count:
            raise self._refused(f"gave {found.shape} for a batch of {count}")
        if not ((found >= -_TOLERANCE) & (found <= 1 + _TOLERANCE)).all():
            raise self._refused(f"gave {found.min():.3g} to {found.max():.3g}, which are no probabilities")
        return np.asarray(np.clip(found, 0, 1), np.float32)

    def parts(self, feeds: Feeds) -> list[Feeds]:
        """The feeds in batches that the network takes."""
        count = len(next(iter(feeds.values())))
        step = self.batch or count
        return [
            {name: values[start : start + step] for name, values in feeds.items()}
            for start in range(0, count, step)
        ]

    def run(self, feeds: Feeds, outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Some tensors of the network for one batch.

        Raises:
            DataError: the network fails.
        """
        try:
            found: list[NDArray[Any]] = self.session.run(list(outputs), dict(feeds))
        except failures() as error:
            shapes = ", ".join(str(values.shape) for values in feeds.values() if values.ndim)
            raise DataError(f"{self.path} failed on {shapes}: {first_line(error)}") from error
        return found

    def _refused(self, what: str) -> DataError:
        return DataError(f"{self.path} {what}: {_CONTRACT}")
