"""Cutting regions out of images."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pgc_data.hands.direct.cut import Cutter
from pgc_data.hands.direct.region import Region


def picture(height, width):
    """Smooth, and different in every channel and corner."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 9 + k) + np.cos(y / 7 - k) for k in range(3)]
    return (127 + 60 * np.stack(waves, axis=2)).astype(np.uint8)


def region(image, x, y, side, rotation=0.0):
    height, width = image.shape[:2]
    return Region(*map(np.float32, (x / width, y / height, side / width, side / height, rotation)))


def plain(image, x, y, side, rotation, cells):
    """Bilinear in 64 bits, edges repeated; RGB."""
    height, width = image.shape[:2]
    down, right = np.mgrid[:cells, :cells] / cells * side - side / 2
    cos, sin = math.cos(rotation), math.sin(rotation)
    across, along = x + right * cos - down * sin, y + right * sin + down * cos
    left, top = np.floor(across).astype(int), np.floor(along).astype(int)
    total = np.zeros((cells, cells, 3))
    for dx in (0, 1):
        for dy in (0, 1):
            weight = abs(1 - dx - (across - left)) * abs(1 - dy - (along - top))
            pixel = image[np.clip(top + dy, 0, height - 1), np.clip(left + dx, 0, width - 1)]
            total += weight[:, :, None] * pixel
    return total[:, :, ::-1]


@pytest.mark.parametrize(
    "where",
    [
        (160, 120, 100, 0.0),
        (160, 120, 90, 0.7),
        (100, 80, 300, -2.5),
        (10, 230, 120, 3.1),
        (-40, -40, 60, 1.0),
    ],
    ids=["upright", "turned", "larger than the image", "over the edge", "outside"],
)
@pytest.mark.parametrize("cells", [224, 192, 63])
def test_a_region_is_resampled_to_a_32nd_of_a_pixel(where, cells):
    image = picture(240, 320)
    cut = Cutter(cells).region(image, region(image, *where))
    assert cut.shape == (cells, cells, 3) and cut.dtype == np.uint8
    assert np.abs(cut - plain(image, *where, cells)).max() < 2


def test_an_upright_region_of_its_own_size_is_the_image_itself():
    image = picture(224, 224)
    np.testing.assert_array_equal(Cutter(224).region(image, region(image, 112, 112, 224)), image[:, :, ::-1])


@pytest.mark.parametrize("shape", [(240, 320), (320, 240), (192, 192), (3, 500), (1081, 1919)])
def test_a_whole_image_keeps_its_shape_with_black_around_it(shape):
    image = np.full((*shape, 3), 200, np.uint8)
    cut = Cutter(192).whole(image)
    assert cut.shape == (192, 192, 3)
    share = min(shape) / max(shape)
    assert (cut[:, :, 0] > 100).mean() == pytest.approx(share, abs=0.03)
    assert cut[96, 96, 0] == 200


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 2)])
def test_the_tiniest_image_can_be_cut(shape):
    image = np.full((*shape, 3), 200, np.uint8)
    assert Cutter(192).whole(image).max() == 200
    assert (Cutter(224).region(image, region(image, 0.5, 0.5, 1.0, 0.4)) == 200).all()


def test_a_cutter_serves_images_of_many_sizes_one_after_the_other():
    cutter = Cutter(192)
    images = [picture(240, 320), picture(48, 31), picture(240, 320)]
    for image in images:
        np.testing.assert_array_equal(cutter.whole(image), Cutter(192).whole(image))
        where = region(image, 20, 20, 30, 0.3)
        np.testing.assert_array_equal(cutter.region(image, where), Cutter(192).region(image, where))


@pytest.mark.parametrize("side", [1e-3, 1e6, 1e20])
def test_a_region_of_absurd_size_is_cut_all_the_same(side):
    image = np.full((48, 64, 3), 200, np.uint8)
    assert Cutter(64).region(image, region(image, 32, 24, side, 0.3)).shape == (64, 64, 3)
