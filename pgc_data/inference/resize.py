"""The one resize rule: training, the decoded cache and inference see the same pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]


def resized(image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Scales an image; its proportions are not kept.

    One that grows in neither direction is averaged over areas (INTER_AREA, which does not alias), any other is
    interpolated linearly (INTER_LINEAR).

    Args:
        image: (height, width, 3).
        size: height and width to scale to.
    """
    if image.shape[:2] == size:
        return image
    shrinks = image.shape[0] >= size[0] and image.shape[1] >= size[1]
    rule = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=rule), np.uint8)
