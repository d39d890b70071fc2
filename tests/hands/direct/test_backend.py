"""The backend: its errors, and, with the real networks, what it finds against what MediaPipe finds."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest

from pgc_data.errors import ConfigError, DataError
from pgc_data.hands.direct import DirectHands
from pgc_data.hands.mediapipe_backend import MediaPipeHands
from pgc_data.hands.model_file import assemble, find_hand_model
from pgc_data.synthetic import write_ipn


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"<html>", "not a zip"),
        (assemble({"hand_detector.tflite": b"x"}), "LiteRT cannot use hand_detector.tflite"),
        (assemble({"other": b"x"}), "no item named"),
    ],
    ids=["no file", "no bundle", "no network", "another bundle"],
)
def test_a_model_that_cannot_be_used_is_named(tmp_path, content, message):
    path = tmp_path / "model.task"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        DirectHands(path, hands=1)
    assert "--hand-model" in str(error.value)


def test_without_litert_one_is_told_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "model.task"
    path.write_bytes(assemble({"hand_detector.tflite": b"x", "hand_landmarks_detector.tflite": b"x"}))
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(ConfigError, match=r"pip install 'pgc-data\[direct\]'"):
        DirectHands(path, hands=1)


@pytest.fixture(scope="module")
def model():
    return find_hand_model().path


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """The frames of one drawn video."""
    folder = tmp_path_factory.mktemp("drawn")
    write_ipn(folder, subjects=1, seed=5)
    return [cv2.imread(str(path)) for path in sorted(folder.glob("frames/*/*.jpg"))]


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (240, 320), (31, 1000), (1000, 31), (193, 191)])
@pytest.mark.parametrize("tracking", [True, False])
def test_pictures_without_a_hand_of_whatever_size_give_none(model, shape, tracking):
    backend = DirectHands(model, hands=2)
    backend.start(tracking)
    for grey in (0, 128, 255):
        assert list(backend.find(np.full((*shape, 3), grey, np.uint8), 0.0).hands) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tracking", "hands", "every"), [(True, 1, 1), (True, 2, 3), (False, 1, 9), (False, 2, 9)]
)
def test_it_finds_what_mediapipe_finds(model, clips, tracking, hands, every):
    frames = clips[::every]
    found = []
    for backend in (DirectHands(model, hands), MediaPipeHands(model, hands)):
        backend.start(tracking)
        found.append([backend.find(frame, number / 30).hands for number, frame in enumerate(frames)])
        backend.close()
    ours, theirs = found
    assert np.mean([len(a) == len(b) for a, b in zip(ours, theirs, strict=True)]) > 0.99
    pairs = [pair for a, b in zip(ours, theirs, strict=True) for pair in zip(a, b, strict=False)]
    assert len(pairs) > len(frames) / 2
    median, high = np.percentile([distances(a, b) for a, b in pairs], [50, 95])
    assert median < 0.01 and high < 0.03
    world = [np.linalg.norm(a.world_landmarks - b.world_landmarks, axis=1) for a, b in pairs]
    assert np.percentile(world, 95) < 0.003
    assert np.mean([a.handedness == b.handedness for a, b in pairs]) > 0.99
    assert np.median([abs(a.handedness_score - b.handedness_score) for a, b in pairs]) < 0.01
    assert np.allclose([a.box for a, _ in pairs], [b.box for _, b in pairs], atol=20)


def distances(a, b):
    """(21,) between two hands' landmarks in a 320x240 picture, z included, in palm lengths of the second."""
    scale = np.array([320, 240, 320])
    palm = np.linalg.norm(((b.landmarks[0] - b.landmarks[9]) * scale)[:2])
    return np.linalg.norm((a.landmarks - b.landmarks) * scale, axis=1) / palm


@pytest.mark.slow
def test_a_second_clip_knows_nothing_of_the_first(model, clips):
    backend = DirectHands(model, hands=1)
    runs = []
    for _ in range(2):
        backend.start(tracking=True)
        runs.append([backend.find(frame, 0.0).hands for frame in clips[40:60]])
    for first, second in zip(*runs, strict=True):
        assert [hand.box for hand in first] == [hand.box for hand in second]
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(a.landmarks, b.landmarks)
    assert any(runs[0])
