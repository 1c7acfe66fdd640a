"""ClickHouse's HTTP interface as a WSGI application over `Engine`, for programs and not for web pages."""

from __future__ import annotations

import itertools
import json
import re
import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request as HttpRequest
from werkzeug.wrappers import Response

from deploy.embedded import frames
from deploy.embedded.engine import Engine, EngineError, Request, Result, error
from deploy.embedded.statement import Statement, parse

#: Parameters of a URL that are not settings of the query.
RESERVED = frozenset(
    [
        "query",
        "database",
        "default_format",
        "query_id",
        "session_id",
        "session_timeout",
        "session_check",
        "compress",
        "decompress",
        "wait_end_of_query",
        "buffer_size",
        "quota_key",
        "user",
        "password",
        "client_protocol_version",
        "role",
        "stacktrace",
        "http_method",
    ]
)

#: Bytes of a request that are read first. What a shorter one says is remembered: programs ask the same again.
BEGINNING = 16 * 1024

#: Most of a request that is searched for the beginning of an INSERT's data, as `max_query_size` in ClickHouse.
HEAD = 256 * 1024

STATUS = {
    **dict.fromkeys((6, 25, 26, 27, 38, 41, 53, 62, 69, 72, 117, 321, 376, 441, 456, 457), 400),
    **dict.fromkeys((164, 291, 497, 516), 403),
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 81, 82, 111, 115, 372), 404),
    48: 501,
    159: 408,
    202: 503,
}

CONTENT_TYPE = (
    (re.compile(r"JSON.*EachRow|JSONLines|NDJSON"), "application/x-ndjson; charset=UTF-8"),
    (re.compile(r"JSON.*"), "application/json; charset=UTF-8"),
    (re.compile(r"CSV(WithNames.*)"), "text/csv; charset=UTF-8; header=present"),
    (re.compile(r"CSV"), "text/csv; charset=UTF-8; header=absent"),
    (re.compile(r"(TSV|TabSeparated).*"), "text/tab-separated-values; charset=UTF-8"),
    (re.compile(r"XML"), "application/xml; charset=UTF-8"),
    (re.compile(r"(Pretty|Vertical|Values|Markdown|LineAsString).*"), "text/plain; charset=UTF-8"),
    (re.compile(r"Parquet"), "application/vnd.apache.parquet"),
    (re.compile(r"ArrowStream"), "application/vnd.apache.arrow.stream"),
    (re.compile(r"Arrow"), "application/vnd.apache.arrow.file"),
)


