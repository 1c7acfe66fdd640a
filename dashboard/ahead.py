"""Makes the next while the last is used, in a thread."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, none of which is None; there are at most two of them at a time, the one in use and the next."""
    thread = ThreadPoolExecutor(1, "ahead")
    try:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item
    finally:
        # Nobody waits for what nobody wants any more.
        thread.shutdown(wait=False, cancel_futures=True)
