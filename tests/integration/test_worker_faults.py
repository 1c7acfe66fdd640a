"""The worker where Kafka, ClickHouse or the worker itself break: nothing is missing, nothing is there twice."""

from __future__ import annotations

import datetime as dt
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import clickhouse_connect
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from consumers import database as worker_database
from consumers import kafka, metrics, normalise
from consumers.batch import Batch, Converted, convert
from consumers.database import Database
from consumers.loop import Loop
from consumers.membership import STORING
from consumers.partition import mark
from consumers.ranges import NotSettled, Overtaken, settle
from consumers.storage import Storage
from deploy.topics import create_topics
from schemas import topics
from schemas.migrations import apply
from schemas.settings import Settings
from tests.conftest import Database as Tables
from tests.conftest import Server, free_port
from tests.integration.test_verify import Krill, commit, krill
from tests.integration.test_worker import Road, request, road, start_worker

__all__ = ["krill", "road", "start_worker"]

Start = Callable[[], subprocess.Popen[bytes]]


def begun(road: Road, settings: Settings, number: int) -> Batch:
    """Messages in partition 0, which a worker that is gone had begun to store."""
    reader = kafka.Reader(settings)
    start = reader.bounds(topics.API_REQUESTS, 0)[1]
    for n in range(number):
        road.producer.produce(topics.API_REQUESTS, request(user=f"u{n % 3}", status_code=200 + n % 300), partition=0)
    road.flush()
    identity = kafka.topic_ids(AdminClient(settings.kafka()), [topics.API_REQUESTS])[topics.API_REQUESTS]
    end = reader.bounds(topics.API_REQUESTS, 0)[1]
    [batch] = reader.batches(topics.API_REQUESTS, identity, 0, start, end)
    reader.close()
    commit(settings, [TopicPartition(topics.API_REQUESTS, 0, start, mark(identity))])
    return batch


def part(batch: Batch, start: int, end: int, **changes: Any) -> Batch:
    """Some of a batch's messages, by their places in it; the batch keeps them."""
    begin = batch.start
    return replace(batch, start=begin + start, end=begin + end, messages=batch.messages[start:end], **changes)


@pytest.mark.parametrize(("lost", "left"), [("kafka_offset % 2 = 0", 250), ("1", 0)], ids=["half", "all"])
def test_rows_that_a_crash_took_from_under_their_token_are_put_back(
    road: Road, settings: Settings, start_worker: Start, lost: str, left: int
) -> None:
    batch = begun(road, settings, 500)
    Storage(settings).store(batch)
    road.wait("api_requests", 500)
    # What is left when ClickHouse is killed between its deduplication log and the part.
    road.remove("api_requests", lost)
    assert road.count("api_requests") == left
    start_worker()
    road.wait("api_requests", 500)
    assert road.client.query("SELECT count(), uniqExact(kafka_offset) FROM api_requests").result_rows == [(500, 500)]


def test_a_group_that_was_put_back_stores_nothing_twice(road: Road, settings: Settings, start_worker: Start) -> None:
    batch = begun(road, settings, 90)
    for start, end in ((0, 20), (20, 50), (50, 90)):
        Storage(settings).store(part(batch, start, end))
    # Into the midst of what was stored, with more behind it.
    commit(settings, [TopicPartition(topics.API_REQUESTS, 0, batch.start + 30, mark(batch.topic_id))])
    for _ in range(10):
        road.producer.produce(topics.API_REQUESTS, request(user="behind"), partition=0)
    road.flush()
    start_worker()
    road.wait("api_requests", 10, "user = 'behind'")
    assert road.count("api_requests") == 100


def test_an_insert_that_arrives_after_the_group_was_put_back_adds_nothing(
    road: Road, settings: Settings, start_worker: Start
) -> None:
    batch = begun(road, settings, 90)
    Storage(settings).store(part(batch, 0, 30))
    held = convert(part(batch, 30, 60))
    commit(settings, [TopicPartition(topics.API_REQUESTS, 0, batch.start + 10, mark(batch.topic_id))])
    start_worker()
    road.wait("api_requests", 90)
    assert held.columns is not None
    Database(settings).insert(held.table, held.columns)
    assert road.count("api_requests") == 90


def test_of_two_inserts_at_once_that_begin_with_the_same_row_one_counts(road: Road, settings: Settings) -> None:
    batch = begun(road, settings, 90)
    storage = Storage(settings)

    def overtaken(batch: Batch) -> bool:
        try:
            storage.store(batch)
        except Overtaken:
            return True
        return False

    with ThreadPoolExecutor(2) as threads:
        for number in range(12):
            ends = (60, 90) if number % 2 else (90, 60)
            both = [part(batch, 0, end, partition=number, first=True) for end in ends]
            assert sum(threads.map(overtaken, both)) == 1
    sql = "SELECT count(), uniqExact(kafka_offset) FROM api_requests GROUP BY kafka_partition"
    counts = road.client.query(sql).result_rows
    assert len(counts) == 12
    assert set(counts) <= {(60, 60), (90, 90)}


