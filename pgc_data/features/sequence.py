"""One hand through one clip: the type that features are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pgc_data.errors import DataError
from pgc_data.features.arrays import Bools, Floats, Ints
from pgc_data.features.blocks import valid_frames
from pgc_data.features.schema import SCHEMA

NO_TRACK = -1
# Guards against milliseconds passed for seconds, which would ask for a grid a thousand times too long.
LONGEST_CLIP_S = 86_400.0
LARGEST_SIDE = 1_000_000


@dataclass(frozen=True, eq=False)
class HandSequence:
    """One row per source frame of one clip, in time order; checked when it is made.

    Attributes:
        landmarks: (N, 21, 3) float64, MediaPipe's normalised image coordinates: x/W, y/H, z on x's scale;
            NaN where the frame shows no hand. Without depth (`has_z` false) z is stored as 0.
        timestamps: (N,) float64, seconds, never decreasing.
        track_ids: (N,) int64, which physical hand it is; -1 where there is none, or for a hand that no
            tracker numbered (those count as one track).
        width, height: size of the source image, pixels.
        has_z: whether z was measured.

    Raises:
        DataError: a wrong shape or type, a timestamp that is not finite, goes back or is more than a day
            after the first, an impossible size; the message names the row and the value.
    """

    landmarks: Floats
    timestamps: Floats
    track_ids: Ints
    width: int
    height: int
    has_z: bool = True

    def __post_init__(self) -> None:
        landmarks = as_floats("landmarks", self.landmarks)
        timestamps = as_floats("timestamps", self.timestamps)
        check_size(self.width, self.height)
        if timestamps.ndim != 1:
            raise DataError(f"timestamps has shape {timestamps.shape}, it must be (N,)")
        _check_landmarks(landmarks, timestamps.size)
        check_times(timestamps)
        if not self.has_z:
            landmarks = landmarks.copy()
            landmarks[:, :, 2] = 0.0
        object.__setattr__(self, "landmarks", landmarks)
        object.__setattr__(self, "timestamps", timestamps)
        object.__setattr__(self, "track_ids", _track_ids(self.track_ids, timestamps.size))

    def __len__(self) -> int:
        return self.timestamps.size

    def valid(self) -> Bools:
        """(N,) rows that show a hand features can be computed from (see `blocks.valid_frames`)."""
        return valid_frames(self.landmarks, self.width, self.height)


def choose_hand(
    *,
    frame_index: Ints,
    landmarks: Floats,
    score: Floats,
    track_id: Ints,
    timestamps: Floats,
    width: int,
    height: int,
    has_z: bool = True,
) -> HandSequence:
    """Keeps one hand a frame, of all the hands found in a clip (see `choose_rows` for the rule).

    Args:
        frame_index: (R,) row of `timestamps` on which each hand was found, in any order.
        landmarks: (R, 21, 3) as in `HandSequence`.
        score: (R,) confidence of each hand.
        track_id: (R,) track of each hand, -1 where unknown.
        timestamps: (N,) time of each source frame in seconds, those without a hand included.
        width, height: size of the source image, pixels.
        has_z: whether z was measured.

    Raises:
        DataError: arrays of different lengths, a frame index outside 0..N-1, or what `HandSequence` refuses.
    """
    rows = choose_rows(
        frame_index=frame_index,
        landmarks=landmarks,
        score=score,
        frames=len(timestamps),
        width=width,
        height=height,
        has_z=has_z,
    )
    chosen = rows >= 0
    kept = np.full((rows.size, len(SCHEMA.joint_names), 3), np.nan)
    kept[chosen] = np.asarray(landmarks)[rows[chosen]]
    tracks = np.full(rows.size, NO_TRACK, dtype=np.int64)
    tracks[chosen] = _track_ids(track_id, len(landmarks))[rows[chosen]]
    return HandSequence(kept, timestamps, tracks, width, height, has_z)


def choose_rows(
    *,
    frame_index: Ints,
    landmarks: Floats,
    score: Floats,
    frames: int,
    width: int,
    height: int,
    has_z: bool = True,
) -> Ints:
    """The hand to keep on each frame: nearest wrist to the hand last kept, else the highest score.

    The hand last kept counts however long ago it was, so that a hand which leaves and comes back on its own
    side is the same one. Distances are in the image plane, aspect-corrected. Invalid hands
    (`blocks.valid_frames`) are passed over. Ties go to the higher score, then to the earlier row.

    Args:
        frame_index, landmarks, score, width, height, has_z: as in `choose_hand`.
        frames: number of source frames, N.

    Returns:
        (N,) row of the kept hand in the flat arrays, -1 where the frame has none: what gives a kept hand's
        handedness, for one.

    Raises:
        DataError: as `choose_hand`.
    """
    check_size(width, height)
    points = as_floats("landmarks", landmarks)
    scores = np.nan_to_num(as_floats("score", score), nan=-np.inf)
    index = np.asarray(frame_index, dtype=np.int64)
    _check_landmarks(points, index.size)
    if scores.shape != index.shape:
        raise DataError(f"score has shape {scores.shape}, frame_index {index.shape}")
    outside = np.flatnonzero((index < 0) | (index >= frames))
    if outside.size:
        raise DataError(
            f"frame_index[{outside[0]}] = {index[outside[0]]} is outside the clip's {frames} frames"
        )
    if not has_z:
        points = points.copy()
        points[:, :, 2] = 0.0
    rows = np.flatnonzero(valid_frames(points, width, height))
    # By frame; within a frame the best score first, then the earlier row.
    rows = rows[np.lexsort((rows, -scores[rows], index[rows]))]
    wrists = points[:, SCHEMA.wrist_joint, :2] * np.array([1.0, height / width])
    return _nearest_chain(rows, index[rows], wrists, frames)


def _nearest_chain(rows: Ints, frame_of: Ints, wrists: Floats, frames: int) -> Ints:
    """Follows one hand through the frames; `rows` are sorted by frame, then best first."""
    chosen = np.full(frames, -1, dtype=np.int64)
    present, first, count = np.unique(frame_of, return_index=True, return_counts=True)
    chosen[present] = rows[first]
    for at in np.flatnonzero(count > 1):
        if at == 0:
            continue
        candidates = rows[first[at] : first[at] + count[at]]
        apart = wrists[candidates] - wrists[chosen[present[at - 1]]]
        chosen[present[at]] = candidates[np.argmin(np.hypot(apart[:, 0], apart[:, 1]))]
    return chosen


def as_floats(name: str, values: Any) -> Floats:
    """`values` as float64; DataError names the argument where they are no numbers."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} is not an array of numbers: {error}") from error


