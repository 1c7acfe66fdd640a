"""A thousand messages that nobody should send: markup, SQL, formulas, control characters, wrong types, wrong times."""

from __future__ import annotations

import datetime as dt
import json
import random
import uuid
from collections.abc import Iterator
from typing import Any

from schemas import topics

TEXTS = (
    "<script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked=1">',
    "<svg/onload=window.hacked=1>",
    "javascript:window.hacked=1",
    "{{ 7 * 7 }}{% raise %}${window.hacked=1}",
    "' OR 1=1; DROP TABLE api_requests; --",
    "{p0:String}",
    "\\'; SELECT sleep(3) --",
    '=HYPERLINK("http://evil.example","x")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1+1)",
    "\t=1+1",
    "\r\n=1+1",
    "＝1+1",
    "\x00\x01\x02\x1b[31m\x7f",
    "\u202egnp.exe\u2066",
    "\ufeff\u200b\u200b",
    "a" * 5_000,
    "é" * 300 + "👩‍👩‍👧‍👦",
    "../../../../etc/passwd%00",
    "None",
    "",
)
TIMES = (
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
    "1969-12-31T23:59:59Z",
    "2106-02-07T06:28:16Z",
    "2026-02-30T00:00:00Z",
    "2026-01-01T00:00:00",
    "yesterday",
    "1970-01-01T00:00:00Z",
    "2105-12-31T23:59:59Z",
)
VALUES: tuple[Any, ...] = (None, True, -1, 0, 10**30, 1e308, [], {}, [[]], {"": {"": ""}}, *TEXTS)


def _deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


def messages(number: int = 1_000, seed: int = 1) -> Iterator[tuple[str, bytes | None]]:
    """(topic, value) pairs, the same for the same seed; a few are plain events with a hostile text in each field."""
    chance = random.Random(seed)

    def event(topic: str) -> dict[str, Any]:
        now = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=chance.randrange(3_600))
        common = {
            "event_id": str(uuid.UUID(int=chance.getrandbits(128))),
            "user": chance.choice(TEXTS),
            "remote_addr": "10.0.0.1",
            "request_id": chance.choice(TEXTS),
        }
        if topic == topics.API_REQUESTS:
            return {
                **common,
                "requested_at": now.isoformat(),
                "method": "POST",
                "path": "/" + chance.choice(TEXTS),
                "status_code": chance.choice([200, 404, 500, 999]),
                "response_ms": chance.random() * 1e4,
                "host": chance.choice(TEXTS),
                "view": chance.choice(TEXTS),
                "query_params": {chance.choice(TEXTS): chance.choice(VALUES)},
                "data": chance.choice(VALUES),
                "response": {chance.choice(TEXTS): [chance.choice(VALUES)]},
                "errors": chance.choice(TEXTS),
                "user_agent": chance.choice(TEXTS),
            }
        return {
            **common,
            "changed_at": now.isoformat(),
            "action": chance.choice(["addition", "change", "deletion"]),
            "app_label": chance.choice(TEXTS),
            "model": chance.choice(TEXTS),
            "object_id": chance.choice(TEXTS),
            "object_repr": chance.choice(TEXTS),
            "change_message": chance.choice(TEXTS),
            "changes": [{"field": chance.choice(TEXTS), "old": chance.choice(VALUES), "new": chance.choice(VALUES)}],
        }

    for index in range(number):
        topic = topics.API_REQUESTS if index % 3 else topics.ADMIN_CHANGES
        sent = event(topic)
        kind = index % 10
        if kind == 0:  # a wrong type in any field
            sent[chance.choice(list(sent))] = chance.choice(VALUES)
        elif kind == 1:
            sent["requested_at" if topic == topics.API_REQUESTS else "changed_at"] = chance.choice(TIMES)
        elif kind == 2:
            del sent[chance.choice(list(sent))]
        value: bytes | None = json.dumps(sent).encode()
        assert value is not None
        if kind == 3:
            value = value[: chance.randrange(len(value))]
        elif kind == 4 and index % 20 == 4:
            value = chance.choice([None, b"", b"null", b"[]", b"\xff\xfe\x00", b"<xml/>", chance.randbytes(200)])
        elif kind == 5 and index % 50 == 5:
            value = value.replace(b'"data": ', b'"data": ' + _deep(5_000) + b', "x": ', 1)
        elif kind == 6 and index % 250 == 6:
            value = value.replace(b'"event_id"', b'"data2": "' + b"x" * 10 * 1024 * 1024 + b'", "event_id"', 1)
            value = value.replace(b'"errors": "', b'"errors": "' + b"<b>" * 1024 * 1024, 1)
        elif kind == 7 and index % 20 == 7:
            value = value.replace(b"o", b"\xc3\x28", 3)
        yield topic, value
