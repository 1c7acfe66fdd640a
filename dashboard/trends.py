"""Trends: requests, errors and response times per interval, from the rollup per minute."""

# ruff: noqa: S608 (names in SQL text come from columns.py; values are always parameters)
from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from dashboard import filters, rows
from dashboard.columns import TREND_COLUMNS, Column
from dashboard.conditions import Bind, Condition
from dashboard.filters import N_, FilterError, FilterErrors, Problems
from dashboard.rows import Item

DEFAULT_RANGE = dt.timedelta(hours=24)
MAX_INTERVALS = 10_000
MAX_POINTS = 50_000
QUANTILES = ("p50", "p95", "p99")

#: Shortest length of an interval, and the ClickHouse function that gives its start in a zone.
INTERVALS = {
    "minute": (dt.timedelta(minutes=1), "toStartOfMinute"),
    "hour": (dt.timedelta(hours=1), "toStartOfHour"),
    "day": (dt.timedelta(hours=23), "toStartOfDay"),
}
BY = {column.name: column for column in TREND_COLUMNS} | {
    "status": next(column for column in TREND_COLUMNS if column.name == "status_code")
}

INTERVAL = N_("minute, hour or day")
BY_EXPECTED = N_("user, route, method, status_code or host, each once")
FILL = N_("0 or 1")
TOO_MANY_INTERVALS = N_("a longer interval or a shorter time range: at most 10,000 intervals")
TOO_MANY_POINTS = N_("fewer groups or a shorter time range: at most 50,000 points")
ROLLUP_TIME = N_("a time between the years 1970 and 2105")

# What a DateTime column can hold.
_EARLIEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LATEST = dt.datetime(2106, 1, 1, tzinfo=dt.UTC)
_MINUTE = dt.timedelta(minutes=1)


class TrendsTooMany(FilterErrors):
    """An answer would have more points than it may."""

    def __init__(self) -> None:
        super().__init__([FilterError("by", "", TOO_MANY_POINTS)])


@dataclass(frozen=True)
class TrendQuery:
    """What trends to compute.

    Args:
        since: start of the first minute included (UTC); `until`: start of the first minute not included.
        by: columns to group by.
        zone: whose hours and days the intervals are.
        fill: whether intervals without requests are wanted, too.
    """

    zone: ZoneInfo
    since: dt.datetime
    until: dt.datetime
    interval: str = "hour"
    by: tuple[Column, ...] = ()
    conditions: tuple[Condition, ...] = ()
    given: dict[str, list[str]] = field(default_factory=dict)
    fill: bool = False
    limit: int = MAX_POINTS

    def args(self, **changes: Any) -> dict[str, list[str]]:
        """The URL parameters that were given, with `changes` as in `filters.Query.args`."""
        args = dict(self.given)
        for name, value in changes.items():
            args.pop(name := "from" if name == "from_" else name, None)
            if value is not None:
                args[name] = [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]
        return args

    def sql(self, bind: Bind) -> str:
        """The query; its columns: start (Unix seconds), those of `by`, count, errors and the quantiles."""
        start = f"toUnixTimestamp({INTERVALS[self.interval][1]}(minute, {bind(self.zone.key, 'String')}))"
        groups = "".join(f", {column.name}" for column in self.by)
        tests = filters.time_range("minute", self.since, self.until, bind)
        tests += [condition.sql(bind) for condition in self.conditions]
        return (
            f"SELECT {start} AS start{groups}, sum(count), sum(errors), "
            "quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(response_ms) "
            f"FROM api_requests_per_minute WHERE {' AND '.join(tests)} "
            f"GROUP BY start{groups} ORDER BY start{groups} LIMIT {bind(self.limit + 1, 'UInt32')}"
        )

    def starts(self) -> Iterator[dt.datetime]:
        """Start of every interval from `since` to `until` in UTC, those without requests included."""
        moment = start_of(self.since, self.interval, self.zone)
        while moment < self.until:
            yield moment
            moment = _next(moment, self.interval, self.zone)

    def filled(self, items: list[Item]) -> list[Item]:
        """`items` with those added that had no requests, for every group that had some.

        Raises:
            TrendsTooMany: more than `limit` items.
        """
        names = [column.name for column in self.by]
        groups = list(dict.fromkeys(tuple(item[name] for name in names) for item in items))
        starts = list(self.starts())
        if not self.by:
            groups = [()]
        if len(groups) * len(starts) > self.limit:
            raise TrendsTooMany
        found = {(item["start"], *(item[name] for name in names)): item for item in items}
        empty = {"count": 0, "errors": 0, "error_rate": None, **dict.fromkeys(QUANTILES)}
        return [
            found.get((start, *group), {"start": start, **dict(zip(names, group, strict=True)), **empty})
            for start in starts
            for group in groups
        ]


