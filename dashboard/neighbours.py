"""The rows before and behind a row, in the order of a list."""

# ruff: noqa: S608 (names in SQL text come from columns.py; values are always parameters)
from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from dashboard import conditions, ordering
from dashboard.clickhouse import ClickHouse
from dashboard.filters import Query, binder
from dashboard.rows import Item

SECONDS = 2
#: A neighbour is first looked for so near to the row: ClickHouse begins to read every part of the table that may hold
#: it.
REACHES = (dt.timedelta(minutes=10), dt.timedelta(days=1), dt.timedelta(days=30))


def read(clickhouse: ClickHouse, query: Query, item: Item) -> tuple[str | None, str | None]:
    """The event ids of the rows before and behind a row in the query's order; None where there is none.

    Args:
        item: a row with all of its columns; it need not match the query.

    Raises:
        StoreError: no answer within 2 s.
    """
    place = _place(clickhouse, query, item)
    if place is None:
        return None, None
    return _beside(clickhouse, query, place, back=True), _beside(clickhouse, query, place, back=False)


def _place(clickhouse: ClickHouse, query: Query, item: Item) -> Sequence[Any] | None:
    """The row's sort key, time and `ordering.TIES`; None if it is gone."""
    own = {name: item[name] for name in (query.report.time_column, *ordering.TIES)}
    if query.sort_column.name in own:
        return [own[query.sort_column.name], *own.values()]
    parameters: dict[str, str | bytes] = {}
    bind = binder(parameters)
    types = (conditions.TIME, "UUID", "Int32", "Int64")
    tests = [f"{name} = {bind(value, kind)}" for (name, value), kind in zip(own.items(), types, strict=True)]
    found = clickhouse.query(
        f"SELECT {ordering.key(query.sort_column)} FROM {query.report.table} WHERE {' AND '.join(tests)} LIMIT 1",
        parameters,
    )
    return [found[0][0], *own.values()] if found else None


def _beside(clickhouse: ClickHouse, query: Query, place: Sequence[Any], *, back: bool) -> str | None:
    condition, parameters = query.where()
    by_time = query.sort_column.name == query.report.time_column
    for reach in (*REACHES, None) if by_time else (None,):
        values: dict[str, str | bytes] = dict(parameters)
        tests = [condition] if condition else []
        tests.append(ordering.behind(query, place, binder(values), back=back, reach=reach))
        ids = clickhouse.query(
            f"SELECT event_id FROM {query.report.table} WHERE {' AND '.join(tests)} "
            f"ORDER BY {ordering.clause(query, back=back)} LIMIT 1",
            values,
            max_execution_time=SECONDS,
            **ordering.reading(query),
        )
        if ids:
            return str(ids[0][0])
    return None
