"""Pictures of heat maps: a panel for each layer, and the strongest layers together; equal input gives equal bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pgc_data.config import unknown_name
from pgc_data.explain.heatmaps import HeatMap
from pgc_data.storage.files import atomic_path

LAYOUTS = ("row", "col")
INK, FAINT, LINE = "#222222", "#6b6b6b", "#c8c8c8"
_DPI = 150
# Inches.
_TILE, _GAP, _EDGE, _NAME = 2.1, 0.16, 0.18, 1.8
# Points.
_SMALL, _TEXT, _TITLE = 7.5, 8.5, 11.0
# Panels are square at most: a crop may be very wide or high.
_MOST_ASPECT = 2.0
# Pixels of an overlay's longer side.
_OVERLAY = 320

Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class Style:
    """How heat maps are coloured.

    Attributes:
        cmap: name of a matplotlib colour map.
        invert: whether it is turned round.
        alpha: of the heat map over the image, 0 to 1.
        reduce: how channels were reduced, for captions.
        shared: whether the scale of a layer is one for all images.
    """

    cmap: str = "turbo"
    invert: bool = False
    alpha: float = 0.55
    reduce: str = "mean"
    shared: bool = False

    @property
    def colours(self) -> Colormap:
        """The colour map.

        Raises:
            ConfigError: matplotlib has none of that name.
        """
        if self.cmap not in matplotlib.colormaps:
            raise unknown_name(
                "colour map", self.cmap, [name for name in matplotlib.colormaps if "_r" not in name]
            )
        found = matplotlib.colormaps[self.cmap]
        return found.reversed() if self.invert else found


@dataclass(frozen=True, eq=False)
class Picture:
    """The image that heat maps are drawn over.

    Attributes:
        name: for people.
        image: (height, width, 3) RGB, as it came.
        seen: (H, W, 3) RGB, as the network got it.
        probability: the network's answer.
        label: at the threshold.
    """

    name: str
    image: Rgb
    seen: Rgb
    probability: float
    label: str

    @property
    def tile(self) -> tuple[float, float]:
        """Width and height of a tile with its proportions, inches."""
        height, width = self.image.shape[:2]
        aspect = min(max(width / height, 1 / _MOST_ASPECT), _MOST_ASPECT)
        return (_TILE, _TILE / aspect) if aspect >= 1 else (_TILE * aspect, _TILE)

    @property
    def answer(self) -> str:
        """What the network says, in words."""
        return f"{self.label} ({self.probability:.3f})"


def panel_picture(path: Path, picture: Picture, heat: HeatMap, style: Style) -> None:
    """Writes input, heat map and overlay of one layer, side by side, with the scale.

    Raises:
        DataError: the file cannot be written.
    """
    wide, high = picture.tile
    width = 2 * _EDGE + 3 * wide + 2 * _GAP + 0.75
    # A title needs more than three narrow tiles.
    width = max(width, 5.6)
    height = 0.72 + high + 0.34
    figure = Figure(figsize=(width, height), dpi=_DPI)
    tensor = heat.tensor
    _heading(figure, height, f"{tensor.index}  {tensor.title}", f"{tensor.kind}, {tensor.size_text}  ·  "
             f"{picture.name}  ·  {picture.answer}", width)  # fmt: skip
    captions = (
        f"seen by the network, {picture.seen.shape[1]}x{picture.seen.shape[0]}",
        f"{style.reduce} of {_channels(heat)} channels, {heat.values.shape[1]}x{heat.values.shape[0]}",
        "overlay",
    )
    images = (picture.seen, _coloured(heat, style), overlay(picture, heat, style))
    for column, (caption, image) in enumerate(zip(captions, images, strict=True)):
        ax = _place(figure, _EDGE + column * (wide + _GAP), 0.72, wide, high)
        _show(ax, image, smooth=column == 2)
        ax.set_xlabel(caption, fontsize=_SMALL, color=FAINT, labelpad=3)
    scale = _place(figure, _EDGE + 3 * wide + 2.6 * _GAP, 0.72, 0.11, high)
    _scale(scale, style, (heat.low, heat.high))
    _save(figure, path)


def composite_picture(
    path: Path, picture: Picture, maps: Sequence[HeatMap], style: Style, layout: str, notes: Sequence[str]
) -> None:
    """Writes the overlays of several layers with the input before them and a legend.

    Args:
        path: PNG to write.
        picture: the image.
        maps: of it, in the order to show.
        style: colours.
        layout: `row`: one beside the other, up to six a line; `col`: one below the other, its facts beside it.
        notes: title, and one line for each map.

    Raises:
        DataError: the file cannot be written.
    """
    wide, high = picture.tile
    columns = min(len(maps) + 1, 7) if layout == "row" else 1
    rows = -(-(len(maps) + 1) // columns)
    name_wide = max(wide, _NAME)
    cell_wide, cell_high = (name_wide + _GAP, high + 0.56) if layout == "row" else (wide + 2.7, high + _GAP)
    width = max(2 * _EDGE + columns * cell_wide, 4.6)
    height = 0.72 + rows * cell_high + 0.62
    figure = Figure(figsize=(width, height), dpi=_DPI)
    _heading(figure, height, notes[0], f"{picture.name}  ·  {picture.answer}", width)
    texts = [("input", f"seen as {picture.seen.shape[1]}x{picture.seen.shape[0]}", "")]
    texts += [
        (f"{rank}.  {heat.tensor.title}", f"{heat.tensor.kind}, {heat.tensor.size_text}", note)
        for rank, (heat, note) in enumerate(zip(maps, notes[1:], strict=True), 1)
    ]
    images = [picture.image, *(overlay(picture, heat, style) for heat in maps)]
    for place, (lines, image) in enumerate(zip(texts, images, strict=True)):
        left, top = _EDGE + place % columns * cell_wide, 0.72 + place // columns * cell_high
        ax = _place(figure, left, top, wide, high)
        _show(ax, image, smooth=True)
        if layout == "row":
            _lines(figure, left, top + high + 0.14, name_wide, lines)
        else:
            _lines(figure, left + wide + 0.14, top + high / 2 - 0.14, 2.5, lines)
    scale = _place(figure, _EDGE, height - 0.44, 1.6, 0.1)
    _scale(scale, style, None)
    shared = "over all images" if style.shared else "in this image"
    figure.text((_EDGE + 1.76) / width, 0.39 / height, f"{style.reduce} over channels, of each layer {shared}",
                fontsize=_SMALL, color=FAINT, va="center")  # fmt: skip
    _save(figure, path)


def overlay(picture: Picture, heat: HeatMap, style: Style) -> Rgb:
    """The image under its heat map, smoothed to its size."""
    height, width = picture.image.shape[:2]
    factor = max(_OVERLAY / max(height, width), 1.0)
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    below = cv2.resize(picture.image, size, interpolation=cv2.INTER_CUBIC)
    above = cv2.resize(heat.shares, size, interpolation=cv2.INTER_LINEAR)
    colours = style.colours(above)[..., :3] * 255
    return np.asarray(below * (1 - style.alpha) + colours * style.alpha, np.uint8)


def _coloured(heat: HeatMap, style: Style) -> Rgb:
    return np.asarray(style.colours(heat.shares)[..., :3] * 255, np.uint8)


def _channels(heat: HeatMap) -> str:
    shape = heat.tensor.shape
    return str(shape[-1] if heat.tensor.channels_last else shape[0])


def _place(figure: Figure, left: float, top: float, wide: float, high: float) -> Axes:
    """Axes whose upper left corner and size are given in inches from the figure's upper left corner."""
    width, height = figure.get_size_inches()
    return figure.add_axes((left / width, (height - top - high) / height, wide / width, high / height))


