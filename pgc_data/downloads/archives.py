"""Unpacking zip and tar archives that came from a stranger: streaming, checked, resumable."""

from __future__ import annotations

import hashlib
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from pgc_data.downloads.failures import ArchiveError
from pgc_data.downloads.gunzip import Gunzip, Readable
from pgc_data.storage.files import unwritable

# An archive may not unpack to more than this many times its size, once it has unpacked to more than MOST_FREE_BYTES.
# The archives of the datasets hold JPEG, PNG and JSON files: 1 to 20 times.
MOST_RATIO = 200
MOST_FREE_BYTES = 1 << 30
# And never to more than this many bytes, files or bytes of one name.
MOST_BYTES = 4 << 40
MOST_FILES = 20_000_000
MOST_NAME = 1024

_CHUNK = 1 << 18
_BLOCK = 512
# Refused on every system, so that an archive unpacks everywhere or nowhere: what Windows cannot store. IPN Hand's names
# have a `#`, which is fine.
_UNSAFE = re.compile(r'[\x00-\x1f<>:"|?*\\]')
# What pgc-data itself keeps in a raw folder; `synthetic.json` would pass real data off as drawn.
_OURS = {"synthetic.json", "download.json", ".download", ".lock", "archives"}
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Unpacked:
    """One file of an archive, which now lies in its place.

    Attributes:
        path: below the folder unpacked into, with `/`.
        bytes: its size.
        sha256: of its content.
        written: whether it was written by this call; else it lay there with its full size.
    """

    path: str
    bytes: int
    sha256: str
    written: bool


@dataclass(frozen=True)
class Destination:
    """Where an archive is unpacked.

    Attributes:
        folder: nothing is written outside of it.
        root: entries that do not lie in this folder below it are put into it.
        trust_size: whether a file that is there with its full size is taken for whole.
    """

    folder: Path
    root: str | None = None
    trust_size: bool = True


def is_archive(name: str) -> bool:
    """Whether a file name is that of an archive that can be unpacked."""
    return name.lower().endswith((".zip", ".tar", ".tar.gz", ".tgz"))


def unpack(archive: Path, to: Destination) -> Iterator[Unpacked]:
    """Unpacks a zip or tar file, told apart by content; yields each file when it is in its place.

    Files appear under their names only when they are whole, so a stopped run goes on when called again: what lies there
    with its full size is not written again.

    Args:
        archive: the file.
        to: where to.

    Raises:
        ArchiveError: it is no archive, is damaged, or holds an entry that is refused.
        DataError: a file cannot be written.
    """
    try:
        if zipfile.is_zipfile(archive):
            yield from _unpack_zip(archive, to)
        else:
            size = archive.stat().st_size
            with archive.open("rb") as stream:
                gzipped = stream.read(2) == b"\x1f\x8b"
                stream.seek(0)
                content = Gunzip(stream) if gzipped else stream
                yield from unpack_tar(content, archive.name, to, lambda: size)
    except OSError as error:
        raise unwritable(to.folder, error) from error


def unpack_tar(
    stream: Readable,
    name: str,
    to: Destination,
    packed: Callable[[], int],
    reached: Callable[[int], None] = lambda position: None,
) -> Iterator[Unpacked]:
    """Unpacks a tar archive from a stream that is read once from start to end.

    Args:
        stream: of the archive's bytes, decompressed.
        name: of the archive, for errors.
        to: where to.
        packed: bytes of the compressed archive so far, to see a bomb.
        reached: called before each entry with its position in the stream: all before it is done.

    Raises:
        ArchiveError: see `unpack`.
    """
    guard = _Guard(name, packed)
    whole = _EndsInZeros(stream)
    try:
        with tarfile.open(fileobj=whole, mode="r|", bufsize=_CHUNK) as tar:  # type: ignore[call-overload]
            for entry in tar:
                reached(entry.offset)
                if entry.isdir():
                    _refuse_outside(entry.name, name)
                    continue
                if not entry.isreg():
                    raise ArchiveError(f"{name}: {entry.name!r} is {_kind(entry)}, not a file: refused")
                content = tar.extractfile(entry)
                yield _place(content, entry.name, entry.size, to, guard)
                # The list of entries would grow with the archive.
                tar.members = []
        whole.drain()
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise _damaged(name, error) from error


