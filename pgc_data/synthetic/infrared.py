"""Near-infrared pictures of a hand, as the Leap Motion Controller takes them: bright skin on a dark ground."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pgc_data.synthetic.flesh import HandView
from pgc_data.synthetic.render import paint_arm
from pgc_data.synthetic.subjects import Subject

Array = NDArray[np.float64]
Grey = NDArray[np.uint8]

_GROUND = 9.0
_BRIGHTNESS = 1.05
_LED_REACH = 0.5
_NOISE_ROOM = 48


class InfraredCamera:
    """Takes grey pictures lit by its own lamps: what is far from the middle of the picture falls off into the dark."""

    def __init__(self, subject: Subject, size: tuple[int, int], rng: np.random.Generator) -> None:
        """Draws from `rng` the glow of the ground and the noise of a sensor of `size` (width, height)."""
        # In near infrared all skin is bright; cloth is not.
        grey = float(rng.uniform(196.0, 220.0))
        cloth = float(rng.uniform(48.0, 84.0))
        self._subject = replace(subject, skin=(grey,) * 3, sleeve=(cloth,) * 3, light=(0.0, -0.18, 0.98))
        self._size = size
        self._rng = rng
        width, height = size
        x = (np.arange(width, dtype=np.float32) - width * np.float32(rng.uniform(0.45, 0.55))) / np.float32(
            width
        )
        y = (np.arange(height, dtype=np.float32) - height * np.float32(rng.uniform(0.4, 0.6))) / np.float32(
            width
        )
        squared = x[None, :] ** 2 + y[:, None] ** 2
        self._lamp = np.float32(_BRIGHTNESS) * np.exp(-squared / np.float32(_LED_REACH**2))
        blotches = rng.standard_normal((6, 16), dtype=np.float32)
        self._ground = np.float32(_GROUND) + 3.0 * cv2.resize(blotches, size, interpolation=cv2.INTER_CUBIC)
        self._noise = rng.standard_normal((height + _NOISE_ROOM, width + _NOISE_ROOM), dtype=np.float32)

    def take(self, view: HandView | None) -> Grey:
        """One picture, (height, width); without a hand for None."""
        width, height = self._size
        scene = np.repeat(self._ground[:, :, None], 3, axis=2).astype(np.float32)
        if view is not None:
            paint_arm(scene, view, self._subject)
        grey = cv2.GaussianBlur(scene.mean(axis=2), (0, 0), 0.8) * self._lamp
        x, y = (int(v) for v in self._rng.integers(_NOISE_ROOM, size=2))
        # Shot noise: it grows with the light.
        grey += self._noise[y : y + height, x : x + width] * (1.5 + 0.22 * np.sqrt(np.maximum(grey, 0.0)))
        return np.asarray(np.clip(grey, 0.0, 255.0), np.uint8)
