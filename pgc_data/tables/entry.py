"""What the manifest, the files' metadata and the ledger say of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pgc_data.datasets import dataset
from pgc_data.splits import Assignment, Counts, Group, SplitReport, Splits
from pgc_data.storage.parquet import table_of, write_table
from pgc_data.tables.alike import JoinReport
from pgc_data.tables.builder import Builder, Drops
from pgc_data.tables.figures import figures
from pgc_data.tables.inputs import ExtractedSource
from pgc_data.tables.manifest import LEDGER_FOLDER
from pgc_data.tables.split_settings import SplitSettings
from pgc_data.tables.windows import TOO_SHORT


def file_facts(
    builder: Builder, settings: SplitSettings, sources: Sequence[ExtractedSource], mark: str
) -> dict[str, Any]:
    """What the metadata of every file of a table say.

    Args:
        builder: of the table.
        settings: how it is split.
        sources: what it is made of.
        mark: its fingerprint.
    """
    vocabulary = builder.vocabulary
    return {
        **settings.facts(), "fingerprint": mark, "settings": builder.settings(), "sizes": builder.sizes(),
        "vocabulary": vocabulary.name, "vocabulary_sha256": vocabulary.digest(),
        "classes": list(vocabulary.classes), "flip": [list(p) for p in vocabulary.flip],
        "sources": [{"name": s.source.name, "dataset": s.source.dataset, **s.source.metadata(),
                     "extraction": dict(s.facts)} for s in sources],
        "static": list(vocabulary.static), "cap": settings.cap, **builder.documents(),
    }  # fmt: skip


def split_facts(
    builder: Builder, rows: Counts, groups: Sequence[Group], assignment: Assignment, splits: Splits
) -> dict[str, Any]:
    """What the manifest says of a table's rows by split, class and dataset.

    Args:
        builder: of the table.
        rows: (G, C) rows written of each group and class.
        groups: (G,) groups.
        assignment: (G,) number of the split of each.
        splits: their names.
    """
    return {
        "splits": list(splits.names),
        **figures(groups, assignment, rows, splits, builder.vocabulary.classes),
    }


def proof_facts(proof: SplitReport, joined: JoinReport | None) -> dict[str, Any]:
    """What the manifest says of how near a split comes to the wish, and of pictures that groups share."""
    return {
        "worst": proof.worst, "worst_where": list(proof.worst_where),
        "unmet": [*proof.unmet, *(joined.unmet if joined else ())],
        "joined": None if joined is None else joined.as_dict(),
    }  # fmt: skip


def unverified(sources: Sequence[ExtractedSource]) -> list[str]:
    """Datasets whose own split is kept without anybody knowing whether its people are apart."""
    return sorted({s.source.dataset for s in sources if dataset(s.source.dataset).keeps_official_split})


def dropped_rows(
    builder: Builder, sources: Sequence[ExtractedSource], drops: Mapping[str, Drops]
) -> list[dict[str, Any]]:
    """What was dropped, most first, with the vocabulary's reason where it left a label out."""
    rows = []
    for source in sources:
        why = builder.vocabulary.excluded.get(source.source.dataset, {})
        for (reason, label), count in drops[source.source.name].items():
            detail = why.get(label or "") if reason == "excluded_label" else None
            rows.append({"source": source.source.name, "reason": reason, "label": label, "count": count,
                         "detail": detail})  # fmt: skip
    return sorted(rows, key=lambda r: (-r["count"], r["source"], r["reason"], r["label"] or ""))


def write_ledger(folder: Path, builder: Builder, dropped: Sequence[Mapping[str, Any]]) -> None:
    """Writes what `dropped_rows` gives to the dataset's folder."""
    rows = [
        {
            "stage": "to-parquet", "source": d["source"], "item": d["label"] or "any label", "action": "dropped",
            "reason": d["reason"], "count": d["count"], "unit": builder.unit, "detail": d["detail"],
        }
        for d in dropped
    ]  # fmt: skip
    path = folder / LEDGER_FOLDER / f"{builder.name}.parquet"
    write_table(path, table_of("ledger", rows), "ledger", {"table": builder.name})


def drop_reasons(drops: Mapping[str, Drops]) -> str:
    """The three reasons for which most was dropped, in words."""
    found: Counter[str] = Counter()
    for dropped in drops.values():
        for (reason, _), n in dropped.items():
            found[reason] += n
    words = [f"{n:,} dropped as {reason}" for reason, n in found.most_common(3)]
    hint = "; shorter windows (--frames) fit shorter clips" if TOO_SHORT in found else ""
    return (", ".join(words) or "no hand was extracted") + hint
