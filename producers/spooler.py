"""Keeps on disk what Kafka does not take now, and sends it once Kafka does. All of it in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException

from producers import spool
from producers.counting import count, failed
from producers.readback import event_id
from producers.spool import Head, Message, Segment, Trying

#: An event that Kafka has had for so many seconds without an answer is kept on disk as well, and later ones go to disk
#: instead, until Kafka has answered.
PATIENCE = 1.0

#: What may wait in memory for the disk; more is dropped.
WAITING_MESSAGES = 20_000
WAITING_BYTES = 32 * 1024 * 1024

_STEP_SECONDS = 0.1
_SYNC_SECONDS = 1.0
_SCAN_SECONDS = 2.0
_WINDOW_MESSAGES = 1000
_WINDOW_BYTES = 4 * 1024 * 1024
_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)
#: Before Kafka is asked what a process that died had sent: what is still on its way gets there.
_SETTLE_SECONDS = 1.0
#: Longest that the end of a process waits for what the thread is doing.
_CLOSE_SECONDS = 3.0

_MAY_NOT_READ = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED)


class Pending:
    """A message that librdkafka holds, and its place on disk if it has one."""

    __slots__ = ("message", "number", "segment", "since", "since_ms")

    def __init__(self, message: Message, segment: Segment | None = None, number: int = 0) -> None:
        self.message = message
        self.segment = segment
        self.number = number
        self.since = time.monotonic()
        self.since_ms = int(time.time() * 1000)


class Kafka(Protocol):
    """What the spooler needs of the producer."""

    #: What librdkafka holds, the oldest first.
    pending: dict[Pending, None]

    def hand_over(self, pending: Pending) -> None:
        """Append to librdkafka's queue. Raises BufferError if it is full, KafkaException."""

    def answers(self, topic: str) -> bool:
        """Whether Kafka is there, knows the topic and lets us see it; takes at most a second."""

    def present(self, topic: str, since_ms: int, ids: Collection[bytes]) -> set[bytes]:
        """See `readback.present`."""


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
        self._sending: Segment | None = None
        self._left: dict[int, Message] = {}
        self._foreign: set[Path] = set()
        self._failures = 0
        self._retry_at = 0.0
        self._scan_at = 0.0
        self._synced_at = 0.0
        self._unsynced = False
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
        """Kafka has a message, or will never take it."""
        self._failures = 0
        if pending.segment is not None:
            pending.segment.acknowledged.add(pending.number)
            pending.segment.in_flight.discard(pending.number)

    def rescan(self) -> None:
        """Look for segments now; `idle` is set once nothing is left that could be sent."""
        self.idle.clear()
        self._scan_at = 0.0

    def close(self) -> int:
        """Write to disk whatever Kafka has not acknowledged, and stop.

        Returns:
            How many messages could not be written and are lost.
        """
        self._stop.set()
        self._thread.join(_CLOSE_SECONDS)
        if self._thread.is_alive():  # waits for the disk or for Kafka: its files are left to whoever claims them
            self._own, self._sending = deque(), None
        self._keep_pending(patience=0)
        self._write()
        for segment in self._held():
            self._mark(segment)
            try:
                segment.sync()
            except OSError as error:
                self._disk_failed(error)
            segment.close()
        return len(self._waiting) + sum(pending.segment is None for pending in list(self._kafka.pending))

    def forget(self) -> None:
        """In a forked child: let go of the parent's files, whose locks it would otherwise share."""
        for segment in self._held():
            segment.close()

    def _held(self) -> list[Segment]:
        return [*self._own, *([self._sending] if self._sending else [])]

    def _run(self) -> None:
        while not self._stop.wait(_STEP_SECONDS):
            try:
                self._step()
            except OSError as error:
                self._disk_failed(error)
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
            self._mark(segment)
        if self._own and self._unsynced and now - self._synced_at > _SYNC_SECONDS:
            self._own[-1].sync()
            self._synced_at, self._unsynced = now, False
        if not self.away:
            self._relay()

    def _disk_failed(self, error: OSError) -> None:
        failed("spool_errors", f"the spool {self._folder} cannot be used: {error.strerror or error}")

    def _mark(self, segment: Segment) -> None:
        """Write down what Kafka has. On a full disk that waits: it only spares the next process a question."""
        try:
            segment.keep_acknowledged()
        except OSError as error:
            self._disk_failed(error)

    def _back_off(self) -> None:
        self._retry_at = time.monotonic() + _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        self._failures += 1
        self.away = True

    # To disk

    def _keep_pending(self, patience: float) -> None:
        """Write down what librdkafka has held for longer than `patience` seconds; it stays there all the same."""
        until = time.monotonic() - patience
        late = [item for item in list(self._kafka.pending) if item.segment is None and item.since <= until]
        for start in range(0, len(late), _WINDOW_MESSAGES):
            part = late[start : start + _WINDOW_MESSAGES]
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

    def _write(self) -> None:
        while self._waiting:
            part = list(islice(self._waiting, _WINDOW_MESSAGES))
            if self._append(part) is None:
                return
            for message in part:
                self._waiting.popleft()
                self._waiting_bytes -= len(message.value) + len(message.key)

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
            self._disk_failed(error)
            return None
        count("spooled", len(messages))
        self._unsynced = True
        return self._own[-1], numbers

    def _drop_waiting(self, messages: list[Message]) -> None:
        """Give up events for which the spool has no room, unless Kafka may take them soon."""
        if self._waiting and messages[0] is self._waiting[0] and self.away:
            for message in messages:
                self._waiting.popleft()
                self._waiting_bytes -= len(message.value) + len(message.key)
            failed("dropped_spool_full", "events are lost, since the spool is full", len(messages))

    # To Kafka

    def _relay(self) -> None:
        """Go on sending: one segment after the other, in windows, each of which Kafka has before the next begins."""
        while self._waiting:  # could not be written
            self._kafka.hand_over(Pending(self._waiting[0]))
            message = self._waiting.popleft()
            self._waiting_bytes -= len(message.value) + len(message.key)
        while self._sending is not None or self._begin():
            segment = self._sending
            assert segment is not None
            self._mark(segment)
            for number in list(segment.acknowledged):
                self._left.pop(number, None)
            if segment.in_flight:
                return
            if self._left:
                self._send_window(segment)
                return
            segment.remove()
            self._sending = None
        if time.monotonic() < self._scan_at:
            self.idle.set()

    def _begin(self) -> bool:
        """Take the next segment to send: this process's own, then those that lost their owner."""
        if self._own:
            segment = self._own[0]
            if segment.in_flight:
                return False
            records, _ = segment.read()
            self._left = dict(enumerate(record for record in records if isinstance(record, Message)))
            self._sending = self._own.popleft()
            return True
        if time.monotonic() < self._scan_at:
            return False
        self._scan_at = time.monotonic() + _SCAN_SECONDS
        if not self._folder.is_dir():
            return False
        for path in spool.segments(self._folder):
            if path not in self._foreign and (claimed := Segment.claim(path)) is not None and self._take_over(claimed):
                self._scan_at = 0.0
                return True
        return False

    def _take_over(self, segment: Segment) -> bool:
        """Read what a process that died has left, without what Kafka has already."""
        try:
            records, torn = segment.read()
        except OSError:
            segment.close()
            raise
        if torn:
            failed("spool_torn", f"{segment.path.name} ended within an event, {torn} bytes were cut off")
        head = records[0] if records else None
        if isinstance(head, Head) and not _same_brokers(head.bootstrap, self._bootstrap):
            self._foreign.add(segment.path)
            failed("spool_foreign", f"{segment.path} is meant for other brokers ({head.bootstrap}) and stays there")
            segment.close()
            return False
        self._left = dict(enumerate(record for record in records if isinstance(record, Message)))
        trying_ms = min((record.at_ms for record in records if isinstance(record, Trying)), default=0)
        for record in records:
            if isinstance(record, spool.Done):
                for number in record.numbers:
                    self._left.pop(number, None)
        try:
            for topic in {message.topic for message in self._left.values()}:
                if not self._kafka.answers(topic):
                    raise _unreachable()
            segment.acknowledged.update(self._known(trying_ms))
        except KafkaException:
            segment.close()
            raise
        segment.tried = bool(trying_ms)
        self._sending = segment
        return True

    def _known(self, trying_ms: int) -> list[int]:
        """Numbers of messages that the process before handed to Kafka and that are there."""
        doubtful: dict[str, dict[bytes, int]] = {}
        since = trying_ms
        for number, message in self._left.items():
            doubt = message.doubt_ms or trying_ms
            if doubt and (name := event_id(message.headers)):
                doubtful.setdefault(message.topic, {})[name] = number
                since = min(since or doubt, doubt)
        known: list[int] = []
        for topic, ids in doubtful.items():
            self._stop.wait(_SETTLE_SECONDS)
            try:
                known += [ids[name] for name in self._kafka.present(topic, since, ids)]
            except KafkaException as error:
                if error.args[0].code() not in _MAY_NOT_READ:
                    raise
                failed("resent_unchecked", f"{topic} may not be read, so events may be there twice", len(ids))
        return known

    def _send_window(self, segment: Segment) -> None:
        size = 0
        if not segment.tried:
            segment.tried = True
            try:
                segment.append([Trying(int(time.time() * 1000))])
            except OSError as error:
                self._disk_failed(error)
        for number, message in list(islice(self._left.items(), _WINDOW_MESSAGES)):
            segment.in_flight.add(number)
            try:
                self._kafka.hand_over(Pending(message, segment, number))
            except BufferError:
                segment.in_flight.discard(number)
                return
            except KafkaException:
                segment.in_flight.discard(number)
                raise
            size += len(message.value)
            if size > _WINDOW_BYTES:
                return


def _oldest(pending: dict[Pending, Any]) -> Pending | None:
    try:
        return next(iter(pending), None)
    except RuntimeError:  # a request has just added one; the next step sees it
        return None


def _same_brokers(one: str, other: str) -> bool:
    return bool({name.strip() for name in one.split(",")} & {name.strip() for name in other.split(",")})


def _unreachable() -> KafkaException:
    return KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN))

