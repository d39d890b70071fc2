"""`cache`: decodes a dataset's crops once, into arrays that trainers map into memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgc_data.config import Config, option
from pgc_data.engines import cores
from pgc_data.errors import ConfigError, DataError
from pgc_data.loaders import TableDataset, load
from pgc_data.loaders.cache import cache_folder, cache_state, write_cache
from pgc_data.loaders.images import Size
from pgc_data.paths import remote_of
from pgc_data.progress import Progress
from pgc_data.stages.summary import Plan
from pgc_data.storage.workspace import Workspace, check_name, stage_lock

_SIZE = re.compile(r"(\d+)x(\d+)")
_ROWS_A_SECOND = 5000


@dataclass(frozen=True, kw_only=True)
class CacheConfig(Config):
    """Which dataset to decode, and how large."""

    name: str = option(..., "dataset in the workspace whose crops to decode", argument=True)
    size: str = option("32x32", "height and width to scale crops to, pixels", metavar="HxW")
    workers: int | None = option(
        None, "threads that decode; one for each core by default", minimum=1, recorded=False
    )
    overwrite: bool = option(
        False, "replace a cache that was made from another state of the table", recorded=False
    )

    def __post_init__(self) -> None:
        """Checks every field; see `Config`."""
        super().__post_init__()
        check_name(self.name)
        if min(self.pixels) < 1:
            raise ConfigError(f"size={self.size} has a side of 0 pixels: the least is 1")

    @property
    def pixels(self) -> Size:
        """Height and width.

        Raises:
            ConfigError: `size` does not say them.
        """
        match = _SIZE.fullmatch(self.size)
        if match is None:
            raise ConfigError(f"size={self.size!r} is no height and width: write it as 32x32")
        return int(match[1]), int(match[2])


@dataclass(frozen=True)
class CacheSummary:
    """What `cache` wrote.

    Attributes:
        name: of the dataset.
        folder: of the cache.
        rows: split -> rows.
        bytes: size of all files.
        fresh: whether this run wrote it; else it was up to date.
    """

    name: str
    folder: Path
    rows: Mapping[str, int]
    bytes: int
    fresh: bool
    exit_code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "name": self.name, "folder": str(self.folder), "rows": dict(self.rows), "bytes": self.bytes,
            "fresh": self.fresh,
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The result as lines of text."""
        state = "" if self.fresh else " (up to date, nothing redone)"
        splits = ", ".join(f"{split} {rows:,}" for split, rows in self.rows.items())
        return [
            f"{self.name}: {sum(self.rows.values()):,} crops decoded{state}: {splits}",
            f"  in {self.folder}, {self.bytes / 1e6:,.1f} MB",
        ]


def plan(config: CacheConfig) -> Plan:
    """What `run` would read and write."""
    dataset, folder = _opened(config)
    if _is_fresh(config, folder, dataset):
        return Plan(dataset.files, (), "none: everything is up to date")
    seconds = len(dataset) / _ROWS_A_SECOND / (config.workers or cores())
    size = len(dataset) * config.pixels[0] * config.pixels[1] * 3
    return Plan(
        dataset.files, (folder,), f"{len(dataset):,} crops, {size / 1e6:,.1f} MB, about {seconds + 1:.0f} s"
    )


def run(config: CacheConfig) -> CacheSummary:
    """Writes `parquet/NAME/cache/crops-HxW/`: an array of pixels for each split, and the other columns.

    A cache that is there already and was made from the same table is left alone; what a killed run has decoded is kept.

    Raises:
        ConfigError: the workspace is in an object store.
        DataError: there is no table of crops, the cache was made from another one, a crop cannot be decoded, or a file
            cannot be written.
    """
    dataset, folder = _opened(config)
    with stage_lock(dataset.root):
        fresh = not _is_fresh(config, folder, dataset)
        if fresh:
            with Progress("cache", len(dataset), "crops") as progress:
                write_cache(folder, dataset.source, config.pixels, config.workers or cores(), progress.add)
    size = sum(path.stat().st_size for path in folder.iterdir())
    return CacheSummary(config.name, folder, dataset.splits, size, fresh)


def _opened(config: CacheConfig) -> tuple[TableDataset, Path]:
    root = Workspace(config.workspace).parquet(config.name)
    if remote_of(root) is not None:
        raise ConfigError(
            f"the cache is mapped into memory, which {root} cannot be: copy the dataset to a local workspace, and name "
            "that with --workspace"
        )
    if not (root / "crops").is_dir():
        raise DataError(f"{root} has no crops to decode: run `pgc-data to-parquet` first")
    return load(root, "crops"), cache_folder(root, config.pixels)


def _is_fresh(config: CacheConfig, folder: Path, dataset: TableDataset) -> bool:
    state = cache_state(folder, dataset.source)
    if state == "stale" and not config.overwrite:
        raise DataError(
            f"{folder} was made from another state of {config.name}: pass --overwrite to replace it"
        )
    return state == "fresh"
