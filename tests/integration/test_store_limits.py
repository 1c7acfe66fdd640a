"""Limits and faults of the dashboard's queries: time, memory, threads, outages; and what is told of the pipeline."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import threading
import time
from dataclasses import replace
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from dashboard.clickhouse import ClickHouse
from dashboard.columns import API_REQUESTS, Report
from dashboard.filters import Query, decode, parse
from dashboard.rows import Cut
from dashboard.store import QueryTooSlow, ResultTooLarge, Store, StoreError, StoreUnavailable
from schemas.migrations import apply
from schemas.settings import Settings
from tests.conftest import Database, Server
from tests.integration import report_data

MADRID = ZoneInfo("Europe/Madrid")
ROWS = report_data.api_requests()
Row = dict[str, Any]


def query(text: str = "", report: Report = API_REQUESTS) -> Query:
    return parse(decode(text.encode()), report, MADRID)


STREAM = """
import resource, sys
from zoneinfo import ZoneInfo
from dashboard.columns import API_REQUESTS
from dashboard.filters import decode, parse
from dashboard.store import Store
from schemas.settings import Settings
url, database, text = sys.argv[1:]
store = Store(Settings(clickhouse_url=url, clickhouse_database=database))
rows = sum(len(block) for block in store.stream(parse(decode(text.encode()), API_REQUESTS, ZoneInfo("UTC"))))
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_streaming_needs_no_more_memory_for_more_rows(clickhouse: str, database: Database) -> None:
    database.client.command(
        "INSERT INTO api_requests (event_id, requested_at, user, status_code, data, kafka_offset) SELECT "
        "generateUUIDv4(number), toDateTime64('2026-11-01', 3, 'UTC') + toIntervalSecond(number % 100000), "
        "toString(number % 100), 200, repeat('x', 1000), number FROM numbers(200000)"
    )
    peaks = []
    for count, text in ((40_000, "kafka_offset=<40000"), (200_000, "")):
        command = [sys.executable, "-c", STREAM, clickhouse, database.name, text]
        rows, kilobytes = map(int, subprocess.check_output(command, text=True).split())
        assert rows == count
        peaks.append(kilobytes)
    assert peaks[1] < peaks[0] + 20_000


def test_large_rows_are_streamed_in_small_blocks(clickhouse: str, database: Database) -> None:
    store = Store(Settings(clickhouse_url=clickhouse, clickhouse_database=database.name))
    database.client.command(
        "INSERT INTO api_requests (event_id, requested_at, data, kafka_offset) SELECT "
        "generateUUIDv4(number), toDateTime64('2026-11-01', 3, 'UTC') + toIntervalSecond(number), "
        "repeat(repeat('x', 1000000), 10), number FROM numbers(12)"
    )
    blocks = [[len(item["data"]) for item in block] for block in store.stream(query())]
    assert list(chain(*blocks)) == [10_000_000] * 12
    assert max(map(len, blocks)) == 1
    assert store.page(query(), large=False).total == 12
    assert len(store.page(query("per_page=5")).items) == 5
    with pytest.raises(ResultTooLarge):
        store.page(query())


def test_dead_letters(empty: Store, database: Database) -> None:
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    rows = [
        {
            "kafka_topic": "krill.api.requests",
            "kafka_partition": 1,
            "kafka_offset": number,
            "failed_at": now + dt.timedelta(seconds=number),
            "reason": "malformed",
            "error": "not JSON",
            "key": b"k\xff",
            "headers": '[["ce_id", "1"]]',
            "value": b"\xff" * (70_000 if number else 3),
        }
        for number in range(3)
    ]
    report_data.insert(database.client, "dead_letters", rows)
    page = empty.dead_letters(1, 2)
    assert (page.total, [item["kafka_offset"] for item in page.items]) == (3, [2, 1])
    [first] = empty.dead_letters(2, 2).items
    assert first["key"] == "k\ufffd"
    assert first["headers"] == [["ce_id", "1"]]
    assert first["value"] == "\ufffd" * 3
    cut = page.items[0]["value"]
    assert isinstance(cut, Cut)
    assert (len(cut), cut.size) == (65536, 70_000)


