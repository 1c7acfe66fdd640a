"""What the dashboard reads from the tables."""

# ruff: noqa: S608 (names in SQL text come from columns.py; values are always parameters)
from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dashboard import (
    blocks,
    conditions,
    counting,
    facets,
    histogram,
    history,
    integrations,
    paging,
    rankings,
    rows,
    slowest,
    tail,
    times,
    trends,
)
from dashboard.blocks import Block
from dashboard.clickhouse import (
    SCATTERED,
    ClickHouse,
    QueryTooSlow,
    ResultTooLarge,
    StoreError,
    StoreUnavailable,
    Turns,
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

#: What `stream` reads at a time, at most; fewer rows where they are large.
STREAM_ROWS = 100_000
STREAM_BYTES = 16 * 1024**2
#: The next rows of a stream are looked for within so many times the time that they probably take, and only then in all:
#: ClickHouse begins to read every part of the table that may hold some.
REACH = 2
MOST_REACH = dt.timedelta(days=1000)
#: So many rows of a result are read in the table's order, if there are no conditions.
BEGINNING_ROWS = 10_000
#: A worker that has said nothing for longer counts as down.
STALE_SECONDS = 15
DEAD_LETTER_BYTES = 64 * 1024
#: Of a large value in a list: more than its cell shows.
LIST_BYTES = 2000
SUGGESTION_SECONDS = 2
NEIGHBOUR_SECONDS = 2
#: The row before or behind another is first looked for so near to it: ClickHouse begins to read every part of the table
#: that may hold it.
NEAR_REACHES = (dt.timedelta(minutes=10), dt.timedelta(days=1), dt.timedelta(days=30))
#: An event is first looked for so near to the time that its id tells.
EVENT_REACH = dt.timedelta(hours=1)

_TIES = ("event_id", "kafka_partition", "kafka_offset")
# Texts are sorted by their beginning: enough for people, and it bounds the position that `stream` remembers.
_SORTED_BYTES = 200
# However many rows are wanted, their keys are found first, and the other columns read of those rows alone.
_STREAMING = {"max_block_size": 8192, "query_plan_max_limit_for_lazy_materialization": STREAM_ROWS}


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
        reading = SCATTERED if window.times else _reading(query, beginning=beginning)

        def ask(where: tuple[str, dict[str, str | bytes]], limit: int, skip: int) -> Sequence[Sequence[Any]]:
            return self._clickhouse.query(
                f"SELECT {selected} FROM {query.report.table} {_where(where[0])} "
                f"ORDER BY {_order(query)} LIMIT {{limit:UInt32}} OFFSET {{offset:UInt64}}",
                {**where[1], "limit": limit, "offset": skip},
                **reading,
            )

        found: Sequence[Sequence[Any]] | None = [] if window.empty else None
        if window.times and (query.q or query.without_q):
            # That many rows of those times are those that match; a text would be looked for in all of their values.
            near = ask(window.nearly(), len(window.times) + 1, 0)
            found = near[window.skip :] if len(near) == len(window.times) else None
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

    def _counted(self, query: Query, shown: int, seconds: float | None) -> Count:
        try:
            return counting.read(self._clickhouse, query, seconds if shown else None)
        except QueryTooSlow:
            if seconds is None or not shown:
                raise
        return Count((query.page - 1) * query.per_page + shown, more=True)

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
            )
            if found:
                return rows.items(report.columns, found, read_json)[0]
        return None

    def neighbours(self, query: Query, item: Item) -> tuple[str | None, str | None]:
        """The event ids of the rows before and behind a row in the query's order; None where there is none.

        Args:
            item: a row as `row` gives it; it need not match the query.
        """
        table, time_column = query.report.table, query.report.time_column
        found = self._clickhouse.query(
            f"SELECT {_sort_key(query.sort_column)}, {time_column}, {', '.join(_TIES)} FROM {table} "
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
        return self._beside(query, found[0], back=True), self._beside(query, found[0], back=False)

    def _beside(self, query: Query, position: Sequence[Any], *, back: bool) -> str | None:
        """The event id of the next row behind the one at `position`, or before it; None if there is none."""
        condition, parameters = query.where()
        by_time = query.sort_column.name == query.report.time_column
        for reach in (*NEAR_REACHES, None) if by_time else (None,):
            values: dict[str, str | bytes] = dict(parameters)
            tests = [condition] if condition else []
            tests.append(_behind(query, position, binder(values), back=back, reach=reach))
            ids = self._clickhouse.query(
                f"SELECT event_id FROM {query.report.table} {_where(' AND '.join(tests))} "
                f"ORDER BY {_order(query, back=back)} LIMIT 1",
                values,
                max_execution_time=NEIGHBOUR_SECONDS,
                **_reading(query),
            )
            if ids:
                return str(ids[0][0])
        return None

    def history(self, query: HistoryQuery, *, read_json: Callable[[str], Any] = rows.parse_json) -> History:
        """A page of what happened to an object; see `history.read`."""
        return history.read(self._clickhouse, query, read_json=read_json)

    def related(self, report: Report, items: Sequence[Item]) -> dict[str, list[Item]]:
        """The rows of the other report with the same request id as `items`; see `history.related`."""
        return history.related(self._clickhouse, report, items)

    def stream(self, query: Query) -> Iterator[Block]:
        """All rows that match, in the order of the pages, with at least the query's columns; JSON columns as text.

        Rows are read by queries of their own, each of which goes on behind the last row, so neither a slow reader nor
        a large result runs into a limit. Memory is bounded by what one of them reads: 100,000 rows and 16 MiB, or one
        row.
        """
        place = (query.report.time_column, *_TIES)
        others = (query.report.by_name[name] for name in place if query.report.by_name[name] not in query.columns)
        columns = (*query.columns, *others)
        # Their own names would stand for these expressions in the conditions, too.
        expressions = [*map(blocks.selected, columns), f"toString({_sort_key(query.sort_column)})"]
        selected = ", ".join(f"{expression} AS c{number}" for number, expression in enumerate(expressions))
        condition, parameters = query.where()
        position: list[Any] | None = None
        limit = 1000
        reach: dt.timedelta | None = None
        while True:
            values: dict[str, str | bytes] = dict(parameters)
            tests = [condition] if condition else []
            if position is not None:
                tests.append(_behind(query, position, binder(values), reach=reach))
            try:
                found = self._clickhouse.arrow(
                    f"SELECT {selected} FROM {query.report.table} {_where(' AND '.join(tests))} "
                    f"ORDER BY {_order(query)} LIMIT {{limit:UInt32}}",
                    {**values, "limit": limit},
                    **({"max_result_bytes": STREAM_BYTES} if limit > 1 else {}),
                    **{**_reading(query), **_STREAMING},
                )
            except ResultTooLarge:
                if limit == 1:
                    raise
                limit = max(1, limit // 4)
                continue
            count, size = found.num_rows, found.nbytes
            before = position
            if count:
                block = Block.of(columns, found)
                key = found.columns[-1][-1:].cast(pa.binary())[0].as_py()
                text = _parameter_type(query.sort_column) == "String"  # need not be UTF-8
                position = [key if text else key.decode(), *(block.last(name) for name in place)]
                yield block
            if count < limit:
                if reach is None:
                    return
                reach = None
                continue
            # Less than what would fit: rows differ in size.
            fitting = STREAM_BYTES * 3 // 4 * count // (size + 1)
            limit = max(1, min(limit * 8, STREAM_ROWS, fitting))
            if before and position and query.sort_column.name == query.report.time_column:
                reach = min(abs(position[1] - before[1]) * (REACH * limit / count), MOST_REACH)

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
        source = f"FROM {query.report.table} WHERE {condition}"
        found = self._clickhouse.query(
            f"SELECT {', '.join(map(_beginning, columns))} {source} ORDER BY {_order(query)} LIMIT {{limit:UInt32}}",
            {**parameters, "limit": query.per_page},
        )
        total = len(found)
        if total == query.per_page:
            total = self._clickhouse.query(f"SELECT count() {source}", parameters)[0][0]
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
        found = self._clickhouse.query(
            "SELECT topic, partition, lag, state, kafka_error, last_event_at, updated_at, "
            "dateDiff('second', updated_at, now64(3)) FROM pipeline_status FINAL ORDER BY topic, partition"
        )
        partitions = [dict(zip(names, map(_readable, row), strict=True)) for row in found]
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
            "dead_letters": self._clickhouse.query("SELECT count() FROM dead_letters FINAL")[0][0],
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


def _sort_key(column: Column) -> str:
    return f"substring({column.name}, 1, {_SORTED_BYTES})" if column.kind == "text" else column.name


def _order(query: Query, *, back: bool = False) -> str:
    """The chosen column, then newest first, then what makes every row's place unique; `back` is the other way round."""
    newest = [query.report.time_column, *_TIES]
    direction = "DESC" if query.descending != back else "ASC"
    if query.sort_column.name == query.report.time_column:
        return ", ".join(f"{name} {direction}" for name in newest)
    ties = "ASC" if back else "DESC"
    return f"{_sort_key(query.sort_column)} {direction}, " + ", ".join(f"{name} {ties}" for name in newest)


def _reading(query: Query, *, beginning: bool = True) -> Mapping[str, int]:
    """Reading in the table's order pays where only the `beginning` is read: then in small blocks.

    Elsewhere sorting the keys and fetching the other columns of the chosen rows alone is many times faster.
    """
    if beginning and query.sort_column.name == query.report.time_column:
        return {"optimize_read_in_order": 1, "max_block_size": 1024}
    return {"optimize_read_in_order": 0}


def _behind(
    query: Query,
    position: Sequence[Any],
    bind: conditions.Bind,
    *,
    back: bool = False,
    reach: dt.timedelta | None = None,
) -> str:
    """An SQL test for the rows behind the row at `position` (sort key, time, ties) in the query's order.

    With `back` for the rows before it. With `reach`, and sorted by time, for those that are no further away.
    """
    key, moment, event_id, partition, offset = position
    time_column = query.report.time_column
    newest = f"({time_column}, {', '.join(_TIES)})"
    place = (
        f"({bind(moment, conditions.TIME)}, {bind(event_id, 'UUID')}, "
        f"{bind(partition, 'Int32')}, {bind(offset, 'Int64')})"
    )
    sign = "<" if query.descending != back else ">"
    column = query.sort_column
    if column.name == time_column:
        far = {"<": moment - reach, ">": moment + reach}[sign] if reach else None
        bound = {"<": (far, moment + dt.timedelta(milliseconds=1)), ">": (moment, far)}[sign]
        return " AND ".join([*time_range(time_column, *bound, bind), f"{newest} {sign} {place}"])
    value = bind(key, _parameter_type(column))
    sort_key = _sort_key(column)
    return f"({sort_key} {sign} {value} OR ({sort_key} = {value} AND {newest} {'>' if back else '<'} {place}))"


def _parameter_type(column: Column) -> str:
    types = {"number": "Int64" if column.integer else "Float64", "time": conditions.TIME, "address": "IPv6"}
    return types.get(column.kind, "UUID" if column.kind == "uuid" else "String")


def _readable(value: Any) -> Any:
    return rows.text(value) if isinstance(value, bytes) else value
