"""The push-to-hub stage: what it prints and refuses, and a dataset of real stages on a stand-in of the Hub."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pytest
from publishing.hub_server import TOKEN, HubServer, known_only, running
from publishing.tiny_dataset import write_manifest, write_tables

from pgc_data.errors import ConfigError, DataError
from pgc_data.recipes import load_recipe
from pgc_data.stages import audit, to_parquet
from pgc_data.stages.push_to_hub import PushToHubConfig, plan, run

REPO = "ada/tiny"


@pytest.fixture
def server(monkeypatch, tmp_path):
    with running(HubServer()) as started, known_only(monkeypatch, tmp_path, started.url):
        yield started


@pytest.fixture
def tiny(tmp_path):
    """A dataset of the source `ipn`; its licence can be changed by writing the manifest again."""
    folder = tmp_path / "parquet" / "tiny"
    write_tables(folder)
    write_manifest(folder)
    return folder


def config(folder, **options):
    return PushToHubConfig(**{"workspace": folder.parents[1], "name": "tiny", "repo": REPO, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "../x"}, "cannot be a folder name"),
        ({"repo": "tiny"}, "is not USER/DATASET"),
        ({"repo": "ada/tiny/more"}, "is not USER/DATASET"),
        ({"repo": "https://hub/ada/tiny"}, "is not USER/DATASET"),
        ({"repo": "ada/"}, "is not USER/DATASET"),
        ({"revision": " "}, "--revision is empty"),
        ({"force_licence": " "}, "needs the reason in words"),
    ],
)
def test_wrong_calls(options, message):
    with pytest.raises(ConfigError, match=message):
        PushToHubConfig(**{"name": "tiny", "repo": REPO, **options})


def test_real_tables_arrive_and_load(extracted, server, tmp_path):
    tables = ("crops", "windows")
    settings = {"workspace": extracted, "datasets": ("ipn",), "vocabulary": "pointing", "name": "real"}
    to_parquet.run(to_parquet.ToParquetConfig(**settings, table=tables))
    audit.run(audit.AuditConfig(workspace=extracted, path="real"))
    summary = run(config(extracted / "parquet" / "real", name="real"))
    assert summary.dataset.audit in {"clean", "warning"}
    assert {"audit/report.html", "ledger/crops.parquet"} <= set(summary.pushed.sent)
    for path, data in server.files(REPO).items():
        (tmp_path / "got" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "got" / path).write_bytes(data)
    written = json.loads((tmp_path / "got/manifest.json").read_text())["tables"]
    for kind in tables:
        read = datasets.load_dataset(str(tmp_path / "got"), kind, cache_dir=str(tmp_path / "cache"))
        names = {"train": "train", "val": "validation", "test": "test"}
        rows = {names[split]: rows for split, rows in written[kind]["rows"].items() if rows}
        assert {split: len(part) for split, part in read.items()} == rows
        assert isinstance(read["train"].features["class_id"], datasets.ClassLabel)
    assert [line for line in summary.lines() if "warning" in line.lower() and "against" in line] == []


FORBIDDEN = [("Qualcomm Research Use License", "non-profit research"), ("unstated", "nobody has said")]


@pytest.mark.parametrize(("licence", "words"), FORBIDDEN)
@pytest.mark.parametrize("private", [False, True])
def test_what_a_licence_forbids_is_not_sent(tiny, server, cli, licence, words, private):
    write_manifest(tiny, licence=licence)
    options = ["--private"] if private else []
    result = cli("push-to-hub", "tiny", "--repo", REPO, "--workspace", tiny.parents[1], *options)
    assert result.exit_code == 2
    (line,) = result.output.splitlines()
    assert words in line
    assert "--force-licence REASON" in line
    assert server.requests == []


def test_a_forced_push_records_the_reason(tiny, server):
    write_manifest(tiny, licence="unstated")
    summary = run(config(tiny, force_licence="these are my own hands"))
    assert "  WARNING: published against a licence, because: these are my own hands" in summary.lines()
    assert summary.as_dict()["forced"] == "these are my own hands"
    (_, title, description) = server.repos[REPO].titles[-1]
    assert title.startswith("Push tiny")
    assert "Published against a licence, because: these are my own hands" in description
    assert "ipn (unstated) may not be published" in description


def test_there_must_be_something_to_force(tiny, server):
    with pytest.raises(ConfigError, match="nothing to force"):
        run(config(tiny, force_licence="to be safe"))
    assert server.requests == []


@pytest.mark.parametrize("licence", ["CC BY 4.0", "HaGRID licence"])
def test_a_dry_run_needs_no_network(tiny, server, cli, monkeypatch, licence):
    monkeypatch.delenv("HF_TOKEN")
    write_manifest(tiny, licence=licence)
    words = ["push-to-hub", "tiny", "--repo", REPO, "--workspace", tiny.parents[1], "--dry-run"]
    said, told = cli(*words), json.loads(cli(*words, "--json").output)
    refused = licence == "HaGRID licence"
    assert said.exit_code == (2 if refused else 0)
    assert "splits.parquet" in said.output
    assert "nothing sent (--dry-run)" in said.output
    assert ("refused" in said.output) is refused
    assert {f["path"]: f["bytes"] for f in told["files"]} == {
        path.relative_to(tiny).as_posix(): path.stat().st_size for path in tiny.rglob("*.*")
    }
    assert told["bytes"] == sum(f["bytes"] for f in told["files"])
    assert (told["refused"] is not None) is refused
    assert server.requests == []


@pytest.mark.parametrize("call", [plan, run])
def test_a_damaged_dataset_is_refused_before_any_request(tiny, server, call):
    (tiny / "splits.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"splits\.parquet has 4 bytes"):
        call(config(tiny))
    assert server.requests == []


def test_the_summary_as_text_and_json(tiny, server, cli):
    words = ["push-to-hub", "tiny", "--repo", REPO, "--workspace", tiny.parents[1]]
    first = cli(*words)
    assert first.exit_code == 0
    assert f"tiny is in {server.url}/datasets/{REPO} (public), main at " in first.output
    assert "9 files sent (0.0 MB), 0 unchanged" in first.output
    told = json.loads(cli(*words, "--json").output)
    assert (told["sent"], len(told["unchanged"]), told["audit"]) == ([], 9, None)
    assert TOKEN not in first.output + json.dumps(told)


def test_a_recipe_publishes_what_it_wrote_and_drawn_twins_elsewhere(tmp_path):
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        '[04-to-parquet]\ndatasets = ["ipn"]\nvocabulary = "pointing"\nname = "mine-2"\n'
        f'[06-push-to-hub]\nrepo = "{REPO}"\n'
    )
    steps = {drawn: load_recipe(str(recipe), {}, synthetic=drawn).steps for drawn in (False, True)}
    pushes = {drawn: (found[-1].config.name, found[-1].config.repo) for drawn, found in steps.items()}
    assert pushes == {False: ("mine-2", REPO), True: ("mine-2-synthetic", f"{REPO}-synthetic")}


def test_the_documented_command_is_known(cli):
    page = (Path(__file__).parents[2] / "docs" / "publishing.md").read_text()
    for option in ("--repo", "--private", "--revision", "--force-licence", "--dry-run"):
        assert option in page
        assert option in cli("push-to-hub", "--help").output
