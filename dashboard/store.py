"""What the dashboard reads from the tables."""

# ruff: noqa: S608 (names in SQL text come from columns.py; values are always parameters)
from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dashboard import (
    counting,
    facets,
    histogram,
    history,
    integrations,
    neighbours,
    ordering,
    paging,
    rankings,
    rows,
    slowest,
    stream,
    tail,
    times,
    trends,
)
from dashboard.blocks import Block
from dashboard.clickhouse import (
    SCATTERED,
    UNPROJECTED,
    ClickHouse,
    QueryTooSlow,
    ResultTooLarge,
    StoreError,
    StoreUnavailable,
    Turns,
    matching,
)
from dashboard.columns import Column, Report
from dashboard.counting import Count
from dashboard.facets import Facets
from dashboard.filters import Query, binder, time_range
from dashboard.histogram import Histogram
from dashboard.history import History, HistoryQuery
from dashboard.integrations import Integration, IntegrationQuery
from dashboard.rankings import Ranking, RankingQuery
from dashboard.rows import Item
from dashboard.slowest import Contrast
from dashboard.tail import News, Position
from dashboard.trends import TrendQuery
from schemas.settings import Settings

__all__ = ["Page", "QueryTooSlow", "ResultTooLarge", "Store", "StoreError", "StoreUnavailable"]

