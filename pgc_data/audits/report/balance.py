"""Class balance: how many rows each class has in each split, dataset and subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pgc_data.audits.balance import split_order
from pgc_data.audits.findings import counted, percent
from pgc_data.audits.report import html
from pgc_data.audits.report.heatmap import heatmap
from pgc_data.audits.report.plots import key, share_cell, tones

MOST_LISTED = 100
"""The most subjects that a table lists, those with most rows; `audit.json` has them all."""

_MOST_DATASETS = 12


def balance(table: str, numbers: Mapping[str, Any], splits: Sequence[str]) -> str:
    """The class balance of one table, or a line that says why there is none.

    Args:
        table: its name.
        numbers: see `audits.balance.balance`.
        splits: all splits, in the order of their colours.
    """
    if not numbers.get("classes") or not any(numbers["overall"]["rows"].values()):
        return html.paragraph(f"No row of {table} has both a label and a split: there is nothing to compare.")
    return "\n".join(
        [
            html.paragraph(_summary(numbers)),
            _by_split(numbers, splits),
            _by_dataset(numbers.get("by_dataset") or {}),
            _by_subject(numbers, splits),
        ]
    )


def _summary(numbers: Mapping[str, Any]) -> str:
    classes = counted(len(numbers["classes"]), "class", "classes")
    if len(numbers["classes"]) == 1:
        return f"{classes} only: there is no balance to speak of."
    if numbers["imbalance_ratio"] == 1:
        words = f"{classes}, all of the same size."
    else:
        words = (
            f"{classes}, the largest with {numbers['imbalance_ratio']:.3g} times the rows of the smallest."
        )
    worst = numbers.get("largest_deviation")
    if worst and len(numbers["rows"]) > 1:
        words += (
            f" Furthest from its share over all splits: {worst['class']} in {worst['split']}, "
            f"by {worst['points']:.2f} percentage points."
        )
    return words


def _by_split(numbers: Mapping[str, Any], splits: Sequence[str]) -> str:
    rows, shares, overall = numbers["rows"], numbers["shares"], numbers["overall"]
    limit = max([*overall["shares"].values(), *(s for row in shares.values() for s in row.values())])
    colours, several = tones(splits), len(rows) > 1
    body: list[list[object]] = []
    for name in numbers["classes"]:
        tick = overall["shares"][name] if several else None
        counts = [(split, rows[split].get(name, 0), shares[split].get(name, 0.0)) for split in rows]
        cells = [share_cell(n, share, limit, colours.get(split, "s5"), tick) for split, n, share in counts]
        if several:
            cells.append(share_cell(overall["rows"][name], overall["shares"][name], limit))
        body.append([name, *cells])
    caption = "Rows of each class, and their share of the split."
    if several:
        caption = (
            "Rows of each class, and their share of the split; the tick on a bar is the class's share over all "
            "splits."
        )
    head = ["class", *rows, *(["all"] if several else [])]
    return html.table(head, body, caption)


def _by_dataset(counts: Mapping[str, Mapping[str, int]]) -> str:
    if len(counts) < 2:
        return ""
    names = sorted(counts, key=lambda name: (-sum(counts[name].values()), name))[:_MOST_DATASETS]
    totals = {name: max(sum(counts[name].values()), 1) for name in names}
    classes = list(dict.fromkeys(label for name in names for label in counts[name]))
    limit = max(count / totals[name] for name in names for count in counts[name].values())
    body = [
        [label, *(share_cell(n := counts[name].get(label, 0), n / totals[name], limit) for name in names)]
        for label in classes
    ]
    left_out = f" The {len(names)} largest of {len(counts)}." if len(names) < len(counts) else ""
    caption = (
        "Rows of each class by source dataset. A class that only one dataset holds can be told by that dataset's "
        f"cameras and rooms alone.{left_out}"
    )
    return html.subsection("By dataset", html.table(["class", *names], body, caption))


def _by_subject(numbers: Mapping[str, Any], splits: Sequence[str]) -> str:
    counts = numbers.get("by_subject") or {}
    if len(counts) < 2:
        return ""
    who = "group" if numbers.get("subjects_are_groups") else "subject"
    sides = numbers["splits_of_subject"]
    totals = {name: sum(row.values()) for name, row in counts.items()}
    first = sorted(counts, key=lambda name: (-totals[name], name))[:MOST_LISTED]
    most, everything = max(totals.values()), max(sum(totals.values()), 1)
    body = []
    for name in first:
        largest = max(counts[name], key=lambda label: counts[name][label])
        present = sum(1 for n in counts[name].values() if n)
        share = counts[name][largest] / max(totals[name], 1)
        cell = share_cell(totals[name], totals[name] / everything, most / everything)
        body.append([name, ", ".join(split_order(sides[name])), cell, present, largest, percent(share)])
    which = f"the {len(first)} with most rows of {len(counts):,}" if len(first) < len(counts) else "all"
    caption = (
        f"{who.capitalize()}s, {which}: their share of all rows, their classes, and the largest one's share."
    )
    head = [who, "splits", "rows", "classes", "largest class", "its share"]
    listed = html.folded(f"Table of {who}s", html.table(head, body, caption))
    return html.subsection(
        f"By {who}", key(splits), heatmap(counts, sides, numbers["classes"], splits, who), listed
    )
