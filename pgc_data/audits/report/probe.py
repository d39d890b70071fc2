"""How much a split flatters: the probe's scores under the given split and on groups it has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgc_data.audits.findings import counted
from pgc_data.audits.report import html
from pgc_data.audits.report.plots import Score, intervals

_SCORES = {"given": "as split", "unseen": "on {unit} not seen", "chance": "labels shuffled"}
_TONES = {"given": "s1", "unseen": "s0", "chance": "s5"}
_MEASURES = {"f1": "macro F1", "accuracy": "accuracy"}


def scores_of(numbers: Mapping[str, Any] | None, measure: str = "f1") -> list[Score]:
    """The probe's scores by one measure: under the given split, on unseen groups, and by chance.

    Args:
        numbers: the section `probe` of a table, see `audits.probe.estimate.Probe.as_dict`.
        measure: `f1` or `accuracy`.
    """
    if not numbers:
        return []
    unit = numbers.get("unit") or "groups"
    found = {name: numbers[name][measure] for name in _SCORES if numbers.get(name)}
    return [
        Score(_SCORES[name].format(unit=unit), one["value"], one["low"], one["high"], _TONES[name])
        for name, one in found.items()
    ]


def probe(numbers: Mapping[str, Any] | None) -> str:
    """The scores with their intervals, and their difference in words; nothing where the probe was not run."""
    if not numbers:
        return ""
    words = "\n".join(html.paragraph(line) for line in numbers.get("sentences") or ())
    scores = scores_of(numbers)
    if not scores:
        return words
    compared = numbers["compared"]
    caption = (
        f"Macro F1 of {numbers['neighbours']} nearest neighbours, with 95 % bootstrap intervals; each score is of "
        f"{counted(compared['held_out'], 'row')}, learned from {compared['train']:,}. The probe is a yardstick for "
        "the split, not a model to use."
    )
    gap = _gap(numbers)
    plot = html.figure(caption, intervals(scores, "macro F1"))
    return "\n".join([gap, words, plot, html.folded("All scores", _table(numbers))])


def flattering(numbers: Mapping[str, Any] | None) -> Mapping[str, float] | None:
    """The difference of macro F1 and its interval, where the split flatters; None where it cannot be told to."""
    if not numbers or not numbers.get("gap") or numbers.get("grouped"):
        return None
    gap: Mapping[str, float] = numbers["gap"]["f1"]
    return gap if gap["low"] > 0 else None


def _gap(numbers: Mapping[str, Any]) -> str:
    gap = flattering(numbers)
    if gap is None:
        return ""
    words = (
        f"A score on this split is about {100 * gap['value']:.0f} points too high "
        f"({100 * gap['low']:.0f} to {100 * gap['high']:.0f})."
    )
    return html.paragraph(words, "callout warning")


def _table(numbers: Mapping[str, Any]) -> str:
    body = [
        [score.name, name, *(f"{value:.3f}" for value in (score.value, score.low, score.high))]
        for measure, name in _MEASURES.items()
        for score in scores_of(numbers, measure)
    ]
    head = ["scored", "measure", "value", "from", "to"]
    return html.table(head, body, "Scores and their 95 % intervals.", sortable=False)
