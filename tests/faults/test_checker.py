"""The checker finds the loss and the doubles of workers that lack protections, and none of the whole one."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest
from confluent_kafka.admin import AdminClient

from consumers import kafka, replay
from schemas import topics
from schemas.settings import Settings
from tests.faults.away import owned
from tests.faults.checker import Findings, check, is_stored, stored_count
from tests.faults.cluster import Cluster
from tests.faults.load import Load
from tests.faults.mutated import MUTATIONS
from tests.faults.proxy import Trap, is_insert
from tests.faults.run import schedule, settle

#: A member that says nothing is put out quickly, so that its insert, let go afterwards, is not refused as too late.
SESSION = (
    "group.consumer.min.session.timeout.ms=1000",
    "group.consumer.session.timeout.ms=3000",
    "group.consumer.min.heartbeat.interval.ms=500",
    "group.consumer.heartbeat.interval.ms=500",
)
LOSING = "commit before insert"
#: Frozen; their insert arrives when its rows were stored by the next owner of the partition, which is they as well.
DOUBLING = "neither token nor look"
LATE = ("none", DOUBLING)


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Findings]]:
    """By mutation: what was found. Each worker is killed, or frozen past its session, between commit and insert.

    All read the same topics at once, each into a database of its own.
    """
    with (
        # Few and large inserts: three workers share one ClickHouse, and the machine with other tests.
        Cluster(tmp_path_factory.mktemp("checker"), lambda _: None, SESSION, partitions=1) as cluster,
        contextlib.ExitStack() as stack,
    ):
        databases = {mutation: mutation.replace(" ", "_") for mutation in MUTATIONS}
        clients = {}
        for mutation, database in databases.items():
            cluster.migrate(database)
            clients[mutation] = stack.enter_context(contextlib.closing(cluster.client(database)))
        workers = {
            mutation: cluster.add_worker(
                [sys.executable, "-m", "tests.faults.mutated", mutation],
                GROUP=database,
                CLICKHOUSE_DATABASE=database,
                BATCH_SECONDS="0.5",
            )
            for mutation, database in databases.items()
        }
        load = Load(cluster.direct, 200, 1)
        load.start()
        for client in clients.values():
            cluster.wait(lambda client=client: stored_count(client) > 0, "a worker")
        traps = {mutation: Trap("request", is_insert) for mutation in MUTATIONS}
        for mutation, worker in workers.items():
            worker.proxy.set(traps[mutation])
        assert cluster.until(lambda: all(trap.caught.is_set() for trap in traps.values()), 20)
        cluster.kill_worker(workers[LOSING], 0)
        traps[LOSING].let_go("cut")
        for mutation in LATE:
            workers[mutation].freeze()
        admin = AdminClient(cluster.direct.kafka())
        assert cluster.until(lambda: not any(owned(admin, databases[mutation]) for mutation in LATE), 20)
        for mutation in LATE:
            workers[mutation].thaw()
        number = load.number
        for mutation in LATE:
            client = clients[mutation]
            assert cluster.until(lambda client=client: is_stored(client, load, number), 20)
            traps[mutation].let_go()
        cluster.sleep(1)
        load.stop()
        for mutation in LATE:
            assert settle(clients[mutation], cluster, load)
        # What lost something never has all; it has committed all, and stores no more.
        losing = replace(cluster.direct, group=databases[LOSING])
        cluster.wait(lambda: all_committed(losing), "the worker that loses")
        count = -1
        while count < (count := stored_count(clients[LOSING])):
            cluster.sleep(3)
        yield {mutation: check(client, load) for mutation, client in clients.items()}


def all_committed(settings: Settings) -> bool:
    """Whether the group has committed all that is in the topics of events."""
    reader = kafka.Reader(settings)
    try:
        return all(
            one.end == reader.bounds(topic, one.partition)[1]
            for topic in (topics.API_REQUESTS, topics.ADMIN_CHANGES)
            for one in replay.committed(settings, topic)
        )
    finally:
        reader.close()


def test_the_whole_worker_is_right(findings: dict[str, Findings]) -> None:
    found = findings["none"]
    assert found.right
    assert found.rows == len(found.acknowledged) > 500
    assert found.groups > 10


def test_an_offset_committed_before_the_insert_loses_events(findings: dict[str, Findings]) -> None:
    found = findings[LOSING]
    assert found.missing
    assert not found.twice


def test_without_a_token_and_a_look_events_are_stored_twice(findings: dict[str, Findings]) -> None:
    found = findings[DOUBLING]
    assert found.twice
    assert not found.missing
    assert found.rows > len(found.acknowledged)


def test_the_seed_gives_the_schedule() -> None:
    def beginning(seed: int) -> list[tuple[str, float, float]]:
        return [(name, details.random(), rest) for name, details, rest in islice(schedule(seed), 50)]

    assert beginning(7) == beginning(7) != beginning(8)
