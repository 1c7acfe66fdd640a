"""Read-only, bounded queries against ClickHouse; connects when first needed and again after an outage."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error, OperationalError
from clickhouse_connect.driver.httputil import get_pool_manager
from urllib3.exceptions import HTTPError

from dashboard import metrics, searching
from schemas.settings import Settings

log = logging.getLogger(__name__)

MAX_MEMORY_BYTES = 2 * 1024**3
#: Largest answer that is held in memory at once.
MAX_RESULT_BYTES = 64 * 1024**2
#: A text may be part of so many words of an index. ClickHouse's own limit, beyond which it reads all rows, is 50 words
#: that are in many rows.
MAX_WORDS = 1_000_000
CONNECT_SECONDS = 2
#: For a query that no projection answers: trying them all takes as long as reading a few rows.
UNPROJECTED: Mapping[str, int] = {"optimize_use_projections": 0}
#: Settings for few rows that lie far apart and all are wanted: each thread reads some of them.
SCATTERED: Mapping[str, int] = {
    **UNPROJECTED,
    "optimize_read_in_order": 0,
    "query_plan_optimize_lazy_materialization": 0,
    "merge_tree_min_rows_for_concurrent_read": 8192,
    "merge_tree_min_bytes_for_concurrent_read": 1,
}
#: For a search that needs all parts of the table: their indexes are asked at the same time, before any row is read.
AHEAD: Mapping[str, int] = {"use_skip_indexes_on_data_read": 0}

# ClickHouse's error codes.
_TOO_SLOW = {159, 160, 209, 394}
_TOO_LARGE = {158, 241, 307, 396}
_CODE = re.compile(r"\bCode:\s*([0-9]+)")
# Blocks of strings are read as bytes: the driver would show invalid UTF-8 as hexadecimal.
_FORMATS = {"*String": "bytes", "IPv6": "string", "UUID": "string"}
# Texts that are not UTF-8 are no Arrow strings; a LowCardinality column is Arrow's dictionary.
_ARROW: Mapping[str, int] = {
    "output_format_arrow_string_as_string": 0,
    "output_format_arrow_low_cardinality_as_dictionary": 1,
}
# The end of an Arrow stream; behind an answer that failed halfway stands an error.
_ARROW_END = b"\xff\xff\xff\xff\0\0\0\0"
_ERROR_BYTES = 64 * 1024

T = TypeVar("T")


class StoreError(Exception):
    """A query that brought no answer; the text is fit for users and free of internals."""

    status = 503


class StoreUnavailable(StoreError):
    """ClickHouse cannot be reached, or cannot answer."""


class QueryTooSlow(StoreError):
    """A query was stopped at its time limit."""

    status = 504


class TooManyQueries(StoreError):
    """A user has as many queries running as one may, and they do not end."""

    status = 429


class ResultTooLarge(StoreError):
    """A query was stopped at its memory limit, or its answer is too large to be held at once."""

    status = 507


class Turns:
    """A few queries at a time for each user, so that one cannot take the database from the others.

    Args:
        queries: of a user at the same time; as many again may wait for their turn.
        seconds: longest that one waits.
        who: the user of the current thread; those of nobody are not limited.
    """

    def __init__(self, queries: int, seconds: float, who: Callable[[], str] = lambda: "") -> None:
        self._queries, self._seconds, self._who = queries, seconds, who
        self._changed = threading.Condition()
        self._running: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn and hold it.

        Raises:
            TooManyQueries: too many wait, or none ended in time.
        """
        who = self._who()
        if not who:
            yield
            return
        with self._changed:
            if self._running[who] >= self._queries:
                self._wait(who)
            self._running[who] += 1
        try:
            yield
        finally:
            with self._changed:
                self._running[who] -= 1
                # So that names do not gather.
                self._running += Counter()
                self._changed.notify_all()

    def _wait(self, who: str) -> None:
        if self._waiting[who] >= self._queries:
            raise _busy()
        self._waiting[who] += 1
        try:
            if not self._changed.wait_for(lambda: self._running[who] < self._queries, self._seconds):
                raise _busy()
        finally:
            self._waiting[who] -= 1
            self._waiting += Counter()


def _busy() -> TooManyQueries:
    return TooManyQueries("Too many of your queries are running. Wait until they end, or choose shorter time ranges.")


