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
# Seven digits are 93 hours at 30 frames a second: longer numbers are dates or ids.
_NUMBERED = re.compile(r"(.*\D)?(\d{1,7})\.(jpg|jpeg|png)", re.IGNORECASE)
# More in a row are taken for the end of the video.
_MOST_DAMAGED_FRAMES = 60
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
        if not capture.isOpened():
            status = UNDECODABLE if path.exists() else MISSING
            why = f"{path.name} cannot be opened as a video" if path.exists() else f"no file {path.name}"
            yield from ((number, None, status, why) for number in _numbers(intervals))
            return
        yield from _wanted(_grabbed(capture), capture, _numbers(intervals), path.name)
    finally:
        capture.release()


def _grabbed(capture: Any) -> Iterator[tuple[int, bool]]:
    """Number of each frame of a video, and whether it is grabbed; ends with the last one that can be.

    A frame that is damaged fails like the end of the stream does; only what follows tells them apart.
    """
    number = failed = 0
    while failed < _MOST_DAMAGED_FRAMES:
        if not capture.grab():
            failed += 1
            continue
        for damaged in range(failed):
            yield number + damaged + 1, False
        number, failed = number + failed + 1, 0
        yield number, True


def _wanted(
    grabbed: Iterator[tuple[int, bool]], capture: Any, numbers: Iterator[int], name: str
) -> Iterator[_Read]:
    """The frames wanted of those that a video has; the others are missing."""
    last = 0
    for number in numbers:
        fine = False
        while last < number and (step := next(grabbed, None)) is not None:
            last, fine = step
        if last < number:
            yield number, None, MISSING, f"the video ends at frame {last}"
            continue
        ok, image = capture.retrieve() if fine else (False, None)
        if ok:
            yield number, np.asarray(image, dtype=np.uint8), DECODED, None
        else:
            yield number, None, UNDECODABLE, f"frame {number} of {name} is damaged"


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
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
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

    The marker cannot occur inside the entropy-coded data that follow the last start of scan.
    """
    return data[:2] == b"\xff\xd8" and data.find(b"\xff\xd9", data.rfind(b"\xff\xda") + 1) < 0
