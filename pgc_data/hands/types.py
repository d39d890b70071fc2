"""What a backend returns, whatever network is behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pgc_data.hands.media import Image

Landmarks = NDArray[np.float32]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Hand:
    """One hand found in one image.

    Attributes:
        box: x, y, width, height in pixels; may reach past the image.
        score: confidence that it is a hand, 0 to 1.
        landmarks: (21, 3), x and y as fractions of the image, z on x's scale; None without landmarks.
        world_landmarks: (21, 3) in metres; None without landmarks.
        handedness: the anatomical hand, Left or Right; None where unknown.
        handedness_score: 0 to 1; None where unknown.
    """

    box: Box
    score: float
    landmarks: Landmarks | None = None
    world_landmarks: Landmarks | None = None
    handedness: str | None = None
    handedness_score: float | None = None


@dataclass(frozen=True)
class Body:
    """One person in one image, as MediaPipe Holistic sees them; None for a part that is not found.

    x and y are fractions of the image, z on x's scale.

    Attributes:
        pose: (33, 4), x, y, z and visibility, 0 to 1.
        face: (468, 3), the face mesh without irises.
        left_hand, right_hand: (21, 3), the person's own left and right.
    """

    pose: Landmarks | None = None
    face: Landmarks | None = None
    left_hand: Landmarks | None = None
    right_hand: Landmarks | None = None


@dataclass(frozen=True)
class Found:
    """What a backend finds in one image.

    Attributes:
        hands: in the backend's order.
        body: None where nothing of one is found, and from backends that look for hands alone.
    """

    hands: Sequence[Hand] = ()
    body: Body | None = None


class Watch(Protocol):
    """Keeps an eye on the process that works on a shard, whose items are known by their position.

    Attributes:
        crashed: items that killed the process before: to be recorded, not opened.
        careful: whether the process died before: nothing of an item is then to be opened before the last has ended.
    """

    crashed: frozenset[int]
    careful: bool

    def begin(self, item: int) -> None:
        """To be called before an item is opened."""

    def end(self, item: int) -> None:
        """To be called when nothing is left to do with an item."""


@runtime_checkable
class KnowsHands(Protocol):
    """A backend that is told what is annotated of each media."""

    def expect(self, annotated: bytes) -> None:
        """The hands of the media that was just started, see `MediaItem.annotated`."""


@runtime_checkable
class Batched(Protocol):
    """A backend that sees several images at once, none of which matters to another.

    Attributes:
        batch: how many it takes.
    """

    @property
    def batch(self) -> int: ...

    def find_many(self, images: Sequence[Image]) -> list[Found]:
        """What each of some (height, width, 3) BGR images shows: as `Backend.find`, one by one."""


class Backend(Protocol):
    """Finds hands, and a body where it can. One instance serves one worker process."""

    name: str

    def start(self, tracking: bool) -> None:
        """Forgets what was seen; `tracking` says whether frames of one clip follow, or single images."""

    def find(self, image: Image, timestamp_s: float) -> Found:
        """What a (height, width, 3) BGR image shows; timestamps grow within a clip."""

    def close(self) -> None:
        """Frees the networks."""
