"""The hands of each frame, found and followed as extraction does."""

from __future__ import annotations

from collections.abc import Sequence

from pgc_data.hands.media import Image
from pgc_data.hands.tracks import Tracks
from pgc_data.hands.types import Backend, Hand


class HandFinder:
    """A backend with the tracks of what it finds; one for one clip."""

    def __init__(self, backend: Backend) -> None:
        """Starts the backend for a clip."""
        self._backend = backend
        self._backend.start(tracking=True)
        self._tracks = Tracks()

    def find(self, image: Image, time: float) -> tuple[Sequence[Hand], list[int]]:
        """The hands of a (height, width, 3) BGR image and their tracks; times grow."""
        hands = self._backend.find(image, time).hands
        return hands, self._tracks.assign([hand.box for hand in hands], time)

    def close(self) -> None:
        """Frees the networks."""
        self._backend.close()
