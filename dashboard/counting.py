"""How many rows match: exactly where that is cheap or in time, else at least how many."""

# ruff: noqa: S608 (names in SQL text come from columns.py; values are always parameters)
from __future__ import annotations

from dataclasses import dataclass

from dashboard import hours
from dashboard.clickhouse import ClickHouse, QueryTooSlow
from dashboard.filters import Query

#: As many are counted where counting all takes too long.
MOST = 100_000


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
    condition, parameters = query.where()
    matching = f"FROM {query.report.table} {f'WHERE {condition}' if condition else ''}"
    limits = {} if seconds is None else {"max_execution_time": seconds}
    try:
        return Count(clickhouse.query(f"SELECT count() {matching}", parameters, **limits)[0][0])
    except QueryTooSlow:
        if seconds is None:
            raise
    found = clickhouse.query(f"SELECT count() FROM (SELECT 1 {matching} LIMIT {MOST + 1})", parameters, **limits)
    return Count(min(found[0][0], MOST), found[0][0] > MOST)
