"""A dataset's own boxes and joints, packed small enough to travel with the media to a worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pgc_data.errors import DataError

Floats = NDArray[np.float32]

ANNOTATION_COLUMNS = ("boxes", "landmarks_2d")
_BOX, _JOINTS = 4, 21
_WIDTH = _BOX + _JOINTS * 2


def packed_hands(samples: pa.RecordBatch) -> Iterator[bytes]:
    """The annotated hands of each sample: float32, 4 numbers for the box and 42 for the joints of each hand.

    Args:
        samples: rows of a samples table with `media`, `media_kind` and `ANNOTATION_COLUMNS`.

    Yields:
        For each row its hands, as `unpacked_hands` reads them; empty where it has no boxes. Joints are NaN where the
            sample has none, or not as many as boxes.

    Raises:
        DataError: a sample that is no photograph has boxes, which would hold for only one of its frames.
    """
    per_row, boxes = _flat(samples["boxes"], _BOX)
    moving = _numbers(pc.not_equal(samples["media_kind"], "image")) & (per_row > 0)
    if moving.any():
        raise DataError(
            f"{samples['media'][int(moving.argmax())]} has annotated boxes but is no photograph, and which frame they "
            "are of is unknown: use --backend mediapipe"
        )
    joints_per_row, joints = _flat(samples["landmarks_2d"], _JOINTS * 2)
    hands = np.full((len(boxes), _WIDTH), np.nan, dtype="<f4")
    hands[:, :_BOX] = boxes
    paired = joints_per_row == per_row
    hands[np.repeat(paired, per_row), _BOX:] = joints[np.repeat(paired, joints_per_row)]
    ends = np.cumsum(per_row)
    for start, end in zip(ends - per_row, ends, strict=True):
        yield hands[start:end].tobytes()


def unpacked_hands(packed: bytes) -> tuple[Floats, Floats]:
    """The hands of one or more samples: boxes (H, 4) and joints (H, 21, 2), NaN where unknown; fractions of the image.

    A box that stands twice is one hand: two labels may share it.
    """
    hands = np.frombuffer(packed, dtype="<f4").reshape(-1, _WIDTH)
    _, first = np.unique(hands[:, :_BOX], axis=0, return_index=True)
    hands = hands[np.sort(first)].astype(np.float32)
    return hands[:, :_BOX], hands[:, _BOX:].reshape(-1, _JOINTS, 2)


def _flat(lists: pa.Array, width: int) -> tuple[NDArray[np.int64], Floats]:
    """How many items each row of a column of lists has, and all items, (N, width)."""
    lengths = _numbers(pc.fill_null(pc.list_value_length(lists), 0)).astype(np.int64)
    values = lists.flatten()
    while not pa.types.is_float32(values.type):
        values = values.flatten()
    return lengths, _numbers(values).reshape(-1, width)


def _numbers(values: pa.Array) -> NDArray[Any]:
    """An array without nulls. Arrow's own `to_numpy` loads pandas, and an interrupt in the middle of that import can
    leave its lock held.
    """
    found: NDArray[Any] = pl.Series(values).to_numpy()
    return found
