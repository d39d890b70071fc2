"""Stage 01 of a demonstration: draws hands in a dataset's own raw layout, to try everything without its data."""

from __future__ import annotations

import shutil
from collections.abc import Callable
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
from pgc_data.synthetic import write_hagrid, write_ipn, write_jester, write_leapgestrecog
from pgc_data.synthetic.hagrid import HAGRID_V1_LABELS, HAGRID_V2_LABELS
from pgc_data.synthetic.hagrid_records import RELEASES
from pgc_data.synthetic.jester import LAYOUTS
from pgc_data.synthetic.jester_moves import JESTER_LABELS
from pgc_data.synthetic.leapgestrecog import LEAP_LABELS
from pgc_data.synthetic.studio import is_complete

# To be raised when the same settings draw other images.
DRAWING_VERSION = 1
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
    videos: int | None = option(None, "ipn: videos of each person (1)", minimum=1)
    repeats: int | None = option(
        None,
        "ipn: times each label occurs in a video, at the least (1); jester: clips of each label (1); "
        "leapgestrecog: stills of each person and gesture (20); hagrid: photographs of each class (8)",
        minimum=1,
    )
    layout: str | None = option(None, "jester: as published or as on Kaggle (original)", choices=LAYOUTS)
    release: str | None = option(None, "hagrid: release (2.0)", choices=RELEASES)
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
        videos: number of videos, clips, folders of stills, or photographs.
        frames: number of pictures.
        drawn: whether it was drawn in this run; else it was there already.
        unit: what `videos` counts.
    """

    folder: Path
    videos: int
    frames: int
    drawn: bool
    unit: str = "videos"
    exit_code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {"folder": str(self.folder), "videos": self.videos, "frames": self.frames, "drawn": self.drawn}

    def lines(self) -> list[str]:
        """The result as lines of text."""
        state = "drawn" if self.drawn else "were there already"
        return [f"{self.videos:,} {self.unit}, {self.frames:,} frames {state} in {self.folder}"]


@dataclass(frozen=True)
class _Settings:
    """A config with all defaults of its dataset filled in."""

    subjects: int
    seed: int
    videos: int
    repeats: int
    layout: str
    release: str


Draw = Callable[[Path, _Settings, int, Callable[[int], None]], object]


@dataclass(frozen=True)
class _Twin:
    """How one dataset is drawn.

    Attributes:
        draw: its writer, called with folder, settings, workers and progress.
        unit: what is drawn one by one.
        units: how many of them.
        frames: pictures in each, about.
        speed: pictures a second and core, about.
        repeats: default of the option.
        own: options that other datasets do not have, with their defaults.
    """

    draw: Draw
    unit: str
    units: Callable[[_Settings], int]
    frames: Callable[[_Settings], int]
    speed: int
    repeats: int
    own: dict[str, Any]


def _draw_ipn(folder: Path, s: _Settings, workers: int, progress: Callable[[int], None]) -> object:
    return write_ipn(
        folder,
        subjects=s.subjects,
        videos_per_subject=s.videos,
        repeats=s.repeats,
        seed=s.seed,
        workers=workers,
        progress=progress,
    )


def _draw_jester(folder: Path, s: _Settings, workers: int, progress: Callable[[int], None]) -> object:
    return write_jester(
        folder,
        clips=s.repeats * len(JESTER_LABELS),
        subjects=s.subjects,
        seed=s.seed,
        layout=s.layout,
        workers=workers,
        progress=progress,
    )


def _draw_leapgestrecog(folder: Path, s: _Settings, workers: int, progress: Callable[[int], None]) -> object:
    return write_leapgestrecog(
        folder, subjects=s.subjects, frames=s.repeats, seed=s.seed, workers=workers, progress=progress
    )


def _draw_hagrid(folder: Path, s: _Settings, workers: int, progress: Callable[[int], None]) -> object:
    return write_hagrid(
        folder,
        images=s.repeats,
        subjects=s.subjects,
        seed=s.seed,
        release=s.release,
        workers=workers,
        progress=progress,
    )


def _hagrid_images(s: _Settings) -> int:
    return s.repeats * len(HAGRID_V2_LABELS if s.release == "v2" else HAGRID_V1_LABELS)


_TWINS = {
    "ipn": _Twin(
        _draw_ipn, "videos", lambda s: s.subjects * s.videos, lambda s: 530 * s.repeats, 60, 1, {"videos": 1}
    ),
    "jester": _Twin(
        _draw_jester, "clips", lambda s: s.repeats * len(JESTER_LABELS), lambda s: 37, 250, 1,
        {"layout": LAYOUTS[0]},
    ),
    "leapgestrecog": _Twin(
        _draw_leapgestrecog, "folders", lambda s: s.subjects * len(LEAP_LABELS), lambda s: s.repeats, 50, 20, {}
    ),
    "hagrid": _Twin(_draw_hagrid, "photographs", _hagrid_images, lambda s: 1, 20, 8, {"release": "2.0"}),
}  # fmt: skip


def plan(config: SynthesizeConfig) -> Plan:
    """What `run` would write."""
    twin, settings = _check(config)
    frames = twin.units(settings) * twin.frames(settings)
    seconds = frames / twin.speed / min(config.workers, cores())
    folder = Workspace(config.workspace).local_raw(config.source_name)
    return Plan((), (folder,), f"about {frames:,} frames, roughly {seconds:,.0f} s")


def run(config: SynthesizeConfig) -> SynthesizeSummary:
    """Draws `raw/NAME/` in the dataset's own layout, with the true joints beside it in `joints.parquet`.

    Raises:
        ConfigError: unknown dataset, an option that it does not have, or a workspace in a store.
        DataError: its layout cannot be drawn, the folder holds something else, or it cannot be written.
    """
    twin, settings = _check(config)
    folder = Workspace(config.workspace).local_raw(config.source_name)
    marker = _marker(config, twin, settings)
    with stage_lock(folder):
        drawn = not _is_drawn(folder, marker, config.overwrite)
        if drawn:
            write_json(folder / SYNTHETIC_MARKER, marker)
            _draw(config, twin, settings, folder)
        table = pq.read_table(folder / "joints.parquet")
        media = table.column_names[0]
        frames = table.group_by([media, "frame"]).aggregate([]).num_rows
        videos = len(table[media].unique())
    return SynthesizeSummary(folder, videos, frames, drawn, twin.unit)


def _draw(config: SynthesizeConfig, twin: _Twin, settings: _Settings, folder: Path) -> None:
    with Progress("synthesize", twin.units(settings), twin.unit) as progress:
        try:
            twin.draw(
                folder,
                settings,
                config.workers,
                lambda frames: progress.add(1, f"{frames:,} frames in the last"),
            )
        except OSError as error:
            raise unwritable(folder, error) from error


def _check(config: SynthesizeConfig) -> tuple[_Twin, _Settings]:
    """The dataset's twin and its settings; refuses what it has no use for."""
    twin = _TWINS.get(dataset(config.dataset).id)
    if twin is None:
        raise DataError(f"the layout of {config.dataset} cannot be drawn (ready: {', '.join(_TWINS)})")
    if config.source_name in _TWINS:
        raise ConfigError(f"--name {config.source_name} is the place of the real dataset: choose another")
    own = {}
    for name in ("videos", "layout", "release"):
        given = getattr(config, name)
        if given is not None and name not in twin.own:
            owner = next(key for key, other in _TWINS.items() if name in other.own)
            raise ConfigError(
                f"--{name} {given} means nothing to {config.dataset}: only {owner} has it, leave it out"
            )
        own[name] = given if given is not None else twin.own.get(name, 1 if name == "videos" else "")
    return twin, _Settings(config.subjects, config.seed, repeats=config.repeats or twin.repeats, **own)


def _marker(config: SynthesizeConfig, twin: _Twin, settings: _Settings) -> dict[str, Any]:
    """What says that a folder was drawn, and how: only options that the dataset has."""
    names = ("subjects", "videos", "repeats", "layout", "release", "seed")
    chosen = {n: getattr(settings, n) for n in names if n in twin.own or n in ("subjects", "repeats", "seed")}
    drawing = {"dataset": config.dataset, **chosen}
    return {"synthetic": True, "drawing_version": DRAWING_VERSION, "config": drawing, **_LICENCE}


def _is_drawn(folder: Path, expected: dict[str, Any], overwrite: bool) -> bool:
    """Whether the folder holds this very drawing; clears an older or unfinished one if that is allowed."""
    marker = folder / SYNTHETIC_MARKER
    contents = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if not marker.is_file():
        if contents:
            raise DataError(f"{folder} holds {contents[0].name}, which was not drawn: choose another --name")
        return False
    same = read_json(marker) == expected
    if same and is_complete(folder):
        return True
    if not same and not overwrite:
        raise DataError(
            f"{folder} was drawn with other settings: pass --overwrite to replace it, or another --name"
        )
    for path in contents:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return False
