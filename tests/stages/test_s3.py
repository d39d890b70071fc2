"""All stages on a server that speaks S3, on this machine: the same files, byte for byte, as in a folder."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
from factories import annotate, frames, write_video

from pgc_data import paths
from pgc_data.errors import ConfigError, DataError
from pgc_data.paths import as_path, remote_of
from pgc_data.stages import audit, download, extract, prepare, synthesize, to_parquet
from pgc_data.storage import remote, store_lock
from pgc_data.storage.files import atomic_path, write_bytes
from pgc_data.storage.parquet import open_parquet, read_table, table_of, write_table
from pgc_data.storage.workspace import stage_lock

s3fs = pytest.importorskip("s3fs")
moto_server = pytest.importorskip("moto.server")
SECRET = "do-not-print-me"
LABELS = {"D0X": (1, 8), "B0A": (9, 20), "G05": (21, 24)}


@pytest.fixture(scope="module")
def server():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def _forget_connections():
    paths._filesystem.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def environment(server, monkeypatch):
    for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_"))]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": server, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1",
        "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    _forget_connections()
    yield monkeypatch
    _forget_connections()


@pytest.fixture
def bucket(environment):
    """An empty bucket, as a path."""
    bucket = as_path(f"s3://bucket-{uuid.uuid4().hex}")
    bucket.filesystem.mkdir(str(bucket))
    return bucket


@pytest.fixture
def raw(tmp_path):
    """Five people with one clip of 24 frames each, the last as a video: `local/raw/ipn` in `tmp_path`."""
    folder = tmp_path / "local" / "raw" / "ipn"
    rows = []
    for person in range(5):
        video = f"1CM1_{person}_R_#{person}"
        if person < 4:
            frames(folder, video, 24)
        else:
            write_video(folder / "videos" / f"{video}.avi", 24)
        rows += [f"{video},{label},1,{a},{b},{b - a + 1}" for label, (a, b) in LABELS.items()]
    annotate(folder, rows)
    # Gone, and cut off: both are told of alike.
    (folder / "frames" / "1CM1_0_R_#0" / "1CM1_0_R_#0_000002.jpg").unlink()
    (folder / "frames" / "1CM1_1_R_#1" / "1CM1_1_R_#1_000003.jpg").write_bytes(b"\xff\xd8 cut")
    return folder


@pytest.fixture
def workspaces(raw, bucket):
    """The same raw folder in a local workspace and in one on S3."""
    local, store = raw.parent.parent, bucket / "some" / "prefix"
    bucket.filesystem.put(f"{raw}/", f"{store / 'raw' / 'ipn'}/", recursive=True)
    return local, store


def run_stages(workspace, *names):
    configs = {
        prepare: prepare.PrepareConfig(workspace=workspace, dataset="ipn"),
        extract: extract.ExtractConfig(workspace=workspace, dataset="ipn", shard_frames=48),
        to_parquet: to_parquet.ToParquetConfig(
            workspace=workspace, datasets=("ipn",), vocabulary="pointing", table=("crops",)
        ),
        audit: audit.AuditConfig(workspace=workspace, path="ipn-pointing"),
    }
    return [stage.run(config) for stage, config in configs.items() if not names or stage in names]


def tree(workspace):
    """Relative path -> content of all that stages wrote; hidden files too, save the lock of a local folder."""
    if (store := remote_of(workspace)) is not None:
        found = [as_path(f"s3://{key}") for key in store.filesystem.find(str(store))]
    else:
        found = [path for path in workspace.rglob("*") if path.is_file() and path.name != ".lock"]
    names = {path.relative_to(workspace).as_posix(): path for path in found}
    return {
        name: path.read_bytes()
        for name, path in names.items()
        if not name.startswith("raw/") and "/logs/" not in name
    }


@pytest.mark.slow
def test_every_stage_writes_the_same_bytes_as_on_disk(workspaces, recorded):
    local, store = workspaces
    expected, found = run_stages(local), run_stages(store)
    assert tree(store) == tree(local)
    assert "parquet/ipn-pointing/crops/train-00000-of-00001.parquet" in tree(store)
    assert found[1].counts == expected[1].counts
    assert (found[1].counts["missing"], found[1].counts["undecodable"]) == (1, 1)
    assert found[3].audit.as_dict() == expected[3].audit.as_dict()
    # A second run finds everything done.
    again = run_stages(store, extract, to_parquet)
    assert (again[0].worked, again[1].fresh) == (0, ())


@pytest.mark.slow
def test_raw_lock_and_report_may_lie_elsewhere_than_the_workspace(workspaces, recorded, tmp_path):
    local, store = workspaces
    run_stages(local)
    for path in (local / "raw").rglob("*"):
        if path.is_file():
            path.unlink()
    mixed = tmp_path / "mixed"
    prepare.run(prepare.PrepareConfig(workspace=mixed, dataset="ipn", raw=store / "raw" / "ipn"))
    assert json.loads((mixed / "prepared" / "ipn" / "source.json").read_text())["raw"] == f"{store}/raw/ipn"
    run_stages(mixed, extract)
    assert tree(mixed / "extracted") == tree(local / "extracted")

    lock = store / "other" / "splits.parquet"
    write_bytes(lock, (local / "parquet" / "ipn-pointing" / "splits.parquet").read_bytes())
    made = to_parquet.run(
        to_parquet.ToParquetConfig(
            workspace=mixed, datasets=("ipn",), vocabulary="pointing", lock=lock, seed=7
        )
    )
    old = read_table(local / "parquet" / "ipn-pointing" / "splits.parquet", "splits")
    assert read_table(made.folder / "splits.parquet", "splits").equals(old)

    table = local / "parquet" / "ipn-pointing" / "crops"
    bucket = store / "published"
    for path in table.glob("*.parquet"):
        write_bytes(bucket / path.name, path.read_bytes())
    summary = audit.run(audit.AuditConfig(workspace=local, path=str(bucket), output=tmp_path / "report"))
    assert summary.audit.verdict in ("clean", "warning")
    assert (tmp_path / "report" / "report.html").is_file()


def test_an_extraction_that_was_stopped_goes_on(workspaces, recorded, monkeypatch):
    local, store = workspaces
    run_stages(local, prepare, extract)
    run_stages(store, prepare)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="stopped"):
        work = extract.extract_pack

        def stop(pack, attempt):
            if pack.number:
                raise RuntimeError("stopped")
            return work(pack, attempt)

        patch.setattr(extract, "extract_pack", stop)
        run_stages(store, extract)
    left = tree(store / "extracted" / "ipn")
    assert {"stats-00000.json", "hands-00000.parquet"} <= left.keys()
    assert not [name for name in left if "00001" in name or name.startswith(".")]
    assert run_stages(store, extract)[0].worked == 2
    assert tree(store / "extracted") == tree(local / "extracted")


# In a process of its own: makes a source on S3 and ends in the middle of a stage.
_KILLED = """
import os, signal, sys
from pgc_data.stages import prepare
from pgc_data.paths import as_path
prepare.class_balance_chart = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
prepare.run(prepare.PrepareConfig(workspace=as_path(sys.argv[1]), dataset="ipn", annotations_only=True))
"""


@pytest.mark.slow
def test_a_killed_run_is_followed_at_once_by_the_next(workspaces, monkeypatch):
    _, store = workspaces
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(store)], check=False)
    assert killed.returncode == -signal.SIGKILL
    folder = store / "prepared" / "ipn"
    assert (folder / ".lock").is_file()
    assert not (folder / "samples.parquet").exists()
    # Its process is gone, and this machine can see that.
    monkeypatch.setattr(store_lock, "SETTLE_SECONDS", 0.05)
    run_stages(store, prepare)
    assert (folder / "samples.parquet").is_file()
    assert not (folder / ".lock").exists()


@pytest.mark.slow
def test_worker_processes_read_and_write_the_store(workspaces, tmp_path):
    local, store = workspaces
    run_stages(local, prepare)
    run_stages(store, prepare)
    (tmp_path / "m.task").touch()
    script = tmp_path / "run.py"
    script.write_text(_IN_WORKERS)
    folders = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])
    for workspace in (local, store):
        subprocess.run(
            [sys.executable, script, str(workspace), str(tmp_path / "m.task")], check=True,
            env={**os.environ, "PYTHONPATH": folders},
        )  # fmt: skip
    assert tree(store / "extracted") == tree(local / "extracted")


_IN_WORKERS = """
import sys
from pathlib import Path
from factories import RecordedBackend
from pgc_data.hands.model_file import ModelFile
from pgc_data.paths import as_path
from pgc_data.stages import extract

