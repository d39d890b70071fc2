"""Files that are on this machine already: linked into the raw folder, not copied."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pgc_data.errors import DataError
from pgc_data.storage.files import sha256_file, unwritable


@dataclass(frozen=True)
class Linked:
    """One file that now also lies in the raw folder.

    Attributes:
        path: below the folder linked into, with `/`.
        bytes: its size.
        sha256: of its content.
        how: hard link, symbolic link, copy, or already there.
    """

    path: str
    bytes: int
    sha256: str
    how: str


def files_below(folder: Path) -> Iterator[str]:
    """Relative paths of the files below `folder`, sorted, through links to folders too; hidden ones are left out."""
    seen = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = Path(root).resolve()
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield (Path(root) / name).relative_to(folder).as_posix()


def link(source: Path, raw: Path, path: str, replace: bool = False) -> Linked:
    """Makes `raw/path` the same file as `source`: a hard link, else a symbolic link, else a copy.

    Args:
        source: file to link to.
        raw: folder to link into.
        path: relative to `raw`, with `/`.
        replace: whether another file that lies there is replaced.

    Raises:
        DataError: another file lies there, `source` cannot be read, or the folder cannot be written.
    """
    target = raw / path
    if any(ord(character) < 32 for character in path):
        raise DataError(f"{str(source)!r} has a control character in its name: rename it")
    try:
        source = source.resolve(strict=True)
        size, digest = source.stat().st_size, sha256_file(source)
    except OSError as error:
        raise DataError(f"{source} cannot be read: {error.strerror or error}") from error
    try:
        if target.exists() and not (replace and not target.samefile(source)):
            if not (target.samefile(source) or sha256_file(target) == digest):
                raise DataError(
                    f"{target} is another file than {source}: remove it, or choose another --name"
                )
            return Linked(path, size, digest, "already there")
        target.parent.mkdir(parents=True, exist_ok=True)
        return Linked(path, size, digest, _link(source, target))
    except OSError as error:
        raise unwritable(target, error) from error


def _link(source: Path, target: Path) -> str:
    # A link whose file has gone, or a file to replace.
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
        return "hard link"
    except OSError:
        pass
    try:
        # Another file system. Windows may forbid it.
        target.symlink_to(source)
        return "symbolic link"
    except OSError:
        temporary = target.with_name(f".{target.name}.tmp-link")
        shutil.copyfile(source, temporary)
        temporary.replace(target)
        return "copy"
