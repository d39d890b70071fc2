"""Stage 03: finds hands, and bodies if asked, in every frame of a prepared source; writes them with hands' crops."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import polars as pl

from pgc_data.config import Config, option
from pgc_data.datasets import dataset
from pgc_data.engines import cores, map_shards
from pgc_data.errors import ConfigError, DataError
from pgc_data.hands.backends import BACKENDS, TABLES, make_backend
from pgc_data.hands.extractor import Shard, extract_shard, shard_stats
from pgc_data.hands.media import DECODED
from pgc_data.hands.media_items import MediaItem, media_fingerprint, media_items
from pgc_data.hands.model_file import ModelFile, find_hand_model, find_holistic_model
from pgc_data.hands.types import Backend
from pgc_data.progress import Progress
from pgc_data.stages.summary import Plan
from pgc_data.storage.files import read_json, write_json
from pgc_data.storage.parquet import read_frame, table_of, write_table
from pgc_data.storage.source import Source, read_source
from pgc_data.storage.workspace import Workspace, check_name, stage_lock

log = logging.getLogger(__name__)

# To be raised when the code writes other tables from the same input.
EXTRACTION_VERSION = 1
# What one worker did on a two-core machine with 320x240 frames; for the estimate of a dry run.
_FRAMES_PER_SECOND = {"mediapipe": 35}
# Holistic looks for one person.
_HOLISTIC_HANDS = 2


@dataclass(frozen=True, kw_only=True)
class ExtractConfig(Config):
    """What to extract, and how."""

    dataset: str = option(
        ..., "prepared source: a dataset, or the --name it was prepared under", argument=True
    )
    workers: int = option(cores(), "worker processes", minimum=1, recorded=False)
    # Recorded on its own, beside its model.
    backend: str = option(
        "mediapipe", "what to look for: hands, or one person's pose, face and hands (holistic)",
        choices=BACKENDS, recorded=False,
    )  # fmt: skip
    hand_model: Path | None = option(
        None, "hand landmarker bundle (.task); found or fetched by default", recorded=False
    )
    holistic_model: Path | None = option(
        None, "holistic landmarker bundle (.task); found or fetched by default", recorded=False
    )
    hands: int | None = option(
        None, "hands to look for in a frame; what the dataset shows by default", minimum=1
    )
    confidence: float = option(0.5, "least confidence of a hand", minimum=0.0, maximum=1.0)
    margin: float = option(
        0.2, "added around a hand on every side, as a share of its longer side", minimum=0.0
    )
    shard_frames: int = option(1000, "frames after which a shard is full; a clip is never cut", minimum=1)
    strict: bool = option(False, "fail on the first frame that cannot be decoded", recorded=False)
    restart: bool = option(False, "remove what an earlier run wrote, and begin again", recorded=False)

    def __post_init__(self) -> None:
        """Checks every field, and that none is given that the backend does not use.

        Raises:
            ConfigError: naming the option, its value and what is accepted.
        """
        super().__post_init__()
        unused = {"holistic": ("hand_model", "hands"), "mediapipe": ("holistic_model",)}[self.backend]
        for name in unused:
            if (value := getattr(self, name)) is not None:
                raise ConfigError(
                    f"{name.replace('_', '-')}={value} has no meaning for the backend {self.backend}: leave it out"
                )


@dataclass(frozen=True)
class ExtractSummary:
    """What `extract` did.

    Attributes:
        source: name of the source.
        folder: where the tables are.
        shards: shards in all.
        worked: shards worked on in this run; the others were there already.
        counts: frames, decoded, missing, undecodable, with_hand, without_hand, hands, crops; bodies for holistic.
        backend: what found them.
        model: where its model came from.
    """

    source: str
    folder: Path
    shards: int
    worked: int
    counts: Mapping[str, int]
    backend: str
    model: str
    exit_code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "source": self.source, "folder": str(self.folder), "shards": self.shards, "worked": self.worked,
            "counts": dict(self.counts), "backend": self.backend, "model": self.model,
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The result as lines of text."""
        c = self.counts
        share = c["with_hand"] / c["decoded"] if c["decoded"] else 0.0
        return [
            f"{self.source}: {c['hands']:,} hands in {c['with_hand']:,} of {c['decoded']:,} frames ({share:.1%}), "
            f"{c['crops']:,} crops",
            *([f"  {c['bodies']:,} frames with a pose, face or hand"] if "bodies" in c else []),
            f"  {c['frames']:,} frames asked for = {c['with_hand']:,} with a hand + {c['without_hand']:,} without "
            f"+ {c['missing']:,} missing + {c['undecodable']:,} undecodable",
            f"  {self.worked} of {self.shards} shards worked on, {self.shards - self.worked} were done already",
            f"  {'holistic' if self.backend == 'holistic' else 'hand'} model: {self.model}",
            f"  in {self.folder}: {', '.join(f'{name}-*.parquet' for name in TABLES[self.backend])}, ledger.parquet",
        ]


