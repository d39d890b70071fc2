"""A factory of tiny datasets, written as to-parquet writes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest

from pgc_data.storage.parquet import TableWriter
from pgc_data.storage.schemas import arrow_schema, with_metadata

CLASSES = ("not_pointing", "pointing")
SIZES = {"T": 4, "F": 3}

Row = dict[str, Any]


def png(seed: int, size: int = 16) -> bytes:
    """A small PNG of noise, another one for every seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return bytes(cv2.imencode(".png", pixels)[1])


@pytest.fixture(name="png", scope="session")
def png_fixture() -> Any:
    """Makes a small PNG of noise: `png(seed)`."""
    return png


def features(seed: int) -> list[list[float]]:
    """The features of a window, another one for every seed."""
    values = np.random.default_rng(seed).random((SIZES["T"], SIZES["F"]), dtype=np.float32)
    return [list(map(float, frame)) for frame in values]


class Datasets:
    """Makes rows and writes datasets below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def rows(self, table: str = "crops", subjects: int = 6, frames: int = 10) -> list[Row]:
        """Clean rows: every subject has one video of `frames` frames of each class and lies in one split."""
        splits = ("train", "train", "train", "train", "val", "test")
        return [
            self.row(table, splits[subject % 6], f"s{subject}", class_id, frame)
            for subject in range(subjects)
            for class_id in range(len(CLASSES))
            for frame in range(1, frames + 1)
        ]

    def row(self, table: str, split: str, subject: str, class_id: int, frame: int) -> Row:
        """One row, its content unlike any other's."""
        video = f"{subject}_v{class_id}"
        seed = int.from_bytes(hashlib.sha256(f"{video}/{frame}".encode()).digest()[:4], "big")
        common = {
            "split": split,
            "label": CLASSES[class_id],
            "class_id": class_id,
            "source": "src",
            "dataset": "ipn",
            "sample_id": f"{video}/clip",
            "video_id": video,
            "subject_id": subject,
            "group_id": f"ipn:{subject}",
            "licence": "CC BY 4.0",
        }
        if table == "windows":
            return common | {
                "window_id": f"{video}:{frame}",
                "frame_start": 4 * frame - 3,
                "frame_end": 4 * frame,
                "time_start_s": frame / 8,
                "fps_grid": 30.0,
                "features": features(seed),
                "usable": [True] * SIZES["T"],
                "usable_fraction": 1.0,
                "has_z": True,
                "feature_schema": "feature-schema-v1",
            }
        return common | {
            "image": {"bytes": png(seed), "path": f"{video}_{frame}.png"},
            "image_path": f"{video}_{frame}.png",
            "frame": frame,
            "hand_index": 0,
            "score": 0.9,
            "box": [0.0, 0.0, 16.0, 16.0],
            "width": 16,
            "height": 16,
            "phash": "0" * 16,
        }

    def write_file(
        self, path: Path, table: str, rows: Iterable[Row], names: tuple[str, ...] = CLASSES
    ) -> None:
        """Writes rows to one Parquet file."""
        sizes = SIZES if table == "windows" else {}
        schema = arrow_schema(table, **sizes)
        nullable = pa.schema([field.with_nullable(True) for field in schema])
        rows = pa.Table.from_pylist(list(rows), schema=nullable)
        facts = {"sizes": sizes} if sizes else {}
        with TableWriter(path, with_metadata(nullable, table, facts, {"class_id": names})) as writer:
            writer.write(rows)

    def write(self, name: str = "ds", manifest: bool = True, **tables: list[Row]) -> Path:
        """Writes a dataset folder: a file for each split of each table, and the manifest."""
        root = self.folder / name
        entries = []
        for table, rows in tables.items():
            for split in dict.fromkeys(row.get("in_file", row["split"]) for row in rows):
                chosen = [row for row in rows if row.get("in_file", row["split"]) == split]
                path = root / table / f"{split}-00000-of-00001.parquet"
                self.write_file(path, table, [{k: row[k] for k in row if k != "in_file"} for row in chosen])
                entries.append(entry(root, path, len(chosen)))
        if manifest:
            (root / "manifest.json").write_text(json.dumps({"files": entries}))
        return root


def entry(root: Path, path: Path, rows: int) -> Row:
    """A file as the manifest lists it."""
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return {"path": path.relative_to(root).as_posix(), "rows": rows, "bytes": len(data), "sha256": digest}


@pytest.fixture
def datasets(tmp_path: Path) -> Datasets:
    """The factory, writing below the test's own folder."""
    return Datasets(tmp_path)
