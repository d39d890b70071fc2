"""How much a split flatters: a score on rows like those trained on, against one on groups not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from pgc_data.audits.findings import Finding, Severity, counted, percent
from pgc_data.audits.probe.descriptors import Reader, Vectors, describe
from pgc_data.audits.probe.sample import Flags, Sample, sample_rows
from pgc_data.audits.probe.scores import NEIGHBOURS, Answers, Interval, bootstrap, neighbours, vote
from pgc_data.splits import assign_groups

REPEATS = 5
FEW_GROUPS = 10
"""With fewer groups held out the bootstrap cannot know how wide an interval is in truth."""

_ONE = {"people": "person", "videos": "video", "groups": "group"}
_LEAST_ROWS = 20
_LEAST_OF_CLASS = 3
"""A class with fewer rows cannot win a vote of five."""
_LEAST_GROUPS = 3
_FREE_GROUPS = 12
"""Groups left to the search for balanced classes; chance alone puts the others on a side."""


@dataclass(frozen=True)
class Score:
    """What the probe scores on held-out rows: macro F1 and accuracy."""

    f1: Interval
    accuracy: Interval

    def as_dict(self) -> dict[str, Any]:
        """The score as plain JSON values."""
        return {"f1": self.f1.as_dict(), "accuracy": self.accuracy.as_dict()}


@dataclass(frozen=True)
class Probe:
    """How much a split flatters, as a 5-nearest-neighbour probe sees it.

    Attributes:
        sample: the rows compared, and what is known of their groups.
        train: rows learned from under either split.
        held_out: rows scored under either split.
        groups: number of groups compared.
        held_out_groups: number of them with rows that the given split holds out.
        classes: the classes compared: those that every split has on both sides.
        given: score on the rows that the given split holds out.
        unseen: mean score on groups held out whole, over random choices of them; None where unknown.
        chance: score on the given split's held-out rows with the labels of train shuffled.
        gap: `given` less `unseen`.
        reason: why `given`, or else `unseen`, could not be had; empty where both could.
    """

    sample: Sample
    train: int = 0
    held_out: int = 0
    groups: int = 0
    held_out_groups: int = 0
    classes: tuple[str, ...] = ()
    given: Score | None = None
    unseen: Score | None = None
    chance: Score | None = None
    gap: Score | None = None
    reason: str = ""

    @property
    def grouped(self) -> bool:
        """Whether the given split keeps every group whole."""
        return self.sample.group is not None and not self.sample.shared

    @property
    def unit(self) -> str:
        """What a group is: `people`, `videos` or `groups`; empty where there is none."""
        return self.sample.unit

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        scores = {name: getattr(self, name) for name in ("given", "unseen", "chance", "gap")}
        return {
            "neighbours": NEIGHBOURS,
            "repeats": REPEATS,
            "unit": self.unit,
            "grouped": self.grouped,
            "rows": {
                "usable": self.sample.usable,
                "without_group": self.sample.without_group,
                "held_out": self.sample.held_out,
                "held_out_with_group_in_train": self.sample.shared,
                "sampled": len(self.sample.at),
            },
            "compared": {
                "train": self.train,
                "held_out": self.held_out,
                "groups": self.groups,
                "held_out_groups": self.held_out_groups,
            },
            "classes": list(self.classes),
            "classes_left_out": [name for name in self.sample.classes if name not in self.classes],
            **{name: score.as_dict() if score else None for name, score in scores.items()},
            "reason": self.reason,
            "sentences": self.sentences(),
        }

    def sentences(self) -> list[str]:
        """What it all means, for people."""
        if self.given is None or self.chance is None:
            return [f"How much the split flatters cannot be estimated: {self.reason}."]
        lines = [
            f"A {NEIGHBOURS}-nearest-neighbour probe that learns from {counted(self.train, 'row')} scores macro "
            f"F1 {self.given.f1} on the rows this split holds out; with shuffled labels {self.chance.f1}."
        ]
        if self.given.f1.low <= self.chance.f1.high:
            lines.append("That is hardly better than shuffled labels, so the probe can tell little here.")
        if self.unseen is None or self.gap is None:
            return [*lines, f"How much of it is memory cannot be estimated: {self.reason}."]
        lines.append(
            f"On {self.unit} it has not seen it scores {self.unseen.f1}, over {REPEATS} random choices of them "
            f"with as many rows to learn from: {self._difference(self.gap.f1)}"
        )
        if self.held_out_groups < FEW_GROUPS:
            lines.append(
                f"This split tests on {self.held_out_groups} of {self.groups} {self.unit}: too few for exact "
                "intervals."
            )
        return lines

    def _difference(self, gap: Interval) -> str:
        if self.grouped:
            return (
                f"a difference of {gap}, where about 0 is expected, since this split already holds {self.unit} "
                "out whole; what is left is which ones it holds out."
            )
        if gap.low > 0:
            return (
                f"rows like those it was trained on flatter it by {gap}. Read a score on this split as one on "
                f"{self.unit} already known."
            )
        if gap.high < 0:
            return f"a difference of {gap}: this split's rows are harder, and do not flatter."
        return f"a difference of {gap}, too small to be told from none."

    def findings(self, table: str) -> list[Finding]:
        """A warning where the given split flatters and the interval of the difference lies above 0.

        A warning and no leak: it estimates what a leak is worth with one small model. That groups, videos or
        neighbouring frames lie on two sides is a fact, and a finding of its own that fails the audit.
        """
        if self.gap is None or self.given is None or self.unseen is None or self.grouped:
            return []
        if self.gap.f1.low <= 0:
            return []
        share = self.sample.shared / max(self.sample.held_out, 1)
        return [
            Finding(
                kind="probe_gap",
                severity=Severity.WARNING,
                table=table,
                count=self.sample.shared,
                share=share,
                meaning=f"Of the rows outside train, {percent(share)} are of {self.unit} that train has too. A "
                f"{NEIGHBOURS}-nearest-neighbour probe scores macro F1 {self.given.f1} on rows like those it was "
                f"trained on and {self.unseen.f1} on {self.unit} it has not seen, with as many rows to learn "
                f"from: this split flatters it by {self.gap.f1}.",
                remedy=f"Split by {_ONE[self.unit]}, as to-parquet does; until then call a score on this split one "
                f"on {self.unit} already known.",
            )
        ]


def estimate(rows: pl.DataFrame, read: Reader, seed: int = 0) -> Probe:
    """Scores a nearest-neighbour probe under the given split and on groups held out whole, alike in size.

    At most 20,000 rows are looked at. The given split learns from train and is scored on all other splits
    together. Group splits are random, several, and have as large a share in train, the same number of rows
    on either side after thinning, and the same classes. Intervals resample groups (rows, where there are no
    groups; both, where few groups are held out), the same draws of groups under both.

    Args:
        rows: a table's rows, see `rows.read_rows`; of them those with a digest, no fault, a label and a split.
        read: gives the contents of rows, as thumbnails or as features; `sketch_windows` makes windows small.
        seed: of every choice; the same seed gives the same numbers.
    """
    sample = sample_rows(rows, seed)
    if reason := _unusable(sample):
        return Probe(sample, reason=reason)
    rng = np.random.default_rng(seed)
    grouped, reason = _group_splits(sample, rng)
    trains = [sample.train, *grouped]
    common = _common_classes(sample, trains)
    if grouped and common.sum() < 2:
        reason = f"fewer than two classes are shown by several {sample.unit} on both sides of a split"
        grouped, trains = [], [sample.train]
        common = _common_classes(sample, trains)
    if common.sum() < 2:
        return Probe(sample, reason="fewer than two classes have rows both in train and outside it")
    keep = common[sample.label]
    compared = sample.subset(keep)
    vectors = describe(read, compared.at)
    return _compare(compared, vectors, [train[keep] for train in trains], reason, rng)


def _unusable(sample: Sample) -> str:
    held_out = int((~sample.train).sum())
    if not sample.usable:
        return "no row has a content, a label and a split"
    if not sample.train.any() or not held_out:
        return "it takes rows in a split named train, and rows in another"
    if min(held_out, int(sample.train.sum())) < _LEAST_ROWS:
        return f"fewer than {_LEAST_ROWS} rows are in train, or outside it"
    return "" if len(sample.classes) > 1 else "there is one class only"


def _group_splits(sample: Sample, rng: np.random.Generator) -> tuple[list[Flags], str]:
    """Random splits by group, each (n,) whether a row is in train; or why there are none."""
    if sample.group is None:
        return [], "no row has a group, a subject or a video"
    groups = int(sample.group.max()) + 1
    if groups < _LEAST_GROUPS:
        return [], f"there are only {groups} {sample.unit}, and it takes {_LEAST_GROUPS}"
    cells = np.bincount(
        sample.group * len(sample.classes) + sample.label, minlength=groups * len(sample.classes)
    )
    counts = cells.reshape(groups, -1)
    wanted = float(sample.train.mean())
    splits = []
    for _ in range(REPEATS):
        fixed = _some_by_chance(counts.sum(axis=1), 1 - wanted, rng)
        sides = assign_groups(counts, (wanted, 0, 1 - wanted), int(rng.integers(1 << 31)), fixed)
        splits.append((sides == 0)[sample.group])
    if any(train.all() or not train.any() for train in splits):
        return [], f"one of {groups} {sample.unit} has nearly all rows"
    return splits, ""


def _some_by_chance(
    sizes: np.ndarray[Any, np.dtype[np.int64]], held_out: float, rng: np.random.Generator
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Puts most groups on a side at random: else every search would end in the same best split."""
    order = rng.permutation(len(sizes))
    fixed = np.full(len(sizes), -1, np.int64)
    room, seen, held = held_out * sizes.sum(), 0, 0
    for group in order[min(_FREE_GROUPS, len(sizes) // 2) :]:
        out = held + sizes[group] <= room and held <= held_out * seen
        fixed[group] = 2 if out else 0
        seen, held = seen + sizes[group], held + (sizes[group] if out else 0)
    return fixed


def _common_classes(sample: Sample, trains: Sequence[Flags]) -> Flags:
    """(classes,) whether every split has enough rows of the class on both sides."""
    sides = [side for train in trains for side in (train, ~train)]
    found = [np.bincount(sample.label[side], minlength=len(sample.classes)) for side in sides]
    common: Flags = np.min(found, axis=0) >= _LEAST_OF_CLASS
    return common


def _compare(
    sample: Sample, vectors: Vectors, trains: Sequence[Flags], reason: str, rng: np.random.Generator
) -> Probe:
    learned, asked = (min(int(side.sum()) for side in sides) for sides in (trains, [~t for t in trains]))
    units = np.arange(len(sample.at)) if sample.group is None else sample.group
    cluster = np.unique(units, return_inverse=True)[1].astype(np.int64)
    runs: list[Answers] = []
    classes = len(sample.classes)
    for number, train in enumerate(trains):
        known, held_out = _thinned(train, learned, rng), _thinned(~train, asked, rng)
        nearest = neighbours(vectors, known, held_out)
        truth, own = sample.label[held_out], cluster[held_out]
        labels = [sample.label[known]] + ([rng.permutation(sample.label[known])] if number == 0 else [])
        runs += [Answers(truth, vote(names[nearest], classes), own, classes) for names in labels]
    given, shuffled, *repeats = runs
    groups, held_out_groups = int(cluster.max()) + 1, len(np.unique(given.cluster))
    few = held_out_groups < FEW_GROUPS
    each, mean = bootstrap([given, shuffled], repeats, groups, few, int(rng.integers(1 << 31)))
    points = [given.point, shuffled.point]
    scores = {"given": _score(points[0], each[:, 0]), "chance": _score(points[1], each[:, 1])}
    if repeats:
        point = np.mean([run.point for run in repeats], axis=0)
        scores |= {"unseen": _score(point, mean), "gap": _score(points[0] - point, each[:, 0] - mean)}
    compared = np.unique(sample.label)
    return Probe(
        sample,
        train=learned,
        held_out=asked,
        groups=0 if sample.group is None else groups,
        held_out_groups=0 if sample.group is None else held_out_groups,
        classes=tuple(sample.classes[number] for number in compared),
        reason=reason,
        **scores,
    )


def _thinned(side: Flags, most: int, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.int64]]:
    rows = np.flatnonzero(side)
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))


def _score(point: np.ndarray[Any, Any], replicates: np.ndarray[Any, Any]) -> Score:
    f1, accuracy = (Interval.of(float(point[i]), replicates[:, i]) for i in range(2))
    return Score(f1, accuracy)
