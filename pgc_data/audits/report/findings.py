"""The findings, worst first: what each means, what to do, and what it looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pgc_data.audits.audit import Audit
from pgc_data.audits.findings import Finding, counted
from pgc_data.audits.report import html
from pgc_data.audits.report.thumbnails import Ref, Thumbnails, is_ref, place

SHOWN_PAIRS = 12
"""The pairs shown at once; the others are folded away."""

_NEAR = "near_duplicate_across_splits"
_TITLES = {
    "group_overlap": "Groups in more than one split",
    "subject_overlap": "People in more than one split",
    "video_overlap": "Videos in more than one split",
    "sample_overlap": "Samples in more than one split",
    "duplicate_across_splits": "Copies in more than one split",
    _NEAR: "Near-copies in more than one split",
    "adjacent_frames": "Frames next to those trained on",
    "contradictory_labels": "One content, two labels",
    "duplicate_within_split": "Copies within a split",
    "class_absent": "Classes without a row",
    "class_share_deviation": "Splits of different mixtures",
    "class_imbalance": "Classes of uneven size",
    "dataset_gives_class_away": "The dataset gives the class away",
    "class_without_hands": "One class has the windows without a hand",
    "probe_gap": "The split flatters",
}


def findings_section(audit: Audit, thumbnails: Thumbnails) -> str:
    """The section of findings."""
    if not audit.findings:
        return html.section("findings", "Findings", html.paragraph("None: every check below passed."))
    articles = [
        _finding(index, finding, audit, thumbnails) for index, finding in enumerate(audit.findings, start=1)
    ]
    return html.section("findings", "Findings", *articles)


def title(finding: Finding) -> str:
    """A finding's kind in words."""
    return _TITLES.get(finding.kind) or finding.kind.replace("_", " ").capitalize()


def _finding(index: int, finding: Finding, audit: Audit, thumbnails: Thumbnails) -> str:
    where = f", {finding.table}" if len(audit.tables) > 1 else ""
    parts = [
        f'<article class="finding {finding.severity}" id="finding-{index}" aria-labelledby="finding-{index}-title">',
        f'<p class="level">{str(finding.severity).capitalize()}</p>',
        f'<h3 id="finding-{index}-title">{html.text(title(finding) + where)} '
        f"<code>{html.text(finding.kind)}</code></h3>",
        html.paragraph(finding.meaning),
        html.paragraph(finding.remedy, "do"),
        _pairs_of(finding, audit, thumbnails),
        _examples(finding, thumbnails),
    ]
    return "\n".join([*(part for part in parts if part), "</article>"])


def example_refs(finding: Finding) -> list[Ref]:
    """All rows that a finding's examples name."""
    pairs = [ref for example in finding.examples for ref in example.values() if is_ref(ref)]
    return pairs + [example for example in finding.examples if is_ref(example)]


def _is_pair(example: Mapping[str, Any]) -> bool:
    return is_ref(example.get("a")) and is_ref(example.get("b"))


def _shows(example: Mapping[str, Any], thumbnails: Thumbnails) -> bool:
    """Whether an example is a pair of rows of which there are pictures."""
    return _is_pair(example) and (example["a"] in thumbnails or example["b"] in thumbnails)


def _pairs_of(finding: Finding, audit: Audit, thumbnails: Thumbnails) -> str:
    pairs = [example for example in finding.examples if _is_pair(example)]
    if finding.kind == _NEAR:
        near = audit.tables.get(finding.table, {}).get("near_duplicates") or {}
        pairs = list(near.get("pairs", [])) or pairs
    pairs = [pair for pair in pairs if _shows(pair, thumbnails)]
    if not pairs:
        return ""
    shown, more = pairs[:SHOWN_PAIRS], pairs[SHOWN_PAIRS:]
    caption = html.paragraph("The closest pairs, side by side.", "caption")
    rest = html.folded(f"{counted(len(more), 'more pair')}", _pairs(more, thumbnails)) if more else ""
    return caption + _pairs(shown, thumbnails) + rest


def _pairs(pairs: Sequence[Mapping[str, Any]], thumbnails: Thumbnails) -> str:
    items = []
    for pair in pairs:
        a, b = pair["a"], pair["b"]
        pictures = f"<div>{thumbnails.figure(a, _split(a))}{thumbnails.figure(b, _split(b))}</div>"
        label, relation, group = _both(pair, "label"), html.text(_relation(pair)), _both(pair, "group")
        items.append(f"<li>{pictures}<p><strong>{label}</strong></p><p>{relation}</p><p>{group}</p></li>")
    return f'<ul class="pairs">{"".join(items)}</ul>'


def _relation(pair: Mapping[str, Any]) -> str:
    words = []
    if (apart := pair.get("frames_apart")) is not None:
        words.append(f"{counted(apart, 'frame')} apart" if apart else "frames in common")
    if pair.get("distance") is not None:
        words.append("equal hashes" if not pair["distance"] else f"{counted(pair['distance'], 'bit')} apart")
    if pair.get("score") is not None:
        words.append(f"similarity {pair['score']:.3f}")
    return ", ".join(words)


def _split(ref: Ref) -> str:
    return str(ref["split"]) if ref.get("split") is not None else ""


def _both(pair: Mapping[str, Any], key: str) -> str:
    """What both rows of a pair have, or what each has."""
    values = [str(pair[side][key]) for side in "ab" if pair[side].get(key) is not None]
    return " / ".join(html.words(html.shortened(value)) for value in dict.fromkeys(values))


def _examples(finding: Finding, thumbnails: Thumbnails) -> str:
    cases = [dict(example) for example in finding.examples if not _shows(example, thumbnails)]
    if not cases:
        return ""
    seen = [case for case in cases if is_ref(case) and case in thumbnails]
    pictures = thumbnails.row(seen, [_caption(case) for case in seen]) if seen else ""
    name = counted(len(cases), "example")
    if len(cases) < finding.count:
        name += f" of {finding.count:,}"
    plain = [{k: place(v) if is_ref(v) else v for k, v in case.items()} for case in cases]
    return pictures + html.folded(name, html.records(plain, f"{title(finding)}: {name}"))


def _caption(case: Mapping[str, Any]) -> str:
    known = [case.get(key) for key in ("label", "split", "fault")]
    return " · ".join(str(value) for value in known if value is not None) or f"row {case['row']:,}"
