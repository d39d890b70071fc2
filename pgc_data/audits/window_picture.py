"""A picture of one landmark window: the hand in every frame, and its features as curves over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pgc_data.audits.window_blocks import HAND_JOINTS, Floats, Window
from pgc_data.audits.window_panels import (
    FINGER_COLOURS,
    FINGER_MARKERS,
    FINGERS,
    TIPS,
    Curves,
    HeatMap,
    Panel,
    Series,
    Track,
    panels,
)
from pgc_data.audits.window_strip import FAINT, GRID, INK, MASK, STATES, Strip, mask
from pgc_data.storage.files import atomic_path

_GONE, _HELD = "#dadada", "#f0f0f0"
_TIME = LinearSegmentedColormap.from_list("time", ["#b9cfe2", "#5b93c4", "#0b2f57"])

# Inches.
_DPI, _WIDTH, _MARGIN = 150, 10.67, 0.2
_INNER = _WIDTH - 2 * _MARGIN
_HEADER, _PANEL_HEIGHT, _COLUMNS = 0.9, 1.56, 3
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.5, 0.78, 0.27, 0.3
# Points.
_SMALL, _TITLE = 7.0, 8.0
_MOST_MARKERS = 20

Size = tuple[float, float]


def window_picture(path: Path, window: Window) -> None:
    """Draws a window and writes it as PNG, 1600 pixels wide; equal windows give equal bytes.

    Frames without a hand are hatched cells above and grey bands below; held frames are marked in both. A window of
    one frame has its panels beside the hand.

    Args:
        path: file to write.
        window: what to draw.

    Raises:
        DataError: the file cannot be written.
    """
    shown = panels(window)
    strip = Strip(window, _INNER)
    places = list(_places(len(shown), strip.height, beside=window.usable.size == 1))
    below = max(top + size[1] for _, top, size in places) + _BOTTOM
    height = max(below, _HEADER + strip.height) + 0.05
    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI)
    _header(figure, window, height, strip.step)
    strip.draw(_axes(figure, height, _MARGIN, _HEADER, (_INNER, strip.height)))
    for panel, (left, top, size) in zip(shown, places, strict=True):
        _draw_panel(_axes(figure, height, left, top, size), window, panel, size)
    FigureCanvasAgg(figure)
    with atomic_path(path) as temporary:
        # The default metadata names the matplotlib version; without it equal windows are equal files.
        figure.savefig(temporary, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})


def _places(count: int, strip: float, beside: bool) -> Iterator[tuple[float, float, Size]]:
    """Left, top and size of the panels: rows below the strip, or a column beside it; in inches."""
    for index in range(count):
        if beside:
            high = max(strip / count, _PANEL_HEIGHT)
            left, top, wide = 0.34 * _WIDTH, _HEADER - 0.1 + index * high, 0.66 * _WIDTH
        else:
            row, column = divmod(index, _COLUMNS)
            wide, high = (_WIDTH - _MARGIN) / _COLUMNS, _PANEL_HEIGHT
            left, top = _MARGIN / 2 + column * wide, _HEADER + strip + row * high
        yield left + _LEFT, top + _TOP, (wide - _LEFT - _RIGHT, high - _TOP - _BOTTOM)


def _axes(figure: Figure, height: float, left: float, top: float, size: Size) -> Axes:
    """Axes whose upper left corner and size are given in inches from the figure's upper left corner."""
    wide, high = size
    return figure.add_axes((left / _WIDTH, (height - top - high) / height, wide / _WIDTH, high / height))


def _header(figure: Figure, window: Window, height: float, step: int) -> None:
    ax = _axes(figure, height, _MARGIN, 0.0, (_INNER, _HEADER))
    ax.set(xlim=(0, _INNER), ylim=(_HEADER, 0))
    ax.axis("off")
    ax.text(0, 0.32, _short(window.title, 52), fontsize=13, fontweight="bold", color=INK, parse_math=False)
    good, held = int(window.usable.sum()), int(window.held.sum())
    counted = f"{good} of {window.usable.size} frames usable" + (f", {held} of them held" if held else "")
    if step > 1:
        counted += f"; 1 in {step} drawn"
    for line, text in enumerate((window.subtitle, f"{window.facts}  ·  {counted}")):
        ax.text(0, 0.54 + 0.18 * line, _short(text, 150), fontsize=8, color=FAINT, parse_math=False)
    if any(block.is_hand for block in window.blocks):
        for index, (name, colour) in enumerate(zip(FINGERS, FINGER_COLOURS, strict=True)):
            x = _INNER - 0.66 * (len(FINGERS) - index)
            ax.plot([x, x + 0.07, x + 0.14], [0.2, 0.2, 0.2], color=colour, linewidth=1.6, markersize=4,
                    marker=FINGER_MARKERS[index], markevery=[1])  # fmt: skip
            ax.text(x + 0.19, 0.2, name, fontsize=_SMALL, color=INK, va="center_baseline")
    for index, (state, name) in enumerate(STATES.items()):
        x = _INNER - 0.88 * (len(STATES) - index)
        ax.add_patch(mask(x, 0.37, 0.14, state))
        ax.text(x + 0.19, 0.37 + MASK / 2, name, fontsize=_SMALL, color=INK, va="center_baseline")


