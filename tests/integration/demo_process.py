"""The demo Krill as a process of its own, and a tap on what goes to it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.conftest import free_port

TOKEN = {"Authorization": "Token demo"}


@dataclass
class Demo:
    """A data folder and a port, and the processes started on them.

    Kafka is away unless a test says where it is: nothing may wait for it.
    """

    data: Path
    port: int
    kafka: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, *args: str, port: int | None = None) -> subprocess.Popen[str]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("KRILL_LOGGER_")}
        environ |= {
            "KRILL_LOGGER_DATA": str(self.data),
            "KRILL_LOGGER_DEMO_PORT": str(port or self.port),
            "KRILL_LOGGER_KAFKA_BOOTSTRAP": self.kafka or f"127.0.0.1:{free_port()}",
        }
        command = [sys.executable, "-m", "deploy.demo", *args]
        return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    @contextlib.contextmanager
    def serving(self, seconds: float = 30) -> Iterator[None]:
        """Serve within the block; fails if it is not ready in time, and if SIGTERM does not end it."""
        process = self.run("serve")
        try:
            wait_for(lambda: answers(self.url) or process.poll() is not None, seconds)
            assert process.poll() is None, process.stdout and process.stdout.read()
            yield
        finally:
            assert end(process, 12) in (0, None)

    def api(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(
            method, self.url + path, timeout=20, headers={**TOKEN, **options.pop("headers", {})}, **options
        )

    def bytes_on_disk(self) -> bytes:
        return b"".join(file.read_bytes() for file in self.data.rglob("*") if file.is_file())


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/admin/login/", timeout=5).ok
    except requests.RequestException:
        return False


def wait_for(condition: Callable[[], Any], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.1)


def end(process: subprocess.Popen[str], seconds: float) -> int | None:
    """Stop it as `krill-logger up` does; its exit code, None if it had to be killed."""
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    return process.returncode


class Tap(socketserver.ThreadingTCPServer):
    """Passes bytes on to the demo, and keeps what was asked and answered."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, to: int) -> None:
        self.to = to
        self.asked: list[bytes] = []
        self.answered: list[bytes] = []
        super().__init__(("127.0.0.1", 0), TapHandler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def statuses(self) -> Counter[int]:
        answers = b"".join(self.answered)
        return Counter(int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\nServer: gunicorn", answers))

    def first_ids(self) -> dict[str, str]:
        """User agent -> the id of its first request."""
        firsts: dict[str, str] = {}
        for head in self.asked:
            agent = re.search(rb"User-Agent: ([^\r]+)\r\n", head)
            request_id = re.search(rb"X-Request-ID: ([^\r]+)\r\n", head)
            if agent and request_id:
                firsts.setdefault(agent[1].decode(), request_id[1].decode())
        return firsts


class TapHandler(socketserver.BaseRequestHandler):
    """One connection, both ways."""

    server: Tap

    def handle(self) -> None:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.server.to), timeout=20) as demo,
        ):
            back = threading.Thread(target=self.pump, args=(demo, self.request, self.server.answered), daemon=True)
            back.start()
            self.pump(self.request, demo, self.server.asked)
            back.join(20)

    @staticmethod
    def pump(source: socket.socket, target: socket.socket, kept: list[bytes]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                kept.append(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
