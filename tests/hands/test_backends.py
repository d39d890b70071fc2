"""Backends that go by boxes: their options, batches, landmarks in boxes, and both from photographs to tables."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from factories import RecordedBackend, drawn_hand, frames
from onnx_detectors import write_detector

from pgc_data.engines import Attempt
from pgc_data.errors import ConfigError, DataError
from pgc_data.hands import box_landmarks
from pgc_data.hands.backends import BoxSettings, make_backend
from pgc_data.hands.box_landmarks import BoxLandmarker, overlap
from pgc_data.hands.extractor import Shard, extract_shard
from pgc_data.hands.media_items import MediaItem
from pgc_data.hands.types import Found, Hand
from pgc_data.stages import extract, prepare, synthesize, to_parquet
from pgc_data.stages.extract import ExtractConfig
from pgc_data.storage.parquet import read_frame

PHOTOS = ("a", "b", "lost", "c", "d", "e")


class ManyAtOnce(RecordedBackend):
    """Finds hands in three images at once, and notes how many it was given."""

    batch = 3

    def __init__(self) -> None:
        super().__init__(lambda image, timestamp_s: [drawn_hand(float(image[0, 0, 0]) / 50)])
        self.given: list[int] = []

    def find_many(self, images):
        self.given.append(len(images))
        return [self.find(image, 0.0) for image in images]


class OneByOne(RecordedBackend):
    """The same hands, one image at a time."""

    def __init__(self) -> None:
        super().__init__(lambda image, timestamp_s: [drawn_hand(float(image[0, 0, 0]) / 50)])


@pytest.fixture
def media(tmp_path):
    """Photographs, one of which is missing, around a clip."""
    for number, name in enumerate(PHOTOS):
        if name != "lost":
            cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((48, 64, 3), 10 * number, np.uint8))
    frames(tmp_path, "clip", 7)
    photos = [MediaItem(f"{name}.png", "image", None, ((1, 1),)) for name in PHOTOS]
    clip = MediaItem("frames/clip", "frames", 30.0, ((1, 2), (4, 7)))
    return tmp_path, (*photos[:4], clip, *photos[4:])


def extracted(media, backend, name, attempt=None):
    raw, items = media
    folder = raw / name
    folder.mkdir()
    shard = Shard(0, items, raw, folder, 0.2, {})
    counts = extract_shard(shard, backend, attempt)
    return counts, read_frame(shard.path("frames"), "frames"), read_frame(shard.path("hands"), "hands")


def test_a_batch_writes_what_image_by_image_would(media):
    many = ManyAtOnce()
    counts, frames_table, hands = extracted(media, many, "many")
    expected = extracted(media, OneByOne(), "one")
    assert counts == expected[0]
    assert frames_table.equals(expected[1])
    assert hands.equals(expected[2])
    assert (counts["missing"], counts["hands"]) == (1, 11)
    # Three photographs, of which one is missing; the fourth; the clip's frames; the last two photographs.
    assert many.given == [2, 1, 3, 3, 2]


class Noted(Attempt):
    """Notes what is begun and ended."""

    def __init__(self, **known) -> None:
        super().__init__(**known)
        self.notes: list[tuple[str, int]] = []

    def begin(self, item):
        self.notes.append(("begin", item))
        super().begin(item)

    def end(self, item):
        self.notes.append(("end", item))
        super().end(item)


def test_what_is_looked_at_together_is_begun_before_any_of_it_ends(media):
    attempt = Noted()
    extracted(media, ManyAtOnce(), "noted", attempt)
    groups = ((0, 1, 2), (3,), (4,), (5, 6))
    assert attempt.notes == [(what, item) for group in groups for what in ("begin", "end") for item in group]


def test_after_a_death_photographs_are_looked_at_one_by_one_without_the_one_that_killed(media):
    many, attempt = ManyAtOnce(), Noted(crashed=frozenset({1}), careful=True)
    counts, frames_table, _ = extracted(media, many, "careful", attempt)
    items = (0, 2, 3, 4, 5, 6)
    assert attempt.notes == [(what, item) for item in items for what in ("begin", "end")]
    assert (counts["undecodable"], counts["missing"], counts["hands"]) == (1, 1, 10)
    assert frames_table.filter(pl.col("status") == "undecodable")["media"].to_list() == ["b.png"]


def test_one_that_killed_before_parts_a_batch_and_stays_in_its_place(media):
    counts, frames_table, _ = extracted(media, ManyAtOnce(), "parted", Noted(crashed=frozenset({1})))
    assert frames_table["media"].unique(maintain_order=True).to_list() == [item.media for item in media[1]]
    assert counts["hands"] == 10


@pytest.fixture
def finder(monkeypatch):
    """Stands in for HandLandmarker: `.answer(crop)` gives hands in the crop's own coordinates."""

    class StandIn:
        answer = staticmethod(lambda crop: [])

        def __init__(self, model, hands, confidence):
            self.asked = (hands, confidence)

        def start(self, tracking):
            assert not tracking

        def find(self, crop, timestamp_s):
            return Found(StandIn.answer(crop))

        def close(self):
            pass

    monkeypatch.setattr(box_landmarks, "MediaPipeHands", StandIn)
    return StandIn