#: So many rows of a result are read in the table's order, if there are no conditions.
BEGINNING_ROWS = 10_000
#: A worker that has said nothing for longer counts as down.
STALE_SECONDS = 15
DEAD_LETTER_BYTES = 64 * 1024
#: Of a large value in a list: more than its cell shows.
LIST_BYTES = 2000
SUGGESTION_SECONDS = 2
#: Rows that are read for others of the same milliseconds.
SPARE = 50
#: An event is first looked for so near to the time that its id tells.
EVENT_REACH = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the rows that match, how many match in all, and how long it took to find out.

    With `more`, at least `total` match.
    """

    items: list[Item]
    total: int
    seconds: float
    more: bool = False


class Store:
    """Queries of the pages, the API and the CSV; may be shared by threads.

    Every method may block for `settings.query_seconds` and raises StoreError when there is no answer.
    """

    def __init__(self, settings: Settings, who: Callable[[], str] = lambda: "") -> None:
        """`who` names the user of the current thread, empty for nobody in particular."""
        self._clickhouse = ClickHouse(settings, Turns(settings.user_queries, settings.query_seconds, who))

    def page(
        self,
        query: Query,
        *,
        large: bool = True,
        read_json: Callable[[str], Any] = rows.parse_json,
        count_seconds: float | None = None,
    ) -> Page:
        """The page of rows that `query` asks for, with its columns, and the number of all rows that match.

        Args:
            large: whether to read the columns that may be megabytes long; a list does without, and of those
                that were chosen for it reads the beginning.
            read_json: what to make of the text of JSON columns.
            count_seconds: longest that counting may take before `total` is what is known without; None for as long
                as any query.

        Raises:
            ResultTooLarge: among others, when the rows of the page are larger than 64 MiB.
        """
        start = time.perf_counter()
        columns = [column for column in query.columns if large or not column.large or column.name in query.look.columns]
        selected = _names(columns) if large else ", ".join(map(_beginning, columns))
        bare = not (query.conditions or query.q or query.without_q)
        window = paging.window(self._clickhouse, query)
        beginning = bare and window.skip + query.per_page <= BEGINNING_ROWS
        reading = SCATTERED if window.times else ordering.reading(query, beginning=beginning)

        def ask(where: tuple[str, dict[str, str | bytes]], limit: int, skip: int) -> Sequence[Sequence[Any]]:
            return self._clickhouse.query(
                f"SELECT {selected} FROM {query.report.table} {_where(where[0])} "
                f"ORDER BY {ordering.clause(query)} LIMIT {{limit:UInt32}} OFFSET {{offset:UInt64}}",
                {**where[1], "limit": limit, "offset": skip},
                **reading,
            )

        found: Sequence[Sequence[Any]] | None = [] if window.empty else None
        if window.times and query.searches:
            # A text would be looked for in all of their values.
            near = ask(window.nearly(), len(window.times) + SPARE, 0)
            found = self._matching(window, near, [column.name for column in columns])
        if found is None:
            found = ask(window.where(), query.per_page, window.skip)
        items = rows.items(columns, found, read_json)
        shown = (query.page - 1) * query.per_page + len(items) if items else 0
        known = window.total
        if known is None and len(items) < query.per_page and (items or query.page == 1):
            known = shown
        count = self._counted(query, len(items), count_seconds) if known is None else Count(known)
        # Some may have come since they were counted.
        return Page(items, max(count.rows, shown), time.perf_counter() - start, count.more)

    def _matching(
        self, window: paging.Window, near: Sequence[Sequence[Any]], names: Sequence[str]
    ) -> Sequence[Sequence[Any]] | None:
        """The rows of a page, of those that are of its times; None if it is not told which."""
        wanted = len(window.times)
        if len(near) == wanted:
            return near[window.skip :]
        when, unique = window.query.report.time_column, "event_id"
        if not wanted < len(near) < wanted + SPARE or not {when, unique} <= set(names):
            return None
        when_at, unique_at = names.index(when), names.index(unique)
        # Others were in the same milliseconds.
        shared = Counter(row[when_at] for row in near) - Counter(window.times)
        condition, parameters = replace(window, times=tuple(shared)).where()
        found = self._clickhouse.query(
            f"SELECT {unique} FROM {window.query.report.table} WHERE {condition}", parameters, **SCATTERED
        )
        ids = {row[0] for row in found}
        near = [row for row in near if row[when_at] not in shared or row[unique_at] in ids]
        return near[window.skip :] if len(near) == wanted else None

    def _counted(self, query: Query, shown: int, seconds: float | None) -> Count:
        if seconds is None or not shown:
            return counting.read(self._clickhouse, query)
        found = counting.at_once(self._clickhouse, query, seconds)
        return found or Count((query.page - 1) * query.per_page + shown, more=True)

    def count(self, query: Query, seconds: float) -> Count:
        """How many rows match; see `counting.read`."""
        return counting.read(self._clickhouse, query, seconds)

    def row(self, report: Report, event_id: str, *, read_json: Callable[[str], Any] = rows.parse_json) -> Item | None:
        """The event with this id (any UUID notation of 36 characters), None if there is none."""
        parameters: dict[str, str | bytes] = {"id": event_id}
        everywhere = ["event_id = {id:UUID}"]
        searched = [everywhere]
        if made := times.of_uuid(event_id):
            near = (made - EVENT_REACH, made + EVENT_REACH)
            searched.insert(0, everywhere + time_range(report.time_column, *near, binder(parameters)))
        for tests in searched:
            found = self._clickhouse.query(
                f"SELECT {_names(report.columns)} FROM {report.table} WHERE {' AND '.join(tests)} "
                "ORDER BY kafka_offset LIMIT 1",
                parameters,
                **UNPROJECTED,
            )
            if found:
                return rows.items(report.columns, found, read_json)[0]
        return None

    def neighbours(self, query: Query, item: Item) -> tuple[str | None, str | None]:
        """The event ids of the rows before and behind a row; see `neighbours.read`."""
        return neighbours.read(self._clickhouse, query, item)

    def history(self, query: HistoryQuery, *, read_json: Callable[[str], Any] = rows.parse_json) -> History:
        """A page of what happened to an object; see `history.read`."""
        return history.read(self._clickhouse, query, read_json=read_json)

    def related(self, report: Report, items: Sequence[Item]) -> dict[str, list[Item]]:
        """The rows of the other report with the same request id as `items`; see `history.related`."""
        return history.related(self._clickhouse, report, items)

    def stream(self, query: Query) -> Iterator[Block]:
        """All rows that match, in the order of the pages; see `stream.read`."""
        return stream.read(self._clickhouse, query)

    def values(self, report: Report, column: str, prefix: str, limit: int) -> list[str]:
        """Values of a column that begin with `prefix` in whatever case, the most frequent first.

        Args:
            column: name of a text, enum or array column of the report.
        """
        known = report.by_name[column]
        source = f"arrayJoin({known.name})" if known.kind == "array" else f"toString({known.name})"
        found = self._clickhouse.query(
            f"SELECT {source} AS item, count() AS times FROM {report.table} "
            "WHERE startsWith(lowerUTF8(item), lowerUTF8({prefix:String})) "
            "AND item != '' AND length(item) <= 200 "
            "GROUP BY item ORDER BY times DESC, item LIMIT {limit:UInt32}",
            {"prefix": prefix, "limit": limit},
            max_execution_time=SUGGESTION_SECONDS,
        )
        return [rows.text(row[0]) for row in found]

    def histogram(self, query: Query) -> Histogram:
        """How the rows that match lie in time; see `histogram.read`."""
        return histogram.read(self._clickhouse, query)

    def facets(self, query: Query) -> Facets:
        """The most frequent values of the rows that match; see `facets.read`."""
        return facets.read(self._clickhouse, query)

    def trends(self, query: TrendQuery) -> list[Item]:
        """Requests, errors and response times per interval; see `trends.read`."""
        return trends.read(self._clickhouse, query)

    def ranking(self, query: RankingQuery) -> Ranking:
        """Endpoints or users by a measure; see `rankings.read`."""
        return rankings.read(self._clickhouse, query)

    def slowest(self, query: Query, slow: str | None = None) -> Contrast:
        """What the slowest rows of a result have more often than its others; see `slowest.read`."""
        return slowest.read(self._clickhouse, query, slow)

    def integration(self, query: IntegrationQuery) -> Integration:
        """Failures, runs and addresses of a user of the API; see `integrations.read`."""
        return integrations.read(self._clickhouse, query)

    def stored(self, report: Report) -> Position:
        """How far the workers stored the report's topic, by partition; see `tail.stored`."""
        return tail.stored(self._clickhouse, report)

    def news(self, query: News, *, read_json: Callable[[str], Any] = rows.parse_json) -> Page:
        """The newest of the rows that are new, as a list reads them, and the number of all that are."""
        start = time.perf_counter()
        columns = [column for column in query.columns if not column.large or column.name in query.look.columns]
        condition, parameters = query.where()
        found = self._clickhouse.query(
            f"SELECT {', '.join(map(_beginning, columns))} FROM {query.report.table} WHERE {condition} "
            f"ORDER BY {ordering.clause(query)} LIMIT {{limit:UInt32}}",
            {**parameters, "limit": query.per_page},
        )
        total = len(found)
        if total == query.per_page:
            matches = matching(query.report.table, condition, "1")
            total = self._clickhouse.query(f"SELECT count() FROM {matches}", parameters)[0][0]
        return Page(rows.items(columns, found, read_json), total, time.perf_counter() - start)

    def totals(self) -> dict[str, int]:
        """How many rows each table has, by its report's or own name."""
        found = self._clickhouse.query(
            "SELECT (SELECT count() FROM api_requests), (SELECT count() FROM admin_changes), "
            "(SELECT count() FROM dead_letters FINAL)"
        )[0]
        return dict(zip(("api-requests", "admin-changes", "dead-letters"), found, strict=True))

    def dead_letters(self, page: int = 1, per_page: int = 50) -> Page:
        """Messages that could not become a row, the latest first.

        Items have the table's columns; key, headers (parsed) and value are readable text, value at most
        64 KiB of it and then a `rows.Cut`.
        """
        start = time.perf_counter()
        found = self._clickhouse.query(
            "SELECT kafka_topic, kafka_partition, kafka_offset, failed_at, reason, error, key, headers, "
            "substring(value, 1, {bytes:UInt32}), length(value) FROM dead_letters FINAL "
            "ORDER BY failed_at DESC, kafka_topic, kafka_partition, kafka_offset DESC "
            "LIMIT {limit:UInt32} OFFSET {offset:UInt64}",
            {"bytes": DEAD_LETTER_BYTES, "limit": per_page, "offset": (page - 1) * per_page},
        )
        items = []
        for topic, partition, offset, failed_at, reason, error, key, headers, value, size in found:
            text = rows.text(value)
            items.append(
                {
                    "kafka_topic": rows.text(topic),
                    "kafka_partition": partition,
                    "kafka_offset": offset,
                    "failed_at": failed_at,
                    "reason": rows.text(reason),
                    "error": rows.text(error),
                    "key": rows.text(key),
                    "headers": rows.parse_json(rows.text(headers)),
                    "value": rows.Cut.of(text, size) if size > DEAD_LETTER_BYTES else text,
                }
            )
        total = self._clickhouse.query("SELECT count() FROM dead_letters FINAL")[0][0]
        return Page(items, total, time.perf_counter() - start)

    def health(self) -> dict[str, Any]:
        """What the workers last said, per topic and partition, and how far the data goes.

        Keys: `partitions` (a list of dicts: topic, partition, lag, state, kafka_error, last_event_at,
        updated_at and `stale`), `lag` (messages), `last_event_at` and `updated_at` (datetimes, None before
        the first event), `worker` (`ok`, `down` or `stopped by flood`), `kafka` (`ok` or `down`), `dead_letters`
        (a count).
        """
        names = ("topic", "partition", "lag", "state", "kafka_error", "last_event_at", "updated_at", "age")
        [[dead_letters, found]] = self._clickhouse.query(
            "SELECT (SELECT count() FROM dead_letters FINAL), groupArray((topic, partition, lag, state, kafka_error, "
            "last_event_at, updated_at, dateDiff('second', updated_at, now64(3)))) FROM pipeline_status FINAL"
        )
        partitions = [dict(zip(names, map(_readable, row), strict=True)) for row in sorted(found)]
        for partition in partitions:
            partition["stale"] = partition.pop("age") > STALE_SECONDS or partition["state"] == "stopped"
        alive = bool(partitions) and not all(partition["stale"] for partition in partitions)
        flooded = any(item["state"] == "stopped by flood" and not item["stale"] for item in partitions)
        events = [item["last_event_at"] for item in partitions if item["last_event_at"].timestamp() > 0]
        return {
            "partitions": partitions,
            "lag": sum(partition["lag"] for partition in partitions),
            "last_event_at": max(events, default=None),
            "updated_at": max((partition["updated_at"] for partition in partitions), default=None),
            "worker": "down" if not alive else "stopped by flood" if flooded else "ok",
            "kafka": "ok" if alive and not any(item["kafka_error"] for item in partitions) else "down",
            "dead_letters": dead_letters,
        }

    def ping(self) -> str:
        """ClickHouse's version."""
        return rows.text(self._clickhouse.query("SELECT version()", max_execution_time=1)[0][0])


def _names(columns: Sequence[Column]) -> str:
    return ", ".join(column.name for column in columns)


def _beginning(column: Column) -> str:
    return f"substring({column.name}, 1, {LIST_BYTES})" if column.large else column.name


def _where(condition: str) -> str:
    return f"WHERE {condition}" if condition else ""


def _readable(value: Any) -> Any:
    return rows.text(value) if isinstance(value, bytes) else value
