"""How long one call of a model takes, on one thread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import onnx
import torch
from torch import nn

from pgc_data.training.export import Inputs, session

BATCHES = (1, 32)
_WARM_UP = 3
_LEAST_CALLS, _MOST_CALLS = 10, 200
_SECONDS = 0.5


def onnx_latency(proto: onnx.ModelProto, inputs: Inputs) -> dict[int, float]:
    """Median milliseconds a call of a graph in onnxruntime, by batch size; `inputs` hold as many rows at least."""
    running = session(proto)
    calls = {}
    for batch in BATCHES:
        rows = {name: values[:batch] for name, values in inputs.items()}
        calls[batch] = _median_ms(lambda rows=rows: running.run(None, rows))  # type: ignore[misc]
    return calls


def torch_latency(model: nn.Module, inputs: Inputs) -> dict[int, float]:
    """As `onnx_latency`, of a model in torch without compiling."""
    model.eval()
    calls = {}
    with _one_thread(), torch.inference_mode():
        for batch in BATCHES:
            rows = tuple(torch.from_numpy(values[:batch]) for values in inputs.values())
            calls[batch] = _median_ms(lambda rows=rows: model(*rows))  # type: ignore[misc]
    return calls


def _median_ms(call: Callable[[], object]) -> float:
    for _ in range(_WARM_UP):
        call()
    taken: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(taken) < _LEAST_CALLS or (len(taken) < _MOST_CALLS and time.perf_counter() < end):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1000


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