def _draw_panel(ax: Axes, window: Window, panel: Panel, size: Size) -> None:
    ax.set_title(
        panel.title, fontsize=_TITLE, loc="left", color=INK, fontweight="bold", pad=4, parse_math=False
    )
    ax.tick_params(labelsize=_SMALL, labelcolor=FAINT, length=0, pad=2)
    ax.spines[:].set_visible(False)
    if isinstance(panel, HeatMap):
        _draw_heat_map(ax, window, panel)
    elif isinstance(panel, Track):
        _draw_track(ax, window, panel, size)
    else:
        _draw_curves(ax, window, panel, size[1])


def _draw_curves(ax: Axes, window: Window, panel: Curves, height: float) -> None:
    count = panel.series[0].values.size if panel.series else 0
    x: Floats = np.arange(count, dtype=np.float32)
    if panel.by_joint:
        _name_joints(ax, count)
    else:
        x = _frame_times(window)
        _shade(ax, window, x)
        _name_time(ax, window)
    every = 1 if panel.by_joint else -(-count // _MOST_MARKERS)
    for series in panel.series:
        ax.plot(x, series.values, color=series.colour, linestyle=series.style, linewidth=1.2, marker=series.marker,
                markersize=3, markeredgewidth=0, markevery=every)  # fmt: skip
    ax.grid(axis="y", color=GRID, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_ylabel(_short(panel.unit), fontsize=_SMALL, color=FAINT, labelpad=2)
    step = x[1] - x[0] if count > 1 else 1.0
    ax.set_xlim(x[0] - step / 2, x[-1] + step / 2)
    _limit(ax, panel)
    if not _label(ax, panel.series, x, height):
        ax.set_yticks([])
        ax.text(0.5, 0.5, "nothing found", transform=ax.transAxes, ha="center", fontsize=_SMALL, color=FAINT)


def _name_joints(ax: Axes, count: int) -> None:
    if count == HAND_JOINTS:
        ax.set_xticks([0, *(tip - 1.5 for tip in TIPS)], ["wrist", *FINGERS])
        edges = [tip - 3.5 for tip in TIPS]
        ax.vlines(edges, 0, 1, transform=ax.get_xaxis_transform(), color=GRID, linewidth=0.6)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        _name_right(ax, "number")


def _limit(ax: Axes, panel: Curves) -> None:
    values = np.concatenate([series.values for series in panel.series])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    span = max(high - low, panel.span, 1e-6)
    middle = (low + high) / 2
    low, high = middle - 0.56 * span, middle + 0.56 * span
    low = low if panel.low is None else panel.low
    high = high if panel.high is None else 1.04 * panel.high
    ax.set_ylim((high, low) if panel.downward else (low, high))
    if panel.high is not None and np.isclose(panel.high, np.pi):
        ax.set_yticks([0, np.pi / 2, np.pi], ["0", "π/2", "π"])
    else:
        ax.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))


def _label(ax: Axes, series: Sequence[Series], x: Floats, height: float) -> bool:
    """Names each curve at its right end, apart from each other; returns whether there is any curve."""
    ends = []
    bottom, top = ax.get_ylim()
    for each in series:
        seen = np.flatnonzero(np.isfinite(each.values))
        if seen.size:
            value = float(each.values[seen[-1]])
            ends.append(((value - bottom) / (top - bottom), value, float(x[seen[-1]]), each))
    ends.sort(key=lambda end: end[0])
    places = _apart([end[0] for end in ends], 1.25 * _SMALL / 72 / height)
    left, right = ax.get_xlim()
    for place, (share, _, last, each) in zip(places, ends, strict=True):
        start = (last - left) / (right - left)
        ax.plot([start, 1.015, 1.04], [share, share, place], transform=ax.transAxes, color=each.colour,
                linewidth=0.5, clip_on=False)  # fmt: skip
        ax.text(1.05, place, each.label, transform=ax.transAxes, fontsize=_SMALL, color=INK, va="center")
    return bool(ends)


def _apart(places: Sequence[float], gap: float) -> list[float]:
    """Sorted places moved as little as need be so that neighbours are `gap` apart, within 0 to 1."""
    groups: list[list[float]] = []
    for place in places:
        groups.append([place])
        # Groups that touch become one, spaced evenly around the mean of what its members asked for.
        while len(groups) > 1 and _reach(groups[-2], gap)[1] + gap > _reach(groups[-1], gap)[0]:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_reach(group, gap)[0] + gap * i for group in groups for i in range(len(group))]


