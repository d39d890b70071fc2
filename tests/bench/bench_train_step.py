"""How many crops a CPU-second a pointing model trains on and evaluates, on one thread.

python tests/bench/bench_train_step.py [ROUNDS] [PRESET]

PGC's own step, of the same model (inverted_se, S) at 32x32 and batch 256: 130 images a CPU-second in training, 337 in
evaluation (facts of issue 7). Times are CPU seconds of the process; each way runs once in each of ROUNDS rounds (5), so
that all meet the machine in the same mood, and the median counts. Ways of evaluation end in a forward pass without
gradients; `folded` has its batch norms folded as for export.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pgc_data.models.folding import fold_batch_norms
from pgc_data.models.registry import architecture
from pgc_data.training.export import export_onnx, session

BATCH, SIZE = 256, 32
PGC_TRAINING, PGC_EVALUATION = 130, 337
FACTS = {
    "classes": ["no", "yes"],
    "positive": "yes",
    "crop": {},
    "threshold": 0.5,
    "data_manifest_sha256": "",
}


@dataclass(frozen=True)
class Way:
    """One way of doing the same work.

    Attributes:
        name: for the table.
        reference: PGC's images a CPU-second.
        run: one batch.
    """

    name: str
    reference: int
    run: Callable[[], object]


def training(preset: str, layout: torch.memory_format, bf16: bool, compiled: bool) -> Callable[[], object]:
    """A step: forward, loss, backward, AdamW."""
    network = _network(preset).train().to(memory_format=layout)
    forward = torch.compile(network) if compiled else network
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
    images, labels = _images().to(memory_format=layout), torch.rand(BATCH).round()

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = forward(images)
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(logits.float(), labels).backward()
        optimiser.step()

    return step


def evaluation(
    preset: str, layout: torch.memory_format, folded: bool, bf16: bool = False
) -> Callable[[], object]:
    """A forward pass without gradients."""
    network = _network(preset).eval()
    network = (fold_batch_norms(network) if folded else network).to(memory_format=layout)
    images = _images().to(memory_format=layout)

    def step() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            network(images)

    return step


def onnx_evaluation(preset: str) -> Callable[[], object]:
    """The exported graph in onnxruntime."""
    found = architecture("inverted_se")
    options = found.configure({"preset": preset})
    running = session(export_onnx(_network(preset), found, options, FACTS))
    images = _images().numpy()
    return lambda: running.run(None, {"images": images})


def _network(preset: str) -> nn.Module:
    found = architecture("inverted_se")
    return found.build(found.configure({"preset": preset}))


def _images() -> Tensor:
    return torch.rand(BATCH, 3, SIZE, SIZE)


def ways(preset: str) -> list[Way]:
    """All of them."""
    rows, last = torch.contiguous_format, torch.channels_last
    return [
        Way("train, channels first", PGC_TRAINING, training(preset, rows, False, False)),
        Way("train, channels last", PGC_TRAINING, training(preset, last, False, False)),
        Way("train, channels last, bf16", PGC_TRAINING, training(preset, last, True, False)),
        Way("train, channels last, compiled", PGC_TRAINING, training(preset, last, False, True)),
        Way("evaluate, channels first", PGC_EVALUATION, evaluation(preset, rows, False)),
        Way("evaluate, channels last", PGC_EVALUATION, evaluation(preset, last, False)),
        Way("evaluate, channels last, folded", PGC_EVALUATION, evaluation(preset, last, True)),
        Way("evaluate, channels last, folded, bf16", PGC_EVALUATION, evaluation(preset, last, True, True)),
        Way("evaluate, onnxruntime", PGC_EVALUATION, onnx_evaluation(preset)),
    ]


def main(rounds: int, preset: str) -> None:
    """Prints a table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    chosen = ways(preset)
    taken: dict[str, list[float]] = {way.name: [] for way in chosen}
    for number in range(-1, rounds):
        for way in chosen:
            start = time.process_time()
            way.run()
            # The first round compiles and warms up.
            if number >= 0:
                taken[way.name].append(time.process_time() - start)
    print(f"inverted_se {preset}, {SIZE}x{SIZE}, batch {BATCH}, 1 thread, median of {rounds}")
    for way in chosen:
        rate = BATCH / statistics.median(taken[way.name])
        print(f"{way.name:40s} {rate:7,.0f} images/CPU-s  {rate / way.reference:5.1f} x PGC")


if __name__ == "__main__":
    given = sys.argv[1:]
    main(int(given[0]) if given else 5, given[1] if len(given) > 1 else "S")
