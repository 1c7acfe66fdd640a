"""Puts ranges of a topic into its table again: only what is in no table is inserted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from consumers import kafka
from consumers.batch import Batch, Converted, convert
from consumers.partition import marked
from consumers.ranges import settle

if TYPE_CHECKING:
    from consumers.storage import Storage
    from schemas.settings import Settings


@dataclass(frozen=True, slots=True)
class Range:
    """Offsets [start, end) of one partition of one topic, which `topic_id` names for good.

    `by_worker`: the end is where a worker came to, and not an offset that somebody set by hand.
    """

    topic: str
    topic_id: str
    partition: int
    start: int
    end: int
    by_worker: bool = True

    def __str__(self) -> str:
        return f"{self.topic} [{self.partition}] {self.start}..{self.end - 1}"

    def __len__(self) -> int:
        return max(0, self.end - self.start)


def committed(settings: Settings, topic: str) -> list[Range]:
    """What the workers have stored of a topic: from the first message that Kafka still has to the committed offset.

    Raises:
        KafkaException: Kafka does not answer, or there is no such topic.
    """
    identity = kafka.topic_ids(AdminClient({**settings.kafka(), "log_level": 0}), [topic])[topic]
    consumer = Consumer({**settings.kafka(group_id=settings.group, enable_auto_commit=False), "log_level": 0})
    try:
        numbers = consumer.list_topics(topic, timeout=kafka.TIMEOUT).topics[topic].partitions
        places = [TopicPartition(topic, number) for number in sorted(numbers)]
        ranges = []
        for place in consumer.committed(places, timeout=kafka.TIMEOUT):
            if place.error is not None:
                raise KafkaException(place.error)
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, place.partition), timeout=kafka.TIMEOUT)
            named = marked(place.metadata)
            theirs = named not in ("", identity)
            end = low if theirs or place.offset == OFFSET_INVALID else min(place.offset, high)
            ranges.append(Range(topic, identity, place.partition, low, end, named == identity))
        return ranges
    finally:
        consumer.close()


def batches(reader: kafka.Reader, what: Range) -> Iterator[Batch]:
    """The messages of a range. Raises: KafkaException."""
    yield from reader.batches(what.topic, what.topic_id, what.partition, what.start, what.end)


def restore(storage: Storage, batch: Batch) -> int:
    """Store what is missing of a range that was committed, so that no insert of it is still under way.

    What is a dead letter, or was dropped as one, stays that, also if it could be a row by now: `letters.replay` makes
    rows of those.

    Returns:
        How many rows and dead letters were missing.

    Raises:
        ClickHouseError, KafkaException, NotSettled, OSError: not done; it may be repeated.
    """
    there = _offsets(storage, batch, "dead_letters") | _offsets(storage, batch, "dropped_letters")
    converted = _without(convert(batch), there)
    missing = 0
    if converted.dead:
        there |= _offsets(storage, batch, converted.table.name)
        letters = [letter for letter in converted.dead if letter.offset not in there]
        storage.send(batch, letters)
        missing = len(letters)
    return missing + settle(storage.database, batch, converted)


def _offsets(storage: Storage, batch: Batch, table: str) -> set[int]:
    """Offsets of the batch's range that are in `table`."""
    sql = (
        f"SELECT DISTINCT kafka_offset FROM {table} WHERE kafka_topic = {{topic:String}} "  # noqa: S608 - our names
        f"AND kafka_topic_id = {{topic_id:UUID}} AND kafka_partition = {batch.partition} "
        f"AND kafka_offset >= {batch.start} AND kafka_offset < {batch.end}"
    )
    return {row[0] for row in storage.database.rows(sql, topic=batch.topic, topic_id=batch.topic_id)}


def _without(converted: Converted, offsets: set[int]) -> Converted:
    """`converted` without the rows of these offsets."""
    if converted.columns is None or not offsets:
        return converted
    given = pa.array(sorted(offsets), pa.int64())
    rows = converted.columns.filter(pc.invert(pc.is_in(converted.columns["kafka_offset"], given)))
    return replace(converted, columns=rows if rows.num_rows else None)


def replay(
    storage: Storage, reader: kafka.Reader, ranges: list[Range], progress: Callable[[int, int], None]
) -> tuple[int, int]:
    """Store what is missing of each range; `progress` is told how many messages were read and how many were missing.

    Returns:
        (messages read, rows and dead letters that were missing). Raises like `restore`.
    """
    read = missing = 0
    for what in ranges:
        for batch in batches(reader, what):
            read += len(batch.messages)
            missing += restore(storage, batch)
            progress(read, missing)
    return read, missing
