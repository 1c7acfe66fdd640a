"""All rows of a result, however many: one query after another, each behind the last row of the one before."""

# ruff: noqa: S608 (names in SQL text come from columns.py; values are always parameters)
from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from dashboard import blocks, ordering
from dashboard.blocks import Block
from dashboard.clickhouse import ClickHouse, ResultTooLarge
from dashboard.filters import Query, binder

#: What is read at a time, at most; fewer rows where they are large.
ROWS = 100_000
BYTES = 16 * 1024**2
#: The same in another order than that of time, in which each query passes over all rows: held compressed.
SORTED_ROWS = 1_000_000
SORTED_BYTES = 128 * 1024**2
FIRST_ROWS = 1000
#: The next rows are looked for within so many times the time that they probably take, and only then in all: ClickHouse
#: begins to read every part of the table that may hold some.
REACH = 2
MOST_REACH = dt.timedelta(days=1000)
# Sorted rows come in one piece; joined with one value each, in the same order, but in pieces of `max_block_size`.
_PIECES = "SELECT * EXCEPT one FROM ({}) ARRAY JOIN [1] AS one"
# However many rows are wanted, their keys are found first, and the other columns read of those rows alone.
_SETTINGS = {"max_block_size": 8192, "query_plan_max_limit_for_lazy_materialization": SORTED_ROWS}


def read(clickhouse: ClickHouse, query: Query) -> Iterator[Block]:
    """All rows that match, in the order of the pages, with at least the query's columns; JSON columns as text.

    Neither a slow reader nor a large result runs into a limit. Memory is bounded by blocks of 16 MiB, or one row; in
    another order than that of time, by 128 MiB of rows as well, which take a fraction of that.

    Raises:
        StoreError: no answer.
    """
    place_names = (query.report.time_column, *ordering.TIES)
    others = (query.report.by_name[name] for name in place_names if query.report.by_name[name] not in query.columns)
    columns = (*query.columns, *others)
    # Their own names would stand for these expressions in the conditions, too.
    expressions = [*map(blocks.selected, columns), f"toString({ordering.key(query.sort_column)})"]
    selected = ", ".join(f"{expression} AS c{number}" for number, expression in enumerate(expressions))
    condition, parameters = query.where()
    timed = query.sort_column.name == query.report.time_column
    most_rows, most_bytes = (ROWS, BYTES) if timed else (SORTED_ROWS, SORTED_BYTES)
    place: list[Any] | None = None
    limit = FIRST_ROWS
    reach: dt.timedelta | None = None
    while True:
        values: dict[str, str | bytes] = dict(parameters)
        tests = [condition] if condition else []
        if place is not None:
            tests.append(ordering.behind(query, place, binder(values), reach=reach))
        try:
            sql = (
                f"SELECT {selected} FROM {query.report.table} WHERE {' AND '.join(tests) or '1'} "
                f"ORDER BY {ordering.clause(query)} LIMIT {{limit:UInt32}}"
            )
            batches = clickhouse.arrow(
                sql if timed else _PIECES.format(sql),
                {**values, "limit": limit},
                packed=not timed,
                **({"max_result_bytes": most_bytes} if limit > 1 else {}),
                **{**ordering.reading(query), **_SETTINGS},
            )
        except ResultTooLarge:
            if limit == 1:
                raise
            limit = max(1, limit // 4)
            continue
        before, count, size = place, 0, 0
        for found in _tables(batches):
            block = Block.of(columns, found)
            key = found.columns[-1][-1:].cast(pa.binary())[0].as_py()
            text = ordering.key_type(query.sort_column) == "String"  # need not be UTF-8
            place = [key if text else key.decode(), *(block.last(name) for name in place_names)]
            count, size = count + found.num_rows, size + found.nbytes
            yield block
        if count < limit:
            if reach is None:
                return
            reach = None
            continue
        # Less than what would fit: rows differ in size.
        fitting = most_bytes * 3 // 4 * count // (size + 1)
        limit = max(1, min(limit * 8 if timed else most_rows, most_rows, fitting))
        if before and place and timed:
            reach = min(abs(place[1] - before[1]) * (REACH * limit / count), MOST_REACH)


def _tables(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The batches, as many in a table as make a block."""
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        held.append(batch)
        size += batch.nbytes
        if size >= BYTES:
            yield pa.Table.from_batches(held)
            held, size = [], 0
    if any(batch.num_rows for batch in held):
        yield pa.Table.from_batches(held)
