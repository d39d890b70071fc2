"""Reading frames: a folder of numbered images, a video file, or one image, behind one interface."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Intervals = Sequence[tuple[int, int]]

DECODED, MISSING, UNDECODABLE = "decoded", "missing", "undecodable"
_NUMBERED = re.compile(r"(?:.*\D)?(\d+)\.(?:jpg|jpeg|png)", re.IGNORECASE)
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
        fps: frames per second; 30 is assumed where it is None.

    Yields:
        One `Frame` for each number in `intervals`.
    """
    rate = fps or _DEFAULT_FPS
    reader = {"image": _image, "frames": _folder, "video": _video}[kind]
    for number, image, status, detail in reader(path, intervals):
        yield Frame(number, (number - 1) / rate, status, detail, image)


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


def _video(path: Path, intervals: Intervals) -> Iterator[_Read]:
    """Decodes in sequence: seeking in a video is not exact in every container."""
    capture = cv2.VideoCapture(str(path))
    try:
        position = 0
        for number in _numbers(intervals):
            while position < number - 1 and capture.grab():
                position += 1
            ok, image = capture.read() if position == number - 1 else (False, None)
            if ok:
                position = number
                yield number, np.asarray(image, dtype=np.uint8), DECODED, None
            else:
                yield number, None, MISSING, f"the video ends at frame {position}"
    finally:
        capture.release()


def _numbers(intervals: Intervals) -> Iterator[int]:
    for start, end in intervals:
        yield from range(start, end + 1)


def numbered_files(folder: Path) -> dict[int, str]:
    """Frame number -> file name, for the images of a folder whose names end in a number."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    return {int(match[1]): match[0] for name in names if (match := _NUMBERED.fullmatch(name))}


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
        return None, UNDECODABLE, f"{name}: {error.err}"
    if image is None:
        return None, UNDECODABLE, f"{name} is no image that OpenCV can read"
    return image, DECODED, None


def _is_truncated_jpeg(data: bytes) -> bool:
    """Whether a JPEG lacks its end marker, which libjpeg would fill with grey and call an image.

    The marker cannot occur inside the entropy-coded data that follow the last start of scan.
    """
    return data[:2] == b"\xff\xd8" and data.find(b"\xff\xd9", data.rfind(b"\xff\xda") + 1) < 0
