"""Running a network: LiteRT on one thread, behind an interface that another runtime can fill."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pgc_data.errors import ConfigError, DataError
from pgc_data.hands.media import Image

Arrays = tuple[NDArray[np.float32], ...]

_UNIT = np.float32(1 / 255)


class Network(Protocol):
    """A network that looks at one picture."""

    def run(self, picture: Image) -> Arrays:
        """(side, side, 3) RGB -> the network's outputs in its own order. They hold until the next call."""


class LiteRTNetwork:
    """A TFLite network on one thread of the CPU (XNNPACK)."""

    def __init__(self, model: bytes, name: str) -> None:
        """Loads the network.

        Args:
            model: TFLite file.
            name: to call it by in errors.

        Raises:
            ConfigError: LiteRT is not installed.
            DataError: it is no network that LiteRT can run.
        """
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise ConfigError("the direct backend needs LiteRT: pip install 'pgc-data[direct]'") from error
        try:
            # More threads are slower here: the networks are small, and extraction runs a process for every core.
            self._interpreter: Any = Interpreter(model_content=model, num_threads=1)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            first = (str(error).splitlines() or ["no message"])[0]
            raise DataError(f"LiteRT cannot use {name}: {first}; check --hand-model") from error
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [output["index"] for output in self._interpreter.get_output_details()]

    def run(self, picture: Image) -> Arrays:
        """See `Network.run`."""
        # Straight into the network's own memory. The view must be gone before the network runs.
        np.multiply(picture, _UNIT, out=self._interpreter.tensor(self._input)()[0])
        self._interpreter.invoke()
        return tuple(self._interpreter.get_tensor(index) for index in self._outputs)
