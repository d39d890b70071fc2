"""`pgc-data download` as a whole: against local servers, with small stand-ins of the datasets' files."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple

import pytest
from downloads.download_servers import FileServer, KaggleServer, noise, running, tgz_of, tree, zip_of
from kagglesdk import kaggle_env

from pgc_data.downloads import estimate, http, sources
from pgc_data.downloads.sources import Offer, RemoteFile, Source
from pgc_data.errors import ConfigError, DataError
from pgc_data.stages import download
from pgc_data.stages.download import DownloadConfig

IMAGES = {f"leapGestRecog/00/01_palm/frame_00_01_{n:04}.png": noise(5000, n) for n in range(40)}
ZIP = zip_of(IMAGES)
CLIPS = {
    f"20bn-jester-v1/{c}/{n:05}.jpg": noise(3000, 100 * c + n) for c in range(1, 41) for n in range(1, 11)
}
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def impatient(monkeypatch, tmp_path):
    monkeypatch.setattr(http, "BACKOFF_S", 0.001)
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kaggle-cache"))


@pytest.fixture
def server():
    with running(FileServer()) as started:
        started.files["/leapgestrecog.zip"] = ZIP
        yield started


@pytest.fixture
def get(tmp_path, server):
    """Downloads into `tmp_path`, LeapGestRecog from the server unless told otherwise."""

    def call(dataset="leapgestrecog", **options):
        if not {"base_url", "from_dir", "kaggle_slug", "source", "verify"} & set(options):
            options["base_url"] = server.url
        return download.run(DownloadConfig(workspace=tmp_path, dataset=dataset, **options))

    return call


def test_an_archive_comes_is_unpacked_and_written_down(get, server, tmp_path):
    summary = get()
    raw = tmp_path / "raw" / "leapgestrecog"
    assert tree(raw) == IMAGES
    assert summary.as_dict()["bytes_transferred"] == len(ZIP)
    assert summary.as_dict()["files"] == {"unpacked": 40}
    manifest = json.loads((raw / "download.json").read_text())
    unit = manifest["units"]["leapgestrecog.zip"]
    assert unit["from"]["leapgestrecog.zip"] == {
        "url": f"{server.url}/leapgestrecog.zip", "bytes": len(ZIP), "sha256": hashlib.sha256(ZIP).hexdigest(),
    }  # fmt: skip
    assert (unit["files"], unit["bytes"], unit["done"]) == (40, 200_000, True)
    assert manifest["licence"] == "CC BY-NC-SA 4.0"


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum here")
def test_sha256sum_understands_the_list(get, tmp_path):
    get()
    raw = tmp_path / "raw" / "leapgestrecog"
    command = ["sha256sum", "-c", "--quiet", ".download/leapgestrecog.zip.sha256"]
    assert subprocess.run(command, cwd=raw, check=False).returncode == 0


def test_a_second_run_asks_nobody(get, server):
    get()
    server.requests.clear()
    summary = get()
    assert not server.requests
    assert (summary.transferred, summary.there, dict(summary.files)) == (0, 200_000, {})
    assert "nothing to do" in "\n".join(summary.lines())


def test_two_runs_write_the_same_manifest(get, tmp_path):
    get()
    get(name="again")
    first, second = (
        (tmp_path / "raw" / n / "download.json").read_bytes() for n in ("leapgestrecog", "again")
    )
    assert first == second


def test_archives_can_be_kept(get, tmp_path):
    get(keep_archives=True)
    assert (tmp_path / "raw/leapgestrecog/archives/leapgestrecog.zip").read_bytes() == ZIP


def test_verify_finds_damage_and_the_next_run_mends_it(get, tmp_path):
    get()
    assert get(verify=True).exit_code == 0
    first, second = (tmp_path / "raw/leapgestrecog" / name for name in list(IMAGES)[:2])
    first.write_bytes(bytes(5000))
    second.unlink()
    found = get(verify=True)
    assert found.exit_code == 1
    assert found.as_dict()["bad_files"] == 2
    assert "0001.png is missing" in "\n".join(found.lines())
    get()
    assert get(verify=True).as_dict()["whole"] == 40
    assert first.read_bytes() == IMAGES[next(iter(IMAGES))]


def test_verify_needs_a_manifest(get):
    with pytest.raises(DataError, match="nothing to verify"):
        get(verify=True)


def test_a_damaged_archive_is_removed_so_that_it_is_fetched_again(get, server, tmp_path):
    server.files["/leapgestrecog.zip"] = ZIP[:100_000]
    with pytest.raises(DataError, match=r"leapgestrecog images could not be had: http: .*damaged"):
        get()
    server.files["/leapgestrecog.zip"] = ZIP
    assert get().transferred == len(ZIP)


# The child process downloads slowly until it is killed.
CHILD = """
import sys
from pathlib import Path
from pgc_data.stages.download import DownloadConfig, run
run(DownloadConfig(workspace=Path(sys.argv[1]), dataset="leapgestrecog", base_url=sys.argv[2]))
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL there")
def test_a_download_killed_at_60_percent_transfers_only_the_rest(get, server, tmp_path):
    content = {f"leapGestRecog/{n:04}.png": noise(100_000, n) for n in range(60)}
    archive = server.files["/leapgestrecog.zip"] = zip_of(content)
    server.bytes_per_second = 6_000_000
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path), server.url], stderr=subprocess.DEVNULL
    )
    part = tmp_path / "raw/leapgestrecog/archives/leapgestrecog.zip.part"
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size >= 0.6 * len(archive)):
        assert time.monotonic() < deadline and child.poll() is None
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    time.sleep(0.1)
    server.bytes_per_second = None
    server.sent.clear()
    here = part.stat().st_size
    summary = get()
    share = server.total_sent / len(archive)
    assert server.total_sent == summary.transferred == len(archive) - here
    assert 0 < share <= 0.4, f"killed at {here / len(archive):.1%}, then transferred {share:.1%}"
    assert get(verify=True).as_dict()["whole"] == 60


