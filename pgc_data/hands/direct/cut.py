"""Cutting regions out of images, as MediaPipe resamples them."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from pgc_data.hands.direct.region import Region
from pgc_data.hands.media import Image

_Maps = tuple[NDArray[np.int16], NDArray[np.uint16]]

# Adding and taking away this number rounds a double to 32nds.
_TO_32NDS = 1.5 * 2.0**47
# Pixels that MediaPipe's OpenCV warps at a time: positions are sums of a block's start and a step within the block.
_BLOCK = 64


class Cutter:
    """Cuts regions out of images, all to one size. It keeps its room to work in: not for two threads at once."""

    def __init__(self, side: int) -> None:
        """Sets the size of what is cut, in pixels."""
        self._side = side
        self._onto = np.array([[0, side], [0, 0], [side, 0], [side, side]], dtype=np.float32)
        self._rows = np.arange(side, dtype=np.float64)
        self._planes = np.empty((3, side, side))
        self._positions = np.empty((2, side, side), dtype=np.float32)
        self._whole: tuple[tuple[int, ...], _Maps] | None = None

    def region(self, image: Image, region: Region) -> Image:
        """A region of a (height, width, 3) BGR image as (side, side, 3) RGB; edges go on outside the image."""
        height, width = image.shape[:2]
        centre = (float(region.x * width), float(region.y * height))
        extent = (float(region.width * width), float(region.height * height))
        degrees = float(region.rotation * np.float32(180)) / math.pi
        return _resampled(image, self._maps(centre, extent, degrees), cv2.BORDER_REPLICATE)

    def whole(self, image: Image) -> Image:
        """All of a (height, width, 3) BGR image as (side, side, 3) RGB, its shape kept, black around it."""
        if self._whole is None or self._whole[0] != image.shape:
            height, width = image.shape[:2]
            longer = float(max(width, height))
            self._whole = image.shape, self._maps((width / 2, height / 2), (longer, longer), 0.0)
        return _resampled(image, self._whole[1], cv2.BORDER_CONSTANT)

    def _maps(self, centre: tuple[float, float], extent: tuple[float, float], degrees: float) -> _Maps:
        """Where each pixel of the cut lies in the image, in OpenCV's fixed-point form.

        The corners of the region, not those of its outer pixels, go to the corners of the cut: half a pixel off, but
        it is how MediaPipe feeds the networks.
        """
        corners = cv2.boxPoints((centre, extent, degrees))
        matrix = cv2.invert(cv2.getPerspectiveTransform(corners, self._onto))[1]
        for plane, row in zip(self._planes, matrix, strict=True):
            self._fill(plane, *map(float, row))
        where, scale = self._planes[:2], self._planes[2]
        # The corners are rounded to 32 bits, so that the square is none by a hair, and this is not quite 1.
        where *= np.divide(1, scale, out=scale)
        where += _TO_32NDS
        where -= _TO_32NDS
        self._positions[:] = where
        pixels, shares = cv2.convertMaps(self._positions[0], self._positions[1], cv2.CV_16SC2)
        return pixels, shares

    def _fill(self, plane: NDArray[np.float64], along: float, down: float, start: float) -> None:
        """Sets a plane to along * x + down * y + start, summed in OpenCV's order."""
        steps = along * np.arange(_BLOCK, dtype=np.float64)
        for first in range(0, self._side, _BLOCK):
            part = plane[:, first : first + _BLOCK]
            np.add.outer(along * first + down * self._rows + start, steps[: part.shape[1]], out=part)


def _resampled(image: Image, maps: _Maps, border: int) -> Image:
    # In fixed point, a 32nd of a pixel fine, as the OpenCV inside MediaPipe does it. OpenCV 5's own warps are exacter,
    # and one landmark in twenty answers to the difference by 4 % of a palm or more.
    picture = cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)
