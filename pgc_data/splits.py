"""Splits assign groups, never rows: every row of a person, else of a video, lies on one side.

A group is a connected component of subjects and videos (and of subjects known to be, or possibly being, one
person). Groups are assigned so that each class keeps its share in every split: a greedy pass, near exact for
many small groups, then a search by moves and swaps with restarts, which few large groups need.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgc_data.errors import ConfigError

SPLITS = ("train", "val", "test")
Counts = NDArray[np.int64]
Assignment = NDArray[np.int64]
_Real = NDArray[np.float64]

# High enough that the worst class decides, low enough that the others still guide the search.
_NORM = 6
_EMPTY_PENALTY = 1.0
_SEARCH_GROUPS = 400
# Fewer restarts where there are more groups: each costs about their square, and gains less.
_WORK, _MOST_RESTARTS = 12_000, 200
_GAIN = 1e-6


@dataclass(frozen=True)
class Group:
    """What one split keeps together.

    Attributes:
        id: dataset, colon, and its members joined by `+`.
        kind: subject, video or sample: the strongest unit known.
        members: subjects, videos or samples in it.
    """

    id: str
    kind: str
    members: tuple[str, ...]


class _Union:
    """Union-find over strings."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def find(self, item: str) -> str:
        parent = self._parent.setdefault(item, item)
        while parent != self._parent[parent]:
            self._parent[parent] = self._parent[self._parent[parent]]
            parent = self._parent[parent]
        self._parent[item] = parent
        return parent

    def join(self, a: str, b: str) -> None:
        first, second = sorted((self.find(a), self.find(b)))
        self._parent[second] = first


def group_samples(
    dataset: str,
    samples: Iterable[tuple[str, str | None, str | None]],
    same_person: Sequence[Sequence[str]] = (),
) -> dict[str, Group]:
    """Finds the group of every sample of one dataset.

    Args:
        dataset: id of the dataset; groups of different datasets never meet.
        samples: sample id, video id, subject id; None where unknown.
        same_person: subjects to keep together.

    Returns:
        Sample id -> its group.
    """
    union = _Union()
    strongest: dict[str, tuple[str, str]] = {}
    for sample, video, subject in samples:
        units = [("subject", subject), ("video", video), ("sample", sample)]
        known = [(kind, value) for kind, value in units if value is not None]
        strongest[sample] = known[0]
        for (kind, value), (other, its) in itertools.pairwise(known[:2]):
            union.join(f"{kind}/{value}", f"{other}/{its}")
    for people in same_person:
        for person in people[1:]:
            union.join(f"subject/{people[0]}", f"subject/{person}")
    members: dict[str, set[tuple[str, str]]] = {}
    for kind, value in strongest.values():
        members.setdefault(union.find(f"{kind}/{value}"), set()).add((kind, value))
    groups = {root: _group(dataset, units) for root, units in members.items()}
    return {sample: groups[union.find(f"{kind}/{value}")] for sample, (kind, value) in strongest.items()}


def _group(dataset: str, units: set[tuple[str, str]]) -> Group:
    kinds = sorted({kind for kind, _ in units}, key=("subject", "video", "sample").index)
    names = tuple(sorted(value for _, value in units))
    label = "+".join(names) if len(names) <= 4 else f"{names[0]}+{len(names) - 1} more"
    return Group(f"{dataset}:{label}", kinds[0], names)


def parse_ratios(ratios: Sequence[float]) -> _Real:
    """Checks train, val and test ratios and scales them to a sum of 1.

    Raises:
        ConfigError: not three, negative, or train is 0.
    """
    values = np.asarray(ratios, dtype=np.float64)
    if values.shape != (3,) or not np.isfinite(values).all() or (values < 0).any() or values[0] <= 0:
        shown = "/".join(f"{value:g}" for value in ratios)
        raise ConfigError(
            f"ratios={shown}: give train, val and test, none negative and train above 0, as 0.7 0.15 0.15"
        )
    scaled: _Real = values / values.sum()
    return scaled


