"""Unpacking: archives of strangers, damaged ones, and stopped runs."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
import zipfile

import pytest
from downloads.download_servers import noise, tgz_of, tree, zip_of

from pgc_data.downloads import archives
from pgc_data.downloads.archives import Destination, unpack
from pgc_data.downloads.failures import ArchiveError

FILES = {f"frames/1CM1_1_R_#217/{n:06}.jpg": noise(3000 + n, n) for n in range(20)}


def run(tmp_path, data, name="a.tgz", **to):
    (tmp_path / name).write_bytes(data)
    return list(unpack(tmp_path / name, Destination(tmp_path / "out", **to)))


@pytest.mark.parametrize("data", [tgz_of(FILES), zip_of(FILES)], ids=["tgz", "zip"])
def test_every_file_comes_out_with_its_hash(tmp_path, data):
    unpacked = run(tmp_path, data)
    assert tree(tmp_path / "out") == FILES
    assert {u.path: u.sha256 for u in unpacked} == {
        n: hashlib.sha256(c).hexdigest() for n, c in FILES.items()
    }
    assert all(u.written for u in unpacked)


@pytest.mark.parametrize("data", [tgz_of(FILES), zip_of(FILES)], ids=["tgz", "zip"])
def test_a_stopped_run_goes_on(tmp_path, data):
    run(tmp_path, data)
    first, second = list(FILES)[:2]
    (tmp_path / "out" / first).unlink()
    (tmp_path / "out" / second).write_bytes(b"half")
    assert [u.path for u in run(tmp_path, data) if u.written] == [first, second]
    assert tree(tmp_path / "out") == FILES


def test_sizes_are_not_trusted_after_damage(tmp_path):
    run(tmp_path, tgz_of(FILES))
    victim = tmp_path / "out" / next(iter(FILES))
    victim.write_bytes(bytes(victim.stat().st_size))
    run(tmp_path, tgz_of(FILES), trust_size=False)
    assert tree(tmp_path / "out") == FILES


def test_entries_outside_the_root_are_put_into_it(tmp_path):
    run(tmp_path, zip_of({"a.jpg": b"a", "call/b.jpg": b"b"}), root="call")
    assert tree(tmp_path / "out") == {"call/a.jpg": b"a", "call/b.jpg": b"b"}


NAMES = [
    ("../evil", "points outside"),
    ("a/../../evil", "points outside"),
    ("/etc/evil", "absolute path"),
    ("C:/evil", "absolute path"),
    ("..\\evil", "points outside"),
    ("a/b\x01c", "not every system"),
    ("con.txt", "not every system"),
    ("a/what?", "not every system"),
    ("a./b", "not every system"),
    ("n" * 300, "not every system"),
    ("synthetic.json", "pgc-data's own"),
    ("./download.json", "pgc-data's own"),
    (".download/x.sha256", "pgc-data's own"),
    ("Archives/x.zip", "pgc-data's own"),
]


@pytest.mark.parametrize(("name", "message"), NAMES)
@pytest.mark.parametrize("pack", [tgz_of, zip_of])
def test_a_name_that_leads_elsewhere_is_refused_and_named(tmp_path, pack, name, message):
    with pytest.raises(ArchiveError, match=message) as caught:
        run(tmp_path, pack({name: b"x"}))
    assert "a.tgz" in str(caught.value)
    assert set(tree(tmp_path)) == {"a.tgz"}


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.FIFOTYPE, "a device"),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind, what):
    entry = tarfile.TarInfo("odd")
    entry.type, entry.linkname = kind, "/etc/passwd"
    with pytest.raises(ArchiveError, match=f"'odd' is {what}"):
        run(tmp_path, tgz_of({}, [entry]))


def test_a_link_in_a_zip_is_refused(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("odd")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(ArchiveError, match="'odd' is a link"):
        run(tmp_path, buffer.getvalue())


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_nothing_is_written_through_a_link_that_lies_there(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "frames").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArchiveError, match="through the link"):
        run(tmp_path, tgz_of(FILES))
    assert not any((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("pack", [tgz_of, zip_of])
def test_a_bomb_is_stopped(tmp_path, pack, monkeypatch):
    monkeypatch.setattr(archives, "MOST_FREE_BYTES", 1 << 20)
    with pytest.raises(ArchiveError, match="decompression bomb"):
        run(tmp_path, pack({"zeros": bytes(8 << 20)}))
    assert sum(len(c) for c in tree(tmp_path / "out").values()) == 0


def test_too_many_files_are_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_FILES", 5)
    with pytest.raises(ArchiveError, match="more than 5 files"):
        run(tmp_path, tgz_of(FILES))


def tar_cut_between_files():
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        entry = tarfile.TarInfo("a")
        entry.size = 512
        archive.addfile(entry, io.BytesIO(b"x" * 512))
    return plain.getvalue()[:1024]


GOOD = tgz_of(FILES)
DAMAGED = {
    "cut": GOOD[: len(GOOD) // 2],
    "cut in the checksum": GOOD[:-3],
    "flipped": GOOD[:20000] + b"\0" * 50 + GOOD[20050:],
    "flipped checksum": GOOD[:-8] + b"\0" * 8,
    "zip cut": zip_of(FILES)[:20000],
    "zip flipped": zip_of(FILES)[:500] + b"\xff" * 50 + zip_of(FILES)[550:],
    "text": b"hello",
    "empty": b"",
    "tar cut between files": tar_cut_between_files(),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_archive_is_named(tmp_path, data):
    with pytest.raises(ArchiveError, match=r"^a\.tgz.* (damaged|cut short)"):
        run(tmp_path, data)
    assert not [p for p in tmp_path.rglob("*") if ".tmp-" in p.name]
