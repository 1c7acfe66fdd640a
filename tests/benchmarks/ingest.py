"""From a filled topic to rows that can be queried: the worker beside what people use who check and mask nothing.

`make bench-ingest`, or `python -m tests.benchmarks.ingest --events 1000000 --rounds 3 --partitions 2 --workers 1`.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import clickhouse_connect
import psutil
from confluent_kafka import Producer

from deploy.embedded import clickhouse as embedded_clickhouse
from deploy.embedded import kafka as embedded_kafka
from deploy.topics import create_topics
from schemas import topics
from schemas.events import ApiRequest
from schemas.migrations import apply
from schemas.settings import Settings
from tests.benchmarks import events, peers
from tests.benchmarks.load import at_least, goal, report
from tests.conftest import Server, free_port

ROOT = Path(__file__).parents[2]
QUIX = ROOT / ".cache" / "quix"
QUIX_PACKAGES = ("quixstreams==3.28.1", "clickhouse-connect==1.12.0")
#: Peers that take one event at a time; they are given fewer.
SLOW = ("faust", "quix")
NAMES = {
    "ours": "Krill Logger",
    "passthrough": "(a) pass-through, raw_insert",
    "faust": "(b) Faust, event by event",
    "quix": "(c) Quix Streams, BatchingSink",
    "engine": "(d) ClickHouse's Kafka engine",
}
BIAS = """Bias: broker, ClickHouse, product and this program share the machine. All read the same events.
Time and CPU count from the first rows that are visible, so that no start counts, to the last; ClickHouse's CPU to the
end of its merges. (a) to (d) fill a plain table that has no index, no projection and no masked column, and may lose or
double rows when something is killed; Krill Logger fills its own tables. In chDB the engine of (d) is asked by INSERT …
SELECT in a loop, and its CPU is all ClickHouse's. {slow}"""


@dataclass
class Stack:
    """A broker with a filled topic, and a ClickHouse."""

    settings: Settings
    kafka: Server
    clickhouse: Server
    folder: Path

    @property
    def client(self) -> Any:
        return clickhouse_connect.get_client(dsn=self.settings.clickhouse, autogenerate_session_id=False)


@contextmanager
def stack(partitions: int) -> Iterator[Stack]:
    """Servers of their own, with empty topics."""
    embedded_kafka.fetch()
    with tempfile.TemporaryDirectory(prefix="krill-bench-") as name:
        folder = Path(name)
        settings = Settings(
            data=folder / "data", kafka_port=free_port(), clickhouse_port=free_port(), partitions=partitions
        )
        kafka = Server("kafka", settings, embedded_kafka.is_ready, folder / "kafka.log")
        clickhouse = Server("clickhouse", settings, embedded_clickhouse.is_ready, folder / "clickhouse.log")
        try:
            kafka.start()
            clickhouse.start()
            create_topics(settings)
            yield Stack(settings, kafka, clickhouse, folder)
        finally:
            kafka.kill()
            clickhouse.kill()


def headers(name: str) -> list[tuple[str, bytes]]:
    """The CloudEvents headers of an event of that id."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", name.encode()),
        ("ce_type", ApiRequest.TYPE.encode()),
        ("ce_source", b"krill/api"),
        ("content-type", b"application/json"),
    ]


def fill(settings: Settings, count: int, seed: int = 1) -> None:
    """Publish so many events of the last hour, compressed as the producers compress them."""
    producer = Producer(settings.kafka(linger_ms=20, queue_buffering_max_messages=200_000, compression_type="lz4"))
    until = dt.datetime.now(dt.UTC)
    made = events.api_requests(count, seed, until - dt.timedelta(hours=1), until)
    for index, value in enumerate(made):
        while True:
            try:
                producer.produce(topics.API_REQUESTS, value, str(index), headers=headers(value[13:49].decode()))
                break
            except BufferError:
                producer.poll(0.1)
        if not index % 1_000:
            producer.poll(0)
    if producer.flush(120):
        raise RuntimeError("the broker did not take all events")


def worker_environ(settings: Settings, database: str, group: str, folder: Path) -> dict[str, str]:
    """The environment of a worker, or a dashboard, on servers that run already."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KRILL_LOGGER_")}
    return {
        **clean,
        "KRILL_LOGGER_DATA": str(folder / group),
        "KRILL_LOGGER_KAFKA_BOOTSTRAP": settings.bootstrap,
        "KRILL_LOGGER_CLICKHOUSE_URL": settings.clickhouse,
        "KRILL_LOGGER_CLICKHOUSE_DATABASE": database,
        "KRILL_LOGGER_GROUP": group,
        "KRILL_LOGGER_WORKER_PORT": str(free_port()),
    }