def assign_groups(
    counts: Counts, ratios: Sequence[float], seed: int = 0, fixed: Assignment | None = None
) -> Assignment:
    """Assigns groups to splits so that each class keeps its share in every split.

    Args:
        counts: (groups, classes) rows of each group and class.
        ratios: shares of the splits; see `parse_ratios`.
        seed: for the search; the same seed gives the same splits.
        fixed: (groups,) split of groups that must stay where they are, -1 for the others.

    Returns:
        (groups,) number of the split of each group: 0 train, 1 val, 2 test.
    """
    wanted = parse_ratios(ratios)
    if fixed is None:
        fixed = np.full(len(counts), -1, dtype=np.int64)
    # Rows in a split that takes no more groups do not count towards the others' shares.
    open_rows = (fixed < 0) | (wanted[fixed] > 0)
    shares = _class_shares(counts, open_rows)
    order = np.argsort(-shares.sum(axis=1), kind="stable")
    best = _greedy(shares, wanted, fixed, order)
    free = np.flatnonzero((fixed < 0) & (counts.sum(axis=1) > 0))
    if 1 < len(free) <= _SEARCH_GROUPS:
        best = _search(shares, wanted, best, free, np.random.default_rng(seed))
    return best


def _class_shares(counts: Counts, open_rows: NDArray[np.bool_]) -> _Real:
    """(groups, classes + 1): share of each class that lies in a group; the last column counts all rows."""
    every = np.concatenate([counts, counts.sum(axis=1, keepdims=True)], axis=1).astype(np.float64)
    shares: _Real = every / np.maximum(every[open_rows].sum(axis=0), 1.0)
    return shares


def _greedy(shares: _Real, wanted: _Real, fixed: Assignment, order: NDArray[np.int64]) -> Assignment:
    """Largest group first, each to the split where it mends most."""
    result = fixed.copy()
    filled = np.zeros((len(wanted), shares.shape[1]))
    for split in range(len(wanted)):
        filled[split] = shares[fixed == split].sum(axis=0)
    allowed = np.flatnonzero(wanted > 0)
    for group in order[fixed[order] < 0]:
        lack = wanted[allowed, None] - filled[allowed]
        gain = (lack**2 - (lack - shares[group]) ** 2).sum(axis=1)
        split = allowed[int(np.argmax(gain))]
        result[group] = split
        filled[split] += shares[group]
    return result


@dataclass
class _State:
    """An assignment with the share of every class in every split."""

    assignment: Assignment
    filled: _Real

    @classmethod
    def of(cls, assignment: Assignment, shares: _Real, splits: int) -> _State:
        filled = np.stack([shares[assignment == split].sum(axis=0) for split in range(splits)])
        return cls(assignment.copy(), filled)


def _split_cost(filled: _Real, wanted: float | _Real, present: NDArray[np.bool_]) -> _Real:
    """Cost of one split's shares (..., classes): far from what is wanted, or a class not there at all."""
    deviation = np.abs(filled - wanted)
    empty = (filled <= 1e-12) & present
    return np.asarray((deviation**_NORM).sum(axis=-1) + _EMPTY_PENALTY * empty.sum(axis=-1))


