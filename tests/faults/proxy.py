"""A TCP proxy that cuts, delays and holds what passes: in front of ClickHouse (HTTP) and of Kafka."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable
from typing import IO, Literal

Point = Literal["request", "response"]
Verdict = Literal["pass", "cut"] | bytes

#: Longest that a trap which nobody lets go holds a message, in seconds.
LONGEST_HOLD = 90.0
OFFSET_COMMIT = 8
#: Partition and offset of a commit of ours, and the topic id that its metadata begins with; an insert's token.
COMMITTED = re.compile(rb"(.{4})(.{8}).{4}.topic ([0-9a-f-]{36})", re.DOTALL)
INSERTED = re.compile(rb"insert_deduplication_token=([0-9a-f-]{36})%3A(\d+)%3A(\d+)")


class Trap:
    """Catches the next message at `point` that matches, and holds it until `let_go`.

    Args:
        point: `request` (towards the server) or `response` (to a request that matches; HTTP only).
        matches: is given the request.
    """

    def __init__(self, point: Point, matches: Callable[[bytes], bool]) -> None:
        self.point = point
        self.matches = matches
        self.caught = threading.Event()
        self.connection: Connection | None = None
        self.request = b""
        self._verdict: Verdict = "cut"
        self._gone = threading.Event()

    def let_go(self, verdict: Verdict = "pass") -> None:
        """Let the message pass, cut its connection, or send the client these bytes instead."""
        self._verdict = verdict
        self._gone.set()

    def hold(self, request: bytes, connection: Connection) -> Verdict:
        """Called by the connection's thread."""
        self.request = request
        self.connection = connection
        self.caught.set()
        self._gone.wait(LONGEST_HOLD)
        return self._verdict


class Connection:
    """A client's connection and the one to the server behind it."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self.proxy = proxy
        self.client = client
        self.client_port: int = client.getpeername()[1]
        self.server = socket.create_connection(("127.0.0.1", proxy.target), timeout=10)
        self.server.settimeout(None)
        for end in (self.client, self.server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.requests, self.answers = client.makefile("rb"), self.server.makefile("rb")
        self.deaf = False  # answers are thrown away

    def close(self) -> None:
        """Let go of both sockets; `cut` before."""
        for end in (self.requests, self.answers, self.client, self.server):
            end.close()

    def cut(self) -> None:
        """Close both sides."""
        self.cut_client()
        _shut(self.server)

    def cut_client(self) -> None:
        """Close the client's side; what is held may still go to the server."""
        self.deaf = True
        _shut(self.client)

    def http(self) -> None:
        """Pass whole requests and answers, one after the other."""
        # The embedded ClickHouse answers to its own port's name only.
        names = (f"127.0.0.1:{self.proxy.port}\r\n".encode(), f"127.0.0.1:{self.proxy.target}\r\n".encode())
        while request := _http_message(self.requests):
            verdict = self.proxy.judge("request", request, self)
            if verdict == "cut":
                return
            head, blank, body = request.partition(b"\r\n\r\n")
            self.server.sendall((head + b"\r\n").replace(*names) + b"\r\n" + body if blank else request)
            answer = _http_message(self.answers)
            verdict = self.proxy.judge("response", request, self)
            if verdict == "cut" or not answer:
                return
            self.client.sendall(answer if verdict == "pass" else verdict)

    def kafka(self) -> None:
        """Pass whole requests; answers as they come."""
        back = threading.Thread(target=self._answers, daemon=True)
        back.start()
        while len(size := self.requests.read(4)) == 4:
            frame = size + self.requests.read(int.from_bytes(size))
            if self.proxy.judge("request", frame, self) == "cut":
                return
            self.server.sendall(frame)
        if self.deaf:
            time.sleep(1)  # the broker reads what was let go late

    def _answers(self) -> None:
        with contextlib.suppress(OSError):
            while piece := self.server.recv(1 << 18):
                self.proxy.wait(self)
                if not self.deaf:
                    self.client.sendall(piece)
        self.cut()


