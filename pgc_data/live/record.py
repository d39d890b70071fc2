"""What a live run leaves: the annotated video, and what was said of each frame."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Protocol

import av
import av.error
import numpy as np

from pgc_data.errors import DataError
from pgc_data.hands.media import Image
from pgc_data.inference.rows import RowWriter
from pgc_data.live.types import Event, LiveFrame, Verdict
from pgc_data.storage.files import atomic_path

VIDEO_SUFFIXES = (".mp4", ".mkv", ".mov")
RESULT_SUFFIXES = (".jsonl", ".parquet", ".csv")
_FORMATS = {".mp4": "mp4", ".mkv": "matroska", ".mov": "mov"}
# Times of frames in the file, a second.
_TICKS = 90_000


@contextmanager
def recording(path: Path, fps: float) -> Iterator[VideoRecorder]:
    """Yields what writes an annotated video; the file appears when the block ends well.

    Args:
        path: ends in one of `VIDEO_SUFFIXES`.
        fps: frames a second, roughly: each frame has its own time.

    Raises:
        DataError: it cannot be written.
    """
    kind = _FORMATS[path.suffix.lower()]
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format=kind) as container:
        recorder = VideoRecorder(path, container, fps)
        yield recorder
        recorder.finish()


class VideoRecorder:
    """Writes frames as H.264, each at its own time; see `recording`."""

    def __init__(self, path: Path, container: Any, fps: float) -> None:
        """Writes nothing yet."""
        self._path, self._container, self._fps = path, container, fps
        self._stream: Any = None
        self._last = -1

    def write(self, image: Image, time: float) -> None:
        """Adds a (height, width, 3) BGR frame; all are of the size of the first.

        Raises:
            DataError: it cannot be encoded.
        """
        if self._stream is None:
            self._begin(image)
        # H.264 has no odd sides.
        part = np.ascontiguousarray(image[: self._stream.height, : self._stream.width])
        frame = av.VideoFrame.from_ndarray(part, format="bgr24")
        self._last = max(round(time * _TICKS), self._last + 1)
        frame.pts, frame.time_base = self._last, Fraction(1, _TICKS)
        self._encode(frame)

    def finish(self) -> None:
        """Writes what the encoder still holds."""
        if self._stream is not None:
            self._encode(None)

    def _begin(self, image: Image) -> None:
        height, width = image.shape[:2]
        self._stream = self._container.add_stream("libx264", rate=Fraction(self._fps).limit_denominator(1001))
        self._stream.width, self._stream.height = width // 2 * 2, height // 2 * 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, _TICKS)
        self._stream.options = {"preset": "veryfast", "crf": "21"}

    def _encode(self, frame: Any) -> None:
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except (av.error.FFmpegError, ValueError) as error:
            raise DataError(f"cannot write {self._path}: {error}") from error


@dataclass(frozen=True, eq=False)
class FrameRecord:
    """What was said of one frame.

    Attributes:
        frame: with its hands.
        verdicts: of its hands, or of the scene.
        events: what changed.
        active: track -> the class that is active.
        classes: names, in the order of probabilities.
    """

    frame: LiveFrame
    verdicts: Sequence[Verdict]
    events: Sequence[Event]
    active: Mapping[int, str]
    classes: Sequence[str]

    def rows(self) -> list[dict[str, Any]]:
        """Rows of table `live`: one a hand, and one a track of which something is said, or that changes."""
        place = {"frame": self.frame.number, "timestamp_s": self.frame.time}
        rows = []
        for track in self._tracks():
            events = [f"{event.kind}:{event.label}" for event in self.events if event.track == track]
            rows.append({**place, **self._track(track), "event": " ".join(events) or None})
        return rows or [place]

    def document(self) -> dict[str, Any]:
        """The frame as JSON values, with all probabilities."""
        said = self._said()
        tracks = [
            {
                **self._track(track),
                "probabilities": dict(zip(self.classes, said.get(track, ()), strict=False)),
            }
            for track in self._tracks()
        ]
        return {
            "frame": self.frame.number, "timestamp_s": self.frame.time, "tracks": tracks,
            "events": [asdict(event) for event in self.events],
        }  # fmt: skip

    def _said(self) -> dict[int, tuple[float, ...]]:
        return {verdict.track: verdict.probabilities for verdict in self.verdicts}

    def _tracks(self) -> list[int]:
        return list(
            dict.fromkeys([*self.frame.tracks, *self._said(), *(event.track for event in self.events)])
        )

    def _track(self, track: int) -> dict[str, Any]:
        hand = dict(zip(self.frame.tracks, self.frame.hands, strict=True)).get(track)
        found: dict[str, Any] = {"track_id": track, "active": self.active.get(track)}
        if hand is not None:
            found |= {"handedness": hand.handedness, "score": hand.score, "box": list(hand.box)}
        if probabilities := self._said().get(track):
            best = max(range(len(probabilities)), key=probabilities.__getitem__)
            found |= {"label": self.classes[best], "probability": probabilities[best]}
        return found


class ResultSink(Protocol):
    """Takes what was said of each frame."""

    def write(self, said: FrameRecord) -> None:
        """Adds a frame."""


class TableResults:
    """Rows in CSV or Parquet, table `live`."""

    def __init__(self, writer: RowWriter) -> None:
        """Writes by a writer that is open."""
        self._writer = writer

    def write(self, said: FrameRecord) -> None:
        """See `ResultSink.write`."""
        self._writer.write(said.rows())


class JsonResults:
    """One JSON document a line and frame, with its events."""

    def __init__(self, file: IO[str]) -> None:
        """Writes to a file that is open."""
        self._file = file

    def write(self, said: FrameRecord) -> None:
        """See `ResultSink.write`."""
        self._file.write(json.dumps(said.document(), ensure_ascii=False) + "\n")


def open_results(path: Path, stack: ExitStack, facts: Mapping[str, Any]) -> ResultSink:
    """A sink for results, of the kind that the file's name says; closed with `stack`."""
    if path.suffix.lower() == ".jsonl":
        temporary = stack.enter_context(atomic_path(path))
        return JsonResults(stack.enter_context(temporary.open("w", encoding="utf-8")))
    return TableResults(stack.enter_context(RowWriter(path, "live", facts)))
