"""Seeded changes of raw landmarks, made before features are computed from them.

A transform takes a `HandSequence` of any length, a whole clip or a window of a few frames, and returns a new
one. Every feature follows as if the hand itself had moved so; rows without a hand stay without.

augment = augmentation_preset("maestro")
swaps = flip_permutation(vocabulary.classes, vocabulary.flip)
changed = augment(sequence, rng_for(seed, window_id, epoch))
windows = cut_windows(frame_features(changed.sequence), stride=1)
class_id = swaps[class_id] if changed.flipped else class_id
"""

from __future__ import annotations

import dataclasses
import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from pgc_data.config import unknown_name
from pgc_data.errors import ConfigError, DataError
from pgc_data.features.arrays import Ints
from pgc_data.features.schema import SCHEMA
from pgc_data.features.sequence import NO_TRACK, HandSequence
from pgc_data.storage.files import sha256_json

_X, _Z = SCHEMA.axes.index("x"), SCHEMA.axes.index("z")
_OTHER_HAND = {"Left": "Right", "Right": "Left", None: None}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_range(low: Any, high: Any) -> None:
    if not (_is_number(low) and _is_number(high) and low < high):
        raise ConfigError(f"low = {low!r}, high = {high!r}: two numbers, low below high")


def _check_share(name: str, value: Any) -> None:
    if not (_is_number(value) and 0.0 <= value <= 1.0):
        raise ConfigError(f"{name} = {value!r}: it is a share, 0 to 1")


@dataclass(frozen=True)
class Transform(ABC):
    """One random change of a sequence.

    Attributes:
        p: share of the sequences that are changed, 0 to 1; the others are returned as they are.

    Raises:
        ConfigError: a parameter out of range; the message names it and its value.
    """

    # Whether the change mirrors the image, so that labels must follow.
    mirrors: ClassVar[bool] = False

    _: KW_ONLY
    p: float = 1.0

    def __post_init__(self) -> None:
        _check_share("p", self.p)

    def apply(self, sequence: HandSequence, rng: np.random.Generator) -> HandSequence:
        """Changes a sequence with probability `p`; the one given is left untouched."""
        return self.change(sequence, rng) if self.happens(rng) else sequence

    def happens(self, rng: np.random.Generator) -> bool:
        """Draws whether the next sequence is changed."""
        return bool(rng.random() < self.p)

    @abstractmethod
    def change(self, sequence: HandSequence, rng: np.random.Generator) -> HandSequence:
        """The changed sequence, whatever `p`."""


@dataclass(frozen=True)
class _Factor(Transform):
    """Draws one factor U(low, high) for the whole sequence."""

    low: float = 0.8
    high: float = 1.2

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_range(self.low, self.high)
        if self.low <= 0:
            raise ConfigError(f"low = {self.low!r}: a factor is above 0")

    def factor(self, rng: np.random.Generator) -> float:
        """The factor of the next sequence."""
        return float(rng.uniform(self.low, self.high))


@dataclass(frozen=True)
class TimeScale(_Factor):
    """Multiplies the time since the first row by U(low, high). Source: Maestro's model card, 20 % either way.

    Rows keep their landmarks; the 30 Hz grid interpolates between them later. A factor of 0.8 makes every
    velocity 1.25 times as high and leaves 0.8 of the grid frames: see `Augmentation.frames_to_hold`.
    """

    def change(self, sequence: HandSequence, rng: np.random.Generator) -> HandSequence:
        first = sequence.timestamps[:1]
        times = first + (sequence.timestamps - first) * self.factor(rng)
        return dataclasses.replace(sequence, timestamps=times)


@dataclass(frozen=True)
class Jitter(Transform):
    """Adds normal noise to every coordinate. Source: Maestro's card (0.005), a-01a's notebook (0.02, p 0.7).

    The wrist's z stays: MediaPipe measures z from the wrist, so it is about 0, and the features that rest on
    it alone are dead. Without depth (`has_z` false) all z stay 0. Rows that are not valid stay too: noise
    would make a hand of one that has collapsed to a point. a-01a added noise to all of these.

    Attributes:
        sigma: standard deviation, image widths (x, z) and heights (y). At 30 Hz, 0.005 is velocity noise of
            about one palm a second.
    """

    sigma: float = 0.005

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (_is_number(self.sigma) and self.sigma > 0):
            raise ConfigError(f"sigma = {self.sigma!r}: noise needs a standard deviation above 0")

    def change(self, sequence: HandSequence, rng: np.random.Generator) -> HandSequence:
        noise = rng.normal(0.0, self.sigma, sequence.landmarks.shape)
        noise[:, SCHEMA.wrist_joint, _Z] = 0.0
        noise[~sequence.valid()] = 0.0
        return dataclasses.replace(sequence, landmarks=sequence.landmarks + noise)


