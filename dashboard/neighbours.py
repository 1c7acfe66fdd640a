"""The rows before and behind a row, in the order of a list."""

# ruff: noqa: S608 (names in SQL text come from columns.py; values are always parameters)
from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dashboard import conditions, hours, ordering
from dashboard.clickhouse import ClickHouse
from dashboard.conditions import any_of, at
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
    beside = _in_time if query.sort_column.name == query.report.time_column else _in_order
    return beside(clickhouse, query, place, back=True), beside(clickhouse, query, place, back=False)


def _place(clickhouse: ClickHouse, query: Query, item: Item) -> Sequence[Any] | None:
    """The row's sort key, time and `ordering.TIES`; None if the key had to be looked up and the row is gone."""
    own = {name: item[name] for name in (query.report.time_column, *ordering.TIES)}
    if query.sort_column.name in own or query.sort_column.kind == "number":
        return [item[query.sort_column.name], *own.values()]
    parameters: dict[str, str | bytes] = {}
    bind = binder(parameters)
    types = (conditions.TIME, *ordering.TIE_TYPES)
    tests = [f"{name} = {bind(value, kind)}" for (name, value), kind in zip(own.items(), types, strict=True)]
    found = clickhouse.query(
        f"SELECT {ordering.key(query.sort_column)} FROM {query.report.table} WHERE {' AND '.join(tests)} LIMIT 1",
        parameters,
    )
    return [found[0][0], *own.values()] if found else None


def _in_time(clickhouse: ClickHouse, query: Query, place: Sequence[Any], *, back: bool) -> str | None:
    condition, parameters = query.where()
    for reach in (*REACHES, None):
        values: dict[str, str | bytes] = dict(parameters)
        tests = [condition] if condition else []
        tests.append(ordering.behind(query, place, binder(values), back=back, reach=reach))
        if found := _first(clickhouse, query, "event_id", tests, values, ordering.clause(query, back=back)):
            return str(found[0])
    return None


def _in_order(clickhouse: ClickHouse, query: Query, place: Sequence[Any], *, back: bool) -> str | None:
    """Sorted by another column: when the next one was, then which it is, of the rows of that time and the row's own.

    Of few values, the row's own most likely has the next one, too.
    """
    if hours.covered(query, query.sort_column.name) and (own := _of_value(clickhouse, query, place, back=back)):
        return own
    condition, parameters = query.where()
    tests = [ordering.behind(query, place[:2], binder(parameters), back=back), *filter(None, [condition])]
    order = ordering.clause(query, back=back, unique=False)
    times = [place[1], *_first(clickhouse, query, query.report.time_column, tests, parameters, order)]
    condition, parameters = query.where(indexed=False)
    bind = binder(parameters)
    tests = [at(query.report.time_column, times, bind), ordering.behind(query, place, bind, back=back)]
    tests += filter(None, [condition])
    found = _first(clickhouse, query, "event_id", tests, parameters, ordering.clause(query, back=back))
    return str(found[0]) if found else None


def _of_value(clickhouse: ClickHouse, query: Query, place: Sequence[Any], *, back: bool) -> str | None:
    """The next one of those that have the row's own value, of which the newest are first."""
    value, moment, *ties = place
    condition = any_of(query.sort_column, [value if isinstance(value, bytes) else str(value).encode()], query.zone)
    if condition is None:
        return None
    alike = replace(query, conditions=(*query.conditions, condition), sort=f"-{query.report.time_column}")
    return _in_time(clickhouse, alike, [moment, moment, *ties], back=back)


def _first(
    clickhouse: ClickHouse,
    query: Query,
    name: str,
    tests: Sequence[str],
    parameters: Mapping[str, str | bytes],
    order: str,
) -> Sequence[Any]:
    """A column of the first row; empty where there is none."""
    found = clickhouse.query(
        f"SELECT {name} FROM {query.report.table} WHERE {' AND '.join(tests)} ORDER BY {order} LIMIT 1",
        parameters,
        max_execution_time=SECONDS,
        **ordering.reading(query),
    )
    return found[0] if found else ()
