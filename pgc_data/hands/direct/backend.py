"""Hands by MediaPipe's own networks, without its graph."""

from __future__ import annotations

import zipfile
from pathlib import Path

from pgc_data.errors import DataError
from pgc_data.hands.crops import landmark_hull
from pgc_data.hands.direct.landmarks import LandmarkReader, Reading
from pgc_data.hands.direct.palm import PalmDetector
from pgc_data.hands.direct.runtime import LiteRTNetwork
from pgc_data.hands.direct.tracker import Tracker
from pgc_data.hands.media import Image
from pgc_data.hands.types import Found, Hand

_DETECTOR, _LANDMARKER = "hand_detector.tflite", "hand_landmarks_detector.tflite"


class DirectHands:
    """Finds what `MediaPipeHands` finds, on one thread; starting a clip costs nothing.

    A hand's score is the landmark network's own confidence that there is a hand, which MediaPipe keeps to itself.
    """

    name = "direct"

    def __init__(self, model: Path, hands: int, confidence: float = 0.5) -> None:
        """Loads both networks.

        Args:
            model: hand landmarker bundle (`.task`).
            hands: hands to look for in a frame.
            confidence: least confidence for detection, presence and tracking, 0 to 1.

        Raises:
            ConfigError: LiteRT is not installed.
            DataError: the model cannot be used.
        """
        detector, landmarker = (_network(model, name) for name in (_DETECTOR, _LANDMARKER))
        self._tracker = Tracker(
            PalmDetector(detector, confidence).find,
            LandmarkReader(landmarker, confidence).read,
            hands,
            same_hand=confidence,
        )

    def start(self, tracking: bool) -> None:
        """See `Backend.start`."""
        self._tracker.start(tracking)

    def find(self, image: Image, timestamp_s: float) -> Found:
        """See `Backend.find`; the timestamp plays no part."""
        height, width = image.shape[:2]
        return Found([_hand(reading, width, height) for reading in self._tracker.step(image)])

    def close(self) -> None:
        """See `Backend.close`: the networks go with the object."""


def _network(model: Path, name: str) -> LiteRTNetwork:
    try:
        with zipfile.ZipFile(model) as bundle:
            data = bundle.read(name)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{model} is not a hand landmarker bundle: {error}; check --hand-model") from error
    return LiteRTNetwork(data, name)


def _hand(reading: Reading, width: int, height: int) -> Hand:
    is_right = reading.right > 0.5
    return Hand(
        box=landmark_hull(reading.landmarks, width, height),
        score=reading.presence,
        landmarks=reading.landmarks,
        world_landmarks=reading.world,
        handedness="Right" if is_right else "Left",
        handedness_score=reading.right if is_right else 1 - reading.right,
    )
