"""HaGRID's JSON records in its three releases, with the gaps that the real files have.

Boxes are [x, y, width, height] from the top left corner in shares of the picture, `labels` run parallel to `bboxes`.
Real records leave out what is unknown in three ways (a missing key, null, an empty list); these do so in turn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgc_data.synthetic.studio import write_lines

Array = NDArray[np.float64]
Record = dict[str, Any]

RELEASES = ("v1", "2.0", "v2")

# Flesh around the joints, in palm lengths.
_FLESH = 0.16
_USER_ID_LENGTH = {"v1": 64, "2.0": 64, "v2": 32}


@dataclass(frozen=True)
class DrawnHand:
    """One hand in a photograph.

    Attributes:
        label: what it shows.
        joints: (21, 2) x and y in shares of the picture.
        margin: width of the flesh around the joints, in shares of the picture: x, y.
        left: whether it is the left hand.
    """

    label: str
    joints: Array
    margin: tuple[float, float]
    left: bool

    def box(self) -> list[float]:
        """Its box, cut off at the picture's edges."""
        low = np.clip(self.joints.min(axis=0) - self.margin, 0.0, 1.0)
        high = np.clip(self.joints.max(axis=0) + self.margin, 0.0, 1.0)
        return _rounded(np.concatenate([low, high - low]))


@dataclass(frozen=True)
class Photograph:
    """One photograph: all that its record tells.

    Attributes:
        key: its name without `.jpg`.
        gesture: the class whose JSON file lists it.
        split: `train`, `val` or `test`.
        user_id: of the person.
        hands: one or two.
        number: from 0, decides which gaps its record has.
        age, gender, race: of the person.
    """

    key: str
    gesture: str
    split: str
    user_id: str
    hands: tuple[DrawnHand, ...]
    number: int
    age: float
    gender: str
    race: str


def flesh_margin(palm: float, size: tuple[int, int]) -> tuple[float, float]:
    """The width of flesh around a hand whose palm is `palm` pixels long, as `DrawnHand.margin`."""
    return _FLESH * palm / size[0], _FLESH * palm / size[1]


def draw_key(rng: np.random.Generator) -> str:
    """A name like a UUID of version 4."""
    digits = rng.bytes(16).hex()
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def draw_user_id(release: str, seed: int, index: int) -> str:
    """The id of person number `index`: 64 hexadecimal digits, in v2 32."""
    return np.random.default_rng([seed, 1 << 22, index]).bytes(_USER_ID_LENGTH[release] // 2).hex()


def record_of(photograph: Photograph, release: str) -> Record:
    """The record of one photograph, keys in the release's own order."""
    hands = photograph.hands
    boxes, labels = [hand.box() for hand in hands], [hand.label for hand in hands]
    if release == "2.0":
        return {"bboxes": boxes, "user_id": photograph.user_id, "labels": labels}
    if release == "v1":
        return {
            "bboxes": boxes,
            "labels": labels,
            "landmarks": _landmarks(photograph),
            "leading_hand": "left" if _leading(hands).left else "right",
            "leading_conf": 1.0
            if photograph.number % 3
            else round(0.7 + 0.003 * (photograph.number % 90), 8),
            "user_id": photograph.user_id,
        }
    return _record_v2(photograph, boxes, labels)


def write_records(path: Path, records: Mapping[str, Record]) -> None:
    """Writes one JSON file as the real ones are: a single line, keys sorted, no final newline."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_lines(path, [json.dumps(dict(sorted(records.items())))])


def _record_v2(photograph: Photograph, boxes: list[list[float]], labels: list[str]) -> Record:
    united = _united(boxes, labels)
    record: Record = {
        "bboxes": boxes,
        "labels": labels,
        "united_bbox": united,
        "united_label": None if united is None else [labels[0]],
        "user_id": photograph.user_id,
        "hand_landmarks": _landmarks(photograph),
        "meta": {"age": [photograph.age], "gender": [photograph.gender], "race": [photograph.race]},
    }
    gap = photograph.number % 8
    if gap == 3 and united is None:
        del record["united_bbox"], record["united_label"]
    elif gap == 4 and united is None:
        record["united_bbox"] = record["united_label"] = []
    elif gap == 5:
        record["meta"] = {"age": [], "gender": [], "race": []}
    elif gap == 6:
        record["meta"] = record["hand_landmarks"] = None
    elif gap == 7:
        del record["meta"]
    return record


def _landmarks(photograph: Photograph) -> list[list[list[float]]]:
    """21 points for each hand; an empty list for a hand in which none were found."""
    lost = len(photograph.hands) - 1 if photograph.number % 5 == 2 else -1
    return [
        [] if index == lost else [_rounded(point) for point in hand.joints]
        for index, hand in enumerate(photograph.hands)
    ]


def _leading(hands: tuple[DrawnHand, ...]) -> DrawnHand:
    return next((hand for hand in hands if hand.label != "no_gesture"), hands[0])


def _united(boxes: list[list[float]], labels: list[str]) -> list[list[float]] | None:
    """The box around both hands of a gesture that takes two; None for others."""
    if len(boxes) < 2 or labels[0] != labels[1] or labels[0] == "no_gesture":
        return None
    corners = np.array(boxes)
    low = corners[:, :2].min(axis=0)
    high = (corners[:, :2] + corners[:, 2:]).max(axis=0)
    return [_rounded(np.concatenate([low, high - low]))]


def _rounded(values: Array) -> list[float]:
    return [round(float(value), 8) for value in values]
