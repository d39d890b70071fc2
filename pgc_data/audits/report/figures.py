"""The charts of an audit as PNG, for papers: what the page draws, on white."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pgc_data.audits.charts import (
    COLOURS,
    FAINT,
    INK,
    class_balance_chart,
    class_by_subject_chart,
    save_chart,
)
from pgc_data.audits.report.images import MEASURES
from pgc_data.audits.report.plots import Score, number
from pgc_data.audits.report.probe import scores_of

CHARTS = ("class_balance", "class_by_subject", "images", "trajectories", "probe")
"""The charts that a table may have, each in the file `NAME_TABLE.png`."""

MOST_CLASSES = 100
"""The most classes that a chart shows; those with most rows are kept."""

_PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g} %")


def draw(folder: Path, name: str, table: Mapping[str, Any], splits: Sequence[str]) -> list[Path]:
    """Draws the charts of one table for which there are numbers, and returns their paths.

    Args:
        folder: where the files go.
        name: the table's name.
        table: its numbers, see `audits.audit.Audit`.
        splits: all splits, in the order of their colours.

    Raises:
        DataError: `folder` cannot be written.
    """
    paths = {chart: folder / f"{chart}_{name}.png" for chart in CHARTS}
    windows, probe = table.get("windows") or {}, scores_of(table.get("probe"))
    drawn = {
        "images": images_chart(
            paths["images"], table.get("images") or {}, splits, f"Images of the {name} table"
        ),
        "trajectories": trajectories_chart(
            paths["trajectories"], windows.get("trajectories") or {}, f"Mean paths, {name}"
        ),
        "probe": probe_chart(paths["probe"], probe, f"Probe under two splits, {name}"),
    }
    balance = _balance(paths["class_balance"], paths["class_by_subject"], name, table.get("balance") or {})
    return balance + [paths[chart] for chart, done in drawn.items() if done]


def _balance(by_split: Path, by_subject: Path, name: str, numbers: Mapping[str, Any]) -> list[Path]:
    if not numbers.get("by_subject"):
        return []
    sums = numbers["overall"]["rows"]
    kept = set(sorted(sums, key=lambda label: (-sums[label], label))[:MOST_CLASSES])
    most = f": the {len(kept)} of {len(sums):,} classes with most rows" if len(kept) < len(sums) else ""
    class_balance_chart(by_split, _only(numbers["rows"], kept), f"Class balance of the {name} table{most}")
    who = "group" if numbers["subjects_are_groups"] else "subject"
    if len(numbers["by_subject"]) < 2:
        return [by_split]
    subjects, title = _only(numbers["by_subject"], kept), f"Class by {who}, {name}"
    class_by_subject_chart(by_subject, subjects, numbers["splits_of_subject"], title, "rows")
    return [by_split, by_subject]


def _only(counts: Mapping[str, Mapping[str, int]], kept: set[str]) -> dict[str, dict[str, int]]:
    return {key: {label: n for label, n in row.items() if label in kept} for key, row in counts.items()}


def images_chart(path: Path, numbers: Mapping[str, Any], splits: Sequence[str], title: str) -> bool:
    """Draws histograms of width, height, brightness and sharpness by split; False where there is nothing to draw.

    Args:
        path: file to write.
        numbers: the section `images` of a table.
        splits: all splits, in the order of their colours.
        title: heading of the chart.

    Raises:
        DataError: the file cannot be written.
    """
    known = [key for key in MEASURES if any(map(sum, (numbers.get(key) or {}).get("counts", {}).values()))]
    if not known:
        return False
    figure = Figure(
        figsize=(3.4 * min(len(known), 2) + 0.3, 0.7 + 2.1 * ceil(len(known) / 2)), layout="constrained"
    )
    panels = figure.subplots(ceil(len(known) / 2), min(len(known), 2), squeeze=False).ravel()
    for panel, key in zip(panels, known, strict=False):
        _steps(panel, numbers[key], splits)
        name, unit = MEASURES[key]
        panel.set_title(f"{name} ({unit})", fontsize=9, loc="left")
    for panel in panels[len(known) :]:
        panel.remove()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=6, frameon=False, fontsize=8)
    save_chart(figure, path, title)
    return True


def _steps(panel: Axes, measured: Mapping[str, Any], splits: Sequence[str]) -> None:
    order = [*(s for s in splits if s in measured["counts"]), *sorted(set(measured["counts"]) - set(splits))]
    edges = np.arange(len(measured["edges"]))
    for index, split in enumerate(order):
        counts = np.asarray(measured["counts"][split], dtype=np.float64)
        if counts.sum():
            colour = COLOURS[index % len(COLOURS)]
            panel.stairs(counts / counts.sum(), edges, color=colour, linewidth=1.4, label=split)
    # Bins are drawn equally wide, so that edges spaced by their logarithm read as such.
    ticks = np.unique(np.linspace(0, len(edges) - 1, 5).round().astype(int))
    panel.set_xticks(ticks, [number(measured["edges"][tick]) for tick in ticks])
    panel.yaxis.set_major_formatter(_PERCENT)
    panel.yaxis.set_major_locator(MaxNLocator(nbins=4))
    _quiet(panel)
    panel.set_axisbelow(True)
    panel.set_ylim(bottom=0)


def _quiet(panel: Axes) -> None:
    panel.tick_params(labelsize=7.5, labelcolor=FAINT, length=0)
    panel.grid(axis="y", color="#e4e4e4", linewidth=0.6)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color("#bbbbbb")


def trajectories_chart(path: Path, paths: Mapping[str, Mapping[str, Any]], title: str) -> bool:
    """Draws the mean path of every class, all on one scale, y down; False where there is none.

    Args:
        path: file to write.
        paths: class -> `x`, `y` (T positions each) and `rows`.
        title: heading of the chart.

    Raises:
        DataError: the file cannot be written.
    """
    drawn = {name: one for name, one in paths.items() if one.get("x")}
    if not drawn:
        return False
    if len(drawn) > MOST_CLASSES:
        first = sorted(drawn, key=lambda name: -drawn[name]["rows"])[:MOST_CLASSES]
        title = f"{title}: the {MOST_CLASSES} of {len(drawn):,} classes with most rows"
        drawn = {name: drawn[name] for name in first}
    columns = min(len(drawn), 6)
    rows = ceil(len(drawn) / columns)
    reach = max(max(np.abs(one["x"]).max(), np.abs(one["y"]).max()) for one in drawn.values()) or 1.0
    figure = Figure(figsize=(max(1.5 * columns, 3.4), 0.5 + 1.75 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, (name, one) in zip(panels, drawn.items(), strict=False):
        panel.axhline(0, color="#e4e4e4", linewidth=0.8)
        panel.axvline(0, color="#e4e4e4", linewidth=0.8)
        panel.plot(one["x"], one["y"], color=COLOURS[0], linewidth=1.4)
        panel.plot(one["x"][0], one["y"][0], "o", color=COLOURS[0], markersize=4.5, markerfacecolor="white")
        panel.plot(one["x"][-1], one["y"][-1], "o", color=COLOURS[0], markersize=4.5)
        panel.set(xlim=(-1.1 * reach, 1.1 * reach), ylim=(1.1 * reach, -1.1 * reach), xticks=[], yticks=[])
        panel.set_aspect("equal")
        shown = name if len(name) <= 20 else f"{name[:19]}…"
        panel.set_title(f"{shown}\n{one['rows']:,}", fontsize=7.5, color=INK, parse_math=False)
        panel.spines[:].set_color("#d0d0d0")
    for panel in panels[len(drawn) :]:
        panel.remove()
    save_chart(figure, path, title)
    return True


def probe_chart(path: Path, scores: Sequence[Score], title: str) -> bool:
    """Draws the probe's scores with their intervals; False where there are none.

    Args:
        path: file to write.
        scores: the scores, first at the top.
        title: heading of the chart.

    Raises:
        DataError: the file cannot be written.
    """
    if not scores:
        return False
    figure = Figure(figsize=(5.6, 0.9 + 0.42 * len(scores)), layout="constrained")
    panel = figure.subplots()
    for row, score in enumerate(scores):
        colour = COLOURS[row % len(COLOURS)]
        panel.plot([score.low, score.high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
        panel.plot(score.value, row, "o", color=colour, markersize=6)
        panel.text(1.03, row, f"{score.value:.2f}", va="center", fontsize=8, color=INK)
    panel.set_yticks(range(len(scores)), [score.name for score in scores])
    panel.set(xlim=(0, 1), ylim=(len(scores) - 0.5, -0.5))
    panel.set_xlabel("macro F1, 95 % interval", fontsize=8, color=FAINT)
    _quiet(panel)
    panel.tick_params(axis="y", labelsize=8, labelcolor=INK)
    panel.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    save_chart(figure, path, title)
    return True
