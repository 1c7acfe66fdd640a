"""A user of the API: what fails and how, its runs, and where it calls from."""

# ruff: noqa: S608 (names in SQL text are constants; values are always parameters)
from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from dashboard import filters, rows
from dashboard.clickhouse import SCATTERED, ClickHouse, matching
from dashboard.columns import API_REQUESTS
from dashboard.conditions import Bind, at
from dashboard.filters import N_, Problems, binder, time_range
from dashboard.rows import Item
from dashboard.trends import MINIMUM_SAMPLE

DEFAULT_RANGE = dt.timedelta(days=7)
#: Requests of a run are at most so many seconds apart, unless `gap` says otherwise.
GAP = 60
MOST_GAP = 24 * 3600
#: Shown of each: the most frequent failures and addresses, the latest runs.
MOST_FAILURES = 50
MOST_RUNS = 25
MOST_ADDRESSES = 25
#: Rows looked at, the newest: failed requests, and requests that are grouped into runs.
MOST_FAILED_ROWS = 100_000
MOST_RUN_ROWS = 500_000
SECONDS = 6
#: Characters of a payload in the list of failures.
PAYLOAD_BYTES = 600

GAP_EXPECTED = N_("seconds from 1 to 86,400")
USER_EXPECTED = N_("text without NUL, in valid UTF-8, of at most 2,000 characters")

_PATH = "/integrations"
# What makes failures alike.
_KIND = ("status_code", "method", "route", "failure")
# Most rows on the way are other users': sorting those that are left is sooner done than reading in the table's order.
_UNORDERED = {"optimize_read_in_order": 0}
_ESCAPE = "~"


@dataclass(frozen=True)
class IntegrationQuery:
    """Which user and period.

    Args:
        since: first instant included (UTC); `until`: first instant not included.
        gap: seconds between two requests that are still of one run.
        given_since: `from` as it was typed, None if it was not; likewise `given_until`.
    """

    user: str
    zone: ZoneInfo
    since: dt.datetime
    until: dt.datetime
    gap: int = GAP
    given_since: str | None = None
    given_until: str | None = None

    def where(self, bind: Bind) -> str:
        """SQL for the user's requests in the period."""
        return " AND ".join(
            [f"user = {bind(self.user, 'String')}", *time_range("requested_at", self.since, self.until, bind)]
        )


@dataclass(frozen=True, slots=True)
class Integration:
    """What is known of a user in a period. Times are datetimes (UTC), ids texts.

    Args:
        failures: dicts of status_code, method, route, failure (its kind, a column), count, first_at, last_at,
            first_id, last_id, first_data, last_data (the beginning of the request's body); the most frequent first.
        more_failures: whether there are other kinds.
        failed_bounded: whether only the newest failed requests were looked at.
        runs: dicts of start, end, count, errors, p95 (ms, None below the minimum sample), first_failed_id (None without
            one); the latest first.
        more_runs: whether there are earlier ones.
        alone: requests that belong to no run.
        runs_bounded: whether only the newest requests were looked at for runs.
        addresses: dicts of remote_addr (empty if unknown), count, errors, first_at, last_at; the most frequent first.
        more_addresses: whether there are others.
    """

    failures: list[Item]
    more_failures: bool
    failed_bounded: bool
    runs: list[Item]
    more_runs: bool
    alone: int
    runs_bounded: bool
    addresses: list[Item]
    more_addresses: bool


def parse(args: MultiDict[str, str], user: str, zone: ZoneInfo, now: dt.datetime | None = None) -> IntegrationQuery:
    """What a page or an API call asks for: `from`, `to`, `tz`, `gap`; the last seven days unless they say otherwise.

    Raises:
        FilterErrors: anything unknown or malformed; all of it at once.
    """
    problems = Problems()
    if "\0" in user or len(user) > filters.MAX_LENGTH or re.search(r"[\ud800-\udfff]", user):
        problems.add("user", user, USER_EXPECTED)
    args = filters.checked(args, problems)
    zone = filters.read_zone(filters.single(args, "tz", problems), zone, problems)
    since, until, given = filters.read_range(args, zone, problems)
    gap = filters.single(args, "gap", problems) or str(GAP)
    if not re.fullmatch(r"[0-9]{1,5}", gap) or not 1 <= int(gap) <= MOST_GAP:
        problems.add("gap", gap, GAP_EXPECTED)
        gap = str(GAP)
    filters.unknown(args, problems)
    problems.raise_if_any()
    now = now or dt.datetime.now(dt.UTC)
    if until is None:
        until = max(now, since + dt.timedelta(milliseconds=1)) if since else now
    since = until - DEFAULT_RANGE if since is None else since
    return IntegrationQuery(user, zone, since, until, int(gap), *given)


