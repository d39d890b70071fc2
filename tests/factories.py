"""Small pieces of data that tests are built from."""

from __future__ import annotations

import zlib
from pathlib import Path

import cv2
import numpy as np

from pgc_data.hands.types import Found, Hand

HEADER = "video,label,id,t_start,t_end,frames"


def annotate(folder: Path, rows: list[str], header: str = HEADER, end: str = "\r\n") -> None:
    """Writes Annot_List.txt as IPN does: a header, CRLF, no final newline."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Annot_List.txt").write_bytes(end.join([header, *rows]).encode())


def frames(raw: Path, video: str, count: int, size: tuple[int, int] = (64, 48)) -> Path:
    """Writes `count` small JPEG frames of a video: frame n is grey of level n, its last corner tells videos apart."""
    folder = raw / "frames" / video
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, count + 1):
        image = np.full((size[1], size[0], 3), number % 256, np.uint8)
        image[-16:, -16:] = zlib.crc32(video.encode()) % 200
        cv2.imwrite(str(folder / f"{video}_{number:06d}.jpg"), image)
    return folder


def write_video(path: Path, count: int, size: tuple[int, int] = (64, 48)) -> None:
    """Writes an MJPEG video whose frame n is filled with the grey level 4 n."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 30, size)
    for number in range(1, count + 1):
        writer.write(np.full((size[1], size[0], 3), 4 * number, np.uint8))
    writer.release()


class RecordedBackend:
    """A backend that finds what it is told: `hands(image, timestamp_s)`."""

    name = "recorded"

    def __init__(self, hands=None) -> None:
        self.started: list[bool] = []
        self._hands = hands or (lambda image, timestamp_s: [drawn_hand(timestamp_s)])

    def start(self, tracking: bool) -> None:
        self.started.append(tracking)

    def find(self, image, timestamp_s):
        return Found(self._hands(image, timestamp_s))

    def close(self) -> None:
        pass


def drawn_hand(timestamp_s: float = 0.0, width: int = 64, height: int = 48) -> Hand:
    """A hand in the middle of the image that drifts and opens a little with time."""
    angles = np.linspace(0, 2 * np.pi, 21, endpoint=False)
    radius = 0.15 + 0.02 * np.sin(timestamp_s * 5)
    points = np.stack(
        [
            0.5 + radius * np.cos(angles) + 0.05 * timestamp_s,
            0.5 + radius * np.sin(angles),
            0.01 * np.cos(angles),
        ],
        axis=1,
    ).astype(np.float32)
    x, y = points[:, 0] * width, points[:, 1] * height
    box = (float(x.min()), float(y.min()), float(np.ptp(x)), float(np.ptp(y)))
    return Hand(box, 0.9, points, points * 0.1, "Right", 0.9)
