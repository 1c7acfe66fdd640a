"""A year of rows in a ClickHouse of its own: a seeded sample through the worker's own code, multiplied in SQL.

What is multiplied is varied: times over a year with the hours of a working day, new ids of events and requests, and
other digits in every copy, so that identifiers, addresses and payloads are as many and as hard to compress as in a
year of traffic. Each month is one part, as it is in a table that nothing was added to for days.
"""

from __future__ import annotations

import datetime as dt
import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from consumers import tables
from consumers.batch import Batch, convert
from consumers.database import Database
from deploy.embedded import clickhouse as embedded_clickhouse
from schemas import topics
from schemas.migrations import apply
from schemas.settings import Settings
from tests.benchmarks import events
from tests.conftest import Server, free_port

#: The year of the rows, in UTC.
START, END = dt.datetime(2025, 11, 1, tzinfo=dt.UTC), dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
SAMPLE = 100_000
#: Admin changes for each API request.
CHANGES = 0.05
#: Rows of an insert: large, so that little is left to merge.
INSERTED = 1_000_000
#: Months that are filled at the same time.
THREADS = 2
_SEED = 7
_SAMPLES = "sample"


@contextmanager
def clickhouse(folder: Path, requests: int) -> Iterator[Settings]:
    """Settings of an embedded ClickHouse that holds so many requests, and admin changes; kept in `folder`.

    A folder that holds as many rows in the newest schema is used as it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings(data=folder, clickhouse_port=free_port())
    server = Server("clickhouse", settings, embedded_clickhouse.is_ready, folder / "clickhouse.log")
    server.start()
    try:
        fill(settings, requests)
        yield settings
    finally:
        server.stop()


def fill(settings: Settings, requests: int) -> None:
    """Bring the database to so many requests; one with another number of rows, or another schema, is made anew."""
    client = clickhouse_connect.get_client(dsn=settings.clickhouse, autogenerate_session_id=False)
    database = settings.clickhouse_database
    wanted = {"api_requests": requests, "admin_changes": int(requests * CHANGES)}
    there = client.query(
        "SELECT name, total_rows FROM system.tables WHERE database = {name:String}", parameters={"name": database}
    ).result_rows
    if there and not apply(client, database) and dict(there).items() >= wanted.items():
        client.close()
        return
    for name in (database, _SAMPLES):
        client.command("DROP DATABASE IF EXISTS {name:Identifier} SYNC", parameters={"name": name}, use_database=False)
    print(f"making {requests:,} requests …", flush=True)
    _sample(settings, client, min(SAMPLE, requests))
    apply(client, database)
    # So large an insert may never meet another to be merged with, and merging is when projections are made.
    client.command("ALTER TABLE api_requests MODIFY SETTING materialize_projections_on_insert = 1")
    with ThreadPoolExecutor(THREADS) as threads:
        for table, count in wanted.items():
            list(threads.map(lambda month, table=table: _fill_month(client, table, *month), _months(count)))
    client.command("ALTER TABLE api_requests MODIFY SETTING materialize_projections_on_insert = 0")
    client.command("DROP DATABASE {name:Identifier} SYNC", parameters={"name": _SAMPLES})
    _close(client)
    settle(client)
    client.close()


def _close(client: Client) -> None:
    """Make one part of each month, as the tables do by themselves when nothing was added for three days."""
    several = client.query(
        "SELECT table, partition FROM system.parts WHERE database = currentDatabase() AND active "
        "AND table IN ('api_requests', 'admin_changes') "
        "GROUP BY table, partition HAVING count() > 1"
    ).result_rows
    for table, month in several:
        client.command(f"OPTIMIZE TABLE {table} PARTITION {month} FINAL", settings={"max_execution_time": 0})


def settle(client: Client, seconds: float = 1800) -> None:
    """Wait until ClickHouse has merged what it wants to merge."""
    deadline, quiet = time.monotonic() + seconds, 0
    while quiet < 10 and time.monotonic() < deadline:
        quiet = 0 if client.query("SELECT count() FROM system.merges").result_rows[0][0] else quiet + 1
        time.sleep(0.2)


class _Message:
    """What `convert` reads of a Kafka message."""

    def __init__(self, topic: str, offset: int, value: bytes) -> None:
        self._topic, self._offset, self._value = topic, offset, value

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes:
        return self._value

    def key(self) -> None:
        return None

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return (1, 0)


def _sample(settings: Settings, client: Client, count: int) -> None:
    """Distinct rows, validated, normalised and masked by the worker's code, in a database beside."""
    apply(client, _SAMPLES)
    database = Database(Settings(clickhouse_url=settings.clickhouse, clickhouse_database=_SAMPLES))
    made: Sequence[tuple[str, Callable[..., Iterator[bytes]]]] = (
        (topics.API_REQUESTS, events.api_requests),
        (topics.ADMIN_CHANGES, events.admin_changes),
    )
    for topic, values in made:
        messages = [_Message(topic, offset, value) for offset, value in enumerate(values(count, seed=_SEED))]
        batch = Batch(topic, str(uuid.UUID(int=_SEED)), 0, 0, count, messages)  # type: ignore[arg-type]
        converted = convert(batch)
        assert converted.columns is not None
        assert not converted.dead, converted.dead[0]
        table: tables.Table = converted.table
        database.insert(table, converted.columns)


