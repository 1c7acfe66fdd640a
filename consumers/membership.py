"""One membership of the consumer group, from joining to leaving: polls Kafka, commits, hands out batches.

A batch is a range [a, b) of one partition. Offset a is committed before the batch is stored: Kafka refuses commits of a
worker that lost its membership. A worker that takes a partition over finds its last row in ClickHouse before it commits
anything, and begins behind that row. If an insert of an owner before is still on its way, it begins there, too, and of
two that begin with the same row, ClickHouse drops one. Polling and committing happen in one thread, and only for
partitions that are owned.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from itertools import groupby
from typing import TYPE_CHECKING, Any

from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from consumers import kafka, metrics
from consumers.batch import Batch, Converted
from consumers.flood import Flood
from consumers.partition import Partition, mark, marked
from consumers.ranges import Overtaken
from consumers.storage import Stopped
from schemas import refusals, topics
from schemas.settings import kafka_variable

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

    from schemas.settings import Settings

log = logging.getLogger(__name__)

#: Batches that are stored at the same time.
STORING = 2
POLL_SECONDS = 0.05
#: Messages taken over from librdkafka in one call.
POLL_MESSAGES = 5_000
#: Most bytes of messages in one batch.
BATCH_BYTES = 32 * 1024 * 1024
#: Bytes of messages in memory from which on no more are fetched. Each takes some 800 more as an object of Python.
HELD_BYTES = 40 * 1024 * 1024
#: Bytes of a partition that librdkafka asks for in one answer: it keeps all that came, whatever the limit of its queue,
#: and compressed messages are several times as many. A message that is larger comes alone.
FETCH_BYTES = 4 * 1024 * 1024
#: Once half a batch waits in as many partitions as are stored at a time, nothing is polled for so long.
CROWDED_SECONDS = 1.0
#: What is stored is committed once its partition has been idle for so long.
IDLE_SECONDS = 0.5
#: Longest wait for batches in hand when partitions are taken away or the worker stops.
DRAIN_SECONDS = 30.0
#: A commit that took longer may have been sent twice by librdkafka, and the first copy may still arrive.
COMMIT_SECONDS = 5.0

Submit = Callable[[Batch], "Future[Converted]"]
#: Topic, its id, partition and offset; the future ends with the edge, or with None if ClickHouse does not answer.
Ask = Callable[[str, str, int, int], "Future[int | None]"]


class Rejoin(Exception):
    """The membership must end, with all that is known of its partitions; a new one finds what to do in Kafka."""


class Membership:
    """Joins the group when made; `run()` until it raises or `stopping` is set, then `close()`.

    Args:
        submit: takes a batch to be stored; the future ends when it is, or raises `Stopped`, `Flood` or `Overtaken`.
        ask: finds the offset behind a partition's last row.
        stopped: the topics that a flood has stopped.
    """

    def __init__(
        self,
        settings: Settings,
        admin: AdminClient,
        submit: Submit,
        ask: Ask,
        stopped: Callable[[], frozenset[str]],
        stopping: threading.Event,
    ) -> None:
        self._settings = settings
        self._admin = admin
        self._submit = submit
        self._ask = ask
        self._stopped = stopped
        self._stopping = stopping
        self._callback_error: Exception | None = None
        self._identities = kafka.Identities(admin)
        self.partitions: dict[tuple[str, int], Partition] = {}
        self._known: dict[str, str] = {}
        self.kafka_error = ""
        self._crowded_since: float | None = None
        self._consumer = Consumer(
            {
                **settings.kafka(
                    group_id=settings.group,
                    group_protocol="consumer",
                    client_id="krill-logger-worker",
                    enable_auto_commit=False,
                    enable_auto_offset_store=False,
                    auto_offset_reset="error",
                    isolation_level="read_committed",
                    queued_max_messages_kbytes=16_384,
                    fetch_wait_max_ms=50,
                    fetch_max_bytes=2 * FETCH_BYTES,
                    fetch_message_max_bytes=FETCH_BYTES,
                    statistics_interval_ms=1_000,
                ),
                "stats_cb": self._on_statistics,
                "error_cb": self._on_error,
            }
        )
        self._consumer.subscribe(
            list(topics.TOPICS),
            on_assign=self._guard(self._on_assign),
            on_revoke=self._guard(self._on_revoke),
            on_lost=self._guard(self._on_lost),
        )

    def run(self) -> None:
        """Poll until `stopping` is set, then store and commit what is in hand.

        Raises:
            Rejoin, Overtaken, KafkaException: what is in Kafka counts, not what is in memory.
        """
        while not self._stopping.is_set():
            messages = self._poll()
            if self._callback_error is not None:
                raise self._callback_error
            for (topic, number), run in groupby(messages, lambda message: (message.topic(), message.partition())):
                self._take(str(topic), int(number or 0), list(run))
            for partition in list(self.partitions.values()):
                self._advance(partition)
            self._hold_back()
            known = {partition.topic: partition.topic_id for partition in self.partitions.values()}
            if remade := self._identities.remade(known):
                raise Rejoin(f"the topic {remade} was deleted and made again")
        self._drain(list(self.partitions.values()))

    def _poll(self) -> list[Message]:
        """What Kafka has. Nothing for a while where storing has enough to do: a pause would make librdkafka throw away
        what it has fetched, and fetch it again.
        """
        rows = self._settings.batch_rows // 2
        if sum(len(partition.fetched) >= rows for partition in self.partitions.values()) < STORING:
            self._crowded_since = None
        else:
            now = time.monotonic()
            self._crowded_since = self._crowded_since or now
            if now - self._crowded_since < CROWDED_SECONDS:
                self._stopping.wait(POLL_SECONDS / 10)
                return []
        return self._consumer.consume(POLL_MESSAGES, POLL_SECONDS)

    def close(self) -> None:
        """Leave the group. What is still being stored is abandoned."""
        for partition in self.partitions.values():
            partition.abandon()
        self.partitions.clear()
        self._consumer.close()

    def _guard(self, callback: Callable[[Consumer, list[TopicPartition]], None]) -> Any:
        """Keep what a rebalance callback raises: confluent-kafka would replace it by a SystemError."""

        def guarded(consumer: Consumer, places: list[TopicPartition]) -> None:
            try:
                callback(consumer, places)
            except Exception as error:
                self._callback_error = error

        return guarded

    def _take(self, topic: str, number: int, polled: list[Message]) -> None:
        """Take in what was polled of a partition."""
        for failed, run in groupby(polled, lambda message: message.error() is not None):
            if failed:
                for message in run:
                    self._take_error(topic, number, message)
            elif (partition := self.partitions.get((topic, number))) is not None and not partition.stopped:
                metrics.CONSUMED.labels(topic).inc(partition.add(list(run)))

    def _take_error(self, topic: str, number: int, message: Message) -> None:
        partition, error = self.partitions.get((topic, number)), message.error()
        assert error is not None
        if partition is None:
            log.warning("Kafka: %s", error.str())
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._skip_to_existing(partition)
        else:
            log.warning("%s: %s", partition, error.str())

    def _skip_to_existing(self, partition: Partition) -> None:
        if kafka.topic_ids(self._admin, [partition.topic]) != {partition.topic: partition.topic_id}:
            raise Rejoin(f"the topic {partition.topic} was deleted and made again")
        low, high = self._consumer.get_watermark_offsets(TopicPartition(partition.topic, partition.number), 10)
        begin = partition.position
        if low > begin:
            gone = partition.skip(low)
            metrics.DELETED.labels(partition.topic).inc(gone)
            log.error("%s: %d messages are lost: Kafka deleted offsets %d to %d before they were read; going on at %d",
                      partition, gone, begin, low - 1, low)  # fmt: skip
        else:
            log.error("%s: offset %d does not exist, Kafka's log ends at %d; reading it from its beginning, %d",
                      partition, begin, high, low)  # fmt: skip
            partition.abandon()
            fresh = Partition(partition.topic, partition.topic_id, partition.number, low)
            fresh.end_offset = high
            self.partitions[partition.topic, partition.number] = fresh
        # librdkafka has stopped reading the partition, and refuses to seek.
        place = TopicPartition(partition.topic, partition.number, low)
        self._consumer.incremental_unassign([place])
        self._consumer.incremental_assign([place])
        self._consumer.resume([place])
        self.partitions[partition.topic, partition.number].paused = False

    def _advance(self, partition: Partition) -> None:
        if partition.storing is not None and partition.storing[1].done():
            try:
                partition.finish()
            except Flood:
                self._set_stopped(partition, True)
        if partition.storing is None and partition.stopped != (partition.topic in self._stopped()):
            self._set_stopped(partition, not partition.stopped)
        self._find_edge(partition)
        batch = partition.next_batch(self._settings.batch_rows, BATCH_BYTES, self._settings.batch_seconds)
        if batch is not None:
            self._commit(partition)
            partition.storing = (batch, self._submit(batch))
            return
        partition.pass_deleted()
        if (
            partition.storing is None
            and partition.committed < partition.stored
            and time.monotonic() - partition.idle_since > IDLE_SECONDS
        ):
            self._commit(partition)

    def _find_edge(self, partition: Partition) -> None:
        """Ask where the rows of owners before end, once there are messages; again if ClickHouse did not answer."""
        if partition.asking is not None and partition.asking.done():
            partition.edge, partition.asking = partition.asking.result(), None
        if partition.edge is None and partition.asking is None and partition.fetched:
            partition.asking = self._ask(partition.topic, partition.topic_id, partition.number, partition.stored)

    def _set_stopped(self, partition: Partition, stopped: bool) -> None:
        """Stop reading a topic after a flood, or begin again where it was stopped."""
        place = TopicPartition(partition.topic, partition.number, partition.stored)
        partition.rewind()
        partition.stopped = partition.paused = stopped
        if stopped:
            self._consumer.pause([place])
        else:
            self._consumer.resume([place])
            self._consumer.seek(place)

    def _hold_back(self) -> None:
        """Pause partitions whose messages wait for storage, so that memory stays bounded; never stop polling."""
        held = sum(partition.held for partition in self.partitions.values())
        metrics.HELD.set(held)
        for partition in self.partitions.values():
            if partition.stopped:
                continue
            full = held > HELD_BYTES or len(partition.fetched) > 2 * self._settings.batch_rows
            pause = full or (partition.paused and bool(partition.fetched))
            if pause != partition.paused:
                place = TopicPartition(partition.topic, partition.number)
                (self._consumer.pause if pause else self._consumer.resume)([place])
                partition.paused = pause

    def _commit(self, partition: Partition) -> None:
        """Commit what is stored.

        Raises:
            KafkaException, Rejoin: it is not known what Kafka took, now or later; this membership must end.
        """
        metadata = mark(partition.topic_id)
        place = TopicPartition(partition.topic, partition.number, partition.stored, metadata)
        started = time.monotonic()
        for result in self._consumer.commit(offsets=[place], asynchronous=False) or ():
            if result.error is not None:
                raise KafkaException(result.error)
        if time.monotonic() - started > COMMIT_SECONDS:
            raise Rejoin(f"a commit took {time.monotonic() - started:.0f} s")
        partition.committed = partition.stored

    def _on_assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        identities = kafka.topic_ids(self._admin, {place.topic for place in assigned})
        for topic, identity in identities.items():
            if self._known.setdefault(topic, identity) != identity:
                # librdkafka would go on asking for the old topic's messages.
                raise Rejoin(f"the topic {topic} was deleted and made again")
        found = []
        for place in consumer.committed(assigned, timeout=kafka.TIMEOUT):
            if place.error is not None:
                raise KafkaException(place.error)
            low, high = consumer.get_watermark_offsets(
                TopicPartition(place.topic, place.partition), timeout=kafka.TIMEOUT
            )
            start, identity = place.offset, identities[place.topic]
            if marked(place.metadata) not in ("", identity):
                log.warning("%s [%d] was made again, beginning at its first message", place.topic, place.partition)
                start = OFFSET_INVALID
            partition = Partition(place.topic, identity, place.partition, low if start == OFFSET_INVALID else start)
            partition.end_offset = high
            found.append(partition)
        consumer.incremental_assign([TopicPartition(one.topic, one.number, one.stored) for one in found])
        self.partitions |= {(one.topic, one.number): one for one in found}
        log.info("assigned: %s", ", ".join(map(str, found)) or "nothing")

    def _on_revoke(self, consumer: Consumer, revoked: list[TopicPartition]) -> None:
        keys = [(place.topic, place.partition) for place in revoked]
        self._drain([self.partitions[key] for key in keys if key in self.partitions])
        self._forget(consumer, revoked)

    def _on_lost(self, consumer: Consumer, lost: list[TopicPartition]) -> None:
        self._forget(consumer, lost)

    def _forget(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        for place in places:
            partition = self.partitions.pop((place.topic, place.partition), None)
            if partition is not None:
                partition.abandon()
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
                if partition.committed < partition.stored:
                    self._commit(partition)
            except (Stopped, Flood, Overtaken, TimeoutError):
                partition.abandon()
                log.warning("%s: the batch in hand was not stored; the next owner repeats it", partition)

    def _on_statistics(self, text: str) -> None:
        statistics = json.loads(text)
        brokers = [broker["state"] for broker in statistics.get("brokers", {}).values() if broker["nodeid"] >= 0]
        if "UP" in brokers:
            self.kafka_error = ""
        for name, topic in statistics.get("topics", {}).items():
            for number, values in topic.get("partitions", {}).items():
                partition = self.partitions.get((name, int(number)))
                if partition is not None and values.get("hi_offset", -1) >= 0:
                    partition.end_offset = values["hi_offset"]

    def _on_error(self, error: KafkaError) -> None:
        text = refusals.sentence(error, kafka_variable) or error.str()
        if text != self.kafka_error:
            log.warning("Kafka: %s", text)
        self.kafka_error = text