def make(*what):
    return RecordedBackend()

if __name__ == "__main__":
    extract.find_hand_model = lambda given: ModelFile(Path(sys.argv[2]), "0" * 64, "recorded")
    config = extract.ExtractConfig(workspace=as_path(sys.argv[1]), dataset="ipn", shard_frames=48, workers=2)
    assert extract.run(config, make).worked == 3
"""


def test_a_table_half_replaced_is_made_again(workspaces, recorded, monkeypatch):
    local, store = workspaces
    run_stages(store, prepare, extract, to_parquet)

    def config(workspace, **more):
        return to_parquet.ToParquetConfig(
            workspace=workspace, datasets=("ipn",), vocabulary="pointing", min_size=9, overwrite=True, **more
        )

    copies = []

    def stop(path, to):
        copies.append(to)
        if len(copies) == 2:
            raise DataError("the store is gone")
        copy(path, to)

    copy = remote.copy_file
    with monkeypatch.context() as patch, pytest.raises(DataError, match="gone"):
        patch.setattr("pgc_data.tables.writer.copy_file", stop)
        to_parquet.run(config(store))
    table = store / "parquet" / "ipn-pointing" / "crops"
    assert [path.name for path in table.iterdir()] == [copies[0].name]
    assert to_parquet.run(config(store)).fresh == ("crops",)
    run_stages(local, prepare, extract)
    to_parquet.run(config(local))
    whole = {name: data for name, data in tree(local / "parquet").items() if "/crops/" in name}
    assert {
        name: data for name, data in tree(store / "parquet").items() if "crops" in name.split("/")[1]
    } == whole


@pytest.mark.parametrize("size", [1000, 110 << 20], ids=["in one piece", "in parts"])
def test_an_upload_that_breaks_leaves_the_old_file(bucket, monkeypatch, size):
    path = bucket / "a" / "file.bin"
    write_bytes(path, b"old")
    real = s3fs.S3FileSystem._call_s3

    async def broken(self, method, *arguments, **more):
        if method == "put_object" or (method == "upload_part" and more["PartNumber"] == 2):
            raise ConnectionResetError(104, "reset")
        return await real(self, method, *arguments, **more)

    with monkeypatch.context() as patch, pytest.raises(DataError, match=r"cannot be reached|failed"):
        patch.setattr(s3fs.S3FileSystem, "_call_s3", broken)
        write_bytes(path, bytes(size))
    assert tree(bucket) == {"a/file.bin": b"old"}


def test_what_fails_before_the_end_is_never_sent(bucket):
    with pytest.raises(RuntimeError), atomic_path(bucket / "half") as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert not (bucket / "half").exists()
    assert not temporary.exists()


def test_only_the_columns_and_rows_asked_for_are_fetched(bucket, monkeypatch):
    rows = [
        {"stage": "x", "source": "s", "item": os.urandom(800).hex(), "action": "dropped", "reason": str(n % 7),
         "count": n, "unit": "rows", "detail": None}
        for n in range(6000)
    ]  # fmt: skip
    path = bucket / "ledger.parquet"
    write_table(path, table_of("ledger", rows), "ledger", {})
    size = path.stat().st_size
    assert size > remote._READ_WHOLE
    fetched = []
    real = s3fs.S3FileSystem._call_s3

    async def counted(self, method, *arguments, **more):
        found = await real(self, method, *arguments, **more)
        if method == "get_object":
            fetched.append(found["ContentLength"])
        return found

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", counted)
    assert read_table(path, "ledger", ["count"])["count"].to_pylist() == list(range(6000))
    assert sum(fetched) < size / 10
    assert len(fetched) < 12
    with open_parquet(path, "ledger") as file:
        assert file.metadata.num_rows == 6000


class TestLock:
    def test_one_run_keeps_another_out_and_says_who_it_is(self, bucket):
        folder = bucket / "x"
        with stage_lock(folder):
            with pytest.raises(DataError, match=rf"process {os.getpid()} on .*or remove {folder}/\.lock"):
                stage_lock(folder).__enter__()
            assert list(folder.iterdir()) == [folder / ".lock"]
        assert list(folder.glob("*")) == []
        with stage_lock(folder):
            pass

    def test_of_many_at_once_one_gets_it(self, bucket, monkeypatch):
        start, held = threading.Barrier(6), []
        done = threading.Event()

        def run():
            start.wait()
            try:
                with stage_lock(bucket / "x"):
                    held.append(True)
                    done.wait(20)
            except DataError:
                held.append(False)
            if len(held) == 6:
                done.set()

        threads = [threading.Thread(target=run) for _ in range(6)]
        for thread in threads:
            thread.start()
        while len(held) < 6 and any(thread.is_alive() for thread in threads):
            time.sleep(0.01)
        done.set()
        for thread in threads:
            thread.join()
        assert sorted(held) == [False] * 5 + [True]

    @pytest.mark.parametrize(
        ("machine", "process", "age", "taken"),
        [
            ("here", 2**22 + 1, 0, True),
            ("elsewhere", 2**22 + 1, 0, False),
            ("elsewhere", 1, 3600, True),
            ("", 1, 0, False),
        ],
    )
    def test_only_a_dead_run_is_taken_over(self, bucket, monkeypatch, machine, process, age, taken):
        monkeypatch.setattr(store_lock, "SETTLE_SECONDS", 0.01)
        monkeypatch.setattr(store_lock, "STALE_SECONDS", 1800 - age)
        machine = store_lock._machine() if machine == "here" else machine
        held = {"token": "t", "since": 0.0, "host": "h", "process": process, "machine": machine}
        lock = bucket / "x" / ".lock"
        write_bytes(lock, json.dumps(held).encode())
        if taken:
            with stage_lock(bucket / "x"):
                assert json.loads(lock.read_bytes())["token"] != "t"
            assert not lock.exists()
        else:
            with pytest.raises(DataError, match="another pgc-data run"):
                stage_lock(bucket / "x").__enter__()
            assert json.loads(lock.read_bytes()) == held

    def test_it_is_kept_fresh_and_its_loss_is_noticed(self, bucket, monkeypatch):
        monkeypatch.setattr(store_lock, "REFRESH_SECONDS", 0.02)
        lock = bucket / "x" / ".lock"
        with pytest.raises(DataError, match="taken over by another run"), stage_lock(bucket / "x"):
            first = lock.read_bytes()
            while lock.read_bytes() == first:
                time.sleep(0.01)
            other = {"token": "another"}
            for _ in range(3):
                write_bytes(lock, json.dumps(other).encode())
                time.sleep(0.1)
        assert json.loads(lock.read_bytes()) == other

    def test_a_store_without_conditional_writes_is_spoken_of(self, bucket, monkeypatch, caplog):
        real = s3fs.S3FileSystem._call_s3

        async def deaf(self, method, *arguments, **more):
            more.pop("IfNoneMatch", None)
            return await real(self, method, *arguments, **more)

        monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", deaf)
        with stage_lock(bucket / "x"):
            pass
        assert "does not support conditional writes" in caplog.text


def _no_credentials(patch, server):
    patch.delenv("AWS_ACCESS_KEY_ID")
    patch.delenv("AWS_SECRET_ACCESS_KEY")


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        (lambda patch, server: None, "s3://no-such-bucket/x", r"there is no bucket s3://no-such-bucket: make it first"),
        (_no_credentials, "s3://b1b1/x", r"no usable credentials for s3://b1b1 .*set AWS_ACCESS_KEY_ID"),
        (
            lambda patch, server: patch.setenv("AWS_PROFILE", "nobody"),
            "s3://b1b1/x", r"no usable credentials .*ProfileNotFound",
        ),
        (
            lambda patch, server: patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
            "s3://b1b1/x", r"s3://b1b1 cannot be reached .*AWS_ENDPOINT_URL",
        ),
        (lambda patch, server: None, "s3://", r"names no bucket: write s3://BUCKET/FOLDER"),
        (lambda patch, server: None, "ftp://host/x", r"is on 'ftp'.*begins with s3://"),
        (lambda patch, server: None, "gs://b/x", r"gs:// paths need the package gcsfs: pip install gcsfs"),
    ],
    ids=["bucket", "credentials", "profile", "refused connection", "no bucket named", "unknown", "not installed"],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(environment, server, cli, raw, change, path, message):
    change(environment, server)
    environment.setattr(s3fs.S3FileSystem, "retries", 1)
    _forget_connections()
    result = cli("prepare", "ipn", "--workspace", path, "--raw", raw)
    assert result.exit_code in (1, 2)
    assert result.output.count("\n") == 1
    assert SECRET not in result.output
    assert re.search(message, result.output), result.output


def test_access_denied_is_said_in_one_line(bucket, monkeypatch):
    async def refuse(self, method, *arguments, **more):
        raise PermissionError("Forbidden")

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", refuse)
    for what in (
        bucket.exists,
        bucket.read_bytes,
        lambda: write_bytes(bucket / "x", b""),
        lambda: [*bucket.entries()],
    ):
        with pytest.raises(DataError, match=r"refuses access to .*check the credentials"):
            what()


@pytest.mark.parametrize(
    ("stage", "config"), [(download, download.DownloadConfig), (synthesize, synthesize.SynthesizeConfig)]
)
def test_raw_data_are_made_on_this_machine_only(stage, config):
    settings = config(workspace=as_path("s3://bucket/x"), dataset="ipn")
    for call in (stage.plan, stage.run):
        with pytest.raises(ConfigError, match=r"copy its raw/ipn\S* to the store, and go on with"):
            call(settings)


def test_the_command_line_and_a_dry_run(workspaces, cli):
    _, store = workspaces
    before = tree(store)
    result = cli("prepare", "ipn", "--workspace", store, "--dry-run")
    assert f"would read   {store}/raw/ipn" in result.output
    assert tree(store) == before
    assert f"in {store}/prepared/ipn" in cli("prepare", "ipn", "--workspace", store).output
    result = cli("audit", f"{store}/prepared", "--workspace", store)
    assert "no Parquet files" in result.output
