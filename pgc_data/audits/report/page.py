"""The whole page: the verdict first, then the findings, then all that was looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pgc_data import __version__
from pgc_data.audits.audit import Audit
from pgc_data.audits.findings import Severity, counted, percent
from pgc_data.audits.report import html
from pgc_data.audits.report.about import files, licences, roles
from pgc_data.audits.report.balance import balance
from pgc_data.audits.report.compare import compare
from pgc_data.audits.report.findings import example_refs, findings_section
from pgc_data.audits.report.images import EXTREMES, contact_sheets, images, sampled
from pgc_data.audits.report.probe import flattering, probe
from pgc_data.audits.report.splits import splits_section
from pgc_data.audits.report.thumbnails import Pictures, Ref, Thumbnails
from pgc_data.audits.report.windows import hands, windows

_SECTION = re.compile(r'<section id="([a-z-]+)".*?<h2[^>]*>(.*?)</h2>', re.S)
_NOUNS = {
    Severity.LEAK: ("leak", "leaks"),
    Severity.DAMAGE: ("case of damage", "cases of damage"),
    Severity.WARNING: ("warning", "warnings"),
    Severity.NOTE: ("note", "notes"),
}
_WORDS = {"leak": "Leaks", "damage": "Damaged", "warning": "Usable, with warnings", "clean": "Clean"}
_LIMITS = (
    "What this audit cannot see: one person under two subject ids, wrong labels that agree with each other, and "
    "rows without the id in question, which are counted and not compared."
)


def page(
    audit: Audit, pictures: Pictures, comparison: Mapping[str, Any] | None = None, beside: Sequence[str] = ()
) -> str:
    """The page, which needs nothing beside it.

    Args:
        audit: what was found.
        pictures: gives the images of rows.
        comparison: what changed since another version.
        beside: names of the files that lie beside the page.
    """
    thumbnails = Thumbnails(pictures, _refs(audit), audit.splits)
    sections = [section for section in _sections(audit, thumbnails, comparison, beside) if section]
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in _titles(sections))
    top = (
        '<a class="skip" href="#main">Skip to the content</a>\n<div class="sheet">\n'
        '<header class="bar-top"><p>Dataset audit by pgc-data</p>'
        '<button class="theme" type="button" hidden>Dark theme</button></header>\n'
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n<main id="main">'
    )
    end = f"</main>\n<footer>{html.paragraph(_LIMITS)}{html.paragraph(f'pgc-data {__version__}')}</footer>\n</div>"
    return _document(f"Audit of {audit.name}", "\n".join([top, _verdict(audit), *sections, end]))


def _titles(sections: Sequence[str]) -> Iterator[tuple[str, str]]:
    for section in sections:
        if found := _SECTION.match(section):
            yield found[1], found[2]


def _sections(
    audit: Audit, thumbnails: Thumbnails, comparison: Mapping[str, Any] | None, beside: Sequence[str]
) -> Iterator[str]:
    splits, tables = audit.splits, audit.tables
    yield findings_section(audit, thumbnails)
    yield html.section("compare", "What changed", compare(comparison))
    yield _each("roles", "How the columns were understood", tables, lambda name, t: roles(t.get("roles")))
    yield _each(
        "balance", "Class balance", tables, lambda name, t: balance(name, t.get("balance") or {}, splits)
    )
    yield splits_section(audit)
    yield _each("probe", "How much the split flatters", tables, lambda name, t: probe(t.get("probe")))
    yield _each("hands", "Rows without a hand", tables, lambda name, t: hands(t.get("hands")))
    yield _each("images", "Images", tables, lambda name, t: images(t.get("images") or {}, splits, thumbnails))
    yield _each(
        "sheets",
        "Contact sheets",
        tables,
        lambda name, t: contact_sheets(t.get("samples") or {}, splits, thumbnails),
    )
    yield _each("windows", "Windows", tables, lambda name, t: windows(t.get("windows"), splits))
    yield _each("licences", "Licences", tables, lambda name, t: licences(t.get("licences")))
    yield html.section("files", "Files", files(audit, beside))


def _each(name: str, title: str, tables: Mapping[str, Any], content: Callable[[str, Any], str]) -> str:
    """One section over all tables, with the tables' names where several have something to say."""
    parts = [(table, content(table, numbers)) for table, numbers in tables.items()]
    said = [(table, part) for table, part in parts if part]
    if len(tables) == 1:
        return html.section(name, title, *(part for _, part in said))
    blocks = (f'<h3 class="table-name">{html.text(table)}</h3>\n{part}' for table, part in said)
    return html.section(name, title, *blocks)


