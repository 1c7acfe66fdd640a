"""Batches as columns: the same rows and dead letters as one event at a time makes of them."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers import batch, columnar
from consumers.batch import Batch, convert
from schemas import masking, topics
from schemas.events import ApiRequest
from tests.benchmarks import events
from tests.benchmarks.rows import _Message
from tests.hostile import TEXTS, TIMES, messages


def converted(values: Sequence[bytes | None]) -> tuple[list[dict[str, Any]], list[tuple[Any, ...]]]:
    """Rows without the time of their insert, and dead letters without that of their failure; by offset."""
    sent = [_Message(topics.API_REQUESTS, offset, value) for offset, value in enumerate(values)]  # type: ignore[arg-type]
    made = convert(Batch(topics.API_REQUESTS, str(uuid.UUID(int=1)), 0, 0, len(sent), sent))  # type: ignore[arg-type]
    rows = [] if made.columns is None else made.columns.drop_columns(["ingested_at"]).to_pylist()
    dead = [
        (one.offset, one.reason, one.key, one.value, [header for header in one.headers if header[0] != "dl_failed_at"])
        for one in made.dead
    ]
    return sorted(rows, key=lambda row: row["kafka_offset"]), dead


def one_by_one(values: Sequence[bytes | None]) -> tuple[list[dict[str, Any]], list[tuple[Any, ...]]]:
    with pytest.MonkeyPatch.context() as patch:
        stream = batch._STREAMS[topics.API_REQUESTS]
        patch.setitem(batch._STREAMS, topics.API_REQUESTS, dataclasses.replace(stream, columns=None))
        return converted(values)


def test_usual_events_are_converted_together() -> None:
    values = list(events.api_requests(1_000, seed=5))
    assert converted(values) == one_by_one(values)
    _, known = columnar.api_requests(values)
    assert known.mean() > 0.99


def test_hostile_messages_are_the_same_rows_and_dead_letters() -> None:
    values = [value for topic, value in messages(600, seed=3) if topic == topics.API_REQUESTS]
    rows, dead = converted(values)
    assert (rows, dead) == one_by_one(values)
    assert len(rows) > 100
    assert len(dead) > 20


_SECRETS = ("wifi_password", "pin", "key", "apiKey", "token", "monkey", "value", "name", "X-Api-Key", "ñame", "")
_NUMBERS = [
    "0",
    "-0",
    "1.0",
    "1.50",
    "-1.5",
    "1e5",
    "0.00001",
    "123456789.1234",
    "12345678901234567890",
    "1E400",
    "0.1",
]
_HINTS = (
    "password=hunter2",
    "a@b.example",
    "http://u:p@h/",
    "Bearer abcdefgh1234567890abcdef",
    "ping",
    "{'pin': 'x'}",
    "%70in",
)
_texts = st.sampled_from(TEXTS) | st.sampled_from(_HINTS) | st.text(max_size=8)
_numbers = st.sampled_from(_NUMBERS).map(msgspec.Raw)
_leaves = _texts | _numbers | st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1)
_names = st.sampled_from(_SECRETS) | _texts
_json = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=4), max_leaves=8
)
_SEGMENTS = [
    "api",
    "v2",
    "v1",
    "isp",
    "cpes",
    "259",
    "0",
    "007",
    "reboot",
    "pim0585",
    "users",
    "%30",
    "%70in",
    "x?",
    "٣",
]
_paths = st.lists(st.sampled_from([*_SEGMENTS, "a b", ""]) | _texts, max_size=6).map(
    lambda parts: "/" + "/".join(parts)
)
_TIMES = [
    "2026-02-29T00:00:00Z",
    "2024-02-29T00:00:00Z",
    "2026-01-01t00:00:00z",
    "2026-01-01T00:00:00.1234567Z",
    "2026-01-01T23:59:60Z",
    "2026-01-01T24:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-01-01T00:00:00.0009-00:30",
    "2026-01-01T00:00:00+14:00",
]
_ADDRESSES = ["::1", "1.2.3.4", "1.2.3.4:80", "01.2.3.4", "1.2.3", "::ffff:1.2.3.4", "x", "fe80::1%eth0"]
_usual = {
    "event_id": st.uuids().map(str),
    "requested_at": st.just("2026-01-30T09:55:36.250Z"),
    "method": st.sampled_from(("GET", "POST")),
    "path": st.just("/api/v2/isp/cpes/259/"),
    "status_code": st.just(200),
    "response_ms": st.just(1.5),
}
_odd: dict[str, st.SearchStrategy[Any]] = {
    "event_id": st.uuids().map(lambda name: name.hex) | st.uuids().map(lambda name: str(name).upper()) | _texts,
    "requested_at": st.sampled_from(TIMES)
    | st.datetimes().map(lambda when: when.isoformat() + "+05:30")
    | st.sampled_from(_TIMES),
    "method": st.sampled_from(("get", " PUT ", "<b>", "")),
    "path": _paths,
    "status_code": st.sampled_from((0, 999, 1000, -1, "200", 200.0)),
    "response_ms": st.sampled_from((0, -1, 5, 1e300, None)),
    "user": _texts | st.sampled_from(("None", " a ", 5)),
    "user_id": st.integers() | _texts | st.booleans(),
    "remote_addr": st.sampled_from(_ADDRESSES),
    "host": _texts,
    "view": _texts,
    "view_method": st.sampled_from(("list", "retrieve", "get", "a b")) | _texts,
    "query_params": st.dictionaries(_names, _leaves, max_size=3) | _texts | _leaves | _json,
    "data": _json,
    "response": _json,
    "errors": _texts,
    "user_agent": _texts,
    "request_id": _texts,
    "truncated": st.lists(_texts, max_size=2) | st.none(),
}  # fmt: skip
_event = (
    st.lists(st.sampled_from(["data", "response", *_odd]), max_size=4, unique=True)
    .flatmap(lambda names: st.fixed_dictionaries({name: _odd[name] for name in names}))
    .flatmap(lambda odd: st.fixed_dictionaries(_usual).map(lambda usual: usual | odd))
)


@given(st.lists(st.tuples(_event, st.booleans()), min_size=1, max_size=6))
def test_any_events_are_the_same_rows_and_dead_letters(sent: list[tuple[dict[str, Any], bool]]) -> None:
    values = [
        msgspec.json.encode(event) if compact else json.dumps(msgspec.json.decode(msgspec.json.encode(event))).encode()
        for event, compact in sent
        if _encodable(event)
    ]
    columnar.api_requests(values)  # what it raises is caught by `convert`
    assert converted(values) == one_by_one(values)


def _encodable(event: dict[str, Any]) -> bool:
    try:
        msgspec.json.decode(msgspec.json.encode(event))
    except (msgspec.MsgspecError, UnicodeEncodeError, OverflowError):
        return False
    return True


@given(_json)
def test_members_are_masked_as_the_whole_would_be(value: Any) -> None:
    try:
        text = msgspec.json.encode(msgspec.json.decode(msgspec.json.encode(value))).decode()
    except msgspec.MsgspecError:
        return
    quick = None if "\\" in text else masking.mask_json(text)
    if quick:
        masked, names = masking.mask(msgspec.json.decode(text))
        assert (quick[0], sorted(quick[1])) == (msgspec.json.encode(masked).decode(), names)


def test_the_commonest_secret_is_masked_the_fast_way() -> None:
    assert masking.mask_json('{"id":5,"wifi_password":"x"}') == (
        f'{{"id":5,"wifi_password":"{masking.SUBSTITUTE}"}}',
        {"wifi_password"},
    )


@given(_texts | _json.map(repr))
def test_both_regular_expressions_see_the_same_hints(text: str) -> None:
    try:
        column = pa.array([text], pa.string())
    except UnicodeEncodeError:
        return
    [seen] = pc.match_substring_regex(column, masking.HINTS, ignore_case=True).to_pylist()
    assert seen or not masking.might_hold_secret(text)


def test_the_fast_decoder_knows_every_field() -> None:
    assert set(columnar._Request.__struct_fields__) == set(ApiRequest.__struct_fields__)
