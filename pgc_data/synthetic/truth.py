"""The truth about drawn videos and images: where every joint is in every frame, as a Parquet table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pgc_data.synthetic.performance import Performance
from pgc_data.synthetic.skeleton import JOINT_COUNT

JOINTS = pa.list_(pa.list_(pa.float32(), 3), JOINT_COUNT)

SCHEMA = pa.schema(
    [
        pa.field("video", pa.string(), nullable=False),
        pa.field("frame", pa.int32(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("visible", pa.bool_(), nullable=False),
        pa.field("handedness", pa.string(), nullable=False),
        pa.field("joints", JOINTS, nullable=False),
        pa.field("palm_px", pa.float32(), nullable=False),
    ]
)

# Where a dataset has no videos with names of their own: the path of the folder of frames, or of the image.
MEDIA_SCHEMA = SCHEMA.set(0, pa.field("media", pa.string(), nullable=False))


@dataclass(frozen=True)
class Truth:
    """The truth about one hand in one video of n frames, or in one image.

    Attributes:
        media: the video's name, or the path of its folder or image below the raw folder.
        labels: of the n frames.
        visible: (n,) whether palm and most fingertips are inside the picture.
        handedness: `Left` or `Right`: the anatomical hand.
        joints: (n, 21, 3) x / width, y / height, z / width; z relative to the wrist, smaller nearer.
        palm: (n,) length from wrist to middle MCP in three dimensions, in pixels.
    """

    media: str
    labels: tuple[str, ...]
    visible: NDArray[np.bool_]
    handedness: str
    joints: NDArray[np.float32]
    palm: NDArray[np.float32]

    @staticmethod
    def of(
        media: str, labels: Sequence[str], performance: Performance, *, left: bool, size: tuple[int, int]
    ) -> Truth:
        """The truth about a performance in pictures of `size` (width, height) pixels."""
        width, height = size
        return Truth(
            media=media,
            labels=tuple(labels),
            visible=performance.visible,
            handedness="Left" if left else "Right",
            joints=(performance.joints / np.array([width, height, width])).astype(np.float32),
            palm=performance.palm.astype(np.float32),
        )

    def table(self, schema: pa.Schema = SCHEMA) -> pa.Table:
        """The rows of `schema`, one a frame."""
        frames = len(self.visible)
        points = pa.FixedSizeListArray.from_arrays(pa.array(self.joints.reshape(-1)), 3)
        columns = [
            pa.array([self.media] * frames),
            pa.array(np.arange(1, frames + 1, dtype=np.int32)),
            pa.array(self.labels),
            pa.array(self.visible),
            pa.array([self.handedness] * frames),
            pa.FixedSizeListArray.from_arrays(points, JOINT_COUNT),
            pa.array(self.palm),
        ]
        return pa.Table.from_arrays(columns, schema=schema)


class TruthWriter:
    """Writes truths one after the other; the file gets its name when all are in it."""

    def __init__(self, path: Path, schema: pa.Schema = SCHEMA) -> None:
        """Opens a file beside `path` under a temporary name."""
        self._path = path
        self._schema = schema
        self._part = path.with_name(f".{path.name}.part")
        self._writer = pq.ParquetWriter(self._part, schema, compression="zstd")

    def write(self, *truths: Truth) -> None:
        """Adds the rows of one video or image as a row group."""
        self._writer.write_table(pa.concat_tables([truth.table(self._schema) for truth in truths]))

    def __enter__(self) -> TruthWriter:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file, and names it if nothing went wrong."""
        self._writer.close()
        if kind is None:
            self._part.replace(self._path)
        else:
            self._part.unlink()
