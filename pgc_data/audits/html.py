"""A few HTML pieces: everything that comes from data is escaped here."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def text(value: object) -> str:
    """Any value as escaped text; numbers with thousands separators, None as a dash."""
    if value is None:
        return "–"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return html.escape(f"{value:.6g}" if isinstance(value, float) else str(value))


def paragraph(content: str, kind: str = "") -> str:
    """A paragraph of text, with a CSS class if given."""
    return f"<p{_class(kind)}>{text(content)}</p>"


def _class(kind: str) -> str:
    return f' class="{html.escape(kind)}"' if kind else ""


def section(title: str, *parts: str) -> str:
    """A section with a heading; `parts` are HTML."""
    return "\n".join([f"<section>\n<h2>{text(title)}</h2>", *parts, "</section>"])


def table(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """A table whose first column names the rows; text is set left, numbers right.

    Args:
        head: column titles.
        rows: cells, as many as in `head`.
        caption: a line above it.
    """
    rows = [list(row) for row in rows]
    wordy = [any(_is_word(row[column]) for row in rows) for column in range(len(head))]
    heads = "".join(
        f'<th scope="col"{_class("text" if word else "")}>{text(h)}</th>'
        for h, word in zip(head, wordy, strict=True)
    )
    body = "\n".join(_row(row, wordy) for row in rows)
    above = f"<caption>{text(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table>{above}<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n'
        "</tbody></table></div>"
    )


def _is_word(cell: object) -> bool:
    """Whether a cell is text rather than a number, perhaps with a unit or a share behind it."""
    return isinstance(cell, str) and not cell[:1].isdigit()


def _row(cells: Sequence[object], wordy: Sequence[bool]) -> str:
    first = f'<th scope="row">{text(cells[0])}</th>'
    rest = "".join(
        f"<td{_class('text' if word else '')}>{text(cell)}</td>"
        for cell, word in zip(cells[1:], wordy[1:], strict=True)
    )
    return f"<tr>{first}{rest}</tr>"


def records(cases: Sequence[Mapping[str, Any]]) -> str:
    """Dictionaries with the same keys as a table."""
    names = list(cases[0])
    return table(
        [name.replace("_", " ") for name in names], [[case[name] for name in names] for case in cases]
    )


def folded(title: str, content: str) -> str:
    """HTML that opens when its title is clicked."""
    return f"<details><summary>{text(title)}</summary>\n{content}\n</details>"


def image(path: Path, description: str) -> str:
    """A PNG file, inlined, at 0.6 CSS pixels a pixel: the size at which an 8-point font is read as such."""
    png = path.read_bytes()
    width = round(0.6 * int.from_bytes(png[16:20], "big"))
    data = base64.b64encode(png).decode()
    return (
        f'<div class="scroll"><img width="{width}" src="data:image/png;base64,{data}" '
        f'alt="{html.escape(description)}"></div>'
    )


def page(title: str, style: str, *parts: str) -> str:
    """A whole page that needs nothing beside it."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{text(title)}</title>",
            f"<style>\n{style.strip()}\n</style>",
            "</head>",
            "<body>",
            *parts,
            "</body>",
            "</html>\n",
        ]
    )
