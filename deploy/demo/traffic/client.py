"""What every visitor of the demo has: an HTTP session, a pace, and patience while the demo is down."""

from __future__ import annotations

import random
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import requests

from deploy.demo.keys import Keys

#: The rate, in requests per second, that the pauses between the visitors' requests are written for.
WRITTEN_RATE = 5.0


class Stopped(Exception):
    """The traffic was told to stop."""


class Pace:
    """Keeps all visitors together below a rate: a bucket of tokens that a burst may empty."""

    def __init__(self, rate: float, stop: threading.Event) -> None:
        self.rate = rate
        self.stop = stop
        self._burst = max(40.0, rate)
        self._tokens = self._burst
        self._filled = time.monotonic()
        self._lock = threading.Lock()

    def take(self) -> None:
        """Wait for the right to make one request.

        Raises:
            Stopped: while waiting.
        """
        with self._lock:
            now = time.monotonic()
            self._tokens = min(self._burst, self._tokens + (now - self._filled) * self.rate) - 1
            self._filled = now
            missing = max(0.0, -self._tokens) / self.rate
        if self.stop.wait(missing):
            raise Stopped

    def pause(self, seconds: float) -> None:
        """Do nothing for so long at the written rate, shorter at a higher one.

        Raises:
            Stopped: while waiting.
        """
        if self.stop.wait(seconds * WRITTEN_RATE / self.rate):
            raise Stopped


class Visitor(ABC):
    """One who works with Krill. Subclasses say how: `work` does one thing after another and yields pauses."""

    user: ClassVar[str]
    agent: ClassVar[str]

    def __init__(self, base: str, keys: Keys, pace: Pace, seed: int) -> None:
        self.base = base
        self.keys = keys
        self.pace = pace
        self.rng = random.Random(f"{seed} {self.user}")
        self.http = requests.Session()

    def start(self) -> None:
        """Begin anew, with no cookies and no connections."""
        self.http.close()
        self.http = requests.Session()
        # No proxy, no ~/.netrc: nothing of the environment has a say in what is sent.
        self.http.trust_env = False
        self.http.headers["User-Agent"] = self.agent

    @abstractmethod
    def work(self) -> Iterator[float]:
        """Work, and yield how many seconds to pause, at the written rate."""

    def run(self) -> None:
        """Work until stopped; when the demo is away, or answers what makes no sense, start over later."""
        while True:
            try:
                self.start()
                for pause in self.work():
                    self.pace.pause(pause)
            except Stopped:
                return
            except (requests.RequestException, LookupError, ValueError):
                if self.pace.stop.wait(2):
                    return

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send one request, at most 20 seconds long, with an id that both sides can look up."""
        self.pace.take()
        headers = {
            "X-Request-ID": str(uuid.UUID(int=self.rng.getrandbits(128), version=4)),
            **options.pop("headers", {}),
        }
        return self.http.request(method, self.base + path, headers=headers, timeout=20, **options)

    def choose(self, *weighted: tuple[int, Any]) -> Any:
        """One of the things, by weight."""
        return self.rng.choices([thing for _, thing in weighted], [weight for weight, _ in weighted])[0]
