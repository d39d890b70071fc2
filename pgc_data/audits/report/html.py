"""A few HTML pieces: everything that comes from data is escaped here."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_ROWS = 40
"""A table of more rows scrolls in a box, but on paper."""


@dataclass(frozen=True)
class Cell:
    """A table cell whose content is HTML already.

    Attributes:
        content: the HTML.
        key: what the column is sorted by; a number, or text.
    """

    content: str
    key: float | str


def text(value: object) -> str:
    """Any value as escaped text; numbers with thousands separators, None as a dash."""
    if value is None:
        return "–"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:.4g}"
    return html.escape(str(value))


LONGEST = 60
"""The most letters of a name in a caption."""


def shortened(value: object, longest: int = LONGEST) -> str:
    """A name, cut where it is longer than fits."""
    name = str(value)
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def words(value: object) -> str:
    """As `text`, with places to break a long name at."""
    return re.sub(r"(?<=[a-zA-Z0-9])([_/])(?=[a-zA-Z0-9])", r"\1<wbr>", text(value))


def attribute(value: object) -> str:
    """A value for an attribute in double quotes."""
    return html.escape(str(value))


def paragraph(content: str, kind: str = "") -> str:
    """A paragraph of text, with a CSS class if given."""
    return f"<p{_class(kind)}>{text(content)}</p>"


def bullets(items: Iterable[str]) -> str:
    """A list; `items` are HTML."""
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def _class(kind: str) -> str:
    return f' class="{attribute(kind)}"' if kind else ""


def section(name: str, title: str, *parts: str) -> str:
    """A section with a heading, or nothing where it has no content.

    Args:
        name: its id, unique on the page.
        title: its heading.
        parts: its content, HTML.
    """
    content = [part for part in parts if part]
    if not content:
        return ""
    head = f'<section id="{name}" aria-labelledby="{name}-title">\n<h2 id="{name}-title">{text(title)}</h2>'
    return "\n".join([head, *content, "</section>"])


def subsection(title: str, *parts: str) -> str:
    """A heading of the third level and what follows, or nothing where it has no content."""
    content = [part for part in parts if part]
    return "\n".join([f"<h3>{text(title)}</h3>", *content]) if content else ""


def figure(caption: str, content: str, kind: str = "") -> str:
    """HTML with a line of text above it."""
    return f"<figure{_class(kind)}><figcaption>{text(caption)}</figcaption>\n{content}</figure>"


def scroll(label: str, content: str, kind: str = "") -> str:
    """A box that scrolls sideways where it must, by keyboard too."""
    return (
        f'<div class="{attribute(f"scroll {kind}".strip())}" role="group" tabindex="0" '
        f'aria-label="{attribute(label)}">{content}</div>'
    )


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    caption: str,
    *,
    sortable: bool = True,
    captioned: bool = True,
) -> str:
    """A table whose first column names the rows; text is set left, numbers right.

    Args:
        head: column titles.
        rows: cells, as many as in `head`: plain values, or `Cell`.
        caption: a line above it.
        captioned: whether the caption is shown, or only read aloud.
        sortable: whether the column titles are buttons that sort; never of fewer than three rows.
    """
    rows = [list(row) for row in rows]
    wordy = [_is_wordy([row[column] for row in rows]) for column in range(len(head))]
    button = sortable and len(rows) > 2
    heads = "".join(_head(title, word, button) for title, word in zip(head, wordy, strict=True))
    body = "\n".join(_row(row, wordy) for row in rows)
    label = f'<table aria-label="{attribute(caption)}">'
    content = f"{label}<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
    box = scroll(caption, content, "tall" if len(rows) > MOST_ROWS else "")
    return figure(caption, box, "table") if captioned else box


def _head(title: str, word: bool, button: bool) -> str:
    content = f'<button type="button">{text(title)}</button>' if button else text(title)
    order = ' aria-sort="none"' if button else ""
    return f'<th scope="col"{_class("text" if word else "")}{order}>{content}</th>'


def _is_wordy(cells: Sequence[object]) -> bool:
    """Whether a column is of text; one of nothing but dashes is."""
    known = [cell for cell in cells if cell is not None]
    return not known or any(map(_is_word, known))


def _is_word(cell: object) -> bool:
    """Whether a cell is text rather than a number, perhaps with a unit or a share behind it."""
    key = cell.key if isinstance(cell, Cell) else cell
    return isinstance(key, str) and not key[:1].isdigit()


def _row(cells: Sequence[object], wordy: Sequence[bool]) -> str:
    first = f'<th scope="row"{_key(cells[0])}>{_content(cells[0])}</th>'
    rest = "".join(
        f"<td{_class('text' if word else '')}{_key(cell)}>{_content(cell)}</td>"
        for cell, word in zip(cells[1:], wordy[1:], strict=True)
    )
    return f"<tr>{first}{rest}</tr>"


def _content(cell: object) -> str:
    return cell.content if isinstance(cell, Cell) else words(cell)


def _key(cell: object) -> str:
    """What the script sorts by, where the text alone would not do."""
    if isinstance(cell, Cell):
        key = cell.key
        return f' data-key="{attribute(f"{key:.6g}" if isinstance(key, float) else key)}"'
    return ""


def records(cases: Sequence[Mapping[str, Any]], caption: str) -> str:
    """Dictionaries as a table without a visible caption; a key that one lacks is a dash."""
    names = list(dict.fromkeys(name for case in cases for name in case))
    rows = [[_joined(case.get(name)) for name in names] for case in cases]
    return table([name.replace("_", " ") for name in names], rows, caption, sortable=False, captioned=False)


def _joined(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def folded(title: str, content: str) -> str:
    """HTML that opens when its title is clicked, and is always open on paper."""
    return f"<details><summary>{text(title)}</summary>\n{content}\n</details>"
