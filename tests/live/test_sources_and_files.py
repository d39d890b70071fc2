"""Cameras, videos and folders as sources; videos, lines and tables as results."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack

import av
import numpy as np
import polars as pl
import pytest
from factories import drawn_hand, frames, write_video

from pgc_data.errors import DataError
from pgc_data.live.draw import Overlay, draw
from pgc_data.live.record import FrameRecord, open_results, recording
from pgc_data.live.sources import Camera, make_source
from pgc_data.live.types import SCENE, Event, LiveFrame, Verdict


class Capture:
    """A camera that gives grey frames, as `cv2.VideoCapture`."""

    def __init__(self, count, opened=True):
        self.left, self.opened, self.released, self.given = count, opened, False, 0

    def isOpened(self):  # noqa: N802
        return self.opened

    def read(self):
        time.sleep(0.005)
        self.left -= 1
        self.given += 1
        return self.left >= 0, np.full((4, 6, 3), min(self.given, 255), np.uint8)

    def get(self, key):
        return 0.0

    def release(self):
        self.released = True


def test_a_slow_reader_of_a_camera_gets_the_newest_frame():
    capture = Capture(60)
    camera = Camera(0, capture)
    seen = []
    for frame in camera.frames():
        seen.append(frame)
        time.sleep(0.05)
    numbers = [frame.number for frame in seen]
    assert numbers == sorted(set(numbers)) and len(numbers) < 50
    # The first frame only showed that there is a picture.
    assert all(frame.image[0, 0, 0] == frame.number + 1 for frame in seen)
    assert [frame.time for frame in seen] == sorted(frame.time for frame in seen)
    assert capture.released and camera.fps == 30.0


def test_a_camera_is_let_go_when_the_run_ends_early():
    capture = Capture(10_000)
    frames = Camera(0, capture).frames()
    next(frames)
    frames.close()
    assert capture.released


@pytest.mark.parametrize("capture", [Capture(5, opened=False), Capture(0)])
def test_no_camera_is_an_error(capture):
    with pytest.raises(DataError, match="no camera 2"):
        Camera(2, capture)
    assert capture.released


def test_videos_and_folders_give_every_frame(tmp_path):
    write_video(tmp_path / "v.avi", 5)
    video = make_source(str(tmp_path / "v.avi"))
    assert (video.count, video.fps, video.live) == (5, 30.0, False)
    shown = list(video.frames())
    assert [frame.number for frame in shown] == [1, 2, 3, 4, 5]
    assert [round(frame.time * 30) for frame in shown] == [0, 1, 2, 3, 4]
    folder = frames(tmp_path, "clip", 4)
    (folder / "clip_000002.jpg").write_bytes(b"")
    assert [(frame.number, round(frame.time * 30)) for frame in make_source(str(folder)).frames()] == [
        (1, 0), (3, 2), (4, 3),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "none.mp4", "no video"),
        (lambda p: p, "no numbered images"),
        (lambda p: (p / "x.mp4", (p / "x.mp4").write_bytes(b"no video"))[0], "cannot be opened as a video"),
    ],
)
def test_sources_that_are_none(tmp_path, make, message):
    with pytest.raises(DataError, match=message):
        make_source(str(make(tmp_path)))


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov"])
def test_a_recording_has_the_times_of_its_frames(tmp_path, ending):
    path = tmp_path / f"o.{ending}"
    times = [0.0, 0.1, 0.1, 0.5]
    with recording(path, 30.0) as recorder:
        for time_s in times:
            recorder.write(np.full((49, 65, 3), 90, np.uint8), time_s)
    with av.open(str(path)) as video:
        found = [(frame.width, frame.height, frame.time) for frame in video.decode(video=0)]
    assert [size[:2] for size in found] == [(64, 48)] * 4
    assert [each[2] for each in found] == pytest.approx(times, abs=0.002)


def test_a_recording_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), recording(tmp_path / "o.mp4", 30.0) as recorder:
        recorder.write(np.zeros((48, 64, 3), np.uint8), 0.0)
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


RECORDS = [
    FrameRecord(LiveFrame(1, 0.0, np.zeros((48, 64, 3), np.uint8)), [], [], {}, ("a", "b")),
    FrameRecord(
        LiveFrame(2, 0.1, np.zeros((48, 64, 3), np.uint8), [drawn_hand()], [4]), [Verdict(4, (0.2, 0.7))],
        [Event("start", 4, "b", 0.1, 0.0), Event("end", 1, "a", 0.1, 0.0, 2.0)], {4: "b"}, ("a", "b"),
    ),
]  # fmt: skip


def written(path):
    with ExitStack() as stack:
        sink = open_results(path, stack, {})
        for record in RECORDS:
            sink.write(record)
    return path


def test_results_as_lines(tmp_path):
    lines = [json.loads(line) for line in written(tmp_path / "r.jsonl").read_text().splitlines()]
    assert lines[0] == {"frame": 1, "timestamp_s": 0.0, "tracks": [], "events": []}
    hand, gone = lines[1]["tracks"]
    assert (hand["track_id"], hand["active"], hand["label"]) == (4, "b", "b")
    assert hand["probabilities"] == {"a": 0.2, "b": 0.7}
    assert (gone["track_id"], gone["probabilities"]) == (1, {})
    assert [event["kind"] for event in lines[1]["events"]] == ["start", "end"]


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_results_as_a_table(tmp_path, ending):
    path = written(tmp_path / f"r.{ending}")
    rows = pl.read_parquet(path) if ending == "parquet" else pl.read_csv(path)
    assert rows["frame"].to_list() == [1, 2, 2]
    assert rows["track_id"].to_list() == [None, 4, 1]
    assert rows["event"].to_list() == [None, "start:b", "end:a"]
    assert rows["probability"].to_list() == [None, pytest.approx(0.7), None]


@pytest.mark.parametrize("mirror", [False, True])
def test_drawing_marks_the_hand_and_leaves_the_frame_alone(mirror):
    image = np.full((240, 320, 3), 60, np.uint8)
    hand = drawn_hand(4.0, 320, 240)
    frame = LiveFrame(1, 0.0, image, [hand], [2])
    shown = draw(Overlay(frame, [Verdict(2, (0.8,))], {2: "pointing"}, ("pointing",), 0.5, 30.0, mirror))
    assert (image == 60).all() and shown.shape == image.shape
    x, y, wide, high = hand.box
    middle = round(x + wide / 2)
    changed = (shown != 60).any(axis=2)[round(y) : round(y + high)]
    left, right = changed[:, :160].sum(), changed[:, 160:].sum()
    assert middle > 160
    assert (left > right) == mirror


def test_the_scene_has_bars_of_its_own():
    frame = LiveFrame(1, 0.0, np.full((240, 320, 3), 60, np.uint8))
    overlay = Overlay(frame, [Verdict(SCENE, (0.1, 0.8))], {SCENE: "tap"}, ("swipe", "tap"), 0.5, 30.0)
    assert (draw(overlay)[-40:, :100] != 60).any()
