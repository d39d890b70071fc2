"""Progress: a bar with rate and ETA on a terminal, a plain line now and then in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Counts units of work done and shows them on standard error.

    Example:
        >>> with Progress("extract", total=2, unit="frames") as progress:  # doctest: +SKIP
        ...     progress.add(2)
    """

    def __init__(self, title: str, total: int, unit: str, stream: TextIO | None = None) -> None:
        """Starts at 0 of `total` units."""
        # A process started without a standard error has None there.
        self._stream: TextIO | None = stream or sys.stderr
        self._title, self._total, self._unit = title, total, unit
        self._done = 0
        self._more: dict[str, int] = {}
        self._start = self._last = time.monotonic()
        self._bar = (
            tqdm(total=total, desc=title, unit=f" {unit}", file=self._stream, dynamic_ncols=True, leave=False)
            if self._stream is not None and self._stream.isatty()
            else None
        )

    def add(self, count: int, note: str = "", **more: int) -> None:
        """Counts `count` more units.

        Args:
            count: units done since the last call.
            note: shown behind the bar.
            more: other things counted, each shown with its own rate: `hands=12`.
        """
        self._done += count
        for name, value in more.items():
            self._more[name] = self._more.get(name, 0) + value
        now = time.monotonic()
        note = ", ".join(filter(None, [*self._rates(now), note]))
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(count)
            return
        if now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            self._line(now, note)

    def _rates(self, now: float) -> list[str]:
        seconds = max(now - self._start, 1e-9)
        return [f"{value:,} {name} ({value / seconds:,.0f}/s)" for name, value in self._more.items()]

    def _line(self, now: float, note: str) -> None:
        rate = self._done / max(now - self._start, 1e-9)
        left = (self._total - self._done) / rate if rate > 0 else 0.0
        share = self._done / self._total if self._total else 1.0
        if self._stream is None:
            return
        self._stream.write(
            f"{self._title}: {self._done:,} of {self._total:,} {self._unit} ({share:.0%}), "
            f"{rate:,.0f}/s, {left:,.0f} s left{'; ' + note if note else ''}\n"
        )
        self._stream.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