def in_crop(x, y, width, height, crop):
    """A hand whose joints lie on the diagonal of a box in a crop's pixels."""
    steps = np.linspace(0, 1, 21)
    points = np.stack(
        [(x + steps * width) / crop.shape[1], (y + steps * height) / crop.shape[0], steps / 10], axis=1
    )
    return Hand((x, y, width, height), 0.8, points.astype(np.float32), None, "Left", 0.8)


def test_landmarks_found_in_a_box_are_those_of_the_whole_image(finder):
    image = np.zeros((200, 400, 3), np.uint8)
    image[60:80, 100:140] = 255
    seen = []

    def answer(crop):
        seen.append(crop.shape[:2])
        ys, xs = np.nonzero(crop[:, :, 0])
        x, y = int(xs.min()), int(ys.min())
        # Another hand in the same crop comes first.
        return [in_crop(0, 0, 9, 9, crop), in_crop(x, y, 40, 20, crop)]

    finder.answer = staticmethod(answer)
    hand = Hand((100.0, 60.0, 40.0, 20.0), 0.6)
    (filled,) = BoxLandmarker(Path("m"), 0.5).fill(image, [hand])
    # A margin of the longer side all around.
    assert seen == [(100, 120)]
    assert (filled.box, filled.score) == (hand.box, hand.score)
    assert (filled.handedness, filled.handedness_score) == ("Left", pytest.approx(0.8))
    steps = np.linspace(0, 1, 21)
    wanted = np.stack([(100 + steps * 40) / 400, (60 + steps * 20) / 200, steps / 10 * 120 / 400], axis=1)
    np.testing.assert_allclose(filled.landmarks, wanted, atol=1e-6)


@pytest.mark.parametrize("where", [(0, 0, 9, 9), None])
def test_a_hand_elsewhere_in_the_crop_is_not_the_one_in_the_box(finder, where):
    finder.answer = staticmethod(lambda crop: [] if where is None else [in_crop(*where, crop)])
    hand = Hand((100.0, 60.0, 40.0, 20.0), 0.6)
    image = np.zeros((200, 400, 3), np.uint8)
    assert BoxLandmarker(Path("m"), 0.5).fill(image, [hand]) == [hand]


def test_a_box_outside_the_image_keeps_its_hand_without_landmarks(finder):
    hand = Hand((500.0, 60.0, 40.0, 20.0), 0.6)
    assert BoxLandmarker(Path("m"), 0.5).fill(np.zeros((200, 400, 3), np.uint8), [hand]) == [hand]


@pytest.mark.parametrize(
    ("a", "b", "share"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
        ((0, 0, 10, 10), (5, 0, 10, 10), 1 / 3),
        ((0, 0, 10, 10), (10, 0, 10, 10), 0.0),
        ((0, 0, 10, 10), (20, 20, 1, 1), 0.0),
        ((0, 0, 10, 10), (2, 2, 5, 5), 0.25),
    ],
)
def test_overlap_is_intersection_over_union(a, b, share):
    assert overlap(a, b) == overlap(b, a) == pytest.approx(share)


