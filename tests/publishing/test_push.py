"""Pushing to a stand-in of the Hub: what arrives, what is sent again, what goes, and what failures get."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading

import datasets
import pytest
from publishing.hub_server import TOKEN, HubServer, known_only, running
from publishing.tiny_dataset import write_audit, write_manifest, write_tables

from pgc_data.errors import ConfigError, DataError
from pgc_data.paths import as_path
from pgc_data.publishing import push as pushing
from pgc_data.stages.push_to_hub import PushToHubConfig, run

REPO, STAGING = "ada/tiny", "pgc-data-upload-main"


def push(tiny, **options):
    return run(PushToHubConfig(workspace=tiny.parents[1], name="tiny", repo=REPO, **options))


def published(tiny):
    """Path -> bytes of what belongs on the Hub."""
    paths = [*tiny.glob("[!.]*/*.parquet"), *(tiny / name for name in ("README.md", "manifest.json"))]
    return {p.relative_to(tiny).as_posix(): p.read_bytes() for p in [*paths, tiny / "splits.parquet"]}


def held(server, branch="main"):
    """Path -> bytes of a branch, without what the Hub itself puts there."""
    return {path: data for path, data in server.files(REPO, branch).items() if path != ".gitattributes"}


def rewrite(tiny, **tables):
    """Other tables in place of those there are."""
    for path in tiny.glob("[!.]*/*.parquet"):
        path.unlink()
    write_tables(tiny, **tables)
    write_manifest(tiny)


@pytest.mark.parametrize("part_bytes", [None, 300])
def test_everything_arrives_and_nothing_else(tiny, server, part_bytes):
    server.part_bytes = part_bytes
    done = push(tiny).pushed
    assert held(server) == published(tiny)
    assert len(done.sent) == 9
    assert done.sent_bytes == sum(map(len, published(tiny).values()))
    assert server.repos[REPO].branches.keys() == {"main"}


def test_datasets_reads_what_the_server_holds(tiny, server, tmp_path):
    push(tiny)
    for path, data in server.files(REPO).items():
        (tmp_path / "got" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "got" / path).write_bytes(data)
    read = {
        kind: datasets.load_dataset(str(tmp_path / "got"), kind, cache_dir=str(tmp_path / "cache"))
        for kind in ("crops", "windows")
    }
    assert {kind: {s: len(rows) for s, rows in splits.items()} for kind, splits in read.items()} == {
        "crops": {"train": 12, "test": 4}, "windows": {"train": 4},
    }  # fmt: skip


def test_the_audit_of_these_files_goes_along(tiny, server):
    write_audit(tiny, "warning")
    assert push(tiny).dataset.audit == "warning"
    assert {path for path in held(server) if path.startswith("audit/")} == {
        "audit/audit.json",
        "audit/report.html",
    }
    rewrite(tiny, shards=2)
    assert push(tiny).pushed.removed == (
        "audit/audit.json", "audit/report.html", "crops/train-00000-of-00003.parquet",
        "crops/train-00001-of-00003.parquet", "crops/train-00002-of-00003.parquet",
    )  # fmt: skip
    assert held(server) == published(tiny)


def test_a_second_push_changes_and_sends_nothing(tiny, server):
    commit = push(tiny).pushed.commit
    server.requests.clear()
    again = push(tiny).pushed
    assert (again.sent, len(again.unchanged), again.commit) == ((), 9, commit)
    assert server.writes == []


def test_one_commit_takes_all_and_names_the_licences(tiny, server):
    push(tiny)
    titles = [entry for entry in server.repos[REPO].titles if entry[0] == "main"]
    assert len(titles) == 2
    assert titles[1][1].startswith("Push tiny with pgc-data ")
    assert "ipn (CC BY 4.0) may be published" in titles[1][2]


def test_what_an_earlier_push_had_more_goes_and_what_others_put_there_stays(tiny, server):
    push(tiny)
    main = server.repos[REPO]
    notes = server.keep(b"mine")
    main.add("main", {**main.tree("main"), "notes.txt": notes, "mine/train-00000-of-00001.parquet": notes})
    sent = len(server.received)
    # Two of the three shards are the same under other names, the tables of windows are gone.
    for path in [*tiny.glob("crops/train*"), *tiny.glob("windows/*")]:
        if path.name.startswith("train-00002") or path.parent.name == "windows":
            path.unlink()
        else:
            path.rename(path.with_name(path.name.replace("of-00003", "of-00002")))
    write_manifest(tiny)
    done = push(tiny).pushed
    assert set(done.removed) == {
        "windows/train-00000-of-00001.parquet",
        *(f"crops/train-0000{n}-of-00003.parquet" for n in range(3)),
    }
    mine = {"notes.txt": b"mine", "mine/train-00000-of-00001.parquet": b"mine"}
    assert held(server) == {**published(tiny), **mine}
    assert len(server.received) == sent


def test_a_manifest_of_somebody_else_names_nothing_to_remove(tiny, server):
    push(tiny)
    main = server.repos[REPO]
    main.add("main", {**main.tree("main"), "manifest.json": server.keep(b'{"files": ["notes.txt"]}')})
    assert push(tiny).pushed.removed == ()
    assert held(server) == published(tiny)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (["PUT /store", 3, 99, "cut"], "cannot be reached"),
        (["PUT /store", 3, 99, 503], "the Hub failed"),
        ([f"POST .*/commit/{STAGING}", 1, 1, 500], "the Hub failed"),
        (["POST .*/commit/main", 0, 1, 500], "the Hub failed"),
        (["POST .*/commit/main", 0, 1, "cut"], "cannot be reached"),
    ],
)
def test_a_push_that_breaks_off_goes_on(tiny, server, monkeypatch, fault, said):
    monkeypatch.setattr(pushing, "_BATCH_FILES", 3)
    server.faults = [fault]
    with pytest.raises(DataError, match=f"{said}.*run the same command again to go on"):
        push(tiny)
    assert held(server) == {}
    before = list(server.received)
    server.faults = []
    done = push(tiny).pushed
    assert held(server) == published(tiny)
    assert len(before) >= 3
    assert len(server.received) == len(set(server.received)) == 7
    assert len(done.sent) + len(done.waiting) == 9
    assert server.repos[REPO].branches.keys() == {"main"}


def test_failures_that_pass_are_not_noticed(tiny, server):
    server.faults = [["PUT /store", 1, 2, 500], ["preupload", 0, 1, 503], ["PUT /store", 2, 1, "cut"]]
    push(tiny)
    assert held(server) == published(tiny)


def test_a_killed_push_goes_on(tiny, server):
    reached, let_go = threading.Event(), threading.Event()

    def stall(line):
        if line.startswith("PUT /store") and len(server.received) >= 4:
            reached.set()
            let_go.wait(60)

    server.before = stall
    code = (
        "import sys; from pgc_data import cli; from pgc_data.publishing import push; push._BATCH_FILES = 4; "
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "push-to-hub", "tiny", "--repo", REPO, "--workspace"]
    environment = {**os.environ, "HF_ENDPOINT": server.url, "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": TOKEN}
    process = subprocess.Popen([*command, str(tiny.parents[1])], env=environment, start_new_session=True)
    try:
        assert reached.wait(60)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    server.before = lambda line: None
    assert held(server) == {}
    before = list(server.received)
    again = subprocess.run(
        [*command, str(tiny.parents[1])], env=environment, capture_output=True, text=True, timeout=120
    )
    received = list(server.received)
    let_go.set()
    assert again.returncode == 0, again.stderr
    assert held(server) == published(tiny)
    assert received[: len(before)] == before
    assert len(received) == len(set(received)) == 7
    assert "sent by a run that was stopped" in again.stdout
    assert TOKEN not in again.stdout + again.stderr


def test_a_push_that_stopped_at_the_very_end_only_tidies_up(tiny, server):
    server.faults = [["DELETE", 0, 9, 500]]
    with pytest.raises(DataError, match="the Hub failed"):
        push(tiny)
    assert held(server) == published(tiny)
    server.faults, server.requests = [], []
    assert push(tiny).pushed.sent == ()
    assert server.writes == [f"DELETE /api/datasets/{REPO}/branch/{STAGING}"]


def test_somebody_else_pushes_meanwhile(tiny, server):
    def interfere(line):
        if line.endswith("/commit/main") and not server.faults:
            server.faults = [["nothing", 0, 0, 0]]
            repo = server.repos[REPO]
            repo.add("main", {**repo.tree("main"), "other.txt": server.keep(b"other")})

    server.before = interfere
    with pytest.raises(DataError, match=r"somebody else changed it meanwhile.*again"):
        push(tiny)
    push(tiny)
    assert held(server) == {**published(tiny), "other.txt": b"other"}


def test_a_file_that_changes_while_it_is_sent(tiny, server):
    def change(line):
        if line.startswith("POST") and "/branch/" in line:
            (tiny / "splits.parquet").write_bytes((tiny / "ledger/crops.parquet").read_bytes())

    server.before = change
    with pytest.raises(DataError, match=r"splits\.parquet changed while it was sent"):
        push(tiny)
    assert held(server) == {}


def test_branches(tiny, server):
    push(tiny)
    write_tables(tiny, first=5)
    write_manifest(tiny)
    assert push(tiny, revision="next/one").revision == "next/one"
    assert held(server, "next/one") == published(tiny) != held(server)
    assert server.repos[REPO].branches.keys() == {"main", "next/one"}


def test_private(tiny, server):
    assert push(tiny, private=True).pushed.private is True
    assert push(tiny).pushed.private is True
    server.repos[REPO].private = False
    with pytest.raises(ConfigError, match="is there and public"):
        push(tiny, private=True)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ([r"GET /api/datasets/ada/tiny$", 0, 1, 403], "may not write here"),
        (["POST .*/branch/", 0, 1, 403], r"may not write here.*\(status 403: made to fail\)"),
        (["POST /api/repos/create", 0, 1, 402], "paid plan"),
        (["POST /api/repos/create", 0, 1, 400], r"refuses \(status 400"),
        (["objects/batch", 0, 1, 413], "too large"),
        (["objects/batch", 0, 9, 429], "too many requests"),
        (["POST .*/commit/", 0, 1, 404], "no such repository or branch"),
        (["POST .*/commit/main", 0, 1, 409], "somebody else is changing it"),
    ],
)
def test_what_the_hub_answers_is_one_line(tiny, server, cli, fault, message):
    server.faults = [fault]
    result = cli("push-to-hub", "tiny", "--repo", REPO, "--workspace", tiny.parents[1])
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert re.search(message, line)
    assert line.startswith("pgc-data: ada/tiny: ")


def test_what_the_hub_says_of_a_file_is_told(tiny, server):
    server.batch_error = "no room at https://store/x?signature=secret"
    with pytest.raises(DataError, match=r"LFS batch API.*no room at https://store/x;? .*to go on") as error:
        push(tiny)
    assert "secret" not in str(error.value)


def test_a_push_ends_well_only_if_all_is_there(tiny, server):
    def undo(line):
        repo = server.repos.get(REPO)
        if line.endswith("/tree/main") and repo and repo.titles[-1][1].startswith("Push"):
            repo.branches["main"] = next(iter(repo.commits))

    server.before = undo
    with pytest.raises(DataError, match=r"did not arrive: run the same command again"):
        push(tiny)


@pytest.mark.parametrize(
    ("environment", "status", "message"),
    [
        ({"HF_TOKEN": "hf_wrong"}, 1, "does not accept the token"),
        ({"HF_TOKEN": ""}, 2, "no token for the Hub: run `hf auth login`"),
    ],
)
def test_tokens(tiny, server, cli, monkeypatch, environment, status, message):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    result = cli("push-to-hub", "tiny", "--repo", REPO, "--workspace", tiny.parents[1])
    assert result.exit_code == status
    (line,) = result.output.splitlines()
    assert message in line
    assert "hf_wrong" not in line
    assert server.repos == {}


def test_a_token_of_the_login_is_used(tiny, server, monkeypatch, tmp_path):
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / "token").write_text(TOKEN)
    push(tiny)
    assert held(server) == published(tiny)


def test_the_repository_of_others(tiny, server):
    with pytest.raises(DataError, match=r"others/tiny: the token may not write here.*the rights to create"):
        run(PushToHubConfig(workspace=tiny.parents[1], name="tiny", repo="others/tiny"))


def test_a_name_that_the_hub_cannot_have(tiny, server):
    with pytest.raises(ConfigError, match="cannot be on the Hub"):
        run(PushToHubConfig(workspace=tiny.parents[1], name="tiny", repo="ada/a--b"))
    assert server.requests == []


def test_a_card_that_the_hub_refuses_is_known_before_tables_are_sent(tiny, server):
    write_manifest(tiny, card_licence="bad")
    with pytest.raises(DataError, match=r"does not accept the card: .*\"license\" must be one of"):
        push(tiny)
    assert server.received == []


def test_no_network(tiny, server, monkeypatch, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with (
        known_only(monkeypatch, tmp_path, url),
        pytest.raises(DataError, match=r"cannot be reached \(Connect"),
    ):
        push(tiny)


def test_offline(tiny, server, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match="HF_HUB_OFFLINE is set"):
        push(tiny)


def test_without_the_package(tiny, server, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigError, match=r"pip install 'pgc-data\[hub\]'"):
        push(tiny)
    assert server.requests == []


def test_a_dataset_in_a_store(tiny, server):
    store = as_path(f"memory://push-{tiny.parents[1].name}")
    for path in tiny.rglob("*.*"):
        if path.is_file():
            target = store / "parquet/tiny" / path.relative_to(tiny).as_posix()
            target.filesystem.pipe_file(str(target), path.read_bytes())
    run(PushToHubConfig(workspace=store, name="tiny", repo=REPO))
    assert held(server) == published(tiny)


@pytest.fixture
def xet(monkeypatch, tmp_path):
    """A Hub whose files lie in Xet's storage, which the client is told is a folder."""
    pytest.importorskip("hf_xet")
    server = HubServer(cas=f"local://{tmp_path}/cas")
    with running(server), known_only(monkeypatch, tmp_path, server.url, xet=True):
        yield server


