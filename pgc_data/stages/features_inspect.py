"""`features inspect`: a picture of one landmark window."""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pgc_data.audits.window_blocks import Window, schema_blocks
from pgc_data.audits.window_picture import window_picture
from pgc_data.config import Config, option
from pgc_data.errors import ConfigError, DataError
from pgc_data.paths import as_path
from pgc_data.stages.summary import Plan, aligned
from pgc_data.storage.files import ensure_writable
from pgc_data.storage.parquet import open_parquet, parquet_file, read_row_groups, read_table
from pgc_data.storage.schemas import read_metadata
from pgc_data.storage.workspace import Workspace

_TABLE = "windows"
_UNSAFE = re.compile(r"[^A-Za-z0-9._+@-]+")
_LONGEST_NAME = 120
_SHOWN_IDS = 4


@dataclass(frozen=True, kw_only=True)
class FeaturesInspectConfig(Config):
    """Which window to draw, and where the picture goes."""

    file: str = option(
        ..., "windows file, folder of windows or dataset; or a dataset's name in the workspace", argument=True
    )
    window: str | None = option(
        None, "the window to draw, by its window_id (default: the first row)", metavar="ID"
    )
    out: Path | None = option(
        None, "picture to write (default: named after the window, here)", recorded=False, metavar="PNG"
    )
    overwrite: bool = option(False, "replace a picture that is there", recorded=False)

    def __post_init__(self) -> None:
        """Checks every field, and that the picture is a PNG.

        Raises:
            ConfigError: see `Config`; or `out` has another suffix.
        """
        super().__post_init__()
        if self.out is not None and self.out.suffix.lower() != ".png":
            raise ConfigError(f"out={self.out} is not a PNG: give a name that ends in .png")


@dataclass(frozen=True)
class FeaturesInspectSummary:
    """What was drawn.

    Attributes:
        facts: what the row says of itself, column -> value.
        usable: usable frames, and all.
        held: frames that repeat the one before: a lost hand held for a moment.
        not_finite: features of usable frames that are NaN or infinite; there should be none.
        blocks: a row for each block: name, features, unit, least and largest value in usable frames.
        file: the Parquet file of the row.
        written: the picture.
    """

    facts: dict[str, Any]
    usable: tuple[int, int]
    held: int
    not_finite: int
    blocks: tuple[tuple[str, int, str, float | None, float | None], ...]
    file: Path
    written: Path

    @property
    def exit_code(self) -> int:
        """0: a picture judges nothing."""
        return 0

    def as_dict(self) -> dict[str, Any]:
        """All numbers as plain JSON values."""
        names = ("name", "features", "unit", "min", "max")
        return {
            **self.facts,
            "frames": self.usable[1],
            "usable_frames": self.usable[0],
            "held_frames": self.held,
            "not_finite": self.not_finite,
            "blocks": [dict(zip(names, block, strict=True)) for block in self.blocks],
            "file": self.file.as_posix(),
            "written": [self.written.as_posix()],
        }

    def lines(self) -> list[str]:
        """The window in a line, its blocks, and where the picture is."""
        good, frames = self.usable
        lines = [
            f"{self.facts['window_id']}: {self.facts['label']}, {good} of {frames} frames usable, {self.held} held"
        ]
        rows = [
            (name, size, unit, *("" if value is None else f"{value:.3g}" for value in ends))
            for name, size, unit, *ends in self.blocks
        ]
        lines += aligned([("block", "features", "unit", "min", "max"), *rows])
        if self.not_finite:
            lines.append(
                f"  {self.not_finite:,} features of usable frames are not finite: left out of the picture"
            )
        return [*lines, f"picture: {self.written}"]


def plan(config: FeaturesInspectConfig) -> Plan:
    """What `run` would read and write."""
    files = _files(config)
    file, row = _find(files, config.window)
    out = _out(config, _facts(row)["window_id"])
    return Plan((file,), (out,), f"1 window of {row.schema.field('features').type.list_size} frames")


def run(config: FeaturesInspectConfig) -> FeaturesInspectSummary:
    """Draws one window.

    Raises:
        ConfigError: no window has that id; the picture exists and is not to be replaced.
        DataError: there is no windows table there, it is empty or damaged or says nothing of its features; or the
            picture cannot be written.
    """
    file, row = _find(_files(config), config.window)
    facts = _facts(row)
    out = _out(config, facts["window_id"])
    ensure_writable(out.parent)
    window = _window(file, row, facts)
    window_picture(out, window)
    shown = window.features[window.usable]
    return FeaturesInspectSummary(
        facts=facts,
        usable=(int(window.usable.sum()), window.usable.size),
        held=int(window.held.sum()),
        not_finite=int((~np.isfinite(shown)).sum()),
        blocks=tuple(
            (block.name, block.size, block.unit, *_ends(shown[:, block.start : block.start + block.size]))
            for block in window.blocks
        ),
        file=file,
        written=out,
    )