class ClickHouse:
    """A shared, thread-safe connection.

    Nothing is sent before the first query. Every query is read-only and bounded in time and memory.

    Args:
        turns: lets each user run a few queries at a time.
    """

    def __init__(self, settings: Settings, turns: Turns | None = None) -> None:
        self._settings = settings
        self._turns = turns or Turns(settings.user_queries, settings.query_seconds)
        self._client: Client | None = None
        self._lock = threading.Lock()

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, **limits: str | float
    ) -> Sequence[Sequence[Any]]:
        """Rows of `sql`, whose `{name:Type}` placeholders are filled by the server with `parameters`.

        Args:
            limits: ClickHouse settings of this query, such as `max_execution_time` in seconds.

        Raises:
            TooManyQueries: the user has others that do not end.
            StoreError: no answer within the limits.
        """
        return self._answer(
            limits,
            lambda client, settings: (
                client.query(
                    sql,
                    parameters=dict(parameters or {}),
                    settings=settings,
                    query_formats=_FORMATS,
                    tz_mode="aware",
                ).result_rows
            ),
        )

    def arrow(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, packed: bool = False, **limits: str | float
    ) -> Iterator[pa.RecordBatch]:
        """The same as columns of Arrow, a part of the rows at a time; texts are bytes, perhaps in a dictionary.

        Args:
            packed: compress the answer, which is held until its last rows are taken.
        """

        def ask(client: Client, settings: dict[str, Any]) -> bytes:
            data = client.raw_query(sql, dict(parameters or {}), settings, fmt="ArrowStream")
            if not data.endswith(_ARROW_END):
                raise OperationalError(data[-_ERROR_BYTES:].decode("utf-8", "replace"))
            return data

        packing = {"output_format_arrow_compression_method": "zstd" if packed else "none"}
        return iter(pa.ipc.open_stream(self._answer({**_ARROW, **packing, **limits}, ask)))

    def clause(self, settings: Mapping[str, str]) -> str:
        """The SETTINGS clause of a subquery that can do without; empty before the first query tells what is allowed."""
        client = self._client
        pairs = [f"{name} = '{value}'" for name, value in settings.items() if client and _changeable(client, name)]
        return f"SETTINGS {', '.join(pairs)}" if pairs else ""

    def _answer(self, wanted: Mapping[str, str | float], ask: Callable[[Client, dict[str, Any]], T]) -> T:
        """What `ask` gets from ClickHouse in the user's turn, within the limits and what is `wanted` beside them."""
        with self._turns.turn():
            start = time.perf_counter()
            try:
                client = self._connect()
                limits = {
                    "readonly": 2,
                    "max_execution_time": self._settings.query_seconds,
                    "max_memory_usage": MAX_MEMORY_BYTES,
                    "max_result_bytes": MAX_RESULT_BYTES,
                    "result_overflow_mode": "throw",
                    "text_index_like_max_postings_to_read": MAX_WORDS,
                    "text_index_like_min_pattern_length": searching.SHORTEST,
                    # Machine code for what it meets the fourth time takes ClickHouse 50 to 130 ms, and saves none.
                    "compile_expressions": 0,
                    "compile_aggregate_expressions": 0,
                    **wanted,
                }
                # A ClickHouse user who is already limited to reading may not change settings.
                return ask(client, {name: value for name, value in limits.items() if _changeable(client, name)})
            except (ClickHouseError, HTTPError, OSError) as error:
                metrics.QUERY_ERRORS.inc()
                raise _told(error) from error
            finally:
                metrics.QUERY_SECONDS.observe(time.perf_counter() - start)

    def _connect(self) -> Client:
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = clickhouse_connect.get_client(
                        dsn=self._settings.clickhouse,
                        database=self._settings.clickhouse_database,
                        client_name="krill-logger-dashboard",
                        # Sessions would allow only one query at a time.
                        autogenerate_session_id=False,
                        connect_timeout=CONNECT_SECONDS,
                        send_receive_timeout=self._settings.query_seconds + 5,
                        pool_mgr=get_pool_manager(maxsize=16),
                        query_retries=1,
                    )
        return self._client


def matching(table: str, condition: str, columns: str = "*") -> str:
    """The rows of a table that match, as a subquery for an aggregation that no projection counts by the hour.

    Its limit is never reached. Without one, ClickHouse first tries all of those projections on the aggregation, which
    takes longer than reading a few rows; the projections that only sort rows are used as ever.
    """
    return f"(SELECT {columns} FROM {table} {f'WHERE {condition}' if condition else ''} LIMIT 1000000000000)"  # noqa: S608


def _changeable(client: Client, name: str) -> bool:
    setting = client.server_settings.get(name)
    return setting is None or not setting.readonly


def _told(error: Exception) -> StoreError:
    """The error for users; what it was goes to the log."""
    code = error.code if isinstance(error, Error) else None
    if code is None and (match := _CODE.search(str(error))):
        code = int(match[1])
    if code in _TOO_SLOW:
        return QueryTooSlow("The query took too long. Choose a shorter time range or fewer conditions.")
    if code in _TOO_LARGE:
        return ResultTooLarge("The answer is too large. Choose fewer rows per page or a shorter time range.")
    if "timed out" in str(error).lower():
        log.warning("ClickHouse did not answer in time")
        return QueryTooSlow("ClickHouse did not answer in time. Try again, or choose a shorter time range.")
    if code is not None:
        log.error("ClickHouse refused a query (code %d)", code, exc_info=error)
        return StoreUnavailable("ClickHouse cannot answer at the moment.")
    log.warning("ClickHouse cannot be reached: %s", type(error).__name__)
    return StoreUnavailable("ClickHouse cannot be reached at the moment.")
