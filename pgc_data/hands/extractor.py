"""One shard of extraction: read frames, find hands, follow them, cut crops, write the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pgc_data.errors import DataError
from pgc_data.hands.backends import HANDS_ONLY, TABLES
from pgc_data.hands.crops import crop_box, cut, encode_png, perceptual_hash
from pgc_data.hands.fetch import local_media
from pgc_data.hands.media import DECODED, UNDECODABLE, Frame, Image, frame_time, read_frames
from pgc_data.hands.media_items import MediaItem
from pgc_data.hands.prefetch import ahead
from pgc_data.hands.tracks import Tracks
from pgc_data.hands.types import Backend, Batched, Body, Found, Hand, KnowsHands, Watch
from pgc_data.paths import StoreError
from pgc_data.storage.files import read_json, write_json
from pgc_data.storage.parquet import TableWriter, table_of
from pgc_data.storage.schemas import arrow_schema, with_metadata

# The tables that a whole shard may have, as its stats file lists them.
_LAYOUTS = frozenset(TABLES.values())
# What is said of the frames of a media that cannot be read without losing the process that reads it.
CRASHED = "reading it killed two worker processes"
_BATCH_ROWS = 512
_BATCH_BYTES = 8 << 20
# What is decoded ahead of the networks: more only takes memory.
_AHEAD_BYTES = 16 << 20


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
    except StoreError:
        raise
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


def extract_shard(shard: Shard, backend: Backend, watch: Watch | None = None) -> dict[str, int]:
    """Extracts one shard and writes its tables (`frames-N`, `hands-N`, ...) and, last, `stats-N.json`.

    Args:
        shard: what to extract, and where to.
        backend: what finds hands.
        watch: is told which item of the shard is worked on, and knows those that cannot be.

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
        for item, read in _items(shard, backend, watch):
            for frame, rows, body in read:
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


FrameRows = tuple[Frame, list[dict[str, Any]], Body | None]


def _items(
    shard: Shard, backend: Backend, watch: Watch | None
) -> Iterator[tuple[MediaItem, Iterator[FrameRows]]]:
    """The media of a shard with their frames, each told of when it begins and ends."""
    crashed = frozenset[int]() if watch is None else watch.crashed
    most = 1 if watch is not None and watch.careful else _batch(backend)
    for positions in _together(shard.items, most, crashed):
        if positions[0] in crashed:
            item = shard.items[positions[0]]
            yield item, ((frame, [], None) for frame in frames_lost(item, CRASHED))
            continue
        if watch is not None:
            for position in positions:
                watch.begin(position)
        yield from _read_together([shard.items[position] for position in positions], shard, backend)
        if watch is not None:
            for position in positions:
                watch.end(position)


def _batch(backend: Backend) -> int:
    return backend.batch if isinstance(backend, Batched) else 1


def _together(items: Sequence[MediaItem], most: int, crashed: frozenset[int]) -> Iterator[range]:
    """Positions of the items to be looked at together: up to `most` photographs in a row, or one item."""

    def joins(position: int) -> bool:
        return position < len(items) and items[position].kind == "image" and position not in crashed

    start = 0
    while start < len(items):
        stop = start + 1
        while joins(start) and joins(stop) and stop - start < most:
            stop += 1
        yield range(start, stop)
        start = stop


def _read_together(
    items: Sequence[MediaItem], shard: Shard, backend: Backend
) -> Iterator[tuple[MediaItem, Iterator[FrameRows]]]:
    """One item, or several photographs that a backend looks at in one go."""
    if len(items) == 1:
        yield items[0], read_media(items[0], shard, backend)
        return
    backend.start(tracking=False)
    read = [list(_frames(item, shard.raw / item.media)) for item in items]
    seen = _look(chain.from_iterable(read), backend)
    for item, frames in zip(items, read, strict=True):
        yield item, _rows(item, shard, backend.name, islice(seen, len(frames)))


def frames_lost(item: MediaItem, detail: str) -> Iterator[Frame]:
    """Every frame asked for of a media of which none can be had."""
    for number in (n for start, end in item.intervals for n in range(start, end + 1)):
        yield Frame(number, frame_time(number, item.fps), UNDECODABLE, detail, None)


def read_media(item: MediaItem, shard: Shard, backend: Backend) -> Iterator[FrameRows]:
    """Every frame of one media with the hand rows and the body found in it."""
    backend.start(tracking=item.kind != "image")
    if isinstance(backend, KnowsHands):
        backend.expect(item.annotated)
    frames = _frames(item, shard.raw / item.media)
    if item.kind != "image":
        # One photograph has nothing that could run ahead of it.
        frames = ahead(frames, _image_bytes, _AHEAD_BYTES)
    with closing(frames):
        yield from _rows(item, shard, backend.name, _look(frames, backend))


def _look(frames: Iterable[Frame], backend: Backend) -> Iterator[tuple[Frame, Found]]:
    """What each frame shows; several are looked at at once where the backend can."""
    if not isinstance(backend, Batched):
        for frame in frames:
            yield frame, Found() if frame.image is None else backend.find(frame.image, frame.timestamp_s)
        return
    waiting = iter(frames)
    while part := list(islice(waiting, backend.batch)):
        images = [frame.image for frame in part if frame.image is not None]
        found = iter(backend.find_many(images) if images else ())
        for frame in part:
            yield frame, Found() if frame.image is None else next(found)


def _rows(
    item: MediaItem, shard: Shard, backend: str, seen: Iterable[tuple[Frame, Found]]
) -> Iterator[FrameRows]:
    """The frames of one media with the rows of their hands, which are followed from one to the next."""
    tracks = Tracks()
    for frame, found in seen:
        numbers = tracks.assign([hand.box for hand in found.hands], frame.timestamp_s)
        yield (
            frame,
            [
                _hand_row(item, frame, index, hand, number, shard.margin, backend)
                for index, (hand, number) in enumerate(zip(found.hands, numbers, strict=True))
            ],
            found.body,
        )


def _image_bytes(frame: Frame) -> int:
    return 0 if frame.image is None else frame.image.nbytes


def _frames(item: MediaItem, path: Path) -> Generator[Frame, None, None]:
    with local_media(path, item.kind, item.intervals) as media:
        yield from read_frames(media, item.kind, item.intervals, item.fps)


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
