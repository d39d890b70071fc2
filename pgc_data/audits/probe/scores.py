"""Nearest neighbours, the scores of their votes, and how far chance could have moved these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pgc_data.audits.probe.descriptors import Vectors

NEIGHBOURS = 5
REPLICATES = 500
_CONFIDENCE = 0.95
_BATCH_BYTES = 16 << 20

Labels = NDArray[np.int64]
_Real = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A number and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, replicates: _Real) -> Interval:
        """The interval that holds the middle 95 % of `replicates`; those that are NaN do not count."""
        tail = 50 * (1 - _CONFIDENCE)
        low, high = np.nanpercentile(replicates, [tail, 100 - tail])
        return cls(value, float(low), float(high))

    def __str__(self) -> str:
        # Adding 0 turns -0.0 into 0.0.
        value, low, high = (round(number, 2) + 0.0 for number in (self.value, self.low, self.high))
        return f"{value:.2f} ({low:.2f} to {high:.2f})"

    def as_dict(self) -> dict[str, float]:
        """The interval as plain JSON values."""
        return {"value": round(self.value, 4), "low": round(self.low, 4), "high": round(self.high, 4)}


@dataclass(frozen=True)
class Answers:
    """What the probe said of m held-out rows.

    Attributes:
        truth: (m,) number of the right class.
        said: (m,) number of the class that the neighbours voted for.
        cluster: (m,) number of the group, or of the row itself, that the bootstrap draws.
        classes: number of classes.
    """

    truth: Labels
    said: Labels
    cluster: Labels
    classes: int

    @cached_property
    def point(self) -> _Real:
        """Macro F1 and accuracy of all rows."""
        return self.scores(np.ones(len(self.truth)))

    def scores(self, weights: _Real) -> _Real:
        """Macro F1 over the classes that have rows, and accuracy; NaN where all weights are 0.

        A class whose rows all weigh nothing keeps the F1 of all rows: left out, it would make a draw that
        lacks a hard class look like an easy one.

        Args:
            weights: (m,) how often each row counts.
        """
        total = weights.sum()
        if total == 0:
            return np.full(2, np.nan)
        f1, present = self._f1_by_class(weights)
        known = np.where(present, f1, self._f1_of_all[0])[self._f1_of_all[1]]
        return np.array([known.mean(), weights[self.truth == self.said].sum() / total])

    @cached_property
    def _f1_of_all(self) -> tuple[_Real, NDArray[np.bool_]]:
        return self._f1_by_class(np.ones(len(self.truth)))

    def _f1_by_class(self, weights: _Real) -> tuple[_Real, NDArray[np.bool_]]:
        right = np.where(self.truth == self.said, weights, 0)
        hits = np.bincount(self.truth, right, self.classes)
        truly, said = (np.bincount(labels, weights, self.classes) for labels in (self.truth, self.said))
        return 2 * hits / np.maximum(truly + said, 1), truly > 0


def neighbours(vectors: Vectors, train: Labels, held_out: Labels) -> Labels:
    """The rows of train most like each held-out row, most alike first; of equals, the first.

    Args:
        vectors: (n, d) of length 1.
        train: (t,) positions in `vectors`.
        held_out: (m,) positions in `vectors`.

    Returns:
        (m, min(5, t)) positions in `train`.
    """
    known = np.ascontiguousarray(vectors[train].T)
    nearest = np.empty((len(held_out), min(NEIGHBOURS, len(train))), np.int64)
    batch = max(1, _BATCH_BYTES // (4 * len(train)))
    for start in range(0, len(held_out), batch):
        alike = vectors[held_out[start : start + batch]] @ known
        row = np.arange(len(alike))
        for rank in range(nearest.shape[1]):
            best = alike.argmax(axis=1)
            nearest[start : start + batch, rank] = best
            alike[row, best] = -np.inf
    return nearest


def vote(labels: Labels, classes: int) -> Labels:
    """The class most often among neighbours; of equals, that with the nearer ones.

    Args:
        labels: (m, k) classes of the neighbours, nearest first.
        classes: number of classes.
    """
    votes = np.zeros((len(labels), classes), np.float32)
    row = np.arange(len(labels))
    for rank, column in enumerate(labels.T):
        votes[row, column] += 1 + 0.5**rank / 64
    said: Labels = votes.argmax(axis=1)
    return said


def bootstrap(
    runs: Sequence[Answers], repeats: Sequence[Answers], clusters: int, within: bool, seed: int
) -> tuple[_Real, _Real]:
    """Scores of clusters drawn again and again with replacement, the same ones for all.

    Args:
        runs: scored one by one.
        repeats: averaged; which of them is drawn too.
        clusters: number of clusters.
        within: whether to draw rows within clusters too: few clusters alone may agree by luck, and one always does.
        seed: of the draws.

    Returns:
        (500, runs, 2) macro F1 and accuracy of each run, and (500, 2) the mean of the repeats.
    """
    rng = np.random.default_rng(seed)
    each, mean = np.full((REPLICATES, len(runs), 2), np.nan), np.full((REPLICATES, 2), np.nan)
    for replicate in range(REPLICATES):
        drawn = np.bincount(rng.integers(clusters, size=clusters), minlength=clusters).astype(np.float64)

        def scores(run: Answers, drawn: _Real = drawn) -> _Real:
            weights = drawn[run.cluster]
            return run.scores(weights * rng.poisson(1, len(weights)) if within else weights)

        each[replicate] = [scores(run) for run in runs]
        chosen = rng.integers(max(len(repeats), 1), size=len(repeats)).tolist()
        scored = {number: scores(repeats[number]) for number in set(chosen)}
        finite = [scored[number] for number in chosen if np.isfinite(scored[number][0])]
        if finite:
            mean[replicate] = np.mean(finite, axis=0)
    return each, mean