def _show(ax: Axes, image: Rgb, smooth: bool) -> None:
    ax.imshow(image, aspect="auto", interpolation="antialiased" if smooth else "nearest")
    ax.set(xticks=[], yticks=[])
    for side in ax.spines.values():
        side.set(color=LINE, linewidth=0.6)


def _heading(figure: Figure, height: float, title: str, subtitle: str, width: float) -> None:
    """Title and subtitle, cut to the width."""
    left = _EDGE / width
    inner = width - 2 * _EDGE
    figure.text(left, 1 - 0.27 / height, fit(title, inner, _TITLE), fontsize=_TITLE, fontweight="bold", color=INK,
                va="center", parse_math=False)  # fmt: skip
    figure.text(left, 1 - 0.5 / height, fit(subtitle, inner, _TEXT), fontsize=_TEXT, color=FAINT, va="center",
                parse_math=False)  # fmt: skip


def _lines(figure: Figure, left: float, top: float, wide: float, lines: Sequence[str]) -> None:
    width, height = figure.get_size_inches()
    for number, text in enumerate(lines):
        figure.text(
            left / width, 1 - (top + 0.155 * number) / height, fit(text, wide, _SMALL, tail=number == 0),
            fontsize=_SMALL, color=FAINT if number else INK, va="center", parse_math=False,
            fontweight="normal" if number else "bold",
        )  # fmt: skip


def fit(text: str, inches: float, points: float, tail: bool = False) -> str:
    """Text cut to about a width; of names of layers the end says more than the beginning."""
    most = max(int(inches * 72 / (points * 0.6)), 4)
    if len(text) <= most:
        return text
    return f"{text[:4]}…{text[5 - most :]}" if tail else f"{text[: most - 1]}…"


def _scale(ax: Axes, style: Style, ends: tuple[float, float] | None) -> None:
    """The colour scale: with values upright, or as a legend lying down."""
    upright = ends is not None
    bar: Any = ax.figure.colorbar(
        ScalarMappable(Normalize(0, 1), style.colours), cax=ax,
        orientation="vertical" if upright else "horizontal",
    )  # fmt: skip
    bar.outline.set(edgecolor=LINE, linewidth=0.6)
    bar.set_ticks(
        [0, 1], labels=[f"{end:.3g}" for end in ends] if ends is not None else ["least", "greatest"]
    )
    if not upright:
        for label, side in zip(bar.ax.get_xticklabels(), ("left", "right"), strict=True):
            label.set_horizontalalignment(side)
    bar.ax.tick_params(labelsize=_SMALL, labelcolor=FAINT, length=0, pad=3)


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
