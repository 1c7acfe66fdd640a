"""A batch: one contiguous range of offsets of one partition, from Kafka messages to Arrow columns and dead letters."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from consumers import columnar, dead_letters, normalise, tables
from consumers.dead_letters import DeadLetter, headers_of
from schemas import topics
from schemas.events import AdminChange, ApiRequest

if TYPE_CHECKING:
    from confluent_kafka import Message

log = logging.getLogger(__name__)

#: Messages that are converted together: of more, no value comes again more often, and their objects need memory.
TOGETHER = 5_000


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages of the offsets [start, end) of one partition.

    Attributes:
        topic_id: Kafka's identity of the topic, as a UUID: a topic that was deleted and made again has another.
        again: whether owners before have stored the range; what a crash took of it may be missing.
        first: whether none of this owner's rows came before, so that those of another may be on their way.
        size: bytes of its messages.
        abandoned: set when the worker lost the partition or gave up waiting; the batch must not be stored any more.
    """

    topic: str
    topic_id: str
    partition: int
    start: int
    end: int
    messages: list[Message]
    again: bool = False
    first: bool = False
    size: int = 0
    abandoned: threading.Event = field(default_factory=threading.Event)

    def __str__(self) -> str:
        return f"{self.topic} [{self.partition}] {self.start}..{self.end - 1}"


@dataclass(frozen=True, slots=True)
class Converted:
    """What a batch became: columns for its table (None without rows), dead letters, and the newest event's time."""

    table: tables.Table
    columns: pa.Table | None
    dead: list[DeadLetter]
    last_event_ms: int


class _Reject(Exception):
    """Why a message cannot become a row."""

    def __init__(self, reason: str, error: str) -> None:
        super().__init__(error)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Stream:
    table: tables.Table
    ce_type: str
    decode: Callable[[bytes], Any]
    row: Callable[[Any], tuple[Any, ...]]
    #: Makes columns of many values at once, of those that it understands.
    columns: Callable[[list[bytes]], tuple[pa.Table | None, Any]] | None = None

    @property
    def header(self) -> tuple[str, bytes]:
        """The header that says so."""
        return "ce_type", self.ce_type.encode()


_STREAMS = {
    topics.API_REQUESTS: _Stream(
        tables.API_REQUESTS,
        ApiRequest.TYPE,
        msgspec.json.Decoder(ApiRequest).decode,
        normalise.api_request,
        columnar.api_requests,
    ),
    topics.ADMIN_CHANGES: _Stream(
        tables.ADMIN_CHANGES,
        AdminChange.TYPE,
        msgspec.json.Decoder(AdminChange).decode,
        normalise.admin_change,
    ),
}

#: The table of events that a topic's messages become rows of.
EVENT_TABLES = {topic: stream.table for topic, stream in _STREAMS.items()}


def _event_row(stream: _Stream, message: Message) -> tuple[Any, ...]:
    """Raises: _Reject."""
    if (ce_type := _other_type(stream, message)) is not None:
        raise _Reject("unknown-type", f"ce_type is {ce_type[:100]!r}; expected {stream.ce_type!r}")
    value = message.value()
    if not value:
        raise _Reject("empty", "the message has no value; expected a JSON object")
    try:
        return stream.row(stream.decode(value))
    except (normalise.Invalid, msgspec.ValidationError) as error:
        raise _Reject("invalid-field", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _Reject("not-json", f"the value is no JSON: {error}") from None
    except RecursionError:
        raise _Reject("too-deep", "the value is nested too deeply") from None
    except Exception as error:
        # Whatever it is, it must not stop the messages behind it; what it says may quote the value.
        log.exception("%s [%s] at %s", message.topic(), message.partition(), message.offset())
        raise _Reject("error", f"{type(error).__name__} while normalising") from None


def _other_type(stream: _Stream, message: Message) -> str | None:
    """The message's type if it is not the stream's; a message without a type is taken for one of the stream."""
    found = next((value.decode(errors="replace") for name, value in headers_of(message) if name == "ce_type"), None)
    return None if found == stream.ce_type else found


def _plain(stream: _Stream, messages: Sequence[Message]) -> list[bool]:
    """Which messages may be converted together; what is wrong with another is told by `_event_row`."""
    header: Any = stream.header
    return [bool(message.value()) and (not (headers := message.headers()) or header in headers) for message in messages]


def convert(batch: Batch) -> Converted:
    """Validate, normalise and mask every message of a batch. Never fails on a message.

    The messages are taken out of the batch: they hold several times the memory of what is made of them.
    """
    if batch.topic == topics.DEAD_LETTERS:
        rows = [dead_letters.row(message, batch.topic_id) for message in batch.messages]
        table = tables.DEAD_LETTERS
        return Converted(table, table.arrow(rows) if rows else None, [], 0)

    stream = _STREAMS[batch.topic]
    now = (dt.datetime.now(dt.UTC) - normalise.EARLIEST) // dt.timedelta(milliseconds=1)
    topic_id = uuid.UUID(batch.topic_id).bytes
    pieces: list[pa.Table] = []
    rows, dead = [], []
    while batch.messages:
        messages = batch.messages[:TOGETHER]
        del batch.messages[:TOGETHER]
        if stream.columns is not None:
            messages, made = _together(stream, batch, messages, now)
            pieces += made
        for message in messages:
            try:
                row = _event_row(stream, message)
            except _Reject as reject:
                dead.append(dead_letters.make(message, batch.topic_id, reject.reason, str(reject)))
            else:
                rows.append((*row, now, batch.topic, topic_id, batch.partition, message.offset()))
    if rows:
        pieces.append(stream.table.arrow(rows))
    if not pieces:
        return Converted(stream.table, None, dead, 0)
    columns = pieces[0] if len(pieces) == 1 else pa.concat_tables(pieces).unify_dictionaries().combine_chunks()
    last = pc.max(columns[stream.table.time].cast(pa.int64())).as_py()
    return Converted(stream.table, columns, dead, last)


def _together(stream: _Stream, batch: Batch, messages: list[Message], now: int) -> tuple[list[Message], list[pa.Table]]:
    """The messages that have to be converted one by one, and the rows of all others, none or one table."""
    assert stream.columns is not None
    plain = _plain(stream, messages)
    candidates = list(compress(messages, plain))
    try:
        own, known = stream.columns([message.value() for message in candidates])  # type: ignore[misc]
    except Exception:
        # Slower, but it stops nothing: one by one, each message that fails is a dead letter.
        log.exception("%s: converted one by one", batch)
        return messages, []
    rest = [message for message, taken in zip(messages, plain, strict=True) if not taken]
    rest += compress(candidates, (~known).tolist())
    rest.sort(key=lambda message: message.offset() or 0)
    if own is None:
        return rest, []
    offsets = [message.offset() or 0 for message in compress(candidates, known.tolist())]
    origin = (now, batch.topic, uuid.UUID(batch.topic_id).bytes, batch.partition)
    return rest, [stream.table.with_origin(own, *origin, offsets)]
