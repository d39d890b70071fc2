"""HaGRID's JSON records -> columns of samples, a file at a time."""

from __future__ import annotations

import json
from array import array
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pgc_data.datasets.rows import DROPPED, KEPT, Ledger, is_safe_name, samples_table
from pgc_data.errors import DataError

# In the order of v2's constants.py; the position is the label's number.
LABELS = (
    "grabbing", "grip", "holy", "point", "call", "three3", "timeout", "xsign", "hand_heart", "hand_heart2",
    "little_finger", "middle_finger", "take_picture", "dislike", "fist", "four", "like", "mute", "ok", "one",
    "palm", "peace", "peace_inverted", "rock", "stop", "stop_inverted", "three", "three2", "two_up",
    "two_up_inverted", "three_gun", "thumb_index", "thumb_index2", "no_gesture",
)  # fmt: skip
JOINTS = 21
_IDS = {label: number for number, label in enumerate(LABELS)}

Records = list[tuple[str, Any]]
Box = list[float]


class Image(NamedTuple):
    """Where an image lies: folder below raw with a closing /, and the ending of its name."""

    folder: str
    suffix: str


def read_json_file(path: Path) -> Records:
    """Key and record of each image in a JSON file, also where a key stands twice.

    Raises:
        DataError: the file cannot be read, is not JSON, or is not an object of records.
    """
    again: Records = []

    def members(pairs: Records) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            # The last of two equal keys wins in a dictionary: the earlier records are kept beside it.
            last = {key: position for position, (key, _) in enumerate(pairs)}
            again.extend(pair for position, pair in enumerate(pairs) if last[pair[0]] != position)
        return made

    try:
        found = json.loads(path.read_bytes(), object_pairs_hook=members, parse_constant=lambda _: None)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}: it is damaged or cut "
            "off, get it again"
        ) from error
    except (ValueError, RecursionError, OSError) as error:
        raise DataError(f"{path} cannot be read as JSON ({error}): get it again") from error
    if not isinstance(found, dict):
        raise DataError(
            f"{path} holds a JSON {type(found).__name__}, expected an object with a record for each image: get it again"
        )
    return [*found.items(), *again]


@dataclass
class _Lists:
    """A nullable list column under way: for each row the end of its items, and whether it is null."""

    values: array[float] = field(default_factory=lambda: array("f"))
    items: int = 0
    ends: list[int] = field(default_factory=lambda: [0])
    null: list[bool] = field(default_factory=list)

    def append(self, items: list[Any] | None) -> None:
        """Adds a row of items, each of them numbers in nested lists of depth one or two."""
        for item in items or ():
            self.values.extend(chain.from_iterable(item) if isinstance(item[0], list) else item)
        self.items += len(items or ())
        self.ends.append(self.items)
        self.null.append(items is None)

    def arrow(self, *sizes: int) -> pa.Array:
        """The column; `sizes` are the fixed sizes of an item, outermost first."""
        values = pa.array(np.frombuffer(self.values, dtype=np.float32) if self.values else [], pa.float32())
        for size in reversed(sizes):
            values = pa.FixedSizeListArray.from_arrays(values, size)
        return pa.ListArray.from_arrays(
            pa.array(self.ends, pa.int32()), values, mask=pa.array(self.null, pa.bool_())
        )


@dataclass
class _Columns:
    ids: list[str] = field(default_factory=list)
    media: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    users: list[str | None] = field(default_factory=list)
    boxes: _Lists = field(default_factory=_Lists)
    landmarks: _Lists = field(default_factory=_Lists)

    def table(self, split: str | None) -> pa.Table:
        return samples_table(
            len(self.ids), dataset="hagrid", sample_id=self.ids, media=self.media, media_kind="image", frame_start=1,
            frame_end=1, label=self.labels, label_id=[_IDS[label] for label in self.labels], subject_id=self.users,
            official_split=split, boxes=self.boxes.arrow(4), landmarks_2d=self.landmarks.arrow(JOINTS, 2),
        )  # fmt: skip


