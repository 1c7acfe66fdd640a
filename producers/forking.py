"""What must begin anew in a forked child: threads, locks and sockets of the parent are of no use there."""

from __future__ import annotations

import os
from collections.abc import Callable

_resets: list[Callable[[], None]] = []
_pid = os.getpid()


def after_fork(reset: Callable[[], None]) -> None:
    """Have `reset` called in every child, before anything is published there."""
    _resets.append(reset)


def check() -> None:
    """Reset what belongs to the parent, if this is a child. Python does so by itself; uWSGI forks past Python."""
    global _pid
    pid = os.getpid()
    if pid != _pid:
        _pid = pid
        for reset in _resets:
            reset()


os.register_at_fork(after_in_child=check)
