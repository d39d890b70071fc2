"""Which rows the probe looks at, and the groups they belong to."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

MOST_ROWS = 20_000
_TRAIN = "train"
_BLOCK = 16
"""Neighbouring rows sampled together: taken one by one, frames would lose the neighbours that leak."""

Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """n rows that have a content, a label and a split; and a group, where any row has one.

    Attributes:
        at: (n,) positions in the rows frame, ascending.
        label: (n,) number of the class in `classes`.
        group: (n,) number of the group; None where no row has one.
        train: (n,) whether the given split trains on the row.
        classes: class names.
        unit: what a group is: `people`, `videos` or `groups`; empty where there is none.
        usable: rows that the sample was taken from.
        held_out: those of them outside train.
        shared: those of `held_out` whose group is in train too.
        without_group: rows left out because they have no group where others do.
    """

    at: Codes
    label: Codes
    group: Codes | None
    train: Flags
    classes: tuple[str, ...]
    unit: str
    usable: int
    held_out: int
    shared: int
    without_group: int

    def subset(self, keep: Flags) -> Sample:
        """The rows where `keep` (n,) is true; the counts of the whole stay."""
        group = None if self.group is None else self.group[keep]
        return replace(self, at=self.at[keep], label=self.label[keep], group=group, train=self.train[keep])


def sample_rows(rows: pl.DataFrame, seed: int = 0, most: int = MOST_ROWS) -> Sample:
    """Takes at most `most` rows, in blocks of neighbouring ones, evenly over the groups.

    A group is what `group_id` says, else the subject, else the video, within its dataset.

    Args:
        rows: a table's rows, see `rows.read_rows`.
        seed: of the choice.
        most: the most rows to take.
    """
    readable = pl.col("digest_a").is_not_null() & pl.col("fault").is_null()
    named = pl.col("label").is_not_null() & pl.col("split").is_not_null()
    found = rows.select(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("at"),
        pl.col("label", "start"),
        pl.col("subject_id", "video_id").is_not_null(),
        train=pl.col("split").cast(pl.String) == _TRAIN,
        group=pl.coalesce(_code(1, "group_id"), _code(2, "subject_id", True), _code(3, "video_id", True)),
        clip=pl.coalesce(_code(1, "video_id", True), _code(2, "sample_id", True), pl.lit(0, pl.UInt64)),
    ).filter(rows.select(readable & named).to_series())
    usable = found.height
    grouped = found["group"].null_count() < usable
    if grouped:
        found = found.filter(pl.col("group").is_not_null())
    held_out = found.select(
        all=~pl.col("train"), shared=~pl.col("train") & pl.col("train").any().over("group")
    ).sum()
    kept = found if found.height <= most else found[_chosen(found, seed, most)]
    classes, label = np.unique(kept["label"].cast(pl.String).to_list(), return_inverse=True)
    return Sample(
        at=kept["at"].to_numpy(),
        label=label.astype(np.int64),
        group=_numbered(kept["group"]) if grouped else None,
        train=kept["train"].to_numpy(),
        classes=tuple(map(str, classes)),
        unit=_unit(found) if grouped else "",
        usable=found.height,
        held_out=held_out["all"].item(),
        shared=held_out["shared"].item() if grouped else 0,
        without_group=usable - found.height,
    )


def _code(kind: int, column: str, within_dataset: bool = False) -> pl.Expr:
    """A number for each value of a column, unlike those of another kind."""
    value = pl.col(column).cast(pl.Categorical).to_physical().cast(pl.UInt64)
    dataset = pl.col("dataset").cast(pl.Categorical).to_physical().cast(pl.UInt64).fill_null(0)
    return value + (kind << 60) + (dataset * 2**32 if within_dataset else 0)


def _numbered(codes: pl.Series) -> Codes:
    """0, 1, ... in the order of first appearance: categories are numbered anew in every process."""
    _, first, inverse = np.unique(codes.to_numpy(), return_index=True, return_inverse=True)
    numbers = np.empty(len(first), np.int64)
    numbers[np.argsort(first)] = np.arange(len(first))
    return numbers[inverse]


def _chosen(found: pl.DataFrame, seed: int, most: int) -> Codes:
    """Positions in `found`, ascending: a block of every group, then a second of each, while there is room."""
    group, clip = _numbered(found["group"].fill_null(0)), _numbered(found["clip"])
    order = np.lexsort((found["start"].fill_null(0).to_numpy(), clip, group))
    group, clip = group[order], clip[order]
    begins = np.flatnonzero(np.diff(group, prepend=-1) | np.diff(clip, prepend=-1))
    lengths = np.diff(begins, append=len(order))
    place = np.arange(len(order)) - np.repeat(begins, lengths)
    starts = np.flatnonzero(place % _BLOCK == 0)
    sizes = np.diff(starts, append=len(order))

    chance = np.random.default_rng(seed).permutation(len(starts))
    by_group = np.lexsort((chance, group[starts]))
    turns = np.arange(len(starts)) - np.searchsorted(group[starts], group[starts])
    turn = np.empty(len(starts), np.int64)
    turn[by_group] = turns
    queue = np.lexsort((chance, turn))
    taken = queue[np.cumsum(sizes[queue]) <= most]
    return np.sort(order[np.isin(np.repeat(np.arange(len(starts)), sizes), taken)])


def _unit(found: pl.DataFrame) -> str:
    for column, unit in (("subject_id", "people"), ("video_id", "videos")):
        if 2 * found[column].sum() > found.height:
            return unit
    return "groups"
