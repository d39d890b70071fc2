"""A factory of audits as the checks would give them, and pictures to go with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import pytest

from pgc_data.audits.audit import Audit
from pgc_data.audits.findings import Finding, Severity, by_severity

SPLITS = ("train", "val", "test")
EVIL = "<script>alert('x')</script> & \"quotes\""

Json = dict[str, Any]


def make_audit(
    classes: int | Sequence[str] = 4,
    subjects: int = 8,
    splits: Sequence[str] = SPLITS,
    *,
    name: str = "ipn",
    tables: Sequence[str] = ("crops", "windows"),
    files: Sequence[str] = ("crops/train-00000-of-00001.parquet",),
    findings: Sequence[Finding] | None = None,
    seed: int = 0,
) -> Audit:
    """A whole audit with every section, of made-up numbers that agree with each other."""
    names = list(classes) if not isinstance(classes, int) else [f"class_{i}" for i in range(classes)]
    made = {table: _table(table, names, subjects, splits, files, seed) for table in tables}
    rows = sum(table["rows"] for table in made.values())
    units = {
        "group_id": subjects,
        "subject_id": subjects,
        "video_id": 4 * subjects,
        "sample_id": 20 * subjects,
    }
    overlap = {
        unit: {
            "values": values,
            "shared": values // 4 if unit == "video_id" else 0,
            "rows": rows,
            "rows_without": 0,
        }
        for unit, values in units.items()
    }
    chosen = every_finding(tables[0], names, files[0]) if findings is None else findings
    manifest = {"present": True, "files": 6, "missing": [], "changed": [], "unlisted": []}
    return Audit(name, tuple(by_severity(chosen)), made, overlap, manifest)


def every_finding(table: str, classes: Sequence[str], file: str) -> list[Finding]:
    """One finding of each severity, with pairs, rows and plain examples."""

    def finding(kind: str, severity: Severity, *examples: Mapping[str, Any]) -> Finding:
        return Finding(
            kind=kind, severity=severity, table=table, count=1284, share=0.31, examples=examples,
            meaning=f"1,284 rows (31.0 %) show {kind.replace('_', ' ')}: a score says little about new people.",
            remedy="Split again so that every row of one person goes to one split, as to-parquet does.",
        )  # fmt: skip

    return [
        finding("near_duplicate_across_splits", Severity.LEAK),
        finding("video_overlap", Severity.LEAK, {"video_id": "1CM42_21", "splits": "train, val", "rows": 812}),
        finding(
            "undecodable_image", Severity.DAMAGE, {"file": file, "row": 3, "label": classes[0], "fault": "cut short"}
        ),
        finding(
            "contradictory_labels", Severity.WARNING,
            {"a": ref(file, 10, "train", classes[0]), "b": ref(file, 11, "train", classes[-1]), "distance": 2},
        ),
        finding("tiny_image", Severity.NOTE, {"file": file, "row": 5, "label": classes[0], "width": 9}),
    ]  # fmt: skip


def ref(file: str, row: int, split: str | None, label: str | None, group: str | None = None) -> Json:
    """A row of a table, as the checks name it."""
    return {
        "file": file,
        "row": row,
        "split": split,
        "label": label,
        "group": group or f"ipn:s{row % 7}",
        "name": None,
    }


def _table(
    table: str, classes: list[str], subjects: int, splits: Sequence[str], files: Sequence[str], seed: int
) -> Json:
    rng = np.random.default_rng(seed)
    people = [f"s{i}" for i in range(subjects)]
    side = (
        {name: splits[min(int(rng.random() * 1.5 * len(splits) / 1.5), len(splits) - 1)] for name in people}
        if splits
        else {}
    )
    side |= dict(zip(people, splits, strict=False))
    weight = rng.lognormal(3.0, 0.7, len(classes))
    by_subject = {
        p: dict(zip(classes, rng.poisson(weight * rng.random()).tolist(), strict=True)) for p in people
    }
    counts = {
        split: {c: sum(by_subject[p][c] for p in people if side[p] == split) for c in classes}
        for split in splits
    }
    rows = sum(sum(row.values()) for row in by_subject.values())
    at = iter(range(10**6))

    def some(n: int) -> list[Json]:
        return [ref(files[0], next(at), _pick(rng, splits), classes[i % len(classes)]) for i in range(n)]

    pairs = [
        {"a": a, "b": b, "distance": i // 4, "score": 0.999 - i / 400}
        for i, (a, b) in enumerate(zip(some(24), some(24), strict=True))
    ]
    numbers: Json = {
        "rows": rows,
        "files": [{"path": path, "rows": rows, "bytes": 812 * rows} for path in files],
        "splits": {
            s: {"rows": sum(counts[s].values()), "groups": sum(side[p] == s for p in people), "subjects": 3,
                "videos": 40, "samples": 200} for s in splits
        },
        "duplicates": {"rows": rows, "contents": rows - 9, "in_two_splits": 0, "with_two_labels": 2,
                       "extra_rows_within_splits": 9},
        "adjacency": {s: {"rows": 640, "within_1": 614, "within_5": 640} for s in splits[1:]},
        "balance": _balance(classes, counts, by_subject, side),
        "integrity": {},
        "roles": {"image": {"column": "image", "how": "content", "note": "PNG bytes"},
                  "label": {"column": "class", "how": "named", "note": ""},
                  "group": {"column": None, "how": "file name", "note": "video and frame from the column path"}},
        "near_duplicates": {"compared": rows, "rows_with_neighbour": dict.fromkeys(splits, 614),
                            "share": dict.fromkeys(splits, 0.959), "pairs": pairs},
        "proof": {"ratios": [0.7, 0.15, 0.15], "worst": 0.61, "worst_where": ["val", classes[0]],
                  "unmet": ["ipn has 1 group of class_0: it cannot lie in three splits"],
                  "shares": {s: dict.fromkeys(classes, 1 / len(splits)) for s in splits}},
        "licences": [{"source": "ipn", "licence": "CC BY 4.0", "rows": rows}],
        "probe": probe_numbers(classes),
    }  # fmt: skip
    if table == "windows":
        return numbers | {
            "hands": {
                c: {"rows": 900, "without_hand": n, "share": n / 900}
                for c, n in zip(classes, _spread(rng, classes), strict=True)
            },
            "windows": {
                "usable_fraction": _histogram(rng.beta(8, 1, 4000), np.linspace(0, 1, 21), splits),
                "frames": {"16": rows},
                "trajectories": {c: _path(rng) for c in classes},
                "non_finite": 0,
                "wrong_shape": 0,
            },
        }
    return numbers | {
        "images": {
            "width": _histogram(rng.normal(110, 25, 5000), np.linspace(0, 256, 33), splits),
            "height": _histogram(rng.normal(120, 30, 5000), np.linspace(0, 256, 33), splits),
            "brightness": _histogram(rng.normal(110, 35, 5000), np.linspace(0, 256, 33), splits),
            "sharpness": _histogram(rng.lognormal(6, 0.7, 5000), np.geomspace(10, 10000, 31), splits),
            "smallest": some(8), "darkest": some(8), "blurriest": some(8),
        },
        "samples": {
            c: [ref(files[0], next(at), _pick(rng, splits), c, f"ipn:s{i}") for i in range(12)] for c in classes
        },
    }  # fmt: skip


def _pick(rng: np.random.Generator, splits: Sequence[str]) -> str | None:
    return str(rng.choice(splits)) if splits else None


def _spread(rng: np.random.Generator, classes: Sequence[str]) -> list[int]:
    return [630, *rng.integers(0, 60, len(classes) - 1).tolist()]


def _balance(
    classes: list[str], counts: Mapping[str, Mapping[str, int]], by_subject: Json, side: Mapping[str, str]
) -> Json:
    overall = {c: sum(row[c] for row in counts.values()) for c in classes}
    present = [n for n in overall.values() if n] or [1]
    return {
        "classes": classes,
        "rows": counts,
        "shares": {split: _shares(row) for split, row in counts.items()},
        "overall": {"rows": overall, "shares": _shares(overall)},
        "absent": [],
        "largest_deviation": {"split": next(iter(counts)), "class": classes[0], "points": 2.4}
        if counts
        else None,
        "imbalance_ratio": max(present) / min(present),
        "by_subject": by_subject,
        "splits_of_subject": {p: [side[p]] for p in by_subject} if side else {p: [] for p in by_subject},
        "subjects_are_groups": False,
        "by_dataset": {"ipn": overall, "hagrid": {c: n // 3 for c, n in overall.items()}},
    }


def _shares(counts: Mapping[str, int]) -> dict[str, float]:
    total = sum(counts.values()) or 1
    return {c: round(n / total, 6) for c, n in counts.items()}


def _histogram(values: Any, edges: Any, splits: Sequence[str]) -> Json:
    parts = dict(zip(splits, np.array_split(values, max(len(splits), 1)), strict=False))
    return {
        "edges": edges.round(3).tolist(),
        "counts": {split: np.histogram(part, edges)[0].tolist() for split, part in parts.items()},
        "quantiles": {
            split: np.percentile(part, [5, 50, 95]).round(2).tolist() for split, part in parts.items()
        },
    }


def _path(rng: np.random.Generator) -> Json:
    steps = np.cumsum(rng.normal(rng.normal(0, 0.08, 2), 0.03, (16, 2)), axis=0)
    return {"x": steps[:, 0].round(4).tolist(), "y": steps[:, 1].round(4).tolist(), "rows": 900}


def probe_numbers(classes: Sequence[str]) -> Json:
    """A probe's result: the split flatters by 31 points."""

    def score(value: float) -> Json:
        one = {"value": value, "low": value - 0.04, "high": value + 0.03}
        return {"f1": one, "accuracy": one | {"value": value + 0.01}}

    return {
        "neighbours": 5, "repeats": 20, "unit": "people", "grouped": False,
        "compared": {"train": 4000, "held_out": 1000, "groups": 50},
        "classes": list(classes), "classes_left_out": [],
        "given": score(0.93), "unseen": score(0.62), "chance": score(0.07), "gap": score(0.31),
        "reason": "", "sentences": ["A 5-nearest-neighbour probe scores 0.93.", "On people not seen it scores 0.62."],
    }  # fmt: skip


def drawn_pictures(refs: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], bytes]:
    """A small PNG for every row asked for, but for row 3, which is broken."""
    found = {}
    for one in refs:
        pixels = np.random.default_rng(one["row"]).integers(0, 256, (24, 18, 3), dtype=np.uint8)
        data = bytes(cv2.imencode(".png", pixels)[1])
        found[one["file"], one["row"]] = data[:40] if one["row"] == 3 else data
    return found


MakeAudit = Callable[..., Audit]


@pytest.fixture(scope="session")
def audit_of() -> MakeAudit:
    """Makes an audit; see `make_audit`."""
    return make_audit


@pytest.fixture(scope="session")
def pictures() -> Callable[[Sequence[Mapping[str, Any]]], Mapping[tuple[str, int], bytes]]:
    """Gives a picture of every row; see `drawn_pictures`."""
    return drawn_pictures
