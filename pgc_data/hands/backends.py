"""The backends by name: which tables each fills, which options are its own, and how one is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pgc_data.errors import ConfigError, DataError
from pgc_data.hands.types import Backend

HANDS_ONLY = ("frames", "hands")
# Tables of a shard by backend, in the order they are written.
TABLES = {
    "mediapipe": HANDS_ONLY, "direct": HANDS_ONLY, "holistic": (*HANDS_ONLY, "holistic"), "annotation": HANDS_ONLY,
    "onnx": HANDS_ONLY,
}  # fmt: skip
BACKENDS = tuple(TABLES)
# Options of extraction by backend, besides those that all of them have.
OPTIONS = {
    "mediapipe": {"hand_model", "hands"},
    "direct": {"hand_model", "hands"},
    "holistic": {"holistic_model"},
    "annotation": {"hand_model", "landmarks"},
    "onnx": {"hand_model", "hands", "landmarks", "detector", "detector_classes", "provider"},
}
# Where the landmarks of a backend that goes by boxes can come from, its default first.
LANDMARKS = {"annotation": ("annotation", "mediapipe", "none"), "onnx": ("mediapipe", "none")}
PROVIDERS = ("cpu", "cuda", "tensorrt")
# The number of the class hand in PGC's detectors.
HAND_CLASSES = (26,)


@dataclass(frozen=True)
class BoxSettings:
    """What a backend that goes by boxes needs to know besides.

    Attributes:
        landmarks: where landmarks come from, one of `LANDMARKS`.
        hand_model: hand landmarker bundle, for landmarks from MediaPipe.
        classes: onnx: which of the detector's classes are hands.
        provider: onnx: what the detector runs on, one of `PROVIDERS`.
    """

    landmarks: str
    hand_model: Path | None = None
    classes: tuple[int, ...] = HAND_CLASSES
    provider: str = PROVIDERS[0]


def make_backend(
    name: str, model: Path | None, hands: int, confidence: float, boxes: BoxSettings | None = None
) -> Backend:
    """The backend of that name, one of `BACKENDS`.

    Args:
        name: of the backend.
        model: its model bundle or detector; annotation has none.
        hands: hands to look for in a frame; holistic always looks for both hands of one person, annotation has all
            that are annotated.
        confidence: least confidence, 0 to 1.
        boxes: for annotation and onnx.

    Raises:
        ConfigError: what the backend needs is not given.
        DataError: a model cannot be used.
    """
    if boxes is not None and name in LANDMARKS:
        return _by_boxes(name, model, hands, confidence, boxes)
    if model is None or name in LANDMARKS:
        raise ConfigError(f"the backend {name} needs {'a model' if model is None else 'box settings'}")
    # Imported here: it takes a second, and the coordinator does without it.
    if name == "holistic":
        from pgc_data.hands.holistic_backend import MediaPipeHolistic

        return MediaPipeHolistic(model, confidence)
    if name == "direct":
        from pgc_data.hands.direct import DirectHands

        return DirectHands(model, hands, confidence)
    from pgc_data.hands.mediapipe_backend import MediaPipeHands

    return MediaPipeHands(model, hands, confidence)


def _by_boxes(name: str, model: Path | None, hands: int, confidence: float, boxes: BoxSettings) -> Backend:
    landmarker = None
    if boxes.landmarks == "mediapipe":
        from pgc_data.hands.box_landmarks import BoxLandmarker

        if boxes.hand_model is None or not boxes.hand_model.is_file():
            raise DataError(
                f"a worker cannot see the hand model {boxes.hand_model}: keep it where all of them can, and name it"
            )
        landmarker = BoxLandmarker(boxes.hand_model, confidence)
    if name == "annotation":
        from pgc_data.hands.annotation_backend import AnnotatedHands

        return AnnotatedHands(boxes.landmarks == "annotation", landmarker)
    from pgc_data.hands.onnx_backend import OnnxDetector

    if model is None:
        raise ConfigError("the backend onnx needs a detector")
    return OnnxDetector(model, boxes.provider, boxes.classes, hands, confidence, landmarker)
