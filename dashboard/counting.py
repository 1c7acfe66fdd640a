"""How many rows match: exactly where that is cheap or in time, else at least how many."""

# ruff: noqa: S608 (names in SQL text come from columns.py; values are always parameters)
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dashboard import hours, lookups, paging
from dashboard.clickhouse import AHEAD, UNPROJECTED, ClickHouse, QueryTooSlow, matching
from dashboard.columns import API_REQUESTS
from dashboard.filters import Query

#: As many are counted where counting all takes too long.
MOST = 100_000
#: Of a short text that so many of the newest rows have, only so many are counted.
COMMON, SAMPLE = 100, 20_000
MOST_COMMON = 10_000
#: Given up after 50 ms if it seems to take longer than a second; ClickHouse knows no shorter time here.
IN_TIME = {"timeout_before_checking_execution_speed": 0.05, "max_estimated_execution_time": 1}


@dataclass(frozen=True, slots=True)
class Count:
    """`rows` match; with `more`, at least so many."""

    rows: int
    more: bool = False


def read(clickhouse: ClickHouse, query: Query, seconds: float | None = None) -> Count:
    """Count the rows that match.

    Args:
        seconds: longest that counting all may take, and then that counting `MOST` may; None for as long as any
            query, all of them.

    Raises:
        QueryTooSlow: neither was done in time.
        StoreError: no answer.
    """
    if seconds is None:
        return _all(clickhouse, query)
    limits = {"max_execution_time": seconds}
    if _common(clickhouse, query, limits):
        return _part(clickhouse, query, MOST_COMMON, limits)
    try:
        return _all(clickhouse, query, **limits)
    except QueryTooSlow:
        return _part(clickhouse, query, MOST, limits)


def at_once(clickhouse: ClickHouse, query: Query, seconds: float) -> Count | None:
    """Count the rows that match, if that takes no longer than so many seconds; 0 for only what the hours know.

    Raises:
        StoreError: no answer.
    """
    if not seconds and not hours.covered(query):
        return None
    limits = {"max_execution_time": seconds}
    try:
        if _common(clickhouse, query, limits):
            return _part(clickhouse, query, MOST_COMMON, limits)
        # ClickHouse looks at the time only when it is done with an index.
        if paging.common(clickhouse, query, **limits):
            return None
        return _all(clickhouse, query, **limits, **IN_TIME)
    except QueryTooSlow:
        return None


def _all(clickhouse: ClickHouse, query: Query, **limits: float) -> Count:
    if hours.covered(query):
        return Count(hours.count(clickhouse, query))
    condition, parameters = query.where(indexed=not lookups.known(query))
    alone = query.searches and len(query.conditions) + len(query.q) + len(query.without_q) == 1
    # How many rows a table has, or one value of a field, ClickHouse knows without reading them.
    source, settings = query.report.table, AHEAD
    if condition and alone:
        source, settings = f"{source} WHERE {condition}", {**AHEAD, **UNPROJECTED}
    elif condition:
        source = matching(source, condition, "1")
    return Count(clickhouse.query(f"SELECT count() FROM {source}", parameters, **settings, **limits)[0][0])


def _common(clickhouse: ClickHouse, query: Query, limits: Mapping[str, float]) -> bool:
    if query.report is not API_REQUESTS or not paging.short(query):
        return False
    return len(paging.first(clickhouse, query, COMMON, SAMPLE, **limits)) == COMMON


def _part(clickhouse: ClickHouse, query: Query, most: int, limits: Mapping[str, float]) -> Count:
    condition, parameters = query.where(indexed=False)
    where = f"WHERE {condition}" if condition else ""
    found = clickhouse.query(
        f"SELECT count() FROM (SELECT 1 FROM {query.report.table} {where} LIMIT {most + 1})", parameters, **limits
    )
    return Count(min(found[0][0], most), found[0][0] > most)