@pytest.fixture
def jester(monkeypatch, server):
    """A small Jester in three parts on the server, one source."""
    archive = tgz_of(CLIPS)
    cuts = (0, len(archive) // 3, 2 * len(archive) // 3, len(archive))
    parts = [archive[a:b] for a, b in itertools.pairwise(cuts)]
    files = []
    for number, content in enumerate(parts):
        server.files[f"/part-{number}"] = content
        digest = hashlib.sha256(content).hexdigest()
        files.append(RemoteFile(f"part-{number}", f"part-{number}", bytes=len(content), sha256=digest))
    source = Source("http", base=server.url, files=tuple(files), joined="jester.tgz")
    offer = Offer("jester", "clips", "clips", "jester", len(archive), (source,))
    monkeypatch.setitem(sources.OFFERS, "jester", (offer,))
    return archive


def disk_used(folder):
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def test_parts_are_joined_with_one_of_them_on_the_disk_at_most(get, server, jester, tmp_path, monkeypatch):
    peak = 0
    raw = tmp_path / "raw" / "jester"
    finish = http._Transfer.finish

    def watched(self):
        nonlocal peak
        fetched = finish(self)
        peak = max(peak, disk_used(raw))
        return fetched

    monkeypatch.setattr(http._Transfer, "finish", watched)
    summary = get("jester", accept_license=True)
    assert tree(raw / "20bn-jester-v1") == {n.removeprefix("20bn-jester-v1/"): c for n, c in CLIPS.items()}
    assert summary.transferred == len(jester)
    unpacked = sum(map(len, CLIPS.values()))
    # Unpacked so far, one part, a restart point of a few hundred kB and the list.
    assert peak < unpacked + 400_000 < 1.5 * len(jester)
    assert not (raw / "archives").exists()
    assert [p.name for p in (raw / ".download").iterdir()] == ["jester.tgz.sha256"]
    assert len(json.loads((raw / "download.json").read_text())["units"]["jester.tgz"]["from"]) == 3


@pytest.mark.parametrize("stop_at", [30, 200, 399])
@pytest.mark.parametrize("keep", [False, True])
def test_a_stopped_join_goes_on_without_the_parts_it_used_up(
    get, server, jester, tmp_path, monkeypatch, stop_at, keep
):
    place, count = download.fetch_source.__globals__["SplitArchive"].unpack, 0

    def stopping(self, *words):
        nonlocal count
        for file in place(self, *words):
            count += 1
            if count == stop_at:
                raise KeyboardInterrupt
            yield file

    monkeypatch.setattr("pgc_data.downloads.fetcher.SplitArchive.unpack", stopping)
    with pytest.raises(KeyboardInterrupt):
        get("jester", accept_license=True, keep_archives=keep)
    first = server.total_sent
    monkeypatch.setattr("pgc_data.downloads.fetcher.SplitArchive.unpack", place)
    get("jester", accept_license=True, keep_archives=keep)
    assert server.total_sent == len(jester)
    assert first < len(jester) or stop_at > 250
    raw = tmp_path / "raw" / "jester"
    assert tree(raw / "20bn-jester-v1") == {n.removeprefix("20bn-jester-v1/"): c for n, c in CLIPS.items()}
    assert get("jester", verify=True).as_dict()["whole"] == len(CLIPS)
    assert (raw / "archives").exists() == keep


def test_a_wrong_part_is_refused(get, server, jester):
    server.files["/part-1"] = noise(len(server.files["/part-1"]))
    with pytest.raises(DataError, match="part-1: what came is not the file expected"):
        get("jester", accept_license=True)


def test_the_licence_must_be_accepted_and_is_shown(get, server, jester, capsys):
    with pytest.raises(ConfigError, match=r"Qualcomm.*https://www.qualcomm.com.*--accept-license") as caught:
        get("jester")
    assert caught.value.exit_code == 2
    assert not server.requests
    get("jester", accept_license=True)
    shown = capsys.readouterr().err
    assert "licence: Qualcomm Research Use License" in shown
    assert "disk:" in shown and "to transfer:" in shown


def test_a_small_disk_is_refused_with_the_figures(get, server, jester, monkeypatch):
    monkeypatch.setattr(estimate.shutil, "disk_usage", lambda path: Usage(0, 0, 1_000_000))
    with pytest.raises(
        DataError, match=r"1\.\d MB of disk are needed, but only 1\.0 MB are free in .*--workspace"
    ):
        get("jester", accept_license=True)
    assert not server.requests


def test_drawn_data_is_not_mixed_with_real(get, tmp_path):
    (tmp_path / "raw" / "leapgestrecog").mkdir(parents=True)
    (tmp_path / "raw" / "leapgestrecog" / "synthetic.json").write_text("{}")
    with pytest.raises(DataError, match="holds drawn data"):
        get()


def test_releases_are_not_mixed(get, server):
    for name in ("subsample", "ann_subsample"):
        server.files[f"/{name}.zip"] = zip_of({f"{name}/call/a.jpg": b"a"})
    get("hagrid", subset="subsample", accept_license=True)
    with pytest.raises(DataError, match=r"holds hagrid v1-subsample, which may not be mixed with hagrid 2.0"):
        get("hagrid", subset="2.0", classes=("call",), accept_license=True)


def test_what_failed_before_anything_came_is_not_in_the_way(get, server):
    with pytest.raises(DataError, match=r"subsample\.zip does not exist"):
        get("hagrid", subset="subsample", accept_license=True)
    server.files["/hagrid_v2/annotations_with_landmarks/annotations.zip"] = zip_of(
        {"train/point.json": b"{}"}
    )
    assert get("hagrid", subset="v2-annotations", accept_license=True).transferred > 0


def test_hagrid_classes_with_the_misnamed_archive(get, server, tmp_path, monkeypatch):
    monkeypatch.setattr(estimate.shutil, "disk_usage", lambda path: Usage(0, 0, 1 << 50))
    server.files["/hagrid_v2/annotations_with_landmarks/annotations.zip"] = zip_of(
        {"train/point.json": b"{}"}
    )
    server.files["/hagrid_v2/hagrid_v2_zip/hand_heart2.zip"] = zip_of({"hand_heart2/a.jpg": b"a"})
    get("hagrid", classes=("hand_heart2",), accept_license=True)
    raw = tmp_path / "raw" / "hagrid"
    assert (raw / "hagrid_dataset/hand_heart2/a.jpg").read_bytes() == b"a"
    assert (raw / "annotations/train/point.json").is_file()
    server.files["/hagrid_v2/hagrid_v2_zip/point.zip"] = zip_of({"b.jpg": b"b"})
    server.requests.clear()
    get("hagrid", classes=("point",), accept_license=True)
    assert (raw / "hagrid_dataset/point/b.jpg").is_file()
    assert [path for _, path, _ in server.requests] == ["/hagrid_v2/hagrid_v2_zip/point.zip"]


def test_ipn_from_a_mirror(get, server, tmp_path):
    for name in (
        "Annot_List",
        "Annot_TrainList",
        "Annot_TestList",
        "classIdx",
        "Video_TrainList",
        "Video_TestList",
    ):
        server.files[f"/annotations/{name}.txt"] = name.encode()
    server.files["/annotations/metadata.csv"] = b"Video Name"
    for n in range(1, 6):
        server.files[f"/frames0{n}.tgz"] = tgz_of(
            {f"frames/1CM1_{n}_R_#217/1CM1_{n}_R_#217_000001.jpg": noise(100)}
        )
    assert get("ipn").as_dict()["files"] == {"downloaded": 7, "unpacked": 5}
    assert (tmp_path / "raw/ipn/frames/1CM1_5_R_#217/1CM1_5_R_#217_000001.jpg").is_file()
    (tmp_path / "raw/ipn/annotations/classIdx.txt").write_text("edited")
    assert get("ipn", verify=True).as_dict()["bad"] == {
        "annotations/classIdx.txt": ["annotations/classIdx.txt is changed"]
    }
    get("ipn")
    assert get("ipn", verify=True).exit_code == 0


@pytest.fixture
def kaggle(monkeypatch):
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_API_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    with running(KaggleServer()) as started:
        monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, started.url)
        yield started


