"""Asks Kafka which of some messages it has already: what a process that died could not learn any more."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from producers.counting import failed

#: Waited for before Kafka is asked: what is still on its way gets there, in seconds.
SETTLE_SECONDS = 1.0

#: A host's clock that was set back by less than this hides nothing, in milliseconds.
MARGIN_MS = 60_000

_SHARED_PREFIXES = ("bootstrap.", "security.", "sasl.", "ssl.", "enable.ssl.", "client.", "socket.", "broker.address.")
_SECONDS = 10.0
_MAY_NOT_READ = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED)


def present(config: Mapping[str, Any], topic: str, since_ms: int, ids: Collection[bytes]) -> set[bytes]:
    """Which of `ids` (`ce_id` headers) are in `topic`, among messages made since `since_ms` (Unix time in ms).

    None, which is counted, if this user may not read the topic.

    Args:
        config: librdkafka properties of the producer.

    Raises:
        KafkaException: Kafka does not answer, or not with the topic.
    """
    time.sleep(SETTLE_SECONDS)
    try:
        return _look(config, topic, since_ms, ids)
    except KafkaException as error:
        if error.args[0].code() not in _MAY_NOT_READ:
            raise
        failed("resent_unchecked", f"{topic} may not be read, so events may be there twice", len(ids))
        return set()


def _look(config: Mapping[str, Any], topic: str, since_ms: int, ids: Collection[bytes]) -> set[bytes]:
    shared = {name: value for name, value in config.items() if name.startswith(_SHARED_PREFIXES)}
    consumer = Consumer(
        {
            **shared,
            "group.id": "krill-logger-readback",  # only a name: nothing is committed, no group is joined
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_uncommitted",
            "log_level": 0,
        }
    )
    try:
        metadata = consumer.list_topics(topic, _SECONDS).topics[topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        since = max(since_ms - MARGIN_MS, 0)
        starts = consumer.offsets_for_times(
            [TopicPartition(topic, number, since) for number in metadata.partitions], _SECONDS
        )
        # Under traffic that does not pause, librdkafka never says that a partition has ended.
        ends = {}
        for place in starts:
            _, end = consumer.get_watermark_offsets(TopicPartition(topic, place.partition), _SECONDS)
            if 0 <= place.offset < end:
                ends[place.partition] = end
        consumer.assign([place for place in starts if place.partition in ends])
        return _read(consumer, ends, ids)
    finally:
        consumer.close()


def _read(consumer: Consumer, ends: dict[int, int], ids: Collection[bytes]) -> set[bytes]:
    """Read what is assigned as far as `ends`, the offsets behind the last messages by partition."""
    wanted = set(ids)
    found: set[bytes] = set()
    while ends and len(found) < len(wanted):
        message = consumer.poll(_SECONDS)
        if message is None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        error, partition, offset = message.error(), int(message.partition() or 0), int(message.offset() or 0)
        if error is None:
            if (name := event_id(message.headers() or ())) in wanted:
                found.add(name)
        elif error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        if error is not None or offset + 1 >= ends.get(partition, offset):
            ends.pop(partition, None)
    return found


def event_id(headers: Any) -> bytes:
    """The header `ce_id`, b"" if there is none."""
    return next((value for name, value in headers if name == "ce_id" and value), b"")
