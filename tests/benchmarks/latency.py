"""From publishing an event to seeing it in the dashboard's JSON API, under a steady load.

`make bench-latency`, or `python -m tests.benchmarks.latency --rates 1000,20000 --seconds 15 --rounds 3`.
"""

from __future__ import annotations

import argparse
import datetime as dt
import http.client
import itertools
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlencode, urlsplit

from confluent_kafka import Producer

from schemas import topics
from schemas.migrations import apply
from schemas.settings import Settings
from tests.benchmarks import events, peers
from tests.benchmarks.ingest import NAMES, ROOT, Stack, command, headers, stack, worker_environ
from tests.benchmarks.load import answers, goal, report
from tests.conftest import free_port

BIAS = """Bias: everything shares the machine. Twenty events per second belong to the user `probe`; one connection asks
for that user's newest hundred ten times a second, and an event counts as visible when the answer that holds it is read,
so that a poll's time and the pause before it are part of the latency. (Asking without a pause took as much of the two
cores as storing did.) The pass-through's plain table is asked over ClickHouse's HTTP interface."""
PROBE = "probe"
PROBES = 20  # per second
POLL_SECONDS = 0.1
LIMIT = 1_000.0

Ask = Callable[[], set[str]]


class Publisher(threading.Thread):
    """Publishes `rate` events per second for some seconds; `sent` holds when each probe was handed to Kafka."""

    def __init__(self, settings: Settings, rate: int, seconds: float) -> None:
        super().__init__(daemon=True)
        self.producer = Producer(settings.kafka(linger_ms=5, compression_type="lz4"))
        self.rate, self.seconds = rate, seconds
        self.values = list(events.api_requests(2_000))
        self.sent: dict[str, float] = {}

    def run(self) -> None:
        begin, every = time.monotonic(), max(1, self.rate // PROBES)
        step = max(1, self.rate // 200)  # a few at a time: no clock sleeps for 50 µs
        for index, value in zip(range(int(self.rate * self.seconds)), itertools.cycle(self.values), strict=False):
            if index % step == 0:
                time.sleep(max(0.0, begin + index / self.rate - time.monotonic()))
                self.producer.poll(0)
            self._publish(value, probe=index % every == 0)
        self.producer.flush(30)

    def _publish(self, value: bytes, probe: bool) -> None:
        name, now = str(uuid.uuid4()), f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        # Each value begins with the id and the time.
        value = value[:13] + name.encode() + value[49:67] + now.encode() + value[94:]
        if probe:
            value = json.dumps({**json.loads(value), "user": PROBE}).encode()
            self.sent[name] = time.monotonic()
        self.producer.produce(topics.API_REQUESTS, value, name, headers=headers(name))


@contextmanager
def worker(stack: Stack) -> Iterator[Ask]:
    """Krill Logger's worker and dashboard on a database of their own."""
    database, group, port = f"bench_{uuid.uuid4().hex[:12]}", f"bench-{uuid.uuid4().hex[:12]}", free_port()
    client = stack.client
    apply(client, database)
    client.close()
    environ = {
        **worker_environ(stack.settings, database, group, stack.folder),
        "KRILL_LOGGER_DASHBOARD_PORT": str(port),
    }
    program = command("ours", stack.settings, database, group)[0]
    token = subprocess.run(
        [program, "tokens", "create", "bench"], env=environ, check=True, capture_output=True, text=True
    ).stdout.strip()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with running([[program, "worker"], [program, "dashboard"]], environ, stack), closing(connection):
        answers(port, "/health")

        def ask() -> set[str]:
            path = "/api/v1/api-requests?" + urlencode({"user": PROBE, "per_page": 100, "sort": "-requested_at"})
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body
            return {item["event_id"] for item in json.loads(body)["items"]}

        yield ask


@contextmanager
def passthrough(stack: Stack) -> Iterator[Ask]:
    """The pass-through, and its table over HTTP."""
    database, group = f"bench_{uuid.uuid4().hex[:12]}", f"bench-{uuid.uuid4().hex[:12]}"
    client = stack.client
    client.command(f"CREATE DATABASE {database}")
    client.database = database
    client.command(peers.CREATE)
    client.close()
    query = (
        f"SELECT * FROM {peers.TABLE} WHERE user = '{PROBE}' ORDER BY requested_at DESC LIMIT 100 FORMAT JSONEachRow"
    )
    place = urlsplit(stack.settings.clickhouse)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)
    with (
        running([command("passthrough", stack.settings, database, group)], dict(os.environ), stack),
        closing(connection),
    ):

        def ask() -> set[str]:
            connection.request("GET", "/?" + urlencode({"query": query, "database": database}))
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body
            return {json.loads(line)["event_id"] for line in body.splitlines()}

        yield ask


@contextmanager
def running(commands: list[list[str]], environ: dict[str, str], stack: Stack) -> Iterator[None]:
    """Programs that run meanwhile."""
    started = []
    try:
        with (stack.folder / "latency.log").open("ab") as log:
            for one in commands:
                started.append(subprocess.Popen(one, env=environ, stdout=log, stderr=log, cwd=ROOT))  # noqa: PERF401
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def measure(stack: Stack, ask: Ask, rate: int, seconds: float) -> list[float]:
    """Milliseconds until each probe was seen."""
    publish(stack, ask, 100, 1)  # the group has formed, and all is warm
    return publish(stack, ask, rate, seconds)


def publish(stack: Stack, ask: Ask, rate: int, seconds: float) -> list[float]:
    """Publish at a rate; milliseconds until each probe was seen."""
    publisher = Publisher(stack.settings, rate, seconds)
    publisher.start()
    seen: dict[str, float] = {}
    deadline = time.monotonic() + seconds + 60
    while publisher.is_alive() or len(seen) < len(publisher.sent):
        asked = time.monotonic()
        found, now = ask(), time.monotonic()
        for name in found & publisher.sent.keys() - seen.keys():
            seen[name] = now
        if now > deadline:
            raise RuntimeError(f"{len(publisher.sent) - len(seen)} events were not seen")
        time.sleep(max(0.0, asked + POLL_SECONDS - time.monotonic()))
    return [(when - publisher.sent[name]) * 1000 for name, when in seen.items()]


def quantile(times: list[float], share: float) -> float:
    ordered = sorted(times)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", default="1000,20000", help="events per second")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--partitions", type=int, default=2)
    options = parser.parse_args()
    products = {"ours": worker, "passthrough": passthrough}
    rates = [int(rate) for rate in options.rates.split(",")]
    rounds: dict[tuple[str, int], list[list[float]]] = {(name, rate): [] for rate in rates for name in products}
    with stack(options.partitions) as servers:
        for _ in range(options.rounds):
            for name, rate in rounds:
                with products[name](servers) as ask:
                    rounds[name, rate].append(measure(servers, ask, rate, options.seconds))
    print(BIAS)
    print(f"\n{options.seconds:g} s, {options.rounds} rounds, {os.cpu_count()} cores; medians, ms\n")
    print(f"{'':34}{'events/s':>10}{'p50':>8}{'p99':>8}")
    figures = {
        key: [statistics.median(quantile(times, share) for times in done) for share in (0.5, 0.99)]
        for key, done in rounds.items()
    }
    for (name, rate), (p50, p99) in figures.items():
        print(f"{NAMES[name]:34}{rate:>10,}{p50:>8.0f}{p99:>8.0f}")
    goals = [
        goal(f"p99 ms at {rate:,} events/s", figures["ours", rate][1], LIMIT, peer=figures["passthrough", rate][1])
        for rate in rates
    ]
    return report(goals, rows=[[*key, *value] for key, value in figures.items()])


if __name__ == "__main__":
    sys.exit(main())
