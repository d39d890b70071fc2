from __future__ import annotations

import errno

import pytest

from pgc_data.errors import ConfigError, DataError
from pgc_data.storage.files import (
    atomic_path,
    ensure_writable,
    read_json,
    unwritable,
    write_bytes,
    write_json,
)
from pgc_data.storage.workspace import check_name, stage_lock


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "sub" / "file"
    write_bytes(path, b"old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_path_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"cannot write .*file.x: .*--workspace"):
        write_bytes(tmp_path / "file" / "x", b"")
    with pytest.raises(DataError, match="cannot write"):
        ensure_writable(tmp_path / "file" / "x")


def test_a_full_disk_is_named():
    error = unwritable("/d/x", OSError(errno.ENOSPC, "No space left on device"))
    assert str(error).startswith("no space left to write /d/x")


def test_json_that_is_not_ours_is_one_clear_error(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1]})
    assert read_json(tmp_path / "a.json") == {"b": [1]}
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read as JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(DataError, match="is missing"):
        read_json(tmp_path / "b.json")


def test_two_runs_on_one_folder_refuse_each_other(tmp_path):
    with stage_lock(tmp_path), pytest.raises(DataError, match="another pgc-data run"), stage_lock(tmp_path):
        pass
    with stage_lock(tmp_path):
        pass


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "-x", "a\\b"])
def test_names_that_are_no_folder_names_are_refused(name):
    with pytest.raises(ConfigError, match="cannot be a folder name"):
        check_name(name)
