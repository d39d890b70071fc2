"""Work that runs ahead of its use, in a thread of its own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Generic, TypeVar

T = TypeVar("T")


class _Queue(Generic[T]):
    """Hands items from one thread to another, as long as those in between are not too large together."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, 0
        self._items: deque[tuple[T, int]] = deque()
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._ended = self._closed = False

    def put(self, item: T, size: int) -> bool:
        """Waits for room; an item larger than all of it gets in alone. Whether more is wanted."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or not self._items or self._held + size <= self._limit
            )
            self._items.append((item, size))
            self._held += size
            self._changed.notify_all()
            return not self._closed

    def end(self, error: BaseException | None) -> None:
        """Nothing more comes."""
        with self._changed:
            self._error, self._ended = error, True
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing more is wanted."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._ended)
                if not self._items:
                    break
                item, size = self._items.popleft()
                self._held -= size
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error


def ahead(items: Generator[T, None, None], size: Callable[[T], int], limit: int) -> Generator[T, None, None]:
    """The same items in the same order, made ahead by a thread.

    Args:
        items: a generator; runs in the thread, and is closed there.
        size: bytes of an item.
        limit: bytes that may be waiting; one item more is being made, and one is in use.

    Raises:
        BaseException: whatever `items` raised, after the items before it.
    """
    queue: _Queue[T] = _Queue(limit)

    def work() -> None:
        error = None
        try:
            with closing(items):
                for item in items:
                    if not queue.put(item, size(item)):
                        break
        except BaseException as raised:  # noqa: BLE001  # raised again where the items are used
            error = raised
        queue.end(error)

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        yield from queue
    finally:
        queue.close()
        thread.join()
