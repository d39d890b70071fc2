"""`download.json`: what came from where; and beside it a list of every file with its sha256."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgc_data.downloads.http import Fetched
from pgc_data.errors import DataError
from pgc_data.storage.files import read_json, sha256_file, unwritable, write_json

NAME = "download.json"
# Lists and restart points; hidden from ingesters.
FOLDER = ".download"
_FORMAT = 1


def _public(url: str) -> str:
    """An address without the name and password that it may carry."""
    return re.sub(r"^(https?://)[^/@]*@", r"\1", url)


class Manifest:
    """The manifest of a raw folder; every change is written at once.

    A unit is what is got as one thing: an archive with its content, a plain file, a Kaggle dataset, a folder.
    """

    def __init__(self, raw: Path) -> None:
        """Reads the manifest of `raw`, or begins one.

        Raises:
            DataError: it cannot be read, or is of another version.
        """
        self.raw = raw
        self._path = raw / NAME
        self._data: dict[str, Any] = {"format": _FORMAT, "dataset": "", "release": None, "units": {}}
        if self._path.is_file():
            self._data = read_json(self._path)
            if not isinstance(self._data, dict) or self._data.get("format") != _FORMAT:
                raise DataError(
                    f"{self._path} is not of this version: remove it and run the same command again"
                )

    @property
    def units(self) -> dict[str, dict[str, Any]]:
        """Unit -> its facts."""
        units: dict[str, dict[str, Any]] = self._data["units"]
        return units

    def begin(self, dataset: str, release: str | None, facts: dict[str, Any]) -> None:
        """Says what the folder is for; `facts` are those of the licence.

        Raises:
            DataError: it holds another dataset, or another release of it.
        """
        # Of what failed before anything came, nothing is held.
        held = (self._data["dataset"], self._data["release"]) if self.units else ("", None)
        if held[0] not in ("", dataset) or (release and held[1] not in (None, release)):
            raise DataError(
                f"{self.raw} holds {' '.join(filter(None, held))}, which may not be mixed with "
                f"{' '.join(filter(None, (dataset, release)))}: choose another --name"
            )
        self._data.update(dataset=dataset, release=release or held[1], **facts)

    def begun_from(self, offer: str) -> str | None:
        """The kind of source from which an offer was begun, or had."""
        kind: str | None = self._data.setdefault("offers", {}).get(offer, {}).get("source")
        return kind

    def begin_offer(self, offer: str, source: str | None) -> None:
        """Records from where an offer is being got; None forgets it."""
        self._data.setdefault("offers", {})[offer] = {"source": source, "units": []}
        write_json(self._path, self._data)

    def finish_offer(self, offer: str, units: list[str]) -> None:
        """Records the units that make an offer."""
        self._data["offers"][offer]["units"] = units
        write_json(self._path, self._data)

    def finished_units(self, offer: str) -> list[str]:
        """The units of an offer that is wholly in its place; none where it is not."""
        units: list[str] = self._data.setdefault("offers", {}).get(offer, {}).get("units", [])
        return units if all(map(self.is_done, units)) else []

    def is_done(self, unit: str) -> bool:
        """Whether a unit is wholly in its place."""
        return bool(self.units.get(unit, {}).get("done"))

    def is_suspect(self, unit: str) -> bool:
        """Whether files of a unit were found damaged since, so that their sizes prove nothing."""
        return bool(self.units.get(unit, {}).get("damaged"))

    def origin(self, unit: str, name: str) -> dict[str, Any] | None:
        """Where file `name` of a unit came from, if it came."""
        found: dict[str, Any] | None = self.units.get(unit, {}).get("from", {}).get(name)
        return found

    def add_origin(self, unit: str, source: str, name: str, fetched: Fetched) -> None:
        """Records a file that came whole."""
        entry = self.units.setdefault(unit, {"source": source, "done": False, "from": {}})
        entry["source"] = source
        entry["from"][name] = {"url": _public(fetched.url), "bytes": fetched.bytes, "sha256": fetched.sha256}
        write_json(self._path, self._data)

    def finish(self, unit: str, source: str, listing: Listing, facts: dict[str, Any]) -> None:
        """Records that a unit is wholly in its place."""
        entry = self.units.setdefault(unit, {"source": source, "from": {}})
        entry.pop("damaged", None)
        counts = {"files": listing.files, "bytes": listing.bytes, "list": listing.name}
        entry.update({"source": source, "done": True, **counts, **facts})
        write_json(self._path, self._data)

    def damage(self, unit: str, count: int) -> None:
        """Records that `count` files of a unit are damaged or missing: the next run gets it again."""
        self.units[unit].update(done=False, damaged=count)
        write_json(self._path, self._data)


class Listing:
    """The files of one unit, a line each as `sha256sum` writes them: `sha256sum -c` checks them too."""

    def __init__(self, raw: Path, unit: str, offset: int = 0, files: int = 0, bytes: int = 0) -> None:
        """Begins the list of `unit`, or goes on with the first `offset` bytes of one that was stopped.

        Raises:
            DataError: it cannot be written.
        """
        self.name = f"{FOLDER}/{re.sub(r'[^A-Za-z0-9._-]', '_', unit)}.sha256"
        self._final = raw / self.name
        self._path = self._final.with_name(f"{self._final.name}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = self._path.open("r+b" if offset else "wb")
            self._handle.truncate(offset)
            self._handle.seek(offset)
        except OSError as error:
            raise unwritable(self._path, error) from error
        self.files, self.bytes = files, bytes

    def add(self, path: str, size: int, sha256: str) -> None:
        """Adds a file; `path` is relative to the raw folder."""
        self._handle.write(f"{sha256}  {path}\n".encode())
        self.files += 1
        self.bytes += size

    def sync(self) -> int:
        """Makes everything written so far last through a power cut; returns the size of the list in bytes."""
        self._handle.flush()
        if hasattr(os, "sync"):
            os.sync()
        return self._handle.tell()

    def finish(self) -> None:
        """Syncs, and gives the list its name."""
        self.sync()
        self._handle.close()
        self._path.replace(self._final)

    def close(self) -> None:
        """Leaves the list unfinished."""
        self._handle.close()


@dataclass(frozen=True)
class Checked:
    """One file that was checked: `state` is whole, changed or missing."""

    unit: str
    path: str
    state: str
    bytes: int


def check(manifest: Manifest) -> Iterator[Checked]:
    """Hashes every file of the manifest's finished units again.

    Raises:
        DataError: a list is missing.
    """
    for unit, facts in manifest.units.items():
        if not facts["done"]:
            continue
        path = manifest.raw / facts["list"]
        try:
            handle = path.open(encoding="utf-8")
        except OSError as error:
            raise DataError(f"{path} is missing: remove {manifest.raw / NAME} and download again") from error
        with handle:
            for line in handle:
                digest, name = line.rstrip("\n").split("  ", 1)
                yield _checked(manifest.raw, unit, name, digest)


def _checked(raw: Path, unit: str, name: str, digest: str) -> Checked:
    file = raw / name
    if not file.is_file():
        return Checked(unit, name, "missing", 0)
    state = "whole" if sha256_file(file) == digest else "changed"
    return Checked(unit, name, state, file.stat().st_size)
