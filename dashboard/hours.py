"""Requests by the hour, from the projections of `api_requests` where one fits: what long ranges are counted with.

A range is read as whole hours, which projections have, and the rest at both ends, for which there are the rows.
"""

# ruff: noqa: S608 (names in SQL text come from columns.py; values are always parameters)
from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from zoneinfo import ZoneInfo

from dashboard.clickhouse import ClickHouse, matching
from dashboard.columns import API_REQUESTS
from dashboard.conditions import Bind, Condition
from dashboard.filters import Query, binder, time_range

#: The projections, and the columns by which each counts, those with the fewest rows first.
PROJECTIONS = {
    "per_hour": frozenset[str](),
    "per_hour_by_host": frozenset(("host",)),
    "per_hour_by_status": frozenset(("status_code",)),
    "per_hour_by_action": frozenset(("action",)),
    "per_hour_by_object_type": frozenset(("object_type",)),
    "per_hour_by_view": frozenset(("view",)),
    "per_hour_by_endpoint": frozenset(("route", "method")),
    "per_hour_by_user": frozenset(("user",)),
}
#: Columns by which there are no response times.
UNTIMED = frozenset(("action", "object_type", "view"))
HOUR = dt.timedelta(hours=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# What the hour of a row can be.
_LATEST = dt.datetime(2106, 1, 1, tzinfo=dt.UTC)


def projection(names: Collection[str]) -> str:
    """The projection that counts by the columns of these names; empty if there is none."""
    return next((name for name, columns in PROJECTIONS.items() if columns.issuperset(names)), "")


def timed(names: Collection[str]) -> bool:
    """Whether a projection has response times by the columns of these names."""
    return bool(projection(names)) and UNTIMED.isdisjoint(names)


def columns(query: Query) -> set[str]:
    """Names of the columns that a projection must have to count what matches `query`."""
    return {condition.column.name for condition in query.conditions if not _failed(condition)}


def covered(query: Query, *more: str) -> bool:
    """Whether a projection counts the rows that match `query` by the columns `more`."""
    texts = query.q or query.without_q
    return query.report is API_REQUESTS and not texts and bool(projection(columns(query) | set(more)))


def whole(zone: ZoneInfo, since: dt.datetime, until: dt.datetime) -> bool:
    """Whether the zone's clocks differ from UTC by whole hours at any time between the two."""
    moments = [since + (until - since) * part / 400 for part in range(401)]
    return not any((moment.astimezone(zone).utcoffset() or dt.timedelta()) % HOUR for moment in moments)


def prefer(names: Collection[str]) -> dict[str, str]:
    """Settings for a query of the projection by these columns, so that ClickHouse need not weigh the others."""
    name = projection(names)
    return {"preferred_optimize_projection_name": name} if name else {}


def counted(query: Query, bind: Bind, *names: str, classes: Sequence[tuple[int, int]] = (), clause: str = "") -> str:
    """A subquery of the rows that match by `names`, columns or `hour`: these, and `rows`.

    The fewer names, the sooner it is there, also from the same projection.

    Args:
        classes: first and last status of each, such as 200 and 299, whose rows are counted as `class0`, `class1`, ….
        clause: a SETTINGS clause, where the whole query has other settings.
    """
    tests = [condition.sql(bind) for condition in query.conditions if not _failed(condition)]
    failed = any(map(_failed, query.conditions))
    rows = "countIf(status_code >= 400)" if failed else "count()"  # as in the projections
    selected = ["toStartOfHour(requested_at) AS hour" if name == "hour" else name for name in names]
    by_class = [
        f"{'0' if failed and last < 400 else f'countIf(status_code BETWEEN {first} AND {last})'} AS class{number}"
        for number, (first, last) in enumerate(classes)
    ]
    groups = f"GROUP BY {', '.join(names)}" if names else ""
    parts = [
        f"SELECT {', '.join([*selected, f'{rows} AS rows', *by_class])} FROM {source} {groups} {clause}"
        for source in sources(query.since, query.until, tests, bind)
    ]
    return f"({' UNION ALL '.join(parts)})"


def by_hour(clickhouse: ClickHouse, query: Query) -> list[tuple[dt.datetime, int]]:
    """The hours (UTC) with rows that match, and how many, in the query's order. For a query that is `covered`.

    Sorted by another column than the time, by which it must be covered, these are the hours of each value.
    """
    column, direction = query.sort_column.name, "DESC" if query.descending else "ASC"
    by_time = column == query.report.time_column
    names = () if by_time else (column,)
    order = f"start {direction}" if by_time else f"{column} {direction}, start DESC"
    parameters: dict[str, str | bytes] = {}
    found = clickhouse.query(
        f"SELECT toUnixTimestamp(hour) AS start, sum(rows) FROM {counted(query, binder(parameters), 'hour', *names)} "
        f"GROUP BY {', '.join(('start', *names))} HAVING sum(rows) > 0 ORDER BY {order}",
        parameters,
        **prefer(columns(query) | set(names)),
    )
    return [(dt.datetime.fromtimestamp(start, dt.UTC), rows) for start, rows in found]


def by_value(clickhouse: ClickHouse, query: Query, most: int) -> list[tuple[bytes, int]]:
    """The first values, as text, that rows are sorted by, and how many have each. For a query `covered` by them."""
    value, direction = query.sort_column.name, "DESC" if query.descending else "ASC"
    parameters: dict[str, str | bytes] = {}
    found = clickhouse.query(
        f"SELECT toString({value}), sum(rows) FROM {counted(query, binder(parameters), value)} "
        f"GROUP BY {value} HAVING sum(rows) > 0 ORDER BY {value} {direction} LIMIT {{most:UInt32}}",
        {**parameters, "most": most},
        **prefer(columns(query) | {value}),
    )
    return [(text, rows) for text, rows in found]


def count(clickhouse: ClickHouse, query: Query, **limits: float) -> int:
    """How many rows match. For a query that is `covered`; `limits` as in `ClickHouse.query`."""
    parameters: dict[str, str | bytes] = {}
    sql = f"SELECT sum(rows) FROM {counted(query, binder(parameters))}"
    return int(clickhouse.query(sql, parameters, **prefer(columns(query)), **limits)[0][0])


def sources(since: dt.datetime | None, until: dt.datetime | None, tests: Sequence[str], bind: Bind) -> list[str]:
    """What requests between `since` (included) and `until` that pass `tests` are read from.

    First those of whole hours, then those of the parts of an hour left, if there are any.
    """
    since = None if since is None or since <= _EPOCH else since
    until = None if until is None or until >= _LATEST else until
    first, last = _next_hour(since) if since else None, until - (until - _EPOCH) % HOUR if until else None
    if first and last and first >= last:
        return [requests(tests, bind, (since, until))]
    hours = [*time_range("toStartOfHour(requested_at)", first, last, bind), *tests]
    edges = [edge for edge in ((since, first), (last, until)) if edge[0] and edge[0] != edge[1]]
    rest = [requests(tests, bind, *edges)] if edges else []
    return [f"{API_REQUESTS.table} WHERE {' AND '.join(hours) or '1'}", *rest]


def requests(tests: Sequence[str], bind: Bind, *ranges: tuple[dt.datetime | None, dt.datetime | None]) -> str:
    """A subquery of the requests themselves that pass `tests` in any of the ranges, which may lack a limit."""
    within = [" AND ".join(time_range("requested_at", *limits, bind)) or "1" for limits in ranges]
    return matching(API_REQUESTS.table, " AND ".join([f"({' OR '.join(within)})", *tests]))


def _failed(condition: Condition) -> bool:
    """Whether it is that of requests that failed, of which all projections have the number."""
    return (condition.column.name, condition.values, condition.negated) == ("status_code", (">=400",), False)


def _next_hour(moment: dt.datetime) -> dt.datetime:
    return moment + -(moment - _EPOCH) % HOUR
