"""One shard of extraction: read frames, find hands, follow them, cut crops, write the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgc_data.errors import DataError
from pgc_data.hands.backends import HANDS_ONLY, TABLES
from pgc_data.hands.crops import crop_box, cut, encode_png, perceptual_hash
from pgc_data.hands.media import DECODED, Frame, Image, read_frames
from pgc_data.hands.media_items import MediaItem
from pgc_data.hands.tracks import Tracks
from pgc_data.hands.types import Backend, Body, Found, Hand
from pgc_data.storage.files import read_json, write_json
from pgc_data.storage.parquet import TableWriter, table_of
from pgc_data.storage.schemas import arrow_schema, with_metadata

# The tables that a whole shard may have, as its stats file lists them.
_LAYOUTS = frozenset(TABLES.values())
_BATCH_ROWS = 512
_BATCH_BYTES = 8 << 20


@dataclass(frozen=True)
class Shard:
    """The unit of work, of failure and of resuming: some media, and where their tables go."""

    number: int
    items: tuple[MediaItem, ...]
    raw: Path
    folder: Path
    margin: float
    facts: dict[str, Any]
    tables: tuple[str, ...] = HANDS_ONLY

    @property
    def frames(self) -> int:
        """How many frames are wanted."""
        return sum(item.frames for item in self.items)

    def path(self, table: str) -> Path:
        """File of one table of this shard, such as frames or hands."""
        return self.folder / f"{table}-{self.number:05d}.parquet"

    @property
    def stats_path(self) -> Path:
        """The stats file, written last."""
        return self.folder / f"stats-{self.number:05d}.json"

    @property
    def done(self) -> bool:
        """Whether the shard is whole; see `shard_stats`."""
        return shard_stats(self.folder, self.number) is not None


def shard_stats(folder: Path, number: int) -> dict[str, int] | None:
    """The counts of a shard that is whole: its stats file is there, and the tables are as it says; else None."""
    path = folder / f"stats-{number:05d}.json"
    if not path.is_file():
        return None
    try:
        stats = read_json(path)
        sizes = stats["bytes"]
        whole = tuple(sizes) in _LAYOUTS and all(
            (folder / f"{name}-{number:05d}.parquet").stat().st_size == sizes[name] for name in sizes
        )
        return dict(stats["counts"]) if whole else None
    except (DataError, OSError, KeyError, TypeError):
        # Not written by us, or not to the end: the shard is worked on again.
        return None


class _Rows:
    """Collects rows of one table and writes them in batches, so that memory does not grow."""

    def __init__(self, name: str, writer: TableWriter) -> None:
        self._name, self._writer = name, writer
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        self._bytes += len(row.get("crop") or b"")
        if len(self._rows) >= _BATCH_ROWS or self._bytes >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._writer.write(table_of(self._name, self._rows))
            self._rows, self._bytes = [], 0


def extract_shard(shard: Shard, backend: Backend) -> dict[str, int]:
    """Extracts one shard and writes its tables (`frames-N`, `hands-N`, ...) and, last, `stats-N.json`.

    Returns:
        The counts of the stats file: frames by status, frames with and without a hand, hands, crops, and bodies
            where the shard has a table of them.

    Raises:
        DataError: a table cannot be written, or the backend fails.
    """
    counts: Counter[str] = Counter(frames=0, decoded=0, missing=0, undecodable=0)
    counts.update(with_hand=0, without_hand=0, hands=0, crops=0)
    if "holistic" in shard.tables:
        counts.update(bodies=0)
    with ExitStack() as stack:
        tables = {
            name: _Rows(name, stack.enter_context(TableWriter(shard.path(name), _schema(name, shard))))
            for name in shard.tables
        }
        for item in shard.items:
            for frame, rows, body in _media(item, shard, backend):
                _count(frame, rows, counts)
                tables["frames"].add(_frame_row(item, frame, len(rows)))
                for row in rows:
                    tables["hands"].add(row)
                if body is not None:
                    counts["bodies"] += 1
                    tables["holistic"].add(_body_row(item, frame, body))
        for table in tables.values():
            table.flush()
    sizes = {name: shard.path(name).stat().st_size for name in shard.tables}
    write_json(shard.stats_path, {"counts": dict(counts), "bytes": sizes})
    return dict(counts)


def _schema(name: str, shard: Shard) -> Any:
    return with_metadata(arrow_schema(name), name, shard.facts)


_FrameRows = tuple[Frame, list[dict[str, Any]], Body | None]


def _media(item: MediaItem, shard: Shard, backend: Backend) -> Iterator[_FrameRows]:
    """Every frame of one media with the hand rows and the body found in it."""
    backend.start(tracking=item.kind != "image")
    tracks = Tracks()
    for frame in read_frames(shard.raw / item.media, item.kind, item.intervals, item.fps):
        found = Found() if frame.image is None else backend.find(frame.image, frame.timestamp_s)
        numbers = tracks.assign([hand.box for hand in found.hands], frame.timestamp_s)
        yield (
            frame,
            [
                _hand_row(item, frame, index, hand, number, shard.margin, backend.name)
                for index, (hand, number) in enumerate(zip(found.hands, numbers, strict=True))
            ],
            found.body,
        )


def _count(frame: Frame, rows: list[dict[str, Any]], counts: Counter[str]) -> None:
    counts["frames"] += 1
    counts[frame.status] += 1
    if frame.status == DECODED:
        counts["with_hand" if rows else "without_hand"] += 1
    counts["hands"] += len(rows)
    counts["crops"] += sum(row["crop"] is not None for row in rows)


def _frame_row(item: MediaItem, frame: Frame, hands: int) -> dict[str, Any]:
    shape = (None, None) if frame.image is None else frame.image.shape[:2]
    return {
        "media": item.media, "frame": frame.number, "timestamp_s": frame.timestamp_s, "status": frame.status,
        "detail": frame.detail, "hands": hands, "image_width": shape[1], "image_height": shape[0],
    }  # fmt: skip


def _hand_row(
    item: MediaItem, frame: Frame, index: int, hand: Hand, track: int, margin: float, backend: str
) -> dict[str, Any]:
    image: Image = frame.image  # type: ignore[assignment]  # a hand was found in it
    height, width = image.shape[:2]
    where = crop_box(hand.box, margin, width, height)
    crop = None if where is None else cut(image, where)
    return {
        "media": item.media, "frame": frame.number, "timestamp_s": frame.timestamp_s, "hand_index": index,
        "track_id": track, "handedness": hand.handedness, "handedness_score": hand.handedness_score,
        "score": hand.score, "box": hand.box, "image_width": width, "image_height": height,
        "landmarks": None if hand.landmarks is None else hand.landmarks.tolist(),
        "world_landmarks": None if hand.world_landmarks is None else hand.world_landmarks.tolist(),
        "crop": None if crop is None else encode_png(crop), "crop_box": where,
        "phash": None if crop is None else perceptual_hash(crop), "backend": backend,
    }  # fmt: skip


def _body_row(item: MediaItem, frame: Frame, body: Body) -> dict[str, Any]:
    image: Image = frame.image  # type: ignore[assignment]  # a body was found in it
    parts = {"pose": body.pose, "face": body.face, "left_hand": body.left_hand, "right_hand": body.right_hand}
    return {
        "media": item.media, "frame": frame.number, "timestamp_s": frame.timestamp_s,
        "image_width": image.shape[1], "image_height": image.shape[0],
        **{name: None if part is None else part.tolist() for name, part in parts.items()},
    }  # fmt: skip
