"""Asking a real broker which events it has already."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from producers.readback import present


@pytest.fixture
def topic(kafka: str) -> Iterator[str]:
    """A topic of its own with two partitions, one of them without messages."""
    name = f"readback-{uuid.uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": kafka})
    for future in admin.create_topics([NewTopic(name, 2, 1)]).values():
        future.result(20)
    yield name
    admin.delete_topics([name])


@pytest.mark.timeout(30)
def test_it_ends_under_traffic_that_does_not_pause(kafka: str, topic: str) -> None:
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 0})
    since = int(time.time() * 1000)

    def publish(name: str) -> None:
        producer.produce(topic, b"{}", partition=0, headers=[("ce_id", name.encode())])

    publish("there")
    assert producer.flush(20) == 0
    done = threading.Event()

    def go_on() -> None:
        while not done.wait(0.02):
            publish("other")
            producer.poll(0)

    traffic = threading.Thread(target=go_on)
    traffic.start()
    try:
        assert present({"bootstrap.servers": kafka}, topic, since, [b"there", b"not there"]) == {b"there"}
    finally:
        done.set()
        traffic.join()
        producer.flush(20)


def test_a_topic_without_messages_has_none(kafka: str, topic: str) -> None:
    assert present({"bootstrap.servers": kafka}, topic, 0, [b"any"]) == set()
