"""Endpoints and users by volume, errors or response times over a period: from the hours of a longer one where there are
such, else from the requests."""

# ruff: noqa: S608 (names in SQL text come from columns.py; values are always parameters)
from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from dashboard import filters, hours, quantiles, rows, trends
from dashboard.clickhouse import ClickHouse
from dashboard.columns import TREND_COLUMNS, Column
from dashboard.conditions import Bind
from dashboard.filters import N_, Problems, binder
from dashboard.rows import Item
from dashboard.trends import MINIMUM_SAMPLE, TrendQuery

PER_PAGE = 25
MAX_PER_PAGE = 500
#: Intervals of a sparkline.
SPARK_POINTS = 24
#: From here on, an interval of a sparkline may begin and end with an hour instead.
LONG = dt.timedelta(days=10)

_COLUMNS = {column.name: column for column in TREND_COLUMNS}
#: What can be ranked: the columns of a group.
TABLES = {
    "endpoints": (_COLUMNS["method"], _COLUMNS["route"]),
    "users": (_COLUMNS["user"],),
}

_OF_CHARTS = {"interval", "by", "fill"}
_RATE, _OLD_RATE = "failed / nullIf(requests, 0)", "old_failed / nullIf(old_requests, 0)"


def _sampled(place: int, name: str) -> str:
    return f"if(requests >= {MINIMUM_SAMPLE[name]}, times[{place}], NULL)"


#: SQL of what a ranking can be sorted by; `name` are the columns themselves. The last three need a comparison.
SORTS = {
    "name": "",
    "count": "requests",
    "error_rate": _RATE,
    **{name: _sampled(place, name) for place, name in enumerate(quantiles.NAMES, 1)},
    "last_at": "if(requests > 0, last, NULL)",
    "count_change": "toInt64(requests) - toInt64(old_requests)",
    "error_rate_change": f"{_RATE} - {_OLD_RATE}",
    "p95_change": f"if(least(requests, old_requests) >= {MINIMUM_SAMPLE['p95']}, times[2] - old_times[2], NULL)",
}
SORT_EXPECTED = N_("the name of a column of the table, with - before it for descending order")
TABLE_EXPECTED = N_("endpoints or users")
PER_PAGE_EXPECTED = N_("a number from 1 to 500")


@dataclass(frozen=True)
class RankingQuery:
    """A page of the groups of `columns` among the requests that `trend` is about.

    Args:
        sort: a key of `SORTS`, with `-` before it for descending order; what has no value comes last.
    """

    trend: TrendQuery
    columns: tuple[Column, ...]
    sort: str = "-count"
    page: int = 1
    per_page: int = PER_PAGE

    @property
    def pages_behind(self) -> int:
        """Groups on the pages before this one."""
        return (self.page - 1) * self.per_page


@dataclass(frozen=True, slots=True)
class Ranking:
    """A page of groups and the number of groups on all pages.

    Items have the columns, the numbers of `trends.measures`, `last_at` (time of the last request, None without one),
    `before` (as in trends) if a comparison was asked for, and `spark`: requests and errors in each of `SPARK_POINTS`
    equal parts of the period, to the hour if it is `LONG`.
    """

    items: list[Item]
    total: int


def parse(
    args: MultiDict[str, str], zone: ZoneInfo, columns: tuple[Column, ...] | None = None, now: dt.datetime | None = None
) -> RankingQuery:
    """The ranking that the query parameters ask for: those of trends, and `table`, `sort`, `page`, `per_page`.

    Args:
        columns: what is ranked if there is no choice, and so no parameter `table`, nor those of a chart.

    Raises:
        FilterErrors: anything unknown, malformed or contradictory.
    """
    problems = Problems()
    args = args.copy()
    if columns is None:
        table = filters.single(args, "table", problems) or "endpoints"
        if table not in TABLES:
            problems.add("table", table, TABLE_EXPECTED)
        columns = TABLES.get(table, TABLES["endpoints"])
    else:
        for name in _OF_CHARTS & args.keys():
            problems.add(name, args[name], filters.PARAMETER)
    sort = filters.single(args, "sort", problems) or "-count"
    if sort.removeprefix("-") not in SORTS:
        problems.add("sort", sort, SORT_EXPECTED)
    page = _number(args, "page", 1, filters.MAX_PAGE, filters.PAGE, problems)
    per_page = _number(args, "per_page", PER_PAGE, MAX_PER_PAGE, PER_PAGE_EXPECTED, problems)
    problems.raise_if_any()
    return RankingQuery(trends.parse(args, zone, now), columns, sort, page, per_page)


