"""What all writers of drawn datasets share: parallel drawing, files of pictures and text, checks of their arguments."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pgc_data.engines import map_in_order
from pgc_data.errors import DataError
from pgc_data.storage.files import write_bytes

J = TypeVar("J")
R = TypeVar("R")

_DRAWING = ".drawing"
_JPEG_QUALITY = 92


@dataclass(frozen=True)
class SyntheticSummary:
    """What a writer wrote.

    Attributes:
        items: videos, clips, folders of stills, or images: what the dataset labels or lists one by one.
        frames: pictures, none counted twice.
        subjects: people.
    """

    items: int
    frames: int
    subjects: int


def check_counts(**counts: int) -> None:
    """Refuses counts below 1, and a `seed` below 0.

    Raises:
        DataError: naming the argument.
    """
    for name, value in counts.items():
        least = 0 if name == "seed" else 1
        if value < least:
            raise DataError(f"cannot draw hands with {name}={value}: give at least {least}")


def check_absent(out: Path, names: Iterable[str]) -> None:
    """Refuses to draw over anything.

    Raises:
        DataError: naming what is there.
    """
    for name in names:
        if (out / name).exists():
            raise DataError(f"{out / name} already exists: delete it or choose another folder to draw into")


def drawing_folder(out: Path) -> Path:
    """An empty folder in `out` that pictures are drawn into before they get their names."""
    drawing = out / _DRAWING
    shutil.rmtree(drawing, ignore_errors=True)
    drawing.mkdir(parents=True)
    return drawing


def is_complete(out: Path) -> bool:
    """Whether everything that a writer was to draw into `out` is there."""
    # The truth gets its name while the folder that pictures are drawn into is still there.
    return (out / "joints.parquet").is_file() and not (out / _DRAWING).exists()


def draw_all(draw: Callable[[J], R], jobs: Sequence[J], workers: int) -> Iterator[R]:
    """Calls `draw` on each job in `workers` processes and yields the results in the order of `jobs`."""
    if workers == 1 or len(jobs) == 1:
        yield from map(draw, jobs)
        return
    yield from map_in_order(draw, jobs, workers)


@contextmanager
def single_thread() -> Iterator[None]:
    """Keeps OpenCV to one thread: pictures are small, and other processes draw beside this one."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    """Writes a JPEG or PNG file, by its suffix.

    Raises:
        DataError: it cannot be encoded.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if path.suffix == ".jpg" else []
    done, encoded = cv2.imencode(path.suffix, picture, options)
    if not done:
        raise DataError(f"cannot encode {path}: {picture.shape[1]}x{picture.shape[0]} pixels")
    path.write_bytes(encoded.tobytes())


def write_lines(path: Path, lines: Sequence[str], end: str = "\n") -> None:
    """Writes text atomically; the last line gets no end: give an empty one to have it."""
    write_bytes(path, end.join(lines).encode("ascii"))


def move_into(out: Path, drawn: Mapping[str, Path]) -> None:
    """Gives drawn folders their names in `out`, in this order: the last one there says that all are."""
    for name, folder in drawn.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        folder.rename(out / name)
