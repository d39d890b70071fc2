"""Images of every kind and place, and what is said of those that are none."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pgc_data.errors import DataError
from pgc_data.inference import images
from pgc_data.inference.images import decode_image, image_inputs

RED = np.zeros((6, 4, 3), np.uint8) + np.array([0, 0, 255], np.uint8)


def encoded(ending=".png", image=RED):
    return cv2.imencode(ending, image)[1].tobytes()


def saved(path, mode, **options):
    PIL.Image.fromarray(RED[..., ::-1].copy()).convert(mode).save(path, **options)
    return path.read_bytes()


def turned(path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    return saved(path, "RGB", exif=exif)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda p: encoded(), (6, 4, 3)),
        (lambda p: encoded(".jpg"), (6, 4, 3)),
        (lambda p: encoded(".png", RED.astype(np.uint16) * 257), (6, 4, 3)),
        (lambda p: encoded(".png", RED[..., 2]), (6, 4, 3)),
        (lambda p: encoded(".png", np.dstack([RED, RED[..., 0]])), (6, 4, 3)),
        (lambda p: saved(p / "c.jpg", "CMYK"), (6, 4, 3)),
        (lambda p: saved(p / "g.png", "LA"), (6, 4, 3)),
        (lambda p: turned(p / "t.jpg"), (4, 6, 3)),
        (lambda p: encoded(".webp"), (6, 4, 3)),
    ],
    ids=["png", "jpeg", "16 bit", "grey", "alpha", "cmyk", "grey alpha", "exif rotation", "webp"],
)
def test_odd_images_are_rgb_of_8_bits(tmp_path, make, shape):
    image = decode_image(make(tmp_path))
    assert (image.shape, image.dtype) == (shape, np.uint8)


def test_channels_are_in_the_order_of_rgb():
    assert decode_image(encoded())[0, 0].tolist() == [255, 0, 0]


def png(width, height, data):
    """A PNG that says it has that size."""

    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is empty"),
        (encoded()[:-20], "it is cut short"),
        (encoded(".jpg")[:-2], "it is cut off"),
        (b"<html></html>", "not an image"),
        (png(30_000, 30_000, bytes(1 << 15)), "more than 200,000,000"),
        (png(20_000, 10_001, bytes(1 << 15)), "more than 200,000,000"),
    ],
)
def test_what_is_no_image_says_why(data, message):
    with pytest.raises(DataError, match=message):
        decode_image(data)


def table(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.mark.parametrize(
    "columns",
    [
        {"image": pa.array([{"bytes": encoded(), "path": "a.png"}] * 3, STRUCT)},
        {"image_bytes": [encoded()] * 3, "image_path": ["x/a.png"] * 3},
        {"thumbnail": pa.array([encoded()] * 3, pa.large_binary())},
        {"image_path": ["pictures/a.png"] * 3},
        {"image": pa.array([{"bytes": None, "path": "pictures/a.png"}] * 3, STRUCT)},
    ],
    ids=["ours", "pgc", "any binary", "pgc without embedding", "hf without bytes"],
)
def test_tables_of_every_layout(tmp_path, columns):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/a.png").write_bytes(encoded())
    inputs = image_inputs([table(tmp_path / "data/t.parquet", **columns)])
    assert inputs.count == 3
    found = list(inputs)
    assert [item.row for item in found] == [0, 1, 2]
    assert all(item.decoded().shape == (6, 4, 3) for item in found)


def test_rows_without_an_image_say_so(tmp_path):
    path = table(tmp_path / "t.parquet", image=pa.array([None, {"bytes": None, "path": "gone.png"}], STRUCT))
    first, second = image_inputs([path])
    with pytest.raises(DataError, match="there is no image in this row"):
        first.decoded()
    with pytest.raises(DataError, match=r"no file gone.png"):
        second.decoded()


def test_folders_are_read_with_those_below(tmp_path):
    (tmp_path / "b/.hidden").mkdir(parents=True)
    for name in ("b/2.PNG", "a.jpg", "b/.hidden/x.png", ".y.png", "notes.txt"):
        (tmp_path / name).write_bytes(encoded())
    table(tmp_path / "c.parquet", image_bytes=[encoded()])
    inputs = image_inputs([tmp_path])
    assert [item.name for item in inputs] == ["a.jpg", "2.PNG", "row 0"]
    assert inputs.count == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p, "no image and no Parquet file in"),
        (lambda p: p / "none.png", "no file or folder"),
        (lambda p: table(p / "t.parquet", n=[1]), "has no column of images"),
        (lambda p: (p / "t.parquet", (p / "t.parquet").write_bytes(b"PAR1"))[0], "not a whole Parquet file"),
    ],
)
def test_inputs_that_are_none(tmp_path, make, message):
    with pytest.raises(DataError, match=message):
        image_inputs([make(tmp_path)])


def test_a_file_that_is_gone_when_its_turn_comes(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded())
    (item,) = image_inputs([tmp_path / "a.png"])
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        item.decoded()


def test_the_limit_of_pixels_counts(monkeypatch):
    noise = np.random.default_rng(0).integers(0, 255, (120, 120, 3)).astype(np.uint8)
    monkeypatch.setattr(images, "MOST_PIXELS", 120 * 120 - 1)
    with pytest.raises(DataError, match="120x120 pixels"):
        decode_image(encoded(".png", noise))
