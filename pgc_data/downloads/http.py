"""Files over HTTP(S): resumed by Range, retried, checked; one file at a time, whole or as `.part`."""

from __future__ import annotations

import email.utils
import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import requests
import urllib3

from pgc_data import __version__
from pgc_data.downloads.failures import NotFoundError, SourceError
from pgc_data.storage.files import read_json, sha256_file, unwritable, write_json

# Seconds to connect, and seconds without a byte.
TIMEOUT_S = (10.0, 60.0)
# Before retry n: this times 2**n, at most the second.
BACKOFF_S = 1.0
BACKOFF_MOST_S = 60.0
# A server that asks for a longer wait than this is given up.
WAIT_MOST_S = 900.0

_CHUNK = 1 << 18
_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_HTML = (b"<!doctype html", b"<html")
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True)
class Expected:
    """What a file must be: its size in bytes and its sha256, None where unknown."""

    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Fetched:
    """A file that is now whole.

    Attributes:
        url: where it came from.
        bytes: its size.
        sha256: of its content.
        transferred: bytes that came over the network in this call.
    """

    url: str
    bytes: int
    sha256: str
    transferred: int


class _AgainError(Exception):
    """The transfer broke off in a way that a retry may mend; `wait_s` is what the server asked for."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def part_of(target: Path) -> Path:
    """Where the bytes of `target` lie until it is whole."""
    return target.with_name(f"{target.name}.part")


def _facts_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.part.json")


def fetch(
    url: str,
    target: Path,
    expected: Expected,
    retries: int,
    received: Callable[[int], None] = lambda count: None,
) -> Fetched:
    """Downloads `url` to `target`, going on where an earlier call stopped.

    The bytes lie in `target.part` until they are whole and checked. A server that does not honour Range, or whose
    file has changed since, is read from the start.

    Args:
        url: http or https.
        target: file to write; its folder is made.
        expected: size and sha256 where known.
        retries: attempts after the first without a new byte in between.
        received: called with the number of bytes of each piece.

    Raises:
        NotFoundError: 404 or 410.
        SourceError: refused, unreachable after all retries, another size or sha256 than expected, or a web page in
            the place of a file.
        DataError: `target` cannot be written.
    """
    transfer = _Transfer(url, target, expected, received)
    failures, furthest = 0, transfer.have
    with requests.Session() as session:
        session.headers.update({"User-Agent": f"pgc-data/{__version__}", "Accept-Encoding": "identity"})
        while True:
            try:
                transfer.attempt(session)
                return transfer.finish()
            except (_AgainError, requests.RequestException, urllib3.exceptions.HTTPError) as error:
                reason, wait = _reason(url, error), getattr(error, "wait_s", None)
            except OSError as error:
                raise unwritable(target, error) from error
            if transfer.have > furthest:
                failures, furthest = 0, transfer.have
            if failures >= retries:
                raise SourceError(f"{url}: {reason}, after {retries} retries without a new byte")
            backoff = min(BACKOFF_S * 2**failures, BACKOFF_MOST_S)
            time.sleep(
                max(backoff, wait or 0.0) if wait is None or wait <= WAIT_MOST_S else _give_up(url, wait)
            )
            failures += 1


def _give_up(url: str, wait_s: float) -> float:
    raise SourceError(f"{url}: the server asks to wait {wait_s:,.0f} s: run the same command again later")


def _reason(url: str, error: Exception) -> str:
    if isinstance(error, _AgainError):
        return str(error)
    if isinstance(error, requests.exceptions.InvalidURL | ValueError):
        raise SourceError(f"{url} is not a URL that can be read") from error
    if isinstance(error, requests.exceptions.SSLError):
        raise SourceError(f"{url}: its certificate is not trusted ({str(error)[:120]})") from error
    if isinstance(error, requests.exceptions.TooManyRedirects):
        raise SourceError(f"{url} redirects in a circle") from error
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return f"no answer within {TIMEOUT_S[1]:.0f} s"
    if isinstance(error, urllib3.exceptions.HTTPError):
        return "the connection was cut"
    return "the server cannot be reached"


class _Transfer:
    """The state of one file's transfer over several attempts."""

    def __init__(self, url: str, target: Path, expected: Expected, received: Callable[[int], None]) -> None:
        self._url, self._target, self._expected, self._received = url, target, expected, received
        self._part, self._facts = part_of(target), _facts_of(target)
        self._digest = hashlib.sha256()
        self._transferred = 0
        self.have = 0
        self._validators: Mapping[str, Any] = {}
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._take_up()
        except OSError as error:
            raise unwritable(target, error) from error

    def _take_up(self) -> None:
        """Takes up what an earlier run left, if it was of the same URL."""
        facts = read_json(self._facts) if self._facts.is_file() else {}
        if not self._part.is_file() or facts.get("url") != self._url:
            self._restart()
            return
        with self._part.open("rb") as handle:
            while chunk := handle.read(_CHUNK):
                self._digest.update(chunk)
                self.have += len(chunk)
        self._validators = facts

    def attempt(self, session: requests.Session) -> None:
        """Asks for what is missing and appends it to the part file; returns when the file is whole."""
        if self._whole_already():
            return
        with session.get(self._url, headers=self._range(), stream=True, timeout=TIMEOUT_S) as response:
            if response.status_code == 416 and self.have:
                self._restart()
                raise _AgainError("the server's file is shorter than what is here already")
            _check_status(self._url, response)
            start, total = self._place(response)
            if start != self.have:
                self._restart()
            self._check_total(total)
            if self._validators.get("total") != total or not self.have:
                self._remember(response, total)
            self._append(response, total)

    def _whole_already(self) -> bool:
        total = self._validators.get("total")
        return total is not None and self.have == total > 0

    def _range(self) -> dict[str, str]:
        """The headers that ask for the rest, or for everything where nobody could tell a changed file."""
        validator = self._validators.get("etag") or self._validators.get("last_modified")
        if self.have and validator:
            return {"Range": f"bytes={self.have}-", "If-Range": validator}
        if self.have and self._expected.sha256:
            return {"Range": f"bytes={self.have}-"}
        return {}

    def _place(self, response: requests.Response) -> tuple[int, int | None]:
        """Where the body begins in the file, and the file's size if the server says."""
        if response.status_code != 206:
            length = response.headers.get("Content-Length", "")
            return 0, int(length) if length.isdigit() else None
        match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != self.have:
            self._restart()
            raise _AgainError("the server answered with another range than asked for")
        return self.have, None if match[3] == "*" else int(match[3])

    def _check_total(self, total: int | None) -> None:
        wanted = self._expected.bytes
        if wanted is not None and total is not None and total != wanted:
            raise SourceError(f"{self._url} has {total:,} bytes, not the {wanted:,} expected: another file")

    def _append(self, response: requests.Response, total: int | None) -> None:
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding != "identity" and not self._target.suffix.endswith("gz"):
            raise SourceError(f"{self._url} came as {encoding}, though the plain file was asked for")
        with self._part.open("ab") as handle:
            # `iter_content` would lose up to a chunk when the connection is cut.
            while chunk := response.raw.read1(_CHUNK, decode_content=False):
                if self.have < len(_HTML[0]):
                    self._refuse_page(chunk, response.headers.get("Content-Type", ""))
                self._write(handle, chunk)
        if total is not None and self.have != total:
            raise _AgainError(f"the connection was cut at {self.have:,} of {total:,} bytes")
        self._validators = {**self._validators, "total": self.have}

    def _write(self, handle: BinaryIO, chunk: bytes) -> None:
        handle.write(chunk)
        self._digest.update(chunk)
        self.have += len(chunk)
        self._transferred += len(chunk)
        self._received(len(chunk))

    def _refuse_page(self, chunk: bytes, content_type: str) -> None:
        if self._target.suffix in {".html", ".htm"}:
            return
        if chunk.lstrip()[:64].lower().startswith(_HTML) or content_type.split(";")[0].strip() == "text/html":
            title = re.search(rb"<title[^>]*>([^<]{1,80})", chunk, re.IGNORECASE)
            said = f" ({title[1].decode('utf-8', 'replace').strip()!r})" if title else ""
            raise SourceError(
                f"{self._url} is a web page{said}, not {self._target.name}: open it in a browser to see why"
            )

    def _remember(self, response: requests.Response, total: int | None) -> None:
        etag = response.headers.get("ETag", "")
        self._validators = {
            "url": self._url,
            # A weak one does not promise the same bytes.
            "etag": None if etag.startswith("W/") else etag or None,
            "last_modified": response.headers.get("Last-Modified"),
            "total": total,
        }
        write_json(self._facts, self._validators)

    def _restart(self) -> None:
        self._part.unlink(missing_ok=True)
        self._digest = hashlib.sha256()
        self.have = 0
        self._validators = {}

    def finish(self) -> Fetched:
        """Checks the whole file and gives it its name."""
        found, wanted = self._digest.hexdigest(), self._expected.sha256
        size = self._expected.bytes
        if (wanted is not None and found != wanted) or (size is not None and self.have != size):
            self._part.unlink(missing_ok=True)
            self._facts.unlink(missing_ok=True)
            raise SourceError(
                f"{self._url}: what came is not the file expected (sha256 {found}, {self.have:,} bytes; expected "
                f"{wanted or 'any'}, {'any' if size is None else f'{size:,}'}): it was removed"
            )
        # An empty file has never been appended to.
        self._part.touch()
        self._part.replace(self._target)
        self._facts.unlink(missing_ok=True)
        return Fetched(self._url, self.have, found, self._transferred)


def _check_status(url: str, response: requests.Response) -> None:
    status = response.status_code
    if status in {404, 410}:
        raise NotFoundError(f"{url} does not exist ({status})")
    if status in _AGAIN:
        raise _AgainError(f"the server answers {status} {response.reason}", _retry_after(response))
    if status in {401, 403}:
        raise SourceError(f"{url}: the server refuses access ({status})")
    if status not in {200, 206}:
        raise SourceError(f"{url}: the server answers {status} {response.reason}")


def _retry_after(response: requests.Response) -> float | None:
    """Seconds that the server asks to wait: given as a number, or as a date."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def existing(target: Path, expected: Expected) -> Fetched | None:
    """`target` if it lies here whole already, and is what is expected; it is read for that."""
    if not target.is_file():
        return None
    size, digest = target.stat().st_size, sha256_file(target)
    if expected.bytes not in (None, size) or expected.sha256 not in (None, digest):
        return None
    return Fetched("already in place", size, digest, 0)
