"""What must begin anew in a forked child: threads, locks and sockets of the parent are of no use there."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

_resets: list[Callable[[], None]] = []
_pid = os.getpid()
_locks: dict[int, threading.Lock] = {}


def after_fork(reset: Callable[[], None]) -> None:
    """Have `reset` called in every child, before anything is published there."""
    _resets.append(reset)


def check() -> None:
    """Reset what belongs to the parent, if this is a child. Python does so by itself; uWSGI may fork past Python."""
    global _pid
    pid = os.getpid()
    if pid == _pid:
        return
    # Two threads may come first in a child. Their lock is new there: the parent's may have been held as it forked.
    with _locks.setdefault(pid, threading.Lock()):
        if pid != _pid:
            for reset in _resets:
                reset()
            _pid = pid
            _locks.clear()


os.register_at_fork(after_in_child=check)
