"""Two independent questions, asked at the same time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def both(first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """The answers. The second question knows the current request, too, and so whose turn it takes.

    Raises:
        Whatever a question raises, when both have ended.
    """
    with ThreadPoolExecutor(1, "both") as thread:
        answer = thread.submit(copy_context().run, second)
        return first(), answer.result()
