"""Models are found in a stated order. The real hand model is fetched as a user's first run would."""

from __future__ import annotations

import io
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pgc_data.errors import ConfigError, DataError
from pgc_data.hands import model_file
from pgc_data.storage.files import sha256_bytes

PARTS = {"hand_detector.tflite": b"palm" * 100, "hand_landmarks_detector.tflite": b"hand" * 333}
HOLISTIC_PARTS = {name: name.encode() * 9 for name in sorted(model_file.HOLISTIC.networks)}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PGC_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PGC_DATA_HAND_MODEL", raising=False)
    monkeypatch.delenv("PGC_DATA_HOLISTIC_MODEL", raising=False)


@pytest.fixture
def server(monkeypatch):
    """A loopback server in place of the official one: set `.body` and `.status`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(self.server.status)
            self.end_headers()
            self.wfile.write(self.server.body)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.body, http.status = b"", 200
        threading.Thread(target=http.serve_forever, daemon=True).start()
        for kind in ("HAND", "HOLISTIC"):
            url = f"http://127.0.0.1:{http.server_port}/{kind.lower()}_landmarker.task"
            monkeypatch.setattr(model_file, kind, replace(getattr(model_file, kind), url=url))
        yield http
        http.shutdown()


@pytest.fixture
def no_pip(monkeypatch):
    def fail(wanted):
        raise DataError("pip could not download it (no network)")

    monkeypatch.setattr(model_file, "_wheel_parts", fail)


def test_a_bundle_is_the_same_every_time_stored_and_aligned():
    data = model_file.assemble(PARTS)
    assert data == model_file.assemble(PARTS)
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        for entry in bundle.infolist():
            assert entry.compress_type == zipfile.ZIP_STORED
            assert bundle.read(entry) == PARTS[entry.filename]
            assert data.index(PARTS[entry.filename]) % 64 == 0


def test_the_users_file_goes_first(tmp_path, monkeypatch):
    path = tmp_path / "own.task"
    path.write_bytes(model_file.assemble(PARTS))
    assert model_file.find_hand_model(path).path == path
    monkeypatch.setenv("PGC_DATA_HAND_MODEL", str(path))
    assert model_file.find_hand_model().origin == "given by the user"
    with pytest.raises(ConfigError, match="no hand model"):
        model_file.find_hand_model(tmp_path / "nowhere.task")


def test_the_official_download_is_checked_and_cached(server, monkeypatch, no_pip):
    server.body = model_file.assemble(PARTS)
    monkeypatch.setattr(model_file, "HAND", replace(model_file.HAND, sha256=sha256_bytes(server.body)))
    assert model_file.find_hand_model().origin == "the official download"
    server.status = 500
    assert model_file.find_hand_model().origin == "the user's cache"


def test_another_file_than_the_official_one_is_refused(server, no_pip):
    server.body = model_file.assemble(PARTS)
    with pytest.raises(DataError, match=r"another sha256.*pip could not.*--hand-model"):
        model_file.find_hand_model()


@pytest.mark.parametrize("status", [404, 503])
def test_where_the_download_fails_the_bundle_is_assembled(server, monkeypatch, status):
    server.status = status
    monkeypatch.setattr(model_file, "_wheel_parts", lambda wanted: PARTS)
    found = model_file.find_hand_model()
    assert found.origin == "assembled from the mediapipe==0.10.21 wheel"
    assert found.path.read_bytes() == model_file.assemble(PARTS)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"<!DOCTYPE html><html>", "is an HTML page"), (b"", "is no model"), (b"PK\x03\x04", "is no model")],
)
def test_a_file_that_is_no_bundle_is_refused(tmp_path, content, message):
    path = tmp_path / "hand_landmarker.task"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        model_file.find_hand_model(path)


def test_a_bundle_of_something_else_is_refused(tmp_path):
    path = tmp_path / "face.task"
    path.write_bytes(model_file.assemble({"face.tflite": b"x"}))
    with pytest.raises(DataError, match=r"hand_detector.tflite is not in it"):
        model_file.find_hand_model(path)


def test_the_holistic_model_has_a_file_a_variable_and_a_cache_of_its_own(tmp_path, server, monkeypatch):
    hand, own = tmp_path / "hand.task", tmp_path / "own.task"
    hand.write_bytes(model_file.assemble(PARTS))
    own.write_bytes(model_file.assemble(HOLISTIC_PARTS))
    assert model_file.find_holistic_model(own).path == own
    monkeypatch.setenv("PGC_DATA_HAND_MODEL", str(hand))
    monkeypatch.setenv("PGC_DATA_HOLISTIC_MODEL", str(own))
    assert model_file.find_holistic_model() == model_file.ModelFile(
        own, sha256_bytes(own.read_bytes()), "given by the user"
    )
    assert model_file.find_hand_model().path == hand
    monkeypatch.delenv("PGC_DATA_HOLISTIC_MODEL")
    server.body = own.read_bytes()
    monkeypatch.setattr(
        model_file, "HOLISTIC", replace(model_file.HOLISTIC, sha256=sha256_bytes(server.body))
    )
    assert model_file.find_holistic_model().origin == "the official download"
    server.status = 500
    assert model_file.find_holistic_model().path == tmp_path / "cache" / "models" / "holistic_landmarker.task"


@pytest.mark.parametrize(("status", "why"), [(404, "could not be reached"), (200, "another sha256")])
def test_a_holistic_model_that_cannot_be_had_says_what_to_do(server, no_pip, status, why):
    server.status = status
    with pytest.raises(
        DataError, match=rf"no holistic model: .*{why}.*elsewhere and pass it with --holistic-model"
    ):
        model_file.find_holistic_model()


def test_a_holistic_model_named_but_not_there_is_a_wrong_call(tmp_path):
    with pytest.raises(ConfigError, match="--holistic-model or PGC_DATA_HOLISTIC_MODEL"):
        model_file.find_holistic_model(tmp_path / "nowhere.task")


@pytest.mark.parametrize("lost", sorted(HOLISTIC_PARTS))
def test_a_holistic_bundle_needs_every_network(tmp_path, lost):
    path = tmp_path / "holistic.task"
    path.write_bytes(model_file.assemble({n: d for n, d in HOLISTIC_PARTS.items() if n != lost}))
    with pytest.raises(DataError, match=f"is not a holistic landmarker: {lost} is not in it"):
        model_file.find_holistic_model(path)


@pytest.mark.slow
def test_the_real_networks_come_from_the_wheel():
    parts = model_file._wheel_parts(model_file.HAND.parts)
    assert {name: len(data) for name, data in parts.items()} == {
        "hand_detector.tflite": 2_339_846, "hand_landmarks_detector.tflite": 5_478_917,
    }  # fmt: skip
