"""How the rows of a result lie in time: at most 60 intervals with round limits, counted by kind."""

# ruff: noqa: S608 (names in SQL text come from columns.py; values are always parameters)
from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

from dashboard import hours
from dashboard.clickhouse import ClickHouse, matching
from dashboard.columns import ADMIN_CHANGES, API_REQUESTS
from dashboard.conditions import Condition
from dashboard.filters import Query, binder

MOST_BUCKETS = 60
SECONDS = 4

Unit = Literal["second", "hour", "day", "month", "year"]


@dataclass(frozen=True, slots=True)
class Step:
    """The length of a bucket; `about` is its shortest, in seconds."""

    count: int
    unit: Unit
    about: int


_DAY = 24 * 3600
#: From short to long. Up to an hour they are of the same length each; longer ones follow the zone's calendar.
STEPS = (
    *(Step(seconds, "second", seconds) for seconds in (1, 2, 5, 10, 15, 30)),
    *(Step(minutes * 60, "second", minutes * 60) for minutes in (1, 2, 5, 10, 15, 30, 60)),
    *(Step(hours, "hour", (hours - 1) * 3600) for hours in (2, 3, 6, 12)),
    *(Step(days, "day", days * _DAY - 3600) for days in (1, 2, 7)),
    *(Step(months, "month", months * 28 * _DAY) for months in (1, 3)),
    *(Step(years, "year", years * 365 * _DAY) for years in (1, 2, 5, 10)),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A colour of the bars: the rows that a filter on `column` with `value` leaves."""

    name: str
    column: str
    value: str


#: From the bottom of a bar to its top. What no kind counts is counted as `other`.
KINDS: dict[str, tuple[Kind, ...]] = {
    API_REQUESTS.name: (
        Kind("server", "status_code", "500..599"),
        Kind("client", "status_code", "400..499"),
        Kind("redirect", "status_code", "300..399"),
        Kind("ok", "status_code", "200..299"),
    ),
    ADMIN_CHANGES.name: (
        Kind("server", "action", "deletion"),
        Kind("client", "action", "change"),
        Kind("ok", "action", "addition"),
    ),
}
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Bucket:
    """The rows from `start` to `end` (UTC, not included): how many of each kind, those of `OTHER` last."""

    start: dt.datetime
    end: dt.datetime
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """All buckets of a result, those without rows included."""

    step: Step
    buckets: list[Bucket]


def edges(since: dt.datetime, until: dt.datetime, zone: ZoneInfo) -> tuple[Step, list[dt.datetime]]:
    """The shortest step with at most 60 buckets from `since` to `until`, and the limits of the buckets in UTC."""
    for step in STEPS:
        if (until - since).total_seconds() / step.about > 2 * MOST_BUCKETS:
            continue
        limits = _limits(since, until, step, zone)
        if len(limits) <= MOST_BUCKETS + 1:
            break
    return step, limits


def read(clickhouse: ClickHouse, query: Query, now: dt.datetime | None = None) -> Histogram:
    """The histogram of a result, from its `from` to its `to`.

    Without `from` it begins with the oldest row of the table. Without `to` it ends with the newest one, and after a
    `from` not before `now`.

    Raises:
        StoreError: no answer within 4 s.
    """
    report = query.report
    since, until = query.since, query.until
    if since is None or until is None:
        # Of the whole table, which ClickHouse knows without reading it.
        first, last, stored = clickhouse.query(
            f"SELECT min({report.time_column}), max({report.time_column}), count() FROM {report.table}"
        )[0]
        if not stored:
            first = last = now or dt.datetime.now(dt.UTC)
        if until is None:
            until = max(last, now or dt.datetime.now(dt.UTC)) if since else last
            until = max(until, since or first) + dt.timedelta(milliseconds=1)
        if since is None:
            since = min(first, until - dt.timedelta(milliseconds=1))
    step, limits = edges(since, until, query.zone)
    condition, parameters = query.where()
    bind = binder(parameters)
    starts = bind([_milliseconds(limit) for limit in limits[:-1]], "Array(Int64)")
    kinds = KINDS[report.name]
    settings: dict[str, str] = {}
    whole = all(limit.minute == limit.second == 0 for limit in limits)
    hour, counts = "toInt64(toUnixTimestamp(hour)) * 1000", ["sum(rows)"]
    if whole and hours.covered(query):
        source = hours.counted(query, bind, "hour", classes=[_statuses(kind) for kind in kinds])
        counts += [f"sum(class{number})" for number in range(len(kinds))]
        settings = hours.prefer(hours.columns(query))
    else:
        source = matching(report.table, condition)
        hour = f"toUnixTimestamp64Milli({report.time_column})"
        of_kinds = [Condition(report.by_name[kind.column], (kind.value,), False, query.zone) for kind in kinds]
        counts = ["count()", *(f"countIf({kind.sql(bind)})" for kind in of_kinds)]
    found = clickhouse.query(
        f"SELECT roundDown({hour}, {starts}) AS start, {', '.join(counts)} FROM {source} GROUP BY start",
        parameters,
        max_execution_time=SECONDS,
        **settings,
    )
    by_start = {start: (*parts, total - sum(parts)) for start, total, *parts in found}
    empty = (0,) * (len(kinds) + 1)
    buckets = [Bucket(start, end, by_start.get(_milliseconds(start), empty)) for start, end in pairwise(limits)]
    return Histogram(step, buckets)


def _statuses(kind: Kind) -> tuple[int, int]:
    first, last = kind.value.split("..")
    return int(first), int(last)


def _limits(since: dt.datetime, until: dt.datetime, step: Step, zone: ZoneInfo) -> list[dt.datetime]:
    if step.unit == "second":
        # On the clock of the zone, whose offset may be half an hour.
        offset = since.astimezone(zone).utcoffset() or dt.timedelta()
        length = dt.timedelta(seconds=step.count)
        local = since.astimezone(dt.UTC) + offset
        limits = [since.astimezone(dt.UTC) - (local - dt.datetime(1900, 1, 1, tzinfo=dt.UTC)) % length]
        while limits[-1] < until:
            limits.append(limits[-1] + length)
        return limits
    local = _floor(since.astimezone(zone).replace(tzinfo=None), step)
    limits = []
    while not limits or limits[-1] < until:
        instant = local.replace(tzinfo=zone).astimezone(dt.UTC)
        # A local time that the clocks skip is the same instant as the next.
        if not limits or instant > limits[-1]:
            limits.append(instant)
        local = _next(local, step)
    return limits


def _floor(local: dt.datetime, step: Step) -> dt.datetime:
    day = dt.datetime.combine(local.date(), dt.time())
    match step.unit:
        case "hour":
            return day + dt.timedelta(hours=local.hour // step.count * step.count)
        case "month":
            return day.replace(month=(local.month - 1) // step.count * step.count + 1, day=1)
        case "year":
            return day.replace(year=local.year // step.count * step.count, month=1, day=1)
        case _:
            # The first day was a Monday.
            return day - dt.timedelta(days=(day.toordinal() - 1) % step.count)


def _next(local: dt.datetime, step: Step) -> dt.datetime:
    match step.unit:
        case "hour":
            return local + dt.timedelta(hours=step.count)
        case "month":
            months = local.year * 12 + local.month - 1 + step.count
            return local.replace(year=months // 12, month=months % 12 + 1)
        case "year":
            return local.replace(year=local.year + step.count)
        case _:
            return local + dt.timedelta(days=step.count)


def _milliseconds(moment: dt.datetime) -> int:
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)
