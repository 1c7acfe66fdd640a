"""Messages that cannot become a row: written to their topic with what was wrong, and read from it into their table."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from consumers.normalise import EARLIEST, Invalid, milliseconds
from schemas import masking

if TYPE_CHECKING:
    from confluent_kafka import Message

REASON = "dl_reason"
ERROR = "dl_error"
TOPIC = "dl_topic"
TOPIC_ID = "dl_topic_id"
PARTITION = "dl_partition"
OFFSET = "dl_offset"
FAILED_AT = "dl_failed_at"
OURS = frozenset({REASON, ERROR, TOPIC, TOPIC_ID, PARTITION, OFFSET, FAILED_AT})

Headers = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message as it goes to the dead letters, secrets masked as far as it is text."""

    offset: int
    reason: str
    key: bytes | None
    value: bytes
    headers: Headers


def headers_of(message: Message) -> Headers:
    """Headers as a list, values as bytes."""
    found = message.headers() or []
    pairs = found.items() if isinstance(found, dict) else found
    return [(name, value.encode() if isinstance(value, str) else value or b"") for name, value in pairs]


def make(message: Message, topic_id: str, reason: str, error: str) -> DeadLetter:
    """The dead letter of a message.

    Args:
        topic_id: identity of the message's topic, as a UUID.
        reason: kind of failure, one of a few words (`not-json`, `invalid-field`, …).
        error: one sentence; must hold no secret.
    """
    value, _ = masking.mask_bytes(_bytes(message.value()))
    key = message.key()
    failed_at = dt.datetime.now(dt.UTC).isoformat()
    return DeadLetter(
        offset=int(message.offset() or 0),
        reason=reason,
        key=None if key is None else masking.mask_bytes(_bytes(key))[0],
        value=value,
        headers=[
            *((name, masking.mask_bytes(value)[0]) for name, value in headers_of(message) if name not in OURS),
            (REASON, reason.encode()),
            (ERROR, error.encode(errors="replace")),
            (TOPIC, str(message.topic()).encode()),
            (TOPIC_ID, topic_id.encode()),
            (PARTITION, str(message.partition()).encode()),
            (OFFSET, str(message.offset()).encode()),
            (FAILED_AT, failed_at.encode()),
        ],
    )


def _bytes(value: bytes | str | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""


def _text(value: bytes | str | None) -> str:
    if isinstance(value, str):
        return value
    return (value or b"").decode(errors="replace")


def row(message: Message, topic_id: str) -> tuple[Any, ...]:
    """The row of a message of the dead-letter topic, whose identity is `topic_id`.

    Never fails: what is no dead letter of ours is shown as it is.
    """
    headers = headers_of(message)
    ours = {name: _text(value) for name, value in headers if name in OURS}
    try:
        origin = (ours[TOPIC], uuid.UUID(ours[TOPIC_ID]).bytes, int(ours[PARTITION]), int(ours[OFFSET]))
        if not (0 <= origin[2] < 2**31 and 0 <= origin[3] < 2**63):
            raise ValueError
        failed_at = milliseconds(FAILED_AT, dt.datetime.fromisoformat(ours[FAILED_AT]).astimezone(dt.UTC))
    except (KeyError, ValueError, OverflowError, Invalid):
        place = (int(message.partition() or 0), int(message.offset() or 0))
        origin = (str(message.topic()), uuid.UUID(topic_id).bytes, *place)
        failed_at = max(0, message.timestamp()[1])
        failed_at = min(failed_at, (dt.datetime(2105, 1, 1, tzinfo=dt.UTC) - EARLIEST) // dt.timedelta(milliseconds=1))
    theirs = [[name, _text(value)] for name, value in headers if name not in OURS]
    return (
        *origin,
        failed_at,
        ours.get(REASON, "unknown"),
        ours.get(ERROR, ""),
        _text(message.key()),
        masking.mask_text(msgspec.json.encode(theirs).decode())[0] if theirs else "[]",
        masking.mask_bytes(_bytes(message.value()))[0],
    )
