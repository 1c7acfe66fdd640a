"""The dashboard's queries against a real ClickHouse."""

from __future__ import annotations

import datetime as dt
import fnmatch
import ipaddress
import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from dashboard import hours, paging, stream
from dashboard.clickhouse import ClickHouse
from dashboard.columns import ADMIN_CHANGES, API_REQUESTS, REPORTS, Report
from dashboard.filters import FilterErrors, Query, decode, exact, parse
from dashboard.store import SPARE, Store
from schemas.settings import Settings
from tests.conftest import Database
from tests.integration import report_data

MADRID = ZoneInfo("Europe/Madrid")
ROWS = report_data.api_requests()
Row = dict[str, Any]


def query(text: str = "", report: Report = API_REQUESTS) -> Query:
    return parse(decode(text.encode()), report, MADRID)


def offsets(items: list[Row]) -> list[tuple[int, int]]:
    """What identifies a row."""
    return [(item["kafka_partition"], item["kafka_offset"]) for item in items]


def everything(store: Store, asked: Query) -> list[Row]:
    return [item for block in store.stream(asked) for item in block]


def newest_first(row: Row) -> Any:
    # ClickHouse compares the two halves of a UUID like a number of 128 bits.
    return (row["requested_at"], row["event_id"].int, row["kafka_partition"], row["kafka_offset"])


def in_network(network: str) -> Callable[[Row], bool]:
    def matches(row: Row) -> bool:
        address = ipaddress.ip_address(row["remote_addr"])
        return address.version == ipaddress.ip_network(network).version and address in ipaddress.ip_network(network)

    return matches


def test_the_columns_are_those_of_the_tables(database: Database) -> None:
    types = {
        "text": {"String", "LowCardinality(String)"},
        "enum": {"LowCardinality(String)"},
        "json": {"String"},
        "array": {"Array(LowCardinality(String))"},
        "number": {"UInt16", "Int32", "Int64", "Float64"},
        "time": {"DateTime64(3, 'UTC')"},
        "address": {"IPv6"},
        "uuid": {"UUID"},
    }
    for report in REPORTS:
        rows = database.client.query(f"DESCRIBE TABLE {report.table}").result_rows
        # The worker's own, and what ClickHouse makes of others.
        described = [row for row in rows if row[0] != "kafka_topic_id" and row[2] != "MATERIALIZED"]
        assert [row[0] for row in described] == [column.name for column in report.columns]
        for column, (name, type_, *_) in zip(report.columns, described, strict=True):
            if column.choices:
                assert type_ == "Enum8('addition' = 1, 'change' = 2, 'deletion' = 3)"
            else:
                assert type_ in types[column.kind], name
            if column.kind == "number":
                assert column.integer == (type_ != "Float64")


def test_the_newest_rows_and_how_many_there_are(store: Store) -> None:
    page = store.page(query("per_page=30"))
    expected = sorted(ROWS, key=newest_first, reverse=True)[:30]
    assert offsets(page.items) == offsets(expected)
    assert page.total == len(ROWS)
    assert 0 < page.seconds < 20


