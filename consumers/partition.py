"""One partition that this worker owns: what was fetched of it, what is being stored, what is committed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import accumulate, islice, takewhile
from typing import TYPE_CHECKING, Any

from consumers.batch import Batch, Converted

if TYPE_CHECKING:
    from confluent_kafka import Message

STOPPED = "stopped by flood"


@dataclass(frozen=True, slots=True)
class Mark:
    """What the metadata of a commit says: whose offset it is, and which range is being stored from there.

    Attributes:
        topic_id: identity of the topic; empty if the commit does not say.
        plan: end of the range that begins at the committed offset; None if none is planned.
    """

    topic_id: str = ""
    plan: int | None = None

    def __str__(self) -> str:
        return f"topic {self.topic_id}" + ("" if self.plan is None else f" plan {self.plan}")

    @classmethod
    def parse(cls, metadata: str | None) -> Mark:
        """What is not ours says nothing."""
        match (metadata or "").split(" "):
            case ["topic", topic_id, "plan", plan] if plan.isdecimal():
                return cls(topic_id, int(plan))
            case ["topic", topic_id]:
                return cls(topic_id)
        return cls()


def _offset(message: Message) -> int:
    return message.offset()  # type: ignore[return-value]


class Partition:
    """State of one owned partition; used by the loop's thread only.

    Everything below `stored` is in ClickHouse or in the dead letters. `committed` is what Kafka knows of it.

    Args:
        start: the committed offset.
        plan: end of the range that is planned from there, by another worker or before a restart.
    """

    def __init__(self, topic: str, topic_id: str, number: int, start: int, plan: int | None) -> None:
        self.topic = topic
        self.topic_id = topic_id
        self.number = number
        self.stored = start
        self.committed = start
        self.plan = plan if plan is not None and plan > start else None
        self.replay = self.plan is not None  # the range must be read again as it was
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

    @property
    def needed(self) -> bool:
        """Whether a planned range is not read to its end yet; such a partition must not be paused."""
        return self.replay and self.plan is not None and self.position < self.plan

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
        if self.storing is not None or self.stopped:
            return None
        if self.replay and self.plan is not None:
            return None if self.needed else self._take(self.plan)
        if not self.fetched:
            return None
        full = len(self.fetched) >= rows or self.held >= size
        if not full and time.monotonic() - self.oldest < seconds:
            return None
        sizes = accumulate(map(len, islice(self.fetched, rows)))
        count = max(1, sum(total <= size for total in sizes))
        return self._take(_offset(self.fetched[count - 1]) + 1)

    def _take(self, end: int) -> Batch:
        messages = list(takewhile(lambda message: _offset(message) < end, self.fetched))
        for _ in messages:
            self.fetched.popleft()
        self.oldest = time.monotonic()
        return Batch(
            self.topic, self.topic_id, self.number, self.stored, end, messages,
            self.replay, sum(map(len, messages)),
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
        if self.storing is None and not self.fetched and not self.replay:
            self.stored = max(self.stored, self.deleted_to)

    def finish(self) -> None:
        """Take in the end of the batch that was being stored. Raises what storing raised."""
        assert self.storing is not None
        batch, future = self.storing
        converted = future.result()
        self.storing = None
        self.held -= batch.size
        self.stored = batch.end
        self.plan = None
        self.replay = False
        self.last_event_ms = max(self.last_event_ms, converted.last_event_ms)
        self.idle_since = time.monotonic()

    def abandon(self) -> None:
        """Give up the batch that is being stored, if there is one; its range stays planned."""
        if self.storing is not None:
            self.storing[0].abandoned.set()
            self.storing = None

    def rewind(self) -> None:
        """Forget what was fetched; reading goes on behind what is stored."""
        self.abandon()
        self.replay = self.plan is not None
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
