"""The worker between a real Apache Kafka and a real ClickHouse."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from consumers import tables
from schemas import topics
from schemas.events import EVENTS
from schemas.settings import Settings
from tests.conftest import Database, free_port

EXAMPLES = sorted((Path(__file__).parents[2] / "schemas" / "examples").glob("*.json"))
SECONDS = 30.0


def environ(settings: Settings, port: int = 0) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("KRILL_LOGGER_")},
        "KRILL_LOGGER_DATA": str(settings.data),
        "KRILL_LOGGER_KAFKA_BOOTSTRAP": settings.bootstrap,
        "KRILL_LOGGER_CLICKHOUSE_URL": settings.clickhouse,
        "KRILL_LOGGER_CLICKHOUSE_DATABASE": settings.clickhouse_database,
        "KRILL_LOGGER_GROUP": settings.group,
        "KRILL_LOGGER_WORKER_PORT": str(port or free_port()),
    }


@pytest.fixture
def start_worker(settings: Settings, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts workers of one group of its own, the first on `settings.worker_port`; kills what is left of them."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        with (tmp_path / f"worker-{len(started)}.log").open("wb") as log:
            process = subprocess.Popen(
                [str(Path(sys.executable).with_name("krill-logger")), "worker"],
                env=environ(settings, 0 if started else settings.worker_port),
                stdout=log,
                stderr=log,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
    for log in sorted(tmp_path.glob("worker-*.log")):
        print(log.read_text()[-3000:])


def start_at_the_end(settings: Settings) -> None:
    """The topics are shared between tests: commit what others left there for this test's group."""
    consumer = Consumer(settings.kafka(group_id=settings.group, enable_auto_commit=False))
    places = [TopicPartition(topic, number) for topic in topics.TOPICS for number in range(settings.partitions)]
    deadline = time.monotonic() + SECONDS
    while True:  # fresh topics have no leaders yet, a fresh broker no coordinator
        try:
            for place in places:
                place.offset = consumer.get_watermark_offsets(place, timeout=10)[1]
            consumer.assign(places)
            consumer.commit(offsets=places, asynchronous=False)
            break
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    consumer.close()


