"""A CSV of all requests over HTTP, from the dashboard and from Django with drf-tracking's table: `make bench-export`.

    python -m tests.benchmarks.export [--rows 1000000] [--rounds 3] [--folder var/bench-export] [--no-peer]

Both are served by gunicorn and write all of their columns of the same rows, in turn; a client that does nothing but
count bytes reads them, and medians count. Then the dashboard, freshly started for each, writes the newest tenth and the
newest three tenths of the rows, too: its memory must not grow with them.

Bias. Client, servers and databases share this machine, so whoever computes in two processes at once gains from a second
core. For the peer: it has 18 columns and we have 30; it asks nobody to log in, masks no formulas, sorts nothing, turns
no time into the reader's zone and keeps no checksum, and reads from PostgreSQL's memory. For us: ClickHouse holds the
rows in the order in which they are written, which is what it is for.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import quote, urlencode

import clickhouse_connect
import psutil

from deploy.embedded.death import die_with_parent
from schemas.settings import Settings
from tests.benchmarks import rows
from tests.benchmarks.load import answers, at_least, fresh_dashboard, goal, report
from tests.conftest import free_port

TIMES_FASTER = 10.0
MOST_GROWTH = 64.0
#: Shares of the rows, for memory.
SHARES = (0.1, 0.3, 1.0)
PASSWORD = uuid.uuid4().hex
_MIB = 1024**2


class Site:
    """A server that writes the file, and the processes that take part."""

    def __init__(self, port: int, path: str, cookie: str, server: psutil.Process, database: psutil.Process) -> None:
        self.port, self.path, self.cookie, self.server, self.database = port, path, cookie, server, database

    def download(self, more: str = "") -> tuple[float, float, float]:
        """Seconds, MB, and seconds of CPU of one file."""
        before, started = self._cpu(), time.perf_counter()
        size = _download(self.port, self.path + more, self.cookie)
        seconds = time.perf_counter() - started
        return seconds, size / 1e6, self._cpu() - before

    def _cpu(self) -> float:
        """Those that have ended count for their parents."""
        family = [one for top in (self.server, self.database) for one in (top, *top.children(recursive=True))]
        return sum(sum(one.cpu_times()[:4]) for one in family)

    def peak(self) -> float:
        """MiB of memory that the server's processes had at most."""
        family = (self.server, *self.server.children(recursive=True))
        status = (Path(f"/proc/{one.pid}/status").read_text() for one in family)
        return sum(int(re.search(r"VmHWM:\s+(\d+)", text)[1]) for text in status) / 1024  # type: ignore[index]


def _download(port: int, path: str, cookie: str) -> int:
    """Bytes of an answer, which must be whole. Its chunks are not taken apart: of many small ones that is slow."""
    size, tail = 0, b""
    buffer = memoryview(bytearray(_MIB))
    with socket.create_connection(("127.0.0.1", port)) as connection:
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nCookie: {cookie}\r\n\r\n"
        connection.sendall(head.encode())
        while count := connection.recv_into(buffer):
            if not size:
                assert bytes(buffer[:12]) == b"HTTP/1.1 200", bytes(buffer[:200])
            size += count
            tail = (tail + bytes(buffer[max(0, count - 5) : count]))[-5:]
    assert tail == b"0\r\n\r\n", "the file broke off"
    return size


@contextmanager
def dashboard(settings: Settings) -> Iterator[Site]:
    """As an operator starts it, with somebody who has logged in."""
    port = free_port()
    environment = fresh_dashboard(settings, port, PASSWORD)
    with _serving([sys.executable, "-m", "deploy.cli", "dashboard"], environment, port, "/login") as process:
        cookie = _log_in(f"http://127.0.0.1:{port}/login")
        yield Site(port, "/api-requests.csv?tz=Europe/Madrid", cookie, process, _child("embedded.clickhouse"))


