"""Which frames of which media a samples table wants: the input of extraction."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pgc_data.storage.parquet import read_table

_COLUMNS = ["media", "media_kind", "fps", "frame_start", "frame_end"]


@dataclass(frozen=True, slots=True)
class MediaItem:
    """One image, folder of frames or video, and the frames wanted of it.

    Attributes:
        media: path below the raw folder.
        kind: image, frames or video.
        fps: frames per second, or None.
        intervals: first and last frame of each stretch, 1-based, inclusive, in order, apart.
    """

    media: str
    kind: str
    fps: float | None
    intervals: tuple[tuple[int, int], ...]

    @property
    def frames(self) -> int:
        """How many frames are wanted."""
        return sum(end - start + 1 for start, end in self.intervals)


def media_items(samples: Path) -> list[MediaItem]:
    """The media of a samples table in order, each with the frames that its samples cover, merged."""
    table = read_table(samples, "samples", _COLUMNS).sort_by(
        [("media", "ascending"), ("frame_start", "ascending")]
    )
    items: list[MediaItem] = []
    columns = (table[name].to_pylist() for name in _COLUMNS)
    for media, kind, fps, start, end in zip(*columns, strict=True):
        if items and items[-1].media == media:
            last = items[-1]
            items[-1] = MediaItem(media, last.kind, last.fps, _joined(last.intervals, start, end))
        else:
            items.append(MediaItem(media, kind, fps, ((start, end),)))
    return items


def _joined(intervals: tuple[tuple[int, int], ...], start: int, end: int) -> tuple[tuple[int, int], ...]:
    """Intervals with one more that begins no earlier than the last: joined where they touch or overlap."""
    first, last = intervals[-1]
    if start <= last + 1:
        return (*intervals[:-1], (first, max(last, end)))
    return (*intervals, (start, end))


def media_fingerprint(items: Sequence[MediaItem]) -> str:
    """sha256 of what extraction reads: media, kinds, rates and frames, but not labels."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(repr((item.media, item.kind, item.fps, item.intervals)).encode())
    return digest.hexdigest()