class Road:
    """What a test puts on the topics and finds in the tables."""

    def __init__(self, settings: Settings, client: Client) -> None:
        self.client = client
        start_at_the_end(settings)
        self.producer = Producer(settings.kafka(message_max_bytes=topics.MAX_MESSAGE_BYTES))

    def send(self, topic: str, value: bytes | None, key: str | None = None, headers: Any = None) -> None:
        while True:
            try:
                self.producer.produce(topic, value, key, headers=headers)
                return
            except BufferError:
                self.producer.poll(0.1)

    def flush(self) -> None:
        assert self.producer.flush(30) == 0

    def count(self, table: str, where: str = "1") -> int:
        final = " FINAL" if table == "dead_letters" else ""
        return int(self.client.query(f"SELECT count() FROM {table}{final} WHERE {where}").result_rows[0][0])

    def remove(self, table: str, where: str) -> None:
        self.client.command(f"ALTER TABLE {table} DELETE WHERE {where} SETTINGS mutations_sync = 2")

    def wait_for_some(self, table: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not self.count(table):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def wait(self, table: str, number: int, where: str = "1", seconds: float = SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while self.count(table, where) < number and time.monotonic() < deadline:
            time.sleep(0.1)
        assert self.count(table, where) == number


@pytest.fixture
def road(settings: Settings, database: Database) -> Road:
    return Road(settings, database.client)


def request(**values: Any) -> bytes:
    event = {
        "event_id": str(uuid.uuid4()),
        "requested_at": dt.datetime.now(dt.UTC).isoformat(),
        "method": "GET",
        "path": "/api/v2/isp/cpes/",
        "status_code": 200,
        "response_ms": 1.5,
        **values,
    }
    return json.dumps(event).encode()


def test_every_example_becomes_a_row(road: Road, start_worker: Callable[[], Any]) -> None:
    start_worker()
    for example in EXAMPLES:
        event = next(event for event in EVENTS if example.name.startswith(event.TYPE))
        road.send(event.TOPIC, example.read_bytes(), headers=[("ce_type", event.TYPE.encode())])
    road.flush()
    requests = sum("api" in example.name for example in EXAMPLES)
    road.wait("api_requests", requests)
    road.wait("admin_changes", len(EXAMPLES) - requests)
    assert road.count("dead_letters") == 0
    row = road.client.query(
        "SELECT * FROM api_requests WHERE request_id = '6f9d2c'", column_formats={"remote_addr": "string"}
    ).first_item
    assert set(row) == set(tables.API_REQUESTS.schema.names)
    assert row["route"] == "/api/v2/cpes/{id}/fake_modification/"
    assert row["requested_at"] == dt.datetime(2026, 1, 30, 9, 55, 36, 281_000)
    assert (row["user"], row["user_id"], row["action"], row["object_id"]) == (
        "phicustester", "7", "fake_modification", "259",
    )  # fmt: skip
    assert row["masked"] == ["wifi_password"]
    assert "example" not in row["data"]
    change = road.client.query("SELECT * FROM admin_changes WHERE request_id = '6f9d2d'").first_item
    assert change["changed_fields"] == ["postalcode", "wifi_password", "groups"]
    assert json.loads(change["changes"])[0] == {"field": "postalcode", "old": "1504", "new": "1505"}
    trend = road.client.query("SELECT sum(count), sum(errors) FROM response_times").result_rows[0]
    assert trend == (requests, 2)


BAD: list[tuple[str, bytes | None, str]] = [
    (topics.API_REQUESTS, None, "empty"),
    (topics.API_REQUESTS, b"", "empty"),
    (topics.API_REQUESTS, b"\xff\xfe", "not-json"),
    (topics.API_REQUESTS, b'{"event_id": ', "not-json"),
    (topics.API_REQUESTS, b"[]", "invalid-field"),
    (topics.API_REQUESTS, request()[:-1] + b', "data": ' + b"[" * 200_000, "too-deep"),
    (topics.API_REQUESTS, request(status_code="two hundred"), "invalid-field"),
    (topics.API_REQUESTS, request(requested_at="0001-01-01T00:00:00Z"), "invalid-field"),
    (topics.API_REQUESTS, request(requested_at="9999-12-31T23:59:59-05:00"), "invalid-field"),
    (topics.API_REQUESTS, request(requested_at="2026-01-01T00:00:00"), "invalid-field"),
    (topics.API_REQUESTS, request(remote_addr="nowhere"), "invalid-field"),
    (topics.ADMIN_CHANGES, request(), "invalid-field"),
]


def test_a_bad_message_stops_nothing_and_is_kept(road: Road, start_worker: Callable[[], Any]) -> None:
    start_worker()
    for topic, value, _ in BAD:
        road.send(topic, value, key="the-key", headers=[("trace", b"1")])
    road.send(topics.API_REQUESTS, request(), headers=[("ce_type", b"krill.api.request.v2")])
    road.send(topics.API_REQUESTS, b'{"wifi_password": "hunter2hunter2", "city": "Elx"')
    road.send(topics.API_REQUESTS, request(user="after"))
    road.send(topics.ADMIN_CHANGES, None, key="gone")
    road.flush()
    road.wait("api_requests", 1, "user = 'after'")
    road.wait("dead_letters", len(BAD) + 3)
    reasons = sorted(row[0] for row in road.client.query("SELECT reason FROM dead_letters FINAL").result_rows)
    assert reasons == sorted([*(reason for _, _, reason in BAD), "unknown-type", "not-json", "empty"])
    kept = road.client.query(
        "SELECT kafka_topic, kafka_partition, kafka_offset, key, headers, value, error FROM dead_letters FINAL "
        "WHERE reason = 'too-deep'"
    ).first_item
    assert kept["kafka_topic"] == topics.API_REQUESTS
    assert kept["key"] == "the-key"
    assert json.loads(kept["headers"]) == [["trace", "1"]]
    assert len(kept["value"]) > 200_000
    secret = road.client.query("SELECT value FROM dead_letters FINAL WHERE value LIKE '%Elx%'").first_item["value"]
    assert "hunter2" not in secret


def test_the_worker_counts_what_it_does(road: Road, settings: Settings, start_worker: Callable[[], Any]) -> None:
    start_worker()
    for value in (request(), request(), b"bad"):
        road.send(topics.API_REQUESTS, value)
    road.flush()
    road.wait("api_requests", 2)
    road.wait("dead_letters", 1)
    road.wait("pipeline_status FINAL", 12, "lag = 0")
    with urllib.request.urlopen(f"http://127.0.0.1:{settings.worker_port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    for line in (
        'consumed_messages_total{topic="krill.api.requests"} 3.0',
        'stored_rows_total{table="api_requests"} 2.0',
        'stored_rows_total{table="dead_letters"} 1.0',
        'dead_letters_total{reason="not-json",topic="krill.api.requests"} 1.0',
        'batch_seconds_count{table="api_requests"}',
        'paused{partition="0",topic="krill.api.requests"} 0.0',
    ):
        assert f"krill_logger_worker_{line}" in text


def test_a_foreign_message_among_the_dead_letters_is_shown(road: Road, start_worker: Callable[[], Any]) -> None:
    start_worker()
    road.send(topics.DEAD_LETTERS, b"\xff" * 10, headers=[("dl_offset", b"many"), ("dl_topic", b"x")])
    road.send(topics.DEAD_LETTERS, None)
    road.flush()
    road.wait("dead_letters", 2)


def test_a_large_body_and_numbers_beyond_64_bits(road: Road, start_worker: Callable[[], Any]) -> None:
    start_worker()
    road.send(topics.API_REQUESTS, request(data="x" * (10 * 1024 * 1024)))
    road.send(topics.API_REQUESTS, request(data={"n": 10**40, "float": 1e300}))
    road.flush()
    road.wait("api_requests", 2)


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_loses_nothing_and_repeats_nothing(
    road: Road, start_worker: Callable[[], Any], signal_number: signal.Signals
) -> None:
    total = 40_000
    worker = start_worker()
    for number in range(total):
        road.send(topics.API_REQUESTS, request(user=f"u{number % 5}", data={"number": number}), key=f"u{number % 5}")
        if number == total // 2:
            road.flush()
            road.wait_for_some("api_requests")
            worker.send_signal(signal_number)
            assert worker.wait(30) in (0, -signal.SIGKILL)
            start_worker()
    road.flush()
    road.wait("api_requests", total, seconds=60)
    assert road.count("api_requests", "1") == total
    distinct = road.client.query("SELECT uniqExact(kafka_partition, kafka_offset), uniqExact(data) FROM api_requests")
    assert distinct.result_rows[0] == (total, total)


def test_two_workers_share_the_partitions(road: Road, start_worker: Callable[[], Any]) -> None:
    def workers() -> int:
        return int(road.client.query("SELECT uniqExact(worker) FROM pipeline_status FINAL").result_rows[0][0])

    sent = 0
    start_worker()
    start_worker()
    deadline = time.monotonic() + SECONDS
    while workers() < 2:
        assert time.monotonic() < deadline
        for number in range(200):
            road.send(topics.API_REQUESTS, request(user=f"u{number}"), key=f"u{number}")
            sent += 1
        time.sleep(0.2)
    road.flush()
    road.wait("api_requests", sent)
    road.wait("pipeline_status FINAL", 12, "lag = 0")
