"""The feature sets: each has a name, a schema file, and one definition used offline and live."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pgc_data.config import unknown_name
from pgc_data.errors import ConfigError, DataError
from pgc_data.features import box42
from pgc_data.features.body import BodySequence
from pgc_data.features.frames import FrameFeatures, UsableFrames, grid_features, usable_frames
from pgc_data.features.holistic1662 import body_features, usable_body
from pgc_data.features.landmarks63 import grid_landmarks
from pgc_data.features.resample import HandGrid, resample
from pgc_data.features.schema import SCHEMA_NAME
from pgc_data.features.sequence import HandSequence
from pgc_data.resources import schema_file


@dataclass(frozen=True)
class FeatureSet:
    """What is common to all feature sets, from the schema file of its name.

    Attributes:
        name: of the set and its schema file.
        dims: features of a frame, F.
        window_frames: frames of a window, T.
        train_stride: grid frames from one candidate window to the next.
        eval_every: of val and test, and of static classes, every how many-th window is kept.
        min_usable: share of a window's frames that must be usable.
        document: the schema file.
    """

    name: str
    dims: int = field(init=False)
    window_frames: int = field(init=False)
    train_stride: int = field(init=False)
    eval_every: int = field(init=False)
    min_usable: float = field(init=False)
    document: dict[str, Any] = field(init=False, repr=False, hash=False)

    def __post_init__(self) -> None:
        document = json.loads(schema_file(f"{self.name}.json").read_text(encoding="utf-8"))
        try:
            rules = {key: document["rules"][key]["value"] for key in _RULES}
            facts = {"dims": document["frame_dims"], **rules, "document": document}
            named, covered = document["name"], document["blocks"][-1]["end"] + 1
        except (KeyError, TypeError, IndexError) as error:
            raise DataError(f"schemas/{self.name}.json lacks {error}: reinstall pgc-data") from error
        if (named, covered) != (self.name, facts["dims"]):
            raise DataError(
                f"schemas/{self.name}.json describes {covered} features of {named}: reinstall pgc-data"
            )
        for key, value in facts.items():
            object.__setattr__(self, key, value)


_RULES = ("window_frames", "train_stride", "eval_every", "min_usable")


@dataclass(frozen=True)
class HandSet(FeatureSet):
    """Features of one hand followed through a clip.

    Attributes:
        of_grid: (hand on the grid) -> features; row k depends on grid rows k-6 to k alone, so that streaming can
            share it.
    """

    of_grid: Callable[[HandGrid], FrameFeatures]

    def usable(self, sequence: HandSequence) -> UsableFrames:
        """Which grid frames show a hand, without computing features."""
        return usable_frames(sequence)

    def frames(self, sequence: HandSequence) -> FrameFeatures:
        """Features of every grid frame, (M, F)."""
        return self.of_grid(resample(sequence))


@dataclass(frozen=True)
class BodySet(FeatureSet):
    """Features of pose, face and both hands through a clip."""

    def usable(self, sequence: BodySequence) -> UsableFrames:
        """Which grid frames show something, without computing features."""
        return usable_body(sequence)

    def frames(self, sequence: BodySequence) -> FrameFeatures:
        """Features of every grid frame, (M, F)."""
        return body_features(sequence)


@dataclass(frozen=True)
class ImageSet(FeatureSet):
    """Features of a hand in one image: a window is one frame.

    Attributes:
        mirror_left: whether left hands are mirrored.
    """

    mirror_left: bool = False

    @property
    def full_name(self) -> str:
        """The name with the options chosen."""
        return f"{self.name}+mirror_left" if self.mirror_left else self.name

    @property
    def graph(self) -> dict[str, Any]:
        """The graph whose nodes carry the features."""
        return box42.graph()


AnySet = HandSet | BodySet | ImageSet


@cache
def feature_sets() -> dict[str, AnySet]:
    """All feature sets, by name."""
    return {
        each.name: each
        for each in (
            HandSet(SCHEMA_NAME, grid_features),
            HandSet("landmarks63", grid_landmarks),
            BodySet("holistic1662"),
            ImageSet("box42"),
        )
    }


def feature_set(name: str) -> AnySet:
    """The feature set of a name such as `landmarks63`, or of a name and options such as `box42+mirror_left`.

    Raises:
        ConfigError: no such set, or no such option of it.
    """
    base, *options = name.split("+")
    known = feature_sets()
    if base not in known:
        raise unknown_name("feature set", base, known)
    found = known[base]
    if not options:
        return found
    if not isinstance(found, ImageSet) or options != ["mirror_left"]:
        raise ConfigError(f"{base} has no option {'+'.join(options)!r} (box42 has: mirror_left)")
    return ImageSet(base, mirror_left=True)
