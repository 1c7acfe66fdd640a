"""The embedded Apache Kafka: what it was told outlives a kill, and its topics are made as the events need them."""

from __future__ import annotations

import socket
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from deploy.embedded import jars
from deploy.embedded import kafka as embedded
from deploy.embedded.errors import StartError
from deploy.topics import create_topics
from schemas.settings import Settings
from schemas.topics import API_REQUESTS, MAX_MESSAGE_BYTES, TOPICS
from tests.conftest import Server


def produce(bootstrap: str, topic: str, values: list[bytes]) -> None:
    """Publish to partition 0 and wait for every acknowledgement."""
    failures: list[object] = []
    producer = Producer(
        {
            "enable.idempotence": True,
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "message.max.bytes": 40_000_000,
            "linger.ms": 5,
        }
    )
    for value in values:
        producer.produce(
            topic, value, partition=0, on_delivery=lambda error, _: failures.append(error) if error else None
        )
    assert producer.flush(30) == 0
    assert not failures


def consume(bootstrap: str, topic: str, group: str, count: int) -> list[bytes]:
    """The next `count` messages of partition 0 for `group`, committed."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": 40_000_000,
        }
    )
    try:
        start = consumer.committed([TopicPartition(topic, 0)], 20)[0].offset
        consumer.assign([TopicPartition(topic, 0, max(start, 0))])
        messages = [consumer.poll(20) for _ in range(count)]
        assert all(message is not None and message.error() is None for message in messages)
        consumer.commit(messages[-1], asynchronous=False)
        return [message.value() for message in messages]
    finally:
        consumer.close()


def limit(bootstrap: str, topic: str) -> int:
    """The topic's `max.message.bytes`."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    described = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)])
    return int(next(iter(described.values())).result(20)["max.message.bytes"].value)


def test_a_kill_loses_nothing(kafka_server: Server) -> None:
    kafka_server.start()
    settings = kafka_server.settings
    create_topics(settings)
    values = [str(n).encode() for n in range(5_000)]
    produce(settings.bootstrap, API_REQUESTS, values)
    assert consume(settings.bootstrap, API_REQUESTS, "g", 2_000) == values[:2_000]

    kafka_server.kill()
    kafka_server.start()

    assert create_topics(settings) == []
    produce(settings.bootstrap, API_REQUESTS, [b"after"])
    assert consume(settings.bootstrap, API_REQUESTS, "g", 3_001) == [*values[2_000:], b"after"]
    assert kafka_server.stop() in (0, 143)


def test_listens_on_this_machine_only(kafka_server: Server) -> None:
    kafka_server.start()
    import psutil

    assert kafka_server.process
    listening = [
        connection.laddr.ip.removeprefix("::ffff:")
        for connection in psutil.Process(kafka_server.process.pid).net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert set(listening) == {"127.0.0.1"}


def test_topics_are_made_once(kafka: str) -> None:
    settings = Settings(kafka_bootstrap=kafka)
    create_topics(settings)
    assert create_topics(settings) == []
    admin = AdminClient({"bootstrap.servers": kafka})
    known = admin.list_topics(timeout=20).topics
    for name, size in TOPICS.items():
        assert len(known[name].partitions) == settings.partitions
        assert limit(kafka, name) == size


def test_a_topic_with_a_lower_limit_is_raised(kafka: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    create_topics(Settings(kafka_bootstrap=kafka))
    lower = ConfigEntry("max.message.bytes", "1000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, API_REQUESTS, incremental_configs=[lower])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(20)
    create_topics(Settings(kafka_bootstrap=kafka))
    assert limit(kafka, API_REQUESTS) == MAX_MESSAGE_BYTES


def test_takes_32_mib(kafka: str) -> None:
    topic = f"large-{uuid.uuid4().hex}"
    new = NewTopic(topic, 1, 1, config={"max.message.bytes": str(2 * MAX_MESSAGE_BYTES)})
    admin = AdminClient({"bootstrap.servers": kafka})
    for future in admin.create_topics([new]).values():
        future.result(20)
    value = b"x" * (2 * MAX_MESSAGE_BYTES - 1000)
    produce(kafka, topic, [value])
    assert consume(kafka, topic, "large", 1) == [value]


def test_a_foreign_storage_is_left_alone(kafka_server: Server) -> None:
    log = embedded.folder(kafka_server.settings) / "log"
    log.mkdir(parents=True)
    (log / "meta.properties").write_text("nonsense")
    with pytest.raises(RuntimeError, match=r"is not a storage of this Apache Kafka .* move the folder away"):
        kafka_server.start()
    assert (log / "meta.properties").read_text() == "nonsense"


def test_one_process_per_folder(kafka_server: Server) -> None:
    kafka_server.start()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
    second = replace(kafka_server.settings, kafka_port=port)
    with pytest.raises(StartError, match="Another broker already uses"):
        embedded.serve(second)


def test_what_was_fetched_is_what_was_tested() -> None:
    embedded.fetch()
    names = set(jars.locked())
    assert f"kafka-clients-{jars.VERSION}.jar" in names
    assert {path.name for path in jars.LIBRARIES.iterdir()} == names


def test_java_starts_with_what_it_kept_and_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded.fetch()
    kept = embedded.class_cache()
    assert kept.stat().st_size > 2**20
    assert f"-XX:AOTCache={kept}" in embedded.java(tmp_path, "kafka.Kafka")
    broken = tmp_path / "broken.aot"
    for wrong in (b"nonsense", kept.read_bytes()[: 2**20], b""):
        broken.write_bytes(wrong)
        monkeypatch.setattr(embedded, "class_cache", lambda: broken)
        settings = Settings(data=tmp_path / f"data-{len(wrong)}")
        embedded.prepare(settings)
        assert embedded.is_formatted(embedded.folder(settings))
