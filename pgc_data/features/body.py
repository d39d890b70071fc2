"""One person's pose, face and hands through one clip: the type that holistic features are computed from."""

from __future__ import annotations

from dataclasses import dataclass

from pgc_data.errors import DataError
from pgc_data.features.arrays import Floats
from pgc_data.features.sequence import as_floats, check_size, check_times

# Points and values a point of each part, in the order of the feature vector.
BODY_PARTS = {"pose": (33, 4), "face": (468, 3), "left_hand": (21, 3), "right_hand": (21, 3)}


@dataclass(frozen=True, eq=False)
class BodySequence:
    """One row per source frame of one clip, in time order; checked when it is made.

    x and y are fractions of the image, z on x's scale, as MediaPipe gives them. NaN where a part is missing.

    Attributes:
        pose: (N, 33, 4) float64, x, y, z and visibility.
        face: (N, 468, 3) float64.
        left_hand, right_hand: (N, 21, 3) float64, the person's own left and right.
        timestamps: (N,) float64, seconds, never decreasing.
        width, height: size of the source image, pixels.

    Raises:
        DataError: a wrong shape or type, a timestamp that is not finite, goes back or is more than a day
            after the first, an impossible size; the message names the row and the value.
    """

    pose: Floats
    face: Floats
    left_hand: Floats
    right_hand: Floats
    timestamps: Floats
    width: int
    height: int

    def __post_init__(self) -> None:
        check_size(self.width, self.height)
        timestamps = as_floats("timestamps", self.timestamps)
        if timestamps.ndim != 1:
            raise DataError(f"timestamps has shape {timestamps.shape}, it must be (N,)")
        check_times(timestamps)
        object.__setattr__(self, "timestamps", timestamps)
        for name, size in BODY_PARTS.items():
            part = as_floats(name, getattr(self, name))
            if part.shape != (expected := (timestamps.size, *size)):
                raise DataError(f"{name} has shape {part.shape}, it must be {expected}")
            object.__setattr__(self, name, part)

    def __len__(self) -> int:
        return self.timestamps.size

    def part(self, name: str) -> Floats:
        """The part of that name, one of `BODY_PARTS`: (N, points, values)."""
        values: Floats = getattr(self, name)
        return values
