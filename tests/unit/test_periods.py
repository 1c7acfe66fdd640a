"""Periods to compare with, also where the clocks are changed."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from dashboard import periods, quantiles, trends
from dashboard.filters import FilterErrors, decode

MADRID = ZoneInfo("Europe/Madrid")
NOW = dt.datetime(2026, 11, 23, 10, 15, tzinfo=dt.UTC)


def query(text: str) -> trends.TrendQuery:
    return trends.parse(decode(text.encode()), MADRID, NOW)


def local(moment: dt.datetime) -> str:
    return moment.astimezone(MADRID).isoformat(timespec="minutes")


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("from=2026-11-20&to=2026-11-22&compare=previous", "2026-11-18T00:00+01:00", "2026-11-20T00:00+01:00"),
        # The day of 25 hours is compared with the whole day before, which has 24.
        ("from=2026-10-25&to=2026-10-26&compare=previous", "2026-10-24T00:00+02:00", "2026-10-25T00:00+02:00"),
        # What is no whole day is compared with as long a time.
        (
            "from=2026-10-25T00:00&to=2026-10-25T12:00&compare=previous",
            "2026-10-24T11:00+02:00",
            "2026-10-25T00:00+02:00",
        ),
        ("from=2026-11-20T10:30&to=2026-11-20T12:00&compare=week", "2026-11-13T10:30+01:00", "2026-11-13T12:00+01:00"),
        # The same time of day, not the same number of hours ago.
        ("from=2026-10-28T10:00&to=2026-10-28T12:00&compare=week", "2026-10-21T10:00+02:00", "2026-10-21T12:00+02:00"),
        ("compare=week", "2026-11-15T11:15+01:00", "2026-11-16T11:15+01:00"),
    ],
)
def test_what_a_period_is_compared_with(text: str, since: str, until: str) -> None:
    earlier = query(text).earlier()
    assert earlier is not None
    assert (local(earlier.since), local(earlier.until)) == (since, until)
    assert earlier.shift is not None
    assert earlier.compare == ""


def test_nothing_is_compared_unless_asked_for() -> None:
    assert query("").earlier() is None
    with pytest.raises(FilterErrors) as caught:
        query("compare=month")
    assert [error.parameter for error in caught.value.errors] == ["compare"]


def test_a_shift_of_days_keeps_the_time_of_day() -> None:
    shift = periods.Shift(MADRID, days=7)
    assert local(shift.back(dt.datetime(2026, 10, 28, 9, tzinfo=dt.UTC))) == "2026-10-21T10:00+02:00"
    assert shift.back(NOW) == NOW - dt.timedelta(days=7)


@pytest.mark.parametrize(
    ("count", "shown"), [(1, set()), (2, {"p50"}), (20, {"p50", "p95"}), (100, {"p50", "p95", "p99"})]
)
def test_percentiles_of_few_requests_are_hidden(count: int, shown: set[str]) -> None:
    item = {
        "count": count,
        "p50": 1.0,
        "p95": 2.0,
        "p99": 3.0,
        "before": {"count": 1, "p50": 1.0, "p95": 1.0, "p99": 1.0},
    }
    found = trends.reliable(item)
    assert {name for name in quantiles.NAMES if found[name] is not None} == shown
    assert all(found["before"][name] is None for name in quantiles.NAMES)
    assert item["p99"] == 3.0
