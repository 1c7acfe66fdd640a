"""What a request leaves to a thread behind it: done in order, many at once, twenty times a second.

It takes about as much of the processor there, but none of the request's time. Nobody is waked for it while there is
traffic, and what is left when a process ends is done then.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from producers import forking
from producers.counting import failed

#: Between two rounds, in seconds.
_PAUSE = 0.05
#: Rounds without anything to do after which the thread sleeps until there is something.
_IDLE_ROUNDS = 50
#: A round goes on for so long, in seconds; then the requests, which wait for Python's interpreter, have their turn.
_TURN = 0.00025
#: If more is left than this, or the thread stands still for so long, requests do their share of it.
_MOST = 256
_STALLED_SECONDS = 1.0

_Job = tuple[Callable[..., object], tuple[Any, ...]]


def do(function: Callable[..., object], *args: Any) -> None:
    """Have `function(*args)` called soon, and once; nothing that it is given may be changed any more."""
    forking.check()
    (_worker or _begin()).add((function, args))


def finish() -> None:
    """Do all that is left, now. Never call this in a request."""
    forking.check()
    if _worker is not None:
        _worker.finish()


class _Worker:
    """The thread of one process."""

    def __init__(self) -> None:
        self.jobs: deque[_Job] = deque()
        self.awake = threading.Event()
        self.working = threading.Lock()
        self.worked = 0.0
        threading.Thread(target=self.run, name="krill-logger-later", daemon=True).start()

    def add(self, job: _Job) -> None:
        jobs = self.jobs
        left = len(jobs)
        if left >= 2 * _MOST:  # nobody gets round to it: memory is bounded, the order is not kept
            _do(job)
            return
        jobs.append(job)
        if not self.awake.is_set():
            self.worked = time.monotonic()
            self.awake.set()
        elif left > _MOST or time.monotonic() - self.worked > _STALLED_SECONDS:
            self.work(2)

    def run(self) -> None:
        idle = 0
        while True:
            if not self.jobs:
                idle += 1
                if idle > _IDLE_ROUNDS:
                    self.awake.clear()
                    if not self.jobs:
                        self.awake.wait()
                    self.awake.set()
            time.sleep(_PAUSE)
            self.worked = time.monotonic()
            left = len(self.jobs)
            while left > 0:
                idle = 0
                left -= self.work(_MOST, _TURN)
                if left > 0:
                    time.sleep(_TURN)

    def work(self, most: int, seconds: float = 1.0) -> int:
        """Do some of it, unless somebody else does: then nothing is left to do. How many jobs were done."""
        if not self.working.acquire(blocking=False):
            return most
        try:
            until = time.monotonic() + seconds
            for done in range(most):
                if not self.jobs:
                    return most
                _do(self.jobs.popleft())
                if time.monotonic() > until:
                    return done + 1
            return most
        finally:
            self.working.release()

    def finish(self) -> None:
        with self.working:
            while self.jobs:
                _do(self.jobs.popleft())


def _do(job: _Job) -> None:
    function, args = job
    try:
        function(*args)
    except Exception as error:
        failed("capture_errors", f"a request could not be recorded: {error!r}")


_lock = threading.Lock()
_worker: _Worker | None = None


def _begin() -> _Worker:
    global _worker
    with _lock:
        if _worker is None:
            _worker = _Worker()
        return _worker


def _forget_after_fork() -> None:
    """What the parent has left is the parent's."""
    global _lock, _worker
    _lock = threading.Lock()
    _worker = None


forking.after_fork(_forget_after_fork)
