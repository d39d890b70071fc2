"""Media that lie in an object store, brought to this machine one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pgc_data.hands.media import numbered_files
from pgc_data.paths import remote_of
from pgc_data.storage.remote import download_files, local_file, temporary_folder


@contextmanager
def local_media(path: Path, kind: str, intervals: Sequence[tuple[int, int]]) -> Iterator[Path]:
    """The media itself, or for as long as the block runs a copy here of what is wanted of a clip in a store.

    Args:
        path: image file, folder of numbered images, or video file.
        kind: image, frames or video.
        intervals: first and last frame of each stretch, 1-based, inclusive: of a folder, only those come here.

    Yields:
        A path of the same name; where there is no such media, none either.

    Raises:
        DataError: the disk is full, or the store refuses or cannot be reached.
    """
    remote = remote_of(path)
    if remote is None or kind == "image":
        # An image is read as a whole, wherever it is.
        yield path
        return
    if kind == "video":
        with local_file(path) as file:
            yield file
        return
    files = numbered_files(path)
    names = [files[n] for start, end in intervals for n in range(start, end + 1) if n in files]
    with temporary_folder() as folder:
        copy = folder / remote.name
        if files:
            copy.mkdir()
        download_files(remote, names, copy)
        yield copy
