"""`live` as it is typed, with a backend that finds what it is told."""

from __future__ import annotations

import json

import av
import numpy as np
import pytest
from factories import RecordedBackend, drawn_hand, write_video
from pointing_networks import write_pointing, write_sequence

from pgc_data.live import loop as loops
from pgc_data.live.debounce import DebounceRule
from pgc_data.live.finder import HandFinder
from pgc_data.live.loop import LiveLoop, run_loop
from pgc_data.live.sources import make_source
from pgc_data.live.types import Verdict
from pgc_data.stages import live

FRAMES = 12


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(live, "_backend", lambda config, models: RecordedBackend())
    monkeypatch.setattr(live.networks, "find_models", lambda config: {})
    monkeypatch.delenv("DISPLAY", raising=False)
    write_video(tmp_path / "v.avi", FRAMES)
    return write_pointing(tmp_path / "m.onnx")


@pytest.mark.parametrize("kind", ["pointing", "sequence"])
def test_a_video_is_annotated_and_told_of(cli, model, tmp_path, kind):
    if kind == "sequence":
        write_sequence(model)
    words = [
        "--headless",
        "--output",
        "o.mp4",
        "--results",
        "r.jsonl",
        "--enter",
        0.0,
        "--leave",
        0.0,
        "--mirror",
    ]
    result = cli("live", model, "--source", "v.avi", "--json", *words)
    assert result.exit_code == 0, result.output
    summary = json.loads(result.output[result.output.index("{") :])
    assert (summary["frames"], summary["with_hand"], summary["stopped"]) == (FRAMES, FRAMES, "end")
    assert [event["kind"] for event in summary["events"]] == ["start", "end"]
    lines = (tmp_path / "r.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == list(range(1, FRAMES + 1))
    with av.open(str(tmp_path / "o.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == FRAMES


def test_a_run_ends_after_so_many_seconds(cli, model):
    result = cli(
        "live", model, "--source", "v.avi", "--headless", "--results", "r.csv", "--seconds", 0.15, "--json"
    )
    summary = json.loads(result.output[result.output.index("{") :])
    assert (summary["frames"], summary["stopped"]) == (5, "time")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--headless"], 2, "nothing would come of it"),
        (["--headless", "--output", "o.gif"], 2, "no known ending"),
        (["--headless", "--results", "r.txt"], 2, "no known ending"),
        (["--headless", "--results", "r.csv", "--source", "none.mp4"], 1, "no video none.mp4"),
        (["--headless", "--results", "r.csv", "--source", "77"], 1, "no camera 77"),
        (["--enter", "0.3", "--leave", "0.5"], 2, "leave=0.5 is above enter=0.3"),
        (["--detector", "m.onnx"], 2, "detector=m.onnx has no meaning for the backend mediapipe"),
        (["--backend", "onnx"], 2, "needs a detector"),
        (["--source", "v.avi"], 2, "pass --headless"),
    ],
)
def test_wrong_calls(cli, model, monkeypatch, words, status, message):
    monkeypatch.setattr("pgc_data.live.sources._has_display", lambda: False)
    monkeypatch.setattr("sys.platform", "linux")
    result = cli("live", model, *words)
    assert (result.exit_code, message in result.output) == (status, True), result.output
    assert result.output.count("\n") == 1


class Judge:
    """A model that is told what to say."""

    classes, threshold = ("pointing",), 0.5

    def see(self, frame):
        return [Verdict(track, (1.0,)) for track in frame.tracks]


class Screen:
    """A window that is closed after some frames."""

    def __init__(self, frames):
        self.left, self.shown = frames, []

    def show(self, image):
        self.shown.append(image.shape)
        self.left -= 1
        return self.left > 0

    def close(self):
        pass


def make_loop(tmp_path, **options):
    write_video(tmp_path / "v.avi", FRAMES)
    finder = HandFinder(RecordedBackend(lambda image, time: [drawn_hand(time)] if time < 0.2 else []))
    rule = DebounceRule(0.5, 0.4, 0.0, 0.1)
    return LiveLoop(make_source(str(tmp_path / "v.avi")), finder, Judge(), rule, **options)


def test_the_user_ends_a_run_by_a_key(tmp_path):
    screen = Screen(3)
    report = run_loop(make_loop(tmp_path, window=screen))
    assert (report.frames, report.stopped, screen.shown) == (3, "user", [(48, 64, 3)] * 3)
    assert [event.kind for event in report.events] == ["start", "end"]


def test_an_interrupt_ends_a_run_and_keeps_what_there_is(tmp_path):
    def interrupt(count):
        done.append(count)
        if len(done) == 4:
            raise KeyboardInterrupt

    done = []
    report = run_loop(make_loop(tmp_path), interrupt)
    assert (report.frames, report.stopped, report.with_hand) == (4, "user", 4)


def test_a_gesture_ends_when_the_hand_is_gone(tmp_path):
    report = run_loop(make_loop(tmp_path))
    start, end = report.events
    assert (start.kind, start.time, end.kind) == ("start", 0.0, "end")
    assert 0.29 < end.time < 0.34 and end.duration == pytest.approx(0.2, abs=0.02)
    assert set(report.spent) == {"find", "judge"} and report.rate > 0
    assert loops._rate([1.0, 1.5, 2.0]) == 2.0
    assert np.isclose(report.time, 11 / 30, atol=0.01)