def _refs(audit: Audit) -> list[Ref]:
    """Every row whose picture the page shows, of tables that hold pictures."""
    pictured = {name: t for name, t in audit.tables.items() if t.get("images") or t.get("samples")}
    refs: list[Ref] = []
    for finding in audit.findings:
        if finding.table in pictured:
            refs += example_refs(finding)
    for table in pictured.values():
        pairs = (table.get("near_duplicates") or {}).get("pairs") or ()
        refs += [pair[side] for pair in pairs for side in ("a", "b")]
        refs += [ref for key in EXTREMES for ref in (table.get("images") or {}).get(key) or ()]
        refs += [ref for chosen in sampled(table.get("samples") or {}).values() for ref in chosen]
    return refs


def _verdict(audit: Audit) -> str:
    tally = []
    for severity in Severity:
        found = [i for i, f in enumerate(audit.findings, start=1) if f.severity is severity]
        if found:
            words = counted(len(found), *_NOUNS[severity])
            tally.append(f'<a href="#finding-{found[0]}">{words}</a>')
    numbers = "".join(
        f"<div><dt>{html.text(name)}</dt><dd>{html.text(value)}</dd></div>"
        for name, value in key_numbers(audit)
    )
    below = f'<p class="tally">{", ".join(tally)}.</p>' if tally else ""
    return (
        f'<div class="verdict {audit.verdict}">\n<p class="word">{_word(audit)}</p>\n'
        f'<h1>{html.text(audit.sentence())}</h1>\n{below}<dl class="numbers">{numbers}</dl></div>'
    )


def _word(audit: Audit) -> str:
    if audit.verdict == "clean" and audit.groups_unknown:
        return "Nothing found, groups unknown"
    return _WORDS[audit.verdict]


def key_numbers(audit: Audit) -> list[tuple[str, object]]:
    """The few numbers to know first, with their names."""
    found: list[tuple[str, object]] = []
    several = len(audit.tables) > 1
    for name, table in audit.tables.items():
        found.append((f"rows of {name}" if several else "rows", table["rows"]))
    classes = max(
        (len((t.get("balance") or {}).get("classes") or ()) for t in audit.tables.values()), default=0
    )
    if classes:
        found.append(("class" if classes == 1 else "classes", classes))
    people = [
        (unit, audit.overlap.get(f"{unit}_id", {}).get("values")) for unit in ("subject", "group", "video")
    ]
    found += [(f"{unit}s", values) for unit, values in people if values][:1]
    found += _shared(audit) + _near(audit) + _flattered(audit)
    ratios = [(t.get("balance") or {}).get("imbalance_ratio") for t in audit.tables.values()]
    if classes > 1 and any(ratios):
        found.append(("largest class to smallest", f"{max(r for r in ratios if r):.3g} : 1"))
    return found


def _shared(audit: Audit) -> list[tuple[str, object]]:
    """The unit of which the largest share lies in two splits."""
    known = [(n["shared"] / n["values"], c, n) for c, n in audit.overlap.items() if n["values"]]
    if not known or len(audit.splits) < 2:
        return []
    share, column, numbers = max(known, key=lambda item: item[0])
    unit = column.removesuffix("_id")
    return [(f"of {counted(numbers['values'], unit)} in more than one split", percent(share))]


def _near(audit: Audit) -> list[tuple[str, object]]:
    """The split with the largest share of rows that look like a row of another split."""
    shares = [
        (share, split)
        for table in audit.tables.values()
        for split, share in ((table.get("near_duplicates") or {}).get("share") or {}).items()
    ]
    if not shares or len(audit.splits) < 2:
        return []
    share, split = max(shares)
    return [(f"of {split} rows have a near-copy in another split", percent(share))]


def _flattered(audit: Audit) -> list[tuple[str, object]]:
    """By how much the probe's score is too high."""
    gaps = [gap for t in audit.tables.values() if (gap := flattering(t.get("probe")))]
    if not gaps:
        return []
    return [
        ("points by which the split flatters a small model", f"{100 * max(gap['value'] for gap in gaps):.0f}")
    ]


def _document(title: str, body: str) -> str:
    here = Path(__file__)
    style = here.with_name("style.css").read_text(encoding="utf-8").strip()
    script = here.with_name("script.js").read_text(encoding="utf-8").strip()
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.text(title)}</title>\n<style>\n{style}\n</style>\n</head>\n<body>\n{body}\n"
        f"<script>\n{script}\n</script>\n</body>\n</html>\n"
    )
