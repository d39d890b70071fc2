"""What the card and the summary say of a table made from others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def parent_lines(table: Mapping[str, Any]) -> list[str]:
    """What a table was made from; nothing where it was made from extracted sources."""
    lines = []
    for parent in table.get("parents", []):
        chosen = _words(parent.get("filters", {}))
        numbered = "; its classes are numbered anew" if parent["class_ids"] else ""
        lines.append(
            f"{table['derived_by']} of {parent['name']}, {parent['rows']:,} rows{chosen}{numbered}; each row taken is "
            "in the split it had"
        )
    return lines


def _words(filters: Mapping[str, Any]) -> str:
    """Conditions in words, such as `: splits train, val; min score 0.5`."""
    parts = [
        f"{name.replace('_', ' ')} {', '.join(value) if isinstance(value, list) else f'{value:g}'}"
        for name, value in filters.items()
    ]
    return f": {'; '.join(parts)}" if parts else ""