def read(clickhouse: ClickHouse, query: RankingQuery) -> Ranking:
    """The page of groups, with their sparklines.

    Raises:
        StoreError: no answer within the limits.
    """
    parameters: dict[str, str | bytes] = {}
    settings = hours.prefer(_columns(query)) if _by_hour(query) else {}
    found = clickhouse.query(_sql(query, binder(parameters)), parameters, **settings)
    width = len(query.columns)
    items = []
    for row in found:
        requests, failed, times, last, spark, failed_spark, old_requests, old_failed, old_times, _total = row[width:]
        item = _names(query.columns, row) | trends.measures(requests, failed, times)
        item["last_at"] = last if requests else None
        item["spark"] = list(zip(spark, failed_spark, strict=True))
        if query.trend.compare:
            item["before"] = trends.measures(old_requests, old_failed, old_times) if old_requests else None
        items.append(item)
    return Ranking(items, found[0][-1] if found else 0)


def _columns(query: RankingQuery) -> set[str]:
    return {column.name for column in query.columns} | {condition.column.name for condition in query.trend.conditions}


def _by_hour(query: RankingQuery) -> bool:
    return query.trend.until - query.trend.since >= LONG and hours.timed(_columns(query))


def _sql(query: RankingQuery, bind: Bind) -> str:
    trend = query.trend
    names = ", ".join(column.name for column in query.columns)
    tests = [condition.sql(bind) for condition in trend.conditions]
    since, length = int(trend.since.timestamp()), (trend.until - trend.since).total_seconds()
    time, sources = ("toStartOfHour(requested_at)", hours.sources) if _by_hour(query) else ("requested_at", _requests)
    place = f"greatest(0, toInt32(floor((toUnixTimestamp({time}) - {since}) * {SPARK_POINTS} / {length})))"
    parts = [
        f"SELECT {names}, {old} AS old, {'0' if old else place} AS place, count() AS rows, "
        f"countIf(status_code >= 400) AS errors, max(requested_at) AS latest, {quantiles.STATE} AS state "
        f"FROM {source} GROUP BY {names}, place"
        for old, period in enumerate((trend, trend.earlier()))
        if period
        for source in sources(period.since, period.until, tests, bind)
    ]

    def numbers(prefix: str, test: str) -> str:
        return (
            f"sumIf(rows, {test}) AS {prefix}requests, sumIf(errors, {test}) AS {prefix}failed, "
            f"{quantiles.of_states(test)} AS {prefix}times"
        )

    direction = "DESC" if query.sort.startswith("-") else "ASC"
    chosen = SORTS[query.sort.removeprefix("-")]
    order = [f"{expression} {direction} NULLS LAST" for expression in ([chosen] if chosen else names.split(", "))]
    return (
        f"SELECT {names}, requests, failed, times, last, spark, failed_spark, old_requests, old_failed, old_times, "
        f"total FROM (SELECT {names}, {numbers('', 'NOT old')}, maxIf(latest, NOT old) AS last, "
        f"sumIfResample(0, {SPARK_POINTS}, 1)(rows, NOT old, place) AS spark, "
        f"sumIfResample(0, {SPARK_POINTS}, 1)(errors, NOT old, place) AS failed_spark, "
        f"{numbers('old_', 'old')}, count() OVER () AS total FROM ({' UNION ALL '.join(parts)}) GROUP BY {names}) "
        f"ORDER BY {', '.join([*order, 'requests DESC', names])} "
        f"LIMIT {bind(query.per_page, 'UInt32')} OFFSET {bind(query.pages_behind, 'UInt64')}"
    )


def _requests(since: dt.datetime | None, until: dt.datetime | None, tests: Sequence[str], bind: Bind) -> list[str]:
    return [hours.requests(tests, bind, (since, until))]


def _names(columns: Sequence[Column], row: Sequence[Any]) -> Item:
    return {column.name: rows.text(value) for column, value in zip(columns, row, strict=False)}


def _number(args: MultiDict[str, str], name: str, default: int, most: int, expected: str, problems: Problems) -> int:
    text = filters.single(args, name, problems)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= most:
        problems.add(name, text, expected)
        return default
    return int(text)
