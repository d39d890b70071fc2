"""What the images look like: sizes, brightness, sharpness, and contact sheets of every class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pgc_data.audits.report import html
from pgc_data.audits.report.plots import histogram, key
from pgc_data.audits.report.thumbnails import Ref, Thumbnails

EXTREMES = {
    "smallest": ("Smallest", "Too few pixels to tell one gesture from another?"),
    "darkest": ("Darkest", "Is there a hand to be seen?"),
    "blurriest": ("Least sharp", "Blur hides fingers; a flat picture has no edges at all."),
}
MEASURES = {
    "width": ("Width", "pixels"),
    "height": ("Height", "pixels"),
    "brightness": ("Brightness", "mean grey, 0 to 255"),
    "sharpness": ("Sharpness", "variance of the Laplacian at 64 × 64"),
}

_MOST_PICTURES, _MOST_A_CLASS = 360, 12


def sampled(samples: Mapping[str, Sequence[Ref]]) -> dict[str, list[Ref]]:
    """The pictures of the contact sheets: fewer of each class where there are many classes."""
    each = max(1, min(_MOST_A_CLASS, _MOST_PICTURES // max(len(samples), 1)))
    return {name: list(refs[:each]) for name, refs in list(samples.items())[:_MOST_PICTURES]}


def images(numbers: Mapping[str, Any], splits: Sequence[str], thumbnails: Thumbnails) -> str:
    """Histograms by split, and the extremes as pictures."""
    if not numbers:
        return ""
    plots = [
        histogram(name, numbers[measure], splits, "", unit)
        for measure, (name, unit) in MEASURES.items()
        if numbers.get(measure)
    ]
    words = "Share of rows by value; the numbers are the median and the range from 5 to 95 %."
    if len(splits) > 1:
        words = (
            "Share of each split's rows by value, all splits on one scale; the numbers are the median and the range "
            "from 5 to 95 %. Splits that differ here differ in more than their people."
        )
    lead = html.paragraph(words, "caption")
    grid = f'<div class="plots">{"".join(plots)}</div>' if any(plots) else ""
    return "\n".join(part for part in (lead if grid else "", grid, _extremes(numbers, thumbnails)) if part)


def _extremes(numbers: Mapping[str, Any], thumbnails: Thumbnails) -> str:
    rows = []
    for edge, (name, question) in EXTREMES.items():
        refs = [ref for ref in numbers.get(edge) or () if ref in thumbnails]
        if refs:
            rows.append(
                _sheet(
                    name, question, thumbnails.row(refs, [str(r.get("label") or "") for r in refs], "eight")
                )
            )
    return html.subsection("At the edges", *rows)


def _sheet(name: str, below: str, pictures: str) -> str:
    head = f'<div><p class="class-name">{html.words(html.shortened(name))}</p>{html.paragraph(below)}</div>'
    return f'<div class="class-sheet">{head}{pictures}</div>'


def contact_sheets(
    samples: Mapping[str, Sequence[Ref]], splits: Sequence[str], thumbnails: Thumbnails
) -> str:
    """A strip of pictures for every class, each underlined in its split's colour."""
    chosen = {name: [r for r in refs if r in thumbnails] for name, refs in sampled(samples).items()}
    shown = {name: refs for name, refs in chosen.items() if refs}
    if not shown:
        return ""
    lead = (
        "A few rows of every class, spread over groups and splits. A picture that does not belong is a wrong label "
        "or a crop that missed the hand."
    )
    if len(samples) > len(shown):
        lead += f" Shown: {len(shown):,} of {len(samples):,} classes."
    rows = [_sheet(name, _spread(refs), thumbnails.row(refs)) for name, refs in shown.items()]
    return "\n".join([html.paragraph(lead, "caption"), key(splits), *rows])


def _spread(refs: Sequence[Ref]) -> str:
    groups = {ref.get("group") for ref in refs} - {None}
    return f"{len(refs)} rows of {len(groups)} groups" if len(groups) > 1 else ""
