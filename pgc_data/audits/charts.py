"""Charts of class balance, drawn so that the same numbers give the same PNG bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pgc_data.audits.balance import split_order
from pgc_data.audits.findings import counted
from pgc_data.storage.files import atomic_path

MOST_SUBJECTS = 60
"""The most subjects that one heatmap shows; those with most rows are kept."""

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#F0E442")
"""Okabe and Ito's palette: told apart with every common kind of colour blindness."""

_ALARM = "#C03000"
INK, FAINT = "#222222", "#757575"
_DPI = 160
_SEVERAL = "several splits"
_MOST_WRITTEN = 14
"""The most classes of a heatmap whose cells are wide enough for a number."""
_LONGEST_NAME = 28
_PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g} %")

Floats = np.ndarray[Any, np.dtype[np.float64]]


def class_balance_chart(
    path: Path, counts: Mapping[str, Mapping[str, int]], title: str, unit: str = "rows"
) -> None:
    """Draws a panel for each split with a bar for each class, and writes it as PNG.

    A bar is as long as the class's share of its split, so that equal mixtures look equal whatever the size of
    the split; its count is written beside it. A tick marks the class's share over all splits.

    Args:
        path: file to write.
        counts: split -> class -> number; the name of a single split may be empty.
        title: heading of the chart.
        unit: what is counted, in the plural.

    Raises:
        DataError: the file cannot be written.
    """
    classes = list(dict.fromkeys(name for row in counts.values() for name in row))
    numbers = np.array([[row.get(name, 0) for name in classes] for row in counts.values()], dtype=np.int64)
    shares = np.array([_shares(row) for row in numbers])
    overall = _shares(numbers.sum(axis=0)) if len(counts) > 1 else None
    limit = float(shares.max(initial=0.0)) or 1.0
    width = _name_width(classes) + 2.5 * max(len(counts), 1) + 0.3
    size = (max(width, 4.6), 1.25 + 0.27 * max(len(classes), 1))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, max(len(counts), 1), sharey=True, squeeze=False)[0]
    _name_rows(panels[0], classes)
    for index, (panel, split) in enumerate(zip(panels, counts, strict=False)):
        _bars(panel, numbers[index], shares[index], overall, limit, COLOURS[index % len(COLOURS)])
        total = counted(int(numbers[index].sum()), unit.removesuffix("s"), unit)
        panel.set_title(f"{split}: {total}" if split else total, fontsize=9, loc="left", parse_math=False)
    legend = f"share of the split's {unit}; tick: share over all splits" if len(counts) > 1 else "share"
    figure.supxlabel(legend, fontsize=8, color=FAINT)
    save_chart(figure, path, title)


def _shares(counts: Any) -> Floats:
    return np.asarray(counts / max(counts.sum(), 1), dtype=np.float64)


def _bars(
    panel: Axes, counts: Sequence[int], shares: Floats, overall: Floats | None, limit: float, colour: str
) -> None:
    rows = np.arange(len(counts))
    panel.barh(rows, shares, height=0.66, color=colour)
    ends = shares
    if overall is not None:
        panel.vlines(overall, rows - 0.43, rows + 0.43, color=INK, linewidth=1.2)
        ends = np.maximum(shares, overall)
    for row, (count, end) in enumerate(zip(counts, ends, strict=True)):
        label = panel.text(end + 0.03 * limit, row, f"{count:,}", va="center", fontsize=8, color=INK)
        if count == 0:
            label.set(text="none", color=_ALARM, fontweight="bold")
    panel.set_xlim(0, 1.32 * limit)
    panel.xaxis.set_major_formatter(_PERCENT)
    panel.xaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
    panel.tick_params(axis="x", labelsize=7.5, labelcolor=FAINT, length=0)
    panel.tick_params(axis="y", length=0)
    panel.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[:].set_visible(False)


