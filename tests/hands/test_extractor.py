from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from factories import RecordedBackend, frames, write_video

from pgc_data.hands.extractor import Shard, extract_shard
from pgc_data.hands.media_items import MediaItem


def shard(raw, items, folder=None):
    out = folder or raw / "out"
    out.mkdir(exist_ok=True)
    return Shard(0, tuple(items), raw, out, 0.2, {})


def tables(found):
    return {name: pl.read_parquet(found.path(name)) for name in found.tables}


def video(raw, count, name="v.avi"):
    write_video(raw / name, count)
    return MediaItem(name, "video", 30.0, ((1, count),))


def test_clips_videos_and_photographs_of_one_shard_come_in_its_order(tmp_path):
    frames(tmp_path, "clip", 5)
    cv2.imwrite(str(tmp_path / "photo.png"), np.full((48, 64, 3), 7, np.uint8))
    items = [
        video(tmp_path, 4),
        MediaItem("photo.png", "image", None, ((1, 1),)),
        MediaItem("frames/clip", "frames", 10.0, ((2, 3), (5, 6))),
    ]
    backend, work = RecordedBackend(), shard(tmp_path, items)
    counts = extract_shard(work, backend)
    assert backend.started == [True, False, True]
    assert counts == {
        "frames": 9, "decoded": 8, "missing": 1, "undecodable": 0, "with_hand": 8, "without_hand": 0, "hands": 8,
        "crops": 8,
    }  # fmt: skip
    found = tables(work)
    assert found["frames"].select("media", "frame", "status").rows() == [
        *(("v.avi", n, "decoded") for n in range(1, 5)),
        ("photo.png", 1, "decoded"),
        *(("frames/clip", n, "decoded") for n in (2, 3, 5)),
        ("frames/clip", 6, "missing"),
    ]
    assert found["hands"]["timestamp_s"].to_list() == pytest.approx(
        [0, 1 / 30, 2 / 30, 0.1, 0, 0.1, 0.2, 0.4]
    )
    crops = [cv2.imdecode(np.frombuffer(crop, np.uint8), 1) for crop in found["hands"]["crop"]]
    assert [round(float(crop.mean()) / 4) for crop in crops[:4]] == [1, 2, 3, 4]
    assert (crops[4] == 7).all()


def test_where_the_backend_fails_no_table_and_no_thread_is_left(tmp_path):
    def fail(image, timestamp_s):
        raise ValueError("the network is gone")

    work = shard(tmp_path, [video(tmp_path, 50)])
    with pytest.raises(ValueError, match="the network is gone"):
        extract_shard(work, RecordedBackend(fail))
    assert not list(work.folder.iterdir())
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_the_same_frames_give_the_same_bytes(tmp_path):
    items = [video(tmp_path, 30)]
    first, second = (shard(tmp_path, items, tmp_path / name) for name in ("a", "b"))
    for work in (first, second):
        extract_shard(work, RecordedBackend())
    for name in first.tables:
        assert first.path(name).read_bytes() == second.path(name).read_bytes()


_PEAK = """
import re, sys
from pathlib import Path
sys.path[:0] = {path!r}
from factories import RecordedBackend, drawn_hand
from pgc_data.hands.extractor import Shard, extract_shard
from pgc_data.hands.media_items import MediaItem
raw = Path({raw!r})
item = MediaItem("v.avi", "video", 30.0, ((1, {count}),))
print(extract_shard(Shard({count}, (item,), raw, raw, 0.2, {{}}),
    RecordedBackend(lambda image, seconds: [drawn_hand(0, 160, 120)]))["crops"])
# Not of getrusage, which begins with the peak of the process that started this one.
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_memory_does_not_grow_with_the_length_of_a_video(tmp_path):
    noise = cv2.resize(np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8), (160, 120))
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 30, (160, 120))
    for number in range(20_000):
        writer.write(np.roll(noise, number, axis=1))
    writer.release()

    def peak_mb(count):
        code = _PEAK.format(path=sys.path, raw=str(tmp_path), count=count)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        crops, peak = map(int, done.stdout.split())
        assert crops == count
        return peak / 1024

    # The frames between the two would take 1,000 MB.
    short, long = peak_mb(2_000), peak_mb(20_000)
    assert long - short < 40, (short, long)


def test_mediapipe_is_given_times_that_grow(monkeypatch):
    vision = pytest.importorskip("mediapipe.tasks.python.vision")
    from pgc_data.hands import mediapipe_backend

    class Landmarker:
        def __init__(self):
            self.times = []

        def detect_for_video(self, image, time_ms):
            self.times.append(time_ms)
            result = type("Result", (), {"hand_landmarks": [], "hand_world_landmarks": [], "handedness": []})
            return result()

        def close(self):
            pass

    made = []

    def create(options):
        assert options.running_mode == vision.RunningMode.VIDEO
        made.append(Landmarker())
        return made[-1]

    monkeypatch.setattr(vision.HandLandmarker, "create_from_options", create)
    backend = mediapipe_backend.MediaPipeHands(Path(__file__), 1)
    for clip in ([0, 0.0001, 0.0002, 0.0333, 0.0334], [0, 0.001]):
        backend.start(tracking=True)
        for seconds in clip:
            backend.find(np.zeros((4, 4, 3), np.uint8), seconds)
    assert [landmarker.times for landmarker in made] == [[0, 1, 2, 33, 34], [0, 1]]
