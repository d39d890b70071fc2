"""Files and folders of Google Drive, through gdown: public ones, without an account."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

import requests

from pgc_data.downloads.archives import is_archive
from pgc_data.downloads.failures import SourceError
from pgc_data.downloads.http import TIMEOUT_S, Fetched, part_of
from pgc_data.downloads.sources import RemoteFile
from pgc_data.storage.files import sha256_file, unwritable

_FILE_PAGE = "https://drive.google.com/file/d/{}/view"
_FOLDER_PAGE = "https://drive.google.com/drive/folders/{}"

# What gdown raises where an answer of Google is not as it was when gdown was written.
_UNREADABLE = (KeyError, ValueError, AssertionError)


def list_folder(folder_id: str, into: str, unpack: bool) -> tuple[RemoteFile, ...]:
    """The files of a public Drive folder.

    Args:
        folder_id: of the folder.
        into: folder below the raw folder for its files.
        unpack: whether its archives are unpacked.

    Raises:
        SourceError: it cannot be listed.
    """
    import gdown

    page = _FOLDER_PAGE.format(folder_id)
    try:
        found = gdown.download_folder(id=folder_id, skip_download=True, quiet=True, use_cookies=False)
    except (gdown.DownloadError, requests.RequestException, OSError, *_UNREADABLE) as error:
        raise SourceError(f"Google Drive folder {page} cannot be listed: {_line(error)}") from error
    if not found:
        raise SourceError(f"Google Drive folder {page} is empty, or is no longer public")
    entries = [entry for entry in found if not isinstance(entry, str)]
    return tuple(_remote(str(entry.path), str(entry.id), into, unpack) for entry in entries)


def _remote(path: str, drive_id: str, into: str, unpack: bool) -> RemoteFile:
    parts = PurePosixPath(path.replace("\\", "/")).parts
    if unpack and is_archive(path):
        return RemoteFile(parts[-1], drive_id, into="", root=into)
    if ".." in parts or path.startswith("/"):
        raise SourceError(f"Google Drive: the name {path!r} points outside its folder: refused")
    return RemoteFile("/".join((into, *parts)), drive_id)


def fetch(file: RemoteFile, target: Path, retries: int, received: Callable[[int], None]) -> Fetched:
    """Downloads a Drive file to `target`, going on where an earlier call stopped.

    Raises:
        SourceError: it is not public, its quota is used up, Drive cannot be reached, or another file came.
        DataError: `target` cannot be written.
    """
    import gdown

    page = _FILE_PAGE.format(file.path)
    before = _bytes_before(target)
    seen = before

    def progress(done: int, total: int | None) -> None:
        nonlocal seen
        received(max(done - seen, 0))
        seen = done

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        gdown.download(
            id=file.path, output=str(target), quiet=True, use_cookies=False, resume=True, timeout=TIMEOUT_S,
            retries=retries, progress=progress,
        )  # fmt: skip
    except (gdown.DownloadError, requests.RequestException, *_UNREADABLE) as error:
        raise SourceError(
            f"{file.name} from Google Drive: {_line(error)}; Drive limits downloads a day: try again tomorrow, or "
            f"get it by browser from {page} and pass --from-dir FOLDER"
        ) from error
    except OSError as error:
        raise unwritable(target, error) from error
    return _checked(file, target, page, seen - before)


def _checked(file: RemoteFile, target: Path, page: str, transferred: int) -> Fetched:
    with target.open("rb") as handle:
        begin = handle.read(64).lstrip().lower()
    size, digest = target.stat().st_size, sha256_file(target)
    if begin.startswith((b"<!doctype html", b"<html")):
        target.unlink()
        raise SourceError(f"{file.name} from Google Drive is a web page: open {page} in a browser to see why")
    if file.sha256 not in (None, digest) or file.bytes not in (None, size):
        target.unlink()
        raise SourceError(f"{file.name} from Google Drive ({page}) is not the file expected: it was removed")
    return Fetched(page, size, digest, transferred)


def _bytes_before(target: Path) -> int:
    """What gdown has left of a stopped download: `NAMExxxxxxxx.part`."""
    length = len(part_of(target).name) + 8
    left = [p for p in target.parent.glob(f"{target.name}*.part") if len(p.name) == length]
    return sum(path.stat().st_size for path in left)


def _line(error: Exception) -> str:
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return "Google Drive cannot be reached"
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}..."
