"""Archives split into parts, unpacked while they come: a part is removed as soon as it is used up.

What `cat parts | tar zx` does, with at most one part on the disk besides the files, and able to go on after a stop:
when a part is used up, a restart point is written before the part is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from pgc_data.downloads.archives import Destination, Unpacked, unpack_tar
from pgc_data.downloads.gunzip import Gunzip, Restart
from pgc_data.downloads.manifest import Listing
from pgc_data.errors import DataError
from pgc_data.storage.files import unwritable

# Gets part number i whole, and returns where it lies.
GetPart = Callable[[int], Path]


class JoinedParts:
    """The parts of a file, read as one; each is asked for when its turn comes.

    Attributes:
        number: of the part being read.
        read_bytes: of all parts so far.
    """

    def __init__(self, count: int, get: GetPart, used_up: Callable[[int], None], first: int = 0) -> None:
        """Begins at part `first`; `used_up` is called with the number of each part that was read to its end."""
        self.number, self.read_bytes = first, 0
        self._count, self._get, self._used_up = count, get, used_up
        self._handle: BinaryIO | None = None

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; empty at the end of the last part."""
        while self.number < self._count:
            if self._handle is None:
                self._handle = self._get(self.number).open("rb")
            piece = self._handle.read(size)
            self.read_bytes += len(piece)
            if piece:
                return piece
            self.close()
            self._used_up(self.number)
            self.number += 1
        return b""

    def close(self) -> None:
        """Closes the part being read."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None


class SplitArchive:
    """A gzipped tar archive in parts, and the state of unpacking it.

    Args:
        name: of the whole, for errors.
        sizes: bytes of each part, 0 where unknown.
        get: gets a part.
        remove: removes a part that is no longer needed; None to keep all of them.
        state: file of the restart point.
    """

    def __init__(
        self, name: str, sizes: Sequence[int], get: GetPart, remove: Callable[[int], None] | None, state: Path
    ) -> None:
        self._name, self._sizes, self._get, self._remove, self._state = name, sizes, get, remove, state
        self._gunzip: Gunzip | None = None
        self._listing: Listing | None = None
        self._removed = 0

    def unpack(self, to: Destination, begin_list: Callable[[dict[str, int]], Listing]) -> Iterator[Unpacked]:
        """Unpacks, from the restart point if there is one; yields each file when it is in its place and listed.

        Args:
            to: where to.
            begin_list: opens the list of files, given what the restart point knows: `offset`, `files`, `bytes`.

        Raises:
            SourceError: a part cannot be had, or the archive is damaged or refused.
            DataError: a file cannot be written.
        """
        restart, facts = self._taken_up()
        first = facts.get("part", 0)
        self._removed = first
        listing = self._listing = begin_list({k: facts.get(k, 0) for k in ("offset", "files", "bytes")})
        parts = JoinedParts(len(self._sizes), self._get, self._used_up, first)
        gunzip = self._gunzip = Gunzip(parts, restart)
        before = sum(self._sizes[:first])
        try:
            for file in unpack_tar(gunzip, self._name, to, lambda: before + parts.read_bytes, gunzip.mark):
                listing.add(file.path, file.bytes, file.sha256)
                yield file
            listing.finish()
        except OSError as error:
            raise unwritable(to.folder, error) from error
        finally:
            parts.close()
            listing.close()

    def clean(self) -> None:
        """Removes the parts and the restart point, once the archive is recorded as unpacked."""
        self._remove_until(len(self._sizes))
        self._state.unlink(missing_ok=True)

    def _taken_up(self) -> tuple[Restart | None, dict[str, int]]:
        if self._remove is None or not self._state.is_file():
            return None, {}
        try:
            restart, facts = Restart.load(self._state)
        except (ValueError, KeyError, IndexError) as error:
            raise DataError(
                f"{self._state} is damaged: remove it, and the archive is read from its start"
            ) from error
        for number in range(facts["part"]):
            self._remove(number)
        return restart, facts

    def _used_up(self, number: int) -> None:
        if self._remove is None or number + 1 == len(self._sizes):
            return
        assert self._gunzip is not None and self._listing is not None
        restart = self._gunzip.restart()
        if restart is None:
            # The part stays until a later place is found, or until the end.
            return
        facts = {"part": number + 1, "files": self._listing.files, "bytes": self._listing.bytes}
        restart.save(self._state, {**facts, "offset": self._listing.sync()})
        self._remove_until(number + 1)

    def _remove_until(self, number: int) -> None:
        if self._remove is not None:
            for part in range(self._removed, number):
                self._remove(part)
            self._removed = max(self._removed, number)
