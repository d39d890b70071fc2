"""Stage 01 of a demonstration: draws hands in a dataset's own raw layout, to try everything without its data."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pgc_data.config import Config, option
from pgc_data.datasets import dataset
from pgc_data.engines import cores
from pgc_data.errors import ConfigError, DataError
from pgc_data.progress import Progress
from pgc_data.stages.summary import Plan
from pgc_data.storage.files import read_json, unwritable, write_json
from pgc_data.storage.source import SYNTHETIC_MARKER
from pgc_data.storage.workspace import Workspace, check_name, stage_lock
from pgc_data.synthetic import write_ipn

# To be raised when the same settings draw other images.
DRAWING_VERSION = 1
_FRAMES_PER_VIDEO = 530
_FRAMES_PER_SECOND = 60
_LICENCE = {
    "licence": "CC0-1.0",
    "licence_url": "https://creativecommons.org/publicdomain/zero/1.0/",
    "citation": "drawn by pgc-data",
}


@dataclass(frozen=True, kw_only=True)
class SynthesizeConfig(Config):
    """What to draw."""

    dataset: str = option(..., "dataset whose raw layout to write", argument=True)
    name: str | None = option(
        None, "name of the source in the workspace; DATASET-synthetic by default", recorded=False
    )
    subjects: int = option(8, "people to draw", minimum=1, maximum=999)
    videos: int = option(1, "videos of each person", minimum=1)
    repeats: int = option(1, "times each label occurs in a video, at the least", minimum=1)
    seed: int = option(0, "the same seed gives the same bytes", minimum=0)
    workers: int = option(cores(), "worker processes", minimum=1, recorded=False)
    overwrite: bool = option(False, "replace what was drawn with other settings", recorded=False)

    @property
    def source_name(self) -> str:
        """Name of the source in the workspace."""
        return check_name(self.name or f"{self.dataset}-synthetic")


@dataclass(frozen=True)
class SynthesizeSummary:
    """What `synthesize` drew.

    Attributes:
        folder: the raw folder.
        videos: number of videos.
        frames: number of frames.
        drawn: whether it was drawn in this run; else it was there already.
    """

    folder: Path
    videos: int
    frames: int
    drawn: bool
    exit_code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {"folder": str(self.folder), "videos": self.videos, "frames": self.frames, "drawn": self.drawn}

    def lines(self) -> list[str]:
        """The result as lines of text."""
        state = "drawn" if self.drawn else "were there already"
        return [f"{self.videos:,} videos, {self.frames:,} frames {state} in {self.folder}"]


def plan(config: SynthesizeConfig) -> Plan:
    """What `run` would write."""
    _check(config)
    frames = config.subjects * config.videos * config.repeats * _FRAMES_PER_VIDEO
    seconds = frames / _FRAMES_PER_SECOND / min(config.workers, cores())
    folder = Workspace(config.workspace).raw(config.source_name)
    return Plan((), (folder,), f"about {frames:,} frames, roughly {seconds:,.0f} s")


def run(config: SynthesizeConfig) -> SynthesizeSummary:
    """Draws `raw/NAME/` in the dataset's own layout, with the true joints beside it in `joints.parquet`.

    Raises:
        ConfigError: unknown dataset.
        DataError: its layout cannot be drawn yet, the folder holds something else, or it cannot be written.
    """
    _check(config)
    folder = Workspace(config.workspace).raw(config.source_name)
    with stage_lock(folder):
        drawn = not _is_drawn(config, folder)
        if drawn:
            write_json(folder / SYNTHETIC_MARKER, _marker(config))
            _draw(config, folder)
        videos = sum(1 for path in (folder / "frames").iterdir() if path.is_dir())
        frames = pq.read_metadata(folder / "joints.parquet").num_rows
    return SynthesizeSummary(folder, videos, frames, drawn)


def _draw(config: SynthesizeConfig, folder: Path) -> None:
    with Progress("synthesize", config.subjects * config.videos, "videos") as progress:
        try:
            write_ipn(
                folder,
                subjects=config.subjects,
                videos_per_subject=config.videos,
                repeats=config.repeats,
                seed=config.seed,
                workers=config.workers,
                progress=lambda frames: progress.add(1, f"{frames:,} frames in the last"),
            )
        except OSError as error:
            raise unwritable(folder, error) from error


def _check(config: SynthesizeConfig) -> None:
    if dataset(config.dataset).id != "ipn":
        raise DataError(f"the layout of {config.dataset} cannot be drawn yet (ready: ipn)")
    if config.source_name in {"ipn", "jester", "leapgestrecog", "hagrid"}:
        raise ConfigError(f"--name {config.source_name} is the place of the real dataset: choose another")


def _marker(config: SynthesizeConfig) -> dict[str, Any]:
    return {"synthetic": True, "drawing_version": DRAWING_VERSION, "config": config.recorded(), **_LICENCE}


def _is_drawn(config: SynthesizeConfig, folder: Path) -> bool:
    """Whether the folder holds this very drawing; clears an older or unfinished one if that is allowed."""
    marker = folder / SYNTHETIC_MARKER
    contents = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if not marker.is_file():
        if contents:
            raise DataError(f"{folder} holds {contents[0].name}, which was not drawn: choose another --name")
        return False
    same = read_json(marker) == _marker(config)
    if same and (folder / "frames").is_dir():
        return True
    if not same and not config.overwrite:
        raise DataError(
            f"{folder} was drawn with other settings: pass --overwrite to replace it, or another --name"
        )
    for path in contents:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return False
