"""Which class a window belongs to, by the rules of feature-schema-v1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pgc_data.errors import DataError
from pgc_data.features.arrays import Bools, Ints
from pgc_data.features.schema import SCHEMA
from pgc_data.features.windows import frames_needed

UNLABELLED = -1
MIXED_LABELS = "mixed_labels"
MOSTLY_UNLABELLED = "mostly_unlabelled"
OFF_CENTRE = "off_centre"


@dataclass(frozen=True, eq=False)
class WindowLabels:
    """Labels of K windows.

    Attributes:
        class_id: (K,) int64, -1 where the window is dropped.
        reason: (K,) str, why it is dropped; empty where it is kept.
    """

    class_id: Ints
    reason: npt.NDArray[np.str_]

    @property
    def kept(self) -> Bools:
        """(K,) windows that have a label."""
        kept: Bools = self.class_id != UNLABELLED
        return kept

    def dropped(self) -> dict[str, int]:
        """Number of dropped windows by reason."""
        reasons, counts = np.unique(self.reason[~self.kept], return_counts=True)
        return {str(reason): int(count) for reason, count in zip(reasons, counts, strict=True)}


def interval_labels(class_ids: Ints, start: Ints, length: int, background: int | None) -> WindowLabels:
    """Labels windows of a source whose frames are labelled (IPN: an interval for each gesture).

    A window takes the class that covers at least 60 % of its frames; the background class needs 90 %. Others
    are dropped: as `mostly_unlabelled` if fewer than 60 % of the frames have any label, else as
    `mixed_labels`. A class that the vocabulary leaves out counts as no label.

    Args:
        class_ids: (M,) class of each grid frame; negative where it has none or one left out. From labels of
            source frames: `source_labels[frames.source_index]`.
        start: (K,) grid index of each window's first frame.
        length: grid frames of a window.
        background: id of the background class, or None if the vocabulary has none.

    Raises:
        DataError: a window that does not lie within the frames.
    """
    within = _window_frames(start, length, class_ids.size)
    classes = np.unique(class_ids[class_ids >= 0])
    if classes.size == 0:
        return _labels(np.full(start.size, UNLABELLED), np.full(start.size, MOSTLY_UNLABELLED))
    count = np.stack([(class_ids == each)[within].sum(axis=1) for each in classes], axis=1)
    most = count.argmax(axis=1)
    winner, covered = classes[most], count.max(axis=1)
    rules = SCHEMA.rules
    enough = np.full(classes.size, frames_needed(rules.label_share, length))
    labelled = count.sum(axis=1) >= enough[0]
    enough[classes == background] = frames_needed(rules.background_share, length)
    class_id = np.where(covered >= enough[most], winner, UNLABELLED)
    return _labels(class_id, np.where(labelled, MIXED_LABELS, MOSTLY_UNLABELLED))


def clip_labels(usable: Bools, start: Ints, length: int, class_id: int) -> WindowLabels:
    """Labels windows of a source with one label a clip (Jester).

    Only windows whose centre lies in the middle 60 % of the hand-visible time take the clip's class: a clip
    begins and ends with the hand rising and falling. The others are dropped as `off_centre`. The hand-visible
    time runs from the first usable grid frame to the last, gaps included.

    Args:
        usable: (M,) usable grid frames of the clip.
        start: (K,) grid index of each window's first frame.
        length: grid frames of a window.
        class_id: the clip's class; negative (left out by the vocabulary) gives `mostly_unlabelled`.

    Raises:
        DataError: a window that does not lie within the frames.
    """
    _window_frames(start, length, usable.size)
    if class_id < 0:
        return _labels(np.full(start.size, UNLABELLED), np.full(start.size, MOSTLY_UNLABELLED))
    visible = np.flatnonzero(usable)
    if visible.size == 0:
        return _labels(np.full(start.size, UNLABELLED), np.full(start.size, OFF_CENTRE))
    # In half frames from the middle of the visible time, so that a window exactly on the edge is inside.
    from_middle = np.abs(2 * start + length - 1 - (visible[0] + visible[-1]))
    inside = from_middle <= SCHEMA.rules.clip_middle_share * (visible[-1] - visible[0]) + 1e-9
    return _labels(np.where(inside, class_id, UNLABELLED), np.full(start.size, OFF_CENTRE))


def _labels(class_id: Ints, reason_if_dropped: npt.NDArray[np.str_]) -> WindowLabels:
    kept = class_id != UNLABELLED
    return WindowLabels(class_id.astype(np.int64), np.where(kept, "", reason_if_dropped))


def _window_frames(start: Ints, length: int, frames: int) -> Ints:
    """Grid indices (K, T) of windows that lie within the frames."""
    outside = np.flatnonzero((start < 0) | (start + length > frames))
    if outside.size:
        first = start[outside[0]]
        last = first + length - 1
        raise DataError(f"window {outside[0]} spans frames {first} to {last} of a clip of {frames}")
    return start[:, None] + np.arange(length)
