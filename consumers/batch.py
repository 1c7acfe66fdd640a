"""A batch: one contiguous range of offsets of one partition, from Kafka messages to Arrow columns and dead letters."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from consumers import dead_letters, normalise, tables
from consumers.dead_letters import DeadLetter
from schemas import topics
from schemas.events import AdminChange, ApiRequest

if TYPE_CHECKING:
    from confluent_kafka import Message

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages of the offsets [start, end) of one partition.

    Attributes:
        topic_id: Kafka's identity of the topic, as a UUID: a topic that was deleted and made again has another.
        replay: whether another worker planned the range and may have stored it, or a part of it.
        unsure: whether its rows may be there under other boundaries: the commit that it begins at may be an old one.
        abandoned: set when the worker lost the partition or gave up waiting; the batch must not be stored any more.
    """

    topic: str
    topic_id: str
    partition: int
    start: int
    end: int
    messages: Sequence[Message]
    replay: bool = False
    unsure: bool = False
    abandoned: threading.Event = field(default_factory=threading.Event)

    @property
    def token(self) -> str:
        """What names this range for good; ClickHouse drops a second insert with the same token."""
        return f"{self.topic_id}:{self.partition}:{self.start}:{self.end}"


@dataclass(frozen=True, slots=True)
class Converted:
    """What a batch became: columns for its table (None without rows), dead letters, and the newest event's time.

    `ahead` says whether rows behind the batch's range were found in the table.
    """

    table: tables.Table
    columns: pa.Table | None
    dead: list[DeadLetter]
    last_event_ms: int
    ahead: bool = False


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


_STREAMS = {
    topics.API_REQUESTS: _Stream(
        tables.API_REQUESTS, ApiRequest.TYPE, msgspec.json.Decoder(ApiRequest).decode, normalise.api_request
    ),
    topics.ADMIN_CHANGES: _Stream(
        tables.ADMIN_CHANGES,
        AdminChange.TYPE,
        msgspec.json.Decoder(AdminChange).decode,
        normalise.admin_change,
    ),
}

#: Topics whose messages become rows of a table of events.
EVENT_TOPICS = frozenset(_STREAMS)


def _ce_type(message: Message) -> str | None:
    for name, value in dead_letters.headers_of(message):
        if name == "ce_type":
            return value.decode(errors="replace")
    return None


def _event_row(stream: _Stream, message: Message) -> tuple[Any, ...]:
    """Raises: _Reject."""
    ce_type = _ce_type(message)
    if ce_type is not None and ce_type != stream.ce_type:
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


def convert(batch: Batch) -> Converted:
    """Validate, normalise and mask every message of a batch. Never fails on a message."""
    if batch.topic == topics.DEAD_LETTERS:
        rows = [dead_letters.row(message, batch.topic_id) for message in batch.messages]
        table = tables.DEAD_LETTERS
        return Converted(table, table.arrow(rows) if rows else None, [], 0)

    stream = _STREAMS[batch.topic]
    now = (dt.datetime.now(dt.UTC) - normalise.EARLIEST) // dt.timedelta(milliseconds=1)
    topic_id = uuid.UUID(batch.topic_id).bytes
    rows, dead = [], []
    for message in batch.messages:
        try:
            row = _event_row(stream, message)
        except _Reject as reject:
            dead.append(dead_letters.make(message, batch.topic_id, reject.reason, str(reject)))
        else:
            rows.append((*row, now, batch.topic, topic_id, batch.partition, message.offset()))
    columns = stream.table.arrow(rows) if rows else None
    return Converted(stream.table, columns, dead, max((row[1] for row in rows), default=0))
