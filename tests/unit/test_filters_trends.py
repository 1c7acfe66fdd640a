"""Query parameters of trends, and the intervals they give."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from dashboard import trends
from dashboard.filters import FilterErrors, decode

MADRID = ZoneInfo("Europe/Madrid")
NOW = dt.datetime(2026, 11, 23, 10, 15, 20, tzinfo=dt.UTC)


def query(text: str, zone: ZoneInfo = MADRID) -> trends.TrendQuery:
    return trends.parse(decode(text.encode()), zone, NOW)


def utc(day: int, hour: int, minute: int = 0, month: int = 11) -> dt.datetime:
    return dt.datetime(2026, month, day, hour, minute, tzinfo=dt.UTC)


def test_the_last_24_hours_by_hour_unless_asked_otherwise() -> None:
    found = query("")
    assert (found.since, found.until) == (utc(22, 10, 16), utc(23, 10, 16))
    assert (found.interval, found.by, found.conditions, found.fill) == ("hour", (), (), False)
    assert found.args() == {}


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("from=2026-11-23T09:00:30Z", utc(23, 9), utc(23, 10, 16)),
        ("to=2026-11-20T09:00:30Z", utc(19, 9, 1), utc(20, 9, 1)),
        ("from=2026-11-24T09:00:30Z", utc(24, 9), utc(24, 9, 2)),
        ("from=2026-11-01&to=2026-11-02", utc(31, 23, month=10), utc(1, 23)),
    ],
)
def test_times_are_widened_to_whole_minutes(text: str, since: dt.datetime, until: dt.datetime) -> None:
    found = query(text)
    assert (found.since, found.until) == (since, until)


def test_what_was_given_renders_back() -> None:
    text = "user=crm-*&-status_code=200..299&by=user&by=status&interval=day&from=2026-11-01&tz=UTC&fill=1"
    found = query(text)
    assert [column.name for column in found.by] == ["user", "status_code"]
    assert found.zone == ZoneInfo("UTC")
    assert found.args() == decode(text.encode()).to_dict(flat=False)
    assert found.args(by=["host"], from_=None)["by"] == ["host"]
    assert "from" not in found.args(from_=None)


@pytest.mark.parametrize(
    ("text", "parameter"),
    [
        ("by=data", "by"),
        ("by=user&by=user", "by"),
        ("interval=", "interval"),
        ("path=/x", "path"),
        ("sort=user", "sort"),
        ("from=2026-11-24&to=2026-11-23", "to"),
        ("from=2026-11-01&interval=minute", "interval"),
        ("from=1969-01-01&to=1970-02-01", "from"),
        ("from=2105-12-01&to=2107-01-01", "to"),
        ("user=%00", "user"),
    ],
)
def test_what_is_refused(text: str, parameter: str) -> None:
    with pytest.raises(FilterErrors) as caught:
        query(text)
    assert [error.parameter for error in caught.value.errors] == [parameter]


@pytest.mark.parametrize(
    ("day", "next_day", "hours"), [("2026-03-29", "2026-03-30", 23), ("2026-10-25", "2026-10-26", 25)]
)
def test_days_are_local_days(day: str, next_day: str, hours: int) -> None:
    by_hour = list(query(f"from={day}&to={next_day}").starts())
    assert len(by_hour) == len(set(by_hour)) == hours
    [start] = query(f"from={day}&to={next_day}&interval=day").starts()
    assert start == by_hour[0]


def test_hours_of_a_zone_with_half_an_hour() -> None:
    kolkata = ZoneInfo("Asia/Kolkata")
    assert trends.start_of(utc(23, 10, 15), "hour", kolkata) == utc(23, 9, 30)
    assert trends.start_of(utc(23, 10, 15), "day", kolkata) == utc(22, 18, 30)
    assert trends.start_of(utc(23, 10, 15), "minute", kolkata) == utc(23, 10, 15)


def test_every_group_is_filled() -> None:
    asked = query("from=2026-11-23T08:00Z&to=2026-11-23T10:00Z&by=method")
    item = {"start": utc(23, 9), "method": "GET", "count": 3, "errors": 1, "error_rate": 1 / 3}
    item |= {"p50": 1.0, "p95": 2.0, "p99": 3.0}
    filled = asked.filled([item, {**item, "method": "PUT"}])
    assert [(entry["start"].hour, entry["method"], entry["count"]) for entry in filled] == [
        (8, "GET", 0),
        (8, "PUT", 0),
        (9, "GET", 3),
        (9, "PUT", 3),
    ]
    assert (filled[0]["p95"], filled[0]["error_rate"]) == (None, None)
