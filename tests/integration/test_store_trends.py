"""Trends, compared with the rows themselves."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from werkzeug.datastructures import MultiDict

from dashboard import trends
from dashboard.filters import FilterErrors
from dashboard.store import Store
from tests.conftest import Database
from tests.integration import report_data

MADRID = ZoneInfo("Europe/Madrid")
ROWS = report_data.api_requests()
Row = dict[str, Any]


@pytest.mark.parametrize("interval", ["minute", "hour", "day"])
@pytest.mark.parametrize("zone", ["Europe/Madrid", "UTC", "Asia/Kolkata", "America/Santiago"])
def test_trends(store: Store, interval: str, zone: str) -> None:
    asked = trends.parse(
        MultiDict(
            [
                ("from", "2026-10-24T00:00"),
                ("to", "2026-10-28T00:00"),
                ("interval", interval),
                ("by", "status"),
            ]
        ),
        ZoneInfo(zone),
    )
    rows = [row for row in ROWS if asked.since <= row["requested_at"] < asked.until]
    assert rows
    groups: dict[tuple[dt.datetime, int], list[float]] = {}
    for row in rows:
        key = (trends.start_of(row["requested_at"], interval, ZoneInfo(zone)), row["status_code"])
        groups.setdefault(key, []).append(row["response_ms"])
    items = store.trends(asked)
    assert [(item["start"], item["status_code"], item["count"]) for item in items] == [
        (*key, len(values)) for key, values in sorted(groups.items())
    ]
    for item in items:
        values = sorted(groups[item["start"], item["status_code"]])
        assert item["errors"] == (item["count"] if item["status_code"] >= 400 else 0)
        assert item["error_rate"] == item["errors"] / item["count"]
        assert values[0] * 0.97 - 0.001 <= item["p50"] <= item["p95"] <= item["p99"] <= values[-1] * 1.03 + 0.001
        if len(values) > 40:
            assert item["p50"] == pytest.approx(values[(len(values) - 1) // 2], rel=0.03)


def test_trends_are_filtered_and_filled(store: Store) -> None:
    asked = trends.parse(
        MultiDict(
            [
                ("from", "2026-10-25"),
                ("to", "2026-10-26"),
                ("user", "crm-*"),
                ("status_code", ">=500"),
                ("fill", "1"),
            ]
        ),
        MADRID,
    )
    items = store.trends(asked)
    assert len(items) == 25
    assert all(item["start"].minute == 0 for item in items)
    expected = [
        row
        for row in ROWS
        if row["user"].startswith("crm-")
        and row["status_code"] >= 500
        and asked.since <= row["requested_at"] < asked.until
    ]
    assert sum(item["count"] for item in items) == sum(item["errors"] for item in items) == len(expected) > 0


def test_too_many_points_are_refused(store: Store) -> None:
    asked = trends.parse(MultiDict([("from", "2026-10-24"), ("to", "2026-10-28"), ("by", "user")]), MADRID)
    with pytest.raises(FilterErrors):
        store.trends(replace(asked, limit=10))


def test_a_day_without_midnight_starts_when_it_starts(empty: Store, database: Database) -> None:
    report_data.insert(
        database.client,
        "api_requests",
        [
            {"event_id": uuid.uuid4(), "requested_at": dt.datetime(2026, 9, 6, hour, tzinfo=dt.UTC)}
            for hour in (3, 4, 5)
        ],
    )
    zone = ZoneInfo("America/Santiago")
    asked = trends.parse(
        MultiDict([("from", "2026-09-05"), ("to", "2026-09-07"), ("interval", "day"), ("fill", "1")]), zone
    )
    assert [(item["start"], item["count"]) for item in empty.trends(asked)] == [
        (dt.datetime(2026, 9, 5, 4, tzinfo=dt.UTC), 1),
        (dt.datetime(2026, 9, 6, 4, tzinfo=dt.UTC), 2),
    ]
