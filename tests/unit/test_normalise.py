"""Events to rows: times, addresses, users, payload texts, change messages."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import uuid
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers import normalise, tables
from schemas import masking
from schemas.events import AdminChange, ApiRequest

STARS = masking.SUBSTITUTE


def request(**values: Any) -> dict[str, Any]:
    """The row made from an API event, by column name."""
    event = {
        "event_id": str(uuid.uuid4()),
        "requested_at": "2026-01-30T09:55:36Z",
        "method": "GET",
        "path": "/api/v2/isp/cpes/",
        "status_code": 200,
        "response_ms": 1.5,
        **values,
    }
    row = normalise.api_request(msgspec.json.decode(json.dumps(event), type=ApiRequest))
    return dict(zip(tables.API_REQUESTS.schema.names, row, strict=False))


def change(**values: Any) -> dict[str, Any]:
    """The row made from an admin event, by column name."""
    event = {
        "event_id": str(uuid.uuid4()),
        "changed_at": "2026-01-30T09:55:36Z",
        "action": "change",
        "app_label": "isp",
        "model": "cpe",
        "object_id": "5",
        **values,
    }
    row = normalise.admin_change(msgspec.json.decode(json.dumps(event), type=AdminChange))
    return dict(zip(tables.ADMIN_CHANGES.schema.names, row, strict=False))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-01-30T09:55:36Z", "2026-01-30T09:55:36"),
        ("2026-01-30T10:55:36.250+01:00", "2026-01-30T09:55:36.250"),
        ("2026-07-01T00:30:00+02:00", "2026-06-30T22:30:00"),
        ("1970-01-01T00:00:00-12:00", "1970-01-01T12:00:00"),
    ],
)
def test_times_are_utc_milliseconds(given: str, expected: str) -> None:
    when = dt.datetime.fromisoformat(expected).replace(tzinfo=dt.UTC)
    assert request(requested_at=given)["requested_at"] == round(when.timestamp() * 1000)


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00", "1969-12-31T23:59:59Z"])
def test_times_no_column_can_hold_are_refused(when: str) -> None:
    with pytest.raises(normalise.Invalid, match="requested_at"):
        request(requested_at=when)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, "::"),
        ("", "::"),
        ("127.0.0.1", "::ffff:127.0.0.1"),
        ("10.1.2.3:4567", "::ffff:10.1.2.3"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
    ],
)
def test_addresses_are_ipv6(given: str | None, expected: str) -> None:
    assert ipaddress.IPv6Address(request(remote_addr=given)["remote_addr"]) == ipaddress.IPv6Address(expected)


@pytest.mark.parametrize("text", ["999.1.1.1", "<script>", "1.2.3.4, 5.6.7.8"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(normalise.Invalid, match="remote_addr"):
        request(remote_addr=text)


@pytest.mark.parametrize("user", [None, "", "None", "AnonymousUser", "  ", "Anonymous"])
def test_nobody_is_anonymous(user: str | None) -> None:
    assert request(user=user)["user"] == "Anonymous"
    assert change(user=user)["user"] == ""


def test_names_are_one_clean_line() -> None:
    assert request(user=" crm\x00-a\n")["user"] == "crm -a"
    assert request(method=" patch ")["method"] == "PATCH"
    assert request(user_id=7)["user_id"] == "7"
    row = request(host="h" * 10_000)
    assert len(row["host"]) == normalise.MAX_NAME
    assert row["truncated"] == ["host"]


@pytest.mark.parametrize("method", ["", "GET /", "<b>", "É"])
def test_what_is_no_method_is_refused(method: str) -> None:
    with pytest.raises(normalise.Invalid, match="method"):
        request(method=method)


def test_payloads_are_json_without_secrets() -> None:
    row = request(data={"wifi_password": "hunter22", "city": "Elx"}, response=[1, None], query_params={"a": "1"})
    assert json.loads(row["data"]) == {"wifi_password": STARS, "city": "Elx"}
    assert row["response"] == "[1,null]"
    assert row["query_params"] == '{"a":"1"}'
    assert row["masked"] == ["wifi_password"]


def test_a_printed_dict_is_understood() -> None:
    row = request(data="{'name': 'María', 'active': True, 'pin': '1234', 'x': None}", query_params="{'joins': 'cpes'}")
    assert json.loads(row["data"]) == {"name": "María", "active": True, "pin": STARS, "x": None}
    assert row["query_params"] == '{"joins":"cpes"}'


def test_text_that_is_no_structure_stays_text() -> None:
    assert json.loads(request(data='{"host": 12, "metric": ')["data"]) == '{"host": 12, "metric": '
    assert json.loads(request(data="hola")["data"]) == "hola"


def test_a_query_string_in_the_path_is_moved() -> None:
    row = request(path="/api/v2/isp/cpes/?realm=pim&token=abcdef")
    assert row["path"] == "/api/v2/isp/cpes/"
    assert json.loads(row["query_params"]) == {"realm": "pim", "token": STARS}


def test_nothing_is_the_empty_string() -> None:
    row = request(data=None, response="None", errors="None", query_params={}, view=None, user_agent="None")
    assert [row[name] for name in ("data", "response", "errors", "query_params", "view", "user_agent")] == [""] * 6


def test_a_change_lists_its_fields_and_values() -> None:
    row = change(
        changes=[
            {"field": "postalcode", "old": "1504", "new": "1505"},
            {"field": "wifi_password", "old": "a-secret", "new": "b-secret"},
        ],
        change_message='[{"changed": {"fields": ["Postal code"]}}]',
    )
    assert row["changed_fields"] == ["postalcode", "wifi_password"]
    assert row["masked"] == ["wifi_password"]
    assert json.loads(row["changes"]) == [
        {"field": "postalcode", "old": "1504", "new": "1505"},
        {"field": "wifi_password", "old": STARS, "new": STARS},
    ]


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ('[{"changed": {"fields": ["Superuser status"]}}]', ["Superuser status"]),
        ('[{"added": {}}]', []),
        (
            '[{"changed": {"fields": ["Name"]}}, {"changed": {"name": "pots", "object": "x", "fields": ["cli"]}}]',
            ["Name", "cli"],
        ),
        ("Changed name, city and postalcode.", ["name", "city", "postalcode"]),
        ('Changed cli for pots "pim0074-1".', ["cli"]),
        ('Added pots "x". Changed name. Deleted pots "y".', ["name"]),
        ("Modificado nombre y dirección.", ["nombre", "dirección"]),
        ("No fields changed.", []),
        ("[broken", []),
        ('[{"changed": {"fields": null}}, 5, {"changed": []}]', []),
        ("", []),
    ],
)
def test_changed_fields_are_read_from_the_message(message: str, fields: list[str]) -> None:
    assert change(change_message=message)["changed_fields"] == fields


@pytest.mark.parametrize(("model", "kind"), [("Customer", "customer"), ("cpe", "cpe"), ("Group", "group")])
def test_the_object_type_of_a_change(model: str, kind: str) -> None:
    assert change(model=model)["object_type"] == kind


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(data=json_values, errors=st.text(), host=st.text(), path=st.text(), user=st.text())
def test_any_event_is_a_row_of_the_table_or_refused(data: Any, errors: str, host: str, path: str, user: str) -> None:
    event = ApiRequest(
        event_id=uuid.uuid4(),
        requested_at=dt.datetime.now(dt.UTC),
        method="PUT",
        path=path,
        status_code=200,
        response_ms=0.1,
        data=data,
        errors=errors,
        host=host,
        user=user,
    )
    row = normalise.api_request(event)
    for name in ("query_params", "data", "response"):
        text = row[tables.API_REQUESTS.schema.names.index(name)]
        assert text == "" or json.loads(text) is not ...
    origin = (0, "topic", bytes(16), 0, 0)
    assert tables.API_REQUESTS.arrow([(*row, *origin)]).num_rows == 1


@given(st.text())
def test_any_message_gives_fields(message: str) -> None:
    assert all(isinstance(name, str) for name in normalise.message_fields(message))
