"""ClickHouse away for minutes under load: the worker's memory, its partitions, and whether everything is stored."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.embedded import clickhouse as embedded_clickhouse
from schemas.settings import Settings
from schemas.topics import TOPICS
from tests.faults.checker import Findings, check
from tests.faults.cluster import Cluster
from tests.faults.load import Load
from tests.faults.run import settle

WARM_SECONDS = 5.0
SAMPLES = 20
#: MiB by which the worker may grow while messages wait in its bounded buffers.
MOST_GROWTH = 400
#: MiB by which it may grow in the second half of the time, when the buffers are full.
MOST_SLOPE = 40


@dataclass(frozen=True)
class Sample:
    """Seconds since ClickHouse went away, the worker's resident memory in MiB, its partitions, events sent."""

    seconds: float
    memory: float
    partitions: int
    sent: int


@dataclass(frozen=True)
class Result:
    """What was seen; `settled` is the seconds from ClickHouse's return until everything was stored."""

    samples: list[Sample]
    before: float
    partitions: int
    restarts: int
    settled: float
    findings: Findings

    def goals(self) -> list[dict[str, Any]]:
        """Name, value, goal and whether it is met."""
        memory = [sample.memory for sample in self.samples]
        half = len(memory) // 2
        least = min(sample.partitions for sample in self.samples)
        values = [
            ("MiB that the worker grew while ClickHouse was away", round(max(memory) - self.before), MOST_GROWTH),
            ("MiB of that in the second half", round(max(memory[half:]) - max(memory[:half])), MOST_SLOPE),
            ("partitions lost", self.partitions - least, 0),
            ("times the worker ended", self.restarts, 0),
            ("acknowledged events missing", len(self.findings.missing), 0),
            ("events stored twice", len(self.findings.twice), 0),
        ]
        return [{"name": name, "value": value, "goal": goal, "met": value <= goal} for name, value, goal in values]

    def table(self) -> str:
        """The samples."""
        lines = [f"{'seconds':>8}{'worker, MiB':>14}{'partitions':>12}{'events sent':>14}"]
        lines += [f"{one.seconds:8.0f}{one.memory:14.0f}{one.partitions:12}{one.sent:14}" for one in self.samples]
        return "\n".join(lines)


def owned(admin: AdminClient, group: str) -> int:
    """How many partitions the group's members own."""
    described = admin.describe_consumer_groups([group], request_timeout=10)[group].result()
    return sum(len(member.assignment.topic_partitions) for member in described.members)


def run(folder: Path, seconds: float, rate: float, say: Callable[[str], None] = print) -> Result:
    """Kill ClickHouse for so long under a load of so many events per second, with one worker."""
    with Cluster(folder, say) as cluster:
        worker = cluster.add_worker()
        admin = AdminClient(cluster.direct.kafka() | {"log_level": 0})
        partitions = len(TOPICS) * cluster.direct.partitions

        def all_owned() -> bool:
            with contextlib.suppress(KafkaException):
                return owned(admin, cluster.direct.group) == partitions
            return False

        cluster.wait(all_owned, "the worker")
        load = Load(cluster.direct, rate, 1)
        load.start()
        cluster.sleep(WARM_SECONDS)
        process = psutil.Process(worker.pid)
        before = process.memory_info().rss / 2**20
        cluster.clickhouse.kill()
        started, samples = time.monotonic(), list[Sample]()
        while time.monotonic() - started < seconds:
            cluster.sleep(seconds / SAMPLES)
            samples.append(
                Sample(
                    time.monotonic() - started,
                    process.memory_info().rss / 2**20 if worker.ended == 0 else 0,
                    owned(admin, cluster.direct.group),
                    load.number,
                )
            )
            say(f"{samples[-1].seconds:5.0f} s: {samples[-1].memory:.0f} MiB, {samples[-1].partitions} partitions")
        cluster.clickhouse.start()
        cluster.wait(lambda: embedded_clickhouse.is_ready(cluster.direct), "ClickHouse")
        back = time.monotonic()
        load.stop()
        with contextlib.closing(cluster.client()) as client:
            settle(client, cluster, load)
            settled = time.monotonic() - back
            cluster.sleep(2)
            return Result(samples, before, partitions, worker.ended, settled, check(client, load))


def main() -> int:
    """The command line; the exit code is 1 if a goal is not met."""
    parser = argparse.ArgumentParser(prog="make faults-away", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=2000, help="events per second")
    options = parser.parse_args()
    folder = Settings().data / "faults" / "away"
    shutil.rmtree(folder, ignore_errors=True)
    print(f"ClickHouse away for {options.minutes:g} minutes at {options.rate:.0f} events/s")
    result = run(folder, 60 * options.minutes, options.rate, lambda line: print(line, flush=True))
    found, goals = result.findings, result.goals()
    print(
        f"\n{result.table()}\n\nBefore: {result.before:.0f} MiB. {found.rows} rows and dead letters of "
        f"{len(found.acknowledged)} acknowledged events, all stored {result.settled:.1f} s after ClickHouse was back."
    )
    met = all(goal["met"] for goal in goals)
    if met:
        shutil.rmtree(folder)
    print(json.dumps({"seconds": 60 * options.minutes, "goals": goals}))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