def test_a_kaggle_dataset_is_linked_from_the_cache(get, kaggle, tmp_path):
    kaggle.datasets["gti-upm/leapgestrecog"] = ZIP
    summary = get(source="kaggle")
    raw, name = tmp_path / "raw" / "leapgestrecog", next(iter(IMAGES))
    assert summary.as_dict()["files"] == {"hard link": 40}
    cached = tmp_path / "kaggle-cache/datasets/gti-upm/leapgestrecog/versions/3" / name
    assert (raw / name).samefile(cached)
    kaggle.requests.clear()
    assert get(source="kaggle").transferred == 0
    assert not kaggle.requests
    assert get(verify=True).exit_code == 0


def test_a_failed_source_says_why_and_names_the_next(get, server, kaggle, capsys):
    kaggle.refuse["gti-upm/leapgestrecog"] = 403
    summary = get(kaggle_slug="gti-upm/leapgestrecog", base_url=server.url)
    assert "kaggle: Kaggle gti-upm/leapgestrecog: access refused (403)" in summary.failed[0]
    assert "; trying http" in capsys.readouterr().err
    assert summary.source == "http"
    kaggle.requests.clear()
    assert get(kaggle_slug="gti-upm/leapgestrecog", base_url=server.url).there == 200_000
    assert not kaggle.requests


