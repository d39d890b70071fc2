from __future__ import annotations

import threading

import pytest

from pgc_data.hands.prefetch import ahead


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


class Counted:
    """A generator of 0, 1, 2 ... that tells how far it got, and whether it was closed."""

    def __init__(self, count, fails=None):
        self.made, self.closed, self.stopped = 0, False, threading.Event()
        self._count, self._fails = count, fails

    def __call__(self):
        try:
            for number in range(self._count):
                if number == self._fails:
                    raise OSError("no more")
                self.made += 1
                yield number
        finally:
            self.closed = True
            self.stopped.set()


@pytest.mark.parametrize("limit", [0, 1, 10, 10_000])
@pytest.mark.parametrize("count", [0, 1, 500])
def test_everything_comes_in_order_whatever_the_limit(count, limit):
    assert list(ahead(Counted(count)(), lambda number: 1, limit)) == list(range(count))
    assert not threads()


def test_no_more_is_made_ahead_than_the_limit_allows():
    counted, most = Counted(200), 0
    for taken, _ in enumerate(ahead(counted(), lambda number: 10, 50), 1):
        # Those taken, five that wait, and one that waits for room.
        most = max(most, counted.made - taken)
    assert 1 <= most <= 6


def test_what_is_larger_than_the_limit_goes_alone():
    assert list(ahead(Counted(5)(), lambda number: 100, 50)) == list(range(5))


def test_an_error_comes_after_what_was_made_before_it():
    counted, seen = Counted(9, fails=4), []
    with pytest.raises(OSError, match="no more"):
        seen.extend(iter_into(ahead(counted(), lambda number: 1, 100), seen))
    assert seen == [0, 1, 2, 3]
    assert counted.closed
    assert not threads()


def iter_into(items, seen):
    for item in items:
        seen.append(item)
    return []


def test_closed_early_it_leaves_no_thread_and_closes_what_it_reads():
    counted = Counted(1_000_000)
    items = ahead(counted(), lambda number: 1, 3)
    assert next(items) == 0
    items.close()
    assert counted.closed
    assert counted.made < 10
    assert not threads()


def test_what_is_never_begun_starts_no_thread():
    ahead(Counted(3)(), lambda number: 1, 3).close()
    assert not threads()
