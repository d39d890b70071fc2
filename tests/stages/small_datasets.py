"""Small finished datasets, written row by row as `to-parquet` would write them."""

from __future__ import annotations

import functools
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from pgc_data.hands.crops import encode_png, perceptual_hash
from pgc_data.splits import Group, Splits, folds, three_way
from pgc_data.storage.parquet import TableWriter, write_table
from pgc_data.storage.schemas import arrow_schema, with_metadata
from pgc_data.tables.card import write_card
from pgc_data.tables.figures import figures
from pgc_data.tables.lock import write_lock
from pgc_data.tables.manifest import write_manifest

CLASSES = ("still", "left", "right")
SIZES = {"T": 2, "F": 3}
SOURCE = {
    "name": "ipn", "dataset": "ipn", "layout": "", "licence": "CC BY 4.0", "licence_url": "https://x", "citation": "c",
    "synthetic": False, "annotations_only": False,
}  # fmt: skip


@functools.cache
def picture(seed: int) -> tuple[bytes, str]:
    """PNG bytes and hash of a picture of its own; that of a negative seed is the positive one's, a little brighter."""
    coarse = np.random.default_rng(abs(seed)).integers(0, 255, (9, 9, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (48, 48), interpolation=cv2.INTER_CUBIC)
    if seed < 0:
        image = cv2.convertScaleAbs(image, alpha=1.06, beta=3)
    return encode_png(image), perceptual_hash(image)


def crop(person: str, frame: int, label: str, split: str, **given: Any) -> dict[str, Any]:
    """A row of crops; `shows` says which picture."""
    row = _row(person, frame, label, split, given)
    name = f"{row['source']}/{row['video_id'] or row['sample_id']}/{frame:06d}_0.png"
    seed = given.get("shows", zlib.crc32(f"{row['dataset']} {name}".encode()))
    png, phash = picture(seed)
    return {
        **row, "image": {"bytes": png, "path": name}, "image_path": name, "phash": phash, "frame": frame,
        "timestamp_s": frame / 30, "hand_index": 0, "handedness": "Right", "score": given.get("score", 0.9),
        "box": [0.0, 0.0, 48.0, 48.0], "width": given.get("width", 48), "height": 48, "landmarks": None,
    }  # fmt: skip


def window(person: str, frame: int, label: str, split: str, **given: Any) -> dict[str, Any]:
    """A row of windows."""
    row = _row(person, frame, label, split, given)
    name = f"{row['source']}/{row['video_id']}:{frame}+2@30"
    seed = given.get("shows", zlib.crc32(f"{row['dataset']} {name}".encode()))
    return {
        **row, "window_id": name, "frame_start": frame, "frame_end": frame + 1, "time_start_s": frame / 30,
        "fps_source": 30.0, "fps_grid": 30.0, "handedness": None, "usable": [True, True], "has_z": True,
        "features": np.random.default_rng(seed).random((2, 3), dtype=np.float32).tolist(),
        "usable_fraction": given.get("usable_fraction", 1.0), "feature_schema": "f",
    }  # fmt: skip


def _row(person: str, frame: int, label: str, split: str, given: dict[str, Any]) -> dict[str, Any]:
    dataset = given.get("dataset", "ipn")
    video = given.get("video", f"v{person}")
    return {
        "split": split, "label": label, "source": given.get("source", dataset), "dataset": dataset,
        "sample_id": given.get("sample", f"{video}/{label}"), "video_id": video,
        "subject_id": given.get("subject", person), "group_id": given.get("group", f"{dataset}:{person}"),
        "native_label": label.upper(), "licence": "CC BY 4.0",
    }  # fmt: skip


def splits_of(names: tuple[str, ...]) -> Splits:
    return three_way((0.7, 0.15, 0.15)) if names[0] == "train" else folds(len(names))


def write_dataset(
    folder: Path,
    *,
    crops: list[dict[str, Any]] | None = None,
    windows: list[dict[str, Any]] | None = None,
    classes: tuple[str, ...] = CLASSES,
    names: tuple[str, ...] = ("train", "val", "test"),
    groups: dict[str, list[str]] | None = None,
    single_file: bool = False,
    **said: Any,
) -> Path:
    """Writes a dataset; `groups` gives those that have more members than the person in their id."""
    tables, files = {}, []
    every: dict[str, tuple[Group, int]] = {}
    splits = splits_of(names)
    for kind, rows in (("crops", crops), ("windows", windows)):
        if rows is not None:
            tables[kind], written = _write(
                folder, kind, rows, classes, splits, every, groups or {}, single_file, said
            )
            files += written
    ids = sorted(every)
    assignment = np.array([every[name][1] for name in ids], dtype=np.int64)
    write_lock(
        folder / "splits.parquet", [every[n][0] for n in ids], assignment, splits, next(iter(tables.values()))
    )
    write_card(folder, folder.name, tables)
    write_manifest(folder, tables, files)
    return folder


def _write(folder, kind, rows, classes, splits, every, groups, single_file, said):
    for row in rows:
        name = row["group_id"]
        members = groups.get(name, [name.split(":", 1)[1]])
        every.setdefault(name, (Group(name, "subject", tuple(members)), splits.number(row["split"])))
    known = sorted({row["group_id"] for row in rows})
    counts = np.zeros((len(known), len(classes)), dtype=np.int64)
    for row in rows:
        counts[known.index(row["group_id"]), classes.index(row["label"])] += 1
    assignment = np.array([every[name][1] for name in known], dtype=np.int64)
    sources = [
        {**SOURCE, "name": name, "dataset": dataset}
        for name, dataset in sorted({(row["source"], row["dataset"]) for row in rows})
    ]
    facts = {
        "split": "group" if splits.names[0] == "train" else "folds",
        "ratios": list(splits.ratios) if splits.names[0] == "train" else None,
        "folds": None if splits.names[0] == "train" else len(splits.names), "stratify": [], "near_duplicates": "join",
        "seed": 0, "fingerprint": f"{folder.name} {kind}", "sizes": SIZES if kind == "windows" else {},
        "settings": {"min_size": 8} if kind == "crops" else {"features": "f", "frames": 2, "eval_every": 1},
        "vocabulary": "turns", "classes": list(classes), "static": ["still"], "cap": None, "sources": sources, **said,
    }  # fmt: skip
    schema = with_metadata(
        arrow_schema(kind, **facts["sizes"]), kind,
        {**facts, "flip": [["left", "right"]], "feature_schema": {"name": "f"}}, class_names={"class_id": classes},
    )  # fmt: skip
    files = []
    for split in ["all"] if single_file else splits.names:
        mine = [row for row in rows if single_file or row["split"] == split]
        if mine:
            name = "dataset.parquet" if single_file else f"{split}-00000-of-00001.parquet"
            rows_of = [{**row, "class_id": classes.index(row["label"])} for row in mine]
            table = pa.Table.from_pylist(
                [{name: row[name] for name in schema.names} for row in rows_of], schema
            )
            with TableWriter(folder / kind / name, schema) as writer:
                writer.write(table)
            path = folder / kind / name
            files.append(
                {
                    "path": f"{kind}/{name}",
                    "rows": len(mine),
                    "bytes": path.stat().st_size,
                    "sha256": writer.sha256,
                }
            )
    write_table(folder / "ledger" / f"{kind}.parquet", arrow_schema("ledger").empty_table(), "ledger", {})
    found = [every[name][0] for name in known]
    entry = {
        **facts, "unit": "hands", "splits": list(splits.names), "single_file": single_file, "joined": None,
        **figures(found, assignment, counts, splits, classes), "unverified": [], "unmet": [], "dropped": [],
        "worst": 0.0, "worst_where": [splits.names[0], classes[0]],
    }  # fmt: skip
    return entry, files
