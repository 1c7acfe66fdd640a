"""The batch loop: one thread that polls Kafka, plans and commits offsets, and hands batches out to be stored.

A batch is a range [a, b) of one partition. Before it is stored, offset a is committed with the metadata `plan b`:
the same commit ends the range before it. A worker that takes the partition over after a crash reads exactly [a, b)
again and stores it under the same token, so that ClickHouse drops what had landed. Kafka refuses commits of a worker
that lost its membership; polling and committing happen in this one thread.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from consumers.batch import Batch, Converted
from consumers.partition import PLAN, Partition, planned_end
from consumers.storage import Stopped
from schemas import topics
from schemas.settings import Settings

log = logging.getLogger(__name__)

POLL_SECONDS = 0.05
#: Messages taken over from librdkafka in one call.
POLL_MESSAGES = 10_000
#: Most bytes of one batch, and of what waits behind it before its partition is paused.
BATCH_BYTES = 64 * 1024 * 1024
#: A stored range is committed without a plan once its partition has been idle for so long.
IDLE_SECONDS = 0.5
#: Longest wait for batches in hand when partitions are taken away or the worker stops.
DRAIN_SECONDS = 30.0

Submit = Callable[[Batch], "Future[Converted]"]


class Loop:
    """Runs in a thread of its own from `start()` to `stop()`.

    Args:
        submit: takes a batch to be stored; the future ends when it is, or raises `Stopped`.
    """

    def __init__(self, settings: Settings, submit: Submit) -> None:
        self._settings = settings
        self._submit = submit
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="batch-loop")
        self._partitions: dict[tuple[str, int], Partition] = {}
        self._error = ""
        self._callback_error: Exception | None = None
        self.failure: BaseException | None = None
        self._admin = AdminClient(settings.kafka())
        self._consumer = Consumer(
            {
                **settings.kafka(
                    group_id=settings.group,
                    group_protocol="consumer",
                    client_id="krill-logger-worker",
                    enable_auto_commit=False,
                    enable_auto_offset_store=False,
                    auto_offset_reset="error",
                    enable_partition_eof=True,
                    isolation_level="read_committed",
                    queued_max_messages_kbytes=65_536,
                    fetch_wait_max_ms=50,
                    fetch_message_max_bytes=topics.MAX_MESSAGE_BYTES,
                    statistics_interval_ms=1_000,
                ),
                "stats_cb": self._on_statistics,
                "error_cb": self._on_error,
            }
        )

    def start(self) -> None:
        """Start polling."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the batches in hand, commit them, leave the group. Blocks until that is done."""
        self._stopping.set()
        self._thread.join()

    def snapshot(self) -> tuple[list[dict[str, Any]], str]:
        """State of every owned partition, and what was last heard of Kafka's failures (empty if all is well)."""
        return [partition.snapshot() for partition in list(self._partitions.values())], self._error

    def _run(self) -> None:
        try:
            self._consumer.subscribe(
                list(topics.TOPICS),
                on_assign=self._guard(self._on_assign),
                on_revoke=self._guard(self._on_revoke),
                on_lost=self._guard(self._on_lost),
            )
            while not self._stopping.is_set():
                messages = self._consumer.consume(POLL_MESSAGES, POLL_SECONDS)
                if self._callback_error is not None:
                    raise self._callback_error
                for message in messages:
                    self._take(message)
                for partition in list(self._partitions.values()):
                    self._advance(partition)
            self._drain(list(self._partitions.values()))
        except BaseException as error:
            log.exception("the batch loop ended")
            self.failure = error
        finally:
            self._partitions.clear()
            self._consumer.close()

    def _guard(self, callback: Callable[[Consumer, list[TopicPartition]], None]) -> Any:
        """Keep what a rebalance callback raises: confluent-kafka would replace it by a SystemError."""

        def guarded(consumer: Consumer, places: list[TopicPartition]) -> None:
            try:
                callback(consumer, places)
            except Exception as error:
                self._callback_error = error

        return guarded

    def _take(self, message: Message) -> None:
        partition = self._partitions.get((str(message.topic()), int(message.partition() or 0)))
        error = message.error()
        if error is None:
            if partition is not None and int(message.offset() or 0) >= partition.position:
                partition.add(message)
            return
        if partition is None:
            return
        if error.code() == KafkaError._PARTITION_EOF:
            partition.position = max(partition.position, int(message.offset() or 0))
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._skip_to_existing(partition)
        else:
            log.warning("%s [%s]: %s", partition.topic, partition.number, error.str())

    def _skip_to_existing(self, partition: Partition) -> None:
        low, high = self._consumer.get_watermark_offsets(TopicPartition(partition.topic, partition.number), 10)
        log.error(
            "%s [%d]: offset %d no longer exists, going on at %d: Kafka deleted messages before they were stored, "
            "or the topic was made again",
            partition.topic, partition.number, partition.position, low,
        )  # fmt: skip
        fresh = Partition(partition.topic, partition.topic_id, partition.number, low, None)
        fresh.end_offset = high
        self._partitions[partition.topic, partition.number] = fresh
        self._consumer.seek(TopicPartition(partition.topic, partition.number, low))

    def _advance(self, partition: Partition) -> None:
        if partition.storing is not None and partition.storing[1].done():
            partition.finish()
        batch = partition.next_batch(self._settings.batch_rows, BATCH_BYTES, self._settings.batch_seconds)
        if batch is not None:
            if not partition.replay:
                self._commit(partition, batch.end)
            partition.storing = (batch, self._submit(batch))
        elif (
            partition.storing is None
            and partition.committed < partition.stored
            and time.monotonic() - partition.idle_since > IDLE_SECONDS
        ):
            self._commit(partition, None)
        self._hold_back(partition)

    def _hold_back(self, partition: Partition) -> None:
        """Pause a partition whose fetched messages wait for storage, so that memory stays bounded."""
        full = partition.fetched_bytes > BATCH_BYTES or len(partition.fetched) > 2 * self._settings.batch_rows
        place = TopicPartition(partition.topic, partition.number)
        if full and not partition.paused:
            self._consumer.pause([place])
            partition.paused = True
        elif partition.paused and not partition.fetched:
            self._consumer.resume([place])
            partition.paused = False

    def _commit(self, partition: Partition, plan: int | None) -> None:
        """Commit what is stored, with the end of the range that is stored next.

        Raises:
            KafkaException: the group no longer takes commits of this worker; nothing was planned.
        """
        metadata = f"{PLAN}{plan}" if plan is not None else ""
        place = TopicPartition(partition.topic, partition.number, partition.stored, metadata)
        for result in self._consumer.commit(offsets=[place], asynchronous=False) or ():
            if result.error is not None:
                raise KafkaException(result.error)
        partition.committed = partition.stored
        partition.plan = plan

    def _on_assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        ids = self._topic_ids({place.topic for place in assigned})
        for place in consumer.committed(assigned, timeout=30):
            if place.error is not None:
                raise KafkaException(place.error)
            low, high = consumer.get_watermark_offsets(TopicPartition(place.topic, place.partition), timeout=30)
            start = low if place.offset == OFFSET_INVALID else place.offset
            partition = Partition(
                place.topic, ids[place.topic], place.partition, start, planned_end(place.metadata, start)
            )
            partition.end_offset = high
            self._partitions[place.topic, place.partition] = partition
        consumer.incremental_assign(
            [
                TopicPartition(place.topic, place.partition, self._partitions[place.topic, place.partition].stored)
                for place in assigned
            ]
        )
        log.info("assigned: %s", ", ".join(f"{place.topic} [{place.partition}]" for place in assigned) or "nothing")

    def _topic_ids(self, names: set[str]) -> dict[str, str]:
        if not names:
            return {}
        described = self._admin.describe_topics(TopicCollection(sorted(names)), request_timeout=30)
        return {name: str(future.result().topic_id) for name, future in described.items()}

    def _on_revoke(self, consumer: Consumer, revoked: list[TopicPartition]) -> None:
        gone = [
            self._partitions[key] for place in revoked if (key := (place.topic, place.partition)) in self._partitions
        ]
        self._drain(gone)
        self._forget(consumer, revoked)

    def _on_lost(self, consumer: Consumer, lost: list[TopicPartition]) -> None:
        self._forget(consumer, lost)

    def _forget(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        for place in places:
            self._partitions.pop((place.topic, place.partition), None)
        consumer.incremental_unassign(places)
        log.info("gave up: %s", ", ".join(f"{place.topic} [{place.partition}]" for place in places))

    def _drain(self, partitions: list[Partition]) -> None:
        """Wait for the batches in hand and commit them; what was fetched behind them is read again by the next."""
        deadline = time.monotonic() + DRAIN_SECONDS
        for partition in partitions:
            try:
                if partition.storing is not None:
                    partition.storing[1].exception(timeout=max(0.0, deadline - time.monotonic()))
                    partition.finish()
                if partition.committed < partition.stored or partition.plan is not None:
                    self._commit(partition, None)
            except (Stopped, TimeoutError):
                log.warning("%s [%d]: the batch in hand was not stored; the next owner repeats it",
                            partition.topic, partition.number)  # fmt: skip
            except KafkaException as error:
                log.warning("%s [%d]: last commit failed: %s", partition.topic, partition.number, error)

    def _on_statistics(self, text: str) -> None:
        statistics = json.loads(text)
        brokers = [broker["state"] for broker in statistics.get("brokers", {}).values() if broker["nodeid"] >= 0]
        if "UP" in brokers:
            self._error = ""
        for name, topic in statistics.get("topics", {}).items():
            for number, values in topic.get("partitions", {}).items():
                partition = self._partitions.get((name, int(number)))
                if partition is not None and values.get("hi_offset", -1) >= 0:
                    partition.end_offset = values["hi_offset"]

    def _on_error(self, error: KafkaError) -> None:
        self._error = error.str()
        log.warning("Kafka: %s", error.str())
