"""Compares two audited versions of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pgc_data.audits.compare.changes import TRAIN, VAL, Records, TableChanges, flattened, table_changes
from pgc_data.audits.compare.versions import Version
from pgc_data.audits.findings import EXAMPLES, Finding, Severity, counted, percent

_MOST_LINES = 8
_MOST_TEXT = 160


@dataclass(frozen=True)
class Comparison:
    """What changed from version A of a dataset to version B.

    Attributes:
        a: name of A.
        b: name of B.
        tables: table -> what changed in it, of the tables that both have.
        only: tables that one version alone has, with their rows.
        schema: columns that are new, gone, or of another type.
        settings: settings that differ.
        findings: `new`, `gone` and `still` -> findings of the audits, by kind and table.
        warnings: what one version gives away of the other.
    """

    a: str
    b: str
    tables: Mapping[str, TableChanges]
    only: Records
    schema: Records
    settings: Records
    findings: Mapping[str, Records]
    warnings: tuple[Finding, ...]

    @property
    def changed(self) -> bool:
        """Whether anything differs."""
        parts = ("labels", "splits", "classes")
        rows = any(
            of.rows["added"] or of.rows["removed"] or of.rows["renamed"] or of.rows["content_changed"]
            for of in self.tables.values()
        )
        listed = any(getattr(of, part) for of in self.tables.values() for part in parts)
        told = self.only or self.schema or self.settings or self.findings["new"] or self.findings["gone"]
        return bool(rows or listed or told)

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        return {
            "a": self.a,
            "b": self.b,
            "sentences": self.sentences(),
            "changed": self.changed,
            "warnings": [finding.as_dict() for finding in self.warnings],
            "tables": self.only,
            "rows": {name: dict(of.rows) for name, of in self.tables.items()},
            "leaks": flattened(self.tables, "leaks"),
            "labels": flattened(self.tables, "labels"),
            "splits": flattened(self.tables, "splits"),
            "groups": flattened(self.tables, "groups"),
            "classes": {part: flattened(self.tables, part) for part in ("classes", "balance")},
            "schema": self.schema,
            "settings": self.settings,
            "findings": dict(self.findings),
        }

    def sentences(self) -> list[str]:
        """What changed, for people."""
        if not self.changed and not self.warnings:
            return [f"{self.b} holds the same rows, labels and splits as {self.a}; nothing else differs."]
        lines = [finding.meaning for finding in self.warnings]
        lines += [f"Only {r['only_in']} has the table {r['table']}, {r['rows']:,} rows." for r in self.only]
        for name, of in self.tables.items():
            lines += _table_sentences(name, of)
        for word, records in (("New", self.findings["new"]), ("Gone", self.findings["gone"])):
            kinds = ", ".join(f"{record['kind']} ({record['table']})" for record in records)
            lines += [f"{word} findings: {kinds}."] if kinds else []
        lines += [f"Columns that differ: {len(self.schema)}."] if self.schema else []
        lines += [f"Settings that differ: {len(self.settings)}."] if self.settings else []
        return lines

    def lines(self) -> list[str]:
        """The sentences, then the changes of label, split, class, schema and setting that weigh most."""
        lines = [f"A  {self.a}", f"B  {self.b}", *self.sentences()]
        for title, records in (
            ("labels", flattened(self.tables, "labels")),
            ("splits", flattened(self.tables, "splits")),
            ("schema", self.schema),
            ("settings", self.settings),
        ):
            lines += [f"  {title:<9}{_line(record)}" for record in records[:_MOST_LINES]]
            if len(records) > _MOST_LINES:
                lines.append(f"  {title:<9}and {len(records) - _MOST_LINES:,} more")
        return lines


def _line(record: Mapping[str, Any]) -> str:
    what = " ".join(str(record[name]) for name in ("table", "column", "setting") if name in record)
    rows = f": {counted(record['rows'], 'row')}" if "rows" in record else ""
    return f"{what}: {_short(record['a'])} -> {_short(record['b'])}{rows}"


def _short(text: str | None) -> str:
    text = "(none)" if text is None else text
    return text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 3]}..."


def _table_sentences(name: str, of: TableChanges) -> list[str]:
    rows = of.rows
    parts = [f"{rows['added']:,} added", f"{rows['removed']:,} removed", f"{rows['kept']:,} kept"]
    lines = [f"{name}: {rows['a']:,} rows in A, {rows['b']:,} in B: {', '.join(parts)}."]
    words = {
        "renamed": "under another name",
        "content_changed": "with another content",
        "relabelled": "with another label",
        "in_another_split": "in another split",
    }
    changed = [f"{rows[key]:,} {word}" for key, word in words.items() if rows[key]]
    lines += [f"{name}, of the rows kept: {', '.join(changed)}."] if changed else []
    if rows["groups_in_other_splits"]:
        lines.append(
            f"{name}: {rows['groups_in_other_splits']:,} of {counted(rows['groups_kept'], 'group')} that both have "
            "lie in other splits."
        )
    for record in of.classes:
        was = f" from {record['was']}" if record["was"] else ""
        lines.append(f"{name}: class {record['class']} {record['change']}{was}, {record['rows']:,} rows.")
    return lines


def compare(a: Version, b: Version) -> Comparison:
    """Compares two versions. Tables are compared by name; two datasets of one table each, whatever their names.

    Args:
        a: the earlier version.
        b: the later one.
    """
    pairs = {name: (name, name) for name in a.frames if name in b.frames}
    if not pairs and len(a.frames) == len(b.frames) == 1:
        (first,), (second,) = a.frames, b.frames
        pairs = {second: (first, second)}
    tables = {name: table_changes(a.frames[x], b.frames[y]) for name, (x, y) in pairs.items()}
    compared = ({x for x, _ in pairs.values()}, {y for _, y in pairs.values()})
    only = [
        {"only_in": side, "table": name, "rows": frame.height}
        for side, version, known in (("A", a, compared[0]), ("B", b, compared[1]))
        for name, frame in version.frames.items()
        if name not in known
    ]
    settings = _settings(a, b, pairs)
    return Comparison(
        a.name,
        b.name,
        tables,
        only,
        _schema(a, b, pairs),
        settings,
        _findings(a, b),
        tuple(_warnings(tables)),
    )


def _schema(a: Version, b: Version, pairs: Mapping[str, tuple[str, str]]) -> Records:
    found = []
    for name, (x, y) in pairs.items():
        old, new = a.schemas[x], b.schemas[y]
        differ = [column for column in dict.fromkeys([*old, *new]) if old.get(column) != new.get(column)]
        found += [{"table": name, "column": c, "a": old.get(c), "b": new.get(c)} for c in differ]
    return found


def _settings(a: Version, b: Version, pairs: Mapping[str, tuple[str, str]]) -> Records:
    found = []
    for name, (x, y) in pairs.items():
        old = {setting: value for (table, setting), value in a.settings.items() if table == x}
        new = {setting: value for (table, setting), value in b.settings.items() if table == y}
        differ = [key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]
        found += [{"table": name, "setting": s, "a": old.get(s), "b": new.get(s)} for s in differ]
    return found


def _findings(a: Version, b: Version) -> dict[str, Records]:
    old = {(finding.kind, finding.table): finding for finding in a.findings}
    new = {(finding.kind, finding.table): finding for finding in b.findings}
    parts: dict[str, Records] = {"new": [], "gone": [], "still": []}
    for (kind, table), told in {**old, **new}.items():
        before, after = old.get((kind, table)), new.get((kind, table))
        part = "still" if before and after else "new" if after else "gone"
        parts[part].append(
            {
                "kind": kind,
                "severity": str(told.severity),
                "table": table,
                "count_a": before.count if before else 0,
                "count_b": after.count if after else 0,
                "meaning": told.meaning,
            }
        )
    return parts


def _warnings(tables: Mapping[str, TableChanges]) -> list[Finding]:
    """A warning for each table and way round in which a model of one version has seen what the other tests on.

    A warning and no leak: each version by itself may be clean; it is comparing their scores that would be wrong.
    """
    found = []
    for name, of in tables.items():
        for trained, tested in (("A", "B"), ("B", "A")):
            leaks = [r for r in of.leaks if r["trained_on"] == trained and r["tested_on"] == tested]
            if any(record["seen"] for record in leaks):
                found.append(_leak(name, trained, tested, leaks))
    return found


def _leak(table: str, trained: str, tested: str, leaks: Records) -> Finding:
    rows, seen = (sum(record[key] for record in leaks) for key in ("rows", "seen"))
    leaks = [record for record in leaks if record["seen"]]
    parts = []
    for record in leaks:
        counts = [
            f"{record[f'in_{split}']:,} are in {trained}'s {split} and {record[f'of_groups_in_{split}']:,} of groups "
            "in it"
            for split in (TRAIN, VAL)
            if record[f"in_{split}"] or record[f"of_groups_in_{split}"]
        ]
        parts.append(f"of {counted(record['rows'], 'row')} in {record['split']}, {', '.join(counts)}")
    return Finding(
        kind="leak_between_versions",
        severity=Severity.WARNING,
        table=table,
        count=seen,
        share=seen / max(rows, 1),
        meaning=f"A model of {trained} has seen {percent(seen / max(rows, 1))} of the rows that {tested} holds out: "
        f"{'; '.join(parts)}. Its score on {tested} is flattered.",
        remedy=f"Train and select anew on {tested} before comparing scores, or write it with --lock and the "
        "splits.parquet of the other, which keeps every group where it was.",
        examples=tuple(leaks[:EXAMPLES]),
    )