def stored(tmp_path):
    """Size of each of the pieces that Xet's storage holds."""
    return {p.name: p.stat().st_size for p in (tmp_path / "cas").rglob("default.*") if p.suffix != ".tagset"}


def fetched(tmp_path, path):
    """What Xet's storage gives for a file of these bytes."""
    hf_xet = pytest.importorskip("hf_xet")
    (info,) = hf_xet.hash_files([str(path)])
    wanted = hf_xet.XetFileInfo(info.hash, info.file_size)
    with hf_xet.XetSession().new_file_download_group(
        endpoint=f"local://{tmp_path}/cas", token="t", token_expiry_unix_secs=9_999_999_999
    ) as group:
        group.start_download_file(wanted, str(tmp_path / "fetched"))
    return (tmp_path / "fetched").read_bytes()


def test_xet(tiny, xet, tmp_path, monkeypatch):
    monkeypatch.setattr(pushing, "_BATCH_FILES", 3)
    xet.faults = [["POST .*/commit/main", 0, 1, 500]]
    with pytest.raises(DataError):
        push(tiny)
    pieces = stored(tmp_path)
    done = push(tiny).pushed
    assert (len(done.sent), len(done.waiting)) == (0, 9)
    assert stored(tmp_path) == pieces != {}
    assert xet.received == []
    assert held(xet).keys() == published(tiny).keys()
    for path in published(tiny):
        if path.endswith(".parquet"):
            assert fetched(tmp_path, tiny / path) == (tiny / path).read_bytes()
    xet.requests.clear()
    push(tiny)
    assert xet.writes == []
