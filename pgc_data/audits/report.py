"""The files of an audit: `audit.json`, the charts, and `report.html`, one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pgc_data import __version__
from pgc_data.audits import html
from pgc_data.audits.adjacency import REACHES
from pgc_data.audits.audit import Audit
from pgc_data.audits.charts import MOST_SUBJECTS, class_balance_chart, class_by_subject_chart
from pgc_data.audits.findings import Finding, counted, percent
from pgc_data.audits.overlap import UNITS
from pgc_data.storage.files import write_json, write_text

JSON_NAME, PAGE_NAME = "audit.json", "report.html"
_CHARTS = ("class_balance", "class_by_subject")
_LIMITS = (
    "What this audit cannot see: images that are nearly but not exactly the same, one person under two subject "
    "ids, and rows without the id in question, which are counted above and not compared."
)


def report_files(folder: Path, tables: Mapping[str, Any] | list[str]) -> list[Path]:
    """The files that `write_report` writes for these tables."""
    charts = [f"{chart}_{table}.png" for table in tables for chart in _CHARTS]
    return [folder / name for name in (JSON_NAME, PAGE_NAME, *charts)]


def write_report(audit: Audit, folder: Path) -> list[Path]:
    """Writes all files of an audit and returns their paths. A table without a labelled row has no charts.

    Raises:
        DataError: `folder` cannot be written.
    """
    drawn = {name: table for name, table in audit.tables.items() if table["balance"]["by_subject"]}
    paths = report_files(folder, drawn)
    for name, table in drawn.items():
        _draw(folder, name, table["balance"])
    write_json(paths[0], audit.as_dict())
    write_text(paths[1], _page(audit, folder))
    return paths


def _draw(folder: Path, name: str, balance: Mapping[str, Any]) -> None:
    path = folder / f"{_CHARTS[0]}_{name}.png"
    class_balance_chart(path, balance["rows"], f"Class balance of the {name} table", "rows")
    who = "group" if balance["subjects_are_groups"] else "subject"
    path = folder / f"{_CHARTS[1]}_{name}.png"
    title = f"Class by {who}, {name}"
    class_by_subject_chart(path, balance["by_subject"], balance["splits_of_subject"], title, "rows")


def _page(audit: Audit, folder: Path) -> str:
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    balances = [_balance(folder, name, table["balance"]) for name, table in audit.tables.items()]
    footer = f"<footer>{html.paragraph(_LIMITS)}{html.paragraph(f'pgc-data {__version__}')}</footer>"
    return html.page(
        f"Audit of {audit.name}",
        style,
        _header(audit),
        _findings(audit),
        _compared(audit),
        _splits(audit),
        *balances,
        _files(audit),
        footer,
    )


def _header(audit: Audit) -> str:
    rows = "; ".join(f"{counted(table['rows'], 'row')} of {name}" for name, table in audit.tables.items())
    lines = [html.paragraph("Dataset audit"), f"<h1>{html.text(audit.sentence())}</h1>"]
    lines += [html.paragraph(f"{rows}; splits: {', '.join(audit.splits) or 'none'}.")]
    return f'<header class="{audit.verdict}">\n' + "\n".join(lines) + "\n</header>"


def _findings(audit: Audit) -> str:
    if not audit.findings:
        return html.section("Findings", html.paragraph("None: every check below passed."))
    return html.section("Findings", *map(_finding, audit.findings))


def _finding(finding: Finding) -> str:
    title = finding.kind.replace("_", " ").capitalize()
    parts = [
        f'<article class="{finding.severity}">',
        f"<h3><span>{finding.severity}</span>{html.text(title)}, {html.text(finding.table)}</h3>",
        html.paragraph(finding.meaning),
        html.paragraph(finding.remedy, "do"),
    ]
    if finding.examples:
        parts.append(html.folded(_shown(finding), html.records(finding.examples)))
    return "\n".join([*parts, "</article>"])


def _shown(finding: Finding) -> str:
    shown = len(finding.examples)
    return counted(shown, "example") if shown >= finding.count else f"{shown} examples of {finding.count:,}"


def _compared(audit: Audit) -> str:
    overlap = html.table(
        ["unit", "values", "in more than one split", "rows without one"],
        [[UNITS[c], n["values"], n["shared"], n["rows_without"]] for c, n in audit.overlap.items()],
        "Units that should lie in one split each, over all tables",
    )
    copies = html.table(
        ["table", "rows compared", "distinct contents", "in two splits", "with two labels"],
        [_copies(name, table["duplicates"]) for name, table in audit.tables.items()],
        "Contents equal byte for byte",
    )
    near = [
        [f"{name}, {split}", n["rows"], *(f"{n[f'within_{r}']:,} ({percent(_of(n, r))})" for r in REACHES)]
        for name, table in audit.tables.items()
        for split, n in table["adjacency"].items()
    ]
    head = ["rows outside train", "with a video", *(f"within ±{reach} of train" for reach in REACHES)]
    neighbours = html.table(head, near, "Neighbouring frames of one video") if near else ""
    return html.section("What was compared between splits", overlap, copies, neighbours)


def _of(numbers: Mapping[str, int], reach: int) -> float:
    return numbers[f"within_{reach}"] / max(numbers["rows"], 1)


def _copies(name: str, numbers: Mapping[str, int]) -> list[object]:
    return [name, *(numbers[key] for key in ("rows", "contents", "in_two_splits", "with_two_labels"))]


def _splits(audit: Audit) -> str:
    rows: list[list[object]] = []
    for name, table in audit.tables.items():
        for split, numbers in table["splits"].items():
            share = percent(numbers["rows"] / table["rows"])
            units = (numbers[f"{unit}s"] for unit in UNITS.values())
            rows.append([f"{name}, {split}", numbers["rows"], share, *units])
    head = ["table and split", "rows", "share", *(f"{unit}s" for unit in UNITS.values())]
    return html.section("Splits", html.table(head, rows))


def _balance(folder: Path, name: str, balance: Mapping[str, Any]) -> str:
    if not balance["by_subject"]:
        return html.section(f"Class balance: {name}", html.paragraph("No row has both a label and a split."))
    who = "group" if balance["subjects_are_groups"] else "subject"
    worst = balance["largest_deviation"]
    summary = (
        f"Largest class to smallest: {balance['imbalance_ratio']:.3g} to 1. Furthest from its share over all "
        f"splits: {worst['class']} in {worst['split']}, by {worst['points']:.2f} percentage points."
    )
    parts = [
        html.paragraph(summary),
        html.image(folder / f"{_CHARTS[0]}_{name}.png", f"Bar chart: rows of {name} by class and split"),
        html.folded("The numbers", _class_table(balance)),
        html.image(folder / f"{_CHARTS[1]}_{name}.png", f"Heatmap: rows of {name} by {who} and class"),
    ]
    if len(balance["by_subject"]) <= MOST_SUBJECTS:
        parts.append(html.folded("The numbers", _person_table(balance, who)))
    return html.section(f"Class balance: {name}", *parts)


def _class_table(balance: Mapping[str, Any]) -> str:
    splits = list(balance["rows"])
    head = ["class", *(word for split in splits for word in (split, "share")), "all", "share"]
    columns = [(balance["rows"][split], balance["shares"][split]) for split in splits]
    columns.append((balance["overall"]["rows"], balance["overall"]["shares"]))
    return html.table(
        head,
        [
            [name, *(cell for rows, shares in columns for cell in (rows[name], percent(shares[name])))]
            for name in balance["classes"]
        ],
    )


def _person_table(balance: Mapping[str, Any], who: str) -> str:
    return html.table(
        [who, "splits", *balance["classes"]],
        [
            [person, ", ".join(balance["splits_of_subject"][person]), *row.values()]
            for person, row in balance["by_subject"].items()
        ],
    )


def _files(audit: Audit) -> str:
    files = [entry for table in audit.tables.values() for entry in table["files"]]
    table = html.table(["file", "rows", "bytes"], [[e["path"], e["rows"], e["bytes"]] for e in files])
    return html.section("Files", html.paragraph(_manifest(audit.manifest)), table)


def _manifest(manifest: Mapping[str, Any]) -> str:
    if not manifest["present"]:
        return "There is no manifest.json, so whether files are missing or changed was not checked."
    bad = len(manifest["missing"]) + len(manifest["changed"])
    listed = counted(manifest["files"], "file")
    if bad:
        return f"Of {listed} in manifest.json, {bad:,} are missing or changed: see the findings."
    return f"{listed} in manifest.json checked: all there, with the bytes, sha256 and rows listed."