def class_by_subject_chart(
    path: Path,
    counts: Mapping[str, Mapping[str, int]],
    splits: Mapping[str, Sequence[str]],
    title: str,
    unit: str = "rows",
) -> None:
    """Draws a heatmap of subject by class and writes it as PNG: the share of a subject's rows in each class.

    Subjects are sorted by split, which a coloured strip shows; the number of rows is written behind the name,
    and in every cell where there is room. Of more than `MOST_SUBJECTS`, those with most rows are shown.

    Args:
        path: file to write.
        counts: subject -> class -> number; at least one subject and one class.
        splits: subject -> the splits it lies in.
        title: heading of the chart.
        unit: what is counted, in the plural.

    Raises:
        DataError: the file cannot be written.
    """
    totals = {name: sum(row.values()) for name, row in counts.items()}
    shown = sorted(counts, key=lambda name: (-totals[name], name))[:MOST_SUBJECTS]
    sides = {name: splits[name][0] if len(splits[name]) == 1 else _SEVERAL for name in shown}
    order = [*split_order(set(sides.values()) - {_SEVERAL}), _SEVERAL]
    shown.sort(key=lambda name: (order.index(sides[name]), name))
    classes = list(dict.fromkeys(name for row in counts.values() for name in row))
    numbers = np.array([[counts[name].get(kind, 0) for kind in classes] for name in shown], dtype=np.int64)
    names = [f"{_short(name)}  ({totals[name]:,})" for name in shown]
    cell = 0.85 if len(classes) <= 4 else 0.56 if len(classes) <= _MOST_WRITTEN else 0.3
    width = max(_name_width(names) + cell * len(classes) + 1.0, 4.8)
    heading = 0.0 if len(classes) <= 4 else _name_width(classes)
    figure = Figure(figsize=(width, 1.5 + 0.24 * len(shown) + heading), layout="constrained")
    panel = figure.subplots()
    _heatmap(figure, panel, numbers, unit)
    _name_rows(panel, names)
    _name_columns(panel, classes)
    _strip(figure, panel, [sides[name] for name in shown], order, 0.06 / (cell * len(classes)))
    if len(shown) < len(counts):
        title = f"{title}: the {len(shown)} of {len(counts):,} with most {unit}"
    save_chart(figure, path, title)


def _heatmap(figure: Figure, panel: Axes, numbers: Any, unit: str) -> None:
    shares = numbers / np.maximum(numbers.sum(axis=1, keepdims=True), 1)
    most = float(shares.max(initial=0.0)) or 1.0
    image = panel.imshow(shares, cmap="Blues", vmin=0.0, vmax=most, aspect="auto")
    panel.set_xticks(np.arange(numbers.shape[1] + 1) - 0.5, minor=True)
    panel.set_yticks(np.arange(numbers.shape[0] + 1) - 0.5, minor=True)
    panel.grid(which="minor", color="white", linewidth=1.5)
    panel.tick_params(which="both", length=0)
    panel.spines[:].set_visible(False)
    bar = figure.colorbar(
        image, ax=panel, aspect=30, shrink=min(0.7, 14 / len(numbers)), anchor=(0.0, 1.0), format=_PERCENT
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5, labelcolor=FAINT, length=0)
    bar.set_label(f"share of the subject's {unit}", fontsize=8, color=FAINT)
    for (row, column), count in np.ndenumerate(numbers):
        if count == 0:
            panel.text(column, row, "0", ha="center", va="center", fontsize=7, color=_ALARM)
        elif numbers.shape[1] <= _MOST_WRITTEN:
            colour = "white" if shares[row, column] > 0.55 * most else INK
            panel.text(column, row, f"{count:,}", ha="center", va="center", fontsize=7, color=colour)


def _strip(figure: Figure, panel: Axes, sides: Sequence[str], order: Sequence[str], width: float) -> None:
    """Colours each subject's split at the left edge of the heatmap, `width` of it wide, with a legend."""
    present = [split for split in order if split in sides]
    colours = {split: COLOURS[index % len(COLOURS)] for index, split in enumerate(order)}
    colours[_SEVERAL] = _ALARM
    for row, split in enumerate(sides):
        edges = {"xmin": -1.2 * width, "xmax": -0.3 * width}
        panel.axhspan(row - 0.44, row + 0.44, **edges, color=colours[split], linewidth=0, clip_on=False)
    panel.tick_params(axis="y", pad=10)
    handles = [Patch(color=colours[split], label=split) for split in present]
    figure.legend(handles=handles, loc="outside lower left", ncols=4, frameon=False, fontsize=8)


def _name_rows(panel: Axes, names: Sequence[str]) -> None:
    panel.set_yticks(range(len(names)))
    labels = panel.set_yticklabels([_short(name, _LONGEST_NAME + 12) for name in names], fontsize=8)
    for label in labels:
        label.set_parse_math(False)
    panel.set_ylim(len(names) - 0.4, -0.6)


def _name_columns(panel: Axes, names: Sequence[str]) -> None:
    turned = len(names) > 4
    panel.xaxis.tick_top()
    panel.set_xticks(range(len(names)))
    labels = panel.set_xticklabels(
        [_short(name) for name in names],
        fontsize=8,
        rotation=90 if turned else 0,
    )
    for label in labels:
        label.set_parse_math(False)


def _short(name: str, longest: int = _LONGEST_NAME) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _name_width(names: Sequence[str]) -> float:
    """Inches that the longest name takes at 8 points."""
    return 0.075 * max((min(len(name), _LONGEST_NAME + 12) for name in names), default=0) + 0.2


def save_chart(figure: Figure, path: Path, title: str) -> None:
    """Gives a figure its heading and writes it, the same bytes for the same figure."""
    figure.suptitle(title, fontsize=10.5, fontweight="bold", x=0.01, ha="left", parse_math=False)
    FigureCanvasAgg(figure)
    with atomic_path(path) as temporary:
        # The default metadata names the matplotlib version; without it equal charts are equal files.
        figure.savefig(temporary, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
