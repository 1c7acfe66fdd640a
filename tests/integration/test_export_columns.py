"""CSV written a column at a time is, to the byte, what the same rows give cell by cell."""

from __future__ import annotations

import datetime as dt
import random
import socket
import uuid
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import clickhouse_connect
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import rows
from dashboard.blocks import Block
from dashboard.columns import ADMIN_CHANGES, API_REQUESTS, REPORTS, Report
from dashboard.filters import decode, parse
from dashboard.formats import Table, csv
from dashboard.store import Store
from schemas.settings import Settings
from tests.integration import report_data

MADRID = ZoneInfo("Europe/Madrid")
# Summer time of half an hour, a quarter of an hour beside the hour, none, and one that had seconds before 1901.
ZONES = [ZoneInfo(name) for name in ("Europe/Madrid", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC", "America/Bogota")]
FLOATS = [
    *(0.0, -0.0, 12.0, 12.5, -3.25, 0.1, 1 / 3, 123456.789, 1e-4, 1e-5, 9.9e-5, 1e-7, 1e-300, 1e15, 1e16, 123456789e9),
    *(9007199254740993.0, 1.5e17, 1e20, 1e22, 1e30, float("nan"), 100.0, 1e6),
]
TEXTS = [
    *report_data.HOSTILE,
    *(
        "",
        '"',
        '""',
        '{"a": "b"}',
        "[1]",
        "ñandú",
        "Ñ",
        "¿qué?",
        "nº 5 ª",
        "€",
        "a\tb",
        "a\nb",
        "a\r\nb",
        "a\rb",
        "\r\n",
    ),
    *(
        "a\u00adb",
        "a\u0080b",
        "a\u061cb",
        "a\u180eb",
        "a\u2028b",
        "a\u2060b",
        "a\ufff9b",
        "a\ufeff",
        "a\x00b",
        "𝒜",
        "中",
    ),
    *(
        "'quoted",
        "  =1",
        "\u3000=1",
        "“=1",
        "−1",
        "﹢1",
        "<x>",
        "(1)",
        "/path",
        "-",
        "_x",
        "*",
        "~",
        "x" * 3000 + "\x1b",
    ),
]
ADDRESSES = [
    *("::", "::1", "::ffff:10.1.2.3", "::ffff:0.0.0.0", "::10.1.2.3", "2001:db8::17", "2001:db8:0:0:1:0:0:1", "fe80::"),
    *("::ffff:0:1:2", "1:2:3:4:5:6:7:8", "0:0:1::", "64:ff9b::1.2.3.4", "::1:0:0", "ffff::ffff:1.2.3.4", "::ffff"),
]


def both(table: Table, block: Block) -> tuple[str, str]:
    """The file without its headings, in both ways."""
    _, *pieces = csv.write(table, [block], dict)
    return b"".join(pieces).decode(), "".join(csv.lines_by_cell(table, block))


def tables(report: Report) -> Iterator[Table]:
    for language in ("es", "en"):
        for zone in ZONES:
            yield Table(report, report.columns, zone, language)


@pytest.fixture(scope="module")
def filled(clickhouse: str) -> Iterator[Settings]:
    """Everyday rows, and others in which each value is unusual in some way."""
    with report_data.filled_database(clickhouse) as name:
        settings = Settings(clickhouse_url=clickhouse, clickhouse_database=name)
        writer = clickhouse_connect.get_client(dsn=clickhouse, database=name, autogenerate_session_id=False)
        before = writer.query("SELECT count() FROM api_requests").first_item["count()"]
        odd = list(_odd_rows())
        report_data.insert(writer, "api_requests", odd)
        assert writer.query("SELECT count() FROM api_requests").first_item["count()"] == before + len(odd)
        # Bytes that are no UTF-8 are in the tables, too.
        for column in ("user", "path", "data", "errors", "user_agent"):
            writer.command(
                f"INSERT INTO api_requests (event_id, requested_at, request_id, masked, {column}) "
                "SELECT generateUUIDv4(), now64(3), '{column}', [unhex('61ff62')], unhex('c3a1ff22c3')"
            )
        writer.close()
        yield settings


def _odd_rows() -> Iterator[dict[str, Any]]:
    chance = random.Random(3)
    base = report_data.api_requests()[0]
    # Around every change of the clocks of a year, to the millisecond.
    moments = [
        dt.datetime(2026, month, day, hour, minute, second, part * 1000, tzinfo=dt.UTC)
        for month, day in ((3, 28), (3, 29), (4, 4), (10, 3), (10, 24), (10, 25))
        for hour in (0, 1, 14, 15, 16, 23)
        for minute, second, part in ((0, 0, 0), (29, 59, 999), (30, 0, 0), (59, 59, 999))
    ]
    moments += [
        dt.datetime(1900, 1, 1, 0, 0, 0, 1000, tzinfo=dt.UTC),
        dt.datetime(1969, 12, 31, 23, 59, 59, 999000, dt.UTC),
    ]
    moments += [dt.datetime(2299, 12, 31, 23, 59, 59, tzinfo=dt.UTC), dt.datetime(1970, 1, 1, tzinfo=dt.UTC)]
    for number in range(max(len(moments), len(TEXTS)) * 2):
        text, other = TEXTS[number % len(TEXTS)], chance.choice(TEXTS)
        yield base | {
            "event_id": uuid.UUID(int=chance.getrandbits(128)),
            "requested_at": moments[number % len(moments)],
            "ingested_at": chance.choice(moments),
            "user": text,
            "path": chance.choice(TEXTS),
            "errors": text,
            "data": other,
            "user_agent": other,
            "remote_addr": ADDRESSES[number % len(ADDRESSES)],
            "response_ms": FLOATS[number % len(FLOATS)],
            "masked": chance.sample(TEXTS, number % 4),
            "request_id": f"odd{number}",
            "kafka_offset": 10**9 + number,
        }


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_both_ways_are_the_same(filled: Settings, report: Report) -> None:
    blocks = list(Store(filled).stream(parse(decode(b""), report, MADRID)))
    for table in tables(report):
        for block in blocks:
            fast, slow = both(table, block)
            assert fast == slow


def test_only_unusual_rows_are_written_cell_by_cell(filled: Settings) -> None:
    query = parse(decode(b"user=crm-a&user=crm-b"), API_REQUESTS, MADRID)
    for block in Store(filled).stream(query):
        assert csv._cells(Table(API_REQUESTS, API_REQUESTS.columns, MADRID, "es"), block)[1] is None


def test_addresses_are_those_of_the_pages(filled: Settings) -> None:
    store = Store(filled)
    query = parse(decode(b"columns=request_id,remote_addr&per_page=1000&sort=-kafka_offset"), API_REQUESTS, MADRID)
    streamed = {item["request_id"]: item["remote_addr"] for block in store.stream(query) for item in block}
    wanted = {rows.address(socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, a))) for a in ADDRESSES}
    assert wanted <= set(streamed.values())
    for item in store.page(query).items:
        assert streamed[item["request_id"]] == item["remote_addr"]