def test_rows_that_come_while_a_page_is_read_are_counted(
    empty: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def come(number: int) -> None:
        values = [uuid.UUID(int=number), dt.datetime(2026, 11, 1, 10, number, tzinfo=dt.UTC), "ana", number]
        database.client.insert(
            "api_requests", [values], column_names=["event_id", "requested_at", "user", "kafka_offset"]
        )

    by_hour = hours.by_hour

    def counted(*args: Any) -> Any:
        found = by_hour(*args)
        come(2)
        return found

    monkeypatch.setattr(hours, "by_hour", counted)
    come(1)
    page = empty.page(query("user=ana"))
    assert (len(page.items), page.total) == (2, 2)


def test_an_item_has_python_values(store: Store) -> None:
    row = next(row for row in ROWS if row["status_code"] == 404 and row["remote_addr"].startswith("10."))
    asked = query(f"kafka_partition={row['kafka_partition']}&kafka_offset={row['kafka_offset']}")
    [item] = store.page(asked).items
    assert list(item) == [column.name for column in API_REQUESTS.columns]
    assert item["event_id"] == str(row["event_id"])
    assert item["requested_at"] == row["requested_at"]
    assert item["requested_at"].tzinfo is not None
    assert item["remote_addr"] == row["remote_addr"]
    assert item["data"] == json.loads(row["data"])
    assert item["response"] == {"detail": "No encontrado"}
    assert item["query_params"] is None
    assert item["masked"] == row["masked"]
    assert (item["status_code"], item["response_ms"]) == (404, row["response_ms"])
    small = store.page(asked, large=False).items[0]
    assert small == {key: item[key] for key in item if key not in ("query_params", "data", "response", "errors")}


def test_no_address_is_nothing(store: Store) -> None:
    items = store.page(query("remote_addr=")).items
    assert {item["remote_addr"] for item in items} == {""}
    assert store.page(query("remote_addr=2001:db8::17")).items[0]["remote_addr"] == "2001:db8::17"


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("user=crm-a", lambda row: row["user"] == "crm-a"),
        ("user=crm-a&user=crm-b", lambda row: row["user"] in ("crm-a", "crm-b")),
        ("-user=crm-a&-user=crm-b", lambda row: row["user"] not in ("crm-a", "crm-b")),
        ("user=*rm*a", lambda row: fnmatch.fnmatchcase(row["user"], "*rm*a")),
        ("user=CRM_A", lambda row: row["user"] == "CRM_A"),
        ("user=CRM_*", lambda row: row["user"].startswith("CRM_")),
        ("status_code=404", lambda row: row["status_code"] == 404),
        ("status_code=>=500&-method=GET", lambda row: row["status_code"] >= 500 and row["method"] != "GET"),
        (
            "status_code=200..299&status_code=>=500",
            lambda row: row["status_code"] < 300 or row["status_code"] >= 500,
        ),
        ("-status_code=200..299", lambda row: row["status_code"] > 299),
        ("response_ms=<2", lambda row: row["response_ms"] < 2),
        ("response_ms=10.5..20", lambda row: 10.5 <= row["response_ms"] <= 20),
        ("remote_addr=10.1.1.0/24", in_network("10.1.1.0/24")),
        ("remote_addr=10.1.1.9/24", in_network("10.1.1.0/24")),
        ("-remote_addr=0.0.0.0/0", lambda row: not in_network("0.0.0.0/0")(row)),
        ("remote_addr=2001:db8::/32", in_network("2001:db8::/32")),
        ("masked=wifi_password", lambda row: "wifi_password" in row["masked"]),
        ("-masked=*", lambda row: not row["masked"]),
        ("masked=wifi*", lambda row: any(name.startswith("wifi") for name in row["masked"])),
        ("data=*pim0017*", lambda row: "pim0017" in row["data"]),
        ("request_id=r17", lambda row: row["request_id"] == "r17"),
        (
            "requested_at=>=2026-10-25T00:00Z&requested_at=<2026-10-24T12:00Z",
            lambda row: row["requested_at"] >= at(25, 0) or row["requested_at"] < at(24, 12),
        ),
        ("from=2026-10-25&to=2026-10-26", lambda row: at(24, 22) <= row["requested_at"] < at(25, 23)),
        ("from=2026-10-24T12:05Z&to=2026-10-24T12:10Z", lambda row: row["requested_at"] == at(24, 12, 5)),
        ("q=PIM0017", lambda row: "pim0017" in row["data"]),
        ("q=Encontrado", lambda row: "No encontrado" in row["response"]),
        ("q=2001:DB8", lambda row: row["remote_addr"] == "2001:db8::17"),
        ("q=10.1.3.", lambda row: row["remote_addr"].startswith("10.1.3.")),
        ("q=ffff:", lambda row: False),
        ("q=中文", lambda row: "中文" in row["user"]),
        ("q=nowhere to be found", lambda row: False),
    ],
)
def test_filters(store: Store, text: str, matches: Callable[[Row], bool]) -> None:
    asked = query(f"{text}&per_page=1000")
    expected = sorted((row for row in ROWS if matches(row)), key=newest_first, reverse=True)
    page = store.page(asked)
    assert page.total == len(expected)
    assert offsets(page.items) == offsets(expected[:1000])
    assert offsets(everything(store, asked)) == offsets(expected)