@dataclass(frozen=True)
class Flip(Transform):
    """Mirrors the sequence left to right (see `flipped`); an `Augmentation` reports whether it happened."""

    mirrors: ClassVar[bool] = True

    def change(self, sequence: HandSequence, rng: np.random.Generator) -> HandSequence:
        return flipped(sequence)


@dataclass(frozen=True)
class Scale(_Factor):
    """Makes the hand and its path larger or smaller by U(low, high). Source: a-01a's notebook, p 0.5.

    The mean of the valid rows' x and y stays where it is, which keeps a hand in view; z, measured from the
    wrist, is multiplied. a-01a multiplied the raw coordinates, which scales about the image's top left corner
    and takes hands at the right and at the bottom out of the image.

    Of feature-schema-v1 it changes `wrist_vel_raw` alone: all else is measured in palms.
    """

    def change(self, sequence: HandSequence, rng: np.random.Generator) -> HandSequence:
        factor = self.factor(rng)
        seen = sequence.landmarks[sequence.valid()]
        if not len(seen):
            return sequence
        centre = seen.mean(axis=(0, 1))
        centre[_Z] = 0.0
        return dataclasses.replace(sequence, landmarks=(sequence.landmarks - centre) * factor + centre)


@dataclass(frozen=True)
class Translate(Transform):
    """Moves the sequence across the image: U(low, high) in x, another in y. Source: a-01a's notebook, p 0.5.

    z, measured from the wrist, stays; a-01a moved it too, to where MediaPipe never has it. For models on raw
    coordinates only: every feature of feature-schema-v1 is invariant to it.

    Attributes:
        low, high: ends of the range, image widths (x) and heights (y).
    """

    low: float = -0.1
    high: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_range(self.low, self.high)

    def change(self, sequence: HandSequence, rng: np.random.Generator) -> HandSequence:
        offset = rng.uniform(self.low, self.high, len(SCHEMA.axes))
        offset[_Z] = 0.0
        return dataclasses.replace(sequence, landmarks=sequence.landmarks + offset)


@dataclass(frozen=True)
class DropFrames(Transform):
    """Takes the hand away from some frames, as a detector that misses it does.

    The rows become NaN, without a track: the features' rules for gaps then hold the hand or call the frame
    unusable, as they do live. A window may lose too many frames and be dropped. For landmarks that know of
    missing hands it is what `ZeroOcclusion` is elsewhere.

    Attributes:
        frame: share of the frames that lose their hand.
    """

    frame: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share("frame", self.frame)

    def change(self, sequence: HandSequence, rng: np.random.Generator) -> HandSequence:
        lost = rng.random(len(sequence)) < self.frame
        landmarks, tracks = sequence.landmarks.copy(), sequence.track_ids.copy()
        landmarks[lost] = np.nan
        tracks[lost] = NO_TRACK
        return dataclasses.replace(sequence, landmarks=landmarks, track_ids=tracks)


@dataclass(frozen=True)
class ZeroOcclusion(Transform):
    """Sets coordinates of some frames to 0. Source: a-01a's notebook, p 0.5.

    Only for models on the raw coordinates (landmarks63) of sources at the grid's rate: feature-schema-v1, and
    interpolation to the grid, take a zero for a joint in the image's corner. `DropFrames` is for those. Put it
    last: a zero that is scaled or moved afterwards is one no more (a-01a did both).

    Attributes:
        frame, coordinate: share of the frames that are occluded, and of their 63 coordinates that become 0.
    """

    frame: float = 0.1
    coordinate: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share("frame", self.frame)
        _check_share("coordinate", self.coordinate)

    def change(self, sequence: HandSequence, rng: np.random.Generator) -> HandSequence:
        hidden = (rng.random(len(sequence)) < self.frame) & sequence.valid()
        zeroed = rng.random(sequence.landmarks.shape) < self.coordinate
        landmarks = np.where(zeroed & hidden[:, None, None], 0.0, sequence.landmarks)
        return dataclasses.replace(sequence, landmarks=landmarks)


@dataclass(frozen=True, eq=False)
class Augmented:
    """A sequence, and whether it was mirrored: then its class and its hand must be swapped too."""

    sequence: HandSequence
    flipped: bool


