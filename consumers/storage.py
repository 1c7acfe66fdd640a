"""What leaves the worker: rows into ClickHouse, dead letters into their topic. Returns only once both are kept."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any, TypeVar

from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException, Producer

from consumers import metrics, tables
from consumers.batch import EVENT_TABLES, Batch, Converted, convert
from consumers.database import Database
from consumers.dead_letters import DeadLetter
from consumers.flood import Floods
from consumers.ranges import NotSettled, settle, settle_newest
from schemas import topics
from schemas.settings import Settings

log = logging.getLogger(__name__)

#: Longest pause between two tries, in seconds.
MAX_PAUSE = 5.0

T = TypeVar("T")

FAILURES = (ClickHouseError, KafkaException, NotSettled, OSError)


class Stopped(Exception):
    """The batch was given up: it is not stored for sure, and its offsets must not be committed."""


class Storage:
    """Stores batches. Safe for several threads; waits out any failure of ClickHouse or Kafka until `stop()`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.database = Database(settings)
        self.floods = Floods(settings, self.database)
        self._stopping = threading.Event()
        self._converting = threading.Lock()
        self._looking = True  # the last look for a partition's rows worked

    @cached_property
    def _producer(self) -> Producer:
        return Producer(
            self._settings.kafka(
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

    def edge(self, topic: str, topic_id: str, partition: int, start: int) -> int | None:
        """The offset behind a partition's last row, or `start` if it has none from there on. One try.

        Returns:
            None, after a second, if ClickHouse does not answer.
        """
        if topic == topics.DEAD_LETTERS:
            return start
        try:
            end = self.database.stored_from(EVENT_TABLES[topic], topic_id, partition, start)[1]
        except (ClickHouseError, OSError) as error:
            metrics.RETRIES.labels("look").inc()
            if self._looking:
                log.warning(
                    "look for the rows of %s [%d] failed, trying every second: %s", topic, partition, _line(error)
                )
            self._looking = False
            self._stopping.wait(1.0)
            return None
        self._looking = True
        return max(start, end)

    def store(self, batch: Batch) -> Converted:
        """Convert a batch, send its dead letters, insert its rows.

        Blocks until both are acknowledged; the same batch may be stored again without a second row.

        Raises:
            Stopped: `stop()` was called, or the batch abandoned, before that was so.
            Flood: nearly all of the topic's messages fail; nothing was stored.
            Overtaken: rows of another owner came first; it is not known which of the batch's are there.
        """
        self._check(batch)
        started = time.monotonic()
        # Python makes two no sooner than one after the other; and together, they would wait for their inserts together.
        with self._converting:
            converted = convert(batch)
        table, rows = converted.table, converted.columns
        if batch.topic != topics.DEAD_LETTERS:
            self.floods.judge(batch.topic, 0 if rows is None else rows.num_rows, len(converted.dead))
        if converted.dead:
            self._again("dead-letters", batch, partial(self.send, batch, converted.dead))
            for letter in converted.dead:
                metrics.DEAD_LETTERS.labels(batch.topic, letter.reason).inc()
        if rows is not None:
            self._insert(batch, converted)
            metrics.STORED.labels(table.name).inc(rows.num_rows)
            metrics.BATCH_ROWS.labels(table.name).observe(rows.num_rows)
        metrics.BATCH_SECONDS.labels(table.name).observe(time.monotonic() - started)
        return converted

    def _insert(self, batch: Batch, converted: Converted) -> None:
        table, rows = converted.table, converted.columns
        assert rows is not None
        if table is tables.DEAD_LETTERS:
            # Its sorting key makes repeated letters one, so no token is needed; and none can be lost with one.
            self._again("insert", batch, lambda: self.database.insert(table, rows, str(uuid.uuid4())))
            return
        failures = 0
        if not batch.again:
            _, failures = self._again("insert", batch, lambda: self.database.insert(table, rows))
        if batch.again or batch.first or failures:
            # ClickHouse may have dropped the rows because of another owner's, or because of a token that outlived a
            # crash when its rows did not.
            check, restore = partial(self._check, batch), settle if batch.again else settle_newest
            restored, _ = self._again("check", batch, lambda: restore(self.database, batch, converted, check))
            metrics.RESTORED.labels(table.name).inc(restored)

    def send(self, batch: Batch, letters: Sequence[DeadLetter]) -> None:
        """Send dead letters to their topic, one try; returns when Kafka has acknowledged them.

        Raises:
            KafkaException: it has not; some may be there.
            Stopped: the batch was given up.
        """
        failures: list[Any] = []

        def delivered(error: Any, _message: Any) -> None:
            if error is not None:
                failures.append(error)

        for letter in letters:
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
                    self._check(batch)
        while self._producer.flush(1.0):
            self._check(batch)
        if failures:
            raise KafkaException(failures[0])

    def _check(self, batch: Batch) -> None:
        if self._stopping.is_set() or batch.abandoned.is_set():
            raise Stopped

    def _again(self, what: str, batch: Batch, attempt: Callable[[], T]) -> tuple[T, int]:
        """Try until it works. Returns its result, and how often it failed before. Raises: Stopped."""
        pause, failures = 0.1, 0
        while True:
            try:
                return attempt(), failures
            except FAILURES as error:
                log.warning("%s of %s failed, next try in %.1f s: %s", what, batch, pause, _line(error))
            failures += 1
            metrics.RETRIES.labels(what).inc()
            deadline = time.monotonic() + pause
            while time.monotonic() < deadline:
                self._check(batch)
                self._stopping.wait(0.1)
            self._check(batch)
            pause = min(pause * 2, MAX_PAUSE)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
