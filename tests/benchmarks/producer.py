"""What logging adds to a request of REST framework, beside drf-api-tracking writing to PostgreSQL.

    python -m tests.benchmarks.producer [--rounds 9] [--requests 400]

One process, Django's own handler, the same view with and without logging, in blocks of the same requests that take
turns. A real broker, up and then killed; a real PostgreSQL on the same machine. What is added is a quantile of the
block minus that quantile of the block without logging, and of the rounds the median.

Bias, all of it for the peer: its database is empty, on the same machine, reached over one connection that stays open,
and its users are in memory. For us: the work of the threads behind a request overlaps with what is not measured, the
pause between two blocks; it is in the CPU time, which counts all threads and, for the peer, PostgreSQL.
"""

from __future__ import annotations

import argparse
import io
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import django
import msgspec
import psutil
from django.conf import settings

from deploy.topics import create_topics
from schemas.settings import Settings
from tests.benchmarks.events import api_requests
from tests.benchmarks.load import at_least, goal, report
from tests.benchmarks.postgres import Postgres, postgres
from tests.conftest import Server, free_port

MIDDLEWARE = "producers.django.middleware.RequestLoggingMiddleware"
PEER = "drf-api-tracking"
NAMES = ("without", "middleware", "mixin", PEER)
#: Pause after a block, in which what it left to other threads is done.
SETTLE_SECONDS = 0.3


def set_up(folder: Path, bootstrap: str, database: Postgres) -> None:
    """Configure Django in this process, and make the tables."""
    settings.configure(
        SECRET_KEY="only-for-benchmarks",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=(),
        USE_TZ=True,
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "rest_framework",
            "rest_framework_tracking",
            "producers.django",
        ],
        MIDDLEWARE=[],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": "krill",
                "USER": "krill",
                "HOST": "127.0.0.1",
                "PORT": str(database.port),
                "CONN_MAX_AGE": None,
            }
        },
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": [],
            "DEFAULT_PERMISSION_CLASSES": [],
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
            "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
        },
        KRILL_LOGGER={"BOOTSTRAP": bootstrap, "SPOOL": folder / "spool"},
    )
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def handlers(events: list[dict[str, Any]]) -> dict[str, tuple[Callable[..., Any], Any]]:
    """The WSGI application of each way to log, and its URLs. The view answers what the event says that was answered."""
    from django.contrib.auth.models import User
    from django.core.handlers.wsgi import WSGIHandler
    from django.urls import re_path
    from rest_framework.authentication import BaseAuthentication
    from rest_framework.response import Response
    from rest_framework.views import APIView
    from rest_framework_tracking.mixins import LoggingMixin as Theirs

    from producers.django.mixins import LoggingMixin as Ours

    names = {event["user"] for event in events}
    User.objects.bulk_create(User(username=name) for name in names)
    users = {user.username: user for user in User.objects.all()}

    class Known(BaseAuthentication):
        def authenticate(self, request: Any) -> Any:
            return users[request.META["krill.event"]["user"]], None

    def answer(view: Any, request: Any) -> Any:
        event = request.META["krill.event"]
        _ = request.data
        return Response(event["response"], status=event["status_code"])

    body = dict.fromkeys(("get", "post", "put", "patch", "delete"), answer) | {"authentication_classes": [Known]}
    views = {
        "without": type("View", (APIView,), body),
        "mixin": type("OurView", (Ours, APIView), body),
        PEER: type("TheirView", (Theirs, APIView), body),
    }
    views["middleware"] = views["without"]
    urls = {name: (re_path("^api/", view.as_view()),) for name, view in views.items()}  # type: ignore[attr-defined]
    plain = WSGIHandler()
    settings.MIDDLEWARE = [MIDDLEWARE]
    logging = WSGIHandler()
    return {name: (logging if name == "middleware" else plain, urls[name]) for name in NAMES}


@dataclass
class Block:
    """Requests in a row: the microseconds of each, and CPU microseconds per request, of all threads and PostgreSQL."""

    times: list[float] = field(default_factory=list)
    cpu: float = 0.0

    def quantile(self, share: float) -> float:
        return sorted(self.times)[min(int(len(self.times) * share), len(self.times) - 1)]


class Bench:
    """Runs blocks. `rounds[name]` has a block per round."""

    def __init__(self, events: list[dict[str, Any]], database: Postgres) -> None:
        self.events = events
        self.handlers = handlers(events)
        self.database = psutil.Process(database.pid)

    def run(self, rounds: int, requests: int) -> dict[str, list[Block]]:
        done: dict[str, list[Block]] = {name: [] for name in NAMES}
        for index in range(rounds):
            first = index * requests % len(self.events)
            events = list(islice(cycle(self.events), first, first + requests))
            for name in NAMES[index % len(NAMES) :] + NAMES[: index % len(NAMES)]:
                done[name].append(self.block(name, events))
        return done

    def block(self, name: str, events: list[dict[str, Any]]) -> Block:
        from producers.kafka import counters

        queued = counters().get("queued", 0)
        handler, settings.ROOT_URLCONF = self.handlers[name]
        environs = list(map(_environ, events))
        block, before = Block(), self._cpu()
        for event, environ in zip(events, environs, strict=True):
            started = time.perf_counter()
            response = handler(environ, _start_response)
            b"".join(response)
            response.close()
            block.times.append((time.perf_counter() - started) * 1e6)
            if response.status_code != event["status_code"]:
                raise RuntimeError(f"{name} answered {response.status_code} to {event['method']} {event['path']}")
        time.sleep(SETTLE_SECONDS)
        block.cpu = (self._cpu() - before) / len(events) * 1e6
        if counters().get("queued", 0) - queued != (len(events) if name in ("middleware", "mixin") else 0):
            raise RuntimeError(f"{name} did not log what it should: {counters()}")
        return block

    def _cpu(self) -> float:
        theirs = 0.0
        for process in (self.database, *self.database.children()):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            theirs += times.user + times.system
        return time.process_time() + theirs


