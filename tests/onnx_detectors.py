"""A small ONNX detector with PGC's contract, and ways to break it. It finds what is of one strong colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Class of what is blue, green and red: whoever swaps channels finds another.
CLASSES = (26, 27, 0)
# How much stronger than the others a channel must be, of 255.
_STRONGER = 100.0
_TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}


def write_detector(
    path: Path, shape=("B", 3, "H", "W"), dtype="float32", *, columns=6, out_dtype="float32", flat=False, inputs=1,
    scale=False, logits=False,
) -> Path:  # fmt: skip
    """Writes the detector: one row for each channel, the box around all that is strongly of that colour.

    Args:
        path: file.
        shape: of its input.
        dtype: of its input.
        columns: of its output, of which 6 are the contract's.
        out_dtype: of its output.
        flat: whether its output lacks the axis of images.
        inputs: number of inputs.
        scale: whether it gives boxes in pixels.
        logits: whether its scores are not between 0 and 1.
    """
    nodes = []
    constants = {
        "swap1": np.array([1, 2, 0]), "swap2": np.array([2, 0, 1]), "stronger": np.float32(_STRONGER),
        "full": np.float32(5.0 if logits else 255.0), "classes": np.array(CLASSES, np.float32).reshape(1, 3, 1),
        "first": np.array([0]), "last": np.array([2]), "height_at": np.array(2), "width_at": np.array(3),
        "one": np.array(1), "zero": np.float32(0.0),
    }  # fmt: skip

    def add(kind, *names, out, **attributes):
        nodes.append(helper.make_node(kind, list(names), [out], **attributes))
        return out

    add("Cast", "images", out="pixels", to=TensorProto.FLOAT)
    add("Gather", "pixels", "swap1", out="others1", axis=1)
    add("Gather", "pixels", "swap2", out="others2", axis=1)
    add("Max", "others1", "others2", out="others")
    add("Sub", "pixels", "others", out="lead")
    add("Greater", "lead", "stronger", out="strong")
    add("Cast", "strong", out="mask", to=TensorProto.FLOAT)
    add("Shape", "pixels", out="size")
    for axis, side, low, high in ((2, "width", "x1", "x2"), (3, "height", "y1", "y2")):
        add("ReduceMax", "mask", out=f"{side}_profile", axes=[axis], keepdims=0)
        add("Gather", "size", f"{side}_at", out=f"{side}_length")
        add("Cast", f"{side}_length", out=side, to=TensorProto.FLOAT)
        add("ArgMax", f"{side}_profile", out=f"{low}_index", axis=2, keepdims=1)
        add("ArgMax", f"{side}_profile", out=f"{high}_index", axis=2, keepdims=1, select_last_index=1)
        add("Add", f"{high}_index", "one", out=f"{high}_end")
        for name, index in ((low, f"{low}_index"), (high, f"{high}_end")):
            add("Cast", index, out=f"{name}_pixels", to=TensorProto.FLOAT)
            add("Div", f"{name}_pixels", side, out=f"{name}_share")
    add("ReduceMax", "lead", out="lead_most", axes=[2, 3], keepdims=0)
    add("Unsqueeze", "lead_most", "last", out="lead_column")
    add("Relu", "lead_column", out="lead_positive")
    add("Div", "lead_positive", "full", out="score")
    add("Mul", "score", "zero", out="nothing")
    add("Add", "nothing", "classes", out="class")
    kind = "pixels" if scale else "share"
    parts = ["class", *(f"{name}_{kind}" for name in ("x1", "y1", "x2", "y2")), "score", "nothing"][:columns]
    add("Concat", *parts, out="rows", axis=2)
    last = "rows"
    if flat:
        last = add("Squeeze", "rows", "first", out="flat_rows")
    add("Cast", last, out="detections", to=_TYPES[out_dtype])
    more = [helper.make_tensor_value_info(f"more{n}", TensorProto.FLOAT, ["B"]) for n in range(1, inputs)]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes, "detector",
        [helper.make_tensor_value_info("images", _TYPES[dtype], list(shape)), *more],
        [helper.make_tensor_value_info("detections", _TYPES[out_dtype], None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items() if name in used],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model = onnx.shape_inference.infer_shapes(model)
    path.write_bytes(model.SerializeToString())
    return path


def write_constant(path: Path, shape, rows) -> Path:
    """Writes a network that gives the same rows (B, N, 6), whatever the image."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["rows"], ["detections"])],
        "constant",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("detections", TensorProto.FLOAT, np.shape(rows))],
        [numpy_helper.from_array(np.asarray(rows, np.float32), "rows")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path
