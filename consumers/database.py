"""The worker's ClickHouse: inserts that happen once or not at all, never late; plain queries beside them."""

from __future__ import annotations

import threading
import time
from typing import Any

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from consumers.tables import Table
from schemas.settings import Settings

#: Longest wait for an answer, in seconds; what happened to the statement is unknown then.
ANSWER_SECONDS = 20
#: ClickHouse refuses an insert that reaches it later than this after it was sent, and stops one that takes as long.
INSERT_SECONDS = 25

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
    # Half of an insert's work; made at the first merge, until when a search reads the new rows themselves.
    "exclude_materialize_skip_indexes_on_insert": "plain_words, hex_words, address_words, mixed_words, fields",
}
# The client reads through all that it sends: less of it saves more than compressing costs.
_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)


def in_time() -> str:
    """A condition that is true until the deadline of an insert sent now; then it fails the statement."""
    deadline = int((time.time() + INSERT_SECONDS) * 1000)
    return f"NOT throwIf(now64(3) > fromUnixTimestamp64Milli({deadline}), 'this insert comes too late')"


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

    def insert(self, table: Table, columns: pa.Table, token: str) -> None:
        """Insert `columns`, unless an insert with the same token was there before or the deadline has passed."""
        names = ", ".join(columns.schema.names)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, columns.schema, options=_COMPRESSED) as stream:
            stream.write_table(columns)
        structure = self._structure(table, columns.schema.names).replace("\\", "\\\\").replace("'", "\\'")
        self.client.command(
            f"INSERT INTO {table.name} ({names}) SELECT {names} FROM input('{structure}') "  # noqa: S608 - our names
            f"WHERE {in_time()} FORMAT ArrowStream",
            data=sink.getvalue().to_pybytes(),
            settings={**INSERT_SETTINGS, "insert_deduplication_token": token},
        )

    def insert_rows(self, table: str, rows: list[list[Any]], columns: list[str]) -> None:
        """Insert a few rows as they are."""
        self.client.insert(table, rows, column_names=columns, settings={"async_insert": 0})

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
