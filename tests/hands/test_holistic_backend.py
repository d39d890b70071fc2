"""HolisticLandmarker's results become hands and bodies. The landmarker is a stand-in, its result types are real."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from factories import RecordedBackend, drawn_hand, frames
from mediapipe.tasks.python import vision
from mediapipe.tasks.python.components.containers.landmark import Landmark, NormalizedLandmark

from pgc_data.errors import DataError
from pgc_data.hands import model_file
from pgc_data.hands.backends import BACKENDS, LANDMARKS, TABLES, make_backend
from pgc_data.hands.extractor import Shard, extract_shard, shard_stats
from pgc_data.hands.holistic_backend import MediaPipeHolistic
from pgc_data.hands.media_items import MediaItem
from pgc_data.hands.types import Body, Found
from pgc_data.storage.files import read_json
from pgc_data.storage.parquet import read_frame, read_table

PICTURE = np.zeros((48, 64, 3), np.uint8)
PARTS = ("pose", "face", "left_hand", "right_hand")
COUNTS = {"pose": 33, "face": 478, "left_hand": 21, "right_hand": 21}
# Where each part begins, so that no two parts have a point in common.
ORIGIN = {"pose": 0.1, "face": 0.2, "left_hand": 0.3, "right_hand": 0.4}


def points(name, count):
    """(count, 3) landmarks of a part: each differs from all others."""
    return ORIGIN[name] + np.arange(count)[:, None] * 1e-4 + np.array([0.0, 0.05, -0.3])


def result(**counts):
    """A result with so many landmarks of each part; none for a part that is not named."""
    lists = {}
    for name in PARTS:
        rows = points(name, counts.get(name, 0))
        lists[f"{name}_landmarks"] = [
            NormalizedLandmark(*row, visibility=0.9 - 0.01 * i if name == "pose" else None, presence=0.5)
            for i, row in enumerate(rows)
        ]
        if name != "face":
            # Worlds hang on the pose, half a metre off.
            lists[f"{name}_world_landmarks"] = [Landmark(*row) for row in rows * 0.1 + 0.5]
    return vision.HolisticLandmarkerResult(**lists)


@pytest.fixture
def landmarker(monkeypatch):
    """Stands in for HolisticLandmarker: notes what is asked of it and answers `.answer`."""

    class StandIn:
        answer = result(**COUNTS)
        made: list = []  # noqa: RUF012

        def __init__(self, options):
            self.options, self.asked, self.closed = options, [], False
            StandIn.made.append(self)

        @classmethod
        def create_from_options(cls, options):
            return cls(options)

        def detect(self, picture):
            self.asked.append((picture.numpy_view().copy(), None))
            return self.answer

        def detect_for_video(self, picture, timestamp_ms):
            self.asked.append((picture.numpy_view().copy(), timestamp_ms))
            return self.answer

        def close(self):
            self.closed = True

    StandIn.made = []
    monkeypatch.setattr(vision, "HolisticLandmarker", StandIn)
    return StandIn


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "holistic.task"
    path.write_bytes(b"model")
    return path


@pytest.fixture
def backend(model, landmarker):
    return make_backend("holistic", model, 2, 0.4)


def find(backend, answer, landmarker):
    landmarker.answer = answer
    backend.start(tracking=False)
    return backend.find(PICTURE, 0.0)


def test_every_part_is_read_in_its_order_and_irises_are_left_out(backend, landmarker):
    body = find(backend, result(**COUNTS), landmarker).body
    for name in ("face", "left_hand", "right_hand"):
        part = getattr(body, name)
        assert part.dtype == np.float32
        np.testing.assert_allclose(part, points(name, min(COUNTS[name], 468)), rtol=1e-6)
    assert body.pose.shape == (33, 4)
    np.testing.assert_allclose(body.pose[:, :3], points("pose", 33), rtol=1e-6)
    np.testing.assert_allclose(body.pose[:, 3], 0.9 - 0.01 * np.arange(33), rtol=1e-5)


def test_a_mesh_without_irises_is_the_same_face(backend, landmarker):
    with_irises = find(backend, result(face=478), landmarker).body.face
    np.testing.assert_array_equal(find(backend, result(face=468), landmarker).body.face, with_irises)


def test_hands_come_left_first_with_the_least_confidence_and_worlds_of_their_own(backend, landmarker):
    left, right = find(backend, result(**COUNTS), landmarker).hands
    assert (left.handedness, right.handedness) == ("Left", "Right")
    for hand, name in ((left, "left_hand"), (right, "right_hand")):
        expected = points(name, 21)
        assert (hand.score, hand.handedness_score) == (0.4, None)
        np.testing.assert_allclose(hand.landmarks, expected, rtol=1e-6)
        x, y = expected[:, 0] * 64, expected[:, 1] * 48
        np.testing.assert_allclose(hand.box, (x.min(), y.min(), np.ptp(x), np.ptp(y)), rtol=1e-4)
        centred = (expected - expected.mean(axis=0)) * 0.1
        np.testing.assert_allclose(hand.world_landmarks, centred, atol=1e-6)


@pytest.mark.parametrize(
    "found",
    [
        (),
        ("pose",),
        ("pose", "face"),
        ("pose", "left_hand"),
        ("pose", "face", "right_hand"),
        ("right_hand",),
        PARTS,
    ],
)
def test_a_missing_part_is_none(backend, landmarker, found):
    answer = find(backend, result(**{name: COUNTS[name] for name in found}), landmarker)
    assert [hand.handedness for hand in answer.hands] == [
        side for side in ("Left", "Right") if f"{side.lower()}_hand" in found
    ]
    if not found:
        assert answer.body is None
    else:
        assert [name for name in PARTS if getattr(answer.body, name) is not None] == list(found)


def test_a_hand_without_a_world_and_a_pose_without_visibility(backend, landmarker):
    answer = result(pose=33, left_hand=21)
    answer.left_hand_world_landmarks = []
    for landmark in answer.pose_landmarks:
        landmark.visibility = None
    found = find(backend, answer, landmarker)
    assert found.hands[0].world_landmarks is None
    np.testing.assert_array_equal(found.body.pose[:, 3], np.zeros(33))


@pytest.mark.parametrize(
    ("name", "count"), [("pose", 32), ("pose", 39), ("face", 467), ("left_hand", 20), ("right_hand", 22)]
)
def test_another_number_of_landmarks_is_another_model(backend, landmarker, name, count):
    with pytest.raises(DataError, match=rf"gave {count} {name} landmarks, .* needed: .*--holistic-model"):
        find(backend, result(**{**COUNTS, name: count}), landmarker)


def test_a_clip_is_asked_in_video_mode_in_rgb_with_milliseconds(backend, landmarker):
    backend.start(tracking=True)
    image = PICTURE.copy()
    image[:, :, 0] = 200
    for frame in range(3):
        backend.find(image, frame / 30)
    (made,) = landmarker.made
    assert made.options.running_mode == vision.RunningMode.VIDEO
    assert made.options.base_options.model_asset_buffer == b"model"
    assert [at for _, at in made.asked] == [0, 33, 67]
    assert made.asked[0][0][0, 0].tolist() == [0, 0, 200]
    confidences = {k: v for k, v in vars(made.options).items() if k.endswith("_confidence")}
    assert len(confidences) == 5
    assert set(confidences.values()) == {0.4}


def test_nothing_of_one_clip_or_photograph_is_seen_in_another(backend, landmarker):
    for tracking in (True, True, False, False):
        backend.start(tracking)
        backend.find(PICTURE, 0.0)
    backend.close()
    backend.close()
    assert [len(made.asked) for made in landmarker.made] == [1, 1, 1, 1]
    assert all(made.closed for made in landmarker.made)
    modes = [made.options.running_mode for made in landmarker.made]
    assert modes == [vision.RunningMode.VIDEO] * 2 + [vision.RunningMode.IMAGE] * 2


def test_hand_photographs_share_a_landmarker(model, landmarker, monkeypatch):
    monkeypatch.setattr(vision, "HandLandmarker", landmarker)
    hands = make_backend("mediapipe", model, 1, 0.5)
    for tracking in (False, False, True, False):
        hands.start(tracking)
    assert len(landmarker.made) == 3


@pytest.mark.parametrize(
    "error", [ValueError("bad\nmore"), RuntimeError(""), FileNotFoundError("no network")]
)
def test_a_model_that_mediapipe_refuses_is_an_error_of_the_data(backend, landmarker, monkeypatch, error):
    def refuse(options):
        raise error

    monkeypatch.setattr(landmarker, "create_from_options", refuse)
    with pytest.raises(DataError, match=r"cannot use the holistic model: [^\n]+; check --holistic-model"):
        backend.start(tracking=True)


def test_the_real_landmarker_refuses_networks_that_are_none(tmp_path):
    path = tmp_path / "holistic.task"
    path.write_bytes(model_file.assemble(dict.fromkeys(sorted(model_file.HOLISTIC.networks), b"no network")))
    assert model_file.find_holistic_model(path).path == path
    with pytest.raises(DataError, match="MediaPipe cannot use the holistic model"):
        MediaPipeHolistic(path, 0.5).start(tracking=True)


class Person:
    """A backend that finds a body in every frame but the 3rd of a clip, and a face alone in the 5th."""

    name = "holistic"

    def start(self, tracking):
        self._frame = 0

    def find(self, image, timestamp_s):
        self._frame += 1
        if self._frame == 3:
            return Found()
        face = np.full((468, 3), timestamp_s, np.float32)
        if self._frame == 5:
            return Found(body=Body(face=face))
        hand = drawn_hand(timestamp_s)
        pose = np.arange(132, dtype=np.float32).reshape(33, 4) / 132
        return Found([hand], Body(pose, face, None, hand.landmarks))

    def close(self):
        pass


def shard(tmp_path, backend, number=0):
    raw = tmp_path / "raw"
    for video in ("a", "b"):
        frames(raw, video, 6)
    (raw / "frames" / "b" / "b_000002.jpg").unlink()
    items = tuple(MediaItem(f"frames/{video}", "frames", 30.0, ((1, 6),)) for video in ("a", "b"))
    facts = {"backend": backend}
    return Shard(number, items, raw, tmp_path / "extracted", 0.2, facts, TABLES[backend])


def test_a_shard_gets_a_third_table_of_bodies(tmp_path):
    one = shard(tmp_path, "holistic")
    counts = extract_shard(one, Person())
    assert counts == {
        "frames": 12, "decoded": 11, "missing": 1, "undecodable": 0, "with_hand": 7, "without_hand": 4, "hands": 7,
        "crops": 7, "bodies": 9,
    }  # fmt: skip
    assert shard_stats(one.folder, 0) == counts
    assert list(read_json(one.stats_path)["bytes"]) == ["frames", "hands", "holistic"]
    bodies = read_table(one.path("holistic"), "holistic").to_pylist()
    assert [(row["media"][-1], row["frame"]) for row in bodies] == [
        *(("a", n) for n in (1, 2, 4, 5, 6)), *(("b", n) for n in (1, 3, 5, 6)),
    ]  # fmt: skip
    first, alone = bodies[0], bodies[3]
    assert (first["image_width"], first["image_height"], first["timestamp_s"]) == (64, 48, 0.0)
    np.testing.assert_array_equal(first["pose"], (np.arange(132, dtype=np.float32) / 132).reshape(33, 4))
    np.testing.assert_array_equal(first["right_hand"], drawn_hand(0.0).landmarks)
    assert first["left_hand"] is None
    assert [alone[name] is None for name in PARTS] == [True, False, True, True]
    np.testing.assert_array_equal(alone["face"], np.full((468, 3), np.float32(4 / 30)))
    # As the tables are read further on: arrays, with nulls apart.
    column = read_frame(one.path("holistic"), "holistic", ["pose"])["pose"]
    assert isinstance(column.dtype, pl.Array)
    assert column.drop_nulls().to_numpy().shape == (7, 33, 4)


def test_a_shard_of_bodies_is_whole_only_with_its_third_table(tmp_path):
    one = shard(tmp_path, "holistic")
    counts = extract_shard(one, Person())
    files = {path.name: path.read_bytes() for path in one.folder.iterdir()}
    path = one.path("holistic")
    path.write_bytes(files[path.name][:-1])
    assert shard_stats(one.folder, 0) is None
    path.unlink()
    assert shard_stats(one.folder, 0) is None
    assert extract_shard(one, Person()) == counts
    assert {path.name: path.read_bytes() for path in one.folder.iterdir()} == files


@pytest.mark.parametrize(
    "sizes", [{}, {"frames": 1}, {"hands": 1, "frames": 1}, {"../x": 1}, [], "frames", 3]
)
def test_stats_that_list_other_tables_are_not_ours(tmp_path, sizes):
    one = shard(tmp_path, "holistic")
    extract_shard(one, Person())
    stats = read_json(one.stats_path)
    one.stats_path.write_text(str({**stats, "bytes": sizes}).replace("'", '"'))
    assert shard_stats(one.folder, 0) is None


def test_hands_alone_make_no_third_table(tmp_path):
    one = shard(tmp_path, "mediapipe")
    assert "bodies" not in extract_shard(one, RecordedBackend())
    assert shard_stats(one.folder, 0) is not None
    assert sorted(path.name for path in one.folder.iterdir()) == [
        "frames-00000.parquet", "hands-00000.parquet", "stats-00000.json",
    ]  # fmt: skip


def test_every_backend_has_its_tables_and_can_be_made(model):
    # `direct` reads its networks at once, and has tests of its own.
    for name in set(BACKENDS) - set(LANDMARKS) - {"direct"}:
        assert make_backend(name, model, 1, 0.5).name == name
        assert TABLES[name][:2] == ("frames", "hands")