def at(day: int, hour: int, minute: int = 0) -> dt.datetime:
    return dt.datetime(2026, 10, day, hour, minute, tzinfo=dt.UTC)


@pytest.mark.parametrize("text", report_data.HOSTILE)
@pytest.mark.parametrize("name", ["user", "path", "masked", "errors"])
def test_hostile_values_are_found_and_nothing_else(store: Store, text: str, name: str) -> None:
    if len(text) > 2000:
        with pytest.raises(FilterErrors):
            query(f"{name}={quote(exact(text))}")
        return
    [item] = store.page(query(f"{name}={quote(exact(text))}")).items
    assert item["user"] == text
    if text.strip():
        found = store.page(query(f"q={quote(text)}&host={quote(exact(text))}")).items
        assert [item["user"] for item in found] == [text]
    wild = store.page(query(f"{name}={quote('*' + exact(text) + '*')}&per_page=1000")).items
    assert text in [item["user"] for item in wild]


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1, max_size=40).filter(lambda text: "\0" not in text))
def test_any_text_reaches_clickhouse_unchanged(filled: Settings, text: str) -> None:
    sql, parameters = parse(MultiDict([("path", exact(text))]), API_REQUESTS, MADRID).where()
    # In a whole row, since the condition may ask the index of words, too.
    row = "SELECT * REPLACE ({p0:String} AS path) FROM (SELECT * FROM api_requests LIMIT 1)"
    [[returned]] = ClickHouse(filled).query(f"SELECT path FROM ({row}) WHERE {sql}", parameters)
    assert returned == text.encode()


@pytest.mark.parametrize(
    "sort", ["requested_at", "-requested_at", "user", "-response_ms", "status_code", "path", "remote_addr"]
)
def test_pages_neither_repeat_nor_skip(store: Store, sort: str) -> None:
    asked = query(f"sort={sort}&per_page=97&from=2026-10-24&to=2026-10-28")
    pages = []
    for number in range(1, 100):
        items = store.page(asked.at(number), large=False).items
        if not items:
            break
        pages += items
    total = store.page(asked).total
    assert len(pages) == len(set(offsets(pages))) == total > 900
    assert offsets(pages) == offsets(everything(store, asked))
    name = sort.removeprefix("-")
    if name != "remote_addr":
        keys = [item[name] for item in pages]
        assert [key for key, _ in groupby(keys)] == sorted(set(keys), reverse=sort.startswith("-"))


def insert_moments(database: Database, rows: list[tuple[int, int, bool]]) -> None:
    """Requests with these numbers as ids, in milliseconds from the start, of which some have the field `name`."""
    database.client.insert(
        "api_requests",
        [
            [uuid.UUID(int=id_), report_data.START + dt.timedelta(milliseconds=at), '{"name":"pim"}' * matches, offset]
            for offset, (id_, at, matches) in enumerate(rows)
        ],
        column_names=["event_id", "requested_at", "data", "kafka_offset"],
    )


def pages(store: Store, asked: Query) -> list[int]:
    """The offsets of the rows of all pages."""
    found: list[int] = []
    for number in range(1, 100):
        items = store.page(asked.at(number), large=False).items
        if not items:
            break
        assert len(items) == asked.per_page or not store.page(asked.at(number + 1), large=False).items
        found += [item["kafka_offset"] for item in items]
    return found