class Reader:
    """Turns records into samples, and remembers across files which images were seen.

    Attributes:
        rows: images and labels read; a record without any label counts as one.
        seen: key -> split and labels of it met so far.
        doubtful: keys that stand in files of two splits.
        fields: every field that a record had.
    """

    def __init__(self, ledger: Ledger, images: dict[str, Image] | None) -> None:
        """Prepares to read; `images` is None where images are not looked for."""
        self.rows = 0
        self.seen: dict[str, tuple[str | None, tuple[str, ...]]] = {}
        self.doubtful: set[str] = set()
        self.fields: set[str] = set()
        self._ledger = ledger
        self._images = images
        self._shared: dict[Any, Any] = {}

    def read(self, records: Records, file: str, split: str | None, folder: str) -> pa.Table:
        """The samples of one JSON file, whose images lie in `folder` if they are not looked for."""
        self._file, self._split, self._at = file, split, Image(f"{folder}/", ".jpg")
        self._columns = _Columns()
        for key, record in records:
            self._record(key, record)
        return self._columns.table(split)

    def _note(self, action: str, reason: str, key: str, detail: str, count: int = 1) -> None:
        self._ledger.tally(
            action, reason, self._file, f"{_readable(key)}: {detail}", count=count, file=self._file
        )

    def _record(self, key: str, record: Any) -> None:
        if not isinstance(record, dict):
            self.rows += 1
            self._note(DROPPED, "bad_record", key, f"a JSON {type(record).__name__}, expected an object")
            return
        self.fields.update(record)
        hands = _labels(record.get("labels"))
        united = _united(record)
        if hands is None or united is None or not (hands or united):
            self.rows += 1
            self._note(DROPPED, "no_labels", key, f"labels are {str(record.get('labels'))[:80]}")
            return
        names = tuple(dict.fromkeys([*hands, *united]))
        self.rows += len(names)
        if not is_safe_name(key) or not key.isprintable():
            self._note(DROPPED, "unsafe_name", key, "the key is not a plain file name", len(names))
            return
        fresh = self._fresh(key, names)
        image = self._at if self._images is None else self._images.get(key)
        if image is None:
            if fresh:
                self._note(DROPPED, "missing_image", key, "no image of this name", len(fresh))
            return
        if fresh:
            self._samples(key, record, hands, united, fresh, image)

    def _fresh(self, key: str, names: tuple[str, ...]) -> tuple[str, ...]:
        """The labels that the image was not seen with before, in this file or another."""
        known = self.seen.get(key)
        if known is None:
            entry = (self._split, names)
            self.seen[key] = self._shared.setdefault(entry, entry)
            return names
        if known[0] != self._split:
            self.doubtful.add(key)
            self._note(
                KEPT, "official_split_conflict", key, f"the image stands in {known[0]} and in {self._split}"
            )
        fresh = tuple(name for name in names if name not in known[1])
        if len(fresh) < len(names):
            self._note(DROPPED, "duplicate_row", key, "image and label stood before", len(names) - len(fresh))
        self.seen[key] = (known[0], known[1] + fresh)
        return fresh

    def _samples(
        self, key: str, record: dict[str, Any], hands: list[str], united: dict[str, list[Any]],
        names: tuple[str, ...], image: Image,
    ) -> None:  # fmt: skip
        boxes = record.get("bboxes") or []
        fitting = isinstance(boxes, list) and len(boxes) in (0, len(hands))
        user = record.get("user_id") or None
        if not isinstance(user, str) or not user.isprintable():
            self._note(KEPT, "no_user_id", key, f"user_id is {_readable(str(user))}", len(names))
            user = None
        for name in names:
            if name not in _IDS:
                self._note(DROPPED, "unknown_label", key, f"{name[:80]!r} is none of HaGRID's 34 labels")
                continue
            at = [position for position, label in enumerate(hands) if label == name]
            if name not in united and not fitting:
                self._note(
                    DROPPED, "boxes_and_labels_differ", key, f"{len(hands)} labels, bboxes {str(boxes)[:80]}"
                )
                continue
            # A hand is matched to its own box where it has one; the united box spans both hands.
            paired = [boxes[position] for position in at] if fitting and boxes else []
            own = paired or united.get(name) or []
            good = [box for box in own if _is_box(box)]
            if len(good) < len(own):
                self._note(
                    KEPT if good else DROPPED, "bad_box", key, f"{str(own)[:120]} are no fractions x, y, w, h"
                )
                if not good:
                    continue
                if paired:
                    at = [position for position in at if _is_box(boxes[position])]
            elif not own:
                self._note(KEPT, "no_boxes", key, "bboxes are null, missing or empty")
            columns = self._columns
            columns.ids.append(f"{key}:{name}")
            columns.media.append(f"{image.folder}{key}{image.suffix}")
            columns.labels.append(name)
            columns.users.append(user)
            columns.boxes.append(good or None)
            columns.landmarks.append(self._landmarks(key, record, len(hands), at))

    def _landmarks(self, key: str, record: dict[str, Any], hands: int, at: list[int]) -> list[Any] | None:
        """The landmarks of the hands `at`, or None where one of them has none or none that can be read."""
        found = record.get("landmarks") or record.get("hand_landmarks")
        if not found or not at:
            return None
        if not isinstance(found, list) or len(found) != hands:
            self._note(KEPT, "bad_landmarks", key, f"not one list for each of {hands} hands: not used")
            return None
        own = [found[position] for position in at]
        if not all(own):
            return None
        if not all(map(_is_hand, own)):
            self._note(KEPT, "bad_landmarks", key, "a hand is not 21 points x, y: not used")
            return None
        return own


