"""Reading frames: a folder of numbered images, a video file, or one image, behind one interface."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pgc_data.errors import DataError
from pgc_data.hands.video import Video, VideoFrame
from pgc_data.storage.files import folder_names

Image = NDArray[np.uint8]
Intervals = Sequence[tuple[int, int]]

DECODED, MISSING, UNDECODABLE = "decoded", "missing", "undecodable"
# Seven digits are 93 hours at 30 frames a second: longer numbers are dates or ids.
_NUMBERED = re.compile(r"(.*\D)?(\d{1,7})\.(jpg|jpeg|png)", re.IGNORECASE)
_DEFAULT_FPS = 30.0


@dataclass(frozen=True)
class Frame:
    """One frame asked for, and what became of it.

    Attributes:
        number: 1-based.
        timestamp_s: seconds from the first frame of the media.
        status: decoded, missing or undecodable.
        detail: why it is not decoded.
        image: (height, width, 3) BGR, or None where it is not decoded.
    """

    number: int
    timestamp_s: float
    status: str
    detail: str | None
    image: Image | None


def read_frames(path: Path, kind: str, intervals: Intervals, fps: float | None) -> Iterator[Frame]:
    """Yields every frame asked for, in order, whatever its state.

    Args:
        path: image file, folder of numbered images, or video file.
        kind: image, frames or video.
        intervals: first and last frame of each stretch, 1-based, inclusive, in order, apart.
        fps: frames per second; 30 is assumed where it is None. A video's own timestamps come before it.

    Yields:
        One `Frame` for each number in `intervals`.
    """
    if kind == "video":
        yield from _video(path, intervals, fps)
        return
    reader = {"image": _image, "frames": _folder}[kind]
    for number, image, status, detail in reader(path, intervals):
        yield Frame(number, frame_time(number, fps), status, detail, image)


def frame_time(number: int, fps: float | None) -> float:
    """Seconds from the first frame of a media to frame `number`, 1-based."""
    return (number - 1) / (fps or _DEFAULT_FPS)


_Read = tuple[int, Image | None, str, str | None]


def _image(path: Path, intervals: Intervals) -> Iterator[_Read]:
    for number in _numbers(intervals):
        yield (number, *decode_file(path))


def _folder(path: Path, intervals: Intervals) -> Iterator[_Read]:
    names = numbered_files(path)
    for number in _numbers(intervals):
        if number in names:
            yield (number, *decode_file(path / names[number]))
        else:
            yield number, None, MISSING, f"no frame {number} in {path.name}"


def _video(path: Path, intervals: Intervals, fps: float | None) -> Iterator[Frame]:
    """Decodes in sequence: seeking in a video is not exact in every container."""
    try:
        video = Video(path)
    except (FileNotFoundError, DataError) as error:
        gone = isinstance(error, FileNotFoundError)
        status, why = (MISSING, f"no file {path.name}") if gone else (UNDECODABLE, str(error))
        for number in _numbers(intervals):
            yield Frame(number, frame_time(number, fps), status, why, None)
        return
    with video:
        yield from _wanted(video.frames(), _numbers(intervals), fps, path.name)


def _wanted(
    shown: Iterator[VideoFrame], numbers: Iterator[int], fps: float | None, name: str
) -> Iterator[Frame]:
    """The frames wanted of those that a video has; the others are missing."""
    last = VideoFrame(0, None, None)
    for number in numbers:
        while last.number < number and (step := next(shown, None)) is not None:
            last = step
        image = last.bgr() if last.number == number else None
        seconds = last.seconds
        if last.number < number:
            status, detail = MISSING, f"the video ends at frame {last.number}"
            seconds = None if seconds is None else seconds + frame_time(number - last.number + 1, fps)
        elif image is None:
            status, detail = UNDECODABLE, f"frame {number} of {name} is damaged"
        else:
            status, detail = DECODED, None
        yield Frame(number, frame_time(number, fps) if seconds is None else seconds, status, detail, image)


def _numbers(intervals: Intervals) -> Iterator[int]:
    for start, end in intervals:
        yield from range(start, end + 1)


def numbered_files(folder: Path) -> dict[int, str]:
    """Frame number -> file name, for the images of a folder whose names end in a number.

    Where names differ in what stands before the number or in their ending, those of the commonest form are the
    frames; the others (masks, thumbnails) are not.
    """
    if not folder.is_dir():
        return {}
    names = folder_names(folder)
    forms: dict[tuple[str, str], dict[int, str]] = {}
    for match in filter(None, map(_NUMBERED.fullmatch, names)):
        forms.setdefault((match[1] or "", match[3].lower()), {})[int(match[2])] = match[0]
    return max(forms.values(), key=len, default={})


def decode_file(path: Path) -> tuple[Image | None, str, str | None]:
    """Decodes an image file to (height, width, 3) BGR, upright if it carries an EXIF rotation.

    Returns:
        Image or None, status, and why it is not decoded.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None, MISSING, f"no file {path.name}"
    except OSError as error:
        return None, UNDECODABLE, f"{path.name} cannot be read ({error.strerror})"
    if not data:
        return None, UNDECODABLE, f"{path.name} is empty"
    if _is_truncated_jpeg(data):
        return None, UNDECODABLE, f"{path.name} is cut off"
    return _decode(data, path.name)


def _decode(data: bytes, name: str) -> tuple[Image | None, str, str | None]:
    try:
        image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        return None, UNDECODABLE, f"{name} is refused by OpenCV ({error.err})"
    if image is None:
        return None, UNDECODABLE, f"{name} is no image that OpenCV can read"
    return image, DECODED, None


def _is_truncated_jpeg(data: bytes) -> bool:
    """Whether a JPEG lacks its end marker, which libjpeg would fill with grey and call an image.

    The marker cannot occur inside the entropy-coded data that follow the last start of scan; mostly it stands last.
    """
    if data[:2] != b"\xff\xd8" or data.endswith(b"\xff\xd9"):
        return False
    return data.find(b"\xff\xd9", data.rfind(b"\xff\xda") + 1) < 0
