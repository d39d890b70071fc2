"""Videos frame by frame: each has the number and the time that the file gives it, whatever of it is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from pgc_data.errors import DataError

# What is wrong is said by what is raised; FFmpeg itself would write to the terminal.
av.logging.set_libav_level(av.logging.PANIC)

_MOST_FPS = 1000


@dataclass(frozen=True)
class VideoFrame:
    """One frame of a video, in order of display.

    Attributes:
        number: 1-based; damaged frames count.
        seconds: from the first frame; None where the file has no timestamps.
        picture: FFmpeg's frame, see `bgr`; None where it is damaged.
    """

    number: int
    seconds: float | None
    picture: Any | None

    def bgr(self) -> NDArray[np.uint8] | None:
        """The image, (height, width, 3) BGR, turned as the file says; None where it is damaged."""
        if self.picture is None:
            return None
        try:
            image = self.picture.to_ndarray(format="bgr24")
        except av.error.FFmpegError:
            return None
        turns = self.picture.rotation // 90 % 4
        return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


class _Damage:
    """Where a stream is damaged, as far as it is read.

    Attributes:
        seen: whether anything was damaged yet.
    """

    def __init__(self) -> None:
        self.seen = False
        self._since: float | None = None

    def begin(self, pts: int | None) -> None:
        """The frame of that time is damaged; None where nobody knows which it is."""
        self.seen = True
        since = float("-inf") if pts is None else pts
        self._since = since if self._since is None else min(since, self._since)

    def reaches(self, picture: Any, pts: int | None) -> bool:
        """Whether the next picture is damaged, or made of one that is."""
        if picture.is_corrupt:
            self.begin(pts)
        elif self._since is not None and picture.key_frame and (pts is None or pts > self._since):
            self._since = None
        return self._since is not None and (pts is None or pts >= self._since)


class Video:
    """An open video; to be used in a `with` block."""

    def __init__(self, path: Path) -> None:
        """Opens the first video stream of a file.

        Raises:
            FileNotFoundError: no such file.
            DataError: it cannot be opened as a video.
        """
        with ExitStack() as stack:
            try:
                self._container = stack.enter_context(av.open(str(path)))
                self._stream = self._container.streams.video[0]
            except FileNotFoundError:
                raise
            except (av.error.FFmpegError, OSError, IndexError) as error:
                raise DataError(f"{path.name} cannot be opened as a video") from error
            # Workers are as many as cores: more threads would only be in each other's way.
            self._stream.codec_context.thread_count = 1
            self._stack = stack.pop_all()

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def fps(self) -> float | None:
        """Frames per second on average; None where the file does not say."""
        rate = self._stream.average_rate
        return float(rate) if rate and 0 < rate < _MOST_FPS else None

    def count(self) -> int:
        """How many frames there are: every packet is read, none decoded. Leaves the video at its end."""
        return sum(_holds_frame(packet) for packet in self._packets())

    def frames(self) -> Iterator[VideoFrame]:
        """Every frame from the first, those that are damaged included.

        A frame that does not come out of the decoder is known by its timestamp, which its packet had: the frames
        after keep their numbers. That holds from the first packet that is refused; before, packets that give no
        frame are taken for those of codecs which store what is never shown. Frames from a damaged one to the next
        key frame count as damaged: they are made of it.
        """
        start: int | None = None
        for number, (pts, picture) in enumerate(self._shown(), 1):
            start = pts if number == 1 else start
            yield VideoFrame(number, self._seconds(start, pts), picture)

    def _seconds(self, start: int | None, pts: int | None) -> float | None:
        unit = self._stream.time_base
        return None if start is None or pts is None or unit is None else float((pts - start) * unit)

    def _shown(self) -> Iterator[tuple[int | None, Any | None]]:
        """Timestamp and picture of each frame, the latter None where it is damaged."""
        due: list[int] = []
        damage = _Damage()
        for packet in self._packets():
            if _holds_frame(packet) and packet.pts is not None:
                heappush(due, packet.pts)
            try:
                pictures = self._stream.decode(packet)
            except av.error.FFmpegError:
                damage.begin(None if packet is None else packet.pts)
                continue
            for picture in pictures:
                while due and picture.pts is not None and due[0] < picture.pts:
                    lost = heappop(due)
                    if damage.seen:
                        yield lost, None
                own = heappop(due) if due else None
                pts = own if picture.pts is None else picture.pts
                yield pts, None if damage.reaches(picture, pts) else picture
        if damage.seen:
            yield from ((lost, None) for lost in sorted(due))

    def _packets(self) -> Iterator[Any]:
        """Packets up to where the file ends or breaks off, then the empty one that empties the decoder."""
        try:
            yield from self._container.demux(self._stream)
        except (av.error.FFmpegError, OSError):
            yield None


def _holds_frame(packet: Any | None) -> bool:
    """Whether a packet has a frame that is to be shown: the file's own cut (edit list) may leave some out."""
    return packet is not None and packet.size > 0 and not packet.is_discard
