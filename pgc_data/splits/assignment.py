"""Assigns groups to splits so that every class keeps its share in each of them.

A greedy pass, near exact for many small groups, then a search by moves and swaps with restarts, which few large groups
need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Assignment = NDArray[np.int64]
_Real = NDArray[np.float64]

_EMPTY_PENALTY = 1.0
_SEARCH_GROUPS = 400
# Fewer restarts where there are more groups: each costs about their square, and gains less.
_WORK, _MOST_RESTARTS = 12_000, 200
_GAIN = 1e-6


def assign_groups(
    counts: Counts, ratios: Sequence[float], seed: int = 0, fixed: Assignment | None = None
) -> Assignment:
    """Assigns groups to splits so that each column keeps its share in every split.

    Args:
        counts: (groups, columns) rows of each group: of a class, or of anything else that is to be shared evenly.
        ratios: share wanted of each split, of any sum; a split of 0 gets nothing.
        seed: for the search; the same seed gives the same splits.
        fixed: (groups,) split of groups that must stay where they are, -1 for the others.

    Returns:
        (groups,) number of the split of each group.
    """
    wanted = np.asarray(ratios, dtype=np.float64)
    wanted = wanted / wanted.sum()
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
    """(groups, columns + 2): share of each column that lies in a group; the last two count rows and groups.

    Without the groups the large ones would go to train and the many small ones elsewhere.
    """
    rows = counts.sum(axis=1, keepdims=True)
    every = np.concatenate([counts, rows, rows > 0], axis=1).astype(np.float64)
    shares: _Real = every / np.maximum(every[open_rows].sum(axis=0), 1.0)
    return shares


def _greedy(shares: _Real, wanted: _Real, fixed: Assignment, order: NDArray[np.int64]) -> Assignment:
    """Largest group first, each to the split where it mends most; at every moment all splits are to be alike."""
    result = fixed.copy()
    filled = np.zeros((len(wanted), shares.shape[1]))
    for split in range(len(wanted)):
        filled[split] = shares[fixed == split].sum(axis=0)
    allowed = np.flatnonzero(wanted > 0)
    placed = filled[allowed].sum(axis=0)
    for group in order[fixed[order] < 0]:
        placed += shares[group]
        lack = wanted[allowed, None] * placed - filled[allowed]
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
    square = (filled - wanted) ** 2
    empty = (filled <= 1e-12) & present
    # The sixth power: high enough that the worst class decides, low enough that the others still guide the search.
    return np.asarray((square * square * square).sum(axis=-1) + _EMPTY_PENALTY * empty.sum(axis=-1))


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
