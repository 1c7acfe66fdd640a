"""Runs statements in chDB: one fresh connection per request, so that no setting of one reaches another.

Connections to the same folder run at the same time; a statement on one never waits for another's.
"""

from __future__ import annotations

import itertools
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.embedded.statement import Statement

#: Formats whose pieces, put behind one another, are the whole.
STREAMED = frozenset(
    [
        "Native",
        "RowBinary",
        "TabSeparated",
        "TSV",
        "TabSeparatedRaw",
        "TSVRaw",
        "CSV",
        "JSONEachRow",
        "JSONLines",
        "NDJSON",
        "LineAsString",
        "RawBLOB",
        "JSONCompactEachRow",
        "JSONStringsEachRow",
        "JSONCompactStringsEachRow",
        "Values",
        "Null",
    ]
)

#: Formats that are read from their end: they wait in a file until they are whole.
SEEKING = frozenset({"Arrow", "Parquet", "ORC", "Avro"})

NAME = re.compile(r"[A-Za-z_]\w*")

#: What a new connection is told: chDB reads `1` as `SELECT 1`, a server does not.
DEFAULTS = {"implicit_select": "0"}


class EngineError(Exception):
    """What ClickHouse refused, as `Code: NN. DB::Exception: …`; `code` is NN."""

    def __init__(self, text: str) -> None:
        begin = text.find("Code: ")
        super().__init__(text[begin:] if begin > 0 else text)
        found = re.search(r"Code: (\d+)", text)
        self.code = int(found[1]) if found else 1002


def error(code: int, text: str, name: str) -> EngineError:
    """An error of our own in ClickHouse's words."""
    return EngineError(f"Code: {code}. DB::Exception: {text} ({name})")


@dataclass(slots=True)
class Result:
    """The answer to a statement.

    `body` yields bytes and, if it is an iterator, may raise `EngineError`; `close` ends it early or late.
    """

    format: str
    body: Iterable[bytes] = ()
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    elapsed: float = 0.0
    close: Callable[[], None] = lambda: None


@dataclass(slots=True)
class Session:
    """What a client's `session_id` keeps between requests: temporary tables and what SET and USE changed."""

    connection: Any
    database: str = "default"
    expires: float = 0.0
    busy: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class Request:
    """A statement with all that goes with it; `data` is the body behind an INSERT."""

    statement: Statement
    data: Iterable[bytes] = ()
    format: str = ""
    database: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    tables: tuple[tuple[str, str, str, bytes], ...] = ()
    session_id: str = ""
    session_seconds: int = 60
    session_must_exist: bool = False
    whole: bool = False


