from __future__ import annotations

import json
from pathlib import Path

import pytest
from factories import annotate

from pgc_data import __version__
from pgc_data.recipes import STAGES, load_recipe
from pgc_data.resources import recipe_files


def test_commands_are_listed_in_the_order_of_the_flow(cli):
    lines = cli("--help").output.split("Commands:")[1].split()
    order = [
        lines.index(name)
        for name in ("datasets", "download", "synthesize", "prepare", "extract", "to-parquet", "audit", "run")
    ]
    assert order == sorted(order)
    assert __version__ in cli("--version").output


@pytest.mark.parametrize("name", [*STAGES, "run", "datasets"])
def test_every_command_explains_itself(cli, name):
    result = cli(name, "--help")
    assert result.exit_code == 0
    assert "--json" in result.output


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_takes_the_common_options(cli, name):
    output = cli(name, "--help").output
    assert "--workspace" in output
    assert "--dry-run" in output


def test_datasets_are_listed_with_what_can_be_downloaded(cli):
    text = cli("datasets").output
    assert all(name in text for name in ("ipn:", "jester:", "leapgestrecog:", "hagrid:", "folder:"))
    facts = {d["id"]: d for d in json.loads(cli("datasets", "--json").output)}
    assert (facts["ipn"]["classes"], facts["ipn"]["subjects"], facts["ipn"]["licence"]) == (
        14,
        50,
        "CC BY 4.0",
    )
    assert facts["hagrid"]["must_accept_licence"] is True
    assert [name for name, d in facts.items() if not d["offers"]] == ["folder"]
    assert all(d["citation"] and d["size"] for d in facts.values())
    assert "jester" not in cli("datasets", "ipn").output


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["prepare", "jester"], 1, "no raw folder"),
        (["prepare", "ipn"], 1, "no raw folder"),
        (["prepare", "ipm"], 2, "did you mean 'ipn'"),
        (["prepare"], 2, "Missing argument"),
        (["extract", "ipn"], 1, "ipn is not prepared"),
        (["extract", "ipn", "--workers", "0"], 2, "workers=0 is too small"),
        (["extract", "ipn", "--wrkers", "1"], 2, "No such option"),
        (["to-parquet", "ipn"], 2, "Missing option '--vocabulary'"),
        (["to-parquet", "ipn", "--vocabulary", "x"], 2, "unknown vocabulary 'x'"),
        (["synthesize", "ipn", "--name", "ipn"], 2, "place of the real dataset"),
        (["audit", "nowhere"], 1, "nothing to audit"),
        (["run", "dmo"], 2, "did you mean 'demo'"),
        (["run", "x.toml"], 2, "no recipe x.toml"),
        (["datasets", "x"], 2, "unknown dataset"),
    ],
)
def test_errors_are_a_line_with_the_right_status(cli, tmp_path, words, status, message):
    where = [] if words[0] == "datasets" else ["--workspace", tmp_path]
    result = cli(*words, *where)
    assert (result.exit_code, "Traceback" in result.output) == (status, False), result.output
    assert message in result.output


def test_debug_shows_the_traceback(cli, tmp_path):
    assert (
        cli("--debug", "extract", "ipn", "--workspace", tmp_path).exception.__class__.__name__ == "DataError"
    )


def test_a_summary_can_be_had_as_json(cli, tmp_path):
    annotate(tmp_path / "raw" / "ipn", ["1CM1_1_R_#1,B0A,2,1,5,5"])
    result = cli("prepare", "ipn", "--annotations-only", "--json", "--workspace", tmp_path)
    assert json.loads(result.output)["labels"] == {"B0A": {"samples": 1, "frames": 5}}


def test_an_unwritable_workspace_is_a_clear_error(cli, tmp_path):
    annotate(tmp_path / "raw", ["1CM1_1_R_#1,B0A,2,1,5,5"])
    (tmp_path / "file").write_text("x")
    result = cli(
        "prepare", "ipn", "--annotations-only", "--raw", tmp_path / "raw", "--workspace", tmp_path / "file"
    )
    assert result.exit_code == 1
    assert "cannot write" in result.output


@pytest.mark.parametrize("path", recipe_files(), ids=lambda p: p.stem)
def test_every_shipped_recipe_can_be_read(path):
    recipe = load_recipe(path.stem, {"workspace": Path("w"), "workers": 3})
    assert recipe.steps
    assert all(step.config.workspace == Path("w") for step in recipe.steps)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[01-prepare", "cannot be read"),
        ("name = 3", "name must be a string"),
        ("", "has no stage"),
        ("[prepare]\ndataset = 'ipn'", "'prepare' is not a stage: tables are called [NN-STAGE]"),
        ("[01-prepar]\ndataset = 'ipn'", "did you mean 'prepare'"),
        ("[01-prepare]\ndatset = 'ipn'", "[01-prepare]: unknown key 'datset'; did you mean 'dataset'?"),
        ("[01-prepare]", "'dataset' is missing"),
        ("[01-extract]\ndataset = 'ipn'\nmargin = -1", "margin=-1.0 is too small"),
    ],
)
def test_a_bad_recipe_is_named_with_its_place(cli, tmp_path, text, message):
    (tmp_path / "r.toml").write_text(text)
    result = cli("run", tmp_path / "r.toml", "--workspace", tmp_path)
    assert result.exit_code == 2
    assert message in result.output


def test_a_recipe_runs_from_a_step_and_stops_at_the_first_failure(cli, tmp_path):
    annotate(tmp_path / "raw" / "ipn", ["1CM1_1_R_#1,B0A,2,1,5,5"])
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        "[01-prepare]\ndataset = 'ipn'\nannotations-only = true\n"
        "[02-audit]\npath = 'nowhere'\n[03-prepare]\ndataset = 'ipn'\n"
    )
    done = cli("run", recipe, "--workspace", tmp_path, "--json")
    assert done.exit_code == 1
    assert json.loads(done.output.splitlines()[0])["step"] == "01-prepare"
    assert "nothing to audit" in done.output
    assert cli("run", recipe, "--workspace", tmp_path, "--from", "7").exit_code == 2


def test_sources_may_be_named_by_an_option(cli, tmp_path):
    first = cli(
        "to-parquet", "ipn", "--dataset", "jester", "--vocabulary", "pointing", "--workspace", tmp_path
    )
    assert "ipn is not prepared" in first.output
    assert cli("to-parquet", "--vocabulary", "pointing", "--workspace", tmp_path).exit_code == 2
    twice = cli("to-parquet", "ipn", "--dataset", "ipn", "--vocabulary", "pointing", "--workspace", tmp_path)
    assert "a source stands twice in ipn ipn" in twice.output


def test_a_dry_run_of_a_recipe_says_what_it_can(cli, tmp_path):
    dry = cli("run", "demo", "--workspace", tmp_path / "new", "--dry-run")
    assert dry.exit_code == 0
    assert "would write" in dry.output
    assert "known when the steps before have run (now: ipn-synthetic is not prepared" in dry.output
    assert not (tmp_path / "new").exists()
