"""A report live: every new row once, whatever ends in between, and streams that leave threads for others."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import json
import re
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from flask.testing import FlaskClient

from dashboard import create_app, tail
from dashboard.views import live
from schemas import topics
from schemas.migrations import apply
from schemas.settings import Settings
from tests import site as sites
from tests.conftest import Server
from tests.integration import report_data
from tests.integration.test_history import change, request
from tests.site import Site


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One look at what is new for each request, unless a test wants more."""
    monkeypatch.setattr(live, "STREAM_SECONDS", 0.0)
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.05)


@pytest.fixture(scope="module")
def shared(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.site(clickhouse, tmp_path_factory.mktemp("site"), filled=False) as made:
        yield made


@pytest.fixture
def site(shared: Site) -> Site:
    """A site without rows."""
    for table in ("api_requests", "admin_changes", "pipeline_status"):
        shared.client.command(f"TRUNCATE TABLE {table}")
    return shared


class Worker:
    """Stores rows as a worker does: rows first, then how far it is."""

    def __init__(self, client: Any, topic: str = topics.API_REQUESTS) -> None:
        self.client, self.topic = client, topic
        self.ends: dict[int, int] = {}

    def store(self, count: int, partition: int = 0, *, say: bool = True, **values: Any) -> list[str]:
        """The ids of rows behind those that are there."""
        start = self.ends.get(partition, 100)
        self.ends[partition] = start + count
        make, table = (request, "api_requests") if self.topic == topics.API_REQUESTS else (change, "admin_changes")
        now = dt.datetime.now(dt.UTC)
        rows = [
            make(0, event_id=uuid.uuid4())
            | {"requested_at" if table == "api_requests" else "changed_at": now}
            | {"kafka_topic": self.topic, "kafka_partition": partition, "kafka_offset": start + number}
            | values
            for number in range(count)
        ]
        report_data.insert(self.client, table, rows)
        if say:
            self.say()
        return [str(row["event_id"]) for row in rows]

    def say(self, by: int = 0) -> None:
        """Write the status table; `by` offsets too few, as when a new owner begins at an older commit."""
        now = dt.datetime.now(dt.UTC)
        report_data.insert(
            self.client,
            "pipeline_status",
            [
                {
                    "topic": self.topic,
                    "partition": number,
                    "committed_offset": end - by,
                    "end_offset": end,
                    "lag": 0,
                    "state": "running",
                    "worker": "w",
                    "kafka_error": "",
                    "last_event_at": now,
                    "updated_at": now,
                }
                for number, end in self.ends.items()
            ],
        )
        time.sleep(0.002)  # the later row counts


class Reader:
    """What a browser does: ask, note the last event's id, ask again."""

    def __init__(self, client: FlaskClient, path: str, after: str) -> None:
        self.client, self.path, self.last = client, path, after
        self.ids: list[str] = []
        self.hidden = 0
        self.away: list[str] = []

    def look(self) -> list[str]:
        """The ids of the rows that came."""
        answer = self.client.get(self.path, headers={"Last-Event-ID": self.last})
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        came = []
        for block in answer.text.split("\n\n"):
            lines = dict(line.partition(": ")[::2] for line in block.split("\n") if line)
            self.last = lines.get("id", self.last)
            if lines.get("event") == "rows":
                data = json.loads(lines["data"])
                came += re.findall(r'<tr role="row" id="r-([^"]+)"', data["rows"])
                self.hidden += data["total"] - data["shown"]
            elif lines.get("event") == "away":
                self.away.append(json.loads(lines["data"]))
        self.ids += came
        return came


def position(user: FlaskClient, path: str) -> str:
    found = re.search(r'data-after="([^"]*)"', user.get(path).text)
    assert found
    return found[1]


@pytest.mark.parametrize("report", ["api-requests", "admin-changes"])
def test_new_rows_come_once_and_only_those_that_match(site: Site, report: str) -> None:
    worker = Worker(site.client, topics.API_REQUESTS if report == "api-requests" else topics.ADMIN_CHANGES)
    worker.store(3, user="ana-crm")
    user = site.user()
    reader = Reader(user, f"/{report}/live?user=ana-crm", position(user, f"/{report}?live=1&user=ana-crm"))
    assert reader.look() == []
    mine = worker.store(2, user="ana-crm")
    worker.store(2, user="another")
    mine += worker.store(1, partition=3, user="ana-crm")
    reader.look()
    assert sorted(reader.ids) == sorted(mine)
    assert reader.look() == []
    assert tail.parse(reader.last) == worker.ends
    # What a worker has stored but not yet said waits until it does.
    late = worker.store(1, user="ana-crm", say=False)
    assert reader.look() == []
    worker.say()
    assert reader.look() == late


def test_rows_are_told_by_their_offsets_not_by_their_times(site: Site) -> None:
    worker = Worker(site.client)
    worker.store(1)
    reader = Reader(site.user(), "/api-requests/live", "0:101")
    now = dt.datetime.now(dt.UTC)
    spooled = worker.store(1, requested_at=now - dt.timedelta(hours=20), ingested_at=now - dt.timedelta(hours=3))
    assert reader.look() == spooled
    worker.store(1, requested_at=now - 2 * tail.LATE)
    assert reader.look() == []
    # A new owner of the partition may begin at an older commit.
    worker.say(by=2)
    assert reader.look() == []
    worker.say()
    assert reader.look() == []
    assert worker.store(1) == reader.look()


def test_more_than_is_shown_is_counted(site: Site) -> None:
    worker = Worker(site.client)
    reader = Reader(site.user(), "/api-requests/live", "")
    worker.store(tail.MOST_ROWS + 30)
    assert len(reader.look()) == tail.MOST_ROWS
    assert reader.hidden == 30
    assert len(worker.store(1)) == len(reader.look())


def test_a_stream_survives_the_end_of_dashboard_worker_and_clickhouse(
    clickhouse_server: Server, tmp_path: Path
) -> None:
    clickhouse_server.start()
    url = clickhouse_server.settings.clickhouse

    def database() -> Any:
        return clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False)

    def user() -> FlaskClient:
        """As after a restart of the dashboard."""
        app = create_app(Settings(data=tmp_path / "site", clickhouse_url=url, clickhouse_database="live"))
        return Site(app, None, app.extensions["krill_logger"].settings).user()

    client = database()
    apply(client, "live")
    app = create_app(Settings(data=tmp_path / "site", clickhouse_url=url, clickhouse_database="live"))
    app.extensions["krill_logger"].accounts.create_user(sites.USER, sites.PASSWORD)
    worker = Worker(client)
    worker.store(1)
    reader = Reader(user(), "/api-requests/live", "")
    reader.look()
    stored = list(reader.ids)
    assert len(stored) == 1
    stored += worker.store(5)
    stored += worker.store(5, partition=1)
    reader.look()

    reader.client = user()
    stored += worker.store(5)
    reader.look()

    # It dies behind an insert, before the worker could say so.
    stored += worker.store(7, partition=1, say=False)
    clickhouse_server.kill()
    assert reader.look() == []
    assert reader.away == ["No se puede llegar a ClickHouse en este momento."]
    clickhouse_server.start()
    client = database()
    client.database = "live"
    restarted = Worker(client)
    restarted.ends = worker.ends
    restarted.say()
    stored += restarted.store(3)
    reader.look()
    assert sorted(reader.ids) == sorted(stored)


