"""Programs that bring events from Kafka to a table as people do without Krill Logger: nothing is checked or masked.

`python -m tests.benchmarks.peers NAME BOOTSTRAP CLICKHOUSE_URL DATABASE GROUP` runs one until it is killed. Quix
Streams needs a virtual environment of its own, in which this file runs as a script.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import Any

TOPIC = "krill.api.requests"
TABLE = "plain"
BATCH = 50_000
SECONDS = 0.2

#: The fields of an event; a plain table in the order of time.
COLUMNS = {
    "event_id": "UUID",
    "requested_at": "DateTime64(3, 'UTC')",
    "method": "LowCardinality(String)",
    "path": "String",
    "status_code": "UInt16",
    "response_ms": "Float64",
    "user": "LowCardinality(String)",
    "user_id": "String",
    "remote_addr": "String",
    "host": "LowCardinality(String)",
    "view": "LowCardinality(String)",
    "view_method": "LowCardinality(String)",
    "query_params": "String",
    "data": "String",
    "response": "String",
    "errors": "String",
    "user_agent": "LowCardinality(String)",
    "request_id": "String",
}
STRUCTURE = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
CREATE = f"CREATE TABLE {TABLE} ({STRUCTURE}) ENGINE = MergeTree ORDER BY (requested_at, event_id)"
#: How ClickHouse reads the events' JSON.
READING = {"async_insert": 0, "date_time_input_format": "best_effort", "input_format_skip_unknown_fields": 1}


def client(url: str, database: str) -> Any:
    import clickhouse_connect

    return clickhouse_connect.get_client(dsn=url, database=database, autogenerate_session_id=False)


def passthrough(bootstrap: str, url: str, database: str, group: str) -> None:
    """Batches of the bytes as they are, through `raw_insert`; the offsets are committed behind them."""
    from confluent_kafka import Consumer

    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "group.protocol": "consumer",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 50,
            "fetch.message.max.bytes": 16 * 1024 * 1024,
        }
    )
    consumer.subscribe([TOPIC])
    clickhouse = client(url, database)
    while True:
        values: list[Any] = []
        started = time.monotonic()
        while len(values) < BATCH and time.monotonic() - started < SECONDS:
            messages = consumer.consume(min(5_000, BATCH - len(values)), 0.05)
            values += [message.value() for message in messages if message.error() is None]
        if values:
            clickhouse.raw_insert(TABLE, insert_block=b"\n".join(values), fmt="JSONEachRow", settings=READING)
            consumer.commit(asynchronous=False)


def values(event: dict[str, Any]) -> list[Any]:
    """A row for `client.insert`."""
    import datetime as dt

    row = [event.get(name, "") for name in COLUMNS]
    row[1] = dt.datetime.fromisoformat(row[1])
    for at, name in enumerate(COLUMNS):
        if name in ("query_params", "data", "response") and row[at] != "":
            row[at] = json.dumps(row[at])
    row[7] = str(row[7])
    return row


def faust(bootstrap: str, url: str, database: str, group: str) -> None:
    """An agent that takes one event after the other, and inserts a thousand rows at a time."""
    import faust as library

    app = library.App(group, broker=f"kafka://{bootstrap}", store="memory://", web_enabled=False, topic_partitions=1)
    topic = app.topic(TOPIC, value_serializer="raw")
    clickhouse = client(url, database)

    @app.agent(topic)
    async def store(stream: Any) -> None:
        rows = []
        async for value in stream:
            rows.append(values(json.loads(value)))
            if len(rows) >= 1_000:
                clickhouse.insert(TABLE, rows, column_names=list(COLUMNS))
                rows = []

    library.Worker(app, loglevel="ERROR", redirect_stdouts=False).execute_from_commandline()


def quix(bootstrap: str, url: str, database: str, group: str) -> None:
    """Quix Streams with its JSON deserializer and a batching sink."""
    from quixstreams import Application
    from quixstreams.sinks import BatchingSink, SinkBatch

    clickhouse = client(url, database)

    class Sink(BatchingSink):
        def write(self, batch: SinkBatch) -> None:
            rows = [values(item.value) for item in batch]
            clickhouse.insert(TABLE, rows, column_names=list(COLUMNS))

    app = Application(
        bootstrap, consumer_group=group, auto_offset_reset="earliest", commit_interval=1.0, loglevel="ERROR"
    )
    app.dataframe(app.topic(TOPIC, value_deserializer="json")).sink(Sink())
    app.run()


def engine(bootstrap: str, url: str, database: str, group: str) -> None:
    """ClickHouse's own Kafka table engine; chDB has no background threads for it, so it is asked again and again."""
    clickhouse = client(url, database)
    with contextlib.suppress(Exception):  # chDB says "Shutdown was called", and the table is there
        clickhouse.command(
            f"CREATE TABLE queue ({STRUCTURE}) ENGINE = Kafka SETTINGS kafka_broker_list = '{bootstrap}', "
            f"kafka_topic_list = '{TOPIC}', kafka_group_name = '{group}', kafka_format = 'JSONEachRow', "
            f"kafka_max_block_size = {BATCH}, kafka_poll_max_batch_size = {BATCH}, kafka_commit_on_select = 1"
        )
    names = ", ".join(COLUMNS)
    while True:
        clickhouse.command(
            f"INSERT INTO {TABLE} ({names}) SELECT {names} FROM queue",
            settings={**READING, "stream_like_engine_allow_direct_select": 1},
        )


if __name__ == "__main__":
    {"passthrough": passthrough, "faust": faust, "quix": quix, "engine": engine}[sys.argv[1]](*sys.argv[2:6])
