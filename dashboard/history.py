"""The history of an object: admin changes and API requests as one timeline, newest first."""

# ruff: noqa: S608 (names in SQL text are constants; values are always parameters)
from __future__ import annotations

import datetime as dt
import heapq
import re
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from dashboard import conditions, filters, rows, times
from dashboard.clickhouse import SCATTERED, ClickHouse, matching
from dashboard.columns import ADMIN_CHANGES, API_REQUESTS, Report
from dashboard.filters import N_, binder, time_range
from dashboard.rows import Item

PER_PAGE = 50
MAX_PER_PAGE = 200
#: Methods that change nothing.
READS = ("GET", "HEAD", "OPTIONS")
#: Changes whose values are longer are told by the names of their fields.
CHANGES_BYTES = 32 * 1024
#: How far apart the clocks may say that a request and a change it caused are.
BEFORE, AFTER = dt.timedelta(hours=1), dt.timedelta(days=1)
MOST_RELATED = 20

CHANGE_COLUMNS = tuple(
    ADMIN_CHANGES.by_name[name]
    for name in (
        *("event_id", "changed_at", "user", "user_id", "action", "app_label", "model", "object_type", "object_id"),
        *("object_repr", "changed_fields", "changes", "remote_addr", "request_id", "masked"),
    )
)
REQUEST_COLUMNS = tuple(
    API_REQUESTS.by_name[name]
    for name in (
        *("event_id", "requested_at", "user", "user_id", "method", "path", "action", "object_type", "object_id"),
        *("host", "view", "view_method", "status_code", "response_ms", "user_agent", "remote_addr", "request_id"),
        "masked",
    )
)
_COLUMNS = {ADMIN_CHANGES.name: CHANGE_COLUMNS, API_REQUESTS.name: REQUEST_COLUMNS}

BEFORE_POSITION = N_("an ISO 8601 time, or what “next” of the page before said")
PER_PAGE_RANGE = N_("a number from 1 to 200")
SWITCH = N_("0 or 1")

_NUMBER = re.compile(r"[0-9]{1,4}")

Actor = Literal["human", "integration", "process"]
Position = tuple[dt.datetime, uuid.UUID]


@dataclass(frozen=True)
class HistoryQuery:
    """Which part of an object's history.

    Args:
        reads: whether requests that change nothing are wanted, too.
        before: time and event id that every entry must be before, None for the newest.
        given_since: `from` as it was typed, None if it was not; likewise `given_until`.
    """

    object_type: str
    object_id: str
    zone: ZoneInfo
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    reads: bool = False
    before: Position | None = None
    per_page: int = PER_PAGE
    given_since: str | None = None
    given_until: str | None = None


@dataclass(frozen=True, slots=True)
class History:
    """A page of a history.

    Items have the columns of their row (`CHANGE_COLUMNS` or `REQUEST_COLUMNS`), and `report` (the name of their
    report), `at`, `actor` and `linked`: the ids of the events of the other report that have its request id.

    Args:
        total: entries on all pages.
        next: the parameter `before` of the page behind this one, None if this is the last.
        name: the object as Krill last printed it, empty if it never did.
        deleted_at: when it was deleted, None if it was not or came back.
    """

    items: list[Item]
    total: int
    next: str | None
    name: str
    deleted_at: dt.datetime | None
    seconds: float


def parse(args: MultiDict[str, str], object_type: str, object_id: str, zone: ZoneInfo) -> HistoryQuery:
    """What a page or an API call asks for: `from`, `to`, `tz`, `reads`, `before`, `per_page`.

    Raises:
        FilterErrors: anything unknown or malformed; all of it at once.
    """
    problems = filters.Problems()
    for name, value in (("object_type", object_type), ("object_id", object_id)):
        if "\0" in value or len(value) > filters.MAX_LENGTH or re.search(r"[\ud800-\udfff]", value):
            problems.add(name, value, filters.TEXT)
    args = filters.checked(args, problems)
    zone = filters.read_zone(filters.single(args, "tz", problems), zone, problems)
    since, until, given = filters.read_range(args, zone, problems)
    reads = filters.single(args, "reads", problems) or "0"
    if reads not in ("0", "1"):
        problems.add("reads", reads, SWITCH)
    before = filters.single(args, "before", problems)
    position = None
    if before is not None:
        try:
            position = _position(before, zone)
        except ValueError:
            problems.add("before", before, BEFORE_POSITION)
    per_page = filters.single(args, "per_page", problems) or str(PER_PAGE)
    if not _NUMBER.fullmatch(per_page) or not 1 <= int(per_page) <= MAX_PER_PAGE:
        problems.add("per_page", per_page, PER_PAGE_RANGE)
        per_page = str(PER_PAGE)
    filters.unknown(args, problems)
    problems.raise_if_any()
    return HistoryQuery(
        object_type, object_id, zone, since, until, reads == "1", position, int(per_page), given[0], given[1]
    )