def test_health(empty: Store, database: Database) -> None:
    assert empty.health()["worker"] == "down"
    now = dt.datetime.now(dt.UTC)

    def say(partition: int, age: float, state: str = "running", error: str = "") -> None:
        row = {
            "topic": "krill.api.requests",
            "partition": partition,
            "lag": 3,
            "state": state,
            "kafka_error": error,
        }
        row |= {
            "updated_at": now - dt.timedelta(seconds=age),
            "last_event_at": now - dt.timedelta(seconds=60),
        }
        report_data.insert(database.client, "pipeline_status", [row])

    say(0, 60)
    say(1, 30)
    assert empty.health()["worker"] == "down"
    say(0, 5)
    health = empty.health()
    assert (health["worker"], health["kafka"], health["lag"], health["dead_letters"]) == ("ok", "ok", 6, 0)
    assert abs((health["last_event_at"] - now).total_seconds() + 60) < 0.01
    assert [partition["stale"] for partition in health["partitions"]] == [False, True]
    say(0, 4, error="Connection refused")
    assert (empty.health()["worker"], empty.health()["kafka"]) == ("ok", "down")
    say(0, 3.5, state="stopped by flood")
    assert empty.health()["worker"] == "stopped by flood"
    say(0, 3, state="stopped")
    assert empty.health()["worker"] == "down"


def test_queries_can_only_read(filled: Settings) -> None:
    clickhouse = ClickHouse(filled)
    for sql in (
        "TRUNCATE TABLE api_requests",
        "INSERT INTO api_requests (user) VALUES ('x')",
        "DROP TABLE api_requests",
    ):
        with pytest.raises(StoreError):
            clickhouse.query(sql)
    assert clickhouse.query("SELECT count() FROM api_requests")[0][0] == len(ROWS)


def test_a_slow_query_is_stopped(filled: Settings) -> None:
    clickhouse = ClickHouse(replace(filled, query_seconds=1))
    start = time.monotonic()
    with pytest.raises(QueryTooSlow) as caught:
        clickhouse.query("SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))")
    assert time.monotonic() - start < 6
    assert "numbers" not in str(caught.value)


def test_a_query_that_needs_too_much_memory_is_stopped(filled: Settings) -> None:
    with pytest.raises(ResultTooLarge):
        ClickHouse(filled).query("SELECT groupArray(repeat('x', 1000)) FROM numbers(100000000)", max_memory_usage=10**8)


def test_no_query_waits_for_machine_code(filled: Settings) -> None:
    sql = "SELECT getSetting('compile_expressions'), getSetting('compile_aggregate_expressions')"
    assert ClickHouse(filled).query(sql) == [(False, False)]


def test_threads_share_a_store(store: Store) -> None:
    found: list[int] = []

    def read() -> None:
        found.extend(store.page(query("user=crm-a&per_page=10")).total for _ in range(5))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    assert len(set(found)) == 1


def test_an_outage_passes(clickhouse_server: Server) -> None:
    store = Store(replace(clickhouse_server.settings, query_seconds=5))
    with pytest.raises(StoreUnavailable) as caught:
        store.totals()
    assert "127.0.0.1" not in str(caught.value)
    clickhouse_server.start()
    with pytest.raises(StoreUnavailable):
        store.totals()
    client: Client = clickhouse_connect.get_client(dsn=clickhouse_server.settings.clickhouse)
    apply(client, clickhouse_server.settings.clickhouse_database)
    client.close()
    assert store.totals()["api-requests"] == 0
    clickhouse_server.kill()
    with pytest.raises(StoreUnavailable):
        store.totals()
    clickhouse_server.start()
    assert store.totals()["api-requests"] == 0