class Body:
    """What is left of a request's body behind what was already read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.head = b""

    def fill(self, size: int) -> bool:
        """Read until `head` holds `size` bytes; whether there may be more."""
        parts = [self.head]
        length = len(self.head)
        while length < size:
            piece = next(self._pieces, None)
            if piece is None:
                self.head = b"".join(parts)
                return False
            parts.append(piece)
            length += len(piece)
        self.head = b"".join(parts)
        return True

    def rest(self, at: int) -> Iterator[bytes]:
        """Everything from position `at` of the body."""
        return itertools.chain((self.head[at:],), self._pieces)


class Application:
    """The WSGI application.

    Args:
        engine: where statements run.
        port: the port it is served on; requests for another `Host` are refused.
    """

    def __init__(self, engine: Engine, port: int) -> None:
        self.engine = engine
        self.hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        if port == 80:
            self.hosts |= {"127.0.0.1", "localhost", "[::1]"}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = HttpRequest(environ)
        try:
            response = self.answer(request)
        except EngineError as failed:
            response = self.failure(failed)
        except frames.FrameError as failed:
            response = self.failure(error(271, str(failed), "CANNOT_DECOMPRESS"))
        except UnicodeDecodeError:
            response = self.failure(error(62, "the statement is not UTF-8", "SYNTAX_ERROR"))
        except HTTPException as failed:
            response = self.failure(error(1000, failed.description or failed.name, "BAD_REQUEST"), failed.code)
        response.headers.setdefault("X-ClickHouse-Query-Id", _query_id(request))
        response.headers["X-ClickHouse-Server-Display-Name"] = "krill-logger"
        response.headers["X-ClickHouse-Timezone"] = self.engine.timezone
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response(environ, start_response)

    def answer(self, request: HttpRequest) -> Response:
        """The answer to any request.

        Raises:
            EngineError, FrameError: it failed before its first byte was sent.
        """
        if refusal := self.refusal(request):
            return Response(refusal + "\n", 403, content_type="text/plain; charset=UTF-8")
        if request.method not in ("GET", "HEAD", "POST", "PUT"):
            return Response("Only GET, HEAD and POST are answered here.\n", 501)
        if request.path in ("/ping", "/replicas_status"):
            return Response("Ok.\n", content_type="text/plain; charset=UTF-8")
        if request.path.strip("/"):
            return Response(f"There is no handle {request.path[:200]}\n", 404, content_type="text/plain")
        if request.method in ("GET", "HEAD") and "query" not in request.args:
            return Response("Ok.\n", content_type="text/html; charset=UTF-8")
        query = self.read(request)
        started = time.monotonic()
        return self.success(request, query, self.engine.run(query), started)

    def refusal(self, request: HttpRequest) -> str:
        """Why a request cannot come from a program on this machine; empty if it can.

        A page that a user visits can make the browser send requests here: under a foreign name that was pointed at
        this address, or with the page's own origin. Browsers tell both.
        """
        host = request.headers.get("Host", "").lower()
        if host not in self.hosts:
            return f"The host {host[:100]!r} is not served here; use 127.0.0.1."
        own = {f"http://{host}" for host in self.hosts}
        origins = [request.headers.get("Origin", "").lower()]
        if referrer := urlsplit(request.headers.get("Referer", "")):
            origins.append(f"{referrer.scheme}://{referrer.netloc}".lower() if referrer.scheme else "")
        if any(origin and origin not in own for origin in origins):
            return "Requests from web pages are not answered here."
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return "Requests from web pages are not answered here."
        return ""

    def read(self, request: HttpRequest) -> Request:
        """Take a request apart.

        Raises:
            EngineError, FrameError: it cannot be understood.
        """
        arguments = {name: values[-1] for name, values in request.args.lists()}
        tables: tuple[tuple[str, str, str, bytes], ...] = ()
        if request.mimetype == "multipart/form-data":
            form = {name: values[-1] for name, values in request.form.lists()}
            tables = tuple(_external(request, arguments))
            arguments |= form
            body = Body(iter(()))
        else:
            pieces = frames.decode(frames.pieces(request.stream), request.headers.get("Content-Encoding", ""))
            body = Body(frames.from_frames(pieces) if _on(arguments, "decompress") else pieces)
        given = arguments.get("query", "")
        prefix = given.encode() + b"\n" if given else b""
        statement, data = _split(prefix, body)
        if request.method in ("GET", "HEAD") and not statement.only_reads:
            text = "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly."
            raise error(164, text, "READONLY")
        settings = {
            name: value
            for name, value in arguments.items()
            if name not in RESERVED and not name.startswith("param_") and not _describes_table(name, tables)
        }
        try:
            seconds = min(max(int(arguments.get("session_timeout", "60")), 1), 3600)
        except ValueError:
            raise error(36, "session_timeout is a number of seconds", "BAD_ARGUMENTS") from None
        return Request(
            statement,
            data,
            format=request.headers.get("X-ClickHouse-Format") or arguments.get("default_format", ""),
            database=arguments.get("database") or request.headers.get("X-ClickHouse-Database", ""),
            settings=settings,
            parameters={name[6:]: value for name, value in arguments.items() if name.startswith("param_")},
            tables=tables,
            session_id=arguments.get("session_id", ""),
            session_seconds=seconds,
            session_must_exist=_on(arguments, "session_check"),
            whole=_on(arguments, "wait_end_of_query"),
        )

    def success(self, request: HttpRequest, query: Request, result: Result, started: float) -> Response:
        """The answer with the rows of a result, compressed as the client asked."""
        headers = {"X-ClickHouse-Summary": _summary(result, started)}
        if result.format:
            headers["X-ClickHouse-Format"] = result.format
        kind = next((name for form, name in CONTENT_TYPE if form.fullmatch(result.format)), "")
        body = result.body
        streamed = isinstance(body, Iterator)
        tag = secrets.token_hex(8)
        if streamed:
            headers["X-ClickHouse-Exception-Tag"] = tag
            body = _telling(body, tag)
        compression = None
        if _on(request.args, "compress"):
            body = frames.to_frames(body)
        elif _on(query.settings, "enable_http_compression"):
            compression = frames.encoder(request.headers.get("Accept-Encoding", ""))
        if compression:
            headers["Content-Encoding"] = compression[0]
            headers["Vary"] = "Accept-Encoding"
            body = compression[1](body)
        if not streamed:
            body = [b"".join(body)]
        kind = kind or ("application/octet-stream" if result.format else "text/plain; charset=UTF-8")
        response = Response(body, 200, headers, content_type=kind)
        response.call_on_close(result.close)
        return response

    def failure(self, failed: EngineError, status: int | None = None) -> Response:
        """An error as ClickHouse writes it."""
        text = str(failed).rstrip()
        if "(version " not in text:
            text += f" (version {self.engine.version})"
        headers = {"X-ClickHouse-Exception-Code": str(failed.code)}
        return Response(
            text + "\n", status or STATUS.get(failed.code, 500), headers, content_type="text/plain; charset=UTF-8"
        )


_parsed = lru_cache(maxsize=128)(parse)


def _split(prefix: bytes, body: Body) -> tuple[Statement, Iterator[bytes]]:
    """The statement, which may begin in `query=` and go on in the body, and the data behind it."""
    size = BEGINNING
    while True:
        more = body.fill(size)
        text = prefix + body.head
        statement = (_parsed if len(text) < BEGINNING else parse)(text, len(prefix))
        # A name or a quote that ends where the reading ended may go on.
        if not more or (0 <= statement.data_at < len(text) - 256):
            break
        if statement.kind == b"INSERT" and statement.data_at < 0 and size > HEAD:
            break
        size *= 4
    if statement.data_at < 0:
        if more:
            body.fill(1 << 62)
            statement = parse(prefix + body.head, len(prefix))
        return statement, iter(())
    # With the whole FORMAT clause in the parameter, every byte of the body is data.
    if len(prefix) and statement.data_at < len(prefix) and not prefix[statement.data_at :].strip():
        return statement, body.rest(0)
    if statement.data_at < len(prefix):
        return statement, itertools.chain((prefix[statement.data_at :],), body.rest(0))
    return statement, body.rest(statement.data_at - len(prefix))


def _external(request: HttpRequest, arguments: Mapping[str, str]) -> Iterator[tuple[str, str, str, bytes]]:
    """External tables: files of a form, each with `<name>_structure` or `<name>_types`, and `<name>_format`."""
    for name, file in request.files.items():
        structure = arguments.get(f"{name}_structure", "")
        if not structure:
            types = [kind for kind in arguments.get(f"{name}_types", "").split(",") if kind]
            structure = ", ".join(f"_{number} {kind}" for number, kind in enumerate(types, 1))
        if not structure:
            raise error(36, f"{name}_structure or {name}_types is missing", "BAD_ARGUMENTS")
        yield name, structure, arguments.get(f"{name}_format", "TabSeparated"), file.read()


def _describes_table(name: str, tables: Iterable[tuple[str, str, str, bytes]]) -> bool:
    return any(name in (f"{table}_structure", f"{table}_types", f"{table}_format") for table, *_ in tables)


def _telling(body: Iterable[bytes], tag: str) -> Iterator[bytes]:
    """The rows; an error among them is written behind them as ClickHouse does, and the connection is cut."""
    try:
        yield from body
    except EngineError as failed:
        text = str(failed)
        size = len(text.encode()) + 1
        yield f"\r\n__exception__\r\n{tag}\r\n{text}\n{size} {tag}\r\n__exception__\r\n".encode()
        raise


def _summary(result: Result, started: float) -> str:
    counts = {
        "read_rows": result.read_rows,
        "read_bytes": result.read_bytes,
        "written_rows": result.written_rows,
        "written_bytes": result.written_bytes,
        "result_rows": 0,
        "elapsed_ns": round((time.monotonic() - started) * 1e9),
    }
    return json.dumps({name: str(count) for name, count in counts.items()})


def _query_id(request: HttpRequest) -> str:
    given = request.args.get("query_id", "")
    return given if re.fullmatch(r"[\x21-\x7e]{1,200}", given) else str(uuid.uuid4())


def _on(arguments: Mapping[str, str], name: str) -> bool:
    return arguments.get(name, "0").lower() in ("1", "true")
