"""Whatever a view returns becomes valid JSON; ids are UUIDs of version 7 in order."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
import uuid
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from producers.encoding import encode, plain
from producers.ids import uuid7
from schemas.events import ApiRequest

now = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)


class Fails:
    def __str__(self):
        raise RuntimeError


class Odd(str):
    """A subclass of str, as lazy and marked-safe strings are."""


def event(data):
    return ApiRequest(
        event_id=uuid7(), requested_at=now, method="GET", path="/", status_code=200, response_ms=1.5, data=data
    )


def refuse(text):
    raise AssertionError(f"{text} is no JSON")


deep = current = []
for _ in range(5000):
    current.append([])
    current = current[0]

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.characters(categories=["Cs"])
    | st.decimals()
    | st.datetimes()
    | st.timedeltas()
    | st.binary()
    | st.uuids()
    | st.builds(Fails)
    | st.builds(Odd, st.text())
    | st.builds(lambda: deep)
    | st.complex_numbers(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner)
        | st.dictionaries(st.none() | st.text() | st.integers() | st.tuples(st.integers()) | st.floats(), inner)
    ),
    max_leaves=20,
)


@given(values)
def test_anything_encodes(value):
    json.loads(encode(event(value)), parse_constant=refuse)
    json.loads(encode(event(plain(value))), parse_constant=refuse)


def test_plain_keeps_what_json_has_and_names_the_rest():
    assert plain({"a": [1, 2.5, None, True, "x"]}) == {"a": [1, 2.5, None, True, "x"]}
    assert plain(float("nan")) is None
    assert plain(Decimal("1.50")) == "1.50"
    assert plain(now) == "2026-11-23T00:00:00+00:00"
    assert plain(b"1234") == "<4 bytes>"
    assert plain({1}) == [1]
    assert plain("a\ud800b") == "a?b"
    assert plain({None: Fails()}) == {"None": "<Fails>"}
    assert type(plain(Odd("x"))) is str


def test_uuid7_is_of_version_7_in_order_and_of_now():
    made = [uuid7() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {(u.version, u.variant) for u in made} == {(7, uuid.RFC_4122)}
    assert abs((made[-1].int >> 80) - time.time() * 1000) < 2000


def test_uuid7_from_many_threads_and_with_a_clock_that_goes_back(monkeypatch):
    found: list[list[uuid.UUID]] = []
    threads = [threading.Thread(target=lambda: found.append([uuid7() for _ in range(2000)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({u for some in found for u in some}) == 8000
    last = uuid7()
    monkeypatch.setattr(time, "time_ns", lambda: 1)
    assert uuid7() > last