def _reach(group: Sequence[float], gap: float) -> tuple[float, float]:
    """Lower and upper end of a group, kept within 0 to 1 as far as it fits."""
    half = gap * (len(group) - 1) / 2
    lowest = half + gap / 2
    middle = max(min(sum(group) / len(group), 1 - half), lowest)
    return middle - half, middle + half


def _draw_heat_map(ax: Axes, window: Window, panel: HeatMap) -> None:
    x = _frame_times(window)
    half = (x[1] - x[0]) / 2
    extent = (x[0] - half, x[-1] + half, panel.start + len(panel.values) - 0.5, panel.start - 0.5)
    values = np.ma.masked_invalid(panel.values)
    image = ax.imshow(values, cmap="cividis", aspect="auto", extent=extent, interpolation="nearest")
    ax.set_facecolor(_GONE)
    ax.set_ylabel("feature", fontsize=_SMALL, color=FAINT, labelpad=2)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    _name_time(ax, window)
    bar = ax.figure.colorbar(image, cax=ax.inset_axes((1.02, 0, 0.03, 1)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=_SMALL - 0.5, labelcolor=FAINT, length=0, pad=2)
    # One scale for features of several units has none.
    bar.set_label("" if "(" in panel.unit else _short(panel.unit), fontsize=_SMALL, color=FAINT)


def _draw_track(ax: Axes, window: Window, panel: Track, size: Size) -> None:
    found = np.flatnonzero(np.isfinite(panel.points).all(axis=1))
    points = panel.points[found]
    shade = found / max(window.usable.size - 1, 1)
    # Across a gap nobody knows the way.
    joined = np.flatnonzero(np.diff(found) == 1)
    pieces = list(np.stack([points[joined], points[joined + 1]], axis=1))
    ax.add_collection(
        LineCollection(pieces, colors=_TIME(shade[joined + 1]), linewidths=1.8, capstyle="round")
    )
    ax.scatter(points[:, 0], points[:, 1], s=12, c=_TIME(shade), linewidths=0, zorder=3)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    # Room for the words at its ends; one scale for both axes.
    span = 1.45 * np.maximum(np.ptp(points, axis=0), max(panel.span, 1e-6))
    half = np.array(size) * float(np.max(span / np.array(size))) / 2
    ax.set(xlim=(middle[0] - half[0], middle[0] + half[0]), ylim=(middle[1] + half[1], middle[1] - half[1]))
    ax.grid(color=GRID, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    ax.set_ylabel(_short(panel.units[1]), fontsize=_SMALL, color=FAINT, labelpad=2)
    _name_right(ax, _short(panel.units[0]))
    _name_ends(ax, points, 72 * size[0] / (2 * half[0]))


def _name_ends(ax: Axes, points: Floats, scale: float) -> None:
    """Writes start and end where the path does not run, apart from each other; `scale` is points a unit."""
    offsets = [_away(points), _away(points[::-1])]
    apart = (points[-1] - points[0]) * (scale, -scale) + offsets[1] - offsets[0]
    if abs(apart[0]) < 26 and abs(apart[1]) < 9:
        side = 16 if points[0, 0] <= points[-1, 0] else -16
        offsets = [np.array([-side, 0.0], dtype=np.float32), np.array([side, 0.0], dtype=np.float32)]
    for name, point, offset in zip(("start", "end"), points[[0, -1]], offsets, strict=True):
        ax.annotate(name, point, xytext=tuple(offset), textcoords="offset points", fontsize=_SMALL, color=INK,
                    ha="center", va="center")  # fmt: skip


def _away(points: Floats) -> Floats:
    """Where a word beside the first point goes, as an offset in points: opposite to where the path leads."""
    away = points[0] - points[1:4].mean(axis=0) if len(points) > 1 else np.zeros(2, dtype=np.float32)
    length = float(np.hypot(*away))
    unit = away / length if length > 0 else np.array([0.0, -1.0])
    return np.asarray(unit * (13, -9), dtype=np.float32)


def _frame_times(window: Window) -> Floats:
    """Where frames lie on the time axis: milliseconds, or their number."""
    return np.arange(window.usable.size, dtype=np.float32) if window.times is None else window.times


def _name_time(ax: Axes, window: Window) -> None:
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True))
    _name_right(ax, "frame" if window.times is None else "ms")


def _name_right(ax: Axes, text: str) -> None:
    """The unit of the horizontal axis, behind its last number."""
    ax.annotate(text, (1, 0), xytext=(6, -2), xycoords="axes fraction", textcoords="offset points", va="top",
                fontsize=_SMALL, color=FAINT)  # fmt: skip


def _shade(ax: Axes, window: Window, x: Floats) -> None:
    """Bands behind frames without a hand and, lighter, behind held ones."""
    half = float(x[1] - x[0]) / 2
    for frame in range(x.size):
        gone = not window.usable[frame]
        if gone or window.held[frame]:
            colour = _GONE if gone else _HELD
            ax.axvspan(x[frame] - half, x[frame] + half, color=colour, linewidth=0)


def _short(text: str, longest: int = 24) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
