"""What the worker asks of Kafka beside its group: topic identities, and ranges of messages to read again."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicCollection, TopicPartition

from consumers.batch import Batch
from schemas import topics

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

    from schemas.settings import Settings

TIMEOUT = 30.0
#: How often the topics' identities are looked at.
IDENTITY_SECONDS = 1.0
#: Messages and bytes of one batch that is read again.
REREAD_ROWS = 20_000
REREAD_BYTES = 16 * 1024 * 1024


def topic_id(described: object) -> str:
    """Kafka's identity of a topic, as a UUID, from what an AdminClient says of it."""
    text = str(described.topic_id)  # type: ignore[attr-defined]
    return str(uuid.UUID(bytes=base64.urlsafe_b64decode(text + "==")))


def topic_ids(admin: AdminClient, names: Collection[str]) -> dict[str, str]:
    """Identity of each topic. Raises: KafkaException, also if one is missing."""
    if not names:
        return {}
    described = admin.describe_topics(TopicCollection(sorted(names)), request_timeout=TIMEOUT)
    return {name: topic_id(future.result()) for name, future in described.items()}


class Identities:
    """Looks now and then, without waiting, whether topics still are the ones that they were."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin
        self._asked: dict[str, Any] = {}
        self._asked_at = time.monotonic()

    def remade(self, known: dict[str, str]) -> str | None:
        """The name of a topic that was deleted and made again, as far as is known now.

        Its messages could have the offsets of old ones; only the topic id tells them apart.
        """
        if not all(future.done() for future in self._asked.values()):
            return None
        for name, future in self._asked.items():
            if name in known and future.exception() is None and topic_id(future.result()) != known[name]:
                return name
        self._asked = {}
        if known and time.monotonic() - self._asked_at > IDENTITY_SECONDS:
            self._asked_at = time.monotonic()
            self._asked = self._admin.describe_topics(TopicCollection(sorted(known)), request_timeout=10)
        return None


class Reader:
    """Reads ranges of a partition again, beside the workers and without their group.

    Every method raises KafkaException.
    """

    def __init__(self, settings: Settings) -> None:
        self._consumer = Consumer(
            {
                **settings.kafka(
                    group_id=f"{settings.group}-reader",
                    client_id="krill-logger-reader",
                    enable_auto_commit=False,
                    auto_offset_reset="error",
                    enable_partition_eof=True,
                    isolation_level="read_committed",
                    fetch_message_max_bytes=topics.MAX_MESSAGE_BYTES,
                    fetch_wait_max_ms=20,  # a question behind the last range waits for its fetch
                    queued_max_messages_kbytes=65_536,
                ),
                "log_level": 0,  # what fails is raised
            }
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()

    def partitions(self, topic: str) -> list[int]:
        """Numbers of a topic's partitions."""
        return sorted(self._consumer.list_topics(topic, timeout=TIMEOUT).topics[topic].partitions)

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset that is still there, and the one behind the last."""
        low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=TIMEOUT)
        return low, high

    def at(self, topic: str, partition: int, milliseconds: int) -> int:
        """The first offset whose message is not older than a Unix time; the end if there is none."""
        [place] = self._consumer.offsets_for_times([TopicPartition(topic, partition, milliseconds)], timeout=TIMEOUT)
        return int(place.offset) if place.offset >= 0 else self.bounds(topic, partition)[1]

    def batches(
        self,
        topic: str,
        identity: str,
        partition: int,
        start: int,
        end: int,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Iterator[Batch]:
        """Batches that cover [start, end), which must be there; offsets without a message are skipped."""
        self._consumer.assign([TopicPartition(topic, partition, start)])
        position, taken, size = start, list[Message](), 0
        deadline = time.monotonic() + TIMEOUT
        while position < end:
            # No more than may be there: for those it would wait.
            for message in self._consumer.consume(min(REREAD_ROWS, end - position), 0.5):
                deadline = time.monotonic() + TIMEOUT
                error = message.error()
                offset = int(message.offset() or 0)
                if error is None:
                    if offset < end:
                        taken.append(message)
                        size += len(message)
                    position = offset + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    position = max(position, offset)
                else:
                    raise KafkaException(error)
                if len(taken) >= REREAD_ROWS or size >= REREAD_BYTES:
                    yield Batch(topic, identity, partition, start, position, taken)
                    start, taken, size = position, [], 0
                    deadline = time.monotonic() + TIMEOUT  # what was done with the batch took time, not Kafka
            progress(min(position, end))
            if time.monotonic() > deadline:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        if taken:
            yield Batch(topic, identity, partition, start, end, taken)
        self._consumer.unassign()
