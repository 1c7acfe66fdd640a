"""One partition that this worker owns: what was fetched of it, what is being stored, what is committed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from itertools import accumulate, islice, takewhile
from typing import TYPE_CHECKING, Any

from consumers.batch import Batch, Converted

if TYPE_CHECKING:
    from confluent_kafka import Message

STOPPED = "stopped by flood"


def mark(topic_id: str) -> str:
    """Metadata of a commit: which topic's offset it is."""
    return f"topic {topic_id}"


def marked(metadata: str | None) -> str:
    """The topic id in a commit's metadata, behind which older releases wrote more; empty if it is none of ours."""
    match (metadata or "").split(" "):
        case ["topic", topic_id, *_]:
            return topic_id
    return ""


def _offset(message: Message) -> int:
    return message.offset()  # type: ignore[return-value]


class Partition:
    """State of one owned partition; used by the loop's thread only.

    Everything below `stored` is in ClickHouse or in the dead letters. `committed` is what Kafka knows of it. Between
    `stored` and `edge` may be rows of owners before; `edge` is behind the last of them, and None until ClickHouse has
    been asked.

    Args:
        start: the committed offset.
    """

    def __init__(self, topic: str, topic_id: str, number: int, start: int) -> None:
        self.topic = topic
        self.topic_id = topic_id
        self.number = number
        self.stored = start
        self.committed = start
        self.edge: int | None = None
        self.asking: Future[int | None] | None = None  # for the edge
        self.first = True  # no row behind the edge is stored yet
        self.position = start
        self.deleted_to = start  # Kafka has nothing below any more
        self.fetched: deque[Message] = deque()
        self.held = 0  # bytes of the messages in memory, those being stored included
        self.oldest = 0.0
        self.storing: tuple[Batch, Future[Converted]] | None = None
        self.idle_since = time.monotonic()
        self.paused = False
        self.stopped = False
        self.end_offset = start
        self.last_event_ms = 0

    def __str__(self) -> str:
        return f"{self.topic} [{self.number}]"

    def add(self, messages: Sequence[Message]) -> int:
        """Take in messages that were fetched together, without those that are in hand. Returns how many are new."""
        if _offset(messages[0]) < self.position:
            messages = [message for message in messages if _offset(message) >= self.position]
            if not messages:
                return 0
        if not self.fetched:
            self.oldest = time.monotonic()
        self.fetched += messages
        self.held += sum(map(len, messages))
        self.position = _offset(messages[-1]) + 1
        return len(messages)

    def next_batch(self, rows: int, size: int, seconds: float) -> Batch | None:
        """The batch to store now, if one is due and none is being stored.

        Args:
            rows, size: a batch never has more messages or bytes (unless one message alone is larger).
            seconds: how long the oldest message waits for the batch to fill.
        """
        if self.storing is not None or self.stopped or self.edge is None or not self.fetched:
            return None
        full = len(self.fetched) >= rows or self.held >= size
        if not full and time.monotonic() - self.oldest < seconds:
            return None
        edge = self.edge
        candidates: Iterator[Message] = islice(self.fetched, rows)
        again = _offset(self.fetched[0]) < edge
        if again:
            candidates = takewhile(lambda message: _offset(message) < edge, candidates)
        sizes = accumulate(map(len, candidates))
        messages = [self.fetched.popleft() for _ in range(max(1, sum(total <= size for total in sizes)))]
        self.oldest = time.monotonic()
        return Batch(
            self.topic, self.topic_id, self.number, self.stored, _offset(messages[-1]) + 1, messages,
            again, self.first, sum(map(len, messages)),
        )  # fmt: skip

    def skip(self, low: int) -> int:
        """Go on reading at `low`, the first offset that Kafka still has. What was fetched before is stored as usual.

        Returns:
            How many offsets were not read and never will be.
        """
        gone, self.position, self.deleted_to = low - self.position, low, low
        return gone

    def pass_deleted(self) -> None:
        """Once nothing is in hand, offsets that Kafka deleted count as stored: nobody waits for them."""
        if self.storing is None and not self.fetched:
            self.stored = max(self.stored, self.deleted_to)

    def finish(self) -> None:
        """Take in the end of the batch that was being stored. Raises what storing raised."""
        assert self.storing is not None
        batch, future = self.storing
        converted = future.result()
        self.storing = None
        self.held -= batch.size
        self.stored = batch.end
        self.first = self.first and (batch.again or converted.columns is None)
        self.last_event_ms = max(self.last_event_ms, converted.last_event_ms)
        self.idle_since = time.monotonic()

    def abandon(self) -> None:
        """Give up the batch that is being stored, if there is one; how much of it is stored is not known."""
        if self.storing is not None:
            self.storing[0].abandoned.set()
            self.storing = None

    def rewind(self) -> None:
        """Forget what was fetched; reading goes on behind what is stored, as with another owner's partition."""
        self.abandon()
        self.edge, self.asking, self.first = None, None, True
        self.position = self.stored
        self.fetched.clear()
        self.held = 0

    def snapshot(self) -> dict[str, Any]:
        """What the status table says of this partition."""
        end = max(self.end_offset, self.stored)
        return {
            "topic": self.topic,
            "partition": self.number,
            "committed_offset": self.stored,
            "end_offset": end,
            "lag": end - self.stored,
            "state": STOPPED if self.stopped else "paused" if self.paused else "running",
            "last_event_ms": self.last_event_ms,
        }