def read(clickhouse: ClickHouse, query: HistoryQuery, *, read_json: Callable[[str], Any] = rows.parse_json) -> History:
    """The page that `query` asks for.

    Args:
        read_json: what to make of the text of JSON columns.

    Raises:
        StoreError: no answer within the limits.
    """
    start = time.perf_counter()
    overview, name, deleted_at = _overview(clickhouse, query)
    # Only these can be on the page, whichever report they are of.
    newest = set(heapq.nlargest(query.per_page + 2, {instant for _, _, instants in overview for instant in instants}))
    found: list[Item] = []
    for report, _, instants in overview:
        if wanted := [instant for instant in instants if instant in newest]:
            found += _entries(clickhouse, query, report, wanted, read_json)
    found.sort(key=_place, reverse=True)
    items = found[: query.per_page]
    _link(clickhouse, items)
    last = items[-1] if len(found) > query.per_page else None
    return History(
        items,
        sum(count for _, count, _ in overview),
        f"{last['at'].isoformat(timespec='milliseconds').replace('+00:00', 'Z')},{last['event_id']}" if last else None,
        name,
        deleted_at,
        time.perf_counter() - start,
    )


def related(clickhouse: ClickHouse, report: Report, items: Sequence[Item]) -> dict[str, list[Item]]:
    """The rows of the other report that have the same request id, oldest first, by request id.

    Args:
        report: that of `items`.

    Returns:
        At most `MOST_RELATED` rows for each id; ids without rows are missing.
    """
    parameters: dict[str, str | bytes] = {}
    sql = _of_the_same_request(report, items, _selected(_other(report)), binder(parameters))
    found = clickhouse.query(sql, parameters) if sql else ()
    by_id: dict[str, list[Item]] = {}
    for item in _items(_other(report), found):
        by_id.setdefault(item["request_id"], []).append(item)
    return by_id


def actor(item: Item, causes: Sequence[Item] = ()) -> Actor:
    """Who is behind a row: a person in the admin or a browser, a program with an API token, or a process of Krill.

    Args:
        causes: for an admin change, the API requests that caused it.
    """
    if "method" in item:
        # Browsers have said so since 1994; programs that call an API do not.
        return "human" if item["user_agent"].startswith("Mozilla/") else "integration"
    if causes:
        return actor(causes[0])
    return "human" if item["user"] else "process"


def _place(item: Item) -> tuple[dt.datetime, int, int]:
    """Where an entry stands: as ClickHouse sorts, which compares the second half of a UUID first."""
    number = uuid.UUID(item["event_id"]).int
    return item["at"], number % 2**64, number >> 64


def _overview(
    clickhouse: ClickHouse, query: HistoryQuery
) -> tuple[list[tuple[Report, int, list[dt.datetime]]], str, dt.datetime | None]:
    """Of each report, how many entries it has and the times of those that may be on the page, from its projection.

    And what the object was last called, and when it was deleted, whatever the query's range.
    """
    parameters: dict[str, str | bytes] = {}
    bind = binder(parameters)
    before = f"time <= {bind(query.before[0], conditions.TIME)}" if query.before else "1"

    def times(within: str) -> str:
        # One more than the page has, since all entries of the first time may be on the pages before.
        most = bind(query.per_page + 2, "UInt16")
        return f"arraySlice(arrayReverseSort(groupUniqArrayIf(time, {within} AND {before})), 1, {most})"

    within = " AND ".join(time_range("time", query.since, query.until, bind)) or "1"
    found = clickhouse.query(
        f"SELECT 0 AS place, countIf({within}), {times(within)}, "
        "argMaxIf(object_repr, (time, event_id), object_repr != ''), argMax(toString(action), (time, event_id)), "
        "max(time) FROM (SELECT changed_at AS time, event_id, action, object_repr FROM admin_changes "
        f"WHERE {' AND '.join(_of_object(query, bind))}) "
        f"UNION ALL SELECT 1, count(), {times('1')}, '', '', max(time) FROM "
        f"{matching('api_requests', ' AND '.join(_tests(query, API_REQUESTS, bind)), 'requested_at AS time')}",
        parameters,
    )
    (_, *changes, name, action, changed_at), (_, *requests, _, _, _) = sorted(found, key=lambda row: row[0])
    overview = [(ADMIN_CHANGES, *changes), (API_REQUESTS, *requests)]
    return overview, rows.text(name), changed_at if rows.text(action) == "deletion" else None


