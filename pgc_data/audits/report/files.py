"""Writes the files of an audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pgc_data.audits.audit import Audit
from pgc_data.audits.report.figures import draw
from pgc_data.audits.report.page import page
from pgc_data.audits.report.thumbnails import Pictures
from pgc_data.storage.files import write_json, write_text

JSON_NAME, PAGE_NAME = "audit.json", "report.html"


def write_report(
    audit: Audit,
    folder: Path,
    pictures: Pictures | None = None,
    comparison: Mapping[str, Any] | None = None,
    beside: Sequence[str] = (),
) -> list[Path]:
    """Writes all files of an audit and returns their paths.

    Args:
        audit: what was found; a section that one of its tables lacks is left out.
        folder: where the files go.
        pictures: gives the encoded images of rows, all in one call; None for a page without pictures.
        comparison: what changed since another version, see `audits.compare`.
        beside: names of other files in the folder that the page should point to.

    Raises:
        DataError: `folder` cannot be written.
    """
    charts = [
        path for name, table in audit.tables.items() for path in draw(folder, name, table, audit.splits)
    ]
    paths = [folder / JSON_NAME, folder / PAGE_NAME]
    write_json(paths[0], audit.as_dict() | ({} if comparison is None else {"comparison": comparison}))
    names = [JSON_NAME, *beside, *(path.name for path in charts)]
    write_text(paths[1], page(audit, pictures or _none, comparison, names))
    return paths + charts


def _none(refs: Sequence[Any]) -> Mapping[tuple[str, int], bytes]:
    return {}
