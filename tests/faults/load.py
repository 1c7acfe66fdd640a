"""A producer that remembers what Kafka acknowledged: both kinds of event, and a few bad messages."""

from __future__ import annotations

import datetime as dt
import json
import random
import threading
import time
import uuid
from typing import Any, Literal

from confluent_kafka import KafkaException, Producer

from schemas import topics
from schemas.settings import Settings

Kind = Literal["api request", "admin change", "bad message"]
KINDS: tuple[Kind, ...] = ("api request", "admin change", "bad message")
#: How many of each kind, in a thousand.
SHARES = (840, 150, 10)
#: One event in so many is of the month before, so that an insert touches two of the table's partitions.
LATE_ONE_IN = 50

USERS = [f"user{number}" for number in range(7)]
PATHS = ["/api/v2/isp/cpes/", "/api/v2/isp/customers/17/", "/api/v2/isp/cpes/259/reboot/", "/api/v1/pots/3/"]


class Load(threading.Thread):
    """Sends events at a steady rate from `start()` to `stop()`.

    Every event has a number, counted from 0, which is its `request_id` (or stands in the text of a bad message).

    Attributes:
        acknowledged: by number, whether Kafka acknowledged it.
        idle: (topic, partition) to which nothing is sent for now.
    """

    def __init__(self, settings: Settings, rate: float, seed: int) -> None:
        super().__init__(name="load", daemon=True)
        self.acknowledged = bytearray()
        self.idle: frozenset[tuple[str, int]] = frozenset()
        self.failed = 0
        self._partitions = range(settings.partitions)
        self._rate = rate
        self._random = random.Random(seed)
        self._stopping = threading.Event()
        self._sending = threading.Lock()
        self._producer = Producer(
            settings.kafka(
                acks="all",
                enable_idempotence=True,
                linger_ms=20,
                message_timeout_ms=0,  # never given up
                queue_buffering_max_messages=1_000_000,
            )
            | {"log_level": 0}
        )

    @property
    def number(self) -> int:
        """How many events were sent."""
        return len(self.acknowledged)

    def run(self) -> None:
        """Send, in steps of a fiftieth of a second."""
        started, due = time.monotonic(), 0.0
        while not self._stopping.is_set():
            due += self._rate / 50
            with self._sending:
                while self.number < due:
                    self._send(self.number)
            self._producer.poll(0)
            time.sleep(max(0.0, started + due / self._rate - time.monotonic()))
            if time.monotonic() - started > due / self._rate + 1:  # it was held up: not all at once afterwards
                started = time.monotonic() - due / self._rate

    def stop(self, seconds: float = 60.0) -> None:
        """Send no more, and wait until Kafka acknowledged what was sent.

        Raises:
            RuntimeError: it did not, or the load had failed before.
        """
        alive = self.is_alive()
        self._stopping.set()
        self.join()
        if not alive:
            raise RuntimeError("the load ended by itself")
        self.flush(seconds)

    def flush(self, seconds: float = 60.0) -> None:
        """Wait until Kafka acknowledged what was sent. Raises: RuntimeError if it does not."""
        if left := self._producer.flush(seconds):
            raise RuntimeError(f"Kafka did not acknowledge {left} events within {seconds:.0f} s")

    def rest(self, idle: frozenset[tuple[str, int]]) -> None:
        """Send nothing to these partitions from now on."""
        with self._sending:
            self.idle = idle

    def _send(self, number: int) -> None:
        kind = self._random.choices(range(len(KINDS)), SHARES)[0]
        topic = (topics.API_REQUESTS, topics.ADMIN_CHANGES)[kind if kind < 2 else self._random.randrange(2)]
        partition = self._random.choice(self._partitions)
        value = self._value(number, KINDS[kind])
        self.acknowledged.append(0)
        while (topic, partition) not in self.idle:
            try:
                self._producer.produce(
                    topic, value, self._random.choice(USERS), partition, on_delivery=self._delivered(number)
                )
                return
            except (KafkaException, BufferError):  # a topic that was made again is not known yet; the broker is away
                self._producer.poll(0.1)

    def _delivered(self, number: int) -> Any:
        def delivered(error: Any, _message: Any) -> None:
            if error is None:
                self.acknowledged[number] = 1
            else:
                self.failed += 1

        return delivered

    def _value(self, number: int, kind: Kind) -> bytes:
        if kind == "bad message":
            return b"event number %d is no JSON" % number
        time_ = dt.datetime.now(dt.UTC)
        if self._random.randrange(LATE_ONE_IN) == 0:
            time_ = time_.replace(day=1) - dt.timedelta(days=1)
        common = {
            "event_id": str(uuid.UUID(int=self._random.getrandbits(128), version=4)),
            "user": self._random.choice(USERS),
            "request_id": str(number),
        }
        event: dict[str, Any]
        if kind == "api request":
            event = common | {
                "requested_at": time_.isoformat(),
                "method": self._random.choice(("GET", "POST")),
                "path": self._random.choice(PATHS),
                "status_code": self._random.choice((200, 201, 404)),
                "response_ms": self._random.lognormvariate(3, 1),
                "data": {"number": number, "wifi_password": "not-for-the-disk", "note": "x" * 100},
            }
        else:
            event = common | {
                "changed_at": time_.isoformat(),
                "action": "change",
                "app_label": "isp",
                "model": "cpe",
                "object_id": str(number),
                "changes": [{"field": "city", "old": "Elx", "new": "Alacant"}],
            }
        return json.dumps(event).encode()
