"""What `download` says: before it starts, when it is done, and when it has checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgc_data.downloads.estimate import Estimate, readable
from pgc_data.downloads.manifest import NAME


@dataclass(frozen=True)
class DownloadPlan:
    """What `download` would do, and what it shows before it starts.

    Attributes:
        offer: what is got; None where it comes from a folder.
        subsets: subset -> what it is, of the dataset.
        licence: name, URL and summary of the licence, and whether it must be accepted.
        sources: kind and place of each source, in the order they are tried.
        files: known files: name -> bytes, None where unpublished.
        estimates: for each source.
        folder: raw folder.
    """

    offer: str
    subsets: Mapping[str, str]
    licence: Mapping[str, Any]
    sources: tuple[str, ...]
    files: Mapping[str, int | None]
    estimates: tuple[Estimate, ...]
    folder: Path
    exit_code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON values."""
        sources = [
            {"source": source, "transfer_bytes": e.transfer, "disk_bytes": e.disk, "free_bytes": e.free}
            for source, e in zip(self.sources, self.estimates, strict=True)
        ]
        return {
            "dry_run": True, "offer": self.offer, "subsets": dict(self.subsets), "licence": dict(self.licence),
            "sources": sources, "files": dict(self.files), "folder": str(self.folder),
        }  # fmt: skip

    def announcement(self) -> list[str]:
        """What is shown before anything is transferred."""
        accept = " (must be accepted: --accept-license)" if self.licence["must_accept"] else ""
        lines = [
            f"{self.offer} into {self.folder}",
            f"licence: {self.licence['name']}{accept}: {self.licence['summary']} ({self.licence['url']})",
        ]
        for source, expected in zip(self.sources, self.estimates, strict=True):
            lines += [f"source: {source}", *(f"  {line}" for line in expected.lines())]
        return lines

    def lines(self) -> list[str]:
        """The plan as lines of text."""
        sizes = [f"  {name}  {'unpublished' if n is None else readable(n)}" for name, n in self.files.items()]
        return [
            *self.announcement(),
            *(["files:", *sizes] if sizes else []),
            "subsets (--subset): ",
            *(f"  {name}: {what}" for name, what in self.subsets.items()),
            "nothing was transferred (--dry-run)",
        ]


@dataclass(frozen=True)
class DownloadSummary:
    """What `download` got.

    Attributes:
        offer: dataset and subset.
        folder: raw folder.
        source: that gave it; None where everything was there already.
        files: files put in their place in this run, by how.
        transferred: bytes that came over the network in this run.
        there: bytes that were in their place before.
        failed: sources that failed before it, with the reason.
        note: what the user has to know about the source.
    """

    offer: str
    folder: Path
    source: str | None
    files: Mapping[str, int]
    transferred: int
    there: int
    failed: tuple[str, ...] = ()
    note: str = ""
    exit_code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "offer": self.offer, "folder": str(self.folder), "source": self.source, "files": dict(self.files),
            "bytes_transferred": self.transferred, "bytes_there_before": self.there, "failed": list(self.failed),
            "note": self.note,
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The result as lines of text."""
        files = ", ".join(f"{count:,} {how}" for how, count in self.files.items()) or "nothing to do"
        return [
            f"{self.offer} in {self.folder}" + (f" from {self.source}" if self.source else ""),
            f"  files: {files}",
            f"  {readable(self.transferred)} transferred, {readable(self.there)} there before",
            *(f"  failed: {reason}" for reason in self.failed),
            *([f"  note: {self.note}"] if self.note else []),
            f"  {self.folder / NAME} says what came from where; --verify checks it",
        ]


@dataclass(frozen=True)
class VerifySummary:
    """What `download --verify` found.

    Attributes:
        folder: raw folder.
        whole: files that are as they came.
        bytes: of these.
        bad: unit -> changed and missing files, the first of them.
        bad_files: how many there are.
        unfinished: units that have not wholly come.
    """

    folder: Path
    whole: int
    bytes: int
    bad: Mapping[str, list[str]]
    bad_files: int
    unfinished: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """1 where something is damaged, missing or unfinished."""
        return int(bool(self.bad or self.unfinished))

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "folder": str(self.folder), "whole": self.whole, "bytes": self.bytes, "bad_files": self.bad_files,
            "bad": dict(self.bad), "unfinished": list(self.unfinished),
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The result as lines of text."""
        named = [f"  {unit}: {what}" for unit, files in self.bad.items() for what in files]
        more = self.bad_files - len(named)
        return [
            f"{self.folder}: {self.whole:,} files ({readable(self.bytes)}) are as they came, {self.bad_files:,} not",
            *named,
            *([f"  ... and {more:,} more"] if more > 0 else []),
            *(f"  unfinished: {unit}" for unit in self.unfinished),
            *(["run the same command without --verify to mend it"] if self.exit_code else []),
        ]