def test_a_page_with_a_live_list_has_one_address(site: Site) -> None:
    Worker(site.client).store(3)
    user = site.user()
    page = user.get("/api-requests?live=1&user=crm-norte").text
    assert 'data-live="/api-requests/live?user=crm-norte"' in page
    assert 'data-after="0:103"' in page
    assert 'aria-pressed="false"' in page
    # A click on a value stays live; the export and the row's page know nothing of it.
    assert (
        'href="/api-requests?user=crm-norte&amp;method=PATCH&amp;live=1"' in page or "live=1&amp;method=PATCH" in page
    )
    assert not re.search(r"\.csv\?[^\"]*live|histogram\?[^\"]*live|facets\?[^\"]*live", page)
    assert 'data-paused="true"' in user.get("/api-requests?live=paused").text
    assert user.get("/api-requests?live=1&page=2&sort=user&user=a").location == "/api-requests?live=1&user=a"
    assert user.get("/api-requests?live=yes&user=a").location == "/api-requests?user=a"
    assert "pager" not in page


@pytest.mark.parametrize(
    "path", ["/api-requests/live?after=x", "/api-requests/live?after=0:1,", "/api-requests/live?a=1"]
)
def test_what_cannot_be_understood_is_refused(site: Site, path: str) -> None:
    assert site.user().get(path).status_code == 400


def test_streams_are_for_users_and_strict(site: Site) -> None:
    assert site.visitor().get("/api-requests/live").status_code == 302
    answer = site.user().get("/api-requests/live")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


@contextlib.contextmanager
def stream(served: Site, cookie: str, path: str = "/api-requests/live") -> Iterator[http.client.HTTPResponse]:
    """An open stream, until the block ends."""
    connection = http.client.HTTPConnection(served.url.removeprefix("http://"), timeout=20)
    connection.request("GET", path, headers={"Cookie": f"krill_logger_session={cookie}"})
    with connection.getresponse() as answer:
        connection.close()
        yield answer


@pytest.fixture
def cookie(site: Site) -> str:
    """The session of a user."""
    found = site.user().get_cookie("krill_logger_session")
    assert found
    return found.value


def test_places_are_bounded_and_given_back(site: Site, cookie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STREAM_SECONDS", 60.0)
    monkeypatch.setattr(live, "MOST_OF_A_USER", 2)
    places = site.app.extensions["krill_logger_live"]
    with sites.listening(site) as served:
        with stream(served, cookie) as first, stream(served, cookie) as second, stream(served, cookie) as third:
            for answer in (first, second):
                assert answer.readline() == f"retry: {live.RETRY_MS}\n".encode()
            # The one without a place looks once and ends.
            assert third.read() == f"retry: {live.LATER_MS}\n\n:\n\n".encode()
            with places.one("another") as free:
                assert free
            with places.one(sites.USER) as free:
                assert not free
        deadline = time.monotonic() + 20
        while places._held.total() and time.monotonic() < deadline:
            time.sleep(0.05)
    assert places._held.total() == 0


def test_an_open_stream_brings_rows_and_ends_with_the_server(
    site: Site, cookie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STREAM_SECONDS", 60.0)
    worker = Worker(site.client)
    worker.store(1)
    lines: list[bytes] = []
    with sites.listening(site) as served, stream(served, cookie, "/api-requests/live?after=0:101") as answer:
        reading = threading.Thread(target=lambda: lines.extend(answer))
        reading.start()
        stored = worker.store(2) + worker.store(1)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and b"id: 0:104\n" not in lines:
            time.sleep(0.05)
        live.serve_while(site.app, lambda: False)
        reading.join(10)
        assert not reading.is_alive()
        live.serve_while(site.app, lambda: True)
    text = b"".join(lines).decode()
    assert sorted(re.findall(r'id=\\"r-([^"\\]+)', text)) == sorted(stored)