@pytest.mark.parametrize("shared", [1, 2, 7, 80])
@pytest.mark.parametrize("more", ["field.name=pim", "q=pim", "field.name=pim&columns=kafka_offset"])
def test_a_page_has_none_of_the_other_rows_of_its_milliseconds(
    empty: Store, database: Database, shared: int, more: str
) -> None:
    """So many rows in each, a third of which match, and some have the id of another."""
    rows = [(number if number % 5 else 1000, number // shared, number % 3 == 0) for number in range(400)]
    insert_moments(database, rows)
    offsets = sorted(range(0, 400, 3), key=lambda offset: (offset // shared, rows[offset][0], offset))
    assert pages(empty, query(f"{more}&per_page=25&sort=requested_at")) == offsets
    assert pages(empty, query(f"{more}&per_page=25")) == offsets[::-1]


@pytest.mark.parametrize(("others", "told"), [(SPARE - 2, True), (SPARE, False)])
def test_which_rows_of_a_page_match_is_asked_of_those_that_share_a_millisecond(
    empty: Store, database: Database, monkeypatch: pytest.MonkeyPatch, others: int, told: bool
) -> None:
    # The last rows that are read are of a millisecond with one more.
    rows = [(number, 1, number < 24) for number in range(24 + others)]
    insert_moments(database, [*rows, (1002, 0, False), (1001, 0, True)])
    statements = []
    ask = ClickHouse.query

    def spied(self: ClickHouse, sql: str, *args: Any, **limits: Any) -> Any:
        statements.append(sql)
        return ask(self, sql, *args, **limits)

    monkeypatch.setattr(ClickHouse, "query", spied)
    page = empty.page(query("field.name=pim&per_page=25"), large=False, count_seconds=0)
    assert [item["kafka_offset"] for item in page.items] == [*range(23, -1, -1), len(rows) + 1]
    # Those that are not told are read again.
    assert sum(sql.startswith("SELECT event_id, requested_at") for sql in statements) == (1 if told else 2)


@pytest.mark.parametrize("column", [column.name for column in API_REQUESTS.columns if column.sortable])
def test_every_sort_streams_every_row_once(store: Store, column: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "FIRST_ROWS", 100)
    monkeypatch.setattr(stream, "SORTED_ROWS", 2000)
    monkeypatch.setattr(stream, "BYTES", 100_000)
    monkeypatch.setattr(stream, "_SETTINGS", {**stream._SETTINGS, "max_block_size": 64})
    for sort in (column, f"-{column}"):
        asked = query(f"sort={sort}")
        streamed = offsets(everything(store, asked))
        assert len(streamed) == len(set(streamed)) == len(ROWS)
        assert streamed[:1000] == offsets(store.page(replace(asked, per_page=1000), large=False).items)


@pytest.mark.parametrize("column", sorted(frozenset().union(*hours.PROJECTIONS.values())))
def test_lists_by_few_values_are_what_sorting_gives(store: Store, column: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MOST_BYTES", 200)  # some pages have longer values
    for more, values in (
        ("", 10_000),
        ("&status_code=>=400", 10_000),
        ("&user=crm-a", 1),
        ("&from=2026-10-25T00:30Z&to=2026-10-25T02:10Z", 10_000),
    ):
        monkeypatch.setattr(paging, "MOST_VALUES", values)
        for sort in (column, f"-{column}"):
            asked = query(f"sort={sort}&per_page=30{more}")
            rows = everything(store, asked)
            expected = [item["event_id"] for item in rows]
            full = len(rows) // 30
            for number in {1, 2, 3, 17, max(full, 1), full + 1, full + 2}:
                page = store.page(asked.at(number), large=False)
                assert [item["event_id"] for item in page.items] == expected[30 * (number - 1) : 30 * number]
                assert page.total == len(rows)
            for place in (0, 1, len(rows) // 2, len(rows) - 1):
                beside = [expected[near] if 0 <= near < len(rows) else None for near in (place - 1, place + 1)]
                assert store.neighbours(asked, rows[place]) == tuple(beside)


@pytest.mark.parametrize("sort", ["requested_at", "-requested_at"])
def test_every_row_is_streamed_however_rows_lie_in_time(empty: Store, database: Database, sort: str) -> None:
    """Many in a second, then none for centuries."""
    moments = ["1900-01-01", "1969-12-31 23:59:59.999", "2026-01-01", "2026-01-02", "2026-10-01", "2299-12-30"]
    for number, moment in enumerate(moments):
        database.client.command(
            "INSERT INTO api_requests (event_id, requested_at, kafka_partition, kafka_offset) SELECT generateUUIDv4(), "
            f"toDateTime64('{moment}', 3, 'UTC') + toIntervalMillisecond(intDiv(number, 7)), {number}, number "
            "FROM numbers(3000)"
        )
    items = everything(empty, query(f"sort={sort}"))
    assert len(set(offsets(items))) == len(items) == 3000 * len(moments)
    assert [item["requested_at"] for item in items] == sorted(
        (item["requested_at"] for item in items), reverse=sort.startswith("-")
    )


def test_a_page_behind_the_last_is_empty(store: Store) -> None:
    page = store.page(query("page=10000000&per_page=1000"))
    assert (page.items, page.total) == ([], len(ROWS))


def test_admin_changes(store: Store) -> None:
    page = store.page(query("action=deletion&user=soporte", ADMIN_CHANGES))
    assert page.total == 50
    assert {(item["action"], item["user"], item["model"]) for item in page.items} == {
        ("deletion", "soporte", "customer")
    }
    assert store.page(query("changed_fields=postalcode", ADMIN_CHANGES)).total == 100
    assert store.page(query("q=15005", ADMIN_CHANGES)).total == 200
    assert page.items[0]["changes"] == [{"field": "postalcode", "old": "15004", "new": "15005"}]
    assert page.items[0]["remote_addr"] == "192.0.2.7"


def test_a_row_by_its_id(store: Store) -> None:
    row = ROWS[-1]
    item = store.row(API_REQUESTS, str(row["event_id"]))
    assert item
    assert item["request_id"] == row["request_id"]
    assert store.row(API_REQUESTS, str(uuid.uuid4())) is None
    change = store.row(ADMIN_CHANGES, str(uuid.UUID(int=7)))
    assert change
    assert change["object_id"] == "6"


def test_a_row_is_found_by_its_id_whatever_time_the_id_tells(clickhouse: str, database: Database) -> None:
    """An event that was made at another time than its request, and ids that tell no time a row can have."""
    made = uuid.UUID("019ac5d2-1234-7000-8000-000000000001")  # in November 2025
    ids = [made, uuid.UUID("ffffffff-ffff-7fff-8fff-ffffffffffff"), uuid.UUID("00000000-0000-7000-8000-000000000000")]
    database.client.insert(
        "api_requests",
        [[each, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), number] for number, each in enumerate(ids)],
        column_names=["event_id", "requested_at", "kafka_offset"],
    )
    store = Store(Settings(clickhouse_url=clickhouse, clickhouse_database=database.name))
    for number, each in enumerate(ids):
        item = store.row(API_REQUESTS, str(each))
        assert item
        assert item["kafka_offset"] == number
    assert store.row(API_REQUESTS, str(uuid.UUID(int=made.int + 1))) is None


def test_suggestions(store: Store) -> None:
    assert set(store.values(API_REQUESTS, "user", "CRM", 10)) == {"crm-a", "crm-b", "CRM_A"}
    assert store.values(API_REQUESTS, "user", "c%", 10) == []
    assert store.values(ADMIN_CHANGES, "changed_fields", "", 1) == ["postalcode"]
    assert store.values(ADMIN_CHANGES, "action", "del", 5) == ["deletion"]
    assert len(store.values(API_REQUESTS, "object_id", "", 7)) == 7


def test_totals(store: Store) -> None:
    assert store.totals() == {"api-requests": len(ROWS), "admin-changes": 200, "dead-letters": 0}


def test_values_that_are_no_utf8_are_shown_as_far_as_they_go(empty: Store, database: Database) -> None:
    database.client.command(
        "INSERT INTO api_requests (event_id, requested_at, user, data, masked) SELECT "
        "generateUUIDv4(), now64(3), unhex('61ff62'), unhex('ff'), [unhex('ff')]"
    )
    for sort in ("", "sort=user"):
        [item] = everything(empty, query(sort))
        assert (item["user"], item["data"], item["masked"]) == ("a\ufffdb", "\ufffd", ["\ufffd"])
