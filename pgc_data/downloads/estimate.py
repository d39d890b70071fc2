"""What a download will take: bytes, disk, time."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from pgc_data.downloads import kaggle
from pgc_data.downloads.fetcher import ARCHIVES
from pgc_data.downloads.http import part_of
from pgc_data.downloads.manifest import Manifest
from pgc_data.downloads.sources import Offer, RemoteFile, Source

# For the estimate of time: a line of 160 Mbit/s.
BYTES_PER_SECOND = 20_000_000


@dataclass(frozen=True)
class Estimate:
    """What one source will take.

    Attributes:
        transfer: bytes to transfer, None where no size is published.
        disk: bytes needed on the disk, None where no size is published. Unpacked data is taken to be as large as the
            archive, which holds images.
        folder: on the disk that is needed.
        free: bytes free there.
    """

    transfer: int | None
    disk: int | None
    folder: Path
    free: int

    @property
    def is_enough(self) -> bool:
        """Whether the free disk suffices, as far as anyone can tell."""
        return self.disk is None or self.disk <= self.free

    def lines(self) -> list[str]:
        """For people."""
        if self.transfer is None or self.disk is None:
            return [f"size: unpublished; {readable(self.free)} free in {self.folder}"]
        seconds = self.transfer / BYTES_PER_SECOND
        return [
            f"to transfer: {readable(self.transfer)}, about {_duration(seconds)} at {readable(BYTES_PER_SECOND)}/s",
            f"disk: {readable(self.disk)} needed, {readable(self.free)} free in {self.folder}",
        ]


def estimate(manifest: Manifest, offer: Offer, source: Source, keep_archives: bool) -> Estimate:
    """What getting the rest of `offer` from `source` takes."""
    if source.kind == "kaggle":
        done = manifest.is_done(f"kaggle:{source.slug}")
        size = 0 if done else offer.bytes
        folder = kaggle.cache_folder()
        # kagglehub has the archive and its content on the disk at the same time.
        return Estimate(size, None if size is None else 2 * size, folder, free_bytes(folder))
    raw, unit = manifest.raw, source.joined
    free = free_bytes(raw)
    if not any(file.size for file in source.files):
        return Estimate(offer.bytes, None if offer.bytes is None else 2 * offer.bytes, raw, free)
    left = [file for file in source.files if not manifest.is_done(unit or file.name)]
    total = sum(file.size or 0 for file in left)
    archives = [file.size or 0 for file in left if file.into is not None or unit]
    beside = sum(archives) if keep_archives else max(archives, default=0)
    here = sum(_bytes_here(raw, file, unit) for file in left)
    return Estimate(
        max(total - max(here, _bytes_recorded(manifest, left, unit)), 0),
        max(total + beside - here, 0),
        raw,
        free,
    )


def _bytes_here(raw: Path, file: RemoteFile, unit: str | None) -> int:
    """Bytes of a file, or of its part, that lie here."""
    target = raw / file.name if file.into is None and unit is None else raw / ARCHIVES / file.name
    return sum(path.stat().st_size for path in (target, part_of(target)) if path.is_file())


def _bytes_recorded(manifest: Manifest, files: list[RemoteFile], unit: str | None) -> int:
    """Bytes of files that came whole, whether they still lie here or were unpacked and removed."""
    origins = (manifest.origin(unit or file.name, file.name) for file in files)
    return sum(origin["bytes"] for origin in origins if origin)


def free_bytes(folder: Path) -> int:
    """Bytes free on the disk of `folder`, which need not exist yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def readable(size: int) -> str:
    """A number of bytes for people: 22.9 GB."""
    value = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:,.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