class Proxy:
    """Listens on a free port of 127.0.0.1 and passes what comes to the port `target`.

    Attributes:
        delay: seconds by which each message is held.
        held: ports of the clients whose messages wait until they are taken out.
    """

    def __init__(self, target: int, protocol: Literal["http", "kafka"]) -> None:
        self.target = target
        self.delay = 0.0
        self.held: frozenset[int] = frozenset()
        self._serve = Connection.http if protocol == "http" else Connection.kafka
        self._traps: list[Trap] = []
        self._connections: set[Connection] = set()
        self._guard = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        """Stop listening, cut everything and wait until all is closed."""
        _shut(self._listener)
        self._acceptor.join()
        self._listener.close()
        deadline = time.monotonic() + 5
        while self._connections and time.monotonic() < deadline:
            self.held = frozenset()
            self.cut()
            time.sleep(0.01)

    def set(self, trap: Trap) -> None:
        """Lay a trap; it catches once."""
        with self._guard:
            self._traps.append(trap)

    def unset(self, trap: Trap) -> None:
        """Take a trap away that has not caught anything."""
        with self._guard, contextlib.suppress(ValueError):
            self._traps.remove(trap)

    def cut(self) -> None:
        """Close every connection."""
        with self._guard:
            connections = list(self._connections)
        for connection in connections:
            connection.cut()

    def judge(self, point: Point, request: bytes, connection: Connection) -> Verdict:
        """What happens to a message; returns when it may."""
        self.wait(connection)
        with self._guard:
            trap = next((trap for trap in self._traps if trap.point == point and trap.matches(request)), None)
            if trap is not None and trap.caught.is_set():
                trap = None  # laid at several proxies, and another one was first
            if trap is not None:
                self._traps.remove(trap)
        return "pass" if trap is None else trap.hold(request, connection)

    def wait(self, connection: Connection) -> None:
        """Wait as long as messages of this connection are delayed or held."""
        if self.delay:
            time.sleep(self.delay)
        while connection.client_port in self.held:
            time.sleep(0.05)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._run, args=(client,), daemon=True).start()

    def _run(self, client: socket.socket) -> None:
        try:
            connection = Connection(self, client)
        except OSError:
            client.close()
            return
        with self._guard:
            self._connections.add(connection)
        with contextlib.suppress(OSError, ValueError):
            self._serve(connection)
        connection.cut()
        connection.close()
        with self._guard:
            self._connections.discard(connection)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


def _http_message(stream: IO[bytes]) -> bytes:
    """The next request or answer; empty at the end of the stream.

    Raises:
        ValueError: the stream ended within it.
    """
    pieces = []
    size, chunked = 0, False
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            size = int(value)
        elif name.lower() == b"transfer-encoding":
            chunked = value.strip().lower() == b"chunked"
        pieces.append(line)
    if not pieces:
        return b""
    pieces.append(line)
    while chunked:
        pieces.append(line := stream.readline())
        size = int(line, 16)
        pieces.append(_exactly(stream, size + 2))
        if not size:
            return b"".join(pieces)
    return b"".join([*pieces, _exactly(stream, size)])


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise ValueError("the stream ended within a message")
    return data


def is_insert(request: bytes) -> bool:
    """Whether an HTTP request inserts events."""
    return b"INSERT" in request[:4000] and any(table in request[:4000] for table in (b"api_requests", b"admin_changes"))


def is_commit(frame: bytes) -> bool:
    """Whether a request to Kafka commits offsets."""
    return int.from_bytes(frame[4:6]) == OFFSET_COMMIT


def place_of(request: bytes) -> tuple[str, int, int]:
    """Topic id, partition and offset of a commit, or of an insert's first row; no topic id if it is neither."""
    if is_commit(request) and (found := COMMITTED.search(request)):
        return found[3].decode(), int.from_bytes(found[1]), int.from_bytes(found[2])
    if is_insert(request) and (found := INSERTED.search(request[:4000])):
        return found[1].decode(), int(found[2]), int(found[3])
    return "", 0, 0
