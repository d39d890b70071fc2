"""Paths on this machine, and those of an object store, such as `s3://bucket/folder`, that are used alike."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from pgc_data.errors import ConfigError, DataError

# Stores where a file is there when its upload is complete, not before: protocol -> package that speaks it.
STORES = {
    "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "abfss": "adlfs", "az": "adlfs",
    "memory": "fsspec",
}  # fmt: skip
# Other runs write while this one does: what was listed once may have changed. Parts of an upload are in memory.
_OPTIONS: dict[str, dict[str, Any]] = {"s3fs": {"max_concurrency": 4}}
_ROOTS = frozenset(f"{protocol}:" for protocol in STORES)
# Fetched at a time of a file that is read from end to end.
_READ_BYTES = 8 << 20


class StoreError(DataError):
    """An object store refuses, cannot be reached, or fails: nothing is known of what is in it."""


def as_path(text: str) -> Path:
    """The path that a text means: in an object store where it begins with `s3://` or the like, else on this machine.

    Args:
        text: as `data/raw` or `s3://bucket/prefix`.

    Returns:
        A `Path`, or a `RemotePath`, which has of its methods those that pgc-data uses.

    Raises:
        ConfigError: a file system that is not known, or no bucket.
    """
    protocol, scheme, rest = text.partition("://")
    if not scheme:
        return Path(text)
    if protocol not in STORES:
        raise ConfigError(
            f"{text} is on {protocol!r}, which pgc-data cannot write to: give a folder of this machine, or a path "
            f"that begins with {', '.join(f'{name}://' for name in STORES if name != 'memory')}"
        )
    if not rest.strip("/"):
        raise ConfigError(f"{text} names no bucket: write {protocol}://BUCKET/FOLDER")
    # The methods that it lacks are those that no code meets that may be given either.
    return cast(Path, RemotePath(text))


def remote_of(path: Path) -> RemotePath | None:
    """The path as what it is, if it is in an object store, else None."""
    found: object = path
    return found if isinstance(found, RemotePath) else None


@dataclass(frozen=True)
class RemoteStat:
    """What `RemotePath.stat` knows: `st_size`, bytes."""

    st_size: int


class RemotePath(PurePosixPath):
    """A path in an object store, read through fsspec.

    It is joined, compared and taken apart as any path. There are no folders in such a store: one is there as long as
    a file is in it. It is not accepted where a file of this machine must be given, such as by `open`.

    Example:
        >>> RemotePath("s3://bucket/data") / "raw" / "ipn"
        RemotePath('s3://bucket/data/raw/ipn')
    """

    __slots__ = ()

    def __str__(self) -> str:
        if not self.is_absolute():
            return "/".join(self.parts) or "."
        return f"{self.parts[0]}//{'/'.join(self.parts[1:])}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __fspath__(self) -> str:
        raise TypeError(f"{self} is not on this machine: this step can only use a local file")

    def as_posix(self) -> str:
        """The path as text."""
        return str(self)

    def is_absolute(self) -> bool:
        """Whether it begins with the name of a store."""
        return self.parts[:1] != () and self.parts[0] in _ROOTS

    def is_relative_to(self, other: Any, *more: Any) -> bool:
        """Whether it lies below `other`, which a path of this machine never is."""
        return isinstance(other, RemotePath) and super().is_relative_to(other, *more)

    def resolve(self) -> RemotePath:
        """Itself: a store has no links."""
        return self

    def absolute(self) -> RemotePath:
        """Itself."""
        return self

    @property
    def protocol(self) -> str:
        """Name of the kind of store, such as s3."""
        return self.parts[0].removesuffix(":")

    @property
    def filesystem(self) -> Any:
        """The fsspec file system that it is on.

        Raises:
            ConfigError: the package that speaks to it is not installed.
        """
        return _filesystem(self.protocol)

    def stat(self) -> RemoteStat:
        """Its size.

        Raises:
            FileNotFoundError: it is not there.
            StoreError: see `explained`.
        """
        info = self._info()
        if info is None:
            raise FileNotFoundError(errno.ENOENT, "No such file", str(self))
        return RemoteStat(int(info["size"] or 0))

    def exists(self) -> bool:
        """Whether there is such a file, or a file below it."""
        return self._info() is not None

    def is_file(self) -> bool:
        """Whether there is such a file."""
        info = self._info()
        return info is not None and info["type"] == "file"

    def is_dir(self) -> bool:
        """Whether there is a file below it."""
        info = self._info()
        return info is not None and info["type"] == "directory"

    def _info(self) -> dict[str, Any] | None:
        with explained(self):
            try:
                found: dict[str, Any] = self.filesystem.info(str(self))
            except FileNotFoundError as error:
                if error_code(error) == "NoSuchBucket":
                    raise
                return None
        return found

    def entries(self) -> Iterator[tuple[str, bool]]:
        """Name of everything right below it, and whether that is a folder.

        Raises:
            FileNotFoundError: there is no file below it.
            StoreError: see `explained`.
        """
        with explained(self):
            found = self.filesystem.ls(str(self), detail=True)
        own = self.filesystem._strip_protocol(str(self)).strip("/")
        for item in found:
            # Some tools mark a folder by an empty file of its name, which is listed as if it were below itself.
            if (name := item["name"].strip("/")) != own:
                yield name.rpartition("/")[2], item["type"] == "directory"

    def iterdir(self) -> Iterator[RemotePath]:
        """Everything right below it; see `entries`."""
        return (self / name for name, _ in self.entries())

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """What lies below it, where each part between slashes matches that of `pattern`."""
        first, _, rest = pattern.partition("/")
        try:
            found = list(self.entries())
        except FileNotFoundError:
            return
        for name, folder in found:
            if not fnmatchcase(name, first):
                continue
            if not rest:
                yield self / name
            elif folder:
                yield from (self / name).glob(rest)

    def read_bytes(self) -> bytes:
        """All of the file.

        Raises:
            FileNotFoundError: it is not there.
            StoreError: see `explained`.
        """
        with explained(self):
            data: bytes = self.filesystem.cat_file(str(self))
        return data

    def read_text(self, encoding: str = "utf-8") -> str:
        """All of the file, as text."""
        return self.read_bytes().decode(encoding)

    def open(self, mode: str = "r", encoding: str | None = None) -> IO[Any]:
        """Opens the file for reading: `r` as text, read at once, or `rb`, read in pieces."""
        if mode == "rb":
            with explained(self):
                handle: IO[Any] = self.filesystem.open(str(self), "rb", block_size=_READ_BYTES)
            return handle
        return io.TextIOWrapper(io.BytesIO(self.read_bytes()), encoding or "utf-8")

    def unlink(self, missing_ok: bool = False) -> None:
        """Removes the file."""
        with explained(self):
            try:
                self.filesystem.rm_file(str(self))
            except FileNotFoundError as error:
                if not missing_ok or error_code(error) == "NoSuchBucket":
                    raise

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
        """Does nothing: a folder is there when a file is in it."""


@cache
def _filesystem(protocol: str) -> Any:
    package = STORES[protocol]
    try:
        fsspec = importlib.import_module("fsspec")
        importlib.import_module(package)
    except ImportError as error:
        how = "pip install 'pgc-data[s3]'" if package == "s3fs" else f"pip install {package}"
        raise ConfigError(f"{protocol}:// paths need the package {package}: {how}") from error
    return fsspec.filesystem(protocol, use_listings_cache=False, **_OPTIONS.get(package, {}))


if hasattr(os, "register_at_fork"):
    # Their connections and event loops do not survive a fork, by which data loaders start their workers.
    os.register_at_fork(after_in_child=_filesystem.cache_clear)


@contextmanager
def explained(path: Path | RemotePath) -> Iterator[None]:
    """Turns what a store answers into errors that say what to do; keys and secrets never stand in them.

    Has no effect for a path of this machine.

    Raises:
        FileNotFoundError: as it comes, unless the bucket itself is missing.
        StoreError: no credentials, refused, no such bucket, not reached, or another failure of the store.
    """
    if not isinstance(path, RemotePath):
        yield
        return
    try:
        yield
    except FileNotFoundError as error:
        if error_code(error) == "NoSuchBucket":
            raise StoreError(
                f"there is no bucket {_bucket(path)}: make it first, or mend its name (endpoint: AWS_ENDPOINT_URL)"
            ) from error
        raise
    except PermissionError as error:
        code = error_code(error) or "access denied"
        raise StoreError(
            f"{_bucket(path)} refuses access to {path} ({code}): check the credentials, and what they allow"
        ) from error
    except Exception as error:
        if not _is_of_store(error):
            raise
        raise _store_error(path, error) from error


def _store_error(path: RemotePath, error: Exception) -> StoreError:
    name = type(error).__name__
    if "Credentials" in name or name in ("ProfileNotFound", "TokenRetrievalError"):
        return StoreError(
            f"no usable credentials for {_bucket(path)} ({name}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "AWS_PROFILE"
        )
    if "Connect" in name or "Timeout" in name or "EndpointURL" in name:
        return StoreError(
            f"{_bucket(path)} cannot be reached ({name}): check the network and AWS_ENDPOINT_URL, then run the same "
            "command again"
        )
    reason = error_code(error) or getattr(error, "strerror", None) or name
    return StoreError(f"{path} failed ({reason}): run the same command again; what is finished is kept")


def _bucket(path: RemotePath) -> str:
    return f"{path.parts[0]}//{path.parts[1]}"


def _is_of_store(error: Exception) -> bool:
    if isinstance(error, OSError):
        # Without a number it is pyarrow's, on what a file holds.
        return error.errno is not None or isinstance(error, TimeoutError | ConnectionError)
    # Those of botocore have a base of their own; asked for where it was loaded, as it comes with an extra.
    module = sys.modules.get("botocore.exceptions")
    return module is not None and isinstance(error, module.BotoCoreError)


def error_code(error: BaseException) -> str | None:
    """The word of a store for an error, such as NoSuchBucket; None where it gave none."""
    response = getattr(error.__cause__, "response", None) or getattr(error, "response", None)
    return str(response["Error"]["Code"]) if isinstance(response, dict) and "Error" in response else None