def _start_response(status: str, headers: Any) -> None:
    pass


def _environ(event: dict[str, Any]) -> dict[str, Any]:
    body = msgspec.json.encode(event["data"]) if "data" in event else b""
    return {
        "REQUEST_METHOD": event["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": event["path"],
        "QUERY_STRING": urlencode(event.get("query_params") or {}),
        "SERVER_NAME": "krill",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "application/json" if body else "",
        "CONTENT_LENGTH": str(len(body)) if body else "",
        "REMOTE_ADDR": event["remote_addr"],
        "HTTP_HOST": event["host"],
        "HTTP_USER_AGENT": event["user_agent"],
        "HTTP_X_REQUEST_ID": event["request_id"],
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "krill.event": event,
    }


def added(done: dict[str, list[Block]], name: str, share: float) -> float:
    """Microseconds that logging adds to that quantile."""
    pairs = zip(done[name], done["without"], strict=True)
    return statistics.median(ours.quantile(share) - without.quantile(share) for ours, without in pairs)


def added_cpu(done: dict[str, list[Block]], name: str) -> float:
    """CPU microseconds that logging adds per request."""
    pairs = zip(done[name], done["without"], strict=True)
    return statistics.median(ours.cpu - without.cpu for ours, without in pairs)


def table(title: str, done: dict[str, list[Block]]) -> str:
    """Microseconds that each way to log adds to a request."""
    without = [statistics.median(block.quantile(share) for block in done["without"]) for share in (0.5, 0.99)]
    lines = [
        f"{title}: a request without logging takes {without[0]:,.0f} µs (p50), {without[1]:,.0f} µs (p99)",
        f"{'adds µs':18}{'p50':>10}{'p99':>10}{'CPU':>10}",
    ]
    for name in NAMES[1:]:
        values = (added(done, name, 0.5), added(done, name, 0.99), added_cpu(done, name))
        lines.append(f"{name:18}" + "".join(f"{value:>10,.0f}" for value in values))
    return "\n".join(lines)


def goals(done: dict[str, list[Block]], broker: str) -> list[dict[str, object]]:
    """What must hold with the broker in that state."""
    peer, peer99 = added(done, PEER, 0.5), added(done, PEER, 0.99)
    found = []
    for name in NAMES[1:-1]:
        p50 = added(done, name, 0.5)
        found += [
            goal(f"{name}, broker {broker}: added at p50, µs", p50, 100, peer),
            goal(f"{name}, broker {broker}: added at p99, µs", added(done, name, 0.99), 1000, peer99),
            at_least(f"{name}, broker {broker}: times cheaper than {PEER} at p50", peer / max(p50, 0.1), 20),
        ]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=400, help="per round and way to log (default: 400)")
    given = parser.parse_args()
    from deploy.embedded import kafka as embedded

    events = [msgspec.json.decode(value) for value in api_requests(1000)]
    with tempfile.TemporaryDirectory() as name, postgres() as database:
        folder = Path(name)
        embedded.fetch()
        where = Settings(data=folder / "data", kafka_port=free_port())
        broker = Server("kafka", where, embedded.is_ready, folder / "kafka.log")
        broker.start()
        try:
            create_topics(where)
            set_up(folder, where.bootstrap, database)
            from producers import kafka

            bench = Bench(events, database)
            bench.run(1, min(given.requests, 200))  # warm
            up = bench.run(given.rounds, given.requests)
            broker.kill()
            time.sleep(3)
            down = bench.run(given.rounds, given.requests)
            counters = kafka.counters()
            kafka.close(0)
        finally:
            broker.kill()
    print(table("Broker up", up), table("Broker down", down), sep="\n\n")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory of the process, all of these in it: {memory:,.0f} MiB; counters: {counters}")
    lost = sum(value for name, value in counters.items() if name.startswith(("dropped", "capture_errors")))
    return report(
        [*goals(up, "up"), *goals(down, "down"), goal("events that were dropped", lost, 0)],
        rounds=given.rounds,
        requests=given.requests,
        added_us={
            state: {name: [round(added(done, name, share), 1) for share in (0.5, 0.99)] for name in NAMES[1:]}
            for state, done in (("up", up), ("down", down))
        },
        cpu_us={
            state: {name: round(added_cpu(done, name), 1) for name in NAMES[1:]}
            for state, done in (("up", up), ("down", down))
        },
        peak_mib=round(memory),
    )


if __name__ == "__main__":
    sys.exit(main())
