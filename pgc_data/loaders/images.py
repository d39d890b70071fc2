"""Encoded crops to pixels, by the one rule that batches and the decoded cache share."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pgc_data.audits.content import image_fault
from pgc_data.errors import DataError
from pgc_data.loaders.png import decode_own_png

Size = tuple[int, int]
"""Height and width, pixels."""


def decode_image(data: NDArray[np.uint8], size: Size | None = None, out: Any = None) -> NDArray[np.uint8]:
    """Decodes an image, and scales it where a size is given.

    An image that grows in neither direction is averaged over areas (OpenCV's INTER_AREA, which does not alias), any
    other is interpolated linearly (INTER_LINEAR). Its proportions are not kept.

    Args:
        data: (bytes,) of an encoded image; upright if it carries an EXIF rotation.
        size: height and width to scale to, or None for its own.
        out: (height, width, 3) uint8 array of that size to write to.

    Returns:
        (height, width, 3) RGB.

    Raises:
        DataError: it is no image that OpenCV can decode; says why.
    """
    image = decode_own_png(data)
    if image is None:
        image = _decode_any(data)
    if size is None:
        return image
    if out is None:
        out = np.empty((*size, 3), np.uint8)
    height, width = image.shape[:2]
    rule = cv2.INTER_AREA if height >= size[0] and width >= size[1] else cv2.INTER_LINEAR
    cv2.resize(image, (size[1], size[0]), dst=out, interpolation=rule)
    return np.asarray(out)


def _decode_any(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    try:
        image: Any = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        image = None
    if image is None:
        raise DataError(image_fault(data.tobytes()) or "it is not an image that OpenCV decodes")
    return np.asarray(image)
