"""A model as ONNX: opset 18, dynamic batch, one file, batch norms folded, nodes named after the modules."""

from __future__ import annotations

import ast
import json
import logging
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pgc_data import __version__
from pgc_data.errors import DataError
from pgc_data.inference.facts import METADATA_KEY, read_facts
from pgc_data.models.folding import fold_batch_norms
from pgc_data.models.options import CropOptions, Options, TensorSpec
from pgc_data.models.registry import Architecture, needs_train

Inputs = Mapping[str, NDArray[np.float32]]
Probabilities = NDArray[np.float32]

OPSET = 18
# What a user of an exported model must know besides its graph; training writes it into the checkpoint.
FACTS = ("classes", "positive", "crop", "threshold", "data_manifest_sha256")
# The output of each kind of model, and what makes it of its logits.
OUTPUTS = {"pointing": ("prob_pointing", torch.sigmoid)}

_WRAPPED = "model"
_NOT_A_DIGIT = re.compile(r"\.(?!\d)")


def export_onnx(
    model: nn.Module, found: Architecture, options: Options, facts: Mapping[str, Any]
) -> onnx.ModelProto:
    """Exports a model that gives logits; the graph gives probabilities.

    Args:
        model: with its weights; stays as it is.
        found: its architecture.
        options: its options, which say what its inputs are.
        facts: at least `FACTS`; they go into the metadata.

    Returns:
        The graph: inputs as `options.inputs` names them, output `prob_pointing` [batch]; float32, batch dynamic.

    Raises:
        DataError: a fact is missing or makes no sense, or the graph is not valid ONNX.
        ConfigError: a package of the extra `train` is missing.
    """
    described = _written(metadata(found, options, facts), found.name)
    names = [spec.name for spec in options.inputs]
    output, activation = OUTPUTS[found.kind]
    # Two rows: an axis of length 1 would be taken for a constant.
    example = tuple(torch.zeros(2, *spec.shape) for spec in options.inputs)
    batch = torch.export.Dim("batch")
    wrapped = _Probabilities(fold_batch_norms(model).cpu(), activation).eval()
    with needs_train("export-onnx"), _quiet(), torch.no_grad():
        program = torch.onnx.export(
            wrapped,
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=names,
            output_names=[output],
            dynamic_shapes=(tuple({0: batch} for _ in names),),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    _tidy(proto)
    onnx.helper.set_model_props(proto, {METADATA_KEY: described})
    return checked(proto, found.name)


def checked(proto: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """`proto`, if it is valid ONNX.

    Raises:
        DataError: onnx's checker says that it is not.
    """
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise DataError(f"the graph made of {name} is not valid ONNX: {error}") from error
    return proto


def metadata(found: Architecture, options: Options, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the key `pgc_data` of the graph's metadata holds: how to feed it and how to read its output.

    Raises:
        DataError: a fact is missing.
    """
    missing = [name for name in FACTS if name not in facts]
    if missing:
        raise DataError(f"the checkpoint does not say {', '.join(missing)} of its data: train again")
    described = {
        "kind": found.kind,
        "arch": found.name,
        "inputs": [spec.as_dict() for spec in options.inputs],
        **{name: facts[name] for name in FACTS},
        "pgc_data_version": __version__,
    }
    if isinstance(options, CropOptions):
        described["head"] = getattr(options, "resolved_head", None)
        described["image_size"] = list(options.image_size)
        described["preprocessing"] = "rgb/255"
    return described


def _written(described: Mapping[str, Any], name: str) -> str:
    """The metadata as text, if who reads it will understand it."""
    try:
        text = json.dumps(described, allow_nan=False)
        read_facts({METADATA_KEY: text}, Path(name))
    except (TypeError, ValueError, DataError) as error:
        raise DataError(
            f"what the checkpoint says of its data makes no sense ({error}): train again"
        ) from error
    return text


def session(proto: onnx.ModelProto, threads: int = 1) -> ort.InferenceSession:
    """Loads a graph into onnxruntime on the CPU."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(
        proto.SerializeToString(), sess_options=options, providers=["CPUExecutionProvider"]
    )


def onnx_probabilities(proto: onnx.ModelProto, inputs: Inputs, batch: int = 256) -> Probabilities:
    """Runs a graph: (rows, ...) each input -> (rows,)."""
    running = session(proto)
    rows = len(next(iter(inputs.values())))
    parts = [
        running.run(None, {name: values[start : start + batch] for name, values in inputs.items()})[0]
        for start in range(0, rows, batch)
    ]
    return np.concatenate(parts)


def torch_probabilities(model: nn.Module, kind: str, inputs: Inputs, batch: int = 256) -> Probabilities:
    """Runs a model that gives logits, as it is, in evaluation mode: (rows, ...) each input -> (rows,)."""
    model.eval()
    activation = OUTPUTS[kind][1]
    tensors = [torch.from_numpy(values) for values in inputs.values()]
    with torch.inference_mode():
        parts = [
            activation(model(*(tensor[start : start + batch] for tensor in tensors)))
            for start in range(0, len(tensors[0]), batch)
        ]
    return np.asarray(torch.cat(parts).numpy())


def drawn_inputs(specs: Sequence[TensorSpec], rows: int, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Inputs to try a graph on where there are no crops: smooth random images, normal landmark features."""
    generator = torch.Generator().manual_seed(seed)
    drawn = {}
    for spec in specs:
        if len(spec.shape) == 3:
            coarse = torch.rand(rows, spec.shape[0], 5, 5, generator=generator)
            values = nn.functional.interpolate(coarse, spec.shape[1:], mode="bicubic").clamp(0, 1)
        else:
            values = torch.randn(rows, *spec.shape, generator=generator)
        drawn[spec.name] = values.numpy()
    return drawn


class _Probabilities(nn.Module):
    def __init__(self, model: nn.Module, activation: Any) -> None:
        super().__init__()
        self.model = model
        self.activation = activation

    def forward(self, *inputs: Tensor) -> Tensor:
        out: Tensor = self.activation(self.model(*inputs))
        return out


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps torch's remarks on its own parts, and on packages that are not needed, from the terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _tidy(proto: onnx.ModelProto) -> None:
    """Names nodes and tensors after modules (`/features.0/block/out_act/Mul`) and drops the exporter's notes."""
    graph = proto.graph
    graph.name = METADATA_KEY
    fixed = {value.name for value in (*graph.input, *graph.output)}
    names: dict[str, str] = {}
    taken: Counter[str] = Counter()
    for node in graph.node:
        module = _module(node)
        node.name = _unique(f"/{module}/{node.op_type}" if module else f"/{node.op_type}", taken)
        for place, value in enumerate(node.output):
            if value not in fixed:
                names[value] = f"{node.name}_output_{place}"
        del node.metadata_props[:]
        node.doc_string = ""
        if module:
            # Viewers such as Model Explorer group nodes by it.
            node.metadata_props.add(key="namespace", value=module)
    for node in graph.node:
        node.input[:] = [names.get(value, value) for value in node.input]
        node.output[:] = [names.get(value, value) for value in node.output]
    _name_weights(graph)
    del graph.value_info[:], graph.metadata_props[:], proto.metadata_props[:]
    for value in (*graph.input, *graph.output):
        del value.metadata_props[:]
    proto.producer_name, proto.producer_version = METADATA_KEY, __version__


def _name_weights(graph: onnx.GraphProto) -> None:
    prefix = f"{_WRAPPED}."
    names = {tensor.name: tensor.name.removeprefix(prefix) for tensor in graph.initializer}
    for tensor in graph.initializer:
        tensor.name = names[tensor.name]
        del tensor.metadata_props[:]
        tensor.doc_string = ""
    for node in graph.node:
        node.input[:] = [names.get(value, value) for value in node.input]


def _module(node: onnx.NodeProto) -> str:
    """The module that a node is part of, such as `features.0/block/out_act`; empty for the outermost."""
    scopes = next((p.value for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"), "['']")
    # The last scope is the operation itself.
    inner = ["", *ast.literal_eval(scopes)[:-1]][-1]
    return _NOT_A_DIGIT.sub("/", inner.removeprefix(_WRAPPED).removeprefix("."))


def _unique(name: str, taken: Counter[str]) -> str:
    taken[name] += 1
    return name if taken[name] == 1 else f"{name}_{taken[name] - 1}"