class _EndsInZeros:
    """A tar stream that must end in a block of zeros: tarfile takes one that was cut between two files for whole."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._last = b""

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        self._last = (self._last + piece)[-_BLOCK:]
        return piece

    def drain(self) -> None:
        while self.read(_CHUNK):
            pass
        if self._last != bytes(_BLOCK):
            raise EOFError("its end is missing")


def _unpack_zip(archive: Path, to: Destination) -> Iterator[Unpacked]:
    name = archive.name
    size = archive.stat().st_size
    guard = _Guard(name, lambda: size)
    try:
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                mode = entry.external_attr >> 16
                if entry.is_dir():
                    _refuse_outside(entry.filename, name)
                    continue
                if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                    kind = "a link" if stat.S_ISLNK(mode) else "a device"
                    raise ArchiveError(f"{name}: {entry.filename!r} is {kind}, not a file: refused")
                with packed.open(entry) as content:
                    yield _place(content, entry.filename, entry.file_size, to, guard)
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        # RuntimeError: an encrypted entry.
        raise _damaged(name, error) from error


class _Guard:
    """Stops a decompression bomb."""

    def __init__(self, name: str, packed: Callable[[], int]) -> None:
        self.name = name
        self._packed = packed
        self._bytes = self._files = 0

    def add_file(self) -> None:
        self._files += 1
        if self._files > MOST_FILES:
            raise ArchiveError(
                f"{self.name} holds more than {MOST_FILES:,} files: refused as a decompression bomb"
            )

    def add_bytes(self, count: int) -> None:
        self._bytes += count
        ratio = self._bytes > max(MOST_FREE_BYTES, MOST_RATIO * self._packed())
        if ratio or self._bytes > MOST_BYTES:
            raise ArchiveError(
                f"{self.name} unpacks to more than {self._bytes:,} bytes out of {self._packed():,} (allowed: "
                f"{MOST_RATIO} times its size, {MOST_BYTES:,} bytes): refused as a decompression bomb"
            )


def _place(content: IO[bytes], entry: str, size: int, to: Destination, guard: _Guard) -> Unpacked:
    """Writes one entry under its name, or only reads it where it lies there already."""
    guard.add_file()
    parts = _safe_parts(entry, guard.name)
    if to.root is not None and parts[0] != to.root:
        parts = (to.root, *parts)
    target = to.folder.joinpath(*parts)
    _refuse_link_on_the_way(to.folder, parts, entry, guard.name)
    there = to.trust_size and target.is_file() and target.stat().st_size == size
    digest = hashlib.sha256()
    if there:
        read = _copy(content, None, digest.update, guard)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        # No fsync a file: there may be millions. The caller syncs before it says that the archive is unpacked.
        temporary = target.with_name(f".{target.name[:200]}.tmp-unpack")
        try:
            with temporary.open("wb") as handle:
                read = _copy(content, handle, digest.update, guard)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if read == size:
            temporary.replace(target)
        else:
            temporary.unlink()
    if read != size:
        raise ArchiveError(
            f"{guard.name}: {entry!r} has {read:,} of its {size:,} bytes: the archive is damaged or cut short"
        )
    return Unpacked("/".join(parts), size, digest.hexdigest(), not there)


def _copy(content: IO[bytes], out: BinaryIO | None, update: Callable[[bytes], None], guard: _Guard) -> int:
    read = 0
    while chunk := content.read(_CHUNK):
        guard.add_bytes(len(chunk))
        update(chunk)
        if out is not None:
            out.write(chunk)
        read += len(chunk)
    return read


def _safe_parts(entry: str, archive: str) -> tuple[str, ...]:
    """The parts of an entry's name, if it stays below the folder it is unpacked into.

    Raises:
        ArchiveError: an absolute path, `..`, or a name that some system cannot store.
    """
    _refuse_outside(entry, archive)
    first = PurePosixPath(entry).parts[:1]
    if first and first[0].lower() in _OURS:
        raise ArchiveError(
            f"{archive}: the entry {entry[:200]!r} would replace a file of pgc-data's own: refused"
        )
    parts = tuple(part for part in PurePosixPath(entry).parts if part != ".")
    odd = not parts or any(_UNSAFE.search(p) or _DEVICES.fullmatch(p) or p != p.rstrip(". ") for p in parts)
    if odd or len(entry.encode()) > MOST_NAME or any(len(p.encode()) > 255 for p in parts):
        raise ArchiveError(
            f"{archive}: the entry {entry[:200]!r} has a name that not every system can store: refused"
        )
    return parts


def _refuse_outside(entry: str, archive: str) -> None:
    if entry.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", entry):
        raise ArchiveError(f"{archive}: the entry {entry[:200]!r} has an absolute path: refused")
    if ".." in entry.replace("\\", "/").split("/"):
        raise ArchiveError(f"{archive}: the entry {entry[:200]!r} points outside its folder: refused")


def _refuse_link_on_the_way(folder: Path, parts: tuple[str, ...], entry: str, archive: str) -> None:
    path = folder
    for part in parts:
        path = path / part
        if path.is_symlink():
            raise ArchiveError(
                f"{archive}: {entry!r} would be written through the link {path}: remove the link"
            )


def _kind(entry: tarfile.TarInfo) -> str:
    return "a link" if entry.issym() or entry.islnk() else "a device"


def _damaged(name: str, error: Exception) -> ArchiveError:
    return ArchiveError(
        f"{name} is damaged, cut short or no archive ({str(error) or type(error).__name__}): it must be fetched again"
    )