@given(st.text(alphabet=st.sampled_from("=+-@＝\t\r\n\"' ;,\ufeff\x00\u200ba1ñ{[(</ª") | st.characters(), max_size=12))
def test_any_text(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    for array in (pa.array([text, "a"]), pa.array([text, "a"]).dictionary_encode()):
        fast, slow = both(
            Table(API_REQUESTS, (API_REQUESTS.by_name["errors"],), MADRID, "en"), Block({"errors": array})
        )
        assert fast == slow


@pytest.mark.parametrize("names", [["errors"], ["errors", "response_ms"], ["response_ms", "response_ms", "errors"]])
@pytest.mark.parametrize("text", ["=1", "a"])
def test_columns_in_any_order(names: list[str], text: str) -> None:
    arrays = {"errors": pa.array([text, 'b,;\n"c'] * 3), "response_ms": pa.array([1.5, 2.0] * 3)}
    for block in (Block(arrays), Block({name: array[:1] for name, array in arrays.items()})):
        fast, slow = both(Table(API_REQUESTS, tuple(API_REQUESTS.by_name[name] for name in names), MADRID, "es"), block)
        assert fast == slow


@given(st.floats())
def test_any_number(number: float) -> None:
    for language in ("es", "en"):
        table = Table(API_REQUESTS, (API_REQUESTS.by_name["response_ms"],), MADRID, language)
        fast, slow = both(table, Block({"response_ms": pa.array([number, 1.5])}))
        assert fast == slow


@given(st.integers(-2_208_988_800_000, 10_413_791_999_000), st.sampled_from(ZONES))
def test_any_time(milliseconds: int, zone: ZoneInfo) -> None:
    array = pa.array([milliseconds, 0], pa.timestamp("ms", tz="UTC"))
    table = Table(ADMIN_CHANGES, (ADMIN_CHANGES.by_name["changed_at"],), zone, "en")
    fast, slow = both(table, Block({"changed_at": array}))
    assert fast == slow
