"""The order of the rows of a report, in which every row has a place of its own, and the rows behind a place."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from dashboard import conditions
from dashboard.columns import Column
from dashboard.filters import Query, time_range

#: What makes the place of a row unique among those of the same time.
TIES = ("event_id", "kafka_partition", "kafka_offset")
TIE_TYPES = ("UUID", "Int32", "Int64")
# Texts are sorted by their beginning: enough for people, and it bounds what a place takes.
_SORTED_BYTES = 200


def key(column: Column) -> str:
    """What of a column rows are sorted by, in SQL."""
    return f"substring({column.name}, 1, {_SORTED_BYTES})" if column.kind == "text" else column.name


def clause(query: Query, *, back: bool = False, unique: bool = True) -> str:
    """The chosen column, then newest first, then what makes every row's place unique; `back` is the other way round.

    Args:
        unique: whether places are to be unique; that reads three more columns of all rows that are sorted.
    """
    newest = [query.report.time_column, *(TIES if unique else ())]
    direction = "DESC" if query.descending != back else "ASC"
    if query.sort_column.name == query.report.time_column:
        return ", ".join(f"{name} {direction}" for name in newest)
    ties = "ASC" if back else "DESC"
    return f"{key(query.sort_column)} {direction}, " + ", ".join(f"{name} {ties}" for name in newest)


def reading(query: Query, *, beginning: bool = True) -> Mapping[str, int]:
    """Settings: reading in the table's order pays where only the `beginning` is read: then in small blocks.

    Elsewhere sorting the keys and fetching the other columns of the chosen rows alone is many times faster.
    """
    if beginning and query.sort_column.name == query.report.time_column:
        return {"optimize_read_in_order": 1, "max_block_size": 1024}
    return {"optimize_read_in_order": 0}


def behind(
    query: Query,
    place: Sequence[Any],
    bind: conditions.Bind,
    *,
    back: bool = False,
    reach: dt.timedelta | None = None,
) -> str:
    """An SQL test for the rows behind the one at `place` in the query's order, or before it with `back`.

    Args:
        place: the row's sort key, time and `TIES`; without the latter, rows that are alike in key and time are not
            behind one another.
        reach: sorted by time, only those that are no further away.
    """
    value, moment, *others = place
    time_column = query.report.time_column
    newest = f"({', '.join((time_column, *TIES[: len(others)]))})"
    ties = f"({', '.join(map(bind, (moment, *others), (conditions.TIME, *TIE_TYPES)))})"
    sign = "<" if query.descending != back else ">"
    column = query.sort_column
    if column.name == time_column:
        far = {"<": moment - reach, ">": moment + reach}[sign] if reach else None
        bound = {"<": (far, moment + dt.timedelta(milliseconds=1)), ">": (moment, far)}[sign]
        return " AND ".join([*time_range(time_column, *bound, bind), f"{newest} {sign} {ties}"])
    bound_value, sort_key = bind(value, key_type(column)), key(column)
    newer = ">" if back else "<"
    return f"({sort_key} {sign} {bound_value} OR ({sort_key} = {bound_value} AND {newest} {newer} {ties}))"


def key_type(column: Column) -> str:
    """The type in ClickHouse of what a column is sorted by."""
    types = {"number": "Int64" if column.integer else "Float64", "time": conditions.TIME, "address": "IPv6"}
    return types.get(column.kind, "UUID" if column.kind == "uuid" else "String")