def test_what_a_backend_lacks_is_said(tmp_path):
    with pytest.raises(ConfigError, match="onnx needs a detector"):
        make_backend("onnx", None, 1, 0.5, BoxSettings("none"))
    with pytest.raises(DataError, match=r"cannot see the hand model .*gone.task"):
        make_backend("annotation", None, 0, 0.5, BoxSettings("mediapipe", tmp_path / "gone.task"))
    with pytest.raises(ConfigError, match="annotation needs"):
        make_backend("annotation", None, 0, 0.5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"backend": "onnx"}, "the backend onnx needs a detector: pass --detector"),
        ({"detector": Path("d.onnx")}, "detector=d.onnx has no meaning for the backend mediapipe"),
        ({"provider": "cuda"}, "provider=cuda has no meaning for the backend mediapipe"),
        ({"landmarks": "none"}, "landmarks=none has no meaning for the backend mediapipe"),
        ({"backend": "holistic", "detector_classes": (26,)}, "detector-classes=.26,. has no meaning"),
        ({"backend": "annotation", "hands": 2}, "hands=2 has no meaning for the backend annotation"),
        ({"backend": "annotation", "provider": "cpu"}, "provider=cpu has no meaning"),
        (
            {"backend": "annotation", "confidence": 0.4},
            "confidence=0.4 has no meaning .* all boxes are taken",
        ),
        ({"backend": "annotation", "hand_model": Path("m.task")}, "no meaning with landmarks=annotation"),
        (
            {"backend": "onnx", "detector": Path("d"), "landmarks": "annotation"},
            "landmarks=annotation is nothing that the backend onnx has: take mediapipe or none",
        ),
        (
            {"backend": "onnx", "detector": Path("d"), "landmarks": "none", "hand_model": Path("m.task")},
            "hand-model=m.task has no meaning with landmarks=none",
        ),
        (
            {"backend": "onnx", "detector": Path("d"), "provider": "gpu"},
            "provider='gpu' is not one of cpu, cuda",
        ),
    ],
)
def test_options_that_another_backend_has_are_a_wrong_call(given, message):
    with pytest.raises(ConfigError, match=message):
        ExtractConfig(dataset="hagrid", **given)


SOURCE = "hagrid-synthetic"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Photographs drawn in HaGRID's release with landmarks, prepared."""
    workspace = tmp_path_factory.mktemp("hagrid")
    synthesize.run(
        synthesize.SynthesizeConfig(
            workspace=workspace, dataset="hagrid", release="v1", subjects=5, repeats=1, workers=1
        )
    )
    prepare.run(prepare.PrepareConfig(workspace=workspace, dataset="hagrid", name=SOURCE))
    return workspace


@pytest.fixture
def workspace(drawn, tmp_path):
    """A copy of `drawn` of its own."""
    return shutil.copytree(drawn, tmp_path / "workspace")


def run(workspace, **settings):
    return extract.run(ExtractConfig(workspace=workspace, dataset=SOURCE, workers=1, **settings))


def hands_of(workspace):
    return pl.read_parquet(workspace / "extracted" / SOURCE / "hands-*.parquet")


def settings_of(workspace):
    return json.loads((workspace / "extracted" / SOURCE / "settings.json").read_text())


def samples_of(workspace):
    return pl.read_parquet(workspace / "prepared" / SOURCE / "samples.parquet")


def tables(workspace):
    """Crops and box42 windows of all that was extracted."""
    to_parquet.run(
        to_parquet.ToParquetConfig(
            workspace=workspace, datasets=(SOURCE,), vocabulary="hagrid34", name="made",
            table=("crops", "windows"), features="box42", min_size=4,
        )
    )  # fmt: skip
    return (
        pl.read_parquet(workspace / "parquet" / "made" / name / "**" / "*.parquet", glob=True)
        for name in ("crops", "windows")
    )


