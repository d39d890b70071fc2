"""How long an extraction will take, measured on a few of its frames."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from pgc_data.engines import Attempt, cores, map_shards
from pgc_data.hands.extractor import read_media
from pgc_data.hands.media import DECODED
from pgc_data.hands.media_items import MediaItem
from pgc_data.stages.shards import Packs, Setup, initialize, worker_state

_PIECES = 40
_FRAMES_OF_A_PIECE = 16
_SECONDS = 3.0
# Multiples of it, cut to what is behind the point, are spread evenly at every length.
_GOLDEN = 0.6180339887498949
# A video is decoded from its beginning: what begins later is measured here instead.
_MOST_FRAMES_SKIPPED = 300


@dataclass(frozen=True)
class Rehearsal:
    """What was measured, summed over all pieces; seconds are those of one worker.

    Attributes:
        media: media opened.
        opening_s: seconds from opening each to having its first frame done.
        frames: frames after the first.
        frames_s: seconds they took.
        workers: processes that worked at the same time.
    """

    media: int
    opening_s: float
    frames: int
    frames_s: float
    workers: int

    def seconds(self, media: int, frames: int, workers: int) -> float:
        """What `media` with `frames` will take in `workers` processes."""
        opening = self.opening_s / self.media
        # Photographs have no second frame.
        following = self.frames_s / self.frames if self.frames else opening
        return (media * opening + max(frames - media, 0) * following) / workers

    def __str__(self) -> str:
        busy, read = self.opening_s + self.frames_s, self.media + self.frames
        return (
            f"measured on {read:,} frames in {self.media:,} places: {read / busy:,.0f} frames/s a worker, "
            f"{self.workers} at work"
        )


def rehearse(setup: Setup, packs: Packs, todo: Sequence[int], workers: int) -> Rehearsal | None:
    """Reads a few frames spread over the shards still to do and finds hands in them, for about three seconds.

    Nothing is written but what native libraries say, which is thrown away.

    Args:
        setup: as for the extraction.
        packs: all shards.
        todo: numbers of those to do.
        workers: processes; on this machine, and no more than it has cores.

    Returns:
        What was measured, or None where no frame could be read.

    Raises:
        DataError: the model cannot be used.
    """
    crew = min(workers, cores())
    with tempfile.TemporaryDirectory(prefix="pgc-data-") as folder:
        quiet = replace(setup, log=Path(folder) / "native.log")
        pieces = _pieces(packs, todo)
        with closing(map_shards(time_piece, pieces, crew, initialize, (quiet,))) as results:
            timings = list(_until_the_time_is_up(results))
    warm = _warm(timings)
    read = [timing for timing in warm or timings if timing.media]
    if not read:
        return None
    return Rehearsal(
        sum(t.media for t in read), sum(t.opening_s for t in read),
        sum(t.frames for t in read), sum(t.frames_s for t in read), crew,
    )  # fmt: skip


@dataclass(frozen=True)
class _Timing:
    process: int
    media: int
    opening_s: float
    frames: int
    frames_s: float


@dataclass(frozen=True)
class Piece:
    """A few frames to be timed."""

    items: tuple[MediaItem, ...]

    def __str__(self) -> str:
        return f"the piece from {self.items[0].media}"


def _pieces(packs: Packs, todo: Sequence[int]) -> Iterator[Piece]:
    """Short stretches, spread over the work however few of them there will be time for."""
    seen: set[tuple[str, int]] = set()
    for piece in range(_PIECES):
        place = piece * _GOLDEN % 1.0
        pack = packs.pack(todo[int(place * len(todo))])
        into = place * len(todo) % 1.0 * len(pack.items)
        items, frames = [], 0
        for item in pack.items[int(into) :]:
            if frames >= _FRAMES_OF_A_PIECE:
                break
            items.append(_stretch(item, into % 1.0, _FRAMES_OF_A_PIECE - frames))
            frames += items[-1].frames
        if (what := (items[0].media, items[0].intervals[0][0])) not in seen:
            seen.add(what)
            yield Piece(tuple(items))


def _stretch(item: MediaItem, place: float, most: int) -> MediaItem:
    """A few frames in a row of a media, `place` of the way into what is wanted of it."""
    start, end = item.intervals[int(place * len(item.intervals))]
    start += int(place * len(item.intervals) % 1.0 * max(end - start + 1 - most, 0))
    if item.kind == "video" and start > _MOST_FRAMES_SKIPPED:
        start, end = _MOST_FRAMES_SKIPPED, _MOST_FRAMES_SKIPPED + end - start
    return replace(item, intervals=((start, min(end, start + most - 1)),))


def time_piece(piece: Piece, attempt: Attempt) -> _Timing:
    """Does in a worker all that extraction does with some frames, save writing it down."""
    setup, backend = worker_state()
    media = frames = 0
    opening = following = 0.0
    for position, item in enumerate(piece.items):
        if position in attempt.crashed:
            continue
        attempt.begin(position)
        begin = time.perf_counter()
        ends = [
            time.perf_counter()
            for frame, _, _ in read_media(item, setup.shard(0, piece.items), backend)
            if frame.status == DECODED
        ]
        attempt.end(position)
        if ends:
            media, frames = media + 1, frames + len(ends) - 1
            opening, following = opening + ends[0] - begin, following + ends[-1] - ends[0]
    return _Timing(os.getpid(), media, opening, frames, following)


def _until_the_time_is_up(results: Iterator[_Timing]) -> Iterator[_Timing]:
    end: float | None = None
    for timing in results:
        yield timing
        end = end or time.monotonic() + _SECONDS
        if time.monotonic() > end:
            return


def _warm(timings: Sequence[_Timing]) -> list[_Timing]:
    """All but the first of each process, in which networks were still being loaded."""
    first = {timing.process: timing for timing in reversed(timings)}
    return [timing for timing in timings if timing is not first[timing.process]]
