"""Groups that show the same pictures are joined, so that near-duplicates never lie in two splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pgc_data.datasets import dataset
from pgc_data.similarity import (
    Pairs,
    best_pairs,
    concatenated,
    confirmed,
    join_alike,
    near_pairs,
)
from pgc_data.splits import Group, merged
from pgc_data.tables.hand_pictures import HandPictures, digests, hand_pictures, thumbnails
from pgc_data.tables.inputs import ExtractedSource
from pgc_data.tables.lock import member_keys, read_lock
from pgc_data.tables.set_aside import set_aside
from pgc_data.tables.split_settings import FOLDS, LEAVE_ONE_OUT, OFFICIAL, SplitSettings

MOST_SHARE = 0.1
"""A group is not joined beyond this share of its dataset's hands: one so large could not be split evenly."""
_EXAMPLES = 5
_MOST_PAIRS = 200_000
_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class JoinReport:
    """What the search for pictures that several groups share found.

    Attributes:
        hands: hands compared.
        pairs: pairs of hands of different groups that show the same picture, the nearest few of every two groups.
        groups: groups that were joined with others.
        dropped: hands set aside because their groups could not be joined.
        largest: hands of the largest group that was joined of several.
        examples: some of the pairs, in words.
        unmet: what could not be had, in sentences.
    """

    hands: int
    pairs: int
    groups: int
    dropped: int
    largest: int
    examples: tuple[tuple[str, str], ...]
    unmet: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "hands": self.hands, "pairs": self.pairs, "groups": self.groups, "dropped": self.dropped,
            "largest": self.largest, "examples": [list(pair) for pair in self.examples],
        }  # fmt: skip


def join_alike_groups(
    sources: Sequence[ExtractedSource], settings: SplitSettings, locks: Sequence[Path]
) -> tuple[list[ExtractedSource], JoinReport]:
    """Joins groups that show the same picture.

    Groups of different datasets, that a lock or an official split has on two sides, or that together would be too
    large, stay apart; then the hands that both show are set aside in the smaller one.

    Args:
        sources: whose groups to join.
        settings: how they are going to be split.
        locks: whose assignments are going to be kept; the first that knows a group counts.

    Returns:
        The sources with their new groups, and what was found.
    """
    pictures = hand_pictures(sources)
    near, every = _near(pictures)
    pairs = _same_pictures(pictures, near)
    component, largest = _joined(pictures, pairs, _fixed(pictures, settings, locks))
    # Where not all near hashes were looked at, any of them may be the same picture.
    torn = _torn(pictures, component, pairs if every else concatenated([pairs, near]))
    aside, unsure = _set_aside(pictures, component, torn)
    unmet = [
        f"{count:,} {what}"
        for count, what in (
            (
                near.left_out,
                "comparisons of hands with nearly the same hash were left out: there were too many",
            ),
            (unsure, "hands have more look-alikes than were compared"),
        )
        if count
    ]
    report = JoinReport(
        hands=len(pictures.hashes), pairs=len(pairs), groups=int((component != np.arange(len(component))).sum()),
        dropped=len(aside), largest=largest,
        examples=tuple((pictures.name(a), pictures.name(b)) for a, b in _ends(pairs)[:_EXAMPLES].tolist()),
        unmet=tuple(unmet),
    )  # fmt: skip
    return _with_groups(pictures, component, aside), report


def _ends(pairs: Pairs) -> _Ints:
    return np.stack([pairs.first, pairs.second], axis=1)


def _near(pictures: HandPictures) -> tuple[Pairs, bool]:
    """Pairs of hands of different groups with nearly the same hash, and whether those are all."""
    lots, found = [], 0
    for lot in near_pairs(pictures.hashes, pictures.groups):
        found += len(lot)
        if found > _MOST_PAIRS:
            return best_pairs(pictures.hashes, pictures.groups), False
        lots.append(lot)
    near = concatenated(lots)
    return near, not near.left_out


def _same_pictures(pictures: HandPictures, near: Pairs) -> Pairs:
    """Those pairs that show the same picture, and pairs that connect hands with the same bytes."""
    with thumbnails(pictures, near.rows()) as small:
        same = confirmed(near, small)
    exact = _same_bytes(pictures, _shared(pictures.hashes, pictures.groups), pictures.groups)
    every = np.unique(np.concatenate([_ends(same), exact]), axis=0)
    distance = np.bitwise_count(pictures.hashes[every[:, 0]] ^ pictures.hashes[every[:, 1]])
    return Pairs(every[:, 0], every[:, 1], distance).best_first()


def _torn(pictures: HandPictures, component: _Ints, pairs: Pairs) -> _Ints:
    """The components that are in a pair with another."""
    ends = component[pictures.groups[_ends(pairs)]]
    found: _Ints = np.unique(ends[ends[:, 0] != ends[:, 1]])
    return found


