"""Writes a dataset made from others: the rows taken, where they came from, and proof that none went missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pgc_data.errors import DataError
from pgc_data.progress import Progress
from pgc_data.splits import Assignment, Group, Splits, report
from pgc_data.storage.files import remove_folder, sha256_json
from pgc_data.storage.parquet import content_group_rows, table_of, write_table
from pgc_data.storage.schemas import arrow_schema, table_schema, with_metadata
from pgc_data.tables.build import written_fingerprint
from pgc_data.tables.card import write_card
from pgc_data.tables.derived_parents import KINDS, SPLIT_FACTS, Parent, ParentTable
from pgc_data.tables.derived_parts import Census, Part
from pgc_data.tables.figures import figures
from pgc_data.tables.lock import LOCK_FILE, write_lock
from pgc_data.tables.manifest import MANIFEST_FILE, files_are_whole, files_of, read_manifest, write_manifest
from pgc_data.tables.row_order import RowOrder
from pgc_data.tables.writer import OrderedWriter

# To be raised when the code takes other rows of the same parents.
DERIVE_VERSION = 1
_OWN_FACTS = {"schema", "schema_version", "pgc_data_version"}


@dataclass(frozen=True, eq=False)
class Derivation:
    """What is asked for.

    Attributes:
        by: subset or merge.
        folder: of the dataset to write.
        parents: in the order in which they were named.
        settings: what was asked for besides, as JSON values.
        overwrite: whether to replace a dataset made with other settings.
    """

    by: str
    folder: Path
    parents: tuple[Parent, ...]
    settings: Mapping[str, Any]
    overwrite: bool

    @property
    def kinds(self) -> tuple[str, ...]:
        """Tables to write."""
        return tuple(kind for kind in KINDS if kind in self.parents[0].tables)

    def tables(self, kind: str) -> list[ParentTable]:
        """The parents' tables of a kind."""
        return [parent.tables[kind] for parent in self.parents]

    def fingerprint(self, kind: str) -> str:
        """Changes when anything changes that decides a table."""
        return sha256_json(
            {
                "derive": DERIVE_VERSION, "by": self.by, "settings": self.settings, "kind": kind,
                "schema": table_schema(kind).version,
                "parents": [[t.digest for t in parent.tables.values()] for parent in self.parents],
            }
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Draft:
    """A table about to be written.

    Attributes:
        kind: crops or windows.
        classes: names.
        splits: names, and the shares wanted of each.
        parts: what is taken of each parent's table, in their order.
        census: the rows taken.
        facts: what the manifest and the files say besides figures: split, settings, parents, ...
        said: what the manifest alone says.
        metadata: what the files alone say.
        unmet: what could not be had, in sentences.
    """

    kind: str
    classes: Sequence[str]
    splits: Splits
    parts: Sequence[Part]
    census: Census
    facts: Mapping[str, Any]
    said: Mapping[str, Any]
    metadata: Mapping[str, Any]
    unmet: Sequence[str] = ()


def pending(asked: Derivation) -> list[str]:
    """The tables that are not there as asked for.

    Raises:
        DataError: the dataset was written by something else, or with other settings and is not to be overwritten.
    """
    folder, manifest = asked.folder, read_manifest(asked.folder)
    tables = manifest["tables"]
    marks = {kind: asked.fingerprint(kind) for kind in asked.kinds}
    foreign = [kind for kind, table in tables.items() if not table.get("parents")]
    if foreign:
        raise DataError(f"{folder} was not made by merge or subset and stays as it is: choose another --as")
    written = {kind: written_fingerprint(folder / kind) for kind in KINDS}
    known = {kind: table["fingerprint"] for kind, table in tables.items()}
    for kind in KINDS:
        if {known.get(kind), written[kind]} - {None, marks.get(kind)} and not asked.overwrite:
            raise DataError(
                f"{folder / kind} was made from other input or with other settings: pass --overwrite to replace it, "
                "or choose another --as"
            )
    if known.keys() - marks.keys():
        return list(asked.kinds)
    return [
        kind for kind in asked.kinds
        if not (known.get(kind) == written[kind] == marks[kind] and files_are_whole(folder, manifest, kind))
    ]  # fmt: skip


def derive(
    asked: Derivation, decide: Callable[[], Sequence[Draft]]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Writes the dataset, as far as it is not there; nobody else may be writing it.

    Args:
        asked: what to write.
        decide: says which rows are taken.

    Returns:
        Table -> what the manifest says of it, and the tables written.

    Raises:
        DataError: see `pending`; nothing is left of the parents, a parent changed, or a file cannot be written.
    """
    folder, todo = asked.folder, pending(asked)
    if not todo:
        return dict(read_manifest(folder)["tables"]), ()
    drafts = decide()
    for draft in drafts:
        _check_rows(asked, draft)
    locked = _locked(drafts)
    _clear(asked)
    manifest = read_manifest(folder)
    tables = dict(manifest["tables"])
    files = {kind: files_of(manifest, kind) for kind in tables}
    for draft in drafts:
        if draft.kind in todo:
            tables[draft.kind], files[draft.kind] = _write(asked, draft)
            write_lock(folder / LOCK_FILE, *locked, {name: draft.facts[name] for name in SPLIT_FACTS})
            tables = {kind: tables[kind] for kind in KINDS if kind in tables}
            write_card(folder, folder.name, tables)
            write_manifest(folder, tables, [file for kind in tables for file in files[kind]])
    return tables, tuple(todo)


def _locked(drafts: Sequence[Draft]) -> tuple[list[Group], Assignment, Splits]:
    """Every group that has rows in any table, and its split."""
    splits = max((draft.splits for draft in drafts), key=lambda splits: len(splits.names))
    found: dict[Group, str] = {}
    for draft in drafts:
        for group, number in zip(draft.census.groups, draft.census.assignment.tolist(), strict=True):
            split = draft.splits.names[number]
            if found.setdefault(group, split) != split:
                raise DataError(
                    f"group {group.id} lies in {found[group]} of the crops and in {split} of the windows: split again "
                    "with to-parquet"
                )
    groups = sorted(found, key=lambda group: group.id)
    return groups, np.array([splits.number(found[group]) for group in groups], dtype=np.int64), splits


def _check_rows(asked: Derivation, draft: Draft) -> None:
    """Checks that some rows are left, and that every row is either taken or left out."""
    taken = int(draft.census.counts.sum())
    dropped = sum(n for *_, n in draft.census.dropped)
    there = sum(table.rows for table in asked.tables(draft.kind))
    if not taken:
        reasons = sorted({reason for _, _, reason, _, _ in draft.census.dropped})
        raise DataError(
            f"nothing is left of {there:,} {draft.kind} (left out: {', '.join(reasons)}): ask for more of them, or for "
            "the other table alone, with --table"
        )
    if taken + dropped != there:
        raise DataError(
            f"{there:,} {draft.kind} became {taken:,} and {dropped:,} left out: rows went missing"
        )


def _clear(asked: Derivation) -> None:
    """Removes what a dataset of other settings left beside the tables, which are replaced one by one."""
    known = read_manifest(asked.folder)["tables"]
    if known and all(table["fingerprint"] == asked.fingerprint(kind) for kind, table in known.items()):
        return
    for name in (MANIFEST_FILE, LOCK_FILE):
        (asked.folder / name).unlink(missing_ok=True)
    remove_folder(asked.folder / "ledger")
    for kind in set(KINDS) - set(asked.kinds):
        remove_folder(asked.folder / kind)


def _write(asked: Derivation, draft: Draft) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Writes a table and its ledger: what the manifest says of it, and of its files."""
    census, kind, mark = draft.census, draft.kind, asked.fingerprint(draft.kind)
    facts = {**draft.facts, "classes": list(draft.classes), "fingerprint": mark, "derived_by": asked.by}
    # The definition of the features, and whatever else all parents' files say alike.
    first, *others = (part.table.metadata for part in draft.parts)
    kept = {name: first[name] for name in first if all(other.get(name) == first[name] for other in others)}
    kept = {name: value for name, value in kept.items() if name not in _OWN_FACTS}
    schema = with_metadata(
        arrow_schema(kind, **facts["sizes"]), kind, {**kept, **facts, **draft.metadata},
        class_names={"class_id": tuple(draft.classes)},
    )  # fmt: skip
    names = [group.id for group in census.groups]
    order = RowOrder(names, census.assignment, census.counts, content_group_rows(schema), facts["seed"])
    with OrderedWriter(
        asked.folder / kind, schema, order, draft.splits.names, mark, draft.said["single_file"]
    ) as writer:
        if writer.facts is None:
            _take_rows(writer, asked, draft)
        files = writer.finish()
    proof = report(census.counts, census.assignment, draft.splits, draft.classes)
    dropped = _dropped(census)
    _write_ledger(asked, kind, dropped)
    return {
        **facts, **draft.said, "unit": "rows",
        "parents": [
            {**said, "manifest_sha256": parent.manifest_sha256}
            for said, parent in zip(facts["parents"], asked.parents, strict=True)
        ], "splits": list(draft.splits.names),
        **figures(census.groups, census.assignment, census.counts, draft.splits, draft.classes),
        "worst": proof.worst, "worst_where": list(proof.worst_where), "unmet": [*proof.unmet, *draft.unmet],
        "dropped": dropped,
    }, files  # fmt: skip


def _take_rows(writer: OrderedWriter, asked: Derivation, draft: Draft) -> None:
    with Progress(f"{asked.by} {draft.kind}", int(draft.census.counts.sum()), "rows") as progress:
        for part in draft.parts:
            for place, block in part.table.blocks(wanted=part.taken):
                groups, class_ids, rows = part.rows_of(place, block)
                writer.write(rows, groups, class_ids)
                progress.add(rows.num_rows)
    for parent in asked.parents:
        parent.check_unchanged()
    writer.seal({})


def _dropped(census: Census) -> list[dict[str, Any]]:
    """What was left out, most first."""
    rows = [
        {"source": source, "reason": reason, "label": label, "count": n, "detail": f"of {parent}"}
        for parent, source, reason, label, n in census.dropped
    ]
    return sorted(rows, key=lambda r: (-r["count"], r["source"], r["reason"], r["label"] or "", r["detail"]))


def _write_ledger(asked: Derivation, kind: str, dropped: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        {
            "stage": asked.by, "source": d["source"], "item": d["label"] or "any label", "action": "dropped",
            "reason": d["reason"], "count": d["count"], "unit": "rows", "detail": d["detail"],
        }
        for d in dropped
    ]  # fmt: skip
    write_table(
        asked.folder / "ledger" / f"{kind}.parquet", table_of("ledger", rows), "ledger", {"table": kind}
    )
