"""Hands by any ONNX detector with PGC's contract, with landmarks from MediaPipe in its boxes if wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pgc_data.errors import DataError
from pgc_data.hands.box_landmarks import BoxLandmarker
from pgc_data.hands.detector_network import DetectorNetwork, Rows
from pgc_data.hands.media import Image
from pgc_data.hands.types import Found, Hand

# A box may reach past the image, as its hand does; pixels given for fractions reach much farther.
_FARTHEST = 2.0
# A sigmoid in half precision may round up; a logit is much larger.
_MOST_SCORE = 1.001


class OnnxDetector:
    """The surest boxes of the classes that are hands. Every image is looked at by itself, in clips too.

    Nothing is suppressed: the contract leaves it to the network to give each hand one box.
    """

    name = "onnx"

    def __init__(
        self, detector: Path, provider: str, classes: Sequence[int], hands: int, confidence: float,
        landmarks: BoxLandmarker | None = None,
    ) -> None:  # fmt: skip
        """Loads the detector.

        Args:
            detector: ONNX file.
            provider: cpu, cuda or tensorrt.
            classes: those of the detector's classes that are hands.
            hands: most hands of an image.
            confidence: least score, 0 to 1.
            landmarks: what finds landmarks in the boxes.

        Raises:
            DataError: the file is no such detector, or the provider cannot be used.
        """
        self._network = DetectorNetwork(detector, provider)
        self._file = detector.name
        self._classes = list(classes)
        self._hands = hands
        self._confidence = confidence
        self._landmarks = landmarks

    @property
    def batch(self) -> int:
        """See `Batched.batch`."""
        return self._network.batch

    def start(self, tracking: bool) -> None:
        """See `Backend.start`."""
        if self._landmarks is not None:
            self._landmarks.start()

    def find(self, image: Image, timestamp_s: float) -> Found:
        """See `Backend.find`."""
        return self.find_many([image])[0]

    def find_many(self, images: Sequence[Image]) -> list[Found]:
        """See `Batched.find_many`."""
        found = []
        for image, rows in zip(images, self._network.run(images), strict=True):
            hands = self._chosen(rows, image.shape[1], image.shape[0])
            found.append(Found(hands if self._landmarks is None else self._landmarks.fill(image, hands)))
        return found

    def close(self) -> None:
        """See `Backend.close`."""
        if self._landmarks is not None:
            self._landmarks.close()

    def _chosen(self, rows: Rows, width: int, height: int) -> list[Hand]:
        """The hands among the rows (N, 6) of an image, the surest first."""
        rows = rows[(rows[:, 5] >= self._confidence) & np.isin(np.rint(rows[:, 0]), self._classes)]
        # A comparison with NaN is false.
        sane = (np.abs(rows[:, 1:5]) <= _FARTHEST).all(axis=1) & (rows[:, 5] <= _MOST_SCORE)
        if not sane.all():
            odd = [round(float(value), 4) for value in rows[~sane][0]]
            raise DataError(
                f"the detector {self._file} gave the row {odd}: it should be class, x1, "
                "y1, x2, y2 as fractions of the image, score 0 to 1"
            )
        rows = rows[(rows[:, 3] > rows[:, 1]) & (rows[:, 4] > rows[:, 2])]
        best = np.argsort(-rows[:, 5], kind="stable")[: self._hands]
        size = np.array([width, height, width, height], dtype=np.float64)
        return [
            Hand(box=(x1, y1, x2 - x1, y2 - y1), score=min(float(score), 1.0))
            for (x1, y1, x2, y2), score in zip(
                (rows[best, 1:5].astype(np.float64) * size).tolist(), rows[best, 5], strict=True
            )
        ]
