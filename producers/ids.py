"""Event ids: UUID version 7 (RFC 9562), which sort by the time they were made."""

from __future__ import annotations

import random
import threading
import time
import uuid

from producers.forking import after_fork

_lock = threading.Lock()
_last = 0
# Ids need to differ, not to be secret; this is seeded by the system, and asks it nothing afterwards.
_random = random.Random()  # noqa: S311

_COUNTER_BITS = 12


def uuid7() -> uuid.UUID:
    """A new UUID version 7; each is greater than the one before it in this process.

    48 bits of Unix milliseconds, then 12 bits of the fraction of the millisecond (RFC 9562, section 6.2, method 3),
    which are counted up where the clock stands still or goes back, then 62 random bits.
    """
    global _last
    now = time.time_ns()
    milliseconds, rest = divmod(now, 1_000_000)
    stamp = milliseconds << _COUNTER_BITS | (rest << _COUNTER_BITS) // 1_000_000
    with _lock:
        stamp = _last = max(stamp, _last + 1)
    high = stamp >> _COUNTER_BITS << 16 | 0x7000 | stamp & 0xFFF
    low = 0b10 << 62 | _random.getrandbits(62)
    return uuid.UUID(int=(high & (1 << 64) - 1) << 64 | low)


def _start_anew() -> None:
    global _lock
    _lock = threading.Lock()
    _random.seed()


after_fork(_start_anew)
