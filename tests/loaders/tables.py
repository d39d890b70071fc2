"""Small tables, written as to-parquet writes them, whose images tell which row they are of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pgc_data.storage.schemas import arrow_schema, with_metadata

CLASSES = ("not_pointing", "pointing")
SIZES = {"T": 4, "F": 3}


def picture(number: int) -> np.ndarray[Any, Any]:
    """An RGB image of one colour, by which `number_of` knows it again; its size goes with the number."""
    height, width = 20 + number % 7, 20 + number % 5
    return np.full((height, width, 3), (number % 256, number // 256, 7), np.uint8)


def number_of(image: Any) -> int:
    """The number of a (3, H, W) image of `picture`."""
    return int(image[0, 0, 0]) + 256 * int(image[1, 0, 0])


def png(image: np.ndarray[Any, Any]) -> bytes:
    """An RGB image as PNG."""
    return bytes(cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1])


def noise(number: int) -> np.ndarray[Any, Any]:
    """An RGB image of noise, smaller than 32 pixels or larger."""
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (*rng.integers(12, 70, 2), 3), dtype=np.uint8)


def crop_row(number: int, split: str, image: bytes | None = None) -> dict[str, Any]:
    """A row of a table of crops; `frame` is its number."""
    return {
        "image": {"bytes": png(picture(number)) if image is None else image, "path": f"{number}.png"},
        "image_path": f"{number}.png", "frame": number, "hand_index": 0, "score": number / 1000,
        "box": [0.0, 0.0, 20.0, float(number)], "width": 20, "height": 20, "phash": "0" * 16,
        "landmarks": None if number % 2 else [[float(number), 0.0, 0.0]] * 21, **_common(number, split),
    }  # fmt: skip


def window_row(number: int, split: str) -> dict[str, Any]:
    """A row of a table of windows; every feature is its number."""
    return {
        "window_id": f"w{number}", "frame_start": number, "frame_end": number + 3, "time_start_s": 0.0,
        "fps_grid": 30.0, "features": [[float(number)] * SIZES["F"]] * SIZES["T"],
        "usable": [True, True, number % 2 == 0, False], "usable_fraction": 0.5, "has_z": True,
        "feature_schema": "feature-schema-v1", **_common(number, split),
    }  # fmt: skip


def _common(number: int, split: str) -> dict[str, Any]:
    return {
        "split": split, "label": CLASSES[number % 2], "class_id": number % 2, "source": "src", "dataset": "ipn",
        "sample_id": f"s{number}", "group_id": f"g{number // 10}", "licence": "CC0-1.0",
        "subject_id": None if number % 3 else "someone",
    }  # fmt: skip


def write_file(
    path: Path, table: str, rows: list[dict[str, Any]], group_rows: int = 10, **facts: Any
) -> None:
    """Writes rows to one file, in row groups of so many."""
    sizes = SIZES if table == "windows" else {}
    plain = arrow_schema(table, **sizes)
    known = {"classes": list(CLASSES), "fingerprint": "f", "sizes": sizes, **facts}
    schema = with_metadata(plain, table, known, class_names={"class_id": CLASSES})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), path, row_group_size=group_rows)


def write_dataset(
    root: Path, table: str = "crops", splits: Mapping[str, int] | None = None, files: int = 1, **options: Any
) -> Path:
    """Writes a dataset: `splits` says how many rows each has; numbers go on from split to split."""
    make = crop_row if table == "crops" else window_row
    start = 0
    for split, count in (splits or {"train": 95, "val": 20, "test": 15}).items():
        numbers = np.array_split(np.arange(start, start + count), files)
        for number, some in enumerate(numbers):
            rows = [make(int(row), split) for row in some]
            write_file(root / table / f"{split}-{number:05d}-of-{files:05d}.parquet", table, rows, **options)
        start += count
    return root
