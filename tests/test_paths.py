from __future__ import annotations

import os
import pickle
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgc_data.config import from_mapping
from pgc_data.errors import ConfigError
from pgc_data.paths import RemotePath, _filesystem, as_path, remote_of
from pgc_data.stages.download import DownloadConfig
from pgc_data.stages.prepare import PrepareConfig
from pgc_data.storage.files import (
    folder_entries,
    folder_names,
    read_json,
    remove_folder,
    sha256_file,
    write_json,
)
from pgc_data.storage.parquet import read_table, table_of, write_table
from pgc_data.storage.remote import local_file

_names = st.text(st.characters(codec="ascii", exclude_characters="/\x00"), min_size=1).filter(
    lambda n: n.strip(".")
)


@pytest.fixture
def store(request):
    """An empty folder of a store in memory."""
    pytest.importorskip("fsspec")
    folder = as_path(f"memory://{request.node.name.replace('/', '-')}/x")
    yield folder
    remove_folder(folder.parent)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data", Path("data")),
        ("/data/x/", Path("/data/x")),
        ("a:b//c", Path("a:b//c")),
        ("s3://b", RemotePath("s3://b")),
        ("s3://b/x//y/", RemotePath("s3://b/x/y")),
    ],
)
def test_a_text_means_a_path_here_or_in_a_store(text, expected):
    found = as_path(text)
    assert found == expected
    assert type(found) is type(expected)
    assert (remote_of(found) is found) == text.startswith("s3")


@given(st.lists(_names, min_size=1, max_size=4), _names)
def test_it_is_joined_and_taken_apart_as_a_path_is(names, more):
    path, model = as_path("s3://bucket").joinpath(*names), PurePosixPath("/bucket", *names)
    assert str(path) == f"s3:/{model}"
    assert path == as_path(str(path)) == RemotePath(path)
    assert hash(path) == hash(as_path(str(path)))
    assert (path.name, path.stem, path.suffix) == (model.name, model.stem, model.suffix)
    assert str(path / more) == f"s3:/{model / more}"
    assert str(path.parent) == f"s3:/{model.parent}"
    assert str((path / more).relative_to(path)) == more
    assert (path / more).is_relative_to(path)
    assert not path.is_relative_to(path / more)
    assert pickle.loads(pickle.dumps(path)) == path
    assert type(path / more) is type(path.parent) is type(path.with_name("z")) is RemotePath


def test_it_is_below_no_path_of_this_machine():
    path = as_path("s3://b/x")
    for other in (Path(), Path("/"), Path("data")):
        assert not path.is_relative_to(other)
        assert not other.is_relative_to(path)


@pytest.mark.parametrize("use", [open, os.stat, os.listdir, os.fspath])
def test_it_is_never_taken_for_a_file_of_this_machine(use):
    with pytest.raises(TypeError, match=r"s3://b/x is not on this machine"):
        use(as_path("s3://b/x"))


def test_files_and_folders_are_found(store):
    assert not store.exists()
    assert list(store.glob("*")) == []
    for name in ("b.json", "a.json", "sub/deep/c.json", "sub/d[1].txt", ".hidden.json"):
        write_json(store / name, {"name": name})
    assert store.is_dir()
    assert not store.is_file()
    assert (store / "a.json").is_file()
    assert folder_names(store) == [".hidden.json", "a.json", "b.json", "sub"]
    assert sorted(folder_entries(store))[-1] == ("sub", True)
    assert sorted(store.glob("?.json")) == [store / "a.json", store / "b.json"]
    assert list(store.glob("*/*/*.json")) == [store / "sub" / "deep" / "c.json"]
    assert list(store.glob("s*/*.txt")) == [store / "sub" / "d[1].txt"]
    assert read_json(store / "a.json") == {"name": "a.json"}
    (store / "a.json").unlink()
    (store / "a.json").unlink(missing_ok=True)
    for call in ((store / "a.json").unlink, (store / "a.json").stat, (store / "a.json").read_bytes):
        with pytest.raises(FileNotFoundError):
            call()
    remove_folder(store)
    remove_folder(store)
    assert not store.exists()


def test_text_is_read_as_from_a_file(store, tmp_path):
    data = "\ufeffone\r\ntwo\n\u00e9".encode()
    (tmp_path / "x.txt").write_bytes(data)
    store.filesystem.pipe_file(str(store / "x.txt"), data)
    with (
        (store / "x.txt").open(encoding="utf-8-sig") as found,
        (tmp_path / "x.txt").open(encoding="utf-8-sig") as mine,
    ):
        assert list(found) == list(mine)
    assert sha256_file(store / "x.txt") == sha256_file(tmp_path / "x.txt")


def test_a_table_comes_back(store):
    rows = table_of("splits", [{"group_id": "ipn:a", "split": "train", "members": ["a"], "kind": "subject"}])
    write_table(store / "splits.parquet", rows, "splits", {})
    assert read_table(store / "splits.parquet", "splits").to_pylist() == rows.to_pylist()


def test_a_file_is_copied_here_for_a_while(store, tmp_path):
    write_json(store / "a.json", 1)
    with local_file(store / "a.json") as here:
        assert (here.name, read_json(here)) == ("a.json", 1)
    assert not here.exists()
    with local_file(store / "none.json") as here:
        assert not here.exists()
    with local_file(tmp_path) as here:
        assert here is tmp_path


def test_a_path_made_the_wrong_way_is_not_taken_for_a_folder(tmp_path):
    with pytest.raises(ConfigError, match=r'make it by as_path\("s3://\.\.\."\)'):
        PrepareConfig(workspace=Path("s3://bucket/x"), dataset="ipn")


def test_recipes_may_name_stores_save_where_a_file_must_be_here():
    config = from_mapping(PrepareConfig, {"dataset": "ipn", "raw": "s3://b/raw"}, "here")
    assert config.raw_folder == as_path("s3://b/raw")
    with pytest.raises(ConfigError, match=r"from-dir=s3://b/x is in a store: copy it to this machine"):
        from_mapping(DownloadConfig, {"dataset": "ipn", "from-dir": "s3://b/x"}, "here")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_opens_stores_anew():
    assert as_path("memory://bucket/a").filesystem
    assert _filesystem.cache_info().currsize
    child = os.fork()
    if child == 0:
        os._exit(_filesystem.cache_info().currsize)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