def test_a_worker_whose_first_rows_come_behind_anothers_begins_anew(road: Road, settings: Settings) -> None:
    batch = begun(road, settings, 90)
    held = convert(part(batch, 0, 30))
    table, rows = held.table, held.columns
    assert rows is not None
    storage = Storage(settings)
    rejoins = metrics.REJOINS._value.get()

    with ThreadPoolExecutor(STORING) as pool:

        def submit(batch: Batch) -> Future[Converted]:
            storage.database.insert(table, rows)  # on its way since before the worker asked where the rows end
            return pool.submit(storage.store, batch)

        loop = Loop(settings, submit, partial(pool.submit, storage.edge), frozenset)
        loop.start()
        try:
            road.wait("api_requests", 90)
            wait_for(lambda: committed(settings), str(batch.end))
            assert loop.snapshot()[1] == "", "what made it begin anew is over"
        finally:
            loop.stop()
    assert loop.failure is None
    assert metrics.REJOINS._value.get() == rejoins + 1
    assert road.client.query("SELECT count(), uniqExact(kafka_offset) FROM api_requests").result_rows == [(90, 90)]


def test_what_kafka_deleted_before_it_was_read_is_counted_and_passed(
    road: Road, settings: Settings, start_worker: Start, krill: Krill, tmp_path: Path
) -> None:
    for n in range(10):
        road.producer.produce(topics.API_REQUESTS, request(user=f"before{n}"), partition=0)
    road.flush()
    worker = start_worker()
    road.wait("api_requests", 10)
    worker.terminate()
    worker.wait(30)
    batch = begun(road, settings, 100)
    admin = AdminClient(settings.kafka())

    def delete(end: int) -> None:
        [future] = admin.delete_records([TopicPartition(topics.API_REQUESTS, 0, end)]).values()
        future.result(20)

    delete(batch.start + 60)
    worker = start_worker()
    road.wait("api_requests", 50)
    log = wait_for(lambda: (tmp_path / "worker-1.log").read_text(), "messages are lost")
    gone = f"60 messages are lost: Kafka deleted offsets {batch.start} to {batch.start + 59} before they were read"
    assert log.count(gone) == 1
    counted = 'krill_logger_worker_deleted_messages_total{topic="krill.api.requests"} 60.0'
    # The second worker of a test has a port of its own; what it counts is in its own process.
    port = next(one.laddr.port for one in psutil.Process(worker.pid).net_connections("tcp") if one.status == "LISTEN")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        assert counted in answer.read().decode()
    # All that is there is deleted, and nothing comes behind it: nobody waits for it.
    worker.terminate()
    worker.wait(30)
    begun(road, settings, 30)
    delete(batch.end + 30)
    start_worker()
    wait_for(lambda: committed(settings), str(batch.end + 30))
    for n in range(5):
        road.producer.produce(topics.API_REQUESTS, request(user=f"behind{n}"), partition=0)
    road.flush()
    road.wait("api_requests", 55)
    said = krill("verify", code=1).stdout.splitlines()
    place, gone = f"{topics.API_REQUESTS} [0], offsets", "messages are in no table, and Kafka no longer has them"
    assert said == [
        f"{place} {batch.start} to {batch.start + 59}: 60 {gone}",
        f"{place} {batch.end} to {batch.end + 29}: 30 {gone}",
    ]


def committed(settings: Settings) -> str:
    consumer = Consumer(settings.kafka(group_id=settings.group))
    [place] = consumer.committed([TopicPartition(topics.API_REQUESTS, 0)], timeout=10)
    consumer.close()
    return f"{place.offset}"


