"""What goes round the live loop: frames with hands, what a model says of them, what changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pgc_data.hands.media import Image
from pgc_data.hands.types import Hand

# The track of what is said of the scene as a whole.
SCENE = -1


@dataclass(frozen=True, eq=False)
class LiveFrame:
    """One frame and the hands in it.

    Attributes:
        number: 1-based, of the source; those that a camera's reader skips count.
        time: from the first frame, seconds; grows.
        image: (height, width, 3) BGR.
        hands: found in it.
        tracks: of each hand.
    """

    number: int
    time: float
    image: Image
    hands: Sequence[Hand] = ()
    tracks: Sequence[int] = ()


@dataclass(frozen=True)
class Verdict:
    """What a model says of one hand of a frame, or of the scene.

    Attributes:
        track: of the hand; `SCENE` for the scene.
        probabilities: of each of the model's classes, 0 to 1.
    """

    track: int
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Event:
    """A class begins or ends.

    Attributes:
        kind: start or end.
        track: of the hand; `SCENE` for the scene.
        label: the class.
        time: of the frame at which it is said, seconds.
        since: from when on it was so, seconds.
        duration: of an end, how long the class lasted, seconds; else None.
    """

    kind: str
    track: int
    label: str
    time: float
    since: float
    duration: float | None = None


class Classifier(Protocol):
    """A model in the loop.

    Attributes:
        classes: what can begin and end; a background class is none of them.
        threshold: probability from which a class can begin, unless the user says otherwise.
    """

    classes: tuple[str, ...]
    threshold: float

    def see(self, frame: LiveFrame) -> list[Verdict]:
        """What the model says of a frame: one verdict a hand it can judge, or one of the scene."""
