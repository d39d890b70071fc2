"""The shards of an extraction: how media are packed into them, and what a worker does with one."""

from __future__ import annotations

import os
import platform
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import pyarrow as pa

from pgc_data.engines import Attempt
from pgc_data.errors import DataError
from pgc_data.hands.extractor import Shard, extract_shard
from pgc_data.hands.media_items import MediaItem, MediaTable, items_of, media_fingerprint
from pgc_data.hands.types import Backend
from pgc_data.paths import remote_of

BackendMaker = Callable[[str, Path | None, int, float], Backend]


@dataclass(frozen=True)
class Pack:
    """What one shard holds, as it goes to a worker: rows of a `MediaTable`, lighter than the media."""

    number: int
    rows: pa.RecordBatch

    @cached_property
    def items(self) -> tuple[MediaItem, ...]:
        """The media of the shard."""
        return items_of(self.rows)

    def __str__(self) -> str:
        return f"shard {self.number}"


class Packs:
    """The media of a source, packed in order until a shard is full.

    What a shard holds depends on the data and `shard_frames` alone. Its media are looked up when it is asked for, so
    that a million of them need not exist at once.

    Attributes:
        frames: frames wanted of each shard.
        media: how many media there are.
        fingerprint: of all of them, see `media_fingerprint`.
    """

    def __init__(self, samples: Path, shard_frames: int, annotated: bool = False) -> None:
        """Packs the media of a samples table, with what is annotated of them if asked for; a clip is never cut."""
        self._table = MediaTable(samples, annotated)
        self._rows = array("q")
        self.frames = array("q")
        self.media = 0
        self.fingerprint = media_fingerprint(self._packed(shard_frames))
        self._rows.append(self._table.rows)

    def _packed(self, shard_frames: int) -> Iterator[MediaItem]:
        for row, item in self._table.numbered():
            if not self.frames or self.frames[-1] >= shard_frames:
                self._rows.append(row)
                self.frames.append(0)
            self.frames[-1] += item.frames
            self.media += 1
            yield item

    def __len__(self) -> int:
        return len(self.frames)

    def pack(self, number: int) -> Pack:
        """What shard `number` holds."""
        return Pack(number, self._table.some(self._rows[number], self._rows[number + 1]))


@dataclass(frozen=True)
class Setup:
    """What is the same for all shards, and goes to each worker once.

    Attributes:
        raw: raw folder, absolute.
        folder: where the tables go, absolute.
        log: file for what native libraries say.
        margin: see `ExtractConfig`.
        facts: what decides the content of the tables.
        tables: names of the tables of a shard.
        make: makes the backend, of `backend`, `model`, `hands` and `confidence`.
    """

    raw: Path
    folder: Path
    log: Path
    margin: float
    facts: dict[str, Any]
    tables: tuple[str, ...]
    make: BackendMaker
    backend: str
    model: Path | None
    hands: int
    confidence: float

    def shard(self, number: int, items: tuple[MediaItem, ...]) -> Shard:
        """Some media with all that extraction needs to know of them."""
        return Shard(number, items, self.raw, self.folder, self.margin, self.facts, self.tables)


_worker: tuple[Setup, Backend] | None = None


def initialize(setup: Setup) -> None:
    """Sets up a worker process; its native warnings go to a log file.

    Raises:
        DataError: a folder, the model or a library is not here as it is where the run was started.
    """
    if remote_of(setup.folder) is not None:
        # Each machine has its own logs.
        setup.log.parent.mkdir(parents=True, exist_ok=True)
    for path in (setup.raw, setup.log.parent):
        if not path.is_dir():
            raise DataError(
                f"{platform.node()} cannot see {path}: workers need a folder that all of them share"
            )
    descriptor = os.open(setup.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 2)
    cv2.setNumThreads(1)
    set_up(setup)


def set_up(setup: Setup) -> None:
    """Gives this process networks of its own, for `extract_pack`.

    Raises:
        DataError: the model or a library is not here as it is where the run was started.
    """
    global _worker
    if setup.model is not None and not setup.model.is_file():
        raise DataError(
            f"a worker cannot see the model {setup.model}: keep it where all of them can, and name it"
        )
    for name, wanted in setup.facts.get("libraries", {}).items():
        if (found := version(name)) != wanted:
            raise DataError(
                f"a worker has {name} {found}, where the run was started it is {wanted}: install the same"
            )
    _worker = setup, setup.make(setup.backend, setup.model, setup.hands, setup.confidence)


def worker_state() -> tuple[Setup, Backend]:
    """What `set_up` left in this process."""
    if _worker is None:
        raise RuntimeError("the worker was not set up")
    return _worker


def extract_pack(pack: Pack, attempt: Attempt) -> tuple[int, dict[str, int]]:
    """Extracts one shard in a process that was set up; its number and its counts."""
    setup, backend = worker_state()
    return pack.number, extract_shard(setup.shard(pack.number, pack.items), backend, attempt)
