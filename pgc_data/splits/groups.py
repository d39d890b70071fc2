"""Groups: connected components of people, videos and what shows the same picture."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


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


def merged(groups: Sequence[Group]) -> Group:
    """One group of all members of several groups of one dataset."""
    dataset = groups[0].id.split(":", 1)[0]
    return _named(
        dataset, {group.kind for group in groups}, {name for group in groups for name in group.members}
    )


def _group(dataset: str, units: set[tuple[str, str]]) -> Group:
    return _named(dataset, {kind for kind, _ in units}, {value for _, value in units})


def _named(dataset: str, kinds: set[str], members: set[str]) -> Group:
    names = tuple(sorted(members))
    label = "+".join(names) if len(names) <= 4 else f"{names[0]}+{len(names) - 1} more"
    return Group(f"{dataset}:{label}", min(kinds, key=("subject", "video", "sample").index), names)
