"""Where in time the rows of a page lie, so that only these are read and sorted, however deep the page is."""

# ruff: noqa: S608 (names in SQL text come from columns.py; values are always parameters)
from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from dashboard import hours, lookups, ordering, searching
from dashboard.clickhouse import AHEAD, ClickHouse, QueryTooSlow
from dashboard.columns import API_REQUESTS
from dashboard.conditions import any_of, at
from dashboard.filters import Query, binder, time_range

#: Rows among which those of a page are looked for first, without any index; and so many if they seem to be enough.
FIRST_ROWS = 2048
MORE_ROWS = 10 * FIRST_ROWS
#: A text is short below so many characters; one that so many of the first rows have is in nearly every granule.
SHORT, COMMON = 6, 50
#: Longest that it is looked for without its index.
COMMON_SECONDS = 1
#: Of a deeper page the time of the last row is looked up, not those of all rows.
DEEPEST = 10_000
#: So far, the place of a row among all is found sooner in the rows than in the hours.
NEAR = 10_000
#: Most values that are asked for to find a page among them, and how long those of the page may be together.
MOST_VALUES = 10_000
MOST_BYTES = 10_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window:
    """Where the rows of a page are.

    Args:
        query: the page's query, perhaps in a part of its range.
        skip: rows there before those of the page.
        total: how many rows match on all pages, if that is known.
        times: of the rows of the page and those skipped, if they were looked up; no others need be read.
        empty: whether there are none.
    """

    query: Query
    skip: int
    total: int | None = None
    times: tuple[dt.datetime, ...] = ()
    empty: bool = False

    def where(self) -> tuple[str, dict[str, str | bytes]]:
        """The condition of the rows, and its parameters."""
        if not self.times:
            return self.query.where()
        condition, parameters = self.query.where(indexed=False)
        tests = [at(self.query.report.time_column, self.times, binder(parameters)), *filter(None, [condition])]
        return " AND ".join(tests), parameters

    def nearly(self) -> tuple[str, dict[str, str | bytes]]:
        """The condition of all rows of those times, and its parameters."""
        parameters: dict[str, str | bytes] = {}
        return at(self.query.report.time_column, self.times, binder(parameters)), parameters


def window(clickhouse: ClickHouse, query: Query) -> Window:
    """The part of the table that has the page's rows."""
    skip = (query.page - 1) * query.per_page
    end = skip + query.per_page
    if query.sort_column.name != query.report.time_column:
        return _in_order(clickhouse, query, skip, end)
    if query.report is API_REQUESTS and end <= NEAR and not query.where()[0]:
        return _reached(clickhouse, query, skip, end)
    if hours.covered(query):
        return _exact(clickhouse, query, skip, end)
    if query.report is not API_REQUESTS and not lookups.known(query):
        return Window(query, skip)
    if end <= DEEPEST:
        return _at(query, skip, end, _times(clickhouse, query, end))
    return Window(query, skip) if query.searches else _reached(clickhouse, query, skip, end)


def first(clickhouse: ClickHouse, query: Query, most: int, rows: int, **limits: float) -> list[dt.datetime]:
    """When the first rows that match were, at most so many, among the first so many of the range; without any index."""
    time, direction = query.report.time_column, "DESC" if query.descending else "ASC"
    order = f"ORDER BY {time} {direction}"
    condition, parameters = query.where(indexed=False)
    bounds = " AND ".join(time_range(time, query.since, query.until, binder(parameters)))
    found = clickhouse.query(
        f"SELECT {time} FROM (SELECT * FROM {query.report.table} {f'WHERE {bounds}' if bounds else ''} {order} "
        f"LIMIT {rows}) WHERE {condition} {order} LIMIT {{most:UInt32}}",
        {**parameters, "most": most},
        **{"optimize_read_in_order": 1, **limits},
    )
    return [row[0] for row in found]


def short(query: Query) -> bool:
    """Whether a text of the query may be a part of so many words that an index reads more than the rows have."""
    return any(len(text) < SHORT for text in query.q)


def common(clickhouse: ClickHouse, query: Query, **limits: float) -> bool:
    """Whether a filtered query has short texts that are in so many rows that their index leaves none out."""
    if query.report is not API_REQUESTS or not query.conditions or not short(query):
        return False
    texts = replace(query, conditions=())
    return len(first(clickhouse, texts, COMMON, FIRST_ROWS, **limits)) == COMMON


def _exact(clickhouse: ClickHouse, query: Query, skip: int, end: int) -> Window:
    wanted, before, total = _around(hours.by_hour(clickhouse, query), skip, end)
    if not wanted:
        return Window(query, skip, total, empty=True)
    return Window(_within(query, min(wanted), max(wanted)), skip - before, total)


def _in_order(clickhouse: ClickHouse, query: Query, skip: int, end: int) -> Window:
    """The page of a list in the order of another column than the time."""
    total = None
    if hours.covered(query, query.sort_column.name):
        groups = hours.by_value(clickhouse, query, MOST_VALUES + 1)
        if len(groups) <= MOST_VALUES:
            values, before, total = _around(groups, skip, end)
            if not values:
                return Window(query, skip, total, empty=True)
            if found := _of_values(clickhouse, query, values, skip - before, end - before):
                return replace(found, total=total)
    if end > DEEPEST:
        return Window(query, skip, total)
    found = _at(query, skip, end, _sorted(clickhouse, query, end))
    return found if total is None else replace(found, total=total)


