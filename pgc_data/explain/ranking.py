"""A chart of what switching off each layer does to the answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pgc_data.explain.ablation import Effect
from pgc_data.explain.pictures import FAINT, INK, LINE, fit
from pgc_data.storage.files import atomic_path

MOST_BARS = 20
# Okabe and Ito's blue and vermilion: told apart with every common kind of colour blindness.
_SUPPORTS, _OPPOSES = "#0072B2", "#D55E00"
_DPI = 150
# Inches.
_WIDTH, _NAMES, _BAR, _HEAD, _FOOT = 8.6, 3.0, 0.25, 0.85, 0.8


def ranking_chart(path: Path, effects: Sequence[Effect], title: str, subtitle: str) -> None:
    """Writes the mean change of each layer as a bar, with the range over the images as a line.

    Args:
        path: PNG to write.
        effects: greatest first; the first `MOST_BARS` are drawn.
        title: of the chart.
        subtitle: below it.

    Raises:
        DataError: the file cannot be written.
    """
    shown = effects[:MOST_BARS]
    height = _HEAD + _BAR * len(shown) + _FOOT
    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI)
    figure.text(0.18 / _WIDTH, 1 - 0.28 / height, title, fontsize=11, fontweight="bold", color=INK, va="center",
                parse_math=False)  # fmt: skip
    figure.text(0.18 / _WIDTH, 1 - 0.52 / height, fit(subtitle, _WIDTH - 0.4, 8.5), fontsize=8.5, color=FAINT,
                va="center", parse_math=False)  # fmt: skip
    ax = figure.add_axes(
        (_NAMES / _WIDTH, _FOOT / height, (_WIDTH - _NAMES - 0.3) / _WIDTH, _BAR * len(shown) / height)
    )
    places = range(len(shown))
    means = [float(effect.deltas.mean()) for effect in shown]
    colours = [_SUPPORTS if mean >= 0 else _OPPOSES for mean in means]
    ax.barh(places, means, height=0.62, color=colours, alpha=0.85)
    ax.hlines(places, [float(e.deltas.min()) for e in shown], [float(e.deltas.max()) for e in shown], color=INK,
              linewidth=0.9)  # fmt: skip
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set_ylim(len(shown) - 0.5, -0.5)
    names = [f"{fit(e.tensor.title, 2.05, 7.5, tail=True)}   {e.tensor.kind}" for e in shown]
    ax.set_yticks(places, names, fontsize=7.5, color=INK)
    ax.xaxis.set_major_locator(MaxNLocator(7))
    ax.tick_params(axis="x", labelsize=7.5, labelcolor=FAINT, color=LINE)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color=LINE, linewidth=0.5, alpha=0.7)
    ax.set_axisbelow(True)
    for side in ax.spines.values():
        side.set_visible(False)
    ax.plot([effect.weight for effect in shown], places, "o", markersize=4.5, markerfacecolor="white",
            markeredgecolor=INK, markeredgewidth=0.9)  # fmt: skip
    ax.set_xlabel("probability as it is, less that without the layer", fontsize=8, color=INK, labelpad=5)
    figure.text(
        0.18 / _WIDTH, 0.16 / height,
        "circle: mean size of the change, which ranks the layers     bar: mean change (blue: the layer speaks for "
        "the class, orange: against)     line: least to greatest",
        fontsize=7, color=FAINT, va="center",
    )  # fmt: skip
    FigureCanvasAgg(figure)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
