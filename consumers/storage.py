"""What leaves the worker: columns into ClickHouse, dead letters into their topic. Both return only once it is kept."""

from __future__ import annotations

import logging
import threading
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException, Producer

from consumers.batch import Batch, Converted, convert
from schemas import topics
from schemas.settings import Settings

log = logging.getLogger(__name__)

#: Longest pause between two tries, in seconds.
MAX_PAUSE = 5.0

# One insert is one block, so that it is atomic; and the token must be seen by the rollup's table too.
INSERT_SETTINGS = {
    "async_insert": 0,
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "max_insert_block_size": 1_048_576,
    "min_insert_block_size_rows": 1_048_576,
    "min_insert_block_size_bytes": 1_073_741_824,
    "max_partitions_per_insert_block": 0,
}


class Stopped(Exception):
    """The worker is stopping; the batch is not stored and its offsets must not be committed."""


class Storage:
    """Stores batches. Safe for several threads; waits out any failure of ClickHouse or Kafka until `stop()`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._local = threading.local()
        self._stopping = threading.Event()
        self._producer = Producer(
            settings.kafka(
                client_id="krill-logger-worker",
                acks="all",
                enable_idempotence=True,
                message_max_bytes=topics.TOPICS[topics.DEAD_LETTERS],
                compression_type="zstd",
            )
        )

    def stop(self) -> None:
        """Give up waiting: `store()` raises Stopped instead of trying again."""
        self._stopping.set()

    def store(self, batch: Batch) -> Converted:
        """Convert a batch, send its dead letters, insert its rows.

        Blocks until both are acknowledged; the same batch may be stored again without a second row.

        Raises:
            Stopped: `stop()` was called before that was so.
        """
        converted = convert(batch)
        if converted.dead:
            self._again("dead letters", self._send, converted)
        if converted.columns is not None:
            self._again(f"insert into {converted.table.name}", self._insert, batch, converted)
        return converted

    def insert(self, table: str, rows: list[list[Any]], columns: list[str]) -> None:
        """Insert a few rows as they are, one try. Raises: ClickHouseError, OSError."""
        self._client().insert(table, rows, column_names=columns, settings={"async_insert": 0})

    def _client(self) -> Client:
        if not hasattr(self._local, "client"):
            self._local.client = clickhouse_connect.get_client(
                dsn=self._settings.clickhouse,
                database=self._settings.clickhouse_database,
                client_name="krill-logger-worker",
                autogenerate_session_id=False,
                send_receive_timeout=60,
            )
        client: Client = self._local.client
        return client

    def _insert(self, batch: Batch, converted: Converted) -> None:
        self._client().insert_arrow(
            converted.table.name,
            converted.columns,
            settings={**INSERT_SETTINGS, "insert_deduplication_token": batch.token},
        )

    def _send(self, converted: Converted) -> None:
        failures: list[Any] = []

        def delivered(error: Any, _message: Any) -> None:
            if error is not None:
                failures.append(error)

        for letter in converted.dead:
            while True:
                try:
                    self._producer.produce(
                        topics.DEAD_LETTERS,
                        letter.value,
                        letter.key,
                        headers=list(letter.headers),
                        on_delivery=delivered,
                    )
                    break
                except BufferError:
                    self._producer.poll(0.1)
        while self._producer.flush(1.0):
            if self._stopping.is_set():
                raise Stopped
        if failures:
            raise KafkaException(failures[0])

    def _again(self, what: str, attempt: Any, *arguments: Any) -> None:
        pause = 0.1
        while True:
            try:
                return attempt(*arguments)  # type: ignore[no-any-return]
            except (ClickHouseError, KafkaException, OSError) as error:
                log.warning("%s failed, next try in %.1f s: %s", what, pause, str(error).splitlines()[0][:300])
            if self._stopping.wait(pause):
                raise Stopped
            pause = min(pause * 2, MAX_PAUSE)
