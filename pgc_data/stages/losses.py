"""What an extraction could not read: counted, checked and written to its ledger."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from pgc_data.errors import DataError
from pgc_data.hands.extractor import CRASHED, shard_stats
from pgc_data.hands.media import DECODED
from pgc_data.storage.parquet import TableWriter, read_frame, table_of
from pgc_data.storage.schemas import arrow_schema, with_metadata

# What differs from frame to frame in the words for one cause: file names and frame numbers.
_NAMES = re.compile(r"\S*\d\S*")
_ROWS_AT_A_TIME = 4096


def total(folder: Path, frames: Sequence[int]) -> tuple[dict[str, int], list[int]]:
    """Adds the shards' counts up and checks that no frame went missing.

    Args:
        folder: where the shards are.
        frames: wanted of each shard.

    Returns:
        The sums, and the numbers of the shards in which not every frame is decoded.

    Raises:
        DataError: a shard does not hold the frames that it should.
    """
    totals: Counter[str] = Counter()
    losses = []
    for number, wanted in enumerate(frames):
        counts = shard_stats(folder, number) or {}
        parts = sum(counts.get(name, 0) for name in ("with_hand", "without_hand", "missing", "undecodable"))
        if not wanted == counts.get("frames") == parts:
            raise DataError(
                f"shard {number} of {folder} should hold {wanted} frames, its stats say {counts.get('frames')} and "
                f"{parts}: remove stats-{number:05d}.json and run again"
            )
        totals.update(counts)
        if counts["decoded"] < wanted:
            losses.append(number)
    return dict(totals), losses


def first_failure(folder: Path, number: int) -> str:
    """The first frame of a shard that is not decoded, in words."""
    row = _lost(folder, number).row(0, named=True)
    return f"{row['media']}, frame {row['frame']} is {row['status']}: {row['detail']}"


def write_ledger(folder: Path, source: str, losses: Iterable[int], facts: dict[str, Any]) -> int:
    """Writes a row for every run of frames of a media that could not be read for the same reason.

    Args:
        folder: where the shards are, and where `ledger.parquet` goes.
        source: name of the source.
        losses: shards with frames that are not decoded.
        facts: metadata of the table.

    Returns:
        How many media killed the processes that read them.
    """
    crashed: set[str] = set()
    with TableWriter(
        folder / "ledger.parquet", with_metadata(arrow_schema("ledger"), "ledger", facts)
    ) as writer:
        runs = (run for number in losses for run in _runs(_lost(folder, number)))
        for part in _batched(runs, _ROWS_AT_A_TIME):
            writer.write(table_of("ledger", [run.row(source) for run in part]))
            crashed.update(run.media for run in part if run.reason == _CRASHED)
    return len(crashed)


_CRASHED = "crashed"


@dataclass
class _Run:
    """Frames of a media that follow each other and could not be read for one reason."""

    media: str
    start: int
    end: int
    reason: str
    detail: str

    def row(self, source: str) -> dict[str, Any]:
        return {
            "stage": "extract", "source": source, "action": "dropped", "unit": "frames",
            "item": f"{self.media}:{self.start}-{self.end}", "reason": self.reason,
            "count": self.end - self.start + 1, "detail": self.detail,
        }  # fmt: skip


def _lost(folder: Path, number: int) -> pl.DataFrame:
    path = folder / f"frames-{number:05d}.parquet"
    columns = ["media", "frame", "status", "detail"]
    return read_frame(path, "frames", columns).filter(pl.col("status") != DECODED)


def _runs(lost: pl.DataFrame) -> Iterator[_Run]:
    run: _Run | None = None
    cause = ""
    for media, frame, status, detail in lost.iter_rows():
        now = _NAMES.sub("", detail)
        if run is not None and (run.media, cause, run.end + 1) == (media, now, frame):
            run.end = frame
            continue
        if run is not None:
            yield run
        cause = now
        run = _Run(media, frame, frame, _CRASHED if detail == CRASHED else status, detail)
    if run is not None:
        yield run


def _batched(runs: Iterator[_Run], most: int) -> Iterator[list[_Run]]:
    while part := list(islice(runs, most)):
        yield part
