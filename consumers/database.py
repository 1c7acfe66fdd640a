"""The worker's ClickHouse: inserts of what is not there yet, never late; plain queries beside them."""

# What is put into SQL text here is our own names, numbers and identities of topics; the rest are parameters.
# ruff: noqa: S608

from __future__ import annotations

import threading
import time
from typing import Any
from uuid import UUID

import clickhouse_connect
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_connect.driver.client import Client

from consumers.tables import Table
from schemas.settings import Settings

#: Longest wait for an answer, in seconds; what happened to the statement is unknown then.
ANSWER_SECONDS = 20
#: ClickHouse refuses an insert that reaches it later than this after it was sent, and stops one that takes as long.
INSERT_SECONDS = 25
#: It looks which rows are there before it reads all that come, and refuses them if it took longer until then.
LOOK_SECONDS = 10
#: It looks in the spans of time, of so many milliseconds, that the rows are in, and not at all between a few old events
#: and the new ones. The spans are wider if they would be more than so many: an insert's URL may have 8 KiB with most
#: proxies.
SPAN_MS, SPANS = 1_000, 200

# An insert is one block, so that it is atomic.
INSERT_SETTINGS = {
    "async_insert": 0,
    "insert_deduplicate": 1,
    "max_insert_threads": 1,
    "max_insert_block_size": 1_048_576,
    "min_insert_block_size_rows": 1_048_576,
    "min_insert_block_size_bytes": 1_073_741_824,
    "max_partitions_per_insert_block": 0,
    "max_execution_time": INSERT_SECONDS,
    # What an insert looks for is never looked for again: no other query's place in the cache for it.
    "use_query_condition_cache": 0,
    # Half of an insert's work; made at the first merge, until when a search reads the new rows themselves.
    "exclude_materialize_skip_indexes_on_insert": "plain_words, hex_words, address_words, mixed_words, fields",
}
# The client reads through all that it sends: less of it saves more than compressing costs.
_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)


def in_time() -> str:
    """A condition that fails an insert, sent now, whose rows arrive after its deadline, or long after it was begun."""
    deadline = int((time.time() + INSERT_SECONDS) * 1000)
    return (
        f"NOT throwIf(nowInBlock64(3) > fromUnixTimestamp64Milli({deadline}), 'this insert comes too late') "
        f"AND NOT throwIf(nowInBlock64(3) > now64(3) + INTERVAL {LOOK_SECONDS} SECOND, "
        f"'the rows of this insert took longer than {LOOK_SECONDS} s')"
    )


def token(columns: pa.Table) -> str:
    """What names an insert: the place of its first row. Of two that begin with the same row, ClickHouse drops one."""
    return f"{_topic_id(columns)}:{_partition(columns)}:{pc.min(columns['kafka_offset'])}"


def missing(table: Table, columns: pa.Table) -> str:
    """A condition that is true of the rows that are not `stored`; of all, where a table's rows have no time."""
    return f"kafka_offset NOT IN ({stored(table, columns)})" if table.time else "true"


def stored(table: Table, columns: pa.Table) -> str:
    """A query for the offsets of these rows that are in `table` already; they are of one partition of one topic."""
    offsets = columns["kafka_offset"].to_numpy()
    # The time is the table's sorting key: without it, every part that holds the offsets would be read.
    times, width = columns[table.time].cast(pa.int64()).to_numpy(), SPAN_MS
    while len(spans := np.unique(np.trunc(times / width).astype(int))) > SPANS:  # as ClickHouse divides
        width *= 2
    return (
        f"SELECT kafka_offset FROM {table.name} WHERE kafka_topic_id = '{_topic_id(columns)}' "
        f"AND kafka_partition = {_partition(columns)} AND kafka_offset BETWEEN {offsets.min()} AND {offsets.max()} "
        f"AND {table.time} BETWEEN fromUnixTimestamp64Milli({times.min()}) AND fromUnixTimestamp64Milli({times.max()}) "
        f"AND intDiv(toUnixTimestamp64Milli({table.time}), {width}) IN ({', '.join(map(str, spans))})"
    )


def _topic_id(columns: pa.Table) -> UUID:
    return UUID(bytes=columns["kafka_topic_id"][0].as_py())


def _partition(columns: pa.Table) -> int:
    return int(columns["kafka_partition"][0].as_py())


class Database:
    """ClickHouse as the worker uses it. Safe for several threads.

    Every method raises ClickHouseError or OSError; what became of the statement is unknown then.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._local = threading.local()
        self._structures: dict[str, str] = {}

    @property
    def client(self) -> Client:
        """This thread's client."""
        if not hasattr(self._local, "client"):
            self._local.client = clickhouse_connect.get_client(
                dsn=self._settings.clickhouse,
                database=self._settings.clickhouse_database,
                client_name="krill-logger-worker",
                autogenerate_session_id=False,
                connect_timeout=5,
                send_receive_timeout=ANSWER_SECONDS,
                query_retries=0,
            )
        client: Client = self._local.client
        return client

    def insert(self, table: Table, columns: pa.Table, attempt: str = "") -> None:
        """Insert the rows that are not there, unless the deadline has passed or an insert of the same name was there.

        ClickHouse looks what is there when it begins with the insert, so that one that was held up on its way does not
        repeat what came under another name meanwhile.

        Args:
            columns: rows of one partition of one topic.
            attempt: tells an insert from others that begin with the same row.
        """
        names = ", ".join(columns.schema.names)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, columns.schema, options=_COMPRESSED) as stream:
            stream.write_table(columns)
        structure = self._structure(table, columns.schema.names).replace("\\", "\\\\").replace("'", "\\'")
        self.client.command(
            f"INSERT INTO {table.name} ({names}) SELECT {names} FROM input('{structure}') "
            f"WHERE {in_time()} AND {missing(table, columns)} FORMAT ArrowStream",
            data=sink.getvalue().to_pybytes(),
            settings={**INSERT_SETTINGS, "insert_deduplication_token": f"{token(columns)}{attempt and ':'}{attempt}"},
        )

    def insert_rows(self, table: str, rows: list[list[Any]], columns: list[str]) -> None:
        """Insert a few rows as they are."""
        self.client.insert(table, rows, column_names=columns, settings={"async_insert": 0})

    def stored_from(self, table: Table, topic_id: str, partition: int, offset: int) -> tuple[int, int]:
        """How many rows a partition has from `offset` on, and the offset behind the last of them (0 without one)."""
        [[count, end]] = self.rows(
            f"SELECT count(), max(kafka_offset) + 1 FROM {table.name} WHERE kafka_topic_id = {{topic_id:UUID}} "
            f"AND kafka_partition = {partition} AND kafka_offset >= {offset}",
            topic_id=topic_id,
        )
        return count, end if count else 0

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """What a query finds; `parameters` are ClickHouse's `{name:Type}`."""
        return [tuple(row) for row in self.client.query(sql, parameters=parameters).result_rows]

    def change(self, sql: str, **parameters: Any) -> None:
        """Run a statement that changes rows, and wait until it has."""
        self.client.command(sql, parameters=parameters, settings={"mutations_sync": 2})

    def _structure(self, table: Table, names: list[str]) -> str:
        if table.name not in self._structures:
            types = {row[0]: row[1] for row in self.rows(f"DESCRIBE TABLE {table.name}")}
            self._structures[table.name] = ", ".join(f"{name} {types[name]}" for name in names)
        return self._structures[table.name]