def test_when_all_fail_each_is_listed_with_its_reason(get, server, kaggle):
    server.files.clear()
    with pytest.raises(
        DataError, match=r"could not be had: kaggle: .*404.*; http: .*leapgestrecog.zip does not exist"
    ):
        get(kaggle_slug="some/body", base_url=server.url)


def test_a_folder_on_disk_is_linked_not_copied(get, tmp_path):
    there = tmp_path / "there"
    for name, content in IMAGES.items():
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).write_bytes(content)
    (there / ".DS_Store").write_text("")
    summary = get(from_dir=there)
    raw = tmp_path / "raw" / "leapgestrecog"
    assert summary.as_dict()["files"] == {"hard link": 40}
    assert all((raw / name).samefile(there / name) for name in IMAGES)
    assert get(from_dir=there).as_dict()["files"] == {}
    assert get(verify=True).as_dict()["whole"] == 40
    first = next(iter(IMAGES))
    (there / first).rename(there / "renamed.png")
    get(from_dir=there)
    assert (raw / "renamed.png").samefile(there / "renamed.png")


def test_two_archives_of_one_name_are_refused(get, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / "there" / folder).mkdir(parents=True)
        (tmp_path / "there" / folder / "call.zip").write_bytes(b"x")
    with pytest.raises(DataError, match=r"call.zip and .*call.zip have one name"):
        get("hagrid", from_dir=tmp_path / "there")


