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
    table, time_column = query.report.table, query.report.time_column
    found = clickhouse.query(
        f"SELECT {ordering.key(query.sort_column)}, {time_column}, {', '.join(ordering.TIES)} FROM {table} "
        f"WHERE {time_column} = {{time:{conditions.TIME}}} AND event_id = {{id:UUID}} "
        "AND kafka_partition = {partition:Int32} AND kafka_offset = {offset:Int64} LIMIT 1",
        {
            "time": conditions.bind_text(item[time_column]),
            "id": item["event_id"],
            "partition": item["kafka_partition"],
            "offset": item["kafka_offset"],
        },
    )
    if not found:
        return None, None
    return _beside(clickhouse, query, found[0], back=True), _beside(clickhouse, query, found[0], back=False)


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
