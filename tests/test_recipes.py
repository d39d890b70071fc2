"""Every shipped recipe runs on drawn twins of its datasets, with real MediaPipe."""

from __future__ import annotations

import json

import polars as pl
import pytest

from pgc_data.recipes import load_recipe
from pgc_data.resources import recipe_files

# `demo` has tests of its own; the holistic model can only be downloaded, and drawn hands have no body.
RECIPES = [path.stem for path in recipe_files() if path.stem not in {"demo", "holistic_lstm"}]
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_runs_on_drawn_twins(cli, tmp_path, name):
    result = cli("run", name, "--synthetic", "--workspace", tmp_path, "--workers", "2", "--json")
    assert result.exit_code == 0, result.output
    steps = [json.loads(line) for line in result.output.splitlines() if line.startswith("{")]
    assert [s["step"][3:] for s in steps if "download" in s["step"]] == []
    (written,) = [s for s in steps if s["step"].endswith("to-parquet")]
    assert written["name"].endswith("-synthetic")
    for kind, table in written["tables"].items():
        rows = pl.read_parquet(tmp_path / "parquet" / written["name"] / kind / "*.parquet")
        assert rows.height == sum(table["rows"].values()) > 20
        assert rows.group_by("group_id").agg(pl.col("split").n_unique())["split"].max() == 1
        assert {s["licence"] for s in table["sources"]} == {"CC0-1.0"}
    assert steps[-1]["verdict"] in {"clean", "warning"}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_names_its_twins_throughout(tmp_path, name):
    steps = load_recipe(name, {"workspace": tmp_path}, synthetic=True).steps
    drawn = {s.config.source_name for s in steps if s.stage.name == "synthesize"}
    assert drawn
    assert all(s.config.source_name in drawn for s in steps if s.stage.name == "prepare")
    assert all(s.config.dataset in drawn for s in steps if s.stage.name == "extract")
    assert all(set(s.config.datasets) <= drawn for s in steps if s.stage.name == "to-parquet")
