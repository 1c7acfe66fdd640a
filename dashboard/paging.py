"""Where in time the rows of a page lie, so that only these are read and sorted, however deep the page is."""

# ruff: noqa: S608 (names in SQL text come from columns.py; values are always parameters)
from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dashboard import hours
from dashboard.clickhouse import ClickHouse
from dashboard.columns import API_REQUESTS
from dashboard.filters import Query

#: Rows among which a page of a text search is looked for first; if it is not there, among all.
FIRST_ROWS = 200_000
#: Of a deeper page of a text search all rows' places are compared.
DEEPEST = 10_000
#: So far, the place of a row among all is found sooner in the rows than in the hours.
NEAR = 10_000
_NEVER = dt.datetime(1900, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a query's range in time.

    Args:
        skip: rows of the part before those of the page.
        last: whether the page's rows cannot be elsewhere.
        total: how many rows match on all pages, if that is known.
    """

    query: Query
    skip: int
    last: bool
    total: int | None = None


def windows(clickhouse: ClickHouse, query: Query) -> Iterator[Window]:
    """Parts in which to look for the rows of the page, one after the other until its rows are there."""
    skip = (query.page - 1) * query.per_page
    end = skip + query.per_page
    whole = Window(query, skip, True)
    if query.report is not API_REQUESTS or query.sort_column.name != query.report.time_column:
        yield whole
    elif end <= NEAR and not query.where()[0]:
        yield _reached(clickhouse, query, skip, end)
    elif hours.covered(query):
        yield _exact(clickhouse, query, skip, end)
    elif not (query.q or query.without_q):
        yield _reached(clickhouse, query, skip, end)
    elif end > DEEPEST:
        yield whole
    else:
        yield from _first(clickhouse, query, skip)
        yield whole


def _exact(clickhouse: ClickHouse, query: Query, skip: int, end: int) -> Window:
    place = first = 0
    wanted: list[dt.datetime] = []
    for start, rows in _ordered(clickhouse, query):
        if place < end and place + rows > skip:
            first = first if wanted else place
            wanted.append(start)
        place += rows
    # Where no page is, there is none to read either.
    wanted = wanted or [_NEVER]
    return Window(_within(query, min(wanted), max(wanted)), skip - first, True, place)


def _reached(clickhouse: ClickHouse, query: Query, skip: int, end: int) -> Window:
    """The range as far as the last row of the page.

    To find that row's time, rows are read in the table's order, with the columns of the conditions alone, and no
    further than it. Reading and sorting what makes places unique, of all rows that match, takes many times as long.
    """
    condition, parameters = query.where()
    time, direction = query.report.time_column, "DESC" if query.descending else "ASC"
    found = clickhouse.query(
        f"SELECT {time} FROM {query.report.table} WHERE {condition or '1'} ORDER BY {time} {direction} "
        "LIMIT 1 OFFSET {last:UInt64}",
        {**parameters, "last": end - 1},
        optimize_read_in_order=1,
    )
    if not found:  # the page is not full
        return Window(query, skip, True)
    reached = found[0][0]
    if query.descending:
        return Window(replace(query, since=reached), skip, True)
    return Window(replace(query, until=reached + dt.timedelta(milliseconds=1)), skip, True)


def _first(clickhouse: ClickHouse, query: Query, skip: int) -> Iterator[Window]:
    """The newest rows (or the oldest, as the query is sorted) of the range, whether they match or not."""
    found = _ordered(clickhouse, replace(query, conditions=(), q=(), without_q=()))
    rows = 0
    for start, more in found:
        rows += more
        if rows >= FIRST_ROWS:
            if start != found[-1][0]:
                yield Window(_within(query, min(start, found[0][0]), max(start, found[0][0])), skip, False)
            return


def _ordered(clickhouse: ClickHouse, query: Query) -> list[tuple[dt.datetime, int]]:
    found = hours.by_hour(clickhouse, query)
    return found if query.descending else found[::-1]


def _within(query: Query, first: dt.datetime, last: dt.datetime) -> Query:
    """The query's rows of the hours from `first` to `last`."""
    until = last + hours.HOUR
    return replace(
        query,
        since=first if query.since is None else max(first, query.since),
        until=until if query.until is None else min(until, query.until),
    )
