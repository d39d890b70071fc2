"""Images to look at, one by one: files, folders of them, Parquet tables with a column of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pgc_data.audits.content import image_fault
from pgc_data.errors import DataError
from pgc_data.loaders import images as loaders
from pgc_data.paths import explained
from pgc_data.storage.files import folder_entries
from pgc_data.storage.parquet import parquet_file

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
# A photograph of the largest cameras; more in one crop is a mistake, or an attack on the memory.
MOST_PIXELS = 200_000_000
# A file smaller than this cannot hold an image of so many pixels in any of these formats.
_SMALL_BYTES = 1 << 14
_ROWS = 256
# Columns of encoded images in the order of preference: ours and Hugging Face's, PGC's.
_IMAGE_COLUMNS = ("image", "image_bytes")
_PATH_COLUMN = "image_path"


@dataclass(frozen=True)
class ImageItem:
    """One image to look at.

    Attributes:
        path: file it is in.
        row: in that file, from 0, where it is a table; else None.
        name: of the image, for people.
        data: encoded, where it comes from a table; else None, and the file is read when it is decoded.
        fault: why there is nothing to decode, or None.
    """

    path: Path
    row: int | None
    name: str
    data: bytes | None = None
    fault: str | None = None

    def decoded(self) -> NDArray[np.uint8]:
        """The image, (height, width, 3) RGB, upright if it carries an EXIF rotation.

        Raises:
            DataError: it cannot be read or is no image; says why, without the name.
        """
        if self.fault is not None:
            raise DataError(self.fault)
        if self.data is not None:
            return decode_image(self.data)
        try:
            with explained(self.path):
                data = self.path.read_bytes()
        except OSError as error:
            raise DataError(f"it cannot be read ({error.strerror or error})") from error
        return decode_image(data)


def decode_image(data: bytes) -> NDArray[np.uint8]:
    """An encoded image as (height, width, 3) RGB, 8 bits a channel.

    Raises:
        DataError: it is empty, cut off, too large, or no image.
    """
    if not data:
        raise DataError("it is empty")
    if data[:2] == b"\xff\xd8" and not data.endswith(b"\xff\xd9") and _ends_early(data):
        raise DataError("it is cut off")
    if len(data) > _SMALL_BYTES:
        _check_size(data)
    # What a damaged PNG makes libpng write to the terminal is said by the error.
    fault = image_fault(data) if data[:4] == b"\x89PNG" and not data.endswith(b"IEND\xaeB`\x82") else None
    if fault is not None:
        raise DataError(fault)
    return loaders.decode_image(np.frombuffer(data, np.uint8))


def _ends_early(jpeg: bytes) -> bool:
    """Whether the end marker is missing, which libjpeg would fill with grey and call an image."""
    return jpeg.find(b"\xff\xd9", jpeg.rfind(b"\xff\xda") + 1) < 0


def _check_size(data: bytes) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(BytesIO(data)) as header:
                width, height = header.size
    except PIL.Image.DecompressionBombError:
        raise DataError(f"it has more than {MOST_PIXELS:,} pixels") from None
    except (OSError, ValueError, SyntaxError):
        # Nothing that Pillow knows: OpenCV may.
        return
    if width * height > MOST_PIXELS:
        raise DataError(f"it has {width}x{height} pixels, more than {MOST_PIXELS:,}")


@dataclass(frozen=True)
class ImageInputs:
    """Files to look at, in order, each known to be there.

    Attributes:
        files: images and Parquet files.
        count: images in all of them.
    """

    files: tuple[Path, ...]
    count: int

    def __iter__(self) -> Iterator[ImageItem]:
        """Every image, read as it is asked for; memory does not grow with their number.

        Raises:
            DataError: a Parquet file is damaged.
        """
        for path in self.files:
            if _is_table(path):
                yield from _rows(path)
            else:
                yield ImageItem(path, None, path.name)


def image_inputs(paths: Sequence[Path]) -> ImageInputs:
    """What is to be looked at: image files, Parquet files, and all of both in folders and those below.

    Raises:
        DataError: a path is not there, a folder holds neither, or a Parquet file is not whole or has no images.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(_below(path))
            if not found:
                raise DataError(
                    f"no image and no Parquet file in {path}: give a folder that holds some, or a file"
                )
            files += found
        elif path.is_file():
            files.append(path)
        else:
            raise DataError(f"no file or folder {path}: check the path")
    return ImageInputs(tuple(files), sum(_count(path) for path in files))


def _below(folder: Path) -> Iterator[Path]:
    with explained(folder):
        entries = list(folder_entries(folder))
    for name, is_folder in entries:
        if name.startswith("."):
            continue
        if is_folder:
            yield from _below(folder / name)
        elif Path(name).suffix.lower() in IMAGE_SUFFIXES | {".parquet"}:
            yield folder / name


def _is_table(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _count(path: Path) -> int:
    if not _is_table(path):
        return 1
    with _open(path) as file:
        _image_column(file.schema_arrow, path)
        return int(file.metadata.num_rows)


def _open(path: Path) -> pq.ParquetFile:
    try:
        # A buffered stream keeps memory flat even where one row group holds the whole table, as PGC's does.
        return parquet_file(path, buffer_size=1 << 20)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).strip().split("\n")[0].split(". ")[0].rstrip(".")
        raise DataError(f"{path} is not a whole Parquet file ({reason}): copy it again") from error


def _image_column(schema: pa.Schema, path: Path) -> str:
    """The column with the images: structs of bytes and path, plain bytes, or paths of files."""
    binary: list[str] = [field.name for field in schema if _holds_bytes(field.type)]
    for name in (*_IMAGE_COLUMNS, *binary):
        if name in binary:
            return name
    if _PATH_COLUMN in schema.names:
        return _PATH_COLUMN
    raise DataError(
        f"{path} has no column of images (it has {', '.join(schema.names[:8])}): give a crops table, PGC's layout, "
        "or one with a column of encoded images"
    )


def _holds_bytes(type_: pa.DataType) -> bool:
    if pa.types.is_struct(type_):
        return any(field.name == "bytes" and _holds_bytes(field.type) for field in type_)
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_))


def _rows(path: Path) -> Iterator[ImageItem]:
    with _open(path) as file:
        column = _image_column(file.schema_arrow, path)
        columns = [column, *({_PATH_COLUMN} & set(file.schema_arrow.names) - {column})]
        row = 0
        for group in range(file.num_row_groups):
            try:
                for batch in file.iter_batches(_ROWS, row_groups=[group], columns=columns):
                    for values in batch.to_pylist():
                        yield _item(path, row, values, column)
                        row += 1
            except (OSError, pa.ArrowException) as error:
                raise DataError(f"{path} is damaged ({error}): copy it again") from error


def _item(path: Path, row: int, values: dict[str, Any], column: str) -> ImageItem:
    value = values[column]
    data, named = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
    if isinstance(data, str):
        data, named = None, data
    name = str(values.get(_PATH_COLUMN) or named or f"row {row}")
    if data is not None:
        return ImageItem(path, row, name, data)
    if named is None:
        return ImageItem(path, row, name, fault="there is no image in this row")
    for folder in (Path(), *path.parents):
        if (file := folder / named).is_file():
            return ImageItem(path, row, name, file.read_bytes())
    return ImageItem(path, row, name, fault=f"no file {named}, here or beside the table")