@pytest.mark.slow
def test_annotated_boxes_become_crops_and_windows_with_their_own_labels(workspace):
    samples = samples_of(workspace)
    summary = run(workspace, backend="annotation")
    hands = hands_of(workspace)
    assert summary.counts["hands"] == hands.height == samples["boxes"].list.len().sum()
    assert summary.models == {}
    assert hands["backend"].unique().to_list() == ["annotation"]
    known = (
        samples.explode("boxes").height
        - samples.filter(pl.col("landmarks_2d").is_null())["boxes"].list.len().sum()
    )
    assert hands["landmarks"].count() == known > 0
    settings = settings_of(workspace)
    assert (settings["landmarks"], settings["config"]["hands"]) == ("annotation", None)
    assert not {name for name in settings if name.endswith("model_sha256")}
    crops, windows = tables(workspace)
    assert crops.height == hands.height
    assert windows.height == known
    wanted = samples.select("label", n=pl.col("boxes").list.len()).group_by("label").agg(pl.col("n").sum())
    assert dict(crops.group_by("native_label").len().iter_rows()) == dict(wanted.iter_rows())
    assert windows["has_z"].unique().to_list() == [False]
    assert run(workspace, backend="annotation").worked == 0


@pytest.mark.slow
def test_other_boxes_on_the_same_images_are_another_extraction(workspace):
    run(workspace, backend="annotation", landmarks="none")
    for file in (workspace / "raw" / SOURCE).glob("ann_*/*.json"):
        records = json.loads(file.read_text())
        for record in records.values():
            record["bboxes"][0][2] *= 0.9
        file.write_text(json.dumps(records))
    prepare.run(prepare.PrepareConfig(workspace=workspace, dataset="hagrid", name=SOURCE))
    with pytest.raises(DataError, match="was prepared again"):
        tables(workspace)
    with pytest.raises(DataError, match="media_sha256"):
        run(workspace, backend="annotation", landmarks="none")


@pytest.mark.slow
def test_a_source_without_depth_gives_windows_that_say_so(workspace):
    run(workspace, backend="annotation")
    for landmarks, has_z in (("annotation", False), ("mediapipe", True)):
        path = workspace / "extracted" / SOURCE / "settings.json"
        path.write_text(json.dumps({**settings_of(workspace), "landmarks": landmarks}))
        to_parquet.run(
            to_parquet.ToParquetConfig(
                workspace=workspace, datasets=(SOURCE,), vocabulary="hagrid34", name=landmarks,
                table=("windows",), features="landmarks63", frames=1, eval_every=1,
            )
        )  # fmt: skip
        windows = pl.read_parquet(
            workspace / "parquet" / landmarks / "windows" / "**" / "*.parquet", glob=True
        )
        assert windows.height > 0
        assert windows["has_z"].unique().to_list() == [has_z]


def palm_errors(workspace, hands):
    """Mean distance of the joints of each hand to the drawn ones, in palm lengths."""
    drawn = samples_of(workspace).drop_nulls("landmarks_2d").explode("boxes", "landmarks_2d")
    size = hands.select("media", "box", "landmarks", "image_width", "image_height")
    errors = []
    for media, box, landmarks, width, height in size.drop_nulls().iter_rows():
        for wanted, points in (
            drawn.filter(pl.col("media") == media).select("boxes", "landmarks_2d").iter_rows()
        ):
            wanted = np.array(wanted) * [width, height, width, height]
            if overlap(tuple(wanted), tuple(box)) > 0.5:
                joints, found = (np.array(p)[:, :2] * [width, height] for p in (points, landmarks))
                palm = np.linalg.norm(joints[9] - joints[0])
                errors.append(np.linalg.norm(joints - found, axis=1).mean() / palm)
    return np.array(errors)


