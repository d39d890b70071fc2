"""How the columns were understood, the licences, and the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pgc_data.audits.audit import Audit
from pgc_data.audits.findings import counted
from pgc_data.audits.report import html

_PLAIN = ("declared", "none")
_HOW = {"none": "not found"}
_MOST_FILES = 200


def roles(numbers: Mapping[str, Any] | None) -> str:
    """Which column plays which part; nothing for tables whose columns are declared by pgc-data."""
    if not numbers or all(role["how"] in _PLAIN for role in numbers.values()):
        return ""
    body = [
        [name, role["column"], _HOW.get(role["how"], role["how"]), role.get("note") or ""]
        for name, role in numbers.items()
    ]
    lead = (
        "The table does not come from pgc-data. Its columns were understood as follows; where this is wrong, name "
        "them with --label-column, --group-column and the like."
    )
    caption = "Which column was taken for what, and why."
    return html.paragraph(lead) + html.table(
        ["part", "column", "known by", "note"], body, caption, sortable=False
    )


def licences(numbers: Sequence[Any] | None) -> str:
    """The licences of the sources, as the rows or the manifest name them."""
    if not numbers:
        return ""
    if all(isinstance(entry, Mapping) for entry in numbers):
        caption = "Licences of the sources. The whole falls under the strictest."
        return html.paragraph(caption) + html.records(numbers, caption)
    return html.bullets(html.text(entry) for entry in numbers)


def files(audit: Audit, beside: Sequence[str]) -> str:
    """The files read, and what lies beside the page."""
    entries = [entry for table in audit.tables.values() for entry in table.get("files") or ()]
    shown = entries[:_MOST_FILES]
    left_out = f" The first {len(shown)} of {len(entries):,}." if len(shown) < len(entries) else ""
    table = html.table(
        ["file", "rows", "bytes"],
        [[entry["path"], entry["rows"], entry["bytes"]] for entry in shown],
        f"Files read.{left_out}",
    )
    written = html.paragraph(f"Beside this page: {', '.join(beside)}.")
    return html.paragraph(_manifest(audit.manifest)) + table + written


def _manifest(manifest: Mapping[str, Any]) -> str:
    if not manifest.get("present"):
        return "There is no manifest.json, so whether files are missing or changed was not checked."
    bad = len(manifest["missing"]) + len(manifest["changed"])
    listed = counted(manifest["files"], "file")
    if bad:
        return f"Of {listed} in manifest.json, {bad:,} are missing or changed: see the findings."
    return f"{listed} in manifest.json checked: all there, with the bytes, sha256 and rows listed."