def plan(config: ExtractConfig) -> Plan:
    """What `run` would read and write, and about how long it would take."""
    workspace = Workspace(config.workspace)
    source = read_source(workspace, check_name(config.dataset))
    items = media_items(workspace.prepared(config.dataset) / "samples.parquet")
    shards = _shards(config, workspace, source, items, {})
    frames = sum(shard.frames for shard in shards if not shard.done)
    rate = _FRAMES_PER_SECOND.get(config.backend)
    minutes = (
        "" if rate is None else f", roughly {frames / rate / min(config.workers, cores()) / 60:,.1f} minutes"
    )
    return Plan(
        (workspace.prepared(config.dataset) / "samples.parquet", source.raw_folder(workspace)),
        (workspace.extracted(config.dataset),),
        f"{frames:,} of {sum(item.frames for item in items):,} frames of {len(items):,} media are still to do"
        f"{minutes} with {config.workers} workers",
    )


def run(config: ExtractConfig) -> ExtractSummary:
    """Extracts what is not extracted yet and writes `extracted/NAME/`.

    Raises:
        ConfigError: a bad name, or no such model.
        DataError: the source is not prepared, no model can be had, an earlier run used other settings, a table
            cannot be written, a worker died, or with `strict` a frame could not be decoded.
    """
    workspace = Workspace(config.workspace)
    source = read_source(workspace, check_name(config.dataset))
    samples = workspace.prepared(config.dataset) / "samples.parquet"
    folder = workspace.extracted(config.dataset)
    with stage_lock(folder):
        model = _find_model(config)
        items = media_items(samples)
        if not sum(item.frames for item in items):
            raise DataError(
                f"no frame of {config.dataset} is known: get its images or clips, then run `pgc-data prepare` again "
                "without --annotations-only"
            )
        facts = _facts(config, source, model, media_fingerprint(items))
        _check_settings(config, folder, facts)
        shards = _shards(config, workspace, source, items, facts)
        todo = [shard for shard in shards if not shard.done]
        _work(config, folder, todo, model, facts["config"]["hands"])
        counts = _total(shards)
        _check_readable(config, folder, shards, counts)
        _write_ledger(config, folder, shards, facts)
        write_json(folder / "summary.json", {"shards": len(shards), "counts": counts})
    return ExtractSummary(
        config.dataset,
        folder,
        len(shards),
        len(todo),
        counts,
        config.backend,
        f"{model.path} ({model.origin})",
    )


def _find_model(config: ExtractConfig) -> ModelFile:
    if config.backend == "holistic":
        return find_holistic_model(config.holistic_model)
    return find_hand_model(config.hand_model)


def _facts(config: ExtractConfig, source: Source, model: ModelFile, media_sha256: str) -> dict[str, Any]:
    """What decides the content of the tables: also their metadata."""
    holistic = config.backend == "holistic"
    recorded = config.recorded()
    recorded["hands"] = _HOLISTIC_HANDS if holistic else config.hands or dataset(source.dataset).hands
    return {
        "source": source.name, "dataset": source.dataset, **source.metadata(), "config": recorded,
        "backend": config.backend, f"{'holistic' if holistic else 'hand'}_model_sha256": model.sha256,
        "media_sha256": media_sha256, "extraction_version": EXTRACTION_VERSION,
        "libraries": {name: version(name) for name in ("mediapipe", "opencv-contrib-python")},
    }  # fmt: skip


def _check_settings(config: ExtractConfig, folder: Path, facts: dict[str, Any]) -> None:
    """Refuses to mix shards made with different settings; with `restart`, removes the earlier ones."""
    settings = folder / "settings.json"
    earlier = read_json(settings) if settings.is_file() else None
    begun = any(folder.glob("stats-*.json"))
    if begun and earlier != facts and not config.restart:
        raise DataError(
            f"{folder} was made with other settings ({_difference(earlier, facts)}): pass --restart to remove "
            "what it holds, or prepare the source under another --name"
        )
    if config.restart:
        # The summary first: without it nobody takes what is left for a whole extraction.
        for path in [folder / "summary.json", *folder.glob("stats-*.json"), *folder.glob("*.parquet")]:
            path.unlink(missing_ok=True)
    if earlier != facts:
        write_json(settings, facts)


def _difference(earlier: Any, now: dict[str, Any]) -> str:
    if not isinstance(earlier, dict) or not isinstance(earlier.get("config"), dict):
        return "settings.json is missing or not ours"
    before = {**earlier, **earlier["config"]}
    after = {**now, **now["config"]}
    changed = [key for key in after if key != "config" and before.get(key) != after[key]]
    return (
        "; ".join(f"{key}: {before.get(key)!r}, now {after[key]!r}" for key in changed[:3])
        or "another version"
    )


