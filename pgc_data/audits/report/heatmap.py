"""The heatmap of subject by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pgc_data.audits.balance import split_order
from pgc_data.audits.report import html
from pgc_data.audits.report.plots import tones

MOST_SUBJECTS, MOST_CLASSES = 50, 40
"""The most rows and columns; those with most rows of the table are kept."""

_CELL, _NAMES, _LETTER, _LONGEST = 19, 8, 6.3, 22


def heatmap(
    counts: Mapping[str, Mapping[str, int]],
    splits_of: Mapping[str, Sequence[str]],
    classes: Sequence[str],
    splits: Sequence[str],
    who: str,
) -> str:
    """The share of each subject's rows in each class, sorted by split.

    Args:
        counts: subject -> class -> rows.
        splits_of: subject -> its splits.
        classes: the columns, in order.
        splits: all splits, in the order of their colours.
        who: what a subject is called.
    """
    totals = {name: sum(row.values()) for name, row in counts.items()}
    sums = {name: sum(row.get(name, 0) for row in counts.values()) for name in classes}
    kept = set(sorted(classes, key=lambda name: -sums[name])[:MOST_CLASSES])
    columns = [name for name in classes if name in kept]
    rows = sorted(counts, key=lambda name: (-totals[name], name))[:MOST_SUBJECTS]
    order = {split: index for index, split in enumerate(split_order(splits))}
    rows.sort(key=lambda name: (min((order.get(s, 99) for s in splits_of[name]), default=99), name))
    caption = (
        f"Share of each {who}'s rows in each class: the stronger the colour, the larger; an outlined cell has "
        f"no row. The strip at the left has the colours of the {who}'s splits."
    )
    if len(rows) < len(counts) or len(columns) < len(classes):
        caption += (
            f" Shown: {len(rows)} of {len(counts):,} {who}s and {len(columns)} of {len(classes):,} classes, those "
            "with most rows."
        )
    return html.figure(
        caption,
        html.scroll(f"Heatmap of {who} by class", _drawn(rows, columns, counts, splits_of, splits, who)),
    )


def _drawn(
    rows: Sequence[str],
    columns: Sequence[str],
    counts: Mapping[str, Mapping[str, int]],
    splits_of: Mapping[str, Sequence[str]],
    splits: Sequence[str],
    who: str,
) -> str:
    left = _width(rows) + 14
    top = _width(columns)
    width, height = left + _CELL * len(columns) + 60, top + _CELL * len(rows) + 4
    colours = tones(splits)
    parts = [
        f'<text class="mute" transform="translate({left + _CELL * i + 13} {top - 5})rotate(-90)">'
        f"{html.text(html.shortened(name, _LONGEST))}</text>"
        for i, name in enumerate(columns)
    ]
    limit = max((_share(counts[name], kind) for name in rows for kind in columns), default=0.0) or 1.0
    for j, name in enumerate(rows):
        y = top + _CELL * j
        parts.append(
            f'<text x="{left - 12}" y="{y + 13}" text-anchor="end">{html.text(html.shortened(name, _LONGEST))}</text>'
        )
        sides = [split for split in splits if split in splits_of[name]]
        for k, split in enumerate(sides):
            part = 7 / len(sides)
            parts.append(
                f'<rect class="split {colours[split]}" x="{left - 8 + k * part:g}" y="{y + 1}" '
                f'width="{part:.3g}" height="{_CELL - 2}"/>'
            )
        for i, kind in enumerate(columns):
            x, share = left + _CELL * i + 1, _share(counts[name], kind)
            look = f'fill-opacity="{0.1 + 0.9 * share / limit:.2f}"' if share else 'class="empty"'
            parts.append(f'<rect {look} x="{x}" y="{y + 1}" width="17" height="17"/>')
    label = f"{len(rows)} {who}s by {len(columns)} classes, share of the {who}'s rows"
    return (
        f'<svg class="heat" role="img" aria-label="{html.attribute(label)}" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">{"".join(parts)}</svg>'
    )


def _share(row: Mapping[str, int], kind: str) -> float:
    return row.get(kind, 0) / max(sum(row.values()), 1)


def _width(names: Sequence[str]) -> float:
    return _NAMES + _LETTER * max((min(len(name), _LONGEST) for name in names), default=0)
