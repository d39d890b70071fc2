"""Class balance: how many rows each class has in each split and of each person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from pgc_data.audits.findings import EXAMPLES, Checked, Finding, Severity, counted

DEVIATION_POINTS = 5.0
"""A class whose share in a split differs from its share overall by more percentage points is a warning."""

IMBALANCE = 10.0
"""A largest class with more than this many times the rows of the smallest is a note."""

_SPLIT_ORDER = ("train", "val", "test")


def balance(table: str, rows: pl.DataFrame, names: Sequence[str]) -> Checked:
    """Counts rows by split and class, and by person and class. Rows without a label or split are left out.

    Args:
        table: name of the table.
        rows: its rows, see `rows.read_rows`.
        names: the class names of its vocabulary, in order; may be empty.
    """
    rows = rows.filter(pl.col("label").is_not_null() & pl.col("split").is_not_null())
    classes = [*names, *sorted(set(rows["label"].cast(pl.String)) - set(names))]
    counts = _counts(rows, pl.col("split"), classes)
    counts = {split: counts[split] for split in split_order(counts)}
    overall = {name: sum(split[name] for split in counts.values()) for name in classes}
    absent = [(split, name) for split, row in counts.items() for name in classes if not row[name]]
    deviation = _largest_deviation(counts, overall)
    imbalance = _imbalance(overall)
    numbers = {
        "classes": classes,
        "rows": counts,
        "shares": {split: _shares(row) for split, row in counts.items()},
        "overall": {"rows": overall, "shares": _shares(overall)},
        "absent": [{"split": split, "class": name} for split, name in absent],
        "largest_deviation": deviation,
        "imbalance_ratio": imbalance,
        **_by_person(rows, classes),
    }
    findings = [_absent(table, absent, len(classes)) if absent else None]
    findings += [_skewed(table, counts, overall, deviation), _imbalanced(table, overall, imbalance)]
    return Checked(numbers, [finding for finding in findings if finding is not None])


def split_order(splits: Iterable[str]) -> list[str]:
    """The splits, train, val and test first, others by name."""
    found = set(splits)
    known = [split for split in _SPLIT_ORDER if split in found]
    return known + sorted(found - set(known))


def _counts(rows: pl.DataFrame, by: pl.Expr, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Value of `by` -> class -> rows, every class in every value."""
    table: dict[str, dict[str, int]] = {}
    groups = rows.group_by(by.cast(pl.String).alias("by"), pl.col("label").cast(pl.String)).len().sort("by")
    for value, label, count in groups.iter_rows():
        table.setdefault(value, dict.fromkeys(classes, 0))[label] = count
    return table


def _shares(counts: Mapping[str, int]) -> dict[str, float]:
    total = sum(counts.values())
    return {name: round(count / total, 6) if total else 0.0 for name, count in counts.items()}


def _deviations(counts: Mapping[str, Mapping[str, int]], overall: Mapping[str, int]) -> list[dict[str, Any]]:
    """How far each class's share in each split lies from its share overall, largest first."""
    expected = _shares(overall)
    found = [
        {
            "split": split,
            "class": name,
            "share": share,
            "overall": expected[name],
            "points": round(100 * abs(share - expected[name]), 3),
        }
        for split, row in counts.items()
        for name, share in _shares(row).items()
    ]
    return sorted(found, key=lambda item: -item["points"])


def _largest_deviation(
    counts: Mapping[str, Mapping[str, int]], overall: Mapping[str, int]
) -> dict[str, Any] | None:
    return next(iter(_deviations(counts, overall)), None)


def _imbalance(overall: Mapping[str, int]) -> float | None:
    present = [count for count in overall.values() if count]
    return round(max(present) / min(present), 3) if present else None


def _by_person(rows: pl.DataFrame, classes: Sequence[str]) -> dict[str, Any]:
    """Rows by class and subject, or group where there is no subject, and the splits each lies in."""
    several = rows["dataset"].n_unique() > 1
    subject = pl.format("{}:{}", "dataset", "subject_id") if several else pl.col("subject_id")
    person = pl.coalesce(subject.cast(pl.String), pl.col("group_id").cast(pl.String), pl.lit("(none)"))
    rows = rows.with_columns(person=person)
    splits = rows.group_by("person").agg(pl.col("split").cast(pl.String).unique().sort()).sort("person")
    return {
        "by_subject": _counts(rows, pl.col("person"), classes),
        "splits_of_subject": dict(splits.iter_rows()),
        "subjects_are_groups": rows.height > 0 and rows["subject_id"].null_count() == rows.height,
    }


def _absent(table: str, absent: Sequence[tuple[str, str]], classes: int) -> Finding:
    where: dict[str, list[str]] = {}
    for split, name in absent:
        where.setdefault(name, []).append(split)
    words = [f"{name} in {' and '.join(where[name])}" for name in list(where)[:3]]
    more = f" and {len(where) - 3} more" if len(where) > 3 else ""
    return Finding(
        kind="class_absent",
        severity=Severity.WARNING,
        table=table,
        count=len(where),
        share=len(where) / classes,
        meaning=f"{counted(len(where), 'class', 'classes')} without a row in a split ({'; '.join(words)}{more}): "
        "what has no row can be neither learned nor measured there.",
        remedy="Add samples of the class from more groups, or leave it out of the vocabulary.",
        examples=tuple({"split": split, "class": name} for split, name in absent[:EXAMPLES]),
    )


def _skewed(
    table: str,
    counts: Mapping[str, Mapping[str, int]],
    overall: Mapping[str, int],
    worst: Mapping[str, Any] | None,
) -> Finding | None:
    if worst is None or worst["points"] <= DEVIATION_POINTS:
        return None
    skewed = [item for item in _deviations(counts, overall) if item["points"] > DEVIATION_POINTS]
    return Finding(
        kind="class_share_deviation",
        severity=Severity.WARNING,
        table=table,
        count=len(skewed),
        share=len(skewed) / (len(counts) * len(overall)),
        meaning=f"{worst['class']} is {100 * worst['share']:.1f} % of {worst['split']} and "
        f"{100 * worst['overall']:.1f} % of all rows, {worst['points']:.1f} percentage points apart: the splits "
        "do not measure the same mixture of classes.",
        remedy="Split again with more, smaller groups, or judge by class-wise metrics.",
        examples=tuple(skewed[:EXAMPLES]),
    )


def _imbalanced(table: str, overall: Mapping[str, int], ratio: float | None) -> Finding | None:
    if ratio is None or ratio <= IMBALANCE:
        return None
    present = {name: count for name, count in overall.items() if count}
    most, least = max(present, key=present.__getitem__), min(present, key=present.__getitem__)
    return Finding(
        kind="class_imbalance",
        severity=Severity.NOTE,
        table=table,
        count=present[least],
        share=present[least] / sum(present.values()),
        meaning=f"{most} has {ratio:.1f} times the rows of {least} ({present[most]:,} and {present[least]:,}): "
        "accuracy alone would flatter a model that ignores the small class.",
        remedy="Report class-wise or balanced metrics; weight the classes in training.",
    )
