"""What makes the slow ones slow: values that the slowest rows of a result have more often than its other rows."""

# ruff: noqa: S608 (names in SQL text come from columns.py; values are always parameters)
from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from dashboard import conditions, rows
from dashboard.clickhouse import ClickHouse, matching
from dashboard.columns import API_REQUESTS
from dashboard.conditions import Condition, exact
from dashboard.filters import KINDS, MAX_LENGTH, Problems, Query, binder

#: Rows looked at, the newest of the result.
MOST_ROWS = 1_000_000
SECONDS = 6
QUANTILE = 0.95
#: A value counts only if so many of the slow rows have it, and if chance would hardly ever give such a difference
#: (two shares compared, in standard errors; many values are tried, so more than the usual 2).
LEAST_COUNT = 10
LEAST_SCORE = 4.0
MOST_VALUES = 15
_CANDIDATES = 30

_DURATION = API_REQUESTS.by_name["response_ms"]
_KIB = 1024
#: Upper limits of the classes of a payload's size, in bytes; the last class has none.
SIZES = (0, _KIB, 10 * _KIB, 100 * _KIB, 1024 * _KIB)

#: What is compared, with its SQL. `{zone}` stands for the zone's placeholder.
DIMENSIONS = {
    "user": "user",
    "route": "route",
    "method": "method",
    "host": "host",
    "view": "if(view = '', '', concat(view, if(view_method = '', '', concat('.', view_method))))",
    "status_code": "toString(status_code)",
    "hour": "toString(toHour(requested_at, {zone}))",
    "object": "if(object_type = '' OR object_id = '', '', concat(object_type, '/', object_id))",
    "data": f"toString(arrayFirstIndex(limit -> data_size <= limit, {list(SIZES)}))",
    "response": f"toString(arrayFirstIndex(limit -> response_size <= limit, {list(SIZES)}))",
}
_READ = (
    "requested_at, response_ms, user, route, method, host, view, view_method, status_code, object_type, object_id, "
    # ClickHouse reads the sizes alone; for `length` it would read the texts, since they are in an index.
    "data.size AS data_size, response.size AS response_size"
)
#: Empty says nothing here.
_NEEDS_VALUE = ("view", "object")


@dataclass(frozen=True, slots=True)
class Standout:
    """A value that the slow rows have more often.

    Args:
        value: as text; for `data` and `response` the class of the size, counted from 1 (see `SIZES`) with 0 for the
            last one; for `object` type and id with a slash between them.
        slow: slow rows with the value; `others`: other rows with it.
        filters: query parameters that leave the rows with the value; empty where none can.
    """

    dimension: str
    value: str
    slow: int
    others: int
    slow_share: float
    other_share: float
    filters: tuple[tuple[str, str], ...]

    @property
    def lift(self) -> float | None:
        """How many times as frequent among the slow ones; None if the others never have it."""
        return self.slow_share / self.other_share if self.other_share else None


@dataclass(frozen=True, slots=True)
class Contrast:
    """The values that stand out, the largest difference of shares first.

    Args:
        rows: how many were looked at: all of the result unless `bounded`.
        slow: how many of them count as slow.
        limit: ms that a slow one takes more than; None where a range was chosen.
        fast_p50: median of the others in ms, None without others; `slow_p50` likewise.
    """

    rows: int
    bounded: bool
    slow: int
    limit: float | None
    slow_p50: float | None
    fast_p50: float | None
    standouts: list[Standout]


def check(slow: str | None, query: Query, problems: Problems) -> None:
    """Note in `problems` a parameter `slow` that is no number or comparison."""
    try:
        if slow is not None:
            conditions.check(_DURATION, slow, query.zone)
    except ValueError:
        problems.add("slow", slow or "", KINDS["number"])