def _fill_month(client: Client, table: str, since: dt.datetime, until: dt.datetime, first: int, last: int) -> None:
    """Copies of the sample in a month, a permutation of digits each: the rows from `first` to `last` of the year."""
    sampled = client.query(f"SELECT count() FROM {_SAMPLES}.{table}").result_rows[0][0]
    described = client.query(f"DESCRIBE TABLE {_SAMPLES}.{table}").result_rows
    columns = [name for name, _, default, *_ in described if default != "MATERIALIZED"]
    chance = random.Random(_SEED + first)
    while first < last:
        copies, end = [], min(last, first + INSERTED)
        while first < end:
            rows = min(sampled, end - first)
            digits = list("123456789")  # no number may begin with a zero
            chance.shuffle(digits)
            selected = ", ".join(_varied(name, since, until, first, "".join(digits)) for name in columns)
            some = "" if rows == sampled else f" ORDER BY rand() LIMIT {rows}"
            copies.append(f"SELECT {selected} FROM (SELECT * FROM {_SAMPLES}.{table}{some})")
            first += rows
        client.command(
            f"INSERT INTO {table} ({', '.join(columns)}) {' UNION ALL '.join(copies)}",
            settings={
                "async_insert": 0,
                "max_insert_threads": 1,
                "max_threads": 1,
                "min_insert_block_size_rows": INSERTED,
                "min_insert_block_size_bytes": 0,
                "max_execution_time": 0,
            },
        )


def _months(count: int) -> Iterator[tuple[dt.datetime, dt.datetime, int, int]]:
    """Beginning and end of each month of the year, and the first and last of so many rows that are in it."""
    since, first = START, 0
    while since < END:
        until = (since + dt.timedelta(days=32)).replace(day=1)
        last = round(count * ((until - START) / (END - START)))
        yield since, until, first, last
        since, first = until, last


def _varied(name: str, since: dt.datetime, until: dt.datetime, first: int, digits: str) -> str:
    """The expression that makes a column of a copy from that of the sample."""
    days = (until - since).days
    # Most of a day's traffic in its working hours: the sum of two even chances.
    second = f"rand(1) % {days} * 86400 + rand(2) % 50400 + rand(3) % 36000"
    instant = f"toInt64({int(since.timestamp()) * 1000} + ({second}) * 1000 + rand(4) % 1000)"
    match name:
        case "requested_at" | "changed_at":
            return f"fromUnixTimestamp64Milli({instant}, 'UTC')"
        case "event_id":  # version 7, as producers make it: the time, and 74 bits of chance
            begin, rest = f"leftPad(lower(hex({instant})), 12, '0')", "substring(toString(generateUUIDv4()), 16)"
            return f"toUUID(concat(substring({begin}, 1, 8), '-', substring({begin}, 9), '-7', {rest}))"
        case "request_id":
            return "substring(lower(hex(reinterpret(generateUUIDv4(), 'FixedString(16)'))), 1, length(request_id))"
        case "kafka_partition":
            return "toInt32(cityHash64(user) % 4)"
        case "kafka_offset":
            return f"toInt64({first} + rowNumberInAllBlocks())"
        case "path":  # behind the version
            return f"concat(substring(path, 1, 8), translate(substring(path, 9), '123456789', '{digits}'))"
        case "object_id" | "object_repr" | "data" | "response" | "errors" | "changes" | "query_params":
            return f"translate({name}, '123456789', '{digits}')"
        case "response_ms":
            return "round(response_ms * (0.5 + rand(5) / 4294967296), 3)"
        case _:
            return name


__all__ = ["END", "START", "clickhouse", "fill", "settle"]
