"""Hands by MediaPipe's HandLandmarker (Tasks API): tracked through clips, fresh for every photograph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import cv2
import mediapipe as mp
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision

from pgc_data.errors import DataError
from pgc_data.hands.crops import landmark_hull
from pgc_data.hands.media import Image
from pgc_data.hands.types import Found, Hand, Landmarks


class MediaPipeTask(ABC):
    """A landmarker of the Tasks API as a backend; what it looks for, and how a result is read, is its own.

    Attributes:
        name: of the backend.
        bundle: kind of the model bundle, as in `--hand-model`.
        remembers: whether the landmarker follows what it saw even from one photograph to the next.
    """

    name: str
    bundle: str
    remembers = False

    def __init__(self, model: Path, confidence: float) -> None:
        """Reads the model.

        Args:
            model: bundle (`.task`).
            confidence: least confidence of whatever the landmarker looks for, 0 to 1.
        """
        self._model = model.read_bytes()
        self._confidence = confidence
        self._landmarker: Any = None
        self._tracking = False
        self._last_ms = -1

    @abstractmethod
    def _create(self, base_options: Any, mode: Any) -> Any:
        """A landmarker in the running mode `mode`."""

    @abstractmethod
    def _read(self, result: Any, width: int, height: int) -> Found:
        """What a result of the landmarker says of an image of that size in pixels."""

    def start(self, tracking: bool) -> None:
        """Makes a fresh landmarker, so that nothing of another clip can be seen in this one."""
        fresh = not (tracking or self._tracking or self.remembers)
        if self._landmarker is not None and fresh:
            return
        self.close()
        self._tracking = tracking
        self._last_ms = -1
        mode = vision.RunningMode.VIDEO if tracking else vision.RunningMode.IMAGE
        try:
            self._landmarker = self._create(BaseOptions(model_asset_buffer=self._model), mode)
        except (ValueError, RuntimeError, OSError) as error:
            first = (str(error).splitlines() or ["no message"])[0]
            raise DataError(
                f"MediaPipe cannot use the {self.bundle} model: {first}; check --{self.bundle}-model"
            ) from error

    def find(self, image: Image, timestamp_s: float) -> Found:
        """See `Backend.find`."""
        rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        picture = mp.Image(image_format=mp.ImageFormat.SRGB, data=rgb)
        if self._tracking:
            # It refuses a time that does not grow, which two frames of a video can have in milliseconds.
            self._last_ms = max(round(timestamp_s * 1000), self._last_ms + 1)
            result = self._landmarker.detect_for_video(picture, self._last_ms)
        else:
            result = self._landmarker.detect(picture)
        height, width = image.shape[:2]
        return self._read(result, width, height)

    def close(self) -> None:
        """See `Backend.close`."""
        if self._landmarker is not None:
            self._landmarker.close()
            self._landmarker = None


class MediaPipeHands(MediaPipeTask):
    """The default backend. With one hand expected it tracks, and skips palm detection while the hand is held."""

    name = "mediapipe"
    bundle = "hand"

    def __init__(self, model: Path, hands: int, confidence: float = 0.5) -> None:
        """Reads the model.

        Args:
            model: hand landmarker bundle (`.task`).
            hands: hands to look for in a frame.
            confidence: least confidence for detection, presence and tracking, 0 to 1.
        """
        super().__init__(model, confidence)
        self._hands = hands

    def _create(self, base_options: Any, mode: Any) -> Any:
        return vision.HandLandmarker.create_from_options(
            vision.HandLandmarkerOptions(
                base_options=base_options,
                running_mode=mode,
                num_hands=self._hands,
                min_hand_detection_confidence=self._confidence,
                min_hand_presence_confidence=self._confidence,
                min_tracking_confidence=self._confidence,
            )
        )

    def _read(self, result: Any, width: int, height: int) -> Found:
        found = zip(result.hand_landmarks, result.hand_world_landmarks, result.handedness, strict=True)
        return Found([_hand(*each, width, height) for each in found])


def _hand(landmarks: Any, world: Any, handedness: Any, width: int, height: int) -> Hand:
    points = landmark_array(landmarks)
    category = handedness[0]
    return Hand(
        box=landmark_hull(points, width, height),
        # HandLandmarker gives no other confidence than that of the handedness.
        score=float(category.score),
        landmarks=points,
        world_landmarks=landmark_array(world),
        handedness=category.category_name,
        handedness_score=float(category.score),
    )


def landmark_array(landmarks: Any) -> Landmarks:
    """x, y, z of N landmarks of the Tasks API, (N, 3)."""
    return np.array([(p.x, p.y, p.z) for p in landmarks], dtype=np.float32)
