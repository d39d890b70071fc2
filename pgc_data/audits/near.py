"""Images that are nearly the same: in two splits, or under two labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pgc_data.audits.balance import split_order
from pgc_data.audits.findings import EXAMPLES, Checked, Finding, Severity, counted, percent
from pgc_data.audits.rows import references
from pgc_data.audits.scratch import ScratchArray
from pgc_data.audits.thresholds import Thresholds
from pgc_data.similarity import Neighbours, likeness, near_rows, pixel_check

SHOWN_PAIRS = 24
_TRAIN = "train"
_PIECE = 1 << 14
_CONTRADICTION = 0.9
"""Least likeness of two images of which the labels are held against each other: less may be the next person."""

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def near_duplicates(
    table: str, rows: pl.DataFrame, thumbnails: ScratchArray, thresholds: Thresholds
) -> Checked:
    """Finds images with close perceptual hashes and the same pixels, in different splits or of different labels.

    Copies byte for byte are left to `duplicates`. Frames of one video under two labels are not held against it: one
    label ends where the next begins.

    Args:
        table: name of the table.
        rows: its rows, see `rows.read_rows`.
        thumbnails: (n, 1152) of each row, see `similarity.thumbnail`.
        thresholds: how far hashes may differ.
    """
    if "phash" not in rows.columns:
        return Checked({})
    search = _Search(rows, thumbnails, thresholds.near_bits)
    numbers: dict[str, Any] = {"compared": len(search.at), "plain": search.plain}
    findings = []
    splits = rows["split"].cast(pl.String)
    if splits.n_unique() > 1:
        across = search.pairs(splits, search.same)
        held_out, near, told = _across(rows, across)
        numbers |= told
        if near:
            findings.append(_leak(table, held_out, near, told["pairs"]))
    if rows["label"].n_unique() > 1:
        pairs = search.pairs(rows["label"].cast(pl.String), search.contradict)
        numbers["with_two_labels"] = len(pairs.worst)
        if len(pairs.worst):
            findings.append(_contradiction(table, len(search.at), pairs, _described(rows, pairs)))
    return Checked(numbers, findings)


class _Pairs:
    """For each row compared a partner, and the distinct pairs, worst first."""

    def __init__(self, at: Ints, found: Neighbours, likenesses: NDArray[np.float32]) -> None:
        has = np.flatnonzero(found.found)
        self.rows = at[has]
        first, second = self.rows, at[found.partner[has]]
        low, high = np.minimum(first, second), np.maximum(first, second)
        _, unique = np.unique(np.stack([low, high], axis=1), axis=0, return_index=True)
        distance = found.distance[has]
        order = np.lexsort((high[unique], low[unique], -likenesses[unique], distance[unique]))
        worst = unique[order]
        self.worst = np.stack([low[worst], high[worst]], axis=1) if len(worst) else np.empty((0, 2), np.int64)
        self.distance, self.likeness = distance[worst], likenesses[worst]


class _Search:
    """The rows with a picture that can be known again, and the checks of two of them.

    Attributes:
        at: (m,) their positions in the table.
        plain: rows too plain to compare.
    """

    def __init__(self, rows: pl.DataFrame, thumbnails: ScratchArray, bits: int) -> None:
        decoded = np.flatnonzero(rows["phash"].is_not_null().to_numpy())
        dull = rows["plain"].gather(decoded).to_numpy()
        self.at, self.plain = decoded[~dull], int(dull.sum())
        self._bits, self._thumbnails = bits, thumbnails
        self._alike = pixel_check(cast(Any, thumbnails))
        chosen = rows.select("phash", "digest_a", "dataset", "video_id")[self.at]
        self._hashes = chosen["phash"].to_numpy()
        self._digests = chosen["digest_a"].to_numpy()
        video = pl.when(pl.col("video_id").is_not_null()).then(pl.struct("dataset", "video_id").rank("dense"))
        self._videos = chosen.select(video.fill_null(0).cast(pl.Int64)).to_series().to_numpy()

    def pairs(self, keys: pl.Series, check: Any) -> _Pairs:
        """Rows with different keys that `check` says are one picture; rows without a key are left out."""
        chosen = keys.gather(self.at)
        known = np.flatnonzero(chosen.is_not_null().to_numpy())
        codes = chosen.gather(known).rank("dense").cast(pl.Int32).to_numpy()

        def same(first: Ints, second: Ints) -> Bools:
            return np.asarray(check(known[first], known[second]))

        found = near_rows(self._hashes[known], codes, same, self._bits)
        has = np.flatnonzero(found.found)
        alike = self._likeness(known[has], known[found.partner[has]])
        return _Pairs(self.at[known], found, alike)

    def same(self, first: Ints, second: Ints) -> Bools:
        """Whether two are one picture, but not one file."""
        fresh = np.flatnonzero(self._digests[first] != self._digests[second])
        result = np.zeros(len(first), dtype=np.bool_)
        result[fresh] = self._alike(self.at[first[fresh]], self.at[second[fresh]])
        return result

    def contradict(self, first: Ints, second: Ints) -> Bools:
        """Whether two are one picture beyond doubt, and not frames of one video."""
        apart = (self._videos[first] != self._videos[second]) | (self._videos[first] == 0)
        chosen = np.flatnonzero(apart & (self._digests[first] != self._digests[second]))
        result = np.zeros(len(first), dtype=np.bool_)
        result[chosen] = self.same(first[chosen], second[chosen])
        sure = np.flatnonzero(result)
        result[sure] = self._likeness(first[sure], second[sure]) >= _CONTRADICTION
        return result

    def _likeness(self, first: Ints, second: Ints) -> NDArray[np.float32]:
        pieces = (slice(at, at + _PIECE) for at in range(0, len(first), _PIECE))
        a, b = self.at[first], self.at[second]
        parts = [likeness(self._thumbnails[a[piece]], self._thumbnails[b[piece]]) for piece in pieces]
        return np.concatenate([np.empty(0, np.float32), *parts])


def _across(rows: pl.DataFrame, pairs: _Pairs) -> tuple[int, int, dict[str, Any]]:
    """Rows held out, those of them with a neighbour, and the numbers."""
    counts = dict(rows.group_by(pl.col("split").cast(pl.String)).len().drop_nulls().iter_rows())
    near = dict(rows[pairs.rows].group_by(pl.col("split").cast(pl.String)).len().iter_rows())
    found = {split: int(near.get(split, 0)) for split in split_order(counts)}
    held_out = [split for split in counts if split != _TRAIN or len(counts) == 1]
    told = {
        "rows_with_neighbour": found,
        "share": {split: round(count / counts[split], 6) for split, count in found.items()},
        "pairs": _described(rows, pairs),
    }
    return sum(counts[s] for s in held_out), sum(found[s] for s in held_out), told


def _described(rows: pl.DataFrame, pairs: _Pairs) -> list[dict[str, Any]]:
    worst = pairs.worst[:SHOWN_PAIRS]
    a, b = (references(rows[worst[:, side]]) for side in (0, 1))
    measured = zip(pairs.distance[:SHOWN_PAIRS].tolist(), pairs.likeness[:SHOWN_PAIRS].tolist(), strict=True)
    return [
        {"a": one, "b": other, "distance": distance, "score": round(score, 4)}
        for one, other, (distance, score) in zip(a, b, measured, strict=True)
    ]


def _leak(table: str, held_out: int, near: int, pairs: list[dict[str, Any]]) -> Finding:
    share = near / held_out
    verb = "has" if near == 1 else "have"
    return Finding(
        kind="near_duplicate_across_splits",
        severity=Severity.LEAK,
        table=table,
        count=near,
        share=share,
        meaning=f"{counted(near, 'image')} of {held_out:,} outside train ({percent(share)}) {verb} a near-copy in "
        "another split: the same picture re-encoded, resized or hardly changed was trained on.",
        remedy="Put what shows the same picture into one split; if the pairs below are different people, lower the "
        "threshold near_bits.",
        examples=tuple(pairs[:EXAMPLES]),
    )


def _contradiction(
    table: str, compared: int, pairs: _Pairs, described: Sequence[Mapping[str, Any]]
) -> Finding:
    count = len(pairs.worst)
    share = min(len(pairs.rows) / max(compared, 1), 1.0)
    verb = "shows" if count == 1 else "show"
    return Finding(
        kind="contradictory_labels",
        severity=Severity.WARNING,
        table=table,
        count=count,
        share=share,
        meaning=f"{counted(count, 'pair')} of images ({percent(share)} of those compared) {verb} nearly the same "
        "picture under two labels: no model can be right on both.",
        remedy="Look at the pairs, decide on one label for each, or leave them out.",
        examples=tuple(described[:EXAMPLES]),
    )
