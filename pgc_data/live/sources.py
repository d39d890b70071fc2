"""Where frames come from: a camera, whose newest frame counts, or a video file, of which every frame does."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import cv2

from pgc_data.errors import ConfigError, DataError
from pgc_data.hands.media import Image, decode_file, frame_time, numbered_files
from pgc_data.hands.prefetch import ahead
from pgc_data.hands.video import Video
from pgc_data.live.types import LiveFrame

# What is decoded ahead of the networks: more only takes memory.
_AHEAD_BYTES = 16 << 20
# A camera that gives nothing for so long is gone, seconds.
_PATIENCE_S = 5.0
_SHORTEST_STEP_S = 1e-4


class FrameSource(Protocol):
    """Frames in order of time.

    Attributes:
        live: whether frames are lost that are not asked for in time.
        fps: frames a second, as far as is known.
        count: frames in all; None where nobody knows.
    """

    live: bool
    fps: float
    count: int | None

    def frames(self) -> Generator[LiveFrame, None, None]:
        """The frames, without hands; ends where the source does."""


def make_source(text: str, fps: float | None = None) -> FrameSource:
    """The source of that name: a number is a camera, anything else a video file or a folder of numbered images.

    Args:
        text: such as `0` or `clip.mp4`.
        fps: of a folder of images; 30 where it is not given.

    Raises:
        DataError: no such camera or file, or it cannot be opened.
    """
    if text.isdigit():
        return Camera(int(text))
    path = Path(text)
    if path.is_dir():
        return FolderSource(path, fps)
    return VideoSource(path)


class VideoSource:
    """A video file; damaged frames are left out."""

    live = False

    def __init__(self, path: Path) -> None:
        """Opens the file to see what it is.

        Raises:
            DataError: no such file, or no video.
        """
        self._path = path
        try:
            with Video(path) as video:
                self.fps = video.fps or 30.0
                self.count: int | None = video.count()
        except FileNotFoundError as error:
            raise DataError(
                f"no video {path}: give a file, a folder of frames or the number of a camera"
            ) from error
        if not self.count:
            raise DataError(f"{path} has no frames")

    def frames(self) -> Generator[LiveFrame, None, None]:
        """See `FrameSource.frames`."""
        with closing(ahead(self._read(), lambda frame: frame.image.nbytes, _AHEAD_BYTES)) as frames:
            yield from frames

    def _read(self) -> Generator[LiveFrame, None, None]:
        last = -1.0
        with Video(self._path) as video:
            for shown in video.frames():
                image = shown.bgr()
                if image is None:
                    continue
                seconds = frame_time(shown.number, self.fps) if shown.seconds is None else shown.seconds
                # What follows in a file follows in time, whatever its timestamps say.
                last = max(seconds, last + _SHORTEST_STEP_S)
                yield LiveFrame(shown.number, last, image)


class FolderSource:
    """A folder of numbered images; those that cannot be decoded are left out."""

    live = False

    def __init__(self, path: Path, fps: float | None) -> None:
        """Lists the folder.

        Raises:
            DataError: it holds no numbered images.
        """
        self._files = {number: path / name for number, name in numbered_files(path).items()}
        if not self._files:
            raise DataError(f"no numbered images in {path}: give a folder of frames or a video file")
        self.fps = fps or 30.0
        self.count: int | None = len(self._files)

    def frames(self) -> Generator[LiveFrame, None, None]:
        """See `FrameSource.frames`."""
        first = min(self._files)
        for number in sorted(self._files):
            image, _, _ = decode_file(self._files[number])
            if image is not None:
                yield LiveFrame(number, frame_time(number - first + 1, self.fps), image)


class Camera:
    """A camera, read in a thread of its own: whoever is slow gets the newest frame, not an old one."""

    live = True
    count: int | None = None

    def __init__(self, number: int, capture: Any = None) -> None:
        """Opens the camera.

        Args:
            number: of the camera, from 0.
            capture: what to read from instead, with the methods of `cv2.VideoCapture`.

        Raises:
            DataError: there is none, or it gives no picture.
        """
        self._name = f"camera {number}"
        # What OpenCV has to say of a camera that is not there is said by the error.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self._capture: Any = capture or cv2.VideoCapture(number)
        if not self._capture.isOpened() or not self._capture.read()[0]:
            self._capture.release()
            raise DataError(
                f"no {self._name} (or another program uses it): pass the number of another, or a video file, by "
                "--source"
            )
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if 0 < fps <= 1000 else 30.0
        self._changed = threading.Condition()
        self._newest: tuple[int, float, Image] | None = None
        self._ended = False

    def frames(self) -> Generator[LiveFrame, None, None]:
        """See `FrameSource.frames`; ends when the camera is gone."""
        thread = threading.Thread(target=self._read, name="camera", daemon=True)
        thread.start()
        try:
            while (newest := self._next()) is not None:
                yield LiveFrame(*newest)
        finally:
            self._ended = True
            thread.join(_PATIENCE_S)
            self._capture.release()

    def _next(self) -> tuple[int, float, Image] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._ended, _PATIENCE_S)
            newest, self._newest = self._newest, None
            return newest

    def _read(self) -> None:
        start, number = time.monotonic(), 0
        while not self._ended:
            ok, image = self._capture.read()
            number += 1
            with self._changed:
                if ok:
                    self._newest = (number, time.monotonic() - start, image)
                else:
                    self._ended = True
                self._changed.notify_all()


def check_display() -> None:
    """Refuses a window where there is no display: Qt would end the process.

    Raises:
        ConfigError: there is none.
    """
    if sys.platform.startswith("linux") and not _has_display():
        raise ConfigError(
            "there is no display to open a window on: pass --headless, with --output FILE or --results FILE"
        )


def _has_display() -> bool:
    """Whether a window can be opened, tried in a process of its own."""
    code = "import cv2; cv2.namedWindow('probe'); cv2.destroyAllWindows()"
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=30)
    except (subprocess.TimeoutExpired, OSError):
        return False
    return done.returncode == 0
