"""The splits: their sizes, what they share, and the proof that they were cut as asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pgc_data.audits.adjacency import REACHES
from pgc_data.audits.audit import Audit
from pgc_data.audits.findings import counted, percent
from pgc_data.audits.overlap import UNITS
from pgc_data.audits.report import html
from pgc_data.audits.report.plots import share_cell, tones


def splits_section(audit: Audit) -> str:
    """Sizes, overlaps, copies, neighbours and the split proof."""
    if not audit.splits:
        return html.section(
            "splits", "Splits", html.paragraph("The data have no splits: nothing can leak between them.")
        )
    parts = [_sizes(audit), _overlap(audit), _copies(audit), _near(audit), _neighbours(audit)]
    proofs = [_proof(name, table.get("proof"), len(audit.tables) > 1) for name, table in audit.tables.items()]
    return html.section("splits", "Splits", *parts, *proofs)


def _name(audit: Audit, table: str, split: str) -> str:
    return f"{table}, {split}" if len(audit.tables) > 1 else split


def _sizes(audit: Audit) -> str:
    colours = tones(audit.splits)
    found = [
        (n, t["rows"], s, row) for n, t in audit.tables.items() for s, row in (t.get("splits") or {}).items()
    ]
    limit = max((row["rows"] / max(total, 1) for _, total, _, row in found), default=1.0)
    units = [unit for unit in UNITS.values() if any(row.get(f"{unit}s") for *_, row in found)]
    body = [
        [
            _name(audit, table, split),
            share_cell(row["rows"], row["rows"] / max(total, 1), limit, colours.get(split, "s5")),
            *(row.get(f"{unit}s") for unit in units),
        ]
        for table, total, split, row in found
    ]
    head = ["split", "rows", *(f"{unit}s" for unit in units)]
    return html.table(
        head, body, "Rows of each split, and how many different people and recordings they come from."
    )


def _overlap(audit: Audit) -> str:
    body = [
        [UNITS.get(column, column), n["values"], _alarming(n["shared"]), n["rows_without"]]
        for column, n in audit.overlap.items()
        if n["values"]
    ]
    if not body and len(audit.splits) < 2:
        return ""
    if not body:
        words = "The rows name no group, subject, video or sample, so nothing can be said of what two splits share."
        return html.paragraph(words)
    head = ["unit", "values", "in more than one split", "rows without one"]
    return html.table(head, body, "Units that should lie in one split each.")


def _alarming(count: int) -> html.Cell:
    return html.Cell(f'<span class="none">{count:,}</span>' if count else "0", float(count))


def _copies(audit: Audit) -> str:
    keys = ("rows", "contents", "in_two_splits", "with_two_labels")
    tables = [(name, table["duplicates"]) for name, table in audit.tables.items() if table.get("duplicates")]
    body = [
        [name, n.get(keys[0]), n.get(keys[1]), *(_alarming(n.get(key) or 0) for key in keys[2:])]
        for name, n in tables
    ]
    head = ["table", "rows compared", "distinct contents", "in two splits", "with two labels"]
    return html.table(head, body, "Contents that are equal byte for byte.") if body else ""


def _near(audit: Audit) -> str:
    body: list[list[object]] = []
    for name, table in audit.tables.items():
        near = table.get("near_duplicates") or {}
        for split, count in (near.get("rows_with_neighbour") or {}).items():
            cell = html.Cell(percent(near["share"][split]), near["share"][split])
            body.append([_name(audit, name, split), _alarming(count), cell])
    caption = (
        "Pictures that look alike in another split, found by perceptual hash and checked by pixels: rows with at "
        "least one such neighbour."
    )
    return html.table(["split", "rows with a neighbour", "share"], body, caption) if body else ""


def _neighbours(audit: Audit) -> str:
    body = [
        [_name(audit, name, split), n["rows"], *(_within(n, reach) for reach in REACHES)]
        for name, table in audit.tables.items()
        for split, n in (table.get("adjacency") or {}).items()
    ]
    head = ["split", "rows with a video", *(f"within ±{reach} of train" for reach in REACHES)]
    return html.table(head, body, "Frames of one video that lie next to a frame in train.") if body else ""


def _within(numbers: Mapping[str, int], reach: int) -> html.Cell:
    count = numbers[f"within_{reach}"]
    share = percent(count / max(numbers["rows"], 1))
    return html.Cell(f'{_alarming(count).content}<span class="share">{share}</span>', float(count))


def _proof(table: str, proof: Mapping[str, Any] | None, several: bool) -> str:
    if not proof:
        return ""
    lines = []
    if proof.get("ratios"):
        lines.append(
            f"Wanted: {' / '.join(f'{100 * ratio:.4g} %' for ratio in proof['ratios'])} (train / val / test)."
        )
    if proof.get("worst") is not None:
        where: Sequence[str] = proof.get("worst_where") or ()
        place = f", {where[1]} in {where[0]}" if len(where) == 2 else ""
        lines.append(f"The class farthest from that{place}: {proof['worst']:.2f} percentage points.")
    unmet = proof.get("unmet")
    if unmet:
        lines.append(f"Not met: {counted(len(unmet), 'wish', 'wishes')}.")
    elif unmet is not None:
        lines.append("Every class has rows in every split asked for.")
    title = f"Split proof, {table}" if several else "Split proof"
    return html.subsection(
        title,
        html.paragraph(" ".join(lines)),
        html.bullets(html.text(line) for line in unmet) if unmet else "",
        _wishes(proof.get("shares") or {}),
    )


def _wishes(shares: Mapping[str, Any]) -> str:
    """Split -> class -> share of the class's rows, or split -> share of all rows."""
    if not shares or not all(isinstance(row, Mapping) for row in shares.values()):
        return ""
    classes = list(dict.fromkeys(name for row in shares.values() for name in row))
    body = [
        [name, *(html.Cell(percent(row.get(name, 0.0)), row.get(name, 0.0)) for row in shares.values())]
        for name in classes
    ]
    return html.folded(
        "Shares of each class", html.table(["class", *shares], body, "Share of a class's rows in each split.")
    )
