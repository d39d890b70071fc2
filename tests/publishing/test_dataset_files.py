"""What of a dataset is published, and what is wrong with those that are not whole."""

from __future__ import annotations

import hashlib
import json
import subprocess

import pytest
from publishing.tiny_dataset import write_audit, write_manifest

from pgc_data.errors import DataError
from pgc_data.publishing.dataset_files import check_files, open_dataset


def edit(folder, change):
    """Changes the manifest."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_what_the_manifest_names_and_no_more(tiny):
    dataset = open_dataset(tiny)
    assert [file.path for file in dataset.files] == [
        "README.md", "manifest.json", "crops/test-00000-of-00001.parquet", "crops/train-00000-of-00003.parquet",
        "crops/train-00001-of-00003.parquet", "crops/train-00002-of-00003.parquet", "ledger/crops.parquet",
        "splits.parquet", "windows/train-00000-of-00001.parquet",
    ]  # fmt: skip
    assert dataset.bytes == sum((tiny / file.path).stat().st_size for file in dataset.files)


def test_files_are_hashed_as_git_does(tiny):
    for checked in check_files(open_dataset(tiny)):
        data = checked.file.local.read_bytes()
        assert checked.sha256 == hashlib.sha256(data).hexdigest()
        asked = ["git", "hash-object", "--stdin"]
        assert (
            checked.blob_id == subprocess.run(asked, input=data, capture_output=True).stdout.decode().strip()
        )


SHARD = "crops/train-00001-of-00003.parquet"
MEND = (
    r"; remove .*/tiny/manifest\.json and run `pgc-data to-parquet ipn --vocabulary pointing --table crops "
    r"--table windows --name tiny` again"
)


def cut(folder):
    path = folder / SHARD
    path.write_bytes(path.read_bytes()[:-7])


def flip(folder):
    path = folder / SHARD
    data = path.read_bytes()
    path.write_bytes(data[:50] + bytes([data[50] ^ 1]) + data[51:])


def replace_path(path):
    return lambda folder: edit(folder, lambda manifest: manifest["files"][0].update(path=path))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / SHARD).unlink(), rf"{SHARD} is missing{MEND}"),
        (cut, rf"{SHARD} has [\d,]+ bytes, not the [\d,]+ of manifest\.json{MEND}"),
        (flip, rf"{SHARD} is not what manifest\.json says \(another sha256\){MEND}"),
        (lambda folder: (folder / "README.md").unlink(), rf"README\.md is missing{MEND}"),
        (lambda folder: (folder / "README.md").write_text("mine"), rf"README\.md has 4 bytes.*{MEND}"),
        (lambda folder: (folder / "manifest.json").unlink(), "no dataset in .*to-parquet .* --name tiny"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "cannot be read as JSON"),
        (lambda folder: (folder / "manifest.json").write_text('{"tables": 3}'), "is not a manifest"),
        (lambda folder: edit(folder, lambda m: m["files"].pop()), r"names no README\.md, the card"),
        (lambda folder: edit(folder, lambda m: m["files"][0].pop("sha256")), r"another version .*'sha256'"),
        (lambda folder: edit(folder, lambda m: m["files"][0].update(bytes="7")), "another version"),
        (lambda folder: edit(folder, lambda m: m["tables"]["crops"].pop("sources")), "another version .*'sources'"),
        (lambda folder: edit(folder, lambda m: [t.update(sources=[]) for t in m["tables"].values()]), "no source"),
        (replace_path("../../secret.parquet"), "which is no file of a dataset"),
        (replace_path("/etc/passwd"), "which is no file of a dataset"),
        (replace_path(".lock"), "which is no file of a dataset"),
        (replace_path("crops/.hidden.parquet"), "which is no file of a dataset"),
    ],
)  # fmt: skip
def test_a_dataset_that_is_not_whole(tiny, damage, message):
    damage(tiny)
    with pytest.raises(DataError, match=message):
        check_files(open_dataset(tiny))


def test_no_such_dataset(tmp_path):
    with pytest.raises(DataError, match=r"no dataset in .*/nothing"):
        open_dataset(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("verdict", ["clean", "warning"])
def test_the_report_of_the_audit_belongs_to_it(tiny, verdict):
    write_audit(tiny, verdict)
    dataset = open_dataset(tiny)
    assert dataset.audit == verdict
    audit = [file.path for file in dataset.files if file.path.startswith("audit/")]
    assert audit == ["audit/audit.json", "audit/report.html"]


@pytest.mark.parametrize(("verdict", "words"), [("leak", "found a leak"), ("damage", "found damage")])
def test_what_its_audit_condemns_is_refused(tiny, verdict, words):
    write_audit(tiny, verdict)
    with pytest.raises(DataError, match=words):
        open_dataset(tiny)


def test_an_audit_without_its_page(tiny):
    write_audit(tiny, "clean")
    (tiny / "audit/report.html").unlink()
    with pytest.raises(DataError, match=r"report\.html is missing: run `pgc-data audit tiny`"):
        open_dataset(tiny)


def grown(folder):
    """Another table than the audit saw."""
    cut(folder)
    write_manifest(folder)


@pytest.mark.parametrize(
    "change",
    [
        grown,
        lambda folder: (folder / "audit/audit.json").write_text('{"verdict": "leak"}'),
        lambda folder: (folder / "audit/audit.json").write_text("[]"),
        lambda folder: (folder / "audit/audit.json").write_text('{"verdict": "leak", "tables": {}}'),
    ],
)
def test_an_audit_of_other_files_says_nothing(tiny, change):
    write_audit(tiny, "leak")
    change(tiny)
    dataset = open_dataset(tiny)
    assert dataset.audit is None
    assert [file.path for file in dataset.files if file.path.startswith("audit/")] == []