def path_to(user: str) -> str | None:
    """The path of the page of a user of the API; None for names that no URL can hold.

    What a path would not give back (such as `..`, a line break or a slash in front) is escaped twice, behind `~`.
    """
    if "\0" in user or len(user) > filters.MAX_LENGTH or "\ufffd" in user:
        return None
    parts = user.split("/")
    if user.startswith(_ESCAPE) or "\n" in user or {"", ".", ".."} & set(parts):
        return f"{_PATH}/{_ESCAPE}{quote(quote(user, safe='').replace('.', '%2E'), safe='')}"
    return f"{_PATH}/{quote(user, errors='replace')}"


def user_of(name: str) -> str:
    """The user whom the rest of a path names: the other way round of `path_to`."""
    return unquote(name.removeprefix(_ESCAPE), errors="surrogateescape") if name.startswith(_ESCAPE) else name


def read(clickhouse: ClickHouse, query: IntegrationQuery) -> Integration:
    """Failures, runs and addresses.

    Raises:
        StoreError: no answer within 6 s.
    """
    failures, failed_rows = _failures(clickhouse, query)
    runs, more_runs, alone, run_rows = _runs(clickhouse, query)
    failures = _with_events(clickhouse, query, failures, runs)
    addresses = _addresses(clickhouse, query)
    return Integration(
        failures[:MOST_FAILURES],
        len(failures) > MOST_FAILURES,
        failed_rows >= MOST_FAILED_ROWS,
        runs,
        more_runs,
        alone,
        run_rows >= MOST_RUN_ROWS,
        addresses[:MOST_ADDRESSES],
        len(addresses) > MOST_ADDRESSES,
    )


def _failures(clickhouse: ClickHouse, query: IntegrationQuery) -> tuple[list[Item], int]:
    """The kinds of failures without their events, one more than are shown, and how many rows were looked at."""
    parameters: dict[str, str | bytes] = {}
    bind = binder(parameters)
    names = ", ".join(_KIND)
    found = clickhouse.query(
        f"SELECT {names}, count() AS times, min(requested_at), max(requested_at) AS last, sum(times) OVER () "
        f"FROM (SELECT requested_at, {names} FROM {API_REQUESTS.table} "
        f"WHERE {query.where(bind)} AND status_code >= 400 ORDER BY requested_at DESC LIMIT {MOST_FAILED_ROWS}) "
        f"GROUP BY {names} ORDER BY times DESC, last DESC, {names} LIMIT {MOST_FAILURES + 1}",
        parameters,
        max_execution_time=SECONDS,
        **_UNORDERED,
    )
    items = [
        {**_kind(row), "count": count, "first_at": first_at, "last_at": last_at}
        for *row, count, first_at, last_at, _total in found
    ]
    return items, found[0][-1] if found else 0


def _with_events(
    clickhouse: ClickHouse, query: IntegrationQuery, failures: Sequence[Item], runs: Sequence[Item]
) -> list[Item]:
    """The failures with the ids and bodies of their first and last event; the runs get the id of their first failure.

    A failure whose events are not there any more is left out.
    """
    ends = ("first", "last")
    wanted = [item[f"{end}_at"] for item in failures for end in ends]
    wanted += [run["first_failed_at"] for run in runs if run["errors"]]
    parameters: dict[str, str | bytes] = {}
    bind = binder(parameters)
    sql = (
        f"SELECT {', '.join(_KIND)}, requested_at, event_id, substring(data, 1, {PAYLOAD_BYTES}) "
        f"FROM {API_REQUESTS.table} WHERE {at('requested_at', wanted, bind)} AND {query.where(bind)} "
        "AND status_code >= 400 ORDER BY requested_at, event_id"
    )
    found = clickhouse.query(sql, parameters, max_execution_time=SECONDS, **SCATTERED) if wanted else ()
    events: dict[tuple[Any, ...], list[tuple[str, str]]] = defaultdict(list)
    for *row, moment, event_id, data in found:
        event = (str(event_id), rows.text(data))
        for key in ((moment,), (moment, *_kind(row).values())):
            events[key].append(event)
    for run in runs:
        at_once = events.get((run.pop("first_failed_at"),))
        run["first_failed_id"] = at_once[0][0] if run["errors"] and at_once else None
    complete = []
    for item in failures:
        kind = [item[name] for name in _KIND]
        first, last = (events.get((item[f"{end}_at"], *kind)) for end in ends)
        if first and last:
            (first_id, first_data), (last_id, last_data) = first[0], last[-1]
            more = {"first_id": first_id, "first_data": first_data, "last_id": last_id, "last_data": last_data}
            complete.append(item | more)
    return complete