def wait_for(text: Callable[[], str], part: str) -> str:
    deadline = time.monotonic() + 30
    while part not in (found := text()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def test_settling_is_idempotent(road: Road, settings: Settings) -> None:
    batch = begun(road, settings, 50)
    storage = Storage(settings)
    converted = storage.store(batch)
    assert settle(storage.database, batch, converted) == 0
    road.client.command("TRUNCATE TABLE api_requests")
    assert settle(storage.database, batch, converted) == 50
    assert settle(storage.database, batch, converted) == 0
    assert road.count("api_requests") == 50


def replaced(columns: pa.Table, name: str, values: list[Any]) -> pa.Table:
    place = columns.schema.get_field_index(name)
    field = columns.schema.field(place)
    return columns.set_column(place, field, pa.array(values, field.type))


@pytest.mark.parametrize("spans", [worker_database.SPANS, 7])
def test_an_insert_adds_the_rows_that_are_not_there(
    road: Road, settings: Settings, monkeypatch: pytest.MonkeyPatch, spans: int
) -> None:
    monkeypatch.setattr(worker_database, "SPANS", spans)
    converted = convert(begun(road, settings, 60))
    table, columns, now = converted.table, converted.columns, dt.datetime.now(dt.UTC)
    assert columns is not None
    times = [now - dt.timedelta(days=n % 20 * 30, seconds=n) for n in range(40)]
    # On both sides of where a span ends, and of where they are counted from.
    times += [dt.datetime.fromtimestamp(n * 10 - n % 2 / 1000, dt.UTC) for n in range(-8, 8)]
    times += [
        normalise.EARLIEST,
        dt.datetime(1969, 7, 20, tzinfo=dt.UTC),
        dt.datetime(2299, 12, 31, tzinfo=dt.UTC),
        now,
    ]
    columns = replaced(columns, table.time, times)
    database = Database(settings)
    database.insert(table, columns.slice(20, 25), "of other boundaries")
    assert road.count("api_requests") == 25
    database.insert(table, columns, "the whole")
    assert road.count("api_requests") == 60
    database.insert(table, replaced(columns, "kafka_partition", [1] * 60), "of another partition")
    database.insert(table, replaced(columns, "kafka_topic_id", [bytes(16)] * 60), "of another topic")
    assert road.count("api_requests") == 180
    places = "kafka_topic_id, kafka_partition, kafka_offset"
    [[different]] = road.client.query(f"SELECT uniqExact({places}) FROM api_requests").result_rows
    assert different == 180


def test_what_is_missing_in_two_months_may_arrive_a_month_at_a_time(
    road: Road, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = begun(road, settings, 40)
    converted = convert(batch)
    assert converted.columns is not None
    times = [dt.datetime(2026, 9 + n % 2, 10, tzinfo=dt.UTC) for n in range(40)]
    converted = replace(converted, columns=replaced(converted.columns, "requested_at", times))
    assert converted.columns is not None
    gone, next_owner = Database(settings), Database(settings)
    next_owner.insert(converted.table, converted.columns.slice(0, 10), "of other boundaries")
    sent: list[Any] = []
    monkeypatch.setattr(gone, "insert", lambda *insert: sent.append(insert))
    with pytest.raises(NotSettled):
        settle(gone, batch, converted)
    [(table, rows, token)] = [insert for insert in sent if insert[2].endswith(":0")]
    next_owner.insert(table, rows.filter(pc.equal(pc.month(rows["requested_at"]), 9)), token)
    assert settle(next_owner, batch, converted) == 15
    next_owner.insert(table, rows, token)
    assert road.count("api_requests") == 40


def test_an_insert_that_comes_too_late_is_refused(
    road: Road, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = begun(road, settings, 5)
    converted = convert(batch)
    assert converted.columns is not None
    monkeypatch.setattr(worker_database, "INSERT_SECONDS", -60)
    with pytest.raises(ClickHouseError, match="too late"):
        Database(settings).insert(converted.table, converted.columns)
    assert road.count("api_requests") == 0
    monkeypatch.undo()
    Database(settings).insert(converted.table, converted.columns)
    Database(settings).insert(converted.table, converted.columns)
    assert road.count("api_requests") == 5, "a refused insert leaves no token behind"


def test_a_token_counts_though_its_rows_are_gone(road: Road, settings: Settings) -> None:
    batch = begun(road, settings, 5)
    converted = convert(batch)
    assert converted.columns is not None
    Database(settings).insert(converted.table, converted.columns)
    road.remove("api_requests", "1")
    Database(settings).insert(converted.table, converted.columns)
    assert road.count("api_requests") == 0


def test_rows_that_arrive_long_after_their_insert_was_begun_are_refused(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowly = "SELECT * FROM (SELECT * FROM numbers(4) WHERE sleepEachRow(0.4) = 0 SETTINGS max_block_size = 1)"
    assert len(road.client.query(f"{slowly} WHERE {worker_database.in_time()}").result_rows) == 4
    monkeypatch.setattr(worker_database, "LOOK_SECONDS", 1)
    with pytest.raises(ClickHouseError, match="longer than 1 s"):
        road.client.query(f"{slowly} WHERE {worker_database.in_time()}")


def test_a_broker_that_restarts_and_a_topic_that_is_made_again(
    kafka_server: Server, clickhouse: str, database: Tables, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kafka_server.start()
    settings = Settings(
        data=tmp_path / "worker",
        kafka_bootstrap=kafka_server.settings.bootstrap,
        clickhouse_url=clickhouse,
        clickhouse_database=database.name,
        group=f"test-{uuid.uuid4().hex}",
        partitions=2,
        worker_port=free_port(),
    )
    create_topics(settings)
    road = Road(settings, database.client)
    worker = run_worker(settings, tmp_path / "worker.log", request)
    sent = 0

    def send(number: int) -> None:
        nonlocal sent
        for _ in range(number):
            road.send(topics.API_REQUESTS, event(f"n{sent}"), key=f"k{sent % 7}")
            sent += 1
        road.flush()
        road.wait("api_requests", sent, seconds=60)

    send(3_000)
    kafka_server.kill()
    time.sleep(1)
    kafka_server.start()
    send(1_000)
    admin = AdminClient(settings.kafka())
    admin.delete_topics([topics.API_REQUESTS])[topics.API_REQUESTS].result(20)
    deadline = time.monotonic() + 20
    while topics.API_REQUESTS in admin.list_topics(timeout=10).topics:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    create_topics(settings)
    send(500)  # fewer than the old topic held, so at offsets that are stored of it
    send(5_000)
    assert worker.poll() is None
    found = road.client.query("SELECT uniqExact(user), uniqExact(kafka_topic_id) FROM api_requests").result_rows
    assert found == [(sent, 2)]


def event(user: str, **values: Any) -> bytes:
    return request(user=user, **values)


def run_worker(settings: Settings, log: Path, request: pytest.FixtureRequest) -> subprocess.Popen[bytes]:
    from tests.integration import test_worker

    with log.open("wb") as file:
        process = subprocess.Popen(
            [str(Path(test_worker.sys.executable).with_name("krill-logger")), "worker"],
            env=test_worker.environ(settings),
            stdout=file,
            stderr=file,
        )

    def end() -> None:
        process.kill()
        process.wait()
        print(log.read_text()[-4000:])

    request.addfinalizer(end)
    return process


def test_an_outage_is_told_once(clickhouse_server: Server, caplog: pytest.LogCaptureFixture) -> None:
    storage = Storage(clickhouse_server.settings)
    storage.stop()  # so that no try waits

    def look() -> list[int | None]:
        return [storage.edge(topics.API_REQUESTS, str(uuid.UUID(int=1)), place, 7) for place in (0, 1)]

    for outage in (1, 2):
        for _ in range(3):
            assert look() == [None, None]
        told = [message for message in caplog.messages if message.startswith("look for the rows")]
        assert len(told) == outage
        assert all("krill.api.requests [0] failed" in message for message in told)
        clickhouse_server.start()
        client = clickhouse_connect.get_client(dsn=clickhouse_server.settings.clickhouse)
        apply(client, clickhouse_server.settings.clickhouse_database)
        client.close()
        assert look() == [7, 7]
        clickhouse_server.kill()


def test_memory_is_bounded_while_clickhouse_is_away(
    kafka: str, clickhouse_server: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    clickhouse_server.start()
    client = clickhouse_connect.get_client(dsn=clickhouse_server.settings.clickhouse, autogenerate_session_id=False)
    settings = Settings(
        data=tmp_path / "worker",
        kafka_bootstrap=kafka,
        clickhouse_url=clickhouse_server.settings.clickhouse,
        group=f"test-{uuid.uuid4().hex}",
        worker_port=free_port(),
    )
    create_topics(settings)
    apply(client, settings.clickhouse_database)
    road = Road(settings, client)
    worker = psutil.Process(run_worker(settings, tmp_path / "worker.log", request).pid)
    road.send(topics.API_REQUESTS, event("first"))
    road.flush()
    road.wait("api_requests", 1)
    clickhouse_server.kill()
    # More than may be held, in messages of every size.
    small, large, sizes, number = "x" * 4_000, "x" * 8_000_000, [], 1
    for second in range(10):
        started = time.monotonic()
        for n in range(2_500):
            road.send(topics.API_REQUESTS, event(f"u{n}", data=small), key=f"u{n}")
        for n in range(3):
            road.send(topics.API_REQUESTS, event(f"large{n}", data=large), key=f"{second}-{n}")
        number += 2_503
        road.producer.poll(0)
        sizes.append(worker.memory_info().rss // 2**20)
        time.sleep(max(0.0, started + 1 - time.monotonic()))
    road.flush()
    print(f"worker's memory, MiB, each second: {sizes}")
    assert max(sizes) < 1_000
    assert max(sizes[-3:]) < 1.2 * max(sizes[:7])
    clickhouse_server.start()
    road.wait("api_requests", number, seconds=60)
    print(f"worker's memory after catching up: {worker.memory_info().rss // 2**20} MiB")
    paused = road.client.query("SELECT count(), countIf(lag > 0) FROM pipeline_status FINAL").result_rows
    assert paused[0][0] == 12, "no partition was lost"
