"""A dashboard over a database of its own with everyday and hostile rows, for the tests of its pages."""

from __future__ import annotations

import contextlib
import datetime as dt
import html
import json
import re
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from dashboard import create_app
from schemas.settings import Settings
from tests import databases
from tests.integration import report_data

USER, PASSWORD = "ana", "correct horse"
PATCH_ID = uuid.UUID(int=1)
CRASH_ID = uuid.UUID(int=2)
HUGE_ID = uuid.UUID(int=3)
NESTED_ID = uuid.UUID(int=4)
CHANGE_ID = uuid.UUID(int=2**90 + 1)
HOSTILE_CHANGE_ID = uuid.UUID(int=2**90 + 2)
NEWEST = dt.datetime(2026, 11, 22, 8, 55, 36, tzinfo=dt.UTC)

SCRIPT = "<script>window.hacked = 1</script>"
ATTRIBUTE = "\"><img src=x onerror='window.hacked = 2'> {{ 7 * 7 }} javascript:alert(1)"
BIDI = "invoice\u202egpj.exe\u200b\x1b[31m"
LONG = "W" * 20_000

_REQUESTS: list[dict[str, Any]] = [
    {
        "event_id": PATCH_ID,
        "requested_at": NEWEST,
        "user": "phicustester",
        "remote_addr": "127.0.0.1",
        "method": "PATCH",
        "path": "/api/v2/cpes/259/fake_modification/",
        "host": "localhost:4280",
        "view_method": "fake_modification",
        "response_ms": 283.25,
        "query_params": json.dumps({"postalcode": "1505"}),
        "masked": ["wifi_password"],
    },
    {
        "event_id": CRASH_ID,
        "requested_at": NEWEST - dt.timedelta(seconds=1),
        "user": "crm-norte",
        "method": "POST",
        "status_code": 500,
        "path": "/api/v2/isp/cpes/",
        "errors": "Traceback (most recent call last):\n  File \"views.py\"\nProvisioningError: 'no <OLT>'",
    },
    {
        "event_id": HUGE_ID,
        "requested_at": NEWEST - dt.timedelta(seconds=2),
        "user": "huge",
        "data": json.dumps({"blob": "x" * 10_000_000, "end": "the very end"}),
        "truncated": ["data"],
    },
    {
        "event_id": NESTED_ID,
        "requested_at": NEWEST - dt.timedelta(seconds=3),
        "user": "nested",
        "data": '{"a":' * 20_000 + "1" + "}" * 20_000,
        "response": '{"lone": "\\ud800"}',
    },
    *(
        {
            "event_id": uuid.UUID(int=100 + number),
            "requested_at": NEWEST - dt.timedelta(minutes=1, seconds=number),
            "user": text,
            "method": text,
            "path": text,
            "route": text[:200],
            "host": text,
            "view": text,
            "view_method": text[:50],
            "user_agent": text,
            "errors": text,
            "query_params": json.dumps({text: text}),
            "data": text,
            "response": json.dumps(text),
            "masked": [text],
            "truncated": [text],
        }
        for number, text in enumerate((SCRIPT, ATTRIBUTE, BIDI, LONG))
    ),
]

_CHANGES: list[dict[str, Any]] = [
    {
        "event_id": CHANGE_ID,
        "changed_at": NEWEST,
        "user": "ignacio",
        "action": "change",
        "app_label": "isp",
        "model": "cpe",
        "object_type": "cpe",
        "object_id": "585",
        "object_repr": "pim0585",
        "change_message": '[{"changed": {"fields": ["Postal code"]}}]',
        "changed_fields": ["postalcode", "wifi_password", "active"],
        "changes": json.dumps(
            [
                {"field": "postalcode", "old": "1504", "new": "1505"},
                {"field": "wifi_password", "old": "*" * 20, "new": "*" * 20},
                {"field": "active", "old": None, "new": True},
            ]
        ),
        "remote_addr": "192.0.2.7",
        "masked": ["wifi_password"],
        "kafka_offset": 1000,
    },
    {
        "event_id": HOSTILE_CHANGE_ID,
        "changed_at": NEWEST - dt.timedelta(seconds=1),
        "user": SCRIPT,
        "action": "addition",
        "app_label": ATTRIBUTE,
        "model": SCRIPT,
        "object_type": SCRIPT,
        "object_id": ATTRIBUTE,
        "object_repr": BIDI + SCRIPT,
        "change_message": ATTRIBUTE,
        "changed_fields": [SCRIPT, BIDI],
        "changes": json.dumps([{"field": SCRIPT, "old": ATTRIBUTE, "new": LONG}, "odd", {"field": BIDI}]),
        "remote_addr": "192.0.2.8",
        "masked": [SCRIPT],
        "kafka_offset": 1001,
    },
]


