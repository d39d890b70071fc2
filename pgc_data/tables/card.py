"""The dataset card: what a stranger should know before loading a dataset, as Hugging Face reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pgc_data.storage.files import write_text
from pgc_data.storage.schemas import table_schema
from pgc_data.tables.derived_lines import parent_lines
from pgc_data.tables.licences import hub_identifier, strictest
from pgc_data.tables.split_settings import FOLDS, LEAVE_ONE_OUT
from pgc_data.tables.writer import SINGLE_FILE

_HOLDS = {
    "crops": "hand images",
    "windows": "hand-landmark windows",
    "pgc": "hand images in the layout of PGC",
}
# `datasets` has its own name for the middle split, and no hyphens.
_HUB_SPLITS = {"val": "validation"}


def write_card(folder: Path, name: str, tables: Mapping[str, Any]) -> None:
    """Writes `README.md`: licences, splits, classes, columns, and how to load it.

    Args:
        folder: of the dataset.
        name: of the dataset.
        tables: table -> what the manifest says of it.
    """
    sources = {s["name"]: s for table in tables.values() for s in table["sources"]}
    parts = [
        _front_matter(name, tables),
        f"# {name}\n",
        _introduction(tables, sources),
        _loading(folder, tables),
        *(_table(kind, table) for kind, table in tables.items()),
        _provenance(sources, tables),
    ]
    write_text(folder / "README.md", "\n".join(parts))


def _front_matter(name: str, tables: Mapping[str, Any]) -> str:
    licence = strictest(s["licence"] for table in tables.values() for s in table["sources"])
    lines = [
        "---",
        f"pretty_name: {json.dumps(name)}",
        f"license: {hub_identifier(licence)}",
        *([f"license_name: {json.dumps(licence)}"] if hub_identifier(licence) == "other" else []),
        "tags:",
        "- gesture-recognition",
        "configs:",
    ]
    for kind, table in tables.items():
        lines += [f"- config_name: {kind}", "  data_files:"]
        if table["single_file"]:
            lines += ["  - split: all_splits", f"    path: {kind}/{SINGLE_FILE}"]
            continue
        for split, rows in table["rows"].items():
            if rows:
                lines += [f"  - split: {_HUB_SPLITS.get(split, split.replace('-', '_'))}",
                          f"    path: {kind}/{split}-*.parquet"]  # fmt: skip
    return "\n".join([*lines, "---", ""])


def _introduction(tables: Mapping[str, Any], sources: Mapping[str, Any]) -> str:
    what = " and ".join(f"{sum(t['rows'].values()):,} {_HOLDS[kind]}" for kind, t in tables.items())
    drawn = [s for s in sources.values() if s["synthetic"]]
    text = f"{what}, made with pgc-data from {', '.join(sources)}.\n"
    if drawn:
        text += f"\nThe images of {', '.join(s['name'] for s in drawn)} are drawn, not photographed.\n"
    return text


def _loading(folder: Path, tables: Mapping[str, Any]) -> str:
    first, table = next(iter(tables.items()))
    split = next((split for split, rows in table["rows"].items() if rows), "*")
    files = SINGLE_FILE if table["single_file"] else f"{split}-*.parquet"
    return (
        "## Loading\n\n```python\n"
        "import datasets, polars\n\n"
        f'd = datasets.load_dataset("{folder.name}", "{first}")        # this folder, as a path\n'
        f'p = polars.scan_parquet("{folder.name}/{first}/{files}")\n```\n\n'
        "No row of a group (`group_id`: a person, else a video) lies in two splits; `splits.parquet` says which "
        "group lies where.\n"
    )


def _table(kind: str, table: Mapping[str, Any]) -> str:
    classes = table["classes"]
    splits = table["splits"]
    head = ["class", *splits, "all"]
    rows = [
        [name, *(f"{table['class_rows'][s].get(name, 0):,}" for s in splits),
         f"{sum(table['class_rows'][s].get(name, 0) for s in splits):,}"]
        for name in classes
    ]  # fmt: skip
    rows.append(["**rows**", *(f"{table['rows'][s]:,}" for s in splits), f"{sum(table['rows'].values()):,}"])
    rows.append(
        ["**groups**", *(f"{table['groups'][s]:,}" for s in splits), f"{sum(table['groups'].values()):,}"]
    )
    columns = [[f"`{c.name}`", f"`{c.type}`", c.description + (f" ({c.unit})" if c.unit else "")]
               for c in table_schema(kind).columns]  # fmt: skip
    sizes = "".join(f" {name} = {value}." for name, value in table["sizes"].items())
    return "\n".join(
        [
            f"## {kind}\n",
            f"Vocabulary `{table['vocabulary']}`{_features(table)}.{sizes}\n",
            _markdown(head, rows),
            "",
            f"Split: {table['split']}. {proof_line(table)}.",
            "",
            *(f"- {line}" for line in parent_lines(table)),
            *(f"- {line}" for line in joined_lines(table)),
            *(f"- {line}" for line in density_lines(table)),
            *(f"- {line}" for line in origin_lines(table)),
            *(f"- {line}" for line in unverified_lines(table)),
            *(f"- {line}" for line in table["unmet"]),
            "",
            _markdown(["column", "type", "holds"], columns),
            "",
        ]
    )


def _features(table: Mapping[str, Any]) -> str:
    name = table["settings"].get("features")
    return f", features `{name}` (every file's metadata hold their schema)" if name else ""


def proof_line(table: Mapping[str, Any]) -> str:
    """How near the split comes to what was wanted."""
    split, name = table["worst_where"]
    wanted = " / ".join(f"{ratio:.0%}" for ratio in table["ratios"] or [1 / len(table["splits"])])
    off = f"{table['worst']:.2f} percentage points"
    return f"The class farthest from the wanted {wanted} is {name} in {split}, by {off}"


def joined_lines(table: Mapping[str, Any]) -> list[str]:
    """What was found of images that show the same picture."""
    joined = table["joined"]
    if joined is None:
        return ["groups were not searched for images that show the same picture"]
    if joined.get("between") == "splits":
        dropped = f"{joined['dropped']:,}" if joined["dropped"] else "none"
        return [
            f"of {joined['rows']:,} rows compared {dropped} showed what a row of another split shows, and was left out"
        ]
    found = f"{joined['pairs']:,} pairs of images in different groups show the same picture"
    if not joined["pairs"]:
        return [f"no images in different groups show the same picture ({joined['hands']:,} compared)"]
    parts = [f"{joined['groups']:,} groups were joined with others"] if joined["groups"] else []
    parts += [f"{joined['dropped']:,} images were left out of the crops instead"] if joined["dropped"] else []
    return [f"{found}: {' and '.join(parts)}"]


def density_lines(table: Mapping[str, Any]) -> list[str]:
    """Where rows are fewer than there could be."""
    lines = []
    before = "those of the rows written" if table.get("parents") else "those before that"
    every = table["settings"].get("eval_every", 1)
    if every > 1:
        which = ", ".join(["val", "test", *(f"class {name!r}" for name in table["static"])])
        lines.append(f"one window in {every} is kept of {which}; the shares above are {before}")
    if table["cap"]:
        lines.append(
            f"train holds at most {table['cap']:,} rows of a class, taken evenly of its datasets and groups; the "
            f"shares above are {before}"
        )
    return lines


def origin_lines(table: Mapping[str, Any]) -> list[str]:
    """Where a table is of several datasets: which classes tell the dataset too, so that a model may learn that."""
    datasets = sorted({kind for found in table["origins"].values() for kind in found})
    if len(datasets) < 2:
        return []
    lines = []
    for name, found in table["origins"].items():
        parts = ", ".join(f"{kind} {count:,}" for kind, count in found.items())
        if len(found) == 1:
            lines.append(f"class {name!r} comes from {parts} alone: the dataset gives it away")
        elif found:
            lines.append(f"class {name!r} comes from {parts}")
    return lines


def unverified_lines(table: Mapping[str, Any]) -> list[str]:
    """What is not known of the people of some datasets."""
    if table["split"] in (FOLDS, LEAVE_ONE_OUT):
        return [
            f"whether a person of {name} is in two folds is not published" for name in table["unverified"]
        ]
    return [
        f"{name} keeps its own split; whether a person is on two sides of it is not published"
        for name in table["unverified"]
    ]


def _provenance(sources: Mapping[str, Any], tables: Mapping[str, Any]) -> str:
    rows = [
        [s["name"], s["dataset"], f"[{s['licence']}]({s['licence_url']})", s["citation"]]
        for s in sources.values()
    ]
    licence = strictest(s["licence"] for s in sources.values())
    dropped = [
        [kind, d["source"], d["reason"], d["label"] or "", f"{d['count']:,}", d["detail"] or ""]
        for kind, table in tables.items()
        for d in table["dropped"]
    ]
    return "\n".join(
        [
            "## Sources and licences\n",
            _markdown(["source", "dataset", "licence", "cite"], rows),
            "",
            f"Every row names its own licence; the whole falls under the strictest: {licence}.",
            "",
            "## What was left out\n",
            _markdown(["table", "source", "reason", "label", "count", "why"], dropped)
            if dropped
            else "Nothing.",
            "",
        ]
    )


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