def _of_values(clickhouse: ClickHouse, query: Query, values: Sequence[bytes], skip: int, end: int) -> Window | None:
    """The page among the rows that have one of these values, from the hours that it is in; None if it is not told."""
    condition = any_of(query.sort_column, values, query.zone) if sum(map(len, values)) <= MOST_BYTES else None
    if condition is None:
        return None
    query = replace(query, conditions=(*query.conditions, condition))
    found = hours.by_hour(clickhouse, query)
    wanted, before, _ = _around(found, skip, end)
    chosen = set(wanted)
    # An hour of the page may have rows of a value before it, too.
    place = 0
    for hour, rows in found:
        if place == before:
            break
        place += rows
        if hour not in chosen:
            skip, end = skip - rows, end - rows
    return _at(query, skip, end, _sorted(clickhouse, query, end, chosen)) if end <= DEEPEST else None


def _around(groups: Iterable[tuple[T, int]], skip: int, end: int) -> tuple[list[T], int, int]:
    """Those of the groups that have rows of a page, how many rows are before them, and how many in all."""
    wanted: list[T] = []
    before = place = 0
    for group, rows in groups:
        if place < end and place + rows > skip:
            before = before if wanted else place
            wanted.append(group)
        place += rows
    return wanted, before, place


def _at(query: Query, skip: int, end: int, times: Sequence[dt.datetime]) -> Window:
    """The page, of which the times of the rows up to its last are known, in its order."""
    total = len(times) if len(times) < end else None
    if len(times) <= skip:
        return Window(query, skip, total, empty=True)
    wanted = set(times[skip:])
    # Rows of the same millisecond as one of the page may be before it.
    before = [time for time in times[:skip] if time in wanted]
    return Window(query, len(before), total, (*before, *times[skip:]))


def _sorted(clickhouse: ClickHouse, query: Query, end: int, within: Collection[dt.datetime] = ()) -> list[dt.datetime]:
    """When the rows up to the page's last were, in the order of another column.

    Of rows that are alike in it the newest are first; what makes their places unique is read of the page's rows alone.

    Args:
        within: the hours to look in; all if there are none.
    """
    condition, parameters = query.where()
    if within:
        starts = binder(parameters)([int(hour.timestamp()) for hour in within], "Array(DateTime('UTC'))")
        condition = f"toStartOfHour({query.report.time_column}) IN {starts} AND {condition or '1'}"
    found = clickhouse.query(
        f"SELECT {query.report.time_column} FROM {query.report.table} {f'WHERE {condition}' if condition else ''} "
        f"ORDER BY {ordering.clause(query, unique=False)} LIMIT {{end:UInt32}}",
        {**parameters, "end": end},
        **ordering.reading(query),
    )
    return [row[0] for row in found]


def _times(clickhouse: ClickHouse, query: Query, end: int) -> list[dt.datetime]:
    """When the rows up to the page's last were, in the query's order.

    They are read in the table's order, with the columns of the conditions alone, and no further than the page. Reading
    and sorting what makes places unique, of all rows that match, takes many times as long.
    """
    looked_up = lookups.known(query)
    # The projections are in another order.
    settings = {"optimize_read_in_order": 0 if looked_up else 1}
    time, direction = query.report.time_column, "DESC" if query.descending else "ASC"

    def ask(where: tuple[str, dict[str, str | bytes]], **limits: float) -> list[dt.datetime]:
        found = clickhouse.query(
            f"SELECT {time} FROM {query.report.table} WHERE {where[0]} ORDER BY {time} {direction} "
            "LIMIT {end:UInt32}",
            {**where[1], "end": end},
            **settings,
            **limits,
        )
        return [row[0] for row in found]

    # Many pages are full with these; an index would be asked for all rows before the first is found.
    if looked_up or query.searches:
        for rows in (FIRST_ROWS, MORE_ROWS):
            times = first(clickhouse, query, end, rows)
            if len(times) == end:
                return times
            if len(times) < end * rows / MORE_ROWS:
                break
        if not looked_up and common(clickhouse, query):
            # Text and filter may each be in very many rows and hardly ever in the same: then the index knows better.
            with suppress(QueryTooSlow):
                return ask(query.where(common=True), max_execution_time=COMMON_SECONDS)
        # What is so rare may be in any part; but an index that leaves none out would only be asked in vain.
        if not times and all(searching.is_told_ahead(text) for text in query.q):
            settings |= AHEAD
    return ask(query.where(indexed=not looked_up))


def _reached(clickhouse: ClickHouse, query: Query, skip: int, end: int) -> Window:
    """The range as far as the last row of the page."""
    condition, parameters = query.where()
    time, direction = query.report.time_column, "DESC" if query.descending else "ASC"
    found = clickhouse.query(
        f"SELECT {time} FROM {query.report.table} WHERE {condition or '1'} ORDER BY {time} {direction} "
        "LIMIT 1 OFFSET {last:UInt64}",
        {**parameters, "last": end - 1},
        optimize_read_in_order=1,
    )
    if not found:  # the page is not full
        return Window(query, skip)
    reached = found[0][0]
    if query.descending:
        return Window(replace(query, since=reached), skip)
    return Window(replace(query, until=reached + dt.timedelta(milliseconds=1)), skip)


def _within(query: Query, first: dt.datetime, last: dt.datetime) -> Query:
    """The query's rows of the hours from `first` to `last`."""
    until = last + hours.HOUR
    return replace(
        query,
        since=first if query.since is None else max(first, query.since),
        until=until if query.until is None else min(until, query.until),
    )
