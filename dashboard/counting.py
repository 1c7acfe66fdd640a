"""How many rows match: exactly where that is cheap or in time, else at least how many."""

# ruff: noqa: S608 (names in SQL text come from columns.py; values are always parameters)
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dashboard import hours, lookups, paging
from dashboard.clickhouse import AHEAD, ClickHouse, QueryTooSlow, matching
from dashboard.columns import API_REQUESTS
from dashboard.filters import Query

#: As many are counted where counting all takes too long.
MOST = 100_000
#: A shorter text may be part of so many words that an index reads more than the rows have, or of none that it has: of
#: one that so many of the newest rows have, only so many are counted.
SHORT, COMMON, SAMPLE = 6, 100, 20_000
MOST_COMMON = 10_000


@dataclass(frozen=True, slots=True)
class Count:
    """`rows` match; with `more`, at least so many."""

    rows: int
    more: bool = False


def read(clickhouse: ClickHouse, query: Query, seconds: float | None = None) -> Count:
    """Count the rows that match.

    Args:
        seconds: longest that counting all may take, and then that counting `MOST` may; None for as long as any
            query, all of them; 0 for none of it.

    Raises:
        QueryTooSlow: neither was done in time.
        StoreError: no answer.
    """
    if hours.covered(query):
        return Count(hours.count(clickhouse, query))
    if seconds == 0:
        raise QueryTooSlow
    limits = {} if seconds is None else {"max_execution_time": seconds}
    if seconds is not None and _common(clickhouse, query, limits):
        return _part(clickhouse, query, MOST_COMMON, limits)
    condition, parameters = query.where(indexed=not lookups.known(query))
    # How many rows a table has, ClickHouse knows without reading them.
    source = matching(query.report.table, condition, "1") if condition else query.report.table
    try:
        return Count(clickhouse.query(f"SELECT count() FROM {source}", parameters, **AHEAD, **limits)[0][0])
    except QueryTooSlow:
        if seconds is None:
            raise
    return _part(clickhouse, query, MOST, limits)


def _common(clickhouse: ClickHouse, query: Query, limits: Mapping[str, float]) -> bool:
    if query.report is not API_REQUESTS or all(len(text) >= SHORT for text in query.q):
        return False
    return len(paging.first(clickhouse, query, COMMON, SAMPLE, **limits)) == COMMON


def _part(clickhouse: ClickHouse, query: Query, most: int, limits: Mapping[str, float]) -> Count:
    condition, parameters = query.where(indexed=False)
    where = f"WHERE {condition}" if condition else ""
    found = clickhouse.query(
        f"SELECT count() FROM (SELECT 1 FROM {query.report.table} {where} LIMIT {most + 1})", parameters, **limits
    )
    return Count(min(found[0][0], most), found[0][0] > most)
