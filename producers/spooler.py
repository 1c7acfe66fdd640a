"""Decides, in a thread of its own, which events go to disk, and writes them there; `resending` is the way back."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException

from producers import metrics, spool
from producers.counting import count, failed
from producers.resending import Kafka, Pending, Resender, disk_failed, mark
from producers.spool import Message, Segment

#: An event that Kafka has had for so many seconds without an answer is kept on disk as well, and later ones go to disk
#: instead, until Kafka has answered.
PATIENCE = 1.0

#: What may wait in memory for the disk; more is dropped.
WAITING_MESSAGES = 20_000
WAITING_BYTES = 32 * 1024 * 1024

_STEP_SECONDS = 0.1
_SYNC_SECONDS = 1.0
_PAUSES = (1.0, 2.0, 3.0, 5.0)
#: Longest that the end of a process waits for what the thread is doing.
_CLOSE_SECONDS = 3.0


class Spooler:
    """The spool as one process sees it.

    Args:
        limit: most bytes on disk, of all processes together.
        bootstrap: the brokers; segments that are meant for others are left alone.
    """

    def __init__(self, kafka: Kafka, folder: Path, limit: int, bootstrap: str) -> None:
        #: Whether new events go to disk, since Kafka is not answering.
        self.away = False
        self._kafka = kafka
        self._folder = folder
        self._limit = limit
        self._bootstrap = bootstrap
        self._waiting: deque[Message] = deque()
        self._waiting_bytes = 0
        self._own: deque[Segment] = deque()
        self._resender = Resender(kafka, folder, bootstrap)
        self._failures = 0
        self._retry_at = 0.0
        self._synced_at = 0.0
        self._unsynced = False
        self._counted_at = float("-inf")
        self._stop = threading.Event()
        self.idle = threading.Event()
        self._thread = threading.Thread(target=self._run, name="krill-logger-spool", daemon=True)

    def start(self) -> None:
        """Begin; what processes that died have left is sent from now on."""
        self._thread.start()

    def keep(self, message: Message) -> bool:
        """Have a message written to disk, soon; returns at once. False if it was dropped, which is counted."""
        size = len(message.value) + len(message.key)
        if len(self._waiting) >= WAITING_MESSAGES or self._waiting_bytes + size > WAITING_BYTES:
            failed("dropped_spool_busy", "the disk of the spool does not keep up or is full; an event is lost")
            return False
        self._waiting_bytes += size
        self._waiting.append(message)
        return True

    def refused(self, pending: Pending, in_doubt: bool) -> None:
        """Kafka reported a failure for a message: it is tried again later. `in_doubt`: it may be there all the same."""
        if pending.segment is not None:
            pending.segment.in_flight.discard(pending.number)
        else:
            doubt = pending.since_ms if in_doubt else 0
            message = pending.message
            self.keep(Message(message.topic, message.key, message.value, message.headers, doubt))
        if time.monotonic() >= self._retry_at:
            self._back_off()

    def acknowledged(self, pending: Pending) -> None:
        """Kafka has a message."""
        if pending.segment is not None and pending.segment is self._resender.segment:
            count("sent_from_spool")
        self.settled(pending)

    def settled(self, pending: Pending) -> None:
        """A message is not sent again: Kafka has it, or will never take it."""
        self._failures = 0
        if pending.segment is not None:
            pending.segment.acknowledged.add(pending.number)
            pending.segment.in_flight.discard(pending.number)

    def rescan(self) -> None:
        """Look for segments now; `idle` is set once nothing is left that could be sent."""
        self.idle.clear()
        self._resender.rescan()

    def close(self) -> int:
        """Write to disk whatever Kafka has not acknowledged, and stop.

        Returns:
            How many messages could not be written and are lost.
        """
        self._stop.set()
        self._thread.join(_CLOSE_SECONDS)
        if self._thread.is_alive():  # waits for the disk or for Kafka: its files are left to whoever claims them
            self._own, self._resender.segment = deque(), None
        self._keep_pending(patience=0)
        self._write()
        for segment in self._held():
            mark(segment)
            try:
                segment.sync()
            except OSError as error:
                disk_failed(self._folder, error)
            segment.close()
        return len(self._waiting) + sum(pending.segment is None for pending in list(self._kafka.pending))

    def write_counters(self) -> None:
        """Have the other processes show what this one counted; a disk that fails is told of when an event needs it."""
        with suppress(OSError):
            metrics.write(self._folder)

    def forget(self) -> None:
        """In a forked child: let go of the parent's files, whose locks it would otherwise share."""
        for segment in self._held():
            segment.close()

    def _held(self) -> list[Segment]:
        sending = self._resender.segment
        return [*self._own, sending] if sending else list(self._own)

    def _run(self) -> None:
        while not self._stop.wait(_STEP_SECONDS):
            try:
                if time.monotonic() - self._counted_at > metrics.WRITE_SECONDS:
                    self._counted_at = time.monotonic()
                    self.write_counters()
                self._step()
            except OSError as error:
                disk_failed(self._folder, error)
            except BufferError:
                pass  # librdkafka's queue is full: the next step goes on
            except KafkaException as error:
                failed("spool_waits", f"the spool waits: {error.args[0].str()}")
                self._back_off()
            except Exception as error:  # the thread must live on, or nothing would be kept any more
                failed("spool_errors", f"the spool failed: {error!r}")
                self._back_off()

    def _step(self) -> None:
        oldest = _oldest(self._kafka.pending)
        now = time.monotonic()
        self.away = now < self._retry_at or (oldest is not None and now - oldest.since > PATIENCE)
        self._keep_pending(PATIENCE)
        self._write()
        for segment in self._own:
            mark(segment)
        if self._own and self._unsynced and now - self._synced_at > _SYNC_SECONDS:
            self._own[-1].sync()
            self._synced_at, self._unsynced = now, False
        if self.away:
            return
        while self._waiting:  # could not be written
            self._kafka.hand_over(Pending(self._waiting[0]))
            self._forget_first()
        if self._resender.step(self._own):
            self.idle.set()

    def _back_off(self) -> None:
        self._retry_at = time.monotonic() + _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        self._failures += 1
        self.away = True

    def _keep_pending(self, patience: float) -> None:
        """Write down what librdkafka has held for longer than `patience` seconds; it stays there all the same."""
        until = time.monotonic() - patience
        late = [item for item in list(self._kafka.pending) if item.segment is None and item.since <= until]
        for start in range(0, len(late), spool.BURST):
            part = late[start : start + spool.BURST]
            messages = [
                Message(m.topic, m.key, m.value, m.headers, item.since_ms) for item in part for m in [item.message]
            ]
            if (placed := self._append(messages)) is None:
                return
            segment, numbers = placed
            segment.in_flight.update(numbers)
            for item, number in zip(part, numbers, strict=True):
                item.number = number
                item.segment = segment
                if item not in self._kafka.pending:  # acknowledged just now
                    self.acknowledged(item)
            spool.give_way()

    def _write(self) -> None:
        while self._waiting:
            part = list(islice(self._waiting, spool.BURST))
            if self._append(part) is not None:
                for _ in part:
                    self._forget_first()
            elif self._waiting and self._waiting[0] is part[0]:
                return  # neither written nor given up
            spool.give_way()

    def _append(self, messages: list[Message]) -> tuple[Segment, list[int]] | None:
        """Append to this process's newest segment; None if there is no room."""
        try:
            spool.open_folder(self._folder)
            size = sum(len(message.value) + 500 for message in messages)
            if spool.used(self._folder) + size > self._limit:
                failed("spool_full", f"the spool {self._folder} has reached its limit of {self._limit:,} bytes")
                self._drop_waiting(messages)
                return None
            if not self._own or self._own[-1].size > spool.SEGMENT_BYTES:
                self._own.append(Segment.create(self._folder, self._bootstrap))
            numbers = self._own[-1].append(messages)
        except OSError as error:
            disk_failed(self._folder, error)
            return None
        count("spooled", len(messages))
        self._unsynced = True
        return self._own[-1], numbers

    def _drop_waiting(self, messages: list[Message]) -> None:
        """Give up events for which the spool has no room, unless Kafka may take them soon."""
        if self._waiting and messages[0] is self._waiting[0] and self.away:
            for _ in messages:
                self._forget_first()
            failed("dropped_spool_full", "events are lost, since the spool is full", len(messages))

    def _forget_first(self) -> None:
        message = self._waiting.popleft()
        self._waiting_bytes -= len(message.value) + len(message.key)


def _oldest(pending: dict[Pending, Any]) -> Pending | None:
    try:
        return next(iter(pending), None)
    except RuntimeError:  # a request has just added one; the next step sees it
        return None
