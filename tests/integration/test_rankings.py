"""Rankings and comparisons: the same numbers as computed from the rows by hand."""

from __future__ import annotations

import datetime as dt
import math
import random
import uuid
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from werkzeug.datastructures import MultiDict

from dashboard import rankings, trends
from dashboard.filters import FilterErrors
from dashboard.rankings import SPARK_POINTS, TABLES
from dashboard.store import Store
from schemas.settings import Settings
from tests import databases
from tests.integration import report_data

MADRID = ZoneInfo("Europe/Madrid")
Row = dict[str, Any]
HOSTILE = ("", "crm/a", "..", "'; DROP TABLE api_requests --", "<script>alert(1)</script>", "\\N")


def made() -> list[Row]:
    """Six weeks around the end of summer time; the routes differ in volume, errors and response times."""
    chance = random.Random(11)
    start = dt.datetime(2026, 10, 1, tzinfo=dt.UTC)
    rows = []
    for number in range(9000):
        place = min(int(chance.expovariate(0.5)), 5)
        user = chance.choice(HOSTILE) if place == 5 else ("crm-a", "crm-b", "crm-c")[place % 3]
        rows.append(
            {
                "event_id": uuid.UUID(int=number + 1),
                "requested_at": start + dt.timedelta(milliseconds=chance.randrange(42 * 86400 * 1000)),
                "user": user,
                "route": f"/api/v2/isp/{'abcdef'[place]}/",
                "method": "GET" if chance.random() < 0.7 else "POST",
                "status_code": chance.choice([200] * (10 - place) + [404, 500]),
                "host": "krill.example",
                "response_ms": round(chance.expovariate(1 / (50 * (place + 1))) + 1, 3),
                "kafka_offset": number,
            }
        )
    return rows


ROWS = made()


@pytest.fixture(scope="module")
def store(clickhouse: str) -> Iterator[Store]:
    name = f"rankings_{uuid.uuid4().hex}"
    client = databases.create(clickhouse, name)
    report_data.insert(client, "api_requests", ROWS)
    yield Store(Settings(clickhouse_url=clickhouse, clickhouse_database=name))
    databases.drop(client)


def query(text: dict[str, str]) -> rankings.RankingQuery:
    return rankings.parse(MultiDict(text), MADRID)


def within(rows: list[Row], since: dt.datetime, until: dt.datetime) -> list[Row]:
    return [row for row in rows if since <= row["requested_at"] < until]


def groups(rows: list[Row], names: list[str]) -> dict[tuple[str, ...], list[Row]]:
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in names), []).append(row)
    return found


def agree(item: Row, rows: list[Row]) -> None:
    """The item's numbers are those of the rows; percentiles (so many are not above) within what they promise."""
    assert (item["count"], item["errors"]) == (len(rows), sum(row["status_code"] >= 400 for row in rows))
    assert item["error_rate"] == pytest.approx(item["errors"] / item["count"])
    values = sorted(row["response_ms"] for row in rows)
    for name, level in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        assert item[name] == pytest.approx(values[math.ceil(level * len(values)) - 1], rel=0.0101), name


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("since", ["2026-10-22", "2026-10-18T09:40"])
@pytest.mark.parametrize("compare", ["", "previous", "week"])
def test_rankings_are_those_of_the_rows(store: Store, table: str, since: str, compare: str) -> None:
    asked = query(
        {"from": since, "to": "2026-10-29", "table": table, "per_page": "500"}
        | ({"compare": compare} if compare else {})
    )
    names = [column.name for column in asked.columns]
    now = groups(within(ROWS, asked.trend.since, asked.trend.until), names)
    earlier = asked.trend.earlier()
    before = groups(within(ROWS, earlier.since, earlier.until), names) if earlier else {}
    found = store.ranking(asked)
    assert found.total == len(found.items) == len(now.keys() | before.keys()) > 5
    counts = [item["count"] for item in found.items]
    assert counts == sorted(counts, reverse=True)
    for item in found.items:
        key = tuple(item[name] for name in names)
        if key in now:
            agree(item, now[key])
            assert item["last_at"] == max(row["requested_at"] for row in now[key])
        else:
            assert (item["count"], item["error_rate"], item["p95"], item["last_at"]) == (0, None, None, None)
        assert ("before" in item) == bool(compare)
        if key in before:
            agree(item["before"], before[key])
        elif compare:
            assert item["before"] is None
        length = (asked.trend.until - asked.trend.since) / SPARK_POINTS
        spark = [[0, 0] for _ in range(SPARK_POINTS)]
        for row in now.get(key, []):
            time = row["requested_at"]
            if asked.trend.until - asked.trend.since >= rankings.LONG:
                time = max(asked.trend.since, time.replace(minute=0, second=0, microsecond=0))
            place = spark[int((time - asked.trend.since) / length)]
            place[0] += 1
            place[1] += row["status_code"] >= 400
        assert item["spark"] == [tuple(place) for place in spark]


