"""Class balance: how many rows each class has in each split, of each dataset and of each person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from pgc_data.audits.findings import EXAMPLES, Checked, Finding, Severity, counted, percent
from pgc_data.audits.thresholds import Thresholds

_SPLIT_ORDER = ("train", "val", "test")


def balance(table: str, rows: pl.DataFrame, names: Sequence[str], thresholds: Thresholds) -> Checked:
    """Counts rows by split and class, and by person and class. Rows without a label or split are left out.

    Args:
        table: name of the table.
        rows: its rows, see `rows.read_rows`.
        names: the class names of its vocabulary, in order; may be empty.
        thresholds: from when on an imbalance is told of.
    """
    rows = rows.filter(pl.col("label").is_not_null() & pl.col("split").is_not_null())
    classes = list(dict.fromkeys([*names, *rows["label"].cast(pl.String).unique().sort()]))
    counts = _counts(rows, pl.col("split"), classes)
    counts = {split: counts[split] for split in split_order(counts)}
    overall = {name: sum(split[name] for split in counts.values()) for name in classes}
    absent = [(split, name) for split, row in counts.items() for name in classes if not row[name]]
    deviation = _largest_deviation(counts, overall)
    imbalance = _imbalance(overall)
    by_dataset = _counts(rows.filter(pl.col("dataset").is_not_null()), pl.col("dataset"), classes)
    gain = _dataset_gain(by_dataset)
    numbers = {
        "classes": classes,
        "rows": counts,
        "shares": {split: _shares(row) for split, row in counts.items()},
        "overall": {"rows": overall, "shares": _shares(overall)},
        "absent": [{"split": split, "class": name} for split, name in absent],
        "largest_deviation": deviation,
        "imbalance_ratio": imbalance,
        "by_dataset": by_dataset,
        "dataset_gain": gain,
        **_by_person(rows, classes),
    }
    findings = [
        _absent(table, absent, len(classes)) if absent else None,
        _skewed(table, counts, overall, deviation, thresholds.share_deviation),
        _imbalanced(table, overall, imbalance, thresholds.imbalance),
        _given_away(table, by_dataset, gain, thresholds.dataset_gain),
    ]
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
    most: float,
) -> Finding | None:
    if worst is None or worst["points"] <= most:
        return None
    skewed = [item for item in _deviations(counts, overall) if item["points"] > most]
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
        measure=worst["points"],
    )


def _imbalanced(table: str, overall: Mapping[str, int], ratio: float | None, limit: float) -> Finding | None:
    if ratio is None or ratio <= limit:
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
        measure=ratio,
    )


def _dataset_gain(by_dataset: Mapping[str, Mapping[str, int]]) -> float:
    """Percentage points of rows whose class is guessed right when their dataset is known, but not without."""
    total = sum(sum(row.values()) for row in by_dataset.values())
    if len(by_dataset) < 2 or not total:
        return 0.0
    known = sum(max(row.values()) for row in by_dataset.values())
    largest = max(map(sum, zip(*(row.values() for row in by_dataset.values()), strict=True)))
    return round(100 * (known - largest) / total, 3)


def _given_away(
    table: str, by_dataset: Mapping[str, Mapping[str, int]], gain: float, most: float
) -> Finding | None:
    if gain <= most:
        return None
    totals = {name: sum(row.values()) for name, row in by_dataset.items()}
    usual = {name: max(row, key=row.__getitem__) for name, row in by_dataset.items()}
    cases = [
        {"dataset": name, "class": usual[name], "share": round(row[usual[name]] / totals[name], 6)}
        for name, row in by_dataset.items()
    ]
    right = sum(max(row.values()) for row in by_dataset.values()) / sum(totals.values())
    return Finding(
        kind="dataset_gives_class_away",
        severity=Severity.WARNING,
        table=table,
        count=len(cases),
        share=right,
        meaning=f"Who knows only which dataset a row comes from guesses the class of {percent(right)} of rows, "
        f"{gain:.1f} percentage points more than by the largest class: a model may learn the look of a dataset "
        "instead of the gesture.",
        remedy="Take rows of each class from each dataset in like proportions, or test on a dataset not trained on.",
        examples=tuple(cases[:EXAMPLES]),
        measure=gain,
    )