@pytest.mark.slow
def test_mediapipe_finds_the_drawn_joints_in_annotated_boxes(workspace):
    summary = run(workspace, backend="annotation", landmarks="mediapipe")
    hands = hands_of(workspace)
    assert set(summary.models) == {"hand"}
    assert hands["score"].unique().to_list() == [1.0]
    assert hands["landmarks"].count() >= 0.9 * hands.height
    assert set(hands.drop_nulls("landmarks")["handedness"]) <= {"Left", "Right"}
    errors = palm_errors(workspace, hands)
    assert len(errors) > 10
    assert np.median(errors) < 0.1
    assert np.percentile(errors, 90) < 0.2
    settings = settings_of(workspace)
    assert settings["landmarks"] == "mediapipe"
    assert len(settings["hand_model_sha256"]) == 64


def mark(workspace):
    """Draws a strong colour around each annotated hand: blue around the first of an image, green around the second."""
    seen = {}
    for media, found in samples_of(workspace).sort("media", "sample_id").select("media", "boxes").iter_rows():
        seen.setdefault(media, []).extend(found)
    for media, found in seen.items():
        path = workspace / "raw" / SOURCE / media
        image = cv2.imread(str(path))
        height, width = image.shape[:2]
        for colour, (x, y, w, h) in zip(((255, 0, 0), (0, 255, 0)), found, strict=False):
            corners = (round(x * width), round(y * height)), (round((x + w) * width), round((y + h) * height))
            cv2.rectangle(image, *corners, colour, 3)
        cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 98])
    return sum(min(len(found), 2) for found in seen.values())


@pytest.mark.slow
def test_a_detector_finds_hands_in_photographs_and_mediapipe_their_joints(workspace, tmp_path):
    marked = mark(workspace)
    detector = write_detector(tmp_path / "detector.onnx")
    common = {"backend": "onnx", "detector": detector, "hands": 2}
    summary = run(workspace, **common, detector_classes=(27, 26))
    hands = hands_of(workspace)
    assert set(summary.models) == {"detector", "hand"}
    assert summary.counts["hands"] == hands.height == marked
    assert hands["landmarks"].count() >= 0.85 * hands.height
    assert (hands["score"] > 0.5).all()
    settings = settings_of(workspace)
    assert (settings["detector_classes"], settings["landmarks"]) == ([26, 27], "mediapipe")
    assert len(settings["detector_model_sha256"]) == 64
    assert {"mediapipe", "onnxruntime"} <= set(settings["libraries"])
    crops, windows = tables(workspace)
    assert crops.height == marked
    assert windows.height == hands["landmarks"].count()
    with pytest.raises(DataError, match=r"detector_classes: \[26, 27\], now \[26\]"):
        run(workspace, **common)
    with pytest.raises(DataError, match="landmarks: 'mediapipe', now 'none'"):
        run(workspace, **common, detector_classes=(26, 27), landmarks="none")
    # Where the detector runs changes nothing that counts.
    assert run(workspace, **common, detector_classes=(26, 27), provider="cpu").worked == 0


@pytest.mark.slow
def test_the_command_line_takes_classes_as_often_as_given(workspace, tmp_path, cli):
    mark(workspace)
    detector = write_detector(tmp_path / "detector.onnx", ("B", 3, 320, 320))
    words = (
        "extract", SOURCE, "--workspace", workspace, "--workers", "1", "--backend", "onnx", "--detector", detector,
        "--landmarks", "none", "--detector-classes", "26", "--detector-classes", "27",
    )  # fmt: skip
    done = cli(*words)
    assert done.exit_code == 0, done.output
    assert "detector model: " in done.output
    assert settings_of(workspace)["detector_classes"] == [26, 27]
    hands = hands_of(workspace)
    assert hands["landmarks"].null_count() == hands.height
    assert "mediapipe" not in settings_of(workspace)["libraries"]
    before = {p.name: p.read_bytes() for p in (workspace / "extracted" / SOURCE).glob("*.parquet")}
    assert cli(*words, "--restart", "--workers", "2").exit_code == 0
    assert {p.name: p.read_bytes() for p in (workspace / "extracted" / SOURCE).glob("*.parquet")} == before
