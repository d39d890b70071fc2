"""What an image holds, reduced to a few numbers by one decoding: digest, hash, thumbnail, light, sharpness, fault."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pgc_data.audits.image_files import structure_fault
from pgc_data.audits.roles import path_below
from pgc_data.similarity import THUMBNAIL_BYTES, image_thumbnail, plain

IMAGE_FACTS = np.dtype(
    [
        ("digest_a", "u8"), ("digest_b", "u8"), ("phash", "u8"), ("width", "i4"), ("height", "i4"),
        ("brightness", "f4"), ("contrast", "f4"), ("sharpness", "f4"), ("present", "?"), ("decoded", "?"),
        ("plain", "?"),
    ]
)  # fmt: skip
"""Of one image; see `rows.read_rows`."""

_SHARPNESS_SIDE = 64

Encoded = bytes | memoryview | None
Loader = Callable[[], Encoded]


@dataclass(frozen=True)
class Facts:
    """What is known of n consecutive rows.

    Attributes:
        facts: (n,) records, such as `IMAGE_FACTS`.
        kept: (n, k) what is kept of each content to compare it with others: a thumbnail, a sketch of a window.
        faults: position -> what is wrong with the row.
    """

    facts: NDArray[Any]
    kept: NDArray[Any]
    faults: dict[int, str]


def digest(data: Any) -> tuple[int, int]:
    """The first 16 bytes of the sha256, as two numbers."""
    found = hashlib.sha256(data).digest()
    return int.from_bytes(found[:8], "big"), int.from_bytes(found[8:16], "big")


def image_loaders(column: pa.Array, base: Path | None) -> list[Loader]:
    """How to get the encoded images of a batch.

    Args:
        column: n structs with fields `bytes` and maybe `path`, n binaries, or n paths.
        base: the folder below which paths are looked for; None where there is none.

    Returns:
        n functions; each gives the bytes, or None where there is nothing.
    """
    if pa.types.is_struct(column.type):
        data = pc.struct_field(column, "bytes")
        paths = pc.struct_field(column, "path") if column.type.get_field_index("path") >= 0 and base else None
        return [_loader(d, None if paths is None else paths[i].as_py(), base) for i, d in enumerate(data)]
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if (
        pa.types.is_string(column.type)
        or pa.types.is_large_string(column.type)
        or pa.types.is_string_view(column.type)
    ):
        return [_loader(None, path, base) for path in column.to_pylist()]
    if pa.types.is_binary_view(column.type):
        column = column.cast(pa.large_binary())
    return [_loader(data, None, base) for data in column]


def _loader(data: Any, path: str | None, base: Path | None) -> Loader:
    if data is not None and (buffer := data.as_buffer()) is not None:
        return lambda: memoryview(buffer)
    found = path_below(base, path) if base is not None and path is not None else None
    return lambda: None if found is None else read_file(found)


def read_file(path: Path) -> Encoded:
    """A file's bytes, or None where it cannot be read."""
    try:
        return path.read_bytes()
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None


def image_facts(loaders: Sequence[Loader]) -> Facts:
    """Loads and decodes images, each once.

    Returns:
        facts of type `IMAGE_FACTS`; thumbnails as in `similarity`, zeros where an image does not decode.
    """
    facts = np.zeros(len(loaders), dtype=IMAGE_FACTS)
    thumbnails = np.zeros((len(loaders), THUMBNAIL_BYTES), dtype=np.uint8)
    faults = {}
    for position, load in enumerate(loaders):
        data = load()
        if data is None:
            faults[position] = "there is no image"
            continue
        record = facts[position]
        record["present"] = len(data) > 0
        if len(data):
            record["digest_a"], record["digest_b"] = digest(data)
        pixels, fault = decoded(data)
        if pixels is None:
            faults[position] = fault
            continue
        _measure(record, pixels)
        thumbnails[position] = image_thumbnail(pixels)
    facts["plain"] = plain(thumbnails)
    return Facts(facts, thumbnails, faults)


def _measure(record: Any, pixels: NDArray[np.uint8]) -> None:
    record["decoded"] = True
    record["height"], record["width"] = pixels.shape[:2]
    record["phash"] = int.from_bytes(cv2.img_hash.pHash(pixels).tobytes(), "big")
    shrinks = min(pixels.shape[:2]) > _SHARPNESS_SIDE
    small = cv2.resize(
        pixels,
        (_SHARPNESS_SIDE, _SHARPNESS_SIDE),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    mean, deviation = cv2.meanStdDev(grey)
    record["brightness"], record["contrast"] = mean[0, 0], deviation[0, 0]
    record["sharpness"] = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))[1][0, 0] ** 2


def decoded(data: bytes | memoryview) -> tuple[NDArray[np.uint8] | None, str]:
    """Decodes an image.

    Returns:
        (height, width, 3) BGR and an empty text, or None and what is wrong with it.
    """
    fault = structure_fault(data)
    if fault:
        return None, fault
    try:
        pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        pixels = None
    return (None, "it is not an image that OpenCV decodes") if pixels is None else (pixels, "")


def image_fault(data: bytes | memoryview) -> str | None:
    """What is wrong with an encoded image, or None if it decodes."""
    return decoded(data)[1] or None


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keeps OpenCV from telling standard error what we tell in findings."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