def _kind(row: Sequence[Any]) -> Item:
    """The kind of a failure, from the values of `_KIND`."""
    status, *texts = row
    return dict(zip(_KIND, [status, *map(rows.text, texts)], strict=True))


def _runs(clickhouse: ClickHouse, query: IntegrationQuery) -> tuple[list[Item], bool, int, int]:
    """The latest runs, whether there are others, the requests of none, and how many rows were looked at.

    Runs have `first_failed_at` instead of that event's id.
    """
    parameters: dict[str, str | bytes] = {}
    bind = binder(parameters)
    by_time = "(ORDER BY requested_at ROWS BETWEEN {} PRECEDING AND CURRENT ROW)"
    found = clickhouse.query(
        "SELECT start, end, volume, failed, p95, failed_at, alone, looked_at, number FROM ("
        "SELECT *, countIf(volume = 1) OVER () AS alone, sum(volume) OVER () AS looked_at, "
        "countIf(volume > 1) OVER () AS number FROM ("
        "SELECT min(requested_at) AS start, max(requested_at) AS end, count() AS volume, "
        "countIf(status_code >= 400) AS failed, quantileExact(0.95)(response_ms) AS p95, "
        "minIf(requested_at, status_code >= 400) AS failed_at "
        f"FROM (SELECT *, sum(begins) OVER {by_time.format('UNBOUNDED')} AS run "
        "FROM (SELECT requested_at, status_code, response_ms, dateDiff('millisecond', "
        f"lagInFrame(requested_at, 1, requested_at) OVER {by_time.format('1')}, requested_at) "
        f"> {bind(query.gap * 1000, 'Int64')} AS begins "
        "FROM (SELECT requested_at, status_code, response_ms "
        f"FROM {API_REQUESTS.table} WHERE {query.where(bind)} ORDER BY requested_at DESC LIMIT {MOST_RUN_ROWS}))) "
        f"GROUP BY run)) ORDER BY volume = 1, start DESC LIMIT {MOST_RUNS}",
        parameters,
        max_execution_time=SECONDS,
        **_UNORDERED,
    )
    items: list[Item] = [
        {
            "start": start,
            "end": end,
            "count": count,
            "errors": errors,
            "p95": round(p95, 3) if count >= MINIMUM_SAMPLE["p95"] else None,
            "first_failed_at": failed_at,
        }
        for start, end, count, errors, p95, failed_at, *_ in found
        if count > 1
    ]
    alone, looked_at, number = found[0][-3:] if found else (0, 0, 0)
    return items, number > len(items), alone, looked_at


def _addresses(clickhouse: ClickHouse, query: IntegrationQuery) -> list[Item]:
    """The addresses, one more than are shown."""
    parameters: dict[str, str | bytes] = {}
    names = ("count", "errors", "first_at", "last_at")
    found = clickhouse.query(
        "SELECT remote_addr, count() AS times, countIf(status_code >= 400), min(requested_at), max(requested_at) "
        f"FROM {matching(API_REQUESTS.table, query.where(binder(parameters)))} "
        f"GROUP BY remote_addr ORDER BY times DESC, remote_addr LIMIT {MOST_ADDRESSES + 1}",
        parameters,
        max_execution_time=SECONDS,
    )
    return [
        {"remote_addr": rows.address(address), **dict(zip(names, values, strict=True))} for address, *values in found
    ]
