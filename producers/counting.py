"""What has happened to events in this process: counted always, warned about at most once a minute."""

from __future__ import annotations

import logging
import time

from producers.forking import after_fork

logger = logging.getLogger("producers")

#: Seconds between two warnings for the same reason.
WARN_EVERY = 60.0

_counters: dict[str, int] = {}
_warned: dict[str, float] = {}


def counters() -> dict[str, int]:
    """Events by what became of them, since this process started."""
    return dict(_counters)


def count(name: str, by: int = 1) -> None:
    """Add to a counter."""
    # Not locked: losing one of two increments at the very same moment is cheaper than a lock in every request.
    _counters[name] = _counters.get(name, 0) + by


def failed(reason: str, text: str, by: int = 1) -> None:
    """Count `reason`, and warn about it, yet at most once a minute."""
    count(reason, by)
    now = time.monotonic()
    if now - _warned.get(reason, -WARN_EVERY) >= WARN_EVERY:
        _warned[reason] = now
        logger.warning("Krill Logger: %s (%s, %d so far)", text, reason, _counters.get(reason, 0))


def forget() -> None:
    """Start from nothing, as a forked child does."""
    _counters.clear()
    _warned.clear()


after_fork(forget)