@dataclass(frozen=True)
class Augmentation:
    """Transforms in order, all drawing from one generator.

    Attributes:
        steps: the transforms.
        copies: changed copies that `expand` puts beside each original. 0: call the augmentation on each
            sample in every epoch instead.

    Raises:
        ConfigError: no step, or fewer than 0 copies.
    """

    steps: tuple[Transform, ...]
    copies: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        if not self.steps:
            raise ConfigError("steps is empty: an augmentation needs a transform, such as Jitter()")
        if self.copies < 0:
            raise ConfigError(f"copies = {self.copies}: copies beside each original, 0 or more")

    def __call__(self, sequence: HandSequence, rng: np.random.Generator) -> Augmented:
        """Applies the steps to a sequence, which is left untouched.

        Example:
            >>> hand = HandSequence(np.zeros((17, 21, 3)), np.arange(17) / 30, np.zeros(17, int), 640, 480)
            >>> Augmentation((Flip(), Jitter()))(hand, rng_for(1, "ipn/video", 0)).flipped
            True
        """
        mirrored = False
        for step in self.steps:
            if step.happens(rng):
                sequence = step.change(sequence, rng)
                mirrored ^= step.mirrors
        return Augmented(sequence, mirrored)

    def expand(self, sequence: HandSequence, seed: int, *keys: int | str) -> tuple[Augmented, ...]:
        """The original, then `copies` changed copies, the k-th (from 1) drawn from `rng_for(seed, *keys, k)`.

        Raises:
            ConfigError: an augmentation of no copies.
        """
        if not self.copies:
            raise ConfigError("copies = 0: call this augmentation on each sample in every epoch instead")
        changed = (self(sequence, rng_for(seed, *keys, copy)) for copy in range(1, self.copies + 1))
        return (Augmented(sequence, flipped=False), *changed)

    def frames_to_hold(self, frames: int) -> int:
        """Frames at the grid's rate that a sequence needs, so that at least `frames` are left afterwards.

        Time scaling may shorten it: at 0.8, a window of 16 and the frame before it, 17, takes 21.
        """
        shortest = math.prod(min(1.0, step.low) for step in self.steps if isinstance(step, TimeScale))
        return math.ceil((frames - 1) / shortest - 1e-9) + 1


# Maestro's numbers are its model card's. a-01a occluded before it scaled and moved; here zeros stay zeros.
AUGMENTATIONS = {
    "maestro": Augmentation((TimeScale(low=0.8, high=1.2), Jitter(sigma=0.005))),
    "a-01a": Augmentation(
        (
            Jitter(sigma=0.02, p=0.7),
            Scale(low=0.8, high=1.2, p=0.5),
            Translate(low=-0.1, high=0.1, p=0.5),
            ZeroOcclusion(frame=0.1, coordinate=0.3, p=0.5),
        ),
        copies=2,
    ),
}


def augmentation_preset(name: str) -> Augmentation:
    """What a published model was trained with, by its name: `maestro`, or `a-01a` (for landmarks63).

    Raises:
        ConfigError: a name that is not known.
    """
    if name not in AUGMENTATIONS:
        raise unknown_name("augmentation", name, AUGMENTATIONS)
    return AUGMENTATIONS[name]


def rng_for(seed: int, *keys: int | str) -> np.random.Generator:
    """A generator that depends on the seed and the keys alone, on no worker, order or process.

    Args:
        seed: the run's seed, any integer.
        keys: what is drawn for, such as a window's id and the epoch; an integer differs from its digits.

    Raises:
        ConfigError: a seed or a key of another type.
    """
    try:
        named = [operator.index(seed), *(k if isinstance(k, str) else operator.index(k) for k in keys)]
    except TypeError:
        raise ConfigError(f"seed {seed!r}, keys {keys!r}: an integer, then integers or strings") from None
    return np.random.default_rng(int(sha256_json(named), 16))


def flipped(sequence: HandSequence) -> HandSequence:
    """The mirror image, left to right: x -> 1 - x.

    Its features are those of the mirrored video: x is negated in position, wrist_trajectory and both
    velocities; spread and angles stay.
    """
    landmarks = sequence.landmarks.copy()
    landmarks[:, :, _X] = 1.0 - landmarks[:, :, _X]
    return dataclasses.replace(sequence, landmarks=landmarks)


def flip_permutation(classes: Sequence[str], pairs: Iterable[tuple[str, str]]) -> Ints:
    """Which class each class becomes in the mirror.

    Args:
        classes: class names in the order of their numbers (a vocabulary's `classes`).
        pairs: classes that swap (a vocabulary's `flip`); the others stay.

    Returns:
        (C,) int64: index it with class numbers of 0 or more (-1 would silently give the last class).

    Raises:
        ConfigError: a class that is not known, or is in the pairs twice.
    """
    swaps: dict[str, str] = {}
    for pair in pairs:
        for name, other in (pair, pair[::-1]):
            if name not in classes:
                raise unknown_name("class in 'flip'", name, classes)
            if name in swaps:
                raise ConfigError(f"class {name!r} is in 'flip' twice: it can swap with one class only")
            swaps[name] = other
    return np.array([classes.index(swaps.get(name, name)) for name in classes], dtype=np.int64)


def flip_handedness(handedness: str | None) -> str | None:
    """The hand that the mirror shows: Right for Left, Left for Right, None for None; else a DataError."""
    if handedness not in _OTHER_HAND:
        raise DataError(f"handedness {handedness!r}: it must be Left, Right or None")
    return _OTHER_HAND[handedness]
