"""Trends: requests, errors and response times per interval, from hours or from the requests."""

# ruff: noqa: S608 (names in SQL text come from columns.py; values are always parameters)
from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from dashboard import filters, hours, periods, quantiles, rows
from dashboard.clickhouse import ClickHouse, matching
from dashboard.columns import TREND_COLUMNS, Column
from dashboard.conditions import Bind, Condition
from dashboard.filters import N_, FilterError, FilterErrors, Problems, binder
from dashboard.periods import Shift
from dashboard.rows import Item

DEFAULT_RANGE = dt.timedelta(hours=24)
MAX_INTERVALS = 10_000
MAX_POINTS = 50_000
#: Requests that a page wants before it shows a percentile: enough for one of them to be expected beyond it.
MINIMUM_SAMPLE = {"p50": 2, "p95": 20, "p99": 100}

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
COMPARE = N_("previous or week")
TOO_MANY_INTERVALS = N_("a longer interval or a shorter time range: at most 10,000 intervals")
TOO_MANY_POINTS = N_("fewer groups or a shorter time range: at most 50,000 points")
SOME_TIME = N_("a time between the years 1970 and 2105")

#: The numbers of an interval without requests.
NOTHING: Item = {"count": 0, "errors": 0, "error_rate": None, **dict.fromkeys(quantiles.NAMES)}

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
        compare: one of `periods.COMPARISONS`, or empty.
        shift: how far back this period lies from the one that it is compared with; its intervals are those of that one.
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
    compare: str = ""
    shift: Shift | None = None

    def earlier(self) -> TrendQuery | None:
        """The same of the period to compare with; None if that was not asked for."""
        if not self.compare:
            return None
        shift = periods.shift(self.compare, self.since, self.until, self.zone)
        return replace(
            self, since=shift.back(self.since), until=shift.back(self.until), shift=shift, compare="", fill=False
        )

    def args(self, **changes: Any) -> dict[str, list[str]]:
        """The URL parameters that were given, with `changes` as in `filters.Query.args`."""
        args = dict(self.given)
        for name, value in changes.items():
            args.pop(name := "from" if name == "from_" else name, None)
            if value is not None:
                args[name] = [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]
        return args

    def sql(self, bind: Bind) -> str:
        """The query; its columns: start (Unix seconds), those of `by`, count, errors and the quantiles.

        It reads hours where a projection has those that it wants, else the requests.
        """
        names = "".join(f", {column.name}" for column in self.by)
        tests = [condition.sql(bind) for condition in self.conditions]
        # An hour that is moved by a part of an hour lies in two.
        moved = self.shift is not None and self.shift.seconds % 3600
        by_hour = self.interval != "minute" and not moved and hours.whole(self.zone, self.since, self.until)
        if by_hour and hours.timed(self.columns):
            start, numbers = "start", f"sum(requests), sum(failed), {quantiles.of_states()}"
            source = f"({self._by_hour(names, tests, bind)})"
        else:
            tests += filters.time_range("requested_at", self.since, self.until, bind)
            start = self._start("requested_at", bind)
            numbers = f"count(), countIf(status_code >= 400), {quantiles.OF_REQUESTS}"
            source = matching("api_requests", " AND ".join(tests))
        return (
            f"SELECT {start} AS start{names}, {numbers} FROM {source} GROUP BY start{names} ORDER BY start{names} "
            f"LIMIT {bind(self.limit + 1, 'UInt32')}"
        )

    def _start(self, time: str, bind: Bind) -> str:
        """SQL for the start of the interval that `time` counts for."""
        time = self.shift.forward(time, bind) if self.shift else time
        return f"toUnixTimestamp({INTERVALS[self.interval][1]}({time}, {bind(self.zone.key, 'String')}))"

    def _by_hour(self, names: str, tests: Sequence[str], bind: Bind) -> str:
        start = self._start("toStartOfHour(requested_at)", bind)
        return " UNION ALL ".join(
            f"SELECT {start} AS start{names}, count() AS requests, countIf(status_code >= 400) AS failed, "
            f"{quantiles.STATE} AS state FROM {source} GROUP BY start{names}"
            for source in hours.sources(self.since, self.until, tests, bind)
        )

    @property
    def columns(self) -> set[str]:
        """Names of the columns that it groups and filters by."""
        return {column.name for column in self.by} | {condition.column.name for condition in self.conditions}

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
        empty = {**NOTHING, "before": None} if self.compare else NOTHING
        return [
            found.get((start, *group), {"start": start, **dict(zip(names, group, strict=True)), **empty})
            for start in starts
            for group in groups
        ]


