"""The live loop: one frame after the other, found, judged, debounced, drawn, shown, recorded."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Protocol

import cv2

from pgc_data.hands.media import Image
from pgc_data.live.debounce import DebounceRule, States
from pgc_data.live.draw import Overlay, draw
from pgc_data.live.finder import HandFinder
from pgc_data.live.record import FrameRecord, ResultSink, VideoRecorder
from pgc_data.live.sources import FrameSource
from pgc_data.live.types import Classifier, Event, LiveFrame, Verdict

# Frames over which the speed on the screen is taken.
_RECENT = 30
_ESCAPE = 27


class Window(Protocol):
    """Shows frames."""

    def show(self, image: Image) -> bool:
        """Shows a frame; whether the user wants to go on."""

    def close(self) -> None:
        """Closes the window."""


class ScreenWindow:
    """A window of OpenCV's; `q`, Escape and its close button end the run."""

    def __init__(self, title: str) -> None:
        """Opens it."""
        self._title = title
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)

    def show(self, image: Image) -> bool:
        """See `Window.show`."""
        cv2.imshow(self._title, image)
        key = cv2.waitKey(1) & 0xFF
        is_open = cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
        return key not in (_ESCAPE, ord("q")) and is_open

    def close(self) -> None:
        """See `Window.close`."""
        cv2.destroyAllWindows()


@dataclass(frozen=True, eq=False)
class LiveLoop:
    """What a run is made of.

    Attributes:
        source: of frames.
        finder: of hands in them.
        classifier: judges them.
        rule: of debouncing.
        window: where frames are shown, or None.
        recorder: of the annotated video, or None.
        results: where what is said goes, or None.
        mirror: whether frames are shown as in a mirror.
        seconds: after which to stop, of the source's time; None for its end.
    """

    source: FrameSource
    finder: HandFinder
    classifier: Classifier
    rule: DebounceRule
    window: Window | None = None
    recorder: VideoRecorder | None = None
    results: ResultSink | None = None
    mirror: bool = False
    seconds: float | None = None


@dataclass
class LiveReport:
    """What happened.

    Attributes:
        frames: looked at.
        with_hand: those in which a hand was found.
        time: of the last frame, seconds.
        elapsed: seconds that all of it took, from the first frame on.
        events: all of them.
        stopped: why it ended: `end`, `user` or `time`.
        spent: seconds by part: find, judge, draw, record.
    """

    frames: int = 0
    with_hand: int = 0
    time: float = 0.0
    elapsed: float = 0.0
    events: list[Event] = field(default_factory=list)
    stopped: str = "end"
    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.frames / self.elapsed if self.elapsed else 0.0


def run_loop(loop: LiveLoop, done: Callable[[int], None] = lambda count: None) -> LiveReport:
    """Runs until the source ends, the user stops it (a key, Ctrl-C), or the time is over.

    Args:
        loop: what to run.
        done: called with the number of frames done, one at a time.
    """
    report, states = LiveReport(), States(loop.rule, loop.classifier.classes)
    recent = deque([time.perf_counter()], maxlen=_RECENT)
    start = recent[0]
    with closing(loop.source.frames()) as frames:
        try:
            for frame in frames:
                if loop.seconds is not None and frame.time > loop.seconds:
                    report.stopped = "time"
                    break
                goes_on = _step(loop, frame, states, report, _rate(recent))
                recent.append(time.perf_counter())
                done(1)
                if not goes_on:
                    report.stopped = "user"
                    break
        except KeyboardInterrupt:
            # How a run on a camera without a window ends: what was recorded is kept.
            report.stopped = "user"
    report.events += states.finish(report.time)
    report.elapsed = time.perf_counter() - start
    return report


def _rate(recent: Sequence[float]) -> float:
    """Frames a second over the last ones."""
    return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0


def _step(loop: LiveLoop, frame: LiveFrame, states: States, report: LiveReport, rate: float) -> bool:
    """One frame; whether the user wants another."""
    clock = _Clock(report.spent)
    hands, tracks = loop.finder.find(frame.image, frame.time)
    frame = replace(frame, hands=hands, tracks=tracks)
    clock.add("find")
    verdicts = loop.classifier.see(frame)
    clock.add("judge")
    events = states.update(frame.time, verdicts)
    active = states.active_tracks()
    report.frames += 1
    report.with_hand += bool(hands)
    report.time = frame.time
    report.events += events
    if loop.results is not None:
        loop.results.write(FrameRecord(frame, verdicts, events, active, loop.classifier.classes))
        clock.add("record")
    if loop.window is None and loop.recorder is None:
        return True
    return _show(loop, frame, verdicts, active, rate, clock)


def _show(
    loop: LiveLoop, frame: LiveFrame, verdicts: Sequence[Verdict], active: dict[int, str], rate: float,
    clock: _Clock,
) -> bool:  # fmt: skip
    picture = draw(
        Overlay(frame, verdicts, active, loop.classifier.classes, loop.rule.enter, rate, loop.mirror)
    )
    clock.add("draw")
    if loop.recorder is not None:
        loop.recorder.write(picture, frame.time)
        clock.add("record")
    return loop.window is None or loop.window.show(picture)


class _Clock:
    """Adds what passed since the last call to a part of the work."""

    def __init__(self, spent: dict[str, float]) -> None:
        self._spent, self._last = spent, time.perf_counter()

    def add(self, part: str) -> None:
        now = time.perf_counter()
        self._spent[part] += now - self._last
        self._last = now
