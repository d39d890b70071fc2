"""Transfers over HTTP: each way to go wrong, against a local server."""

from __future__ import annotations

import hashlib
import time

import pytest
from downloads.download_servers import noise

from pgc_data.downloads.failures import NotFoundError, SourceError
from pgc_data.downloads.http import Expected, fetch, part_of
from pgc_data.errors import DataError

ANY = Expected()
CONTENT = noise(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def get(server, tmp_path):
    server.files["/a.bin"] = CONTENT

    def call(expected=ANY, retries=2, path="/a.bin"):
        return fetch(f"{server.url}{path}", tmp_path / "a.bin", expected, retries)

    return call


def leave_part(server, get, size):
    server.script["/a.bin"] = [("cut", size)]
    with pytest.raises(SourceError, match="cut"):
        get(retries=0)
    server.sent.clear()


def test_a_file_comes_whole_and_leaves_nothing_else(get, tmp_path):
    fetched = get(Expected(len(CONTENT), SHA256))
    assert (fetched.bytes, fetched.sha256, fetched.transferred) == (len(CONTENT), SHA256, len(CONTENT))
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("etag", [True, False])
def test_a_cut_connection_is_taken_up_where_it_broke(server, get, tmp_path, etag):
    server.etag = etag
    server.script["/a.bin"] = [("cut", 100_000), ("cut", 50_000)]
    assert get(Expected(sha256=SHA256)).transferred == len(CONTENT)
    assert server.total_sent == len(CONTENT)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_later_run_transfers_only_the_rest(server, get, tmp_path):
    leave_part(server, get, 180_000)
    assert part_of(tmp_path / "a.bin").stat().st_size == 180_000
    assert get().transferred == server.total_sent == len(CONTENT) - 180_000


def test_a_part_without_a_validator_is_read_anew_unless_the_hash_is_known(server, get, tmp_path):
    server.etag = False
    leave_part(server, get, 180_000)
    assert get().transferred == len(CONTENT)


def test_a_server_without_range_is_read_from_the_start(server, get, tmp_path):
    leave_part(server, get, 180_000)
    server.ranges = False
    assert get().transferred == len(CONTENT)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_changed_file_is_read_from_the_start(server, get, tmp_path):
    leave_part(server, get, 180_000)
    server.files["/a.bin"] = changed = noise(200_000, seed=1)
    assert get().bytes == 200_000
    assert (tmp_path / "a.bin").read_bytes() == changed


def test_a_changed_and_shorter_file_is_seen_by_416(server, get, tmp_path):
    server.etag = False
    leave_part(server, get, 180_000)
    server.files["/a.bin"] = changed = noise(1000, seed=1)
    known = hashlib.sha256(changed).hexdigest()
    assert get(Expected(sha256=known)).bytes == 1000


def test_another_range_than_asked_for_is_not_appended(server, get, tmp_path):
    leave_part(server, get, 180_000)
    server.script["/a.bin"] = [("range", {"Content-Range": "bytes 5-9/10"})]
    get()
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_the_part_of_another_url_is_not_taken_up(server, get, tmp_path):
    leave_part(server, get, 180_000)
    server.files["/b.bin"] = other = noise(200_000, seed=2)
    get(path="/b.bin")
    assert (tmp_path / "a.bin").read_bytes() == other


def test_a_part_that_was_whole_needs_no_request(server, get, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "pgc_data.downloads.http._Transfer.finish", lambda self: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        get()
    monkeypatch.undo()
    server.requests.clear()
    assert get().transferred == 0
    assert not server.requests


@pytest.mark.parametrize("code", [429, 503, 500])
def test_a_busy_server_is_asked_again(server, get, code):
    server.script["/a.bin"] = [("status", code, {})] * 2
    assert get().bytes == len(CONTENT)


def test_retry_after_is_honoured(server, get):
    server.script["/a.bin"] = [("status", 429, {"Retry-After": "1"})]
    before = time.monotonic()
    get()
    assert 1.0 <= time.monotonic() - before < 3


def test_a_long_retry_after_is_not_waited_for(server, get):
    server.script["/a.bin"] = [("status", 429, {"Retry-After": "86400"})]
    with pytest.raises(SourceError, match="asks to wait 86,400 s"):
        get()


def test_a_retry_after_with_a_date_is_read(server, get):
    server.script["/a.bin"] = [("status", 429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})]
    assert get().bytes == len(CONTENT)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (("status", 404, {}), r"/a\.bin does not exist \(404\)"),
        (("status", 403, {}), r"refuses access \(403\)"),
        (("status", 418, {}), "answers 418"),
        (("page",), "is a web page \\('Sign in please'\\), not a.bin"),
        (("redirect", "/a.bin"), "redirects in a circle"),
    ],
)
def test_a_refusal_is_told_in_a_line(server, get, tmp_path, step, message):
    server.script["/a.bin"] = [step] * 40
    with pytest.raises(SourceError, match=message) as caught:
        get()
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "a.bin").exists()


def test_not_found_is_told_apart(get):
    with pytest.raises(NotFoundError):
        get(path="/nothing")


def test_retries_end(server, get):
    server.script["/a.bin"] = [("status", 503, {})] * 10
    with pytest.raises(SourceError, match="503 Service Unavailable, after 2 retries"):
        get()
    assert len(server.requests) == 3


def test_a_transfer_that_gets_on_is_not_given_up(server, get):
    server.script["/a.bin"] = [("cut", 20_000)] * 12
    assert get(Expected(sha256=SHA256), retries=1).bytes == len(CONTENT)


def test_an_unreachable_server_is_told(tmp_path):
    with pytest.raises(SourceError, match="cannot be reached"):
        fetch("http://127.0.0.1:9/a", tmp_path / "a", Expected(), 1)


def test_a_wrong_hash_removes_what_came(get, tmp_path):
    with pytest.raises(SourceError, match="not the file expected"):
        get(Expected(sha256="0" * 64))
    assert list(tmp_path.iterdir()) == []


def test_another_size_is_refused_before_anything_comes(server, get):
    with pytest.raises(SourceError, match="300,000 bytes, not the 5 expected"):
        get(Expected(5))
    assert server.total_sent <= 300_000


def test_redirects_are_followed(server, get):
    server.script["/a.bin"] = [("redirect", "/elsewhere")]
    server.files["/elsewhere"] = CONTENT
    assert get().sha256 == SHA256


def test_no_length_and_an_empty_file_are_fine(server, get):
    server.length = False
    assert get().bytes == len(CONTENT)
    server.length = True
    server.files["/empty"] = b""
    assert get(path="/empty").bytes == 0


def test_a_folder_that_cannot_be_written_is_told(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        fetch(f"{server.url}/a", tmp_path / "file" / "a", Expected(), 0)