def _entries(
    clickhouse: ClickHouse,
    query: HistoryQuery,
    report: Report,
    instants: Sequence[dt.datetime],
    read_json: Callable[[str], Any],
) -> list[Item]:
    parameters: dict[str, str | bytes] = {}
    bind = binder(parameters)
    column = report.time_column
    tests = [conditions.at(column, instants, bind), *_tests(query, report, bind)]
    if query.before:
        moment, event_id = query.before
        tests.append(f"({column}, event_id) < ({bind(moment, conditions.TIME)}, {bind(event_id, 'UUID')})")
    found = clickhouse.query(
        f"SELECT {_selected(report)} FROM {report.table} WHERE {' AND '.join(tests)} "
        f"ORDER BY {column} DESC, event_id DESC LIMIT {{limit:UInt32}}",
        {**parameters, "limit": query.per_page + 1},
        **SCATTERED,
    )
    return _items(report, found, read_json)


def _of_object(query: HistoryQuery, bind: conditions.Bind) -> list[str]:
    return [f"object_type = {bind(query.object_type, 'String')}", f"object_id = {bind(query.object_id, 'String')}"]


def _tests(query: HistoryQuery, report: Report, bind: conditions.Bind) -> list[str]:
    """SQL tests for the entries on all pages."""
    tests = [*_of_object(query, bind), *time_range(report.time_column, query.since, query.until, bind)]
    if report is API_REQUESTS and not query.reads:
        tests.append(f"method NOT IN ({', '.join(bind(method, 'String') for method in READS)})")
    return tests


def _link(clickhouse: ClickHouse, items: Sequence[Item]) -> None:
    """Add `linked` and `actor`."""
    parameters: dict[str, str | bytes] = {}
    bind = binder(parameters)
    parts = [
        _of_the_same_request(
            report,
            [item for item in items if item["report"] == report.name],
            f"'{report.name}', request_id, event_id, {user_agent}",
            bind,
        )
        for report, user_agent in ((ADMIN_CHANGES, "user_agent"), (API_REQUESTS, "''"))
    ]
    sql = " UNION ALL ".join(filter(None, parts))
    by_id: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for name, request_id, event_id, user_agent in clickhouse.query(sql, parameters) if sql else ():
        # As much of an API request as `actor` asks for.
        other = {"event_id": str(event_id), "method": "", "user_agent": rows.text(user_agent)}
        by_id[rows.text(name), rows.text(request_id)].append(other)
    for item in items:
        others = by_id.get((item["report"], item["request_id"]), [])
        item["linked"] = [other["event_id"] for other in others]
        item["actor"] = actor(item, others)


def _of_the_same_request(report: Report, items: Sequence[Item], selected: str, bind: conditions.Bind) -> str:
    """SQL for the rows of the other report with the request ids of `items`, oldest first; empty if these have none."""
    other = _other(report)
    wanted = sorted({item["request_id"] for item in items if item["request_id"]})
    if not wanted:
        return ""
    instants = [item[report.time_column] for item in items if item["request_id"]]
    earlier, later = (AFTER, BEFORE) if report is ADMIN_CHANGES else (BEFORE, AFTER)
    bounds = time_range(other.time_column, _clamped(min(instants), -earlier), _clamped(max(instants), later), bind)
    any_of = ", ".join(bind(value, "String") for value in wanted)
    return (
        f"SELECT {selected} FROM {other.table} WHERE request_id IN ({any_of}) AND {' AND '.join(bounds)} "
        f"ORDER BY {other.time_column}, event_id LIMIT {MOST_RELATED} BY request_id"
    )


def _other(report: Report) -> Report:
    return API_REQUESTS if report is ADMIN_CHANGES else ADMIN_CHANGES


def _selected(report: Report) -> str:
    names = [
        f"if(length({column.name}) > {CHANGES_BYTES}, '', {column.name})" if column.large else column.name
        for column in _COLUMNS[report.name]
    ]
    return ", ".join(names)


def _items(
    report: Report, found: Sequence[Sequence[object]], read_json: Callable[[str], Any] = rows.parse_json
) -> list[Item]:
    return [
        {"report": report.name, "at": item[report.time_column], **item}
        for item in rows.items(_COLUMNS[report.name], found, read_json)
    ]


def _position(text: str, zone: ZoneInfo) -> Position:
    moment, _, event_id = text.partition(",")
    return times.parse(moment, zone), uuid.UUID(event_id) if event_id else uuid.UUID(int=0)


def _clamped(moment: dt.datetime, by: dt.timedelta) -> dt.datetime:
    return min(max(moment, times.EARLIEST - by), times.LATEST - by) + by
