"""The way from the spool back to Kafka, of what this process wrote and of what processes that died have left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection
from itertools import islice
from pathlib import Path
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException

from producers import spool
from producers.counting import failed
from producers.readback import event_id
from producers.spool import Head, Message, Segment, Trying

_SCAN_SECONDS = 2.0
_WINDOW_MESSAGES = 1000
_WINDOW_BYTES = 4 * 1024 * 1024


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
        """Append to librdkafka's queue; a message that Kafka will never take is given up.

        Raises:
            BufferError: the queue is full.
            KafkaException: not now.
        """

    def answers(self, topic: str) -> bool:
        """Whether Kafka is there, knows the topic and lets us see it; takes at most a second."""

    def present(self, topic: str, since_ms: int, ids: Collection[bytes]) -> set[bytes]:
        """See `readback.present`."""


class Resender:
    """Sends segments, and deletes each once Kafka has all of it."""

    def __init__(self, kafka: Kafka, folder: Path, bootstrap: str) -> None:
        #: The segment that is being sent.
        self.segment: Segment | None = None
        self._kafka = kafka
        self._folder = folder
        self._bootstrap = bootstrap
        self._left: dict[int, Message] = {}
        self._foreign: set[Path] = set()
        self._scan_at = 0.0

    def rescan(self) -> None:
        """Look for segments at the next step."""
        self._scan_at = 0.0

    def step(self, own: deque[Segment]) -> bool:
        """Go on sending: one segment after the other, in windows, each of which Kafka has before the next begins.

        Args:
            own: the segments of this process; the one that is begun is taken out, and not written to any more.

        Returns:
            Whether nothing is left to send.

        Raises:
            OSError: a segment cannot be read.
            BufferError: librdkafka's queue is full: go on later.
            KafkaException: Kafka does not answer.
        """
        while self.segment is not None or self._begin(own):
            segment = self.segment
            assert segment is not None
            mark(segment)
            for number in list(segment.acknowledged):
                self._left.pop(number, None)
            if segment.in_flight:
                return False
            if self._left:
                self._send_window(segment)
                return False
            segment.remove()
            self.segment = None
        return not own and time.monotonic() < self._scan_at

    def _begin(self, own: deque[Segment]) -> bool:
        """Take the next segment to send: this process's own, then those that lost their owner."""
        if own:
            segment = own[0]
            if segment.in_flight:
                return False
            records, _ = segment.read()
            self._left = dict(enumerate(record for record in records if isinstance(record, Message)))
            self.segment = own.popleft()
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
        self.segment = segment
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
            known += [ids[name] for name in self._kafka.present(topic, since, ids)]
        return known

    def _send_window(self, segment: Segment) -> None:
        size = 0
        if not segment.tried:
            segment.tried = True
            try:
                segment.append([Trying(int(time.time() * 1000))])
            except OSError as error:
                disk_failed(self._folder, error)
        for sent, (number, message) in enumerate(list(islice(self._left.items(), _WINDOW_MESSAGES)), 1):
            if sent % spool.BURST == 0:
                spool.give_way()
            segment.in_flight.add(number)
            try:
                self._kafka.hand_over(Pending(message, segment, number))
            except (BufferError, KafkaException):
                segment.in_flight.discard(number)
                raise
            size += len(message.value)
            if size > _WINDOW_BYTES:
                return


def mark(segment: Segment) -> None:
    """Write down what Kafka has. On a full disk that waits: it only spares the next process a question."""
    try:
        segment.keep_acknowledged()
    except OSError as error:
        disk_failed(segment.path.parent, error)


def disk_failed(folder: Path, error: OSError) -> None:
    """Count and report an error of the disk."""
    failed("spool_errors", f"the spool {folder} cannot be used: {error.strerror or error}")


def _same_brokers(one: str, other: str) -> bool:
    return bool({name.strip() for name in one.split(",")} & {name.strip() for name in other.split(",")})


def _unreachable() -> KafkaException:
    return KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN))
