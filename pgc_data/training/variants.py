"""Smaller forms of an exported model: float16 weights, and int8 with ranges seen on crops."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from pgc_data.training.export import Inputs, checked

# Rows a run of calibration, and rows in all: enough for the range of every tensor.
_BATCH = 32
CALIBRATION_ROWS = 256


def to_fp16(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that computes in float16; inputs and outputs stay float32."""
    copied = onnx.ModelProto.FromString(proto.SerializeToString())
    halved = convert_float_to_float16(copied, keep_io_types=True)
    # The casts of the inputs come last, where the checker does not want them.
    OnnxModel(halved).topological_sort()
    return checked(halved, "the float16 variant")


def to_int8(proto: onnx.ModelProto, inputs: Inputs) -> onnx.ModelProto:
    """A copy quantised to 8 bits: weights by channel, activations by the range that `inputs` show (QDQ form).

    Args:
        proto: float32 graph.
        inputs: name -> (rows, ...) real crops of the training split; the first `CALIBRATION_ROWS` are used.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        prepared, written = Path(folder, "prepared.onnx"), Path(folder, "int8.onnx")
        onnx.save(proto, prepared)
        quant_pre_process(prepared, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            written,
            _Rows(inputs),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            # The methods by histograms fail on tensors that are nearly constant, and were no more accurate.
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
        quantised = onnx.load(written)
    del quantised.metadata_props[:]
    quantised.metadata_props.extend(proto.metadata_props)
    return checked(quantised, "the int8 variant")


class _Rows(quantization.CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """Batches of rows as onnxruntime's calibration asks for them."""

    def __init__(self, inputs: Inputs) -> None:
        self._batches = self._cut(inputs)

    @staticmethod
    def _cut(inputs: Inputs) -> Iterator[dict[str, NDArray[np.float32]]]:
        rows = min(len(next(iter(inputs.values()))), CALIBRATION_ROWS)
        for start in range(0, rows, _BATCH):
            yield {name: values[start : min(start + _BATCH, rows)] for name, values in inputs.items()}

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next batch, or None."""
        return next(self._batches, None)
