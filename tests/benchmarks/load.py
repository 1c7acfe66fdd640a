"""Requests to servers, the time each took, and which of them are in Kafka."""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import msgspec
from confluent_kafka import Consumer, TopicPartition

from schemas import topics
from schemas.settings import Settings


@dataclass
class Sent:
    """What became of the requests to one server: seconds of each answer by its phase, and the ids of all of them."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    #: Requests that were answered with 500 and above.
    failed: int = 0
    #: Attempts that found no server.
    refused: int = 0

    def quantile(self, phase: str, share: float) -> float:
        """Milliseconds."""
        times = sorted(self.seconds[phase])
        return times[min(int(len(times) * share), len(times) - 1)] * 1000


class Client(threading.Thread):
    """Sends the requests that `work` yields as (phase, path), each with an id of its own, on one connection.

    With `rate`, one begins every 1/rate seconds, however long the one before takes to be answered; the time counts from
    when it should have begun. Without `repeat`, it ends at the first request that finds no server.
    """

    def __init__(
        self,
        port: int,
        mark: str,
        work: Iterator[tuple[str, str]],
        sent: Sent,
        rate: float = 0,
        repeat: bool = True,
        **headers: str,
    ) -> None:
        super().__init__(daemon=True)
        self.port, self.mark, self.work, self.sent, self.rate, self.headers = port, mark, work, sent, rate, headers
        self.repeat = repeat
        self.connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        begin = time.perf_counter()
        for phase, path in self.work:
            if self.rate:
                begin += 1 / self.rate
                time.sleep(max(0.0, begin - time.perf_counter()))
            name = f"{self.mark}-{uuid.uuid4().hex}"
            seconds = self._ask(path, name)
            if seconds is None:
                break
            self.sent.ids.add(name)
            self.sent.seconds.setdefault(phase, []).append(seconds)
        if self.connection is not None:
            self.connection.close()

    def _ask(self, path: str, name: str) -> float | None:
        while True:
            started = time.perf_counter()
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                    self.connection.connect()
                    self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connection.request("GET", path, headers={"X-Request-ID": name, **self.headers})
                answer = self.connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                if self.connection is not None:
                    self.connection.close()
                self.connection = None
                self.sent.refused += 1
                if not self.repeat:
                    return None
                time.sleep(0.05)
                continue
            if answer.status >= 500:
                self.sent.failed += 1
            return time.perf_counter() - started


def in_kafka(bootstrap: str, mark: str) -> Counter[str]:
    """How often each request whose id begins with `mark` is in the topic of API requests."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "enable.partition.eof": True})
    found: Counter[str] = Counter()
    try:
        partitions = consumer.list_topics(topics.API_REQUESTS, 10).topics[topics.API_REQUESTS].partitions
        consumer.assign([TopicPartition(topics.API_REQUESTS, number, 0) for number in partitions])
        ends = 0
        while ends < len(partitions):
            message = consumer.poll(10)
            assert message is not None
            if message.error():
                ends += 1
                continue
            value = message.value() or b""
            if mark.encode() not in value:  # others' messages need not even be JSON
                continue
            name = msgspec.json.decode(value).get("request_id") or ""
            if name.startswith(mark):
                found[name] += 1
    finally:
        consumer.close()
    return found


def answers(port: int, path: str, seconds: float = 60, alive: Callable[[], bool] = lambda: True) -> None:
    """Wait until a server answers."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
                connection.request("GET", path)
                connection.getresponse().read()
            return
        except OSError:
            assert alive(), "the server ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.1)


def fresh_dashboard(settings: Settings, port: int, password: str) -> dict[str, str]:
    """The environment of a dashboard on a ClickHouse that runs already; its accounts of earlier runs are removed."""
    for path in settings.data.glob("dashboard*.sqlite*"):
        path.unlink()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KRILL_LOGGER_")}
    return {
        **clean,
        "KRILL_LOGGER_DATA": str(settings.data),
        "KRILL_LOGGER_CLICKHOUSE_URL": settings.clickhouse,
        "KRILL_LOGGER_DASHBOARD_PORT": str(port),
        "KRILL_LOGGER_ADMIN_PASSWORD": password,
    }


def goal(name: str, value: float, most: float, peer: float | None = None) -> dict[str, object]:
    """A goal that is met by values of at most `most`; `peer` is the figure of whom it is compared with, if anyone."""
    return _goal(name, value, f"<= {most:.6g}", value <= most, peer)


def at_least(name: str, value: float, least: float, peer: float | None = None) -> dict[str, object]:
    """A goal that is met by values of `least` and above."""
    return _goal(name, value, f">= {least:.6g}", value >= least, peer)


def _goal(name: str, value: float, wanted: str, met: bool, peer: float | None) -> dict[str, object]:
    item: dict[str, object] = {"name": name, "value": round(value, 3), "goal": wanted, "met": met}
    return item if peer is None else item | {"peer": round(peer, 3)}


def report(goals: list[dict[str, object]], **more: object) -> int:
    """Print the last line, one JSON object; the exit code."""
    print(json.dumps({"goals": goals, **more}))
    return 0 if all(item["met"] for item in goals) else 1
