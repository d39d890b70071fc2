from __future__ import annotations

import io
from functools import partial

import pytest

from pgc_data import progress
from pgc_data.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    """Time as it is told: `clock.now`."""

    class Clock:
        now = 100.0

    monkeypatch.setattr(progress.time, "monotonic", lambda: Clock.now)
    return Clock


def test_a_log_gets_a_line_now_and_then_with_rates_and_what_is_left(clock):
    log = io.StringIO()
    with Progress("extract", 4000, "frames", log) as shown:
        clock.now += 5
        shown.add(500, "0 dropped", hands=100)
        assert log.getvalue() == ""
        clock.now += 15
        shown.add(500, "3 dropped", hands=900)
        clock.now += 1
        shown.add(1000, hands=1)
    assert log.getvalue() == (
        "extract: 1,000 of 4,000 frames (25%), 50/s, 60 s left; 1,000 hands (50/s), 3 dropped\n"
    )


def test_a_terminal_gets_a_bar(monkeypatch, clock):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(progress, "tqdm", partial(progress.tqdm, mininterval=0))
    terminal = Terminal()
    with Progress("extract", 100, "frames", terminal) as shown:
        clock.now += 10
        shown.add(50, "1 dropped", hands=20)
    assert "20 hands (2/s), 1 dropped" in terminal.getvalue()


def test_without_a_standard_error_nothing_is_shown(monkeypatch, clock):
    monkeypatch.setattr(progress.sys, "stderr", None)
    with Progress("extract", 100, "frames") as shown:
        clock.now += 60
        shown.add(50, hands=20)