def _files(config: FeaturesInspectConfig) -> list[Path]:
    """The windows files at the path or of the dataset that was named, by name."""
    given, named = as_path(config.file), Workspace(config.workspace).parquet(config.file)
    path = given if given.exists() else named
    if not path.exists():
        raise DataError(
            f"nothing to inspect: there is neither {given} nor {named}; give another path or name"
        )
    if path.is_file():
        return [path]
    for folder in (path / _TABLE, path):
        if files := sorted(p for p in folder.glob("*.parquet") if p.is_file() and not p.name.startswith(".")):
            return files
    raise DataError(
        f"no windows in {path}: give a Parquet file, a folder of them, or a dataset made with --table windows"
    )


def _find(files: list[Path], window: str | None) -> tuple[Path, pa.Table]:
    """The file and the row (a table of one) of a window, or the first row of all."""
    ids: list[str] = []
    for file in files:
        _check(file)
        found = read_table(file, _TABLE, ["window_id"])["window_id"]
        row = (0 if len(found) else -1) if window is None else int(pc.index(found, window).as_py())
        if row >= 0:
            return file, _row(file, row)
        ids += found.to_pylist()
    if not ids:
        raise DataError(f"{files[0].parent if len(files) > 1 else files[0]} holds no window")
    raise ConfigError(
        f"no window {window!r} among {len(ids):,}; near it are {', '.join(_nearest(window or '', ids))}"
    )


def _check(file: Path) -> None:
    """Checks that a file says it holds windows; their columns are checked when they are read."""
    try:
        with parquet_file(file) as parquet:
            held = read_metadata(parquet.schema_arrow).get("schema", "another table")
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{file} is not a whole Parquet file ({error}): copy it again, or run to-parquet again"
        ) from error
    if held != _TABLE:
        raise DataError(
            f"{file} holds {held}, not windows: give a table that `to-parquet --table windows` wrote"
        )


def _nearest(window: str, ids: list[str]) -> list[str]:
    """The ids that stand next to where `window` would stand."""
    ids = sorted(ids)
    first = max(bisect.bisect_left(ids, window) - _SHOWN_IDS // 2, 0)
    first = min(first, max(len(ids) - _SHOWN_IDS, 0))
    return ids[first : first + _SHOWN_IDS]


def _row(file: Path, row: int) -> pa.Table:
    for group in read_row_groups(file, _TABLE):
        if row < group.num_rows:
            return group.slice(row, 1)
        row -= group.num_rows
    raise DataError(f"{file} changed while it was read: run the command again")


def _facts(row: pa.Table) -> dict[str, Any]:
    """All but the arrays of a row."""
    small = [name for name in row.column_names if not pa.types.is_nested(row.schema.field(name).type)]
    return dict(row.select(small).to_pylist()[0])


def _out(config: FeaturesInspectConfig, window_id: str) -> Path:
    """Where the picture goes.

    Raises:
        ConfigError: it exists and is not to be replaced.
    """
    out = config.out or Path(f"{_UNSAFE.sub('_', window_id)[-_LONGEST_NAME:].lstrip('._-') or 'window'}.png")
    if out.exists() and not config.overwrite:
        raise ConfigError(f"{out} exists: pass --overwrite to replace it, or another --out")
    return out


def _window(file: Path, row: pa.Table, facts: dict[str, Any]) -> Window:
    features = np.array(row["features"].to_pylist()[0], dtype=np.float32)
    usable = np.array(row["usable"].to_pylist()[0], dtype=bool)
    with open_parquet(file, _TABLE) as parquet:
        document = read_metadata(parquet.schema_arrow).get("feature_schema")
    if not isinstance(document, dict):
        raise DataError(
            f"{file} does not say what its features are (no feature_schema in its metadata): "
            "inspect a file that to-parquet wrote"
        )
    fps = facts["fps_grid"]
    timed = bool(fps) and usable.size > 1
    return Window(
        title=_title(facts),
        subtitle=f"{facts['window_id']}  ·  {facts['feature_schema']}",
        facts=_line(facts, usable.size),
        features=features,
        usable=usable,
        times=np.arange(usable.size, dtype=np.float32) * np.float32(1000 / fps) if timed else None,
        blocks=schema_blocks(document, features.shape[1]),
        joint_names=tuple(map(str, document.get("joint_names", ()))),
        axes=tuple(map(str, document.get("axes", ("x", "y", "z")))),
    )


def _title(facts: dict[str, Any]) -> str:
    native = facts["native_label"]
    return (
        f"{facts['label']}" if native in (None, facts["label"]) else f"{facts['label']}  ·  native {native}"
    )


def _line(facts: dict[str, Any], frames: int) -> str:
    """What the picture says of the row below its id."""
    hand, subject = facts["handedness"], facts["subject_id"]
    source, grid = facts["fps_source"], facts["fps_grid"]
    parts = [
        facts["split"],
        "subject not known" if subject is None else f"subject {subject}",
        "side not known" if hand is None else f"{hand.lower()} hand",
    ]
    if grid and frames > 1:
        rate = "rate not known" if source is None else f"{source:.4g} fps"
        parts.append(f"{rate} to a grid of {grid:.4g} Hz")
    if not facts["has_z"]:
        parts.append("without depth")
    return "  ·  ".join(parts)


def _ends(values: np.ndarray[Any, np.dtype[np.float32]]) -> tuple[float | None, float | None]:
    """The least and the largest finite value."""
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (None, None)
