"""How a membership reads from a real Apache Kafka while storing is slower than it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from consumers import membership, tables
from consumers.batch import Batch, Converted
from consumers.membership import STORING, Membership
from schemas import topics
from schemas.settings import Settings
from tests.integration.test_worker import start_at_the_end

MESSAGES = 100_000
ROWS = 5_000


def test_no_more_is_taken_from_kafka_than_storing_needs_next(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine a commit may take longer than a second.
    monkeypatch.setattr(membership, "CROWDED_SECONDS", 60.0)
    start_at_the_end(settings)
    producer = Producer(settings.kafka(queue_buffering_max_messages=MESSAGES))
    for number in range(MESSAGES):
        producer.produce(topics.API_REQUESTS, b"x" * 500, partition=number % 2)
    assert producer.flush(30) == 0

    stored: list[int] = []
    stopping = threading.Event()

    def store(batch: Batch) -> Converted:
        time.sleep(0.1)
        stored.append(len(batch.messages))
        if sum(stored) >= MESSAGES:
            stopping.set()
        return Converted(tables.API_REQUESTS, None, [], 0)

    with ThreadPoolExecutor(STORING) as pool:

        def submit(batch: Batch) -> Future[Converted]:
            assert len(batch.messages) <= ROWS
            return pool.submit(store, batch)

        def ask(_topic: str, _topic_id: str, _partition: int, start: int) -> Future[int | None]:
            return pool.submit(lambda: start)

        member = Membership(
            replace(settings, batch_rows=ROWS), AdminClient(settings.kafka()), submit, ask, frozenset, stopping
        )
        waiting = [0]
        monkeypatch.setattr(member, "_hold_back", _noting(member, waiting))
        late = threading.Timer(60, stopping.set)
        late.start()
        member.run()
        late.cancel()
        member.close()
    assert sum(stored) == MESSAGES
    # A batch for each thread that stores, and what came with the last message of it. Beyond that, partitions would have
    # been paused, and what librdkafka had fetched of them thrown away.
    assert max(waiting) <= STORING * (ROWS + membership.POLL_MESSAGES)


def _noting(member: Membership, waiting: list[int]) -> Any:
    hold_back = member._hold_back

    def noting() -> None:
        hold_back()
        waiting.append(sum(len(partition.fetched) for partition in member.partitions.values()))

    return noting
