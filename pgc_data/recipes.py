"""Recipes: the stages of one dataset written down as a TOML file, numbered in the order they run."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pgc_data.config import Config, from_mapping, unknown_name
from pgc_data.errors import ConfigError, DataError
from pgc_data.resources import recipe_files
from pgc_data.stages import (
    audit,
    cache,
    download,
    export_onnx,
    extract,
    merge,
    prepare,
    push_to_hub,
    subset,
    synthesize,
    to_parquet,
)
from pgc_data.stages.summary import Plan, Summary

_STEP = re.compile(r"(\d\d)-([a-z-]+)")


@dataclass(frozen=True)
class Stage:
    """A stage as the command line and recipes call it.

    Attributes:
        name: of the command.
        config: class of its configuration.
        module: has `run(config)` and `plan(config)`.
    """

    name: str
    config: type[Config]
    module: ModuleType

    def run(self, config: Config) -> Summary:
        """Does the work."""
        summary: Summary = self.module.run(config)
        return summary

    def plan(self, config: Config) -> Summary:
        """Says what `run` would do."""
        planned: Summary = self.module.plan(config)
        return planned


# In the order of the flow.
STAGES = {
    stage.name: stage
    for stage in (
        Stage("download", download.DownloadConfig, download),
        Stage("synthesize", synthesize.SynthesizeConfig, synthesize),
        Stage("prepare", prepare.PrepareConfig, prepare),
        Stage("extract", extract.ExtractConfig, extract),
        Stage("to-parquet", to_parquet.ToParquetConfig, to_parquet),
        Stage("subset", subset.SubsetConfig, subset),
        Stage("merge", merge.MergeConfig, merge),
        Stage("audit", audit.AuditConfig, audit),
        Stage("cache", cache.CacheConfig, cache),
        Stage("export-onnx", export_onnx.ExportOnnxConfig, export_onnx),
        Stage("push-to-hub", push_to_hub.PushToHubConfig, push_to_hub),
    )
}


@dataclass(frozen=True)
class Step:
    """One stage of a recipe.

    Attributes:
        key: number and name, such as 03-extract.
        stage: what runs.
        config: how.
    """

    key: str
    stage: Stage
    config: Config


@dataclass(frozen=True)
class Recipe:
    """A recipe: its name, and its steps in order."""

    name: str
    steps: tuple[Step, ...]


def load_recipe(name: str, given: Mapping[str, Any], synthetic: bool = False) -> Recipe:
    """Reads a recipe: a path, or the name of one that ships with pgc-data.

    What a step leaves out is filled in from the recipe: `to-parquet` writes the dataset called like it, `subset`
    takes rows of, `audit` audits, `cache` decodes and `push-to-hub` publishes what the step before it wrote.

    Args:
        name: path of a TOML file, or a name such as demo.
        given: what the command line says, such as `workspace` and `workers`; goes to every stage that has it, unless
            it is None.
        synthetic: draw the datasets instead of downloading them; everything is then called NAME-synthetic.

    Raises:
        ConfigError: no such recipe, not TOML, an unknown stage or key, a bad value; names file and table.
    """
    path = _find(name)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"recipe {path} cannot be read: {error}") from error
    title = raw.pop("name", path.stem)
    if not isinstance(title, str):
        raise ConfigError(f"{path}: name must be a string, not {title!r}")
    if synthetic:
        raw, title = {key: _synthetic(key, table) for key, table in raw.items()}, _suffixed(title)
        raw = {key.replace("-download", "-synthesize"): table for key, table in raw.items()}
    steps = tuple(_steps(raw, path, title, given))
    if not steps:
        raise ConfigError(f"{path} has no stage: add a table such as [01-prepare]")
    return Recipe(title, steps)


def _find(name: str) -> Path:
    path = Path(name)
    if path.is_file():
        return path
    shipped = {p.stem: p for p in recipe_files()}
    if name in shipped:
        return shipped[name]
    if path.suffix == ".toml":
        raise ConfigError(f"no recipe {path} (shipped with pgc-data: {', '.join(sorted(shipped))})")
    raise unknown_name("recipe", name, shipped)


def _suffixed(name: str) -> str:
    return name if name.endswith("-synthetic") else f"{name}-synthetic"


def _synthetic(key: str, table: Any) -> Any:
    """A step of a recipe turned from a real source to its drawn twin."""
    if not isinstance(table, dict):
        return table
    stage, changed = key[3:], dict(table)
    if stage == "download":
        # Of what to download, only which dataset means anything to the one who draws it.
        # Four people are enough to try a recipe, and to have one on each side of a split.
        kept = {name: value for name, value in table.items() if name in ("dataset", "name")}
        changed = {**kept, "subjects": 4, **table.get("synthetic", {})}
    if stage == "prepare" and "dataset" in table:
        changed["name"] = str(table.get("name", table["dataset"]))
    renamed = {"extract": "dataset", "audit": "path"}.get(stage, "name")
    for name in (renamed, "repo", "as"):
        if name in changed:
            changed[name] = _suffixed(str(changed[name]))
    renamed = {"to-parquet": "datasets", "merge": "parents", "subset": "source"}.get(stage, "")
    if isinstance(table.get(renamed), list):
        changed[renamed] = [_suffixed(str(each)) for each in table[renamed]]
    return changed


def _steps(raw: Mapping[str, Any], path: Path, title: str, given: Mapping[str, Any]) -> Iterator[Step]:
    written = title
    for key in sorted(raw):
        match, table = _STEP.fullmatch(key), raw[key]
        if match is None or not isinstance(table, dict):
            raise ConfigError(
                f"{path}: {key!r} is not a stage: tables are called [NN-STAGE], such as [03-extract]"
            )
        if match[2] not in STAGES:
            raise ConfigError(f"{path}: [{key}]: {unknown_name('stage', match[2], STAGES)}")
        if "workspace" in table:
            raise ConfigError(
                f"{path}: [{key}]: the workspace belongs on the command line: --workspace FOLDER"
            )
        stage = STAGES[match[2]]
        if match[2] == "download":
            # What to draw instead is of no concern to who downloads.
            table = {name: value for name, value in table.items() if name != "synthetic"}
        defaults = {
            "to-parquet": {"name": title},
            "subset": {"name": written},
            "audit": {"path": written},
            "cache": {"name": written},
            "push-to-hub": {"name": written},
        }
        default = defaults.get(stage.name, {})
        config = from_mapping(stage.config, {**default, **table}, f"{path}: [{key}]")
        if isinstance(config, to_parquet.ToParquetConfig):
            written = config.dataset_name
        elif isinstance(config, subset.SubsetConfig | merge.MergeConfig):
            written = config.as_
        known = {f.name for f in dataclasses.fields(config)}
        override = {k: v for k, v in given.items() if k in known and v is not None}
        yield Step(key, stage, dataclasses.replace(config, **override))


def _planned(step: Step, first: Step) -> Summary:
    """The plan of a step, which may need what the steps before it have yet to write."""
    try:
        return step.stage.plan(step.config)
    except DataError as error:
        if step is first:
            raise
        return Plan((), (), f"known when the steps before have run (now: {error})")


def run_recipe(
    recipe: Recipe, first: str | None, dry_run: bool, report: Callable[[Step, Summary], None]
) -> int:
    """Runs the steps in order and stops at the first that fails.

    Args:
        recipe: see `load_recipe`.
        first: number of the step to begin with, such as `03`; None for the first.
        dry_run: only say what each step would do.
        report: called with each step and its summary.

    Returns:
        Exit status: 0, or that of the step that failed.

    Raises:
        ConfigError: no step has the number `first`.
    """
    steps = recipe.steps
    if first is not None:
        steps = tuple(s for s in steps if s.key[:2] >= first.zfill(2))
        if first.zfill(2) not in {s.key[:2] for s in recipe.steps}:
            raise ConfigError(
                f"--from {first}: {recipe.name} has the steps {', '.join(s.key for s in recipe.steps)}"
            )
    for step in steps:
        summary = _planned(step, steps[0]) if dry_run else step.stage.run(step.config)
        report(step, summary)
        if summary.exit_code:
            return summary.exit_code
    return 0
