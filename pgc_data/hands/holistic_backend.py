"""Pose, face and both hands of one person by MediaPipe's HolisticLandmarker (Tasks API)."""

from __future__ import annotations

from typing import Any

import numpy as np
from mediapipe.tasks.python import vision

from pgc_data.errors import DataError
from pgc_data.hands.crops import landmark_hull
from pgc_data.hands.mediapipe_backend import MediaPipeTask, landmark_array
from pgc_data.hands.types import Body, Found, Hand, Landmarks

_SIZES = {"pose": 33, "face": 468, "left_hand": 21, "right_hand": 21}


class MediaPipeHolistic(MediaPipeTask):
    """Looks for one person, and for the face and the hands where the pose says they are: no pose, no hands.

    Hands come left first, then right; which is which follows from the person's arms. HolisticLandmarker gives a hand
    no confidence: its score is the least one asked for, which it has reached.
    """

    name = "holistic"
    bundle = "holistic"
    # Its graph takes regions from the image before, and smooths the pose over images, in every running mode.
    remembers = True

    def _create(self, base_options: Any, mode: Any) -> Any:
        return vision.HolisticLandmarker.create_from_options(
            vision.HolisticLandmarkerOptions(
                base_options=base_options,
                running_mode=mode,
                min_pose_detection_confidence=self._confidence,
                min_pose_landmarks_confidence=self._confidence,
                min_face_detection_confidence=self._confidence,
                min_face_landmarks_confidence=self._confidence,
                min_hand_landmarks_confidence=self._confidence,
            )
        )

    def _read(self, result: Any, width: int, height: int) -> Found:
        parts = {name: _part(result, name) for name in _SIZES}
        hands = [
            Hand(
                box=landmark_hull(landmarks, width, height),
                score=self._confidence,
                landmarks=landmarks,
                world_landmarks=_around_centre(getattr(result, f"{side}_hand_world_landmarks")),
                handedness=side.capitalize(),
            )
            for side in ("left", "right")
            if (landmarks := parts[f"{side}_hand"]) is not None
        ]
        nothing = all(part is None for part in parts.values())
        return Found(hands, None if nothing else Body(**parts))


def _part(result: Any, name: str) -> Landmarks | None:
    """One part of a result, (size, 3), the pose (33, 4); None where it is not found."""
    landmarks, size = getattr(result, f"{name}_landmarks"), _SIZES[name]
    if not landmarks:
        return None
    # A face may go on with ten iris points.
    if len(landmarks) != size and not (name == "face" and len(landmarks) > size):
        raise DataError(
            f"MediaPipe gave {len(landmarks)} {name} landmarks, {size} are needed: use the official model, see "
            "--holistic-model"
        )
    points = landmark_array(landmarks[:size])
    if name != "pose":
        return points
    visibility = np.array([p.visibility or 0.0 for p in landmarks], dtype=np.float32)
    return np.column_stack([points, visibility])


def _around_centre(world: Any) -> Landmarks | None:
    """A hand's world landmarks around its own centre, as HandLandmarker gives them: here they hang on the pose."""
    if not world:
        return None
    points = landmark_array(world)
    centred: Landmarks = points - points.mean(axis=0)
    return centred
