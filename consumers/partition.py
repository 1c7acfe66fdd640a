"""One partition that this worker owns: what was fetched of it, what is being stored, what is committed."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from consumers.batch import Batch, Converted

if TYPE_CHECKING:
    from confluent_kafka import Message

PLAN = "plan "


def planned_end(metadata: str | None, start: int) -> int | None:
    """The end of the range that a commit's metadata plans, if it plans one that begins at `start`."""
    if metadata and metadata.startswith(PLAN) and metadata[len(PLAN) :].isdigit():
        end = int(metadata[len(PLAN) :])
        return end if end > start else None
    return None


class Partition:
    """State of one owned partition; used by the loop's thread only.

    Everything below `stored` is in ClickHouse or in the dead letters. `committed` is what Kafka knows of it.
    """

    def __init__(self, topic: str, topic_id: str, number: int, start: int, planned: int | None) -> None:
        self.topic = topic
        self.topic_id = topic_id
        self.number = number
        self.stored = start
        self.committed = start
        self.plan: int | None = planned
        self.replay = planned is not None  # the plan is another worker's, its range must be read again as it was
        self.position = start
        self.fetched: deque[Message] = deque()
        self.fetched_bytes = 0
        self.oldest = 0.0
        self.storing: tuple[Batch, Future[Converted]] | None = None
        self.idle_since = time.monotonic()
        self.paused = False
        self.end_offset = start
        self.last_event_ms = 0

    def add(self, message: Message) -> None:
        """Take in a message that was fetched."""
        if not self.fetched:
            self.oldest = time.monotonic()
        self.fetched.append(message)
        self.fetched_bytes += len(message)
        self.position = int(message.offset() or 0) + 1

    def next_batch(self, rows: int, size: int, seconds: float) -> Batch | None:
        """The batch to store now, if one is due and none is being stored.

        Args:
            rows, size: a batch never has more messages or bytes (unless one message alone is larger).
            seconds: how long the oldest message waits for the batch to fill.
        """
        if self.storing is not None:
            return None
        if self.replay and self.plan is not None:
            if self.position < self.plan:
                return None
            return self._take(self.plan)
        if not self.fetched:
            return None
        full = len(self.fetched) >= rows or self.fetched_bytes >= size
        if not full and time.monotonic() - self.oldest < seconds:
            return None
        end, total = self.stored, 0
        for taken, message in enumerate(self.fetched):
            total += len(message)
            if taken and (taken >= rows or total > size):
                break
            end = int(message.offset() or 0) + 1
        return self._take(end)

    def _take(self, end: int) -> Batch:
        messages = []
        while self.fetched and int(self.fetched[0].offset() or 0) < end:
            message = self.fetched.popleft()
            self.fetched_bytes -= len(message)
            messages.append(message)
        self.oldest = time.monotonic()
        return Batch(self.topic, self.topic_id, self.number, self.stored, end, messages)

    def finish(self) -> None:
        """Take in the end of the batch that was being stored. Raises what storing raised."""
        assert self.storing is not None
        batch, future = self.storing
        converted = future.result()
        self.storing = None
        self.stored = batch.end
        self.plan = None
        self.replay = False
        self.last_event_ms = max(self.last_event_ms, converted.last_event_ms)
        self.idle_since = time.monotonic()

    def snapshot(self) -> dict[str, Any]:
        """What the status table says of this partition."""
        end = max(self.end_offset, self.stored)
        return {
            "topic": self.topic,
            "partition": self.number,
            "committed_offset": self.stored,
            "end_offset": end,
            "lag": end - self.stored,
            "state": "paused" if self.paused else "running",
            "last_event_ms": self.last_event_ms,
        }
