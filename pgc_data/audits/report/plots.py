"""Bars, histograms and small curves as inline SVG and HTML, coloured by the page's theme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgc_data.audits.findings import percent
from pgc_data.audits.report.html import Cell, attribute, figure, text

TONES = 6
"""The number of split colours in the style sheet."""


def tones(splits: Sequence[str]) -> dict[str, str]:
    """The CSS class of each split's colour."""
    return {split: f"s{index % TONES}" for index, split in enumerate(splits)}


def key(splits: Sequence[str]) -> str:
    """A legend: the colour of each split."""
    items = (f'<li class="{tone}">{text(split)}</li>' for split, tone in tones(splits).items())
    return f'<ul class="key">{"".join(items)}</ul>' if len(splits) > 1 else ""


def bar(share: float, limit: float, tone: str = "", tick: float | None = None) -> str:
    """A bar as long as `share` of `limit`, with a tick at `tick`."""
    mark = "" if tick is None else f'<b style="left:{_percent(tick, limit)}"></b>'
    return f'<span class="bar {tone}"><i style="width:{_percent(share, limit)}"></i>{mark}</span>'


def _percent(value: float, limit: float) -> str:
    return f"{100 * min(max(value / limit, 0.0), 1.0):.3g}%" if limit > 0 else "0%"


def share_cell(count: int, share: float, limit: float, tone: str = "", tick: float | None = None) -> Cell:
    """A number with its share and a bar; none is said in a word."""
    shown = f"{count:,}" if count else '<span class="none">none</span>'
    return Cell(
        f'{shown}<span class="share">{percent(share)}</span>{bar(share, limit, tone, tick)}', float(count)
    )


def histogram(
    title: str, measured: Mapping[str, Any], splits: Sequence[str], caption: str, unit: str = ""
) -> str:
    """A row of bars for each split, all with the same axes.

    Args:
        title: what was measured.
        measured: `edges` (one more than bins), `counts` (split -> a number for each bin), and perhaps `quantiles`
            (split -> 5, 50 and 95 %).
        splits: the splits in the order of their colours.
        caption: a sentence on how to read it.
        unit: of the edges.
    """
    edges, counts = measured["edges"], measured["counts"]
    shares = {split: _shares(row) for split, row in counts.items() if sum(row)}
    if not shares:
        return ""
    limit = max(max(row) for row in shares.values())
    names = [*(s for s in splits if s in shares), *sorted(set(shares) - set(splits))]
    colours = tones(splits)
    rows = [
        _bars(
            name, shares[name], limit, colours.get(name, "s5"), measured.get("quantiles", {}).get(name), title
        )
        for name in names
    ]
    ends = (edges[0], edges[len(edges) // 2], edges[-1])
    ticks = "".join(f"<span>{number(edge)}</span>" for edge in ends)
    axis = f'<div class="hist"><span class="ticks" aria-hidden="true">{ticks}</span></div>'
    named = f"{title} ({unit})" if unit else title
    return figure(f"{named}. {caption}" if caption else named, "".join(rows) + axis)


def _bars(
    name: str, shares: Sequence[float], limit: float, tone: str, quantiles: Sequence[float] | None, title: str
) -> str:
    path = "".join(
        f"M{index + 0.04:g} 1V{1 - share / limit:.3f}h.92V1z" for index, share in enumerate(shares) if share
    )
    spread = f"{number(quantiles[1])} ({number(quantiles[0])}–{number(quantiles[2])})" if quantiles else ""
    said = f"{title}, {name}: " + (
        f"median and 5–95 % range {spread}" if spread else "share of rows by value"
    )
    return (
        f'<div class="hist {tone}"><span class="name">{text(name)}</span>'
        f'<svg viewBox="0 0 {len(shares)} 1" preserveAspectRatio="none" role="img" '
        f'aria-label="{attribute(said)}"><path class="fill" d="{path}"/></svg>'
        f"<span>{spread}</span></div>"
    )


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [count / total for count in counts]


def number(value: float) -> str:
    """A measured value with three digits."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def trajectory(x: Sequence[float], y: Sequence[float], reach: float, label: str) -> str:
    """A mean path as it looks in the image (y down): hollow at its start, a dot at its end.

    Args:
        x, y: positions over time.
        reach: the drawing shows -reach to reach both ways.
        label: the path in words.
    """
    points = [(50 + 46 * a / reach, 50 + 46 * b / reach) for a, b in zip(x, y, strict=True)]
    line = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
    start, end = points[0], points[-1]
    return (
        f'<svg viewBox="0 0 100 100" role="img" aria-label="{attribute(label)}">'
        '<path class="axis" d="M50 4V96M4 50H96"/>'
        f'<path class="line" d="{line}"/>'
        f'<circle class="line" cx="{start[0]:.1f}" cy="{start[1]:.1f}" r="3"/>'
        f'<circle class="dot" cx="{end[0]:.1f}" cy="{end[1]:.1f}" r="3.4"/></svg>'
    )


@dataclass(frozen=True)
class Score:
    """A score from 0 to 1 with its interval, and the CSS class of its colour."""

    name: str
    value: float
    low: float
    high: float
    tone: str


def intervals(scores: Sequence[Score], measure: str) -> str:
    """Points with whiskers on one axis from 0 to 1."""
    rows = []
    for score in scores:
        shown = f"{score.value:.2f} ({score.low:.2f}–{score.high:.2f})"
        rows.append(
            f'<div class="score"><span>{text(score.name)}</span><svg class="{score.tone}" role="img" '
            f'aria-label="{attribute(f"{measure} {score.name}: {shown}")}">'
            '<line class="axis" x1="0" x2="100%" y1="12" y2="12"/>'
            f'<line class="whisker" x1="{_x(score.low)}" x2="{_x(score.high)}" y1="12" y2="12"/>'
            f'<circle class="mark" cx="{_x(score.value)}" cy="12" r="5"/></svg><span>{shown}</span></div>'
        )
    ticks = "".join(f"<span>{value:g}</span>" for value in (0, 0.25, 0.5, 0.75, 1))
    return f'<div class="scores">{"".join(rows)}<span class="ticks" aria-hidden="true">{ticks}</span></div>'


def _x(value: float) -> str:
    return f"{100 * min(max(value, 0.0), 1.0):.1f}%"
