"""What a stage reports when it has done its job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Summary(Protocol):
    """A stage's result: for people as lines, for machines as a dictionary."""

    @property
    def exit_code(self) -> int:
        """0 when the stage did its job and found nothing wrong."""

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values."""

    def lines(self) -> list[str]:
        """The result as lines of text."""


@dataclass(frozen=True)
class Plan:
    """What a dry run says: what a stage would read and write, and how long it expects.

    Attributes:
        reads: files and folders.
        writes: files and folders.
        work: how much there is to do, in words.
    """

    reads: tuple[Path, ...]
    writes: tuple[Path, ...]
    work: str
    exit_code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return {
            "dry_run": True,
            "reads": [str(path) for path in self.reads],
            "writes": [str(path) for path in self.writes],
            "work": self.work,
        }

    def lines(self) -> list[str]:
        """The plan as lines of text."""
        return [
            *(f"would read   {path}" for path in self.reads),
            *(f"would write  {path}" for path in self.writes),
            f"work         {self.work}",
            "nothing was written (--dry-run)",
        ]


def aligned(rows: Sequence[Sequence[object]], indent: str = "  ") -> list[str]:
    """Rows as aligned columns: columns with a number to the right, the others to the left."""
    columns = list(zip(*rows, strict=True))
    right = [any(isinstance(cell, int | float) for cell in column) for column in columns]
    text = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*text, strict=True)]
    return [
        (
            indent
            + "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True))
        ).rstrip()
        for row in text
    ]