def _readable(text: str) -> str:
    """The first 80 characters of a text, with what UTF-8 cannot hold escaped."""
    return text[:80].encode("utf-8", "backslashreplace").decode()


def _labels(value: Any) -> list[str] | None:
    """A list of labels; empty where it is null or missing, None where it is something else."""
    if value is None:
        return []
    fine = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return value if fine else None


def _united(record: dict[str, Any]) -> dict[str, list[Any]] | None:
    """Label -> boxes around both hands; empty where there are none, None where they cannot be read.

    v2 gives a list of boxes and one of labels, with nulls for gestures of one hand.
    """
    labels, boxes = record.get("united_label"), record.get("united_bbox")
    if not labels or not boxes:
        return {}
    if isinstance(labels, str):
        labels = [labels]
    if isinstance(boxes, list) and boxes and not isinstance(boxes[0], list | None):
        boxes = [boxes]
    if not isinstance(labels, list) or not isinstance(boxes, list) or len(labels) != len(boxes):
        return None
    made: dict[str, list[Any]] = {}
    for label, box in zip(labels, boxes, strict=True):
        if isinstance(label, str) and box is not None:
            made.setdefault(label, []).append(box)
    return made


def _is_number(value: Any) -> bool:
    return type(value) is float or type(value) is int


def _is_box(box: Any) -> bool:
    """Whether it is x, y, width and height in fractions, and a part of it lies in the image."""
    if type(box) is not list or len(box) != 4 or not all(map(_is_number, box)):
        return False
    x, y, width, height = box
    return bool(0 < width <= 2 and 0 < height <= 2 and -width < x < 1 and -height < y < 1)


def _is_hand(hand: Any) -> bool:
    """Whether it is 21 points x, y in fractions; joints may be guessed outside the image."""
    return type(hand) is list and len(hand) == JOINTS and all(map(_is_point, hand))


def _is_point(point: Any) -> bool:
    if type(point) is not list or len(point) != 2 or not all(map(_is_number, point)):
        return False
    return bool(-10 < point[0] < 10 and -10 < point[1] < 10)