@contextmanager
def peer(settings: Settings) -> Iterator[Site]:
    """Django over PostgreSQL with the same rows."""
    from tests.benchmarks.peer import tracking

    with tracking(settings):
        from django.conf import settings as django_settings

        port = free_port()
        environment = os.environ | {"PEER_PORT": django_settings.DATABASES["default"]["PORT"]}
        command = [
            sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--timeout", "0", "--no-control-socket",
            "--log-level", "warning", "tests.benchmarks.export_peer:application",
        ]  # fmt: skip
        with _serving(command, environment, port, "/") as process:
            yield Site(port, "/export.csv", "", process, _child("bin/postgres"))


@contextmanager
def _serving(command: list[str], environment: dict[str, str], port: int, path: str) -> Iterator[psutil.Process]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)
    try:
        answers(port, path, alive=lambda: process.poll() is None)
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _child(word: str) -> psutil.Process:
    """The server of a database, which this process started."""
    [found] = [one for one in psutil.Process().children() if word in " ".join(one.cmdline())]
    return found


def _log_in(url: str) -> str:
    cookies = CookieJar()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(cookies))
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', opener.open(url).read().decode())
    assert token is not None
    form = {"csrf_token": token[1], "name": "admin", "password": PASSWORD}
    opener.open(url, urlencode(form).encode()).close()
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in cookies)


def _since(settings: Settings, count: int) -> str:
    """The parameter that leaves about so many of the newest rows."""
    client = clickhouse_connect.get_client(dsn=settings.clickhouse, database=settings.clickhouse_database)
    found = client.query(
        "SELECT formatDateTime(requested_at, '%FT%TZ', 'UTC') FROM api_requests ORDER BY requested_at DESC "
        "LIMIT 1 OFFSET {count:UInt32}",
        parameters={"count": count - 1},
    ).result_rows[0][0]
    client.close()
    return f"&from={quote(found)}"


def main(arguments: list[str] | None = None) -> int:
    """Print tables and the goals; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="API requests in ClickHouse")
    parser.add_argument("--rounds", type=int, default=3, help="files of each, of which the median counts")
    parser.add_argument("--folder", type=Path, default=Path("var/bench-export"), help="where the rows are kept")
    parser.add_argument("--no-peer", action="store_true", help="leave Django and PostgreSQL out")
    given = parser.parse_args(arguments)
    goals, results = [], {}
    with rows.clickhouse(given.folder.absolute(), given.rows) as settings:
        with ExitStack() as stack:
            sites = {"dashboard": stack.enter_context(dashboard(settings))}
            if not given.no_peer:
                sites["Django"] = stack.enter_context(peer(settings))
            rounds = [{name: site.download() for name, site in sites.items()} for _ in range(given.rounds)]
        print(f"{given.rows:,} rows, median of {given.rounds}\n")
        print(f"{'':<12}{'seconds':>10}{'rows/s':>12}{'MB/s':>10}{'CPU seconds':>14}")
        for name in sites:
            seconds, size, cpu = (
                statistics.median(column) for column in zip(*(one[name] for one in rounds), strict=True)
            )
            results[name] = {"seconds": seconds, "rows_per_second": given.rows / seconds, "mb": size, "cpu": cpu}
            print(f"{name:<12}{seconds:>10.2f}{given.rows / seconds:>12,.0f}{size / seconds:>10.1f}{cpu:>14.2f}")
        print(f"\n{'rows':<12}{'peak MiB':>10}")
        peaks = []
        for share in SHARES:
            count = max(int(given.rows * share), 1)
            with dashboard(settings) as site:
                site.download(_since(settings, count))
                peaks.append(site.peak())
            print(f"{count:<12,}{peaks[-1]:>10.0f}")
    if not given.no_peer:
        ours, theirs = (results[name]["rows_per_second"] for name in ("dashboard", "Django"))
        goals.append(at_least("rows per second, times the peer's", ours / theirs, TIMES_FASTER, theirs))
    goals.append(goal("memory, from a tenth of the rows to all: MiB more", peaks[-1] - peaks[0], MOST_GROWTH))
    return report(goals, rows=given.rows, rounds=given.rounds, files=results, peak_mib=peaks)


if __name__ == "__main__":
    sys.exit(main())
