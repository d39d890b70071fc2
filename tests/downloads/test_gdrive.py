"""Real gdown; its requests to drive.google.com are sent to a local server where requests hands them to the network.

Not tested here: TLS, Google's real pages, its quota answers.
"""

from __future__ import annotations

import pytest
import requests
from downloads.download_servers import noise, tgz_of, tree

from pgc_data.downloads import gdrive
from pgc_data.downloads.failures import SourceError
from pgc_data.downloads.sources import RemoteFile
from pgc_data.stages.download import DownloadConfig, run

CONTENT = tgz_of({"frames/v/v_000001.jpg": noise(3_000_000)})
FILE = RemoteFile("frames01.tgz", "1" * 33, into="", root="frames")
FOLDER = (
    """<html><head><title>IPN Hand</title></head><body><div class="flip-entries">{}</div></body></html>"""
)
ENTRY = (
    '<div class="flip-entry" id="entry-{id}"><a href="https://drive.google.com/file/d/{id}/view?usp=drive_web" '
    'target="_blank"><div class="flip-entry-title">{name}</div></a></div>'
)


@pytest.fixture
def drive(server, monkeypatch):
    """The server, which answers to drive.google.com; `uc?id=ID` is served at `/uc/ID`, a folder at `/folder/ID`."""
    send = requests.adapters.HTTPAdapter.send

    def redirected(self, request, **how):
        for host in ("https://drive.google.com", "https://drive.usercontent.google.com"):
            url = request.url.replace(f"{host}/uc?id=", f"{server.url}/uc/")
            request.url = url.replace(f"{host}/embeddedfolderview?id=", f"{server.url}/folder/")
        return send(self, request, **how)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", redirected)
    server.files[f"/uc/{FILE.path}"] = CONTENT
    plain_send = server.send

    def send_as_drive(handler, path, code, body, headers, cut=None):
        if path.startswith("/uc/"):
            named = 'attachment; filename="frames01.tgz"'
            headers = {"Content-Type": "application/octet-stream", "Content-Disposition": named, **headers}
        return plain_send(handler, path, code, body, headers, cut)

    monkeypatch.setattr(server, "send", send_as_drive)
    return server


def get(tmp_path, retries=2):
    counted = []
    return gdrive.fetch(FILE, tmp_path / "archives" / "frames01.tgz", retries, counted.append), counted


def test_a_file_comes_whole(drive, tmp_path):
    fetched, counted = get(tmp_path)
    assert (tmp_path / "archives" / "frames01.tgz").read_bytes() == CONTENT
    assert fetched.bytes == fetched.transferred == sum(counted) == len(CONTENT)
    assert FILE.path in fetched.url


def test_a_later_run_goes_on(drive, tmp_path):
    drive.script[f"/uc/{FILE.path}"] = [("cut", 2_000_000)]
    with pytest.raises(SourceError, match="try again tomorrow, or get it by browser from https://drive"):
        get(tmp_path, retries=0)
    drive.sent.clear()
    fetched, _ = get(tmp_path)
    assert 0 < fetched.transferred <= len(CONTENT) - 1_400_000
    assert (tmp_path / "archives" / "frames01.tgz").read_bytes() == CONTENT


def test_a_page_in_its_place_is_told(drive, tmp_path):
    drive.script[f"/uc/{FILE.path}"] = [("page",)] * 3
    with pytest.raises(SourceError, match="Google Drive") as caught:
        get(tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "archives" / "frames01.tgz").exists()


def test_a_folder_is_listed(drive):
    entries = "".join(ENTRY.format(id=str(n) * 33, name=f"frames0{n}.tgz") for n in (1, 2))
    drive.files["/folder/1GJ3ZzidMngAK5lbcLtX5aENfXelIFAQe"] = FOLDER.format(entries).encode()
    found = gdrive.list_folder("1GJ3ZzidMngAK5lbcLtX5aENfXelIFAQe", "frames", True)
    assert [(f.name, f.path, f.into, f.root) for f in found] == [
        ("frames01.tgz", "1" * 33, "", "frames"),
        ("frames02.tgz", "2" * 33, "", "frames"),
    ]
    plain = gdrive.list_folder("1GJ3ZzidMngAK5lbcLtX5aENfXelIFAQe", "annotations", False)
    assert plain[0].name == "annotations/frames01.tgz"
    assert plain[0].into is None


def test_ipn_comes_from_its_folders(drive, tmp_path):
    drive.files[f"/uc/{'9' * 33}"] = b"video,label,id,t_start,t_end,frames"
    for folder, drive_id, name in (
        ("1-mihJEIFoNDpfo1puF8xAMJz6PGVKsBD", "9" * 33, "Annot_List.txt"),
        ("1GJ3ZzidMngAK5lbcLtX5aENfXelIFAQe", FILE.path, "frames01.tgz"),
    ):
        entry = ENTRY.format(id=drive_id, name=name)
        drive.files[f"/folder/{folder}"] = FOLDER.format(entry).encode()
    config = DownloadConfig(workspace=tmp_path, dataset="ipn", source="gdrive")
    assert run(config).as_dict()["files"] == {"downloaded": 1, "unpacked": 1}
    raw = tmp_path / "raw" / "ipn"
    assert set(tree(raw)) == {"annotations/Annot_List.txt", "frames/v/v_000001.jpg"}
    drive.sent.clear()
    assert run(config).there == 3_000_035
    assert not drive.sent


def test_a_folder_that_is_gone_is_told(drive):
    with pytest.raises(SourceError, match=r"folders/xyz cannot be listed|folders/xyz is empty"):
        gdrive.list_folder("xyz", "frames", True)