def read(clickhouse: ClickHouse, query: TrendQuery) -> list[Item]:
    """Count, errors, error rate and percentiles (ms) per interval and group, oldest first.

    With a comparison each item has `before`: the same numbers of the earlier period, None if it had no requests.

    Raises:
        StoreError: no answer within the limits.
        TrendsTooMany: more groups and intervals than an answer may have.
    """
    found = _ask(clickhouse, query)
    if earlier := query.earlier():
        found = _joined(query, found, _ask(clickhouse, earlier))
    return query.filled(found) if query.fill else found


def _ask(clickhouse: ClickHouse, query: TrendQuery) -> list[Item]:
    parameters: dict[str, str | bytes] = {}
    found = clickhouse.query(query.sql(binder(parameters)), parameters, **hours.prefer(query.columns))
    if len(found) > query.limit:
        raise TrendsTooMany
    return items(query, found)


def _joined(query: TrendQuery, current: list[Item], before: list[Item]) -> list[Item]:
    """The items of both periods, by their interval and group."""
    names = ["start", *(column.name for column in query.by)]
    joined = {tuple(item[name] for name in names): {**item, "before": None} for item in current}
    for item in before:
        key = tuple(item[name] for name in names)
        at = joined.setdefault(key, {**dict(zip(names, key, strict=True)), **NOTHING})
        at["before"] = {name: value for name, value in item.items() if name not in names}
    if len(joined) > query.limit:
        raise TrendsTooMany
    return [joined[key] for key in sorted(joined)]


def items(query: TrendQuery, found: Iterable[Sequence[Any]]) -> list[Item]:
    """Rows of `query` as dicts: start, the columns of `by`, count, errors, error_rate, p50, p95, p99."""
    # The same again and again.
    moment, text = cache(lambda start: dt.datetime.fromtimestamp(start, dt.UTC)), cache(rows.text)
    readers = [(column.name, text if column.kind == "enum" else None) for column in query.by]
    result = []
    for row in found:
        item: Item = {"start": moment(row[0])}
        for (name, read), value in zip(readers, row[1:-3], strict=True):
            item[name] = read(value) if read else value
        item.update(measures(*row[-3:]))
        result.append(item)
    return result


def measures(count: int, errors: int, quantiles: Sequence[float] = (math.nan,) * len(quantiles.NAMES)) -> Item:
    """The numbers of a group of requests: count, errors, error_rate, p50, p95 and p99 (ms); None for what has none."""
    p50, p95, p99 = quantiles
    return {
        "count": count,
        "errors": errors,
        "error_rate": errors / count if count else None,
        "p50": _rounded(p50),
        "p95": _rounded(p95),
        "p99": _rounded(p99),
    }


def _rounded(milliseconds: float) -> float | None:
    return round(milliseconds, 3) if math.isfinite(milliseconds) else None


def reliable(item: Item) -> Item:
    """The item without the percentiles for which it has too few requests, and so with what it is compared with."""
    few = {name: None for name, least in MINIMUM_SAMPLE.items() if item["count"] < least}
    before = item.get("before")
    return item | few | ({"before": reliable(before)} if before else {})


def parse(args: MultiDict[str, str], zone: ZoneInfo, now: dt.datetime | None = None) -> TrendQuery:
    """What trends the query parameters ask for: the last 24 hours by hour unless they say otherwise.

    `from` and `to` are widened to whole minutes, the shortest interval.

    Args:
        args: as `filters.decode` gives them: from, to, tz, interval, by (repeatable), fill, compare and
            `TREND_COLUMNS`.
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
    compare = filters.single(args, "compare", problems)
    if compare is not None and compare not in periods.COMPARISONS:
        problems.add("compare", compare, COMPARE)
    found = filters.read_conditions(args, {column.name: column for column in TREND_COLUMNS}.get, zone, problems)
    filters.unknown(args, problems)
    since, until = _whole_minutes(since, until, now or dt.datetime.now(dt.UTC))
    for name, moment in (("from", since), ("to", until)):
        if not _EARLIEST <= moment <= _LATEST:
            problems.add(name, given.get(name, [""])[0], SOME_TIME)
    if not problems.errors and (until - since) / INTERVALS[interval][0] > MAX_INTERVALS:
        problems.add("interval", interval, TOO_MANY_INTERVALS)
    problems.raise_if_any()
    return TrendQuery(zone, since, until, interval, by, found, given, fill == "1", compare=compare or "")


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