def items(query: TrendQuery, found: Iterable[Sequence[Any]]) -> list[Item]:
    """Rows of `query` as dicts: start, the columns of `by`, count, errors, error_rate, p50, p95, p99."""
    result = []
    for start, *group, count, errors, quantiles in found:
        item: Item = {"start": dt.datetime.fromtimestamp(start, dt.UTC)}
        for column, value in zip(query.by, group, strict=True):
            item[column.name] = rows.text(value) if column.kind == "enum" else value
        item |= {"count": count, "errors": errors, "error_rate": errors / count}
        item |= {
            name: round(value, 3) if math.isfinite(value) else None
            for name, value in zip(QUANTILES, quantiles, strict=True)
        }
        result.append(item)
    return result


def parse(args: MultiDict[str, str], zone: ZoneInfo, now: dt.datetime | None = None) -> TrendQuery:
    """What trends the query parameters ask for: the last 24 hours by hour unless they say otherwise.

    `from` and `to` are widened to whole minutes, since that is what the rollup keeps.

    Args:
        args: as `filters.decode` gives them: from, to, tz, interval, by (repeatable), fill and the columns of
            the rollup.
        zone: where times without an offset are meant and whose hours and days count, unless `tz` says so.

    Raises:
        FilterErrors: anything unknown, malformed or contradictory, or too many intervals.
    """
    problems = Problems()
    args = filters.checked(args, problems)
    given = {name: args.getlist(name) for name in args}
    zone = filters.read_zone(filters.single(args, "tz", problems), zone, problems)
    since, until, _ = filters.read_range(args, zone, problems)
    interval = filters.single(args, "interval", problems)
    interval = "hour" if interval is None else interval
    if interval not in INTERVALS:
        problems.add("interval", interval, INTERVAL)
        interval = "day"
    by = _by(args, problems)
    fill = filters.single(args, "fill", problems)
    if fill not in (None, "0", "1"):
        problems.add("fill", fill, FILL)
    found = filters.read_conditions(args, {column.name: column for column in TREND_COLUMNS}, zone, problems)
    filters.unknown(args, problems)
    since, until = _whole_minutes(since, until, now or dt.datetime.now(dt.UTC))
    for name, moment in (("from", since), ("to", until)):
        if not _EARLIEST <= moment <= _LATEST:
            problems.add(name, given.get(name, [""])[0], ROLLUP_TIME)
    if not problems.errors and (until - since) / INTERVALS[interval][0] > MAX_INTERVALS:
        problems.add("interval", interval, TOO_MANY_INTERVALS)
    problems.raise_if_any()
    return TrendQuery(zone, since, until, interval, by, found, given, fill == "1")


def start_of(moment: dt.datetime, interval: str, zone: ZoneInfo) -> dt.datetime:
    """Start in UTC of the interval that `moment` lies in."""
    local = moment.astimezone(zone)
    match interval:
        case "minute":
            return moment.replace(second=0, microsecond=0)
        case "hour":
            past = dt.timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
            return moment - past
        case _:
            return _midnight(local.date(), zone)


def _next(moment: dt.datetime, interval: str, zone: ZoneInfo) -> dt.datetime:
    if interval == "day":
        return _midnight(moment.astimezone(zone).date() + dt.timedelta(days=1), zone)
    return moment + INTERVALS[interval][0]


def _midnight(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), zone).astimezone(dt.UTC)


def _whole_minutes(
    since: dt.datetime | None, until: dt.datetime | None, now: dt.datetime
) -> tuple[dt.datetime, dt.datetime]:
    if until is None:
        until = max(now, since + _MINUTE) if since else now
    until = -(-(until - _EARLIEST) // _MINUTE) * _MINUTE + _EARLIEST
    since = until - DEFAULT_RANGE if since is None else since
    return (since - _EARLIEST) // _MINUTE * _MINUTE + _EARLIEST, until


def _by(args: MultiDict[str, str], problems: Problems) -> tuple[Column, ...]:
    columns: list[Column] = []
    for name in args.poplist("by"):
        column = BY.get(name)
        if column is None or column in columns:
            problems.add("by", name, BY_EXPECTED)
        else:
            columns.append(column)
    return tuple(columns)
