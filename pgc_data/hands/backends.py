"""The backends by name: which tables each fills, which model it needs, and how one is made."""

from __future__ import annotations

from pathlib import Path

from pgc_data.hands.types import Backend

HANDS_ONLY = ("frames", "hands")
# Tables of a shard by backend, in the order they are written.
TABLES = {"mediapipe": HANDS_ONLY, "holistic": (*HANDS_ONLY, "holistic")}
BACKENDS = tuple(TABLES)


def make_backend(name: str, model: Path, hands: int, confidence: float) -> Backend:
    """The backend of that name, one of `BACKENDS`.

    Args:
        name: of the backend.
        model: its model bundle.
        hands: hands to look for in a frame; holistic always looks for both hands of one person.
        confidence: least confidence, 0 to 1.
    """
    # Imported here: it takes a second, and the coordinator does without it.
    if name == "holistic":
        from pgc_data.hands.holistic_backend import MediaPipeHolistic

        return MediaPipeHolistic(model, confidence)
    from pgc_data.hands.mediapipe_backend import MediaPipeHands

    return MediaPipeHands(model, hands, confidence)