@pytest.mark.parametrize("sort", list(rankings.SORTS))
@pytest.mark.parametrize("sign", ["", "-"])
def test_every_column_sorts_and_what_has_no_value_comes_last(store: Store, sort: str, sign: str) -> None:
    asked = query({"from": "2026-10-22", "to": "2026-10-29", "compare": "previous", "sort": sign + sort})
    items = [trends.reliable(item) for item in store.ranking(asked).items]

    def key(item: Row) -> Any:
        name, before = sort.removesuffix("_change"), item["before"] or {"count": 0}
        if sort == "name":
            return item["method"], item["route"]
        if name == sort:
            return item[name]
        return None if item[name] is None or before.get(name) is None else item[name] - before[name]

    keys = [key(item) for item in items]
    values = [value for value in keys if value is not None]
    assert len(set(values)) > 1
    assert keys[: len(values)] == values
    assert values == sorted(values, reverse=bool(sign))


def test_pages_hold_all_groups_once(store: Store) -> None:
    whole = query({"from": "2026-10-01", "to": "2026-11-12", "per_page": "500"})
    wanted = [(item["method"], item["route"]) for item in store.ranking(whole).items]
    seen = []
    for page in range(1, 5):
        found = store.ranking(query({"from": "2026-10-01", "to": "2026-11-12", "per_page": "5", "page": str(page)}))
        assert found.total in (len(wanted), 0)
        seen += [(item["method"], item["route"]) for item in found.items]
    assert seen == wanted


def test_filters_narrow_a_ranking(store: Store) -> None:
    asked = query(
        {"from": "2026-10-01", "to": "2026-11-12", "table": "users", "status_code": ">=500", "-user": "crm-a"}
    )
    rows = [row for row in ROWS if row["status_code"] >= 500 and row["user"] != "crm-a"]
    found = store.ranking(asked)
    assert {item["user"]: item["count"] for item in found.items} == {
        user: len(those) for (user,), those in groups(rows, ["user"]).items()
    }
    assert all(item["errors"] == item["count"] for item in found.items)


@pytest.mark.parametrize(
    ("args", "parameter"),
    [
        ({"table": "hosts"}, "table"),
        ({"sort": "data"}, "sort"),
        ({"page": "0"}, "page"),
        ({"per_page": "501"}, "per_page"),
    ],
)
def test_what_is_refused(args: dict[str, str], parameter: str) -> None:
    with pytest.raises(FilterErrors) as caught:
        query(args)
    assert [error.parameter for error in caught.value.errors] == [parameter]
    with pytest.raises(FilterErrors):
        rankings.parse(MultiDict({"interval": "day"}), MADRID, TABLES["users"])


@pytest.mark.parametrize("interval", ["hour", "day"])
@pytest.mark.parametrize("compare", ["previous", "week"])
def test_each_interval_is_compared_with_the_one_that_stands_for_it(store: Store, interval: str, compare: str) -> None:
    # Of the days compared with each other one has 25 hours.
    asked = trends.parse(
        MultiDict({"from": "2026-10-27", "to": "2026-10-29", "interval": interval, "compare": compare, "fill": "1"}),
        MADRID,
    )
    days = {"previous": 2, "week": 7}[compare]

    def place(row: Row) -> dt.datetime:
        moment = row["requested_at"].astimezone(MADRID).replace(tzinfo=None, minute=0, second=0, microsecond=0)
        return moment.replace(hour=0) if interval == "day" else moment

    for item in store.trends(asked):
        start = item["start"].astimezone(MADRID).replace(tzinfo=None)
        rows = [row for row in ROWS if place(row) == start]
        assert item["count"] == len(rows)
        before = [row for row in ROWS if place(row) == start - dt.timedelta(days=days)]
        if before:
            agree(item["before"], before)
        else:
            assert item["before"] is None


def test_a_period_that_is_no_whole_hours_is_compared_minute_by_minute(store: Store) -> None:
    asked = trends.parse(
        MultiDict({"from": "2026-11-03T08:00", "to": "2026-11-05T08:30", "compare": "previous", "fill": "1"}), MADRID
    )
    length = asked.until - asked.since
    for item, end in zip(store.trends(asked), [*list(asked.starts())[1:], asked.until], strict=True):
        rows = within(ROWS, item["start"], end)
        before = within(ROWS, item["start"] - length, end - length)
        assert item["count"] == len(rows)
        assert (item["before"] or {"count": 0})["count"] == len(before)
