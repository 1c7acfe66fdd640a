"""Rows for the dashboard's tests: everyday ones and hostile ones, the same every time."""

from __future__ import annotations

import datetime as dt
import json
import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clickhouse_connect.driver.client import Client

from tests import databases

START = dt.datetime(2026, 10, 24, 12, tzinfo=dt.UTC)
COUNT = 3000

HOSTILE = [
    "'; DROP TABLE api_requests --",
    "\\'; SELECT 1 /*",
    "{p0:String}",
    "%(x)s %s {0}",
    "<script>alert(1)</script>",
    "=cmd|'/C calc'!A0",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\ufeff=1+1",
    ' "=1+1',
    "＝1+1",
    "'=1+1",
    'tab\there, line\nbreak, carriage\rreturn, back\\slash, tick`, quote", semi;colon',
    "bell\x07 escape\x1b[31m delete\x7f",
    "right-to-left \u202egpj.exe",
    "*star* and _under_ 100%",
    "é ñ 中文 🎉 İ ß",
    "\\N",
    "NULL",
    "null",
    " ",
    "x" * 5000,
]
#: JSON that cannot be handed out as it is, or not as every parser's value.
ODD_JSON = [
    "",
    "not json",
    "NaN",
    '{"a": Infinity}',
    '{"a": 1e999}',
    "9" * 5000,
    "0.1000000000000000055511151231257827021181583404541015625",
    "123456789012345678901234567890",
    "[" * 5000 + "]" * 5000,
    '"\\ud800"',
    '{"a": 1, "a": 2}',
    '""',
    "null",
    '{"a": "\\u0000"}',
]


def api_requests() -> list[dict[str, Any]]:
    """Rows of the table `api_requests`: everyday ones, then hostile ones; with ties in times and ids."""
    chance = random.Random(7)
    rows = []
    for number in range(COUNT):
        status = chance.choice([200, 200, 200, 201, 204, 400, 401, 404, 500])
        identifier = chance.randrange(400)
        rows.append(
            _request(
                number,
                # Ten rows share each instant, and now and then an id.
                requested_at=START + dt.timedelta(seconds=number // 10 * 300),
                event_id=uuid.UUID(int=(number - (number % 50 == 1)) * 7919 % 2**64),
                user=chance.choice(["crm-a", "crm-b", "installer", "Anonymous", "CRM_A"]),
                remote_addr=chance.choice([f"10.1.{identifier % 4}.{identifier % 250}", "2001:db8::17", "::"]),
                method=chance.choice(["GET", "PATCH", "POST"]),
                path=f"/api/v2/isp/cpes/{identifier}/",
                object_id=str(identifier),
                status_code=status,
                response_ms=round(chance.expovariate(1 / 80), 3),
                data=json.dumps({"cpename": f"pim{identifier:04d}", "wifi_password": "*" * 20}),
                response=json.dumps({"detail": "No encontrado"}) if status == 404 else "",
                masked=["wifi_password"] if number % 3 else [],
            )
        )
    rows += [
        _request(
            COUNT + number,
            requested_at=START - dt.timedelta(hours=1, seconds=number),
            user=text,
            path=text,
            host=text,
            errors=text,
            user_agent=text,
            masked=[text],
            data=json.dumps({text: text}),
        )
        for number, text in enumerate(HOSTILE)
    ]
    rows += [
        _request(
            COUNT + 100 + number,
            requested_at=START - dt.timedelta(hours=2, seconds=number),
            data=text,
            user="odd",
        )
        for number, text in enumerate(ODD_JSON)
    ]
    return rows


def admin_changes() -> list[dict[str, Any]]:
    """Rows of the table `admin_changes`."""
    actions = ("addition", "change", "change", "deletion")
    return [
        {
            "event_id": uuid.UUID(int=number + 1),
            "changed_at": START + dt.timedelta(minutes=number),
            "user": ("ignacio", "soporte")[number % 2],
            "action": actions[number % 4],
            "app_label": "isp",
            "model": ("cpe", "customer")[number % 2],
            "object_type": ("cpe", "customer")[number % 2],
            "object_id": str(number),
            "object_repr": f"pim{number:04d}",
            "change_message": '[{"changed": {"fields": ["Postal code"]}}]',
            "changed_fields": ["postalcode", "wifi_password"] if number % 4 in (1, 2) else [],
            "changes": json.dumps([{"field": "postalcode", "old": "15004", "new": "15005"}]),
            "remote_addr": "192.0.2.7",
            "masked": ["wifi_password"],
            "kafka_offset": number,
        }
        for number in range(200)
    ]


def insert(client: Client, table: str, rows: list[dict[str, Any]]) -> None:
    """Put rows of equal columns into a table of the client's database."""
    names = list(rows[0])
    client.insert(table, [[row[name] for name in names] for row in rows], column_names=names)


@contextmanager
def filled_database(url: str) -> Iterator[str]:
    """Name of a fresh database with all of these rows."""
    name = f"reports_{uuid.uuid4().hex}"
    client = databases.create(url, name)
    insert(client, "api_requests", api_requests())
    insert(client, "admin_changes", admin_changes())
    yield name
    databases.drop(client)


def _request(number: int, **values: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "event_id": uuid.UUID(int=2**100 + number),
        "requested_at": START,
        "user": "",
        "user_id": "",
        "remote_addr": "::",
        "method": "GET",
        "path": "/",
        "route": "/api/v2/isp/cpes/{id}/",
        "api_version": "v2",
        "app": "isp",
        "object_type": "cpe",
        "object_id": "",
        "action": "retrieve",
        "host": "krill.example",
        "view": "webapp.isp.views.CpeViewSet",
        "view_method": "retrieve",
        "status_code": 200,
        "response_ms": 1.5,
        "query_params": "",
        "data": "",
        "response": "",
        "errors": "",
        "user_agent": "crm/1.0",
        "request_id": f"r{number}",
        "masked": [],
        "truncated": [],
        "ingested_at": START,
        "kafka_topic": "krill.api.requests",
        "kafka_partition": number % 4,
        "kafka_offset": number // 4,
    }
    unknown = values.keys() - row.keys()
    assert not unknown, unknown
    return row | values