def command(name: str, settings: Settings, database: str, group: str) -> list[str]:
    """How the worker, or a peer, is started."""
    if name == "ours":
        return [str(Path(sys.executable).with_name("krill-logger")), "worker"]
    arguments = [name, settings.bootstrap, settings.clickhouse, database, group]
    if name == "quix":
        return [str(quix()), peers.__file__, *arguments]
    return [sys.executable, "-m", peers.__name__, *arguments]


def quix() -> Path:
    """The Python of a virtual environment with Quix Streams, made if it is missing."""
    python = QUIX / "bin" / "python"
    ready = QUIX / ".ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", QUIX], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *QUIX_PACKAGES], check=True)
        ready.touch()
    return python


@dataclass
class Run:
    """One run of a product: events per second, CPU seconds per million events, and its peak of memory in MiB."""

    rate: float
    cpu: float
    clickhouse: float
    memory: float


@dataclass
class Processes:
    """CPU seconds and peak memory of processes with all that they start."""

    roots: Sequence[psutil.Process]
    peak: float = 0.0
    seconds: dict[int, float] = field(default_factory=dict)

    def look(self) -> float:
        """CPU seconds so far; remembers the most memory that was seen."""
        memory = 0
        for root in self.roots:
            try:
                tree = [root, *root.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
            for process in tree:
                try:
                    times = process.cpu_times()
                    self.seconds[process.pid] = times.user + times.system
                    memory += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
        self.peak = max(self.peak, memory / 2**20)
        return sum(self.seconds.values())


def run(name: str, stack: Stack, count: int, workers: int) -> Run:
    """Let a product store `count` events in a database of its own."""
    database, group = f"bench_{uuid.uuid4().hex[:12]}", f"bench-{uuid.uuid4().hex[:12]}"
    client = stack.client
    if name == "ours":
        apply(client, database)
        table = "api_requests"
    else:
        client.command(f"CREATE DATABASE {database}")
        client.database = database
        client.command(peers.CREATE)
        table = peers.TABLE
    started: list[subprocess.Popen[bytes]] = []
    server = Processes([psutil.Process(stack.clickhouse.process.pid)])  # type: ignore[union-attr]
    began, cpu, clickhouse = time.monotonic(), 0.0, server.look()
    try:
        with (stack.folder / f"{name}.log").open("ab") as log:
            for _ in range(workers if name != "engine" else 1):
                environ = worker_environ(stack.settings, database, group, stack.folder) | {"PYTHONPATH": str(ROOT)}
                called = command(name, stack.settings, database, group)
                # Faust and Quix Streams keep state where they are started.
                started.append(subprocess.Popen(called, env=environ, stdout=log, stderr=log, cwd=stack.folder))
        product = Processes([psutil.Process(process.pid) for process in started])
        first = _until(client, f"{database}.{table}", 1, product, started, stack.folder / f"{name}.log")
        if first < count:
            began, cpu, clickhouse = time.monotonic(), product.look(), server.look()
        else:  # too few to leave the start out
            first = 0
        last = _until(client, f"{database}.{table}", count, product, started, stack.folder / f"{name}.log")
        seconds = max(time.monotonic() - began, 1e-3)
        cpu = product.look() - cpu
    finally:
        for process in started:
            process.kill()
            process.wait()
    if name == "ours":
        [[rows, distinct]] = client.query(
            f"SELECT count(), uniqExact(kafka_partition, kafka_offset) FROM {database}.{table}"
        ).result_rows
        assert rows == distinct
    _merged(client)
    clickhouse = server.look() - clickhouse
    client.command(f"DROP DATABASE {database} SYNC")
    client.close()
    millions = max(last - first, 1) / 1e6
    return Run((last - first) / seconds, cpu / millions, clickhouse / millions, product.peak)


def _until(
    client: Any, table: str, count: int, product: Processes, started: Sequence[subprocess.Popen[bytes]], log: Path
) -> int:
    """Wait for so many rows; how many there are then."""
    deadline, seen, grown = time.monotonic() + 120, 0, 0
    while True:
        seen = int(client.query(f"SELECT count() FROM {table}").result_rows[0][0])
        if seen >= count:
            return seen
        if seen > grown:
            grown, deadline = seen, time.monotonic() + 120
        if time.monotonic() > deadline or any(process.poll() is not None for process in started):
            raise RuntimeError(f"only {seen:,} rows:\n{log.read_text(errors='replace')[-3000:]}")
        product.look()
        time.sleep(0.1)


def _merged(client: Any) -> None:
    """Wait until ClickHouse has nothing to merge."""
    deadline, quiet = time.monotonic() + 120, 0
    while quiet < 5 and time.monotonic() < deadline:
        quiet = 0 if client.query("SELECT count() FROM system.merges").result_rows[0][0] else quiet + 1
        time.sleep(0.1)


def median(runs: Sequence[Run], value: Callable[[Run], float]) -> float:
    return statistics.median(map(value, runs))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--slow-events", type=int, default=100_000, help="events for the peers that are slow")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--partitions", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--peers", default="passthrough,faust,quix,engine")
    options = parser.parse_args()
    names = ["ours", *filter(None, options.peers.split(","))]
    if unknown := [name for name in names if name not in NAMES]:
        parser.error(f"--peers: {', '.join(unknown)} is none of {', '.join(list(NAMES)[1:])}")
    slow = min(options.slow_events, options.events)
    runs: dict[str, list[Run]] = {name: [] for name in names}
    with stack(options.partitions) as servers:
        fill(servers.settings, options.events)
        for _ in range(options.rounds):
            for name in names:
                count = slow if name in SLOW else options.events
                runs[name].append(run(name, servers, count, options.workers))
                done = runs[name][-1]
                print(f"  {NAMES[name]}: {done.rate:,.0f}/s", file=sys.stderr, flush=True)
    print(BIAS.format(slow=f"{' and '.join(NAMES[name][:3] for name in SLOW)} stop at {slow:,} events."))
    print(
        f"\n{options.events:,} events, {options.rounds} rounds, {options.partitions} partitions, "
        f"{options.workers} workers, {os.cpu_count()} cores; medians\n\n"
        f"{'':34}{'events/s':>10}{'CPU s/million':>15}{'ClickHouse':>12}{'peak MiB':>10}"
    )
    for name, done in runs.items():
        figures = [median(done, value) for value in _FIGURES]
        print(f"{NAMES[name]:34}{figures[0]:>10,.0f}{figures[1]:>15.1f}{figures[2]:>12.1f}{figures[3]:>10.0f}")
    return report(_goals(runs), rows={name: [median(done, v) for v in _FIGURES] for name, done in runs.items()})


_FIGURES: tuple[Callable[[Run], float], ...] = (
    lambda run: run.rate,
    lambda run: run.cpu,
    lambda run: run.clickhouse,
    lambda run: run.memory,
)
_TIMES = {"passthrough": 1.5, "faust": 20, "quix": 7, "engine": 1.3}


def _goals(runs: dict[str, list[Run]]) -> list[dict[str, object]]:
    def rate(name: str) -> float:
        return median(runs[name], lambda run: run.rate)

    def cpu(name: str) -> float:
        return median(runs[name], lambda run: run.cpu + run.clickhouse)

    goals = [
        at_least(f"times the events/s of {NAMES[name]}", rate("ours") / rate(name), times, peer=rate(name))
        for name, times in _TIMES.items()
        if name in runs
    ]
    if "passthrough" in runs:
        goals.append(goal("CPU s per million events", cpu("ours"), cpu("passthrough"), peer=cpu("passthrough")))
    goals.append(goal("peak MiB of a worker", median(runs["ours"], lambda run: run.memory), 500))
    return goals


if __name__ == "__main__":
    sys.exit(main())
