"""What changed between two versions of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pgc_data.audits.report import html

_TITLES = {
    "leaks": "What one version gives away of the other",
    "tables": "Tables that one version alone has",
    "classes": "Classes",
    "balance": "Class balance",
    "labels": "Labels",
    "splits": "Splits",
    "groups": "Groups",
    "schema": "Schema",
    "settings": "Settings",
    "new": "New findings",
    "gone": "Findings gone",
}
_MOST_RECORDS = 200


def compare(comparison: Mapping[str, Any] | None) -> str:
    """What changed in words, then the numbers; nothing where nothing was compared.

    Args:
        comparison: see `audits.compare.compare.Comparison.as_dict`.
    """
    if not comparison:
        return ""
    warnings = comparison.get("warnings") or []
    told = {warning["meaning"] for warning in warnings}
    lines = [line for line in comparison.get("sentences") or () if line not in told]
    parts = [html.paragraph(f"From A, {comparison['a']}, to B, {comparison['b']}.")]
    for warning in warnings:
        parts += [
            html.paragraph(warning["meaning"], "callout warning"),
            html.paragraph(warning["remedy"], "do"),
        ]
    parts.append(html.bullets(html.text(line) for line in lines) if lines else "")
    rows = [{"table": name, **numbers} for name, numbers in (comparison.get("rows") or {}).items()]
    nested = {**(comparison.get("classes") or {}), **(comparison.get("findings") or {})}
    parts.append(_records("Rows", rows))
    parts += [_records(title, nested.get(key) or comparison.get(key) or []) for key, title in _TITLES.items()]
    return "\n".join(part for part in parts if part)


def _records(title: str, records: Any) -> str:
    if not isinstance(records, Sequence) or not records:
        return ""
    shown = records[:_MOST_RECORDS]
    plain = [{key: value for key, value in one.items() if not isinstance(value, Mapping)} for one in shown]
    more = (
        f", the first {len(shown)} of {len(records):,}"
        if len(shown) < len(records)
        else f" ({len(records):,})"
    )
    return html.folded(title + more, html.records(plain, title))
