"""What the windows hold: usable frames, lengths, mean paths of every class; and hands found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pgc_data.audits.findings import counted, percent
from pgc_data.audits.report import html
from pgc_data.audits.report.plots import bar, histogram, trajectory

_MEASURES = {
    "usable_fraction": ("Usable frames", "Share of a window's frames that show a hand."),
    "longest_gap": ("Longest gap", "Frames in a row without a hand."),
}


def hands(numbers: Mapping[str, Mapping[str, Any]] | None) -> str:
    """The share of each class's rows without a hand, worst first; nothing where it is not known."""
    known = {name: row for name, row in (numbers or {}).items() if row.get("share") is not None}
    if not known:
        return ""
    total, without = (sum(row[key] for row in known.values()) for key in ("rows", "without_hand"))
    lead = (
        f"In {without:,} of {counted(total, 'row')} ({percent(without / max(total, 1))}) no hand was found. Where one "
        "class has far more of them than the others, a model learns that no hand means this class."
    )
    if not without:
        return html.paragraph(f"A hand was found in every one of {counted(total, 'row')}.")
    body = [
        [name, row["rows"], row["without_hand"], _share(row["share"])]
        for name, row in sorted(known.items(), key=lambda item: (-item[1]["share"], item[0]))
    ]
    head = ["class", "rows", "without a hand", "share"]
    return html.paragraph(lead) + html.table(head, body, "Rows without a hand, by class, worst first.")


def _share(share: float) -> html.Cell:
    return html.Cell(f"{percent(share)}{bar(share, 1.0)}", share)


def windows(numbers: Mapping[str, Any] | None, splits: Sequence[str]) -> str:
    """Usable frames, lengths and mean paths."""
    if not numbers:
        return ""
    plots = [
        histogram(name, numbers[key], splits, caption)
        for key, (name, caption) in _MEASURES.items()
        if numbers.get(key)
    ]
    grid = f'<div class="plots">{"".join(plots)}</div>' if any(plots) else ""
    parts = [html.paragraph(_summary(numbers)), grid, _paths(numbers.get("trajectories") or {})]
    return "\n".join(part for part in parts if part)


def _summary(numbers: Mapping[str, Any]) -> str:
    lengths = numbers.get("frames") or {}
    words = []
    if len(lengths) == 1:
        words.append(f"Every window has {next(iter(lengths))} frames.")
    elif lengths:
        most = ", ".join(
            f"{frames} frames in {counted(rows, 'row')}" for frames, rows in list(lengths.items())[:6]
        )
        words.append(f"Windows of {len(lengths)} lengths: {most}{' …' if len(lengths) > 6 else ''}.")
    faults = [
        (numbers.get("non_finite"), "with NaN or infinite values"),
        (numbers.get("wrong_shape"), "of the wrong shape"),
    ]
    known = [(count, words) for count, words in faults if count is not None]
    bad = [f"{count:,} {what}" for count, what in known if count]
    if known:
        words.append(
            f"Windows {' and '.join(bad)}." if bad else "All values are finite and all shapes agree."
        )
    return " ".join(words)


def _paths(paths: Mapping[str, Mapping[str, Any]]) -> str:
    drawn = {name: path for name, path in paths.items() if path.get("x")}
    if not drawn:
        return ""
    reach = max((abs(v) for path in drawn.values() for v in (*path["x"], *path["y"])), default=0.0) or 1.0
    items = []
    for name, path in drawn.items():
        label = f"Mean path of {name}, {counted(path['rows'], 'window')}"
        svg = trajectory(path["x"], path["y"], reach, label)
        below = html.paragraph(counted(path["rows"], "window"))
        items.append(f'<li>{svg}<p class="class-name">{html.words(html.shortened(name))}</p>{below}</li>')
    caption = (
        "Mean path of the hand over a window, as seen in the image, from the ring to the dot; all on one scale "
        f"(edge = {reach:.3g}, in the units of the features). Classes that move and look alike are hard to tell apart."
    )
    return html.subsection(
        "Mean paths", html.paragraph(caption, "caption"), f'<ul class="paths">{"".join(items)}</ul>'
    )