@dataclass
class Site:
    """The app, its database's client, and where it listens if it does."""

    app: Flask
    client: Any
    settings: Settings
    url: str = ""

    def visitor(self, language: str = "") -> FlaskClient:
        """A client that has not logged in."""
        client = self.app.test_client()
        if language:
            post(client, "/language", {"language": language}, page="/login")
        return client

    def user(self, name: str = USER, password: str = PASSWORD) -> FlaskClient:
        """A client that has logged in."""
        client = self.app.test_client()
        answer = post(client, "/login", {"name": name, "password": password}, page="/login")
        assert answer.status_code == 302, answer.text
        return client


@contextlib.contextmanager
def site(clickhouse: str, folder: Path, *, filled: bool = True, **settings: Any) -> Iterator[Site]:
    """A site with its own database and user `ana`, whose database is dropped at the end."""
    name = f"test_{uuid.uuid4().hex}"
    client = databases.create(clickhouse, name)
    if filled:
        fill(client)
    made = Settings(data=folder, clickhouse_url=clickhouse, clickhouse_database=name, **settings)
    app = create_app(made)
    app.extensions["krill_logger"].accounts.create_user(USER, PASSWORD)
    yield Site(app, client, made)
    databases.drop(client)


@contextlib.contextmanager
def listening(made: Site) -> Iterator[Site]:
    """The site on a free port of 127.0.0.1."""
    server = make_server("127.0.0.1", 0, made.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fill(client: Any) -> None:
    """Put everyday and hostile rows into every table."""
    requests = report_data.api_requests()
    requests += [requests[0] | {"status_code": 200} | row for row in _REQUESTS]
    report_data.insert(client, "api_requests", requests)
    report_data.insert(client, "admin_changes", [*report_data.admin_changes(), *_CHANGES])
    now = dt.datetime.now(dt.UTC)
    report_data.insert(
        client,
        "dead_letters",
        [
            {
                "kafka_topic": "krill.api.requests",
                "kafka_partition": 0,
                "kafka_offset": number,
                "failed_at": now,
                "reason": text[:200],
                "error": text,
                "key": text,
                "headers": json.dumps([["ce_type", text]]),
                "value": text.encode() + b"\xff\xfe\x00",
            }
            for number, text in enumerate((SCRIPT, ATTRIBUTE, BIDI, LONG, "[" * 100_000))
        ],
    )
    report_data.insert(
        client,
        "pipeline_status",
        [
            {
                "topic": "krill.api.requests",
                "partition": 0,
                "committed_offset": 10,
                "end_offset": 13,
                "lag": 3,
                "state": "running",
                "worker": "w",
                "kafka_error": "",
                "last_event_at": NEWEST,
                "updated_at": now + dt.timedelta(hours=1),
            }
        ],
    )


def post(client: FlaskClient, path: str, data: dict[str, str], page: str = "/account", **more: Any) -> Any:
    """Send a form as a browser does: with the token that the page holds."""
    return client.post(path, data={**data, "csrf_token": csrf_token(client, page)}, **more)


def csrf_token(client: FlaskClient, page: str) -> str:
    """The CSRF token in a page's first form."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(page).text)
    assert found
    return found[1]


def text_of(page: str) -> str:
    """What a page says, without its tags."""
    bare = re.sub(r"<(svg|head)\b.*?</\1>", " ", page, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", bare)))
    return re.sub(r"(?<=\() | (?=[).,:])", "", text)