def _search(
    shares: _Real, wanted: _Real, start: Assignment, free: NDArray[np.int64], rng: np.random.Generator
) -> Assignment:
    """Improves by single moves and swaps until none helps, then kicks a few groups and tries again."""
    splits = np.flatnonzero(wanted > 0)
    present = (shares > 0).sum(axis=0) >= len(splits)
    best = _descend(_State.of(start, shares, len(wanted)), shares, wanted, present, free, splits)
    best_cost = _cost(best, wanted, present, splits)
    for _ in range(min(max(_WORK // len(free), 5), _MOST_RESTARTS)):
        kicked = best.assignment.copy()
        chosen = rng.choice(free, size=min(len(free), int(rng.integers(2, 6))), replace=False)
        kicked[chosen] = rng.choice(splits, size=len(chosen))
        state = _descend(_State.of(kicked, shares, len(wanted)), shares, wanted, present, free, splits)
        cost = _cost(state, wanted, present, splits)
        if cost < best_cost * (1 - _GAIN):
            best, best_cost = state, cost
    return best.assignment


def _cost(state: _State, wanted: _Real, present: NDArray[np.bool_], splits: NDArray[np.int64]) -> float:
    return float(_split_cost(state.filled[splits], wanted[splits, None], present).sum())


def _descend(
    state: _State,
    shares: _Real,
    wanted: _Real,
    present: NDArray[np.bool_],
    free: NDArray[np.int64],
    splits: NDArray[np.int64],
) -> _State:
    """Takes the best move or swap while one improves the cost."""
    while True:
        cost = _split_cost(state.filled, wanted[:, None], present)
        # The cost is a high power of small shares, so only a relative bound means anything.
        best = (-_GAIN * float(cost.sum()), -1, -1, -1)
        for a in splits:
            mine = free[state.assignment[free] == a]
            left = state.filled[a] - shares[mine]
            for b in splits[splits != a]:
                theirs = np.append(free[state.assignment[free] == b], -1) if a < b else np.array([-1])
                # Row -1 stands for nobody in return: a move instead of a swap.
                back = np.concatenate([shares, np.zeros((1, shares.shape[1]))])[theirs]
                new_a = left[:, None] + back[None]
                new_b = state.filled[b] + shares[mine][:, None] - back[None]
                change = (
                    _split_cost(new_a, wanted[a], present)
                    + _split_cost(new_b, wanted[b], present)
                    - cost[a]
                    - cost[b]
                )
                if change.size and change.min() < best[0]:
                    i, j = np.unravel_index(int(change.argmin()), change.shape)
                    best = (float(change.min()), int(mine[i]), int(theirs[j]), int(b))
        if best[1] < 0:
            return state
        _, group, other, target = best
        source = state.assignment[group]
        state.assignment[group] = target
        if other >= 0:
            state.assignment[other] = source
        state = _State.of(state.assignment, shares, len(wanted))


@dataclass(frozen=True)
class SplitReport:
    """How well an assignment keeps each class's share.

    Attributes:
        shares: split -> class -> share of the class's rows that lie in the split.
        groups: split -> number of groups that have a row.
        rows: split -> number of rows.
        worst: largest deviation of any class's share from the ratio wanted, in percentage points.
        worst_where: split and class of it.
        unmet: what could not be had, in sentences.
    """

    shares: Mapping[str, Mapping[str, float]]
    groups: Mapping[str, int]
    rows: Mapping[str, int]
    worst: float
    worst_where: tuple[str, str]
    unmet: tuple[str, ...]


def report(
    counts: Counts, assignment: Assignment, ratios: Sequence[float], classes: Sequence[str]
) -> SplitReport:
    """Measures an assignment; see `assign_groups` for the arguments."""
    wanted = parse_ratios(ratios)
    filled = np.stack([counts[assignment == split].sum(axis=0) for split in range(len(SPLITS))])
    totals = counts.sum(axis=0)
    shown = np.flatnonzero(totals > 0)
    share = filled / np.maximum(totals, 1)
    deviation = np.abs(share - wanted[:, None])[:, shown]
    at = np.unravel_index(int(deviation.argmax()), deviation.shape) if deviation.size else (0, 0)
    return SplitReport(
        shares={s: {classes[c]: float(share[i, c]) for c in map(int, shown)} for i, s in enumerate(SPLITS)},
        groups={s: int(((assignment == i) & (counts.sum(axis=1) > 0)).sum()) for i, s in enumerate(SPLITS)},
        rows={s: int(filled[i].sum()) for i, s in enumerate(SPLITS)},
        worst=float(deviation[at] * 100) if deviation.size else 0.0,
        worst_where=(SPLITS[int(at[0])], classes[int(shown[at[1]])] if shown.size else ""),
        unmet=tuple(_unmet(counts, filled, wanted, classes)),
    )


def _unmet(counts: Counts, filled: Counts, wanted: _Real, classes: Sequence[str]) -> list[str]:
    """Classes without a row at all, and classes missing from a split, with the reason."""
    lines = []
    groups_of = (counts > 0).sum(axis=0)
    for c, name in enumerate(classes):
        if groups_of[c] == 0:
            lines.append(f"class {name!r} has no row in any split: no source has it")
            continue
        empty = [s for i, s in enumerate(SPLITS) if wanted[i] > 0 and filled[i, c] == 0]
        if empty:
            lines.append(
                f"class {name!r} is missing from {' and '.join(empty)}: only {groups_of[c]} groups have it"
            )
    return lines
