"""Facets: the most frequent values of the columns that a result is narrowed down by."""

# ruff: noqa: S608 (names in SQL text come from columns.py; values are always parameters)
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dashboard import hours, rows
from dashboard.clickhouse import ClickHouse
from dashboard.columns import ADMIN_CHANGES, API_REQUESTS, Column
from dashboard.conditions import exact
from dashboard.filters import MAX_LENGTH, Query, binder

#: Values shown of each facet.
MOST_VALUES = 10
#: Rows looked at, the newest of the result.
MOST_ROWS = 1_000_000
#: So many are looked at in one pass sooner than the projections of all facets are asked.
FEW_ROWS = 300_000
SECONDS = 4

FACETS = {
    API_REQUESTS.name: ("user", "method", "status_code", "route", "view", "host", "object_type", "action"),
    ADMIN_CHANGES.name: ("user", "action", "model", "changed_fields"),
}


@dataclass(frozen=True, slots=True)
class Value:
    """A value and how many rows have it; `parameter` asks for it in a URL, None where no URL can hold it."""

    text: str
    count: int
    parameter: str | None


@dataclass(frozen=True, slots=True)
class Facet:
    """A column's values, the most frequent first; `more` says that there are others."""

    column: Column
    values: list[Value]
    more: bool


@dataclass(frozen=True, slots=True)
class Facets:
    """The facets of a result. `rows` were looked at: all of them unless `bounded`."""

    facets: list[Facet]
    rows: int
    bounded: bool


def read(clickhouse: ClickHouse, query: Query) -> Facets:
    """The facets of all rows of a result, or, if it is filtered, of the newest million of them.

    Raises:
        StoreError: no answer within 4 s.
    """
    wanted = [query.report.by_name[name] for name in FACETS[query.report.name]]
    if not query.conditions and all(hours.covered(query, column.name) for column in wanted):
        total = hours.count(clickhouse, query, max_execution_time=SECONDS)
        if total > FEW_ROWS:
            return _all_rows(clickhouse, query, wanted, total)
    condition, parameters = query.where()
    where = f"WHERE {condition}" if condition else ""

    def ask(names: Sequence[str], select: str, groups: str, by: str) -> Sequence[Sequence[Any]]:
        return clickhouse.query(
            f"SELECT {select}, count() AS times FROM ("
            f"SELECT {', '.join(names)} FROM {query.report.table} {where} "
            f"ORDER BY {query.report.time_column} DESC LIMIT {{rows:UInt32}}"
            f") GROUP BY {groups} ORDER BY times DESC, {select} LIMIT {{values:UInt8}} BY {by}",
            {**parameters, "rows": MOST_ROWS, "values": MOST_VALUES + 1},
            max_execution_time=SECONDS,
            # Reading in the table's order pays only where few rows are looked at.
            optimize_read_in_order=0 if condition else 1,
        )

    plain = [column.name for column in wanted if column.kind != "array"]
    found: dict[str, list[tuple[Any, int]]] = {column.name: [] for column in wanted}
    total = 0
    # One pass for all columns; the empty set is all rows.
    sets = ", ".join(f"({name})" for name in [*plain, ""])
    of = [f"grouping({name})" for name in plain]
    for row in ask(plain, ", ".join(of + plain), f"GROUPING SETS ({sets})", ", ".join(of)):
        if 0 in row[: len(plain)]:
            place = row.index(0)
            found[plain[place]].append((row[len(plain) + place], row[-1]))
        else:
            total = row[-1]
    for name in (column.name for column in wanted if column.kind == "array"):
        # The constant, since a LIMIT BY needs something.
        found[name] = [(value, times) for value, _, times in ask([name], f"arrayJoin({name}) AS item, 1", "item", "1")]
    return Facets([_facet(column, found[column.name]) for column in wanted], total, total >= MOST_ROWS)


def _all_rows(clickhouse: ClickHouse, query: Query, wanted: Sequence[Column], total: int) -> Facets:
    """The facets of all `total` rows, from the projections."""
    parameters: dict[str, str | bytes] = {}
    bind = binder(parameters)
    parts = []
    for place, column in enumerate(wanted):
        clause = clickhouse.clause(hours.prefer([column.name]))
        source = hours.counted(query, bind, column.name, clause=clause)
        parts.append(
            f"SELECT {place} AS place, toString({column.name}) AS value, sum(rows) AS times FROM {source} "
            f"GROUP BY value ORDER BY times DESC, value LIMIT {MOST_VALUES + 1}"
        )
    found = clickhouse.query(" UNION ALL ".join(parts), parameters, max_execution_time=SECONDS)
    by_place: dict[int, list[tuple[Any, int]]] = {place: [] for place in range(len(wanted))}
    for place, value, times in found:
        by_place[place].append((value, times))
    return Facets([_facet(column, by_place[place]) for place, column in enumerate(wanted)], total, bounded=False)


def _facet(column: Column, found: Sequence[tuple[Any, int]]) -> Facet:
    values = [Value(rows.text(value), count, _parameter(column, value)) for value, count in found]
    return Facet(column, values[:MOST_VALUES], len(values) > MOST_VALUES)


def _parameter(column: Column, value: Any) -> str | None:
    """A filter's value that only rows with `value` match."""
    text = rows.text(value)
    if column.kind == "number":
        return text
    if isinstance(value, bytes) and text.encode(errors="replace") != value:
        return None
    parameter = exact(text)
    return None if "\0" in text or len(parameter) > MAX_LENGTH else parameter
