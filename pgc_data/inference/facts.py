"""What an ONNX file says of itself: the `pgc_data` entry of its metadata, or the defaults for a stranger's file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgc_data.errors import DataError

METADATA_KEY = "pgc_data"
POINTING, SEQUENCE = "pointing", "sequence"
ALIGNMENTS = ("none", "palm")
MASKS = ("none", "hull")


@dataclass(frozen=True)
class CropRule:
    """How the crops that a network was trained on were cut; the defaults are PGC's.

    Attributes:
        margin: around the hand's box on every side, as a share of its longer side.
        align: none, or palm: turned until the palm points up.
        mask: none, or hull: black outside the convex hull of the landmarks.
    """

    margin: float = 0.0
    align: str = "none"
    mask: str = "none"

    @property
    def needs_landmarks(self) -> bool:
        """Whether it cannot be followed from a box alone."""
        return (self.align, self.mask) != ("none", "none")


@dataclass(frozen=True)
class ModelFacts:
    """What is known of an exported network; the defaults are those of PGC's own releases, which say nothing.

    Attributes:
        kind: pointing, or sequence.
        classes: names; of a pointing network the positive one and what it is not.
        positive: pointing: the class whose probability the network gives.
        threshold: pointing: from which probability on the label is the positive class.
        crop: pointing: rule of the crops.
        background: sequence: the class that stands for no gesture; None where there is none.
        feature_set: sequence: name of the features in a window.
        stated: whether the file says so itself.
    """

    kind: str = POINTING
    classes: tuple[str, ...] = ("not_pointing", "pointing")
    positive: str = "pointing"
    threshold: float = 0.5
    crop: CropRule = CropRule()
    background: str | None = None
    feature_set: str = "feature-schema-v1"
    stated: bool = False

    @property
    def negative(self) -> str:
        """The label below the threshold."""
        others = [name for name in self.classes if name != self.positive]
        return others[0] if len(others) == 1 else f"not_{self.positive}"


def read_facts(properties: Mapping[str, str], path: Path) -> ModelFacts:
    """The facts among the metadata properties of an ONNX file.

    Args:
        properties: key -> value, as ONNX Runtime's `custom_metadata_map`.
        path: of the file, for errors.

    Raises:
        DataError: there is an entry `pgc_data`, but it is not as pgc-data writes it.
    """
    if METADATA_KEY not in properties:
        return ModelFacts()
    try:
        return _facts(json.loads(properties[METADATA_KEY]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: its metadata {METADATA_KEY!r} is not as pgc-data writes it ({type(error).__name__}: {error}): "
            "export the model again"
        ) from error


def _facts(raw: Mapping[str, Any]) -> ModelFacts:
    kind, classes, crop = str(raw["kind"]), tuple(map(str, raw["classes"])), raw.get("crop", {})
    if kind not in (POINTING, SEQUENCE):
        raise ValueError(f"kind {kind!r}")
    positive = str(raw["positive"]) if kind == POINTING else ""
    if kind == POINTING and positive not in classes:
        raise ValueError(f"positive {positive!r} is none of {', '.join(classes)}")
    rule = CropRule(float(crop.get("margin", 0.0)), crop.get("align", "none"), crop.get("mask", "none"))
    if rule.align not in ALIGNMENTS or rule.mask not in MASKS:
        raise ValueError(f"crop rule {rule.align!r}, {rule.mask!r}")
    default = ModelFacts()
    return ModelFacts(
        kind=kind,
        classes=classes,
        positive=positive,
        threshold=float(raw.get("threshold", default.threshold)),
        crop=rule,
        background=None if raw.get("background") is None else str(raw["background"]),
        feature_set=str(raw.get("feature_schema", default.feature_set)),
        stated=True,
    )
