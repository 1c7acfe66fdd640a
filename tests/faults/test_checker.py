"""The checker finds the loss and the doubles of workers that have one protection less, and none of the whole one."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from itertools import islice

import pytest

from tests.faults.checker import Findings, check
from tests.faults.cluster import Cluster
from tests.faults.load import Load
from tests.faults.mutated import MUTATIONS
from tests.faults.proxy import Point, Trap, is_insert
from tests.faults.run import schedule, settle

#: Where each worker is killed: before its insert arrives, or behind.
PLACES: dict[str, Point] = {
    "none": "response",
    "commit before insert": "request",
    "no plan": "response",
    "no token": "response",
}


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Findings]]:
    """By mutation: what the checker found. All read the same topics at once, each into a database of its own."""
    with Cluster(tmp_path_factory.mktemp("checker"), lambda _: None) as cluster:
        databases = {mutation: mutation.replace(" ", "_") for mutation in MUTATIONS}
        for database in databases.values():
            cluster.migrate(database)
        workers = {
            mutation: cluster.add_worker(
                [sys.executable, "-m", "tests.faults.mutated", mutation],
                GROUP=database,
                CLICKHOUSE_DATABASE=database,
            )
            for mutation, database in databases.items()
        }
        load = Load(cluster.direct, 200, 1)
        load.start()
        traps = {mutation: Trap(PLACES[mutation], is_insert) for mutation in MUTATIONS}
        for mutation, worker in workers.items():
            worker.proxy.set(traps[mutation])
        assert cluster.until(lambda: all(trap.caught.is_set() for trap in traps.values()), 30)
        for mutation, worker in workers.items():
            cluster.kill_worker(worker, 0)
            traps[mutation].let_go("cut")
        cluster.sleep(3)
        load.stop()
        found = {}
        with contextlib.closing(cluster.client(databases["none"])) as client:
            assert settle(client, cluster, load)
        # The others began at the same time; the one that lost something never gets to the end.
        cluster.sleep(3)
        for mutation, database in databases.items():
            with contextlib.closing(cluster.client(database)) as client:
                found[mutation] = check(client, load)
        yield found


def test_the_whole_worker_is_right(findings: dict[str, Findings]) -> None:
    found = findings["none"]
    assert found.right
    assert found.rows == len(found.acknowledged) > 500
    assert found.groups > 10


def test_an_offset_committed_before_the_insert_loses_events(findings: dict[str, Findings]) -> None:
    found = findings["commit before insert"]
    assert found.missing
    assert not found.twice


@pytest.mark.parametrize("mutation", ["no plan", "no token"])
def test_without_plan_or_token_events_are_stored_twice(findings: dict[str, Findings], mutation: str) -> None:
    found = findings[mutation]
    assert found.twice
    assert not found.missing
    assert found.rows > len(found.acknowledged)


def test_the_seed_gives_the_schedule() -> None:
    def beginning(seed: int) -> list[tuple[str, float, float]]:
        return [(name, details.random(), rest) for name, details, rest in islice(schedule(seed), 50)]

    assert beginning(7) == beginning(7) != beginning(8)