def quote(text: str) -> str:
    """A ClickHouse string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0") + "'"


def identifier(text: str) -> str:
    """A quoted ClickHouse identifier."""
    return "`" + text.replace("\\", "\\\\").replace("`", "\\`") + "`"


class Engine:
    """chDB on one folder. Threads may share it.

    Args:
        folder: where the tables live; made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        from chdb.state import connect

        self._connect = connect
        self._folder = folder / "store"
        self._waiting = folder / "incoming"
        self._waiting.mkdir(parents=True, exist_ok=True)
        for leftover in self._waiting.iterdir():
            leftover.unlink()
        # The engine lives as long as one connection is open.
        self._root = self._open()
        self.version, self.timezone = self._root.query("SELECT version(), timezone()", "TSV").bytes().decode().split()
        self._sessions: dict[str, Session] = {}
        self._guard = threading.Lock()

    def close(self) -> None:
        """Close every connection; running statements end first."""
        with self._guard:
            for session in self._sessions.values():
                session.connection.close()
            self._sessions.clear()
        self._root.close()

    def _open(self) -> Any:
        return self._connect(str(self._folder))

    def run(self, request: Request) -> Result:
        """Run a statement and return once its first bytes are there.

        Raises:
            EngineError: ClickHouse refused it, or it does not belong on an HTTP interface.
        """
        statement = request.statement
        if statement.more:
            raise error(62, "Syntax error (Multi-statements are not allowed)", "SYNTAX_ERROR")
        if statement.has(b"INTO", b"OUTFILE") or statement.has(b"FROM", b"INFILE"):
            raise error(48, "INTO OUTFILE and FROM INFILE are for the command line client", "NOT_IMPLEMENTED")
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(self._scope(request))
                result = self._execute(connection, request, stack)
            except RuntimeError as failed:
                raise EngineError(str(failed)) from None
            if isinstance(result.body, Iterator):
                # The connection stays open until the last row is sent. A session is free before its client hears that
                # it was the last, and may ask for more.
                result.close = stack.pop_all().close
                result.body = _then(result.body, result.close)
        return result

    @contextmanager
    def _scope(self, request: Request) -> Iterator[Any]:
        """A connection with the request's database and settings."""
        if request.session_id:
            with self._session(request) as session:
                yield session.connection
            return
        connection = self._open()
        try:
            self._prepare(connection, request, {**DEFAULTS, **request.settings})
            yield connection
        finally:
            connection.close()

    def _prepare(self, connection: Any, request: Request, settings: Mapping[str, str]) -> None:
        if request.database:
            connection.query(f"USE {identifier(request.database)}")
        for name in settings:
            if not NAME.fullmatch(name):
                raise error(115, f"Unknown setting {name[:80]!r}.", "UNKNOWN_SETTING")
        # One statement for all of them: each costs a quarter of a millisecond.
        _set(connection, settings)
        for name, structure, form, data in request.tables:
            connection.query(f"CREATE TEMPORARY TABLE {identifier(name)} ({structure}) ENGINE = Memory")
            insert = connection.send_insert(f"INSERT INTO {identifier(name)}", form)
            with insert:
                insert.append(data)
                insert.finish()

    @contextmanager
    def _session(self, request: Request) -> Iterator[Session]:
        """The client's session, locked for this request; the request's own settings are taken back afterwards."""
        now = time.monotonic()
        with self._guard:
            for name in [
                name for name, kept in self._sessions.items() if kept.expires < now and not kept.busy.locked()
            ]:
                self._sessions.pop(name).connection.close()
            session = self._sessions.get(request.session_id)
            if session is None:
                if request.session_must_exist:
                    raise error(372, "Session not found or expired.", "SESSION_NOT_FOUND")
                session = self._sessions[request.session_id] = Session(self._open())
                _set(session.connection, DEFAULTS)
            if not session.busy.acquire(blocking=False):
                raise error(373, "Session is locked by a concurrent client.", "SESSION_IS_LOCKED")
        changed: dict[str, str] = {}
        try:
            changed = self._values(session.connection, request.settings)
            self._prepare(session.connection, request, request.settings)
            yield session
            if request.statement.kind == b"USE":
                session.database = session.connection.query("SELECT currentDatabase()", "TSVRaw").bytes().decode()[:-1]
        finally:
            try:
                session.connection.query(f"USE {identifier(session.database)}")
                _set(session.connection, changed)
                for name, *_ in request.tables:
                    session.connection.query(f"DROP TEMPORARY TABLE IF EXISTS {identifier(name)}")
                session.expires = time.monotonic() + request.session_seconds
            except RuntimeError:
                # A setting such as `readonly` cannot be taken back: the session ends.
                with self._guard:
                    self._sessions.pop(request.session_id, None)
                session.connection.close()
            finally:
                session.busy.release()

    @staticmethod
    def _values(connection: Any, settings: Mapping[str, str]) -> dict[str, str]:
        if not settings:
            return {}
        names = ", ".join(quote(name) for name in settings)
        rows = connection.query(f"SELECT name, value FROM system.settings WHERE name IN ({names})", "TSVRaw").bytes()  # noqa: S608 - quoted names
        return dict(row.split("\t", 1) for row in rows.decode().splitlines())

    def _execute(self, connection: Any, request: Request, stack: ExitStack) -> Result:
        statement = request.statement
        if statement.kind == b"INSERT":
            return self._insert(connection, request)
        sql = statement.sql.decode()
        form = statement.format or request.format or "TabSeparated"
        streams = form in STREAMED and statement.kind in (b"SELECT", b"WITH", b"FROM") and not request.whole
        if (
            streams
            and not statement.has(b"WITH", b"TOTALS")
            and request.settings.get("extremes", "0") in ("0", "false")
        ):
            return self._stream(connection, sql, form, request.parameters, stack)
        done = connection.query(sql, form, params=dict(request.parameters))
        return _counted(done, form, (done.bytes(),))

    @staticmethod
    def _stream(connection: Any, sql: str, form: str, parameters: Mapping[str, str], stack: ExitStack) -> Result:
        """Rows as they are found; memory holds one block of them."""
        stream = connection.send_query(sql, form, params=dict(parameters))
        stack.callback(stream.close)
        first = stream.fetch()
        if first is None:
            # Without rows, none of these formats writes anything; what was read is not told then.
            return Result(form)
        second = stream.fetch()
        if second is None:
            return _counted(first, form, (first.bytes(),))

        def body() -> Iterator[bytes]:
            try:
                yield first.bytes()
                yield second.bytes()
                for piece in stream:
                    yield piece.bytes()
            except RuntimeError as failed:
                raise EngineError(str(failed)) from None

        return _counted(first, form, body())

    def _insert(self, connection: Any, request: Request) -> Result:
        statement = request.statement
        form = statement.format or request.format or "Values"
        head = statement.without_format().decode()
        if statement.data_at < 0 or (statement.has(b"SELECT") and statement.input_at < 0):
            done = connection.query(head, "Null", params=dict(request.parameters))
            return _counted(done, "")
        if form == "Values":
            # Values may be expressions over the request's parameters, which only a whole statement takes.
            rows = b"".join(request.data).decode()
            if not rows.strip():
                return Result("")
            done = connection.query(f"{head} VALUES {rows}", "Null", params=dict(request.parameters))
            return _counted(done, "")
        data = iter(request.data)
        first = next(data, b"")
        if form == "Arrow" and statement.input_at < 0 and first[:8] == b"ARROW1\0\0":
            # Behind its first eight bytes an Arrow file is an Arrow stream, with an index behind that.
            form, first = "ArrowStream", first[8:]
        data = itertools.chain((first,), data)
        if statement.input_at >= 0 or form in SEEKING:
            return self._insert_file(connection, request, head, form, data)
        insert = connection.send_insert(head, form)
        with insert:
            for piece in data:
                if piece:
                    insert.append(piece)
            done = insert.finish()
        return Result("", written_rows=done.rows_written, written_bytes=done.bytes_written, elapsed=done.elapsed)

    def _insert_file(self, connection: Any, request: Request, head: str, form: str, data: Iterable[bytes]) -> Result:
        """Through a file: for formats that are read from their end, and for INSERT … SELECT … FROM input(…)."""
        statement = request.statement
        with tempfile.NamedTemporaryFile(dir=self._waiting) as file:
            empty = True
            for piece in data:
                empty = empty and not piece
                file.write(piece)
            file.flush()
            if empty:
                return Result("")
            path = quote(file.name)
            if statement.input_at >= 0:
                before, after = head[: statement.input_at], head[statement.input_at :]
                sql = f"{before}file({path}, {quote(form)}, {after[after.index('(') + 1 :]}"
            else:
                settings = next((word.start for word in statement.words if word.text == b"SETTINGS"), len(head))
                sql = f"{head[:settings]} FROM INFILE {path} {head[settings:]} FORMAT {form}"
            done = connection.query(sql, "Null", params=dict(request.parameters))
        return _counted(done, "")


def _then(body: Iterable[bytes], close: Callable[[], None]) -> Iterator[bytes]:
    yield from body
    close()


def _set(connection: Any, settings: Mapping[str, str]) -> None:
    if settings:
        connection.query("SET " + ", ".join(f"{name} = {quote(value)}" for name, value in settings.items()))


def _counted(done: Any, form: str, body: Iterable[bytes] = ()) -> Result:
    return Result(
        form, body, done.rows_read(), done.bytes_read(), done.rows_written(), done.bytes_written(), done.elapsed()
    )