def _track_ids(values: Any, rows: int) -> Ints:
    tracks = np.asarray(values)
    if tracks.shape != (rows,):
        raise DataError(f"track_ids has shape {tracks.shape}, it must be ({rows},)")
    if tracks.size and tracks.dtype.kind not in "iu":
        raise DataError(
            f"track_ids holds {tracks.dtype}, integers are needed, {NO_TRACK} where there is no track"
        )
    tracks = tracks.astype(np.int64)
    low = np.flatnonzero(tracks < NO_TRACK)
    if low.size:
        raise DataError(f"track_ids[{low[0]}] = {tracks[low[0]]}: ids start at 0, {NO_TRACK} means none")
    return tracks


def _check_landmarks(landmarks: Floats, rows: int) -> None:
    expected = (rows, len(SCHEMA.joint_names), 3)
    if landmarks.shape != expected:
        raise DataError(f"landmarks has shape {landmarks.shape}, it must be {expected}")


def check_times(timestamps: Floats) -> None:
    """Refuses times (N,) that are not finite, go back or span more than a day, with a DataError."""
    bad = np.flatnonzero(~np.isfinite(timestamps))
    if bad.size:
        raise DataError(
            f"timestamps[{bad[0]}] = {timestamps[bad[0]]}: a time in seconds is needed on every row"
        )
    back = np.flatnonzero(np.diff(timestamps) < 0)
    if back.size:
        row = int(back[0]) + 1
        raise DataError(
            f"timestamps[{row}] = {timestamps[row]} comes after {timestamps[row - 1]}: sort rows by time"
        )
    span = timestamps[-1] - timestamps[0] if timestamps.size else 0.0
    if span > LONGEST_CLIP_S:
        raise DataError(f"timestamps span {span:.0f} s, more than a day: are they in milliseconds?")


def check_size(width: int, height: int) -> None:
    """Refuses an impossible image size in pixels with a DataError."""
    for name, value in (("width", width), ("height", height)):
        if not 1 <= value <= LARGEST_SIDE:
            raise DataError(
                f"{name} = {value}: the source image's size in pixels is needed, 1 to {LARGEST_SIDE}"
            )
