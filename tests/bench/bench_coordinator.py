"""What handing out shards costs: a million frames, each a photograph of its own, past a backend that does nothing.

python tests/bench/bench_coordinator.py [FRAMES] [WORKERS]

Workers make their frames up instead of reading them, and write tables with a hand and a crop for each; so they are
far faster than with networks, and the coordinator's share of the time is far larger than in earnest.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from pgc_data.hands import extractor
from pgc_data.hands.media import DECODED, Frame
from pgc_data.hands.model_file import ModelFile
from pgc_data.hands.types import Found, Hand
from pgc_data.stages import extract, networks
from pgc_data.storage.files import write_json
from pgc_data.storage.parquet import write_table
from pgc_data.storage.schemas import arrow_schema

PICTURE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
POINTS = np.random.default_rng(1).random((21, 3), np.float32)
# Names as long as HaGRID's.
NAME = "train_val_two_up_inverted/00005c9c-3548-4a8f-9d0b-2dd4aff37fc9-{:09d}.jpg"


class Stub:
    """Finds the same hand in every frame."""

    name = "stub"

    def start(self, tracking):
        pass

    def find(self, image, timestamp_s):
        return Found([Hand((10.0, 10.0, 20.0, 20.0), 0.9, POINTS, POINTS, "Left", 0.9)])

    def close(self):
        pass


def make(*what):
    """A backend for a worker, whose frames then come from nowhere."""
    extractor._frames = _no_frames
    return Stub()


def _no_frames(item, path):
    for start, end in item.intervals:
        for number in range(start, end + 1):
            yield Frame(number, number / 30, DECODED, None, PICTURE)


def prepare(workspace: Path, frames: int) -> None:
    """Writes what `prepare` would."""
    (workspace / "raw" / "hagrid").mkdir(parents=True)
    folder = workspace / "prepared" / "hagrid"
    folder.mkdir(parents=True)
    names = pl.Series(np.random.default_rng(2).permutation(frames)).map_elements(NAME.format, pl.String)
    rows = pl.DataFrame({"media": names, "sample_id": names}).with_columns(
        dataset=pl.lit("hagrid"), media_kind=pl.lit("image"), frame_start=pl.lit(1), frame_end=pl.lit(1)
    )
    schema = arrow_schema("samples")
    table = rows.to_arrow()
    for field in schema:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(frames, field.type))
    write_table(folder / "samples.parquet", table.select(schema.names).cast(schema), "samples", {})
    facts = {
        "name": "hagrid",
        "dataset": "hagrid",
        "layout": "",
        "raw": "raw/hagrid",
        "licence": "",
        "licence_url": "",
    }
    write_json(
        folder / "source.json", {**facts, "citation": "", "synthetic": True, "annotations_only": False}
    )


def run(workspace: Path, workers: int) -> None:
    """Extracts, and says what that cost this process."""
    model = workspace / "m.task"
    model.touch()
    networks.find_hand_model = lambda given: ModelFile(model, "0" * 64, "a stub's")
    before = _cpu(), _peak(), time.perf_counter()
    config = extract.ExtractConfig(workspace=workspace, dataset="hagrid", workers=workers)
    summary = extract.run(config, make)
    cpu, seconds = _cpu() - before[0], time.perf_counter() - before[2]
    print(
        f"{summary.counts['frames']:,} frames, each a photograph, in {summary.shards:,} shards: {seconds:.1f} s with "
        f"{workers} workers; coordinator {cpu:.1f} CPU s ({cpu / seconds:.1%} of the time), peak {_peak():,.0f} MB, "
        f"{before[1]:,.0f} before"
    )


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak() -> float:
    # Linux counts kilobytes, macOS bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main(frames: int = 1_000_000, workers: int = 2) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # In processes of their own: what one needs is not to be seen in the other's peak.
        subprocess.run([sys.executable, __file__, "prepare", folder, str(frames)], check=True)
        subprocess.run([sys.executable, __file__, "run", folder, str(workers)], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["prepare"]:
        prepare(Path(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1:2] == ["run"]:
        run(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main(*map(int, sys.argv[1:]))
