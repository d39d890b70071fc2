from __future__ import annotations

import sys
import zlib

import cv2
import numpy as np
import pyarrow as pa
import pytest
from loaders.tables import noise, png

from pgc_data.errors import DataError
from pgc_data.hands.crops import encode_png
from pgc_data.loaders import png as own
from pgc_data.loaders.arrays import EncodedImages, shape_of, to_array
from pgc_data.loaders.images import decode_image


def data_of(image):
    return np.frombuffer(image if isinstance(image, bytes) else png(image), np.uint8)


def test_an_image_is_decoded_to_rgb():
    image = noise(3)
    assert (decode_image(data_of(image)) == image).all()


@pytest.mark.parametrize(
    ("shape", "size", "rule"),
    [
        ((60, 90), (32, 32), cv2.INTER_AREA),
        ((32, 40), (32, 32), cv2.INTER_AREA),
        ((20, 90), (32, 32), cv2.INTER_LINEAR),
        ((10, 12), (32, 48), cv2.INTER_LINEAR),
    ],
)
def test_what_shrinks_is_averaged_and_what_grows_is_interpolated(shape, size, rule):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    expected = cv2.resize(image, size[::-1], interpolation=rule)
    assert (decode_image(data_of(image), size) == expected).all()
    into = np.zeros((2, *size, 3), np.uint8)
    decode_image(data_of(image), size, into[1])
    assert (into[1] == expected).all()
    assert not into[0].any()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is empty"),
        (png(noise(1))[:-30], "cut short"),
        (png(noise(1)).replace(b"IDAT", b"IDAS", 1), "checksum of its IDAS chunk"),
        (b"hello", "not an image that OpenCV decodes"),
    ],
)
def test_what_cannot_be_decoded_is_explained(data, message):
    with pytest.raises(DataError, match=message):
        decode_image(np.frombuffer(data, np.uint8))


class Inflater:
    """Stands in for ISA-L, which may not be installed."""

    error = zlib.error
    decompressobj = staticmethod(zlib.decompressobj)


@pytest.fixture(params=["zlib", "isal"])
def inflater(request, monkeypatch):
    found = Inflater if request.param == "zlib" else pytest.importorskip("isal.isal_zlib")
    monkeypatch.setattr(own, "_ISAL", found)


@pytest.mark.parametrize("number", range(8))
def test_our_own_png_is_decoded_alike(inflater, number):
    image = noise(number)
    data = data_of(encode_png(cv2.cvtColor(image, cv2.COLOR_RGB2BGR)))
    assert (own.decode_own_png(data) == image).all()


def _chunk(name, content):
    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")


OURS = encode_png(noise(0))
GREY = bytes(cv2.imencode(".png", noise(0)[:, :, 0])[1])
ALPHA = bytes(cv2.imencode(".png", np.dstack([noise(0), noise(0)[:, :, 0]]))[1])
BOMB = OURS[:33] + _chunk(b"IDAT", zlib.compress(bytes(10_000_000))) + _chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        b"", OURS[:20], OURS[:-1], OURS[:-12], OURS[:60], GREY, ALPHA, png(noise(0)), BOMB, OURS[:-30] + OURS[-29:],
        OURS[:33] + _chunk(b"eXIf", b"") + OURS[33:], OURS[:60] + b"x" + OURS[61:], b"\xff\xd8" + OURS[2:],
    ],
)  # fmt: skip
def test_any_other_image_is_left_to_opencv(inflater, data):
    assert own.decode_own_png(np.frombuffer(data, np.uint8)) is None


def test_without_isal_opencv_decodes(monkeypatch):
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    assert own._isal() is None
    monkeypatch.setattr(own, "_ISAL", None)
    assert own.decode_own_png(np.frombuffer(OURS, np.uint8)) is None
    assert (decode_image(np.frombuffer(OURS, np.uint8)) == noise(0)[:, :, ::-1]).all()


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([1, 2, 3], pa.int64()),
        ([1, 2, 3], pa.int16()),
        ([0.5, None, 2.5], pa.float32()),
        ([True, False, True] * 5, pa.bool_()),
        ([[1.0, 2.0], None, [3.0, None]], pa.list_(pa.float32(), 2)),
        ([[[1.0]], None, [[2.0]]], pa.list_(pa.list_(pa.float64(), 1), 1)),
        ([[True, False]] * 9, pa.list_(pa.bool_(), 2)),
        ([], pa.list_(pa.float32(), 2)),
    ],
)
def test_arrow_columns_become_arrays(values, type_):
    shape, dtype = shape_of(type_)
    expected = [np.full(shape, np.nan) if v is None else np.array(v, float) for v in values]
    expected = np.array(expected, float).reshape(len(values), *shape)
    column = pa.chunked_array([values], type_)
    for taken in (column, column.slice(1), pa.chunked_array([values[:1], values[1:]], type_)):
        found = to_array(taken, "x")
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.astype(float), expected[len(values) - len(taken) :])


@pytest.mark.parametrize(
    ("value", "type_"), [(1, pa.int64()), (True, pa.bool_()), ([1], pa.list_(pa.int32(), 1))]
)
def test_nulls_that_no_number_can_say_are_refused(value, type_):
    with pytest.raises(DataError, match="column 'x' has 1 nulls"):
        to_array(pa.chunked_array([[value, None]], type_), "x")


def test_encoded_images_are_not_copied():
    type_ = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    values = [{"bytes": b"abc", "path": ""}, {"bytes": None, "path": ""}, None, {"bytes": b"de", "path": ""}]
    column = pa.chunked_array([values[:1], values[1:]], type_)
    images = EncodedImages(column.slice(0, 4))
    assert [bytes(images[n]) for n in range(4)] == [b"abc", b"", b"", b"de"]
    assert [bytes(EncodedImages(column.slice(3))[n]) for n in range(1)] == [b"de"]