@pytest.mark.parametrize("url", ["http://x/lot?token=abc", "http://x/lot#part"])
def test_an_address_that_is_no_folder_is_refused(url):
    with pytest.raises(ConfigError, match="must be a folder: file names are put behind it"):
        DownloadConfig(dataset="leapgestrecog", base_url=url)


@pytest.mark.parametrize("how", ["symbolic link", "copy"])
def test_where_hard_links_fail_others_are_used(get, tmp_path, monkeypatch, how):
    def refuse(self, target):
        raise OSError("not here")

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    if how == "copy":
        monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a.png").write_bytes(b"a")
    assert get(from_dir=tmp_path / "there").as_dict()["files"] == {how: 1}
    assert (tmp_path / "raw/leapgestrecog/a.png").read_bytes() == b"a"


def test_archives_in_a_folder_are_unpacked_and_left(get, server, jester, tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    for number in range(3):
        (there / f"part-{number}").write_bytes(server.files[f"/part-{number}"])
    (there / "jester-v1-labels.csv").write_text("Thumb Up\n")
    get("jester", from_dir=there)
    raw = tmp_path / "raw" / "jester"
    assert len(tree(raw / "20bn-jester-v1")) == len(CLIPS)
    assert (raw / "jester-v1-labels.csv").samefile(there / "jester-v1-labels.csv")
    assert sorted(p.name for p in there.iterdir()) == ["jester-v1-labels.csv", "part-0", "part-1", "part-2"]
    (there / "part-1").unlink()
    with pytest.raises(DataError, match="one of 3 parts: part-1 is missing"):
        get("jester", from_dir=there, name="other")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "dir"}, "needs --from-dir"),
        ({"source": "http", "from_dir": "x"}, "does not go with --source http"),
        ({"from_dir": "x", "classes": ("a",)}, "--classes has no effect with --from-dir"),
        ({"source": "kaggle", "base_url": "http://x"}, "--base-url has no effect with --source kaggle"),
        ({"base_url": "ftp://x"}, "must begin with http"),
        ({"kaggle_slug": "x"}, "is not OWNER/NAME"),
        ({"source": "ftp"}, "is not one of kaggle, http, gdrive, dir"),
        (
            {"source": "gdrive"},
            r"cannot be had with --source gdrive \(it can from: kaggle, http with --base-url",
        ),
    ],
)
def test_options_that_do_not_go_together_are_told(get, options, message, tmp_path):
    options = {k: tmp_path / v if k == "from_dir" else v for k, v in options.items()}
    with pytest.raises(ConfigError, match=message):
        get(**options)


def test_a_folder_in_the_way_is_told(get, tmp_path):
    with pytest.raises(DataError, match="is no folder"):
        get(from_dir=tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="lie in each other"):
        get(from_dir=tmp_path)


def test_a_plan_transfers_nothing_and_shows_all(server, jester, tmp_path):
    planned = download.plan(DownloadConfig(workspace=tmp_path, dataset="jester"))
    text = "\n".join(planned.lines())
    assert not server.requests
    assert not (tmp_path / "raw").exists()
    assert "part-1" in text and "must be accepted: --accept-license" in text and "free in" in text
    assert planned.as_dict()["files"]["part-0"] == len(server.files["/part-0"])
    json.dumps(planned.as_dict())


@pytest.mark.parametrize("dataset", ["ipn", "jester", "leapgestrecog", "hagrid"])
def test_every_dataset_can_be_planned(dataset, tmp_path):
    assert download.plan(DownloadConfig(workspace=tmp_path, dataset=dataset)).lines()
