"""What the windows of a table hold: shapes, values, gaps, and hands that are not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from pgc_data.audits.distributions import distribution
from pgc_data.audits.findings import EXAMPLES, Checked, Finding, Severity, counted, percent
from pgc_data.audits.rows import examples
from pgc_data.audits.thresholds import Thresholds

_USUAL = 0.9
"""Share of windows of one length from which another length is a fault; below, lengths simply vary."""
_FEW = 10
_NOT_FINITE = pl.col("fault").is_not_null()
_WITHOUT = pl.col("usable_fraction") <= 0


def windows(
    table: str, rows: pl.DataFrame, trajectories: Mapping[str, Any], thresholds: Thresholds
) -> tuple[Checked, dict[str, Any] | None]:
    """Checks the windows of a table.

    Args:
        table: name of the table.
        rows: its rows, see `rows.read_rows`.
        trajectories: class -> mean path of the hand.
        thresholds: how many frames should show a hand.

    Returns:
        the check, and `hands`: class -> rows, rows without a hand, their share, and `found`, the mean share of
        frames that show one; empty numbers and None for images.
    """
    if "frames" not in rows.columns:
        return Checked({}), None
    lengths = dict(rows.group_by("frames").len().sort("len", "frames", descending=[True, False]).iter_rows())
    broken, wrong = rows.filter(_NOT_FINITE), _of_other_shape(rows)
    numbers: dict[str, Any] = {
        "usable_fraction": distribution(rows, "usable_fraction", (0.0, 1.0)),
        "longest_gap": distribution(rows, "gap", (0.0, float(max(lengths, default=1)))),
        "frames": {str(frames): count for frames, count in lengths.items()},
        "dims": {str(dims): count for dims, count in rows.group_by("dims").len().sort("dims").iter_rows()},
        "non_finite": broken.height,
        "wrong_shape": wrong.height,
    }
    if trajectories:
        numbers["trajectories"] = dict(trajectories)
    hands = _hands(rows)
    findings = [
        _broken(table, broken, rows.height),
        _wrong_shape(table, wrong, rows),
        _without_hand(table, rows, hands, thresholds.without_hand),
        _few_usable(table, rows, thresholds.usable_fraction),
    ]
    return Checked(numbers, [finding for finding in findings if finding.count]), hands


def _of_other_shape(rows: pl.DataFrame) -> pl.DataFrame:
    """Windows without a value or with frames of unlike sizes, with another number of features than most, or of another
    length where nearly all have one."""
    rows = rows.filter(~_NOT_FINITE)
    if (usual := _usual_shape(rows)) is None:
        return rows
    frames, dims = usual
    other = (pl.col("dims") != dims) | (pl.col("frames") == 0)
    if (rows["frames"] == frames).sum() >= _USUAL * rows.height:
        other = other | (pl.col("frames") != frames)
    return rows.filter(other)


def _usual_shape(rows: pl.DataFrame) -> tuple[int, int] | None:
    """The number of frames and that of features that most windows have; None where no window has any."""
    regular = rows.filter((pl.col("dims") > 0) & (pl.col("frames") > 0))
    if not regular.height:
        return None
    return tuple(
        regular[name].value_counts().sort("count", name, descending=True)[name][0]
        for name in ("frames", "dims")
    )


def _hands(rows: pl.DataFrame) -> dict[str, Any]:
    counts = (
        rows.filter(pl.col("label").is_not_null())
        .group_by(pl.col("label").cast(pl.String))
        .agg(rows=pl.len(), without_hand=_WITHOUT.sum(), found=pl.col("usable_fraction").mean())
        .sort("label")
    )
    return {
        label: {
            "rows": n,
            "without_hand": without,
            "share": round(without / n, 6),
            "found": round(found or 0.0, 6),
        }
        for label, n, without, found in counts.iter_rows()
    }


def _broken(table: str, broken: pl.DataFrame, rows: int) -> Finding:
    share = broken.height / max(rows, 1)
    verb = "is" if broken.height == 1 else "are"
    return Finding(
        kind="non_finite",
        severity=Severity.DAMAGE,
        table=table,
        count=broken.height,
        share=share,
        meaning=f"{counted(broken.height, 'window')} ({percent(share)}) {verb} not all finite numbers: one such "
        "value turns a whole training run into NaN.",
        remedy="Write these files again from their source; if it stays, look at the rows named in the examples.",
        examples=examples(broken, ["label", "name", "fault"]),
    )


def _wrong_shape(table: str, wrong: pl.DataFrame, rows: pl.DataFrame) -> Finding:
    share = wrong.height / max(rows.height, 1)
    verb = "is" if wrong.height == 1 else "are"
    usual = _usual_shape(rows.filter(~_NOT_FINITE))
    shape = (
        f"of the shape of the others, {usual[0]} frames of {usual[1]} features"
        if usual
        else "of any one shape"
    )
    return Finding(
        kind="wrong_shape",
        severity=Severity.DAMAGE,
        table=table,
        count=wrong.height,
        share=share,
        meaning=f"{counted(wrong.height, 'window')} ({percent(share)}) {verb} not {shape}: "
        "a loader stops at it, or pads it unseen.",
        remedy="Cut all windows to one length and one set of features, or leave these out.",
        examples=examples(wrong, ["label", "name", "frames", "dims"]),
    )


def _without_hand(table: str, rows: pl.DataFrame, hands: Mapping[str, Any], most: float) -> Finding:
    """One finding for all windows without a hand, another kind where one class has them all but alone."""
    empty = rows.filter(_WITHOUT & ~_NOT_FINITE)
    share = empty.height / max(rows.height, 1)
    verb = "shows" if empty.height == 1 else "show"
    meaning = f"{counted(empty.height, 'window')} ({percent(share)}) {verb} no hand in any frame"
    worst = _absorbing(hands, most) if empty.height >= _FEW else None
    if worst is None:
        return Finding(
            kind="windows_without_hand",
            severity=Severity.WARNING,
            table=table,
            count=empty.height,
            share=share,
            meaning=f"{meaning}: they are zeros that carry a class label.",
            remedy="Leave them out, or give them a class of their own.",
            examples=examples(empty, ["label", "name", "start"]),
        )
    name, own, others = worst
    cases = [{"class": label, **numbers} for label, numbers in hands.items()]
    return Finding(
        kind="class_without_hands",
        severity=Severity.WARNING,
        table=table,
        count=hands[name]["without_hand"],
        share=own,
        meaning=f"{meaning}, {hands[name]['without_hand']:,} of them of the class {name}: {percent(own)} of its "
        f"windows, against {percent(others)} of the others. A model learns that no hand is {name}, and scores on it.",
        remedy="Leave these windows out, or give them a class of their own, and measure again.",
        examples=tuple(sorted(cases, key=lambda case: -case["share"])[:EXAMPLES]),
    )


def _absorbing(hands: Mapping[str, Any], most: float) -> tuple[str, float, float] | None:
    """The class with by far the largest share of windows without a hand, its share, and that of the others."""
    if len(hands) < 2:
        return None
    name = max(hands, key=lambda label: hands[label]["share"])
    rest = [numbers for label, numbers in hands.items() if label != name]
    others = sum(n["without_hand"] for n in rest) / max(sum(n["rows"] for n in rest), 1)
    own = hands[name]["share"]
    return (name, own, others) if 100 * (own - others) > most else None


def _few_usable(table: str, rows: pl.DataFrame, least: float) -> Finding:
    low = rows.filter((pl.col("usable_fraction") > 0) & (pl.col("usable_fraction") < least) & ~_NOT_FINITE)
    share = low.height / max(rows.height, 1)
    verb = "shows" if low.height == 1 else "show"
    return Finding(
        kind="few_usable_frames",
        severity=Severity.WARNING,
        table=table,
        count=low.height,
        share=share,
        meaning=f"{counted(low.height, 'window')} ({percent(share)}) {verb} a hand in fewer than {least:.0%} of "
        "the frames: the rest is zeros that carry the class label.",
        remedy="Leave them out, or ask to-parquet for a larger share of usable frames.",
        examples=examples(low, ["label", "name", "start", "usable_fraction", "gap"]),
    )