def _shards(
    config: ExtractConfig, workspace: Workspace, source: Source, items: list[MediaItem], facts: dict[str, Any]
) -> list[Shard]:
    """Packs media in order until a shard is full. Depends on the data and `shard_frames` alone."""
    raw, folder = source.raw_folder(workspace), workspace.extracted(config.dataset)
    if not raw.is_dir():
        raise DataError(
            f"the raw folder {raw} is gone: put it back, or run `pgc-data prepare {source.dataset}` again"
        )
    packs: list[list[MediaItem]] = []
    room = 0
    for item in items:
        if room <= 0:
            packs.append([])
            room = config.shard_frames
        packs[-1].append(item)
        room -= item.frames
    tables = TABLES[config.backend]
    return [Shard(n, tuple(pack), raw, folder, config.margin, facts, tables) for n, pack in enumerate(packs)]


# What differs from frame to frame in the words for one cause: file names and frame numbers.
_NAMES = re.compile(r"\S*\d\S*")

_backend: Backend | None = None


def _initialize(log_file: Path, backend: str, model: Path, hands: int, confidence: float) -> None:
    """Sets up a worker: its native warnings go to a log file, its networks are its own."""
    global _backend
    descriptor = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 2)
    cv2.setNumThreads(1)
    _backend = make_backend(backend, model, hands, confidence)


def _extract(shard: Shard) -> tuple[int, dict[str, int]]:
    if _backend is None:
        raise RuntimeError("the worker was not set up")
    return shard.number, extract_shard(shard, _backend)


def _work(config: ExtractConfig, folder: Path, todo: list[Shard], model: ModelFile, hands: int) -> None:
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    arguments = (logs / "native.log", config.backend, model.path, hands, config.confidence)
    with Progress("extract", sum(shard.frames for shard in todo), "frames") as progress:
        found = 0
        for number, counts in map_shards(_extract, todo, config.workers, _initialize, arguments):
            found += counts["hands"]
            progress.add(counts["frames"], f"{found:,} hands")
            if config.strict and counts["decoded"] < counts["frames"]:
                raise DataError(f"{_first_failure(folder, number)} (--strict)")


def _first_failure(folder: Path, number: int) -> str:
    frames = read_frame(folder / f"frames-{number:05d}.parquet", "frames")
    row = frames.filter(pl.col("status") != DECODED).row(0, named=True)
    return f"{row['media']}, frame {row['frame']} is {row['status']}: {row['detail']}"


def _total(shards: list[Shard]) -> dict[str, int]:
    """Adds the shards' counts up and checks that no frame went missing."""
    totals: Counter[str] = Counter()
    for shard in shards:
        counts = shard_stats(shard.folder, shard.number) or {}
        parts = sum(counts.get(name, 0) for name in ("with_hand", "without_hand", "missing", "undecodable"))
        if not shard.frames == counts.get("frames") == parts:
            raise DataError(
                f"shard {shard.number} of {shard.folder} should hold {shard.frames} frames, its stats say "
                f"{counts.get('frames')} and {parts}: remove {shard.stats_path.name} and run again"
            )
        totals.update(counts)
    return dict(totals)


def _check_readable(
    config: ExtractConfig, folder: Path, shards: list[Shard], counts: Mapping[str, int]
) -> None:
    """Fails where nothing could be read at all, or with `strict` anything could not."""
    if counts["decoded"] == counts["frames"]:
        return
    if config.strict or not counts["decoded"]:
        found = shards if config.strict else shards[:1]
        for shard in found:
            stats = shard_stats(folder, shard.number) or {}
            if stats["decoded"] < stats["frames"]:
                why = (
                    "--strict"
                    if config.strict
                    else f"and so are all {counts['frames']:,}: mend, then pass --restart"
                )
                raise DataError(f"{_first_failure(folder, shard.number)} ({why})")


def _write_ledger(config: ExtractConfig, folder: Path, shards: list[Shard], facts: dict[str, Any]) -> None:
    """One row for every run of frames of a media that could not be read for the same reason."""
    rows: list[dict[str, Any]] = []
    for shard in shards:
        lost = read_frame(shard.path("frames"), "frames", ["media", "frame", "status", "detail"])
        for media, frame, status, detail in lost.filter(pl.col("status") != DECODED).iter_rows():
            last = rows[-1] if rows else None
            cause = _NAMES.sub("", detail)
            if last and (last["media"], last["cause"], last["end"] + 1) == (media, cause, frame):
                last["end"], last["count"] = frame, last["count"] + 1
                continue
            rows.append(
                {"media": media, "start": frame, "end": frame, "reason": status, "count": 1, "detail": detail,
                 "cause": cause}
            )  # fmt: skip
    ledger = [
        {
            "stage": "extract", "source": config.dataset, "action": "dropped", "unit": "frames",
            "item": f"{row['media']}:{row['start']}-{row['end']}", "reason": row["reason"],
            "count": row["count"], "detail": row["detail"],
        }
        for row in rows
    ]  # fmt: skip
    write_table(folder / "ledger.parquet", table_of("ledger", ledger), "ledger", facts)