def read(clickhouse: ClickHouse, query: Query, slow: str | None = None) -> Contrast:
    """Compare the slow rows of a result, or of the newest million of its rows, with the others.

    Args:
        slow: which are slow, as a filter on response_ms (`>=2000`, `100..200`); those above the result's 95th
            percentile unless given.

    Raises:
        StoreError: no answer within 6 s.
    """
    earliest, looked_at, high = _beginning(clickhouse, query)
    if not looked_at:
        return Contrast(0, False, 0, None, None, None, [])
    bounded = looked_at >= MOST_ROWS
    # Which rows those are needs no sorting any more; others of the earliest millisecond may be among them.
    condition, parameters = (replace(query, since=earliest) if bounded else query).where()
    bind = binder(parameters)
    if slow is None:
        test = f"response_ms > {bind(repr(high), 'Float64')}"
    else:
        test = Condition(_DURATION, (slow,), False, query.zone).sql(bind)

    def ask(sql: str) -> Sequence[Sequence[Any]]:
        return clickhouse.query(sql, parameters, max_execution_time=SECONDS)

    total, slow_total, *medians = ask(
        f"SELECT count(), countIf({test}), quantileExactIf(0.5)(response_ms, {test}), "
        f"quantileExactIf(0.5)(response_ms, NOT {test}) FROM {matching(API_REQUESTS.table, condition)}"
    )[0]
    zone = bind(query.zone.key, "String")
    keys = [f"d_{name}" for name in DIMENSIONS]
    dimensions = [f"{sql.replace('{zone}', zone)} AS d_{name}" for name, sql in DIMENSIONS.items()]
    marks = ", ".join(f"grouping({key})" for key in keys)
    # Keys that a row is not grouped by are empty; the totals are grouped by none.
    found = ask(
        f"SELECT {list(DIMENSIONS)}[indexOf([{marks}], 0)] AS dimension, concat({', '.join(keys)}) AS value, "
        "countIf(is_slow) AS slow, countIf(NOT is_slow) AS others "
        f"FROM (SELECT {test} AS is_slow, {', '.join(dimensions)} "
        f"FROM {matching(API_REQUESTS.table, condition, _READ)}) "
        f"GROUP BY GROUPING SETS ({', '.join(f'({key})' for key in keys)}, ()) HAVING slow >= {LEAST_COUNT} "
        f"ORDER BY slow / {max(1, slow_total)} - others / {max(1, total - slow_total)} DESC "
        f"LIMIT {bind(_CANDIDATES, 'UInt8')} BY dimension"
    )
    # The totals come with the values: rows go on arriving, and a value may have more of them than all had a query ago.
    # Without any there are too few slow ones for a value.
    totals = next((row[-2:] for row in found if not row[0]), (0, 0))
    standouts = []
    for dimension, value, slow_rows, others in found:
        one = _standout(rows.text(dimension), value, slow_rows, others, *totals) if dimension else None
        if one and not (one.dimension in _NEEDS_VALUE and not one.value):
            standouts.append(one)
    standouts.sort(key=lambda one: (one.other_share - one.slow_share, one.dimension, one.value))
    slow_p50, fast_p50 = map(_finite, medians)
    limit = high if slow is None else None
    return Contrast(total, bounded, slow_total, limit, slow_p50, fast_p50, standouts[:MOST_VALUES])


def _beginning(clickhouse: ClickHouse, query: Query) -> tuple[dt.datetime, int, float]:
    """Of the newest rows that are looked at: the earliest time, how many, and the duration (ms) that is slow."""
    condition, parameters = query.where()
    bare = not (query.conditions or query.q or query.without_q)
    found = clickhouse.query(
        f"SELECT min(requested_at), count(), quantileExact({QUANTILE})(response_ms) "
        f"FROM (SELECT requested_at, response_ms FROM {API_REQUESTS.table} "
        f"{f'WHERE {condition}' if condition else ''} ORDER BY requested_at DESC LIMIT {MOST_ROWS})",
        parameters,
        max_execution_time=SECONDS,
        # Where rows are left out on the way, sorting all of them is sooner done.
        optimize_read_in_order=int(bare),
    )
    earliest, count, high = found[0]
    return earliest, count, high


def _standout(name: str, value: Any, slow: int, others: int, slow_total: int, other_total: int) -> Standout | None:
    """None unless there is evidence that the slow ones have the value more often."""
    if slow < LEAST_COUNT or not other_total or score(slow, slow_total, others, other_total) < LEAST_SCORE:
        return None
    return Standout(
        name, rows.text(value), slow, others, slow / slow_total, others / other_total, tuple(_filters(name, value))
    )


def score(slow: int, slow_total: int, others: int, other_total: int) -> float:
    """By how many standard errors the share among the slow ones is larger than that among the others."""
    share = (slow + others) / (slow_total + other_total)
    error = math.sqrt(share * (1 - share) * (1 / slow_total + 1 / other_total))
    return (slow / slow_total - others / other_total) / error if error else 0.0


def _filters(name: str, value: Any) -> Sequence[tuple[str, str]]:
    text = rows.text(value)
    if isinstance(value, bytes) and text.encode(errors="replace") != value:
        return ()
    if name == "status_code":
        return ((name, text),)
    pairs: Sequence[tuple[str, str]]
    if name in ("user", "route", "method", "host"):
        pairs = ((name, exact(text)),)
    elif name == "object":
        kind, _, object_id = text.partition("/")
        pairs = (("object_type", exact(kind)), ("object_id", exact(object_id)))
    else:
        return ()
    return () if "\0" in text or len(exact(text)) > MAX_LENGTH else pairs


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