def _shared(values: NDArray[np.uint64], keys: _Ints) -> _Ints:
    """The numbers of values that come with several keys."""
    order = np.lexsort((keys, values))
    again = values[order[1:]] == values[order[:-1]]
    several = again & (keys[order[1:]] != keys[order[:-1]])
    run = np.concatenate([np.zeros(min(len(order), 1), np.int64), np.cumsum(~again)])
    shared = np.zeros(len(order), dtype=np.bool_)
    shared[run[1:][several]] = True
    return np.sort(order[shared[run]])


def _same_bytes(pictures: HandPictures, hands: _Ints, keys: _Ints) -> _Ints:
    """(m, 2) pairs that connect the hands with the same bytes and different keys, of some hands, ascending."""
    digest = digests(pictures, hands)
    kept = _shared(digest, keys[hands])
    frame = pl.DataFrame({"digest": digest[kept], "key": keys[hands[kept]], "hand": hands[kept]})
    firsts = frame.group_by("digest", "key").agg(pl.col("hand").min()).sort("digest", "hand")
    before = pl.col("hand").shift(1).over("digest")
    found = firsts.with_columns(before=before).drop_nulls()
    return found.select("before", "hand").to_numpy()


def _fixed(pictures: HandPictures, settings: SplitSettings, locks: Sequence[Path]) -> _Ints:
    """(groups,) a number for the split that a lock or a dataset's own split gives each group, -1 for none."""
    known: dict[str, str] = {}
    groups = {group.id: group for source in pictures.sources for group in source.groups.values()}
    for source in pictures.sources:
        keeps = dataset(source.source.dataset).keeps_official_split
        if settings.kind == OFFICIAL or (keeps and settings.kind not in (FOLDS, LEAVE_ONE_OUT)):
            known.update(
                source.samples.select("group_id", "official_split").drop_nulls().unique().iter_rows()
            )
    for path in reversed(locks):
        lock = read_lock(path)
        for group in groups.values():
            splits = [lock[key] for key in member_keys(group) if key in lock]
            if splits:
                known[group.id] = splits[0]
    names = sorted(set(known.values()))
    return np.array([names.index(known[g]) if g in known else -1 for g in pictures.group_ids], dtype=np.int64)


def _joined(pictures: HandPictures, pairs: Pairs, fixed: _Ints) -> tuple[_Ints, int]:
    """(groups,) lowest number of the groups that each is joined with, and the hands of the largest so made."""
    component, largest = np.arange(len(pictures.group_ids)), 0
    names = np.array([group.split(":", 1)[0] for group in pictures.group_ids], dtype=np.str_)
    of_hand = names[pictures.groups]
    for name in np.unique(names):
        mine = (of_hand[pairs.first] == name) & (of_hand[pairs.second] == name)
        most = int(MOST_SHARE * (of_hand == name).sum())
        found = join_alike(pictures.groups, pairs.take(mine), most, fixed)
        changed = found.component != np.arange(len(component))
        component[changed] = found.component[changed]
        largest = max(largest, found.largest_rows)
    return component, largest


def _set_aside(pictures: HandPictures, component: _Ints, torn: _Ints) -> tuple[_Ints, int]:
    """Hands to leave out so that no picture is shown by two components, and hands of which this is not sure.

    Args:
        pictures: all hands.
        component: (groups,) component of each group.
        torn: components that show a picture which another shows.
    """
    of_hand = component[pictures.groups]
    size = np.bincount(of_hand, minlength=len(component))
    # The larger keeps its hands, of two equal ones the first.
    weight = np.lexsort((-np.arange(len(component)), size)).argsort()
    return set_aside(pictures, np.flatnonzero(np.isin(of_hand, torn)), of_hand, weight[of_hand])


def _with_groups(pictures: HandPictures, component: _Ints, aside: _Ints) -> list[ExtractedSource]:
    groups = {group.id: group for source in pictures.sources for group in source.groups.values()}
    members: dict[int, list[Group]] = {}
    for number, group_id in zip(component.tolist(), pictures.group_ids, strict=True):
        members.setdefault(number, []).append(groups[group_id])
    new = {group.id: merged(joined) for joined in members.values() if len(joined) > 1 for group in joined}
    return [
        _renamed(source, new, pictures.places[aside], number)
        for number, source in enumerate(pictures.sources)
    ]


def _renamed(
    source: ExtractedSource, new: Mapping[str, Group], aside: NDArray[np.int32], number: int
) -> ExtractedSource:
    names = {group_id: group.id for group_id, group in new.items()}
    groups = [new.get(group_id, group) for group_id, group in source.groups.items()]
    mine = pl.DataFrame(aside[aside[:, 0] == number][:, 1:], schema=["shard", "row"], orient="row")
    return replace(
        source,
        samples=source.samples.with_columns(pl.col("group_id").replace(names)) if names else source.samples,
        groups={group.id: group for group in groups},
        set_aside=dict(mine.group_by("shard").agg("row").iter_rows()),
    )
