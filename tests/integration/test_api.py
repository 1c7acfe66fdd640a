"""The JSON API, its description, health and metrics."""

from __future__ import annotations

import datetime as dt
import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import TestResponse

from dashboard import health, metrics, openapi
from dashboard.columns import ADMIN_CHANGES, API_REQUESTS, REPORTS
from dashboard.filters import exact
from dashboard.security import SessionUser
from dashboard.state import EXTENSION
from schemas.settings import Settings
from tests.conftest import Database, free_port
from tests.integration import report_app, report_data

ROWS = report_data.api_requests()


@dataclass(frozen=True)
class Caller:
    """A program with a token."""

    client: FlaskClient
    token: str

    def get(self, path: str, status: int = 200) -> Any:
        response = self.answer(path)
        assert response.status_code == status, response.text
        assert response.content_type == "application/json"
        return strict_json(response.text)

    def answer(self, path: str) -> TestResponse:
        return self.client.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {self.token}"})


def strict_json(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse, parse_int=lambda digits: digits)


def caller(settings: Settings) -> Caller:
    app = report_app.make(settings)
    return Caller(app.test_client(), app.extensions[EXTENSION].accounts.create_token("crm"))


@pytest.fixture(scope="module")
def krill(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """A caller of an API whose tables hold `report_data`."""
    with report_data.filled_database(clickhouse) as name:
        data = tmp_path_factory.mktemp("api")
        yield caller(Settings(data=data, clickhouse_url=clickhouse, clickhouse_database=name))


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer ", "Bearer wrong", "Basic YWRtaW46YWRtaW4=", "Bearer \xff"])
@pytest.mark.parametrize("path", ["/api-requests", "/admin-changes", "/trends", "/nonsense"])
def test_without_a_valid_token_there_is_nothing(krill: Caller, header: str | None, path: str) -> None:
    response = krill.client.get(f"/api/v1{path}", headers={"Authorization": header} if header else {})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer realm=")
    assert list(response.get_json()) == ["error"]


def test_a_revoked_token_opens_nothing(clickhouse: str, database: Database, tmp_path: Path) -> None:
    fresh = caller(Settings(data=tmp_path, clickhouse_url=clickhouse, clickhouse_database=database.name))
    fresh.get("/api-requests")
    fresh.client.application.extensions[EXTENSION].accounts.revoke_token("crm")
    fresh.get("/api-requests", 401)


def test_a_logged_in_user_needs_no_token(clickhouse: str, database: Database, tmp_path: Path) -> None:
    app = report_app.make(Settings(data=tmp_path, clickhouse_url=clickhouse, clickhouse_database=database.name))
    accounts = app.extensions[EXTENSION].accounts
    accounts.create_user("ignacio", "correct horse battery staple")
    user = accounts.user("ignacio")
    client = app.test_client()
    with client.session_transaction() as session:
        session["_user_id"] = SessionUser(user).get_id()
        session["_fresh"] = True
    assert client.get("/api/v1/api-requests").status_code == 200
    # A wrong token is not made good by the session.
    assert client.get("/api/v1/api-requests", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_a_page(krill: Caller) -> None:
    answer = krill.get("/api-requests?user=crm-a&status_code=%3E%3D500&per_page=7&page=2")
    matching = [row for row in ROWS if row["user"] == "crm-a" and row["status_code"] >= 500]
    assert answer["total"] == str(len(matching))
    assert (answer["page"], answer["per_page"], len(answer["items"])) == ("2", "7", 7)
    assert 0 < answer["seconds"] < 20
    assert list(answer["items"][0]) == [column.name for column in API_REQUESTS.columns]


def test_values_of_an_item(krill: Caller) -> None:
    row = next(row for row in ROWS if row["status_code"] == 404 and row["remote_addr"].startswith("10."))
    item = krill.get(f"/api-requests?request_id={row['request_id']}")["items"][0]
    assert item["event_id"] == str(row["event_id"])
    assert item["requested_at"].endswith("Z")
    assert dt.datetime.fromisoformat(item["requested_at"]) == row["requested_at"]
    assert item["remote_addr"] == row["remote_addr"]
    assert item["status_code"] == "404"
    assert item["response_ms"] == row["response_ms"]
    assert item["data"] == json.loads(row["data"])
    assert item["query_params"] is None
    assert item["masked"] == row["masked"]


def test_one_event(krill: Caller) -> None:
    listed = krill.get("/api-requests?per_page=1")["items"][0]
    # Two rows of the test data share this id now and then; either may answer.
    assert krill.get(f"/api-requests/{listed['event_id']}")["event_id"] == listed["event_id"]
    assert krill.get(f"/admin-changes/{uuid.UUID(int=7)}")["object_id"] == "6"
    krill.get(f"/api-requests/{uuid.uuid4()}", 404)
    assert krill.get("/api-requests/17", 400)["errors"][0]["parameter"] == "event_id"
    assert krill.get(f"/api-requests/{listed['event_id']}?x=1", 400)["errors"][0]["parameter"] == "x"


def test_odd_json_never_makes_an_answer_invalid(krill: Caller) -> None:
    text = krill.answer("/api-requests?user=odd&sort=-requested_at").text
    strict_json(text)
    stored = [row["data"] for row in ROWS if row["user"] == "odd"]
    items = strict_json(text)["items"]
    assert len(items) == len(stored)
    for item, data in zip(items, stored, strict=True):
        try:
            expected = strict_json(data) if data else None
        except (ValueError, AssertionError, RecursionError):
            expected = data
        assert item["data"] in (expected, data), data[:80]
    assert items[1]["data"] == "not json"
    assert items[3]["data"] == '{"a": Infinity}'
    # To the last digit.
    assert "0.1000000000000000055511151231257827021181583404541015625" in text
    assert ":123456789012345678901234567890," in text


@pytest.mark.parametrize("value", report_data.HOSTILE[:-1])
def test_hostile_values_come_back_as_they_are(krill: Caller, value: str) -> None:
    [item] = krill.get(f"/api-requests?path={quote(exact(value))}")["items"]
    assert item["path"] == item["user"] == item["errors"] == value
    assert item["data"] == {value: value}
    assert item["masked"] == [value]


def test_admin_changes(krill: Caller) -> None:
    answer = krill.get("/admin-changes?changed_fields=wifi_password&action=change&per_page=3")
    assert answer["total"] == "100"
    assert list(answer["items"][0]) == [column.name for column in ADMIN_CHANGES.columns]
    assert answer["items"][0]["changes"] == [{"field": "postalcode", "old": "15004", "new": "15005"}]


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/api-requests?nonsense=1&page=0", {"nonsense", "page"}),
        ("/api-requests?user=%FF", {"user"}),
        ("/api-requests?user=a%00", {"user"}),
        ("/api-requests?from=2026-01-02&to=2026-01-01", {"to"}),
        ("/api-requests?from=0001-01-01&to=9999-12-31", {"from", "to"}),
        ("/admin-changes?action=explosion&status_code=500", {"action", "status_code"}),
        ("/trends?q=x", {"q"}),
        ("/trends?interval=week", {"interval"}),
        ("/trends?interval=hour&interval=day", {"interval"}),
        ("/trends?by=path", {"by"}),
        ("/trends?by=status&by=status_code", {"by"}),
        ("/trends?interval=minute&from=2026-01-01&to=2026-03-01", {"interval"}),
        ("/trends?from=1950-01-01&to=1950-01-02", {"from", "to"}),
        ("/trends?fill=yes", {"fill"}),
        ("/trends?page=2", {"page"}),
    ],
)
def test_what_cannot_be_understood_is_400(krill: Caller, path: str, parameters: set[str]) -> None:
    errors = krill.get(path, 400)["errors"]
    assert {error["parameter"] for error in errors} == parameters
    assert all(error["expected"] and set(error) == {"parameter", "value", "expected"} for error in errors)


def test_unknown_paths_are_told_in_json(krill: Caller) -> None:
    assert "openapi.json" in krill.get("/nonsense/at/all", 404)["error"]


def test_times_are_the_installations_unless_a_zone_is_named(krill: Caller) -> None:
    day = "from=2026-10-25&to=2026-10-26"
    madrid, bogota = (krill.get(f"/api-requests?{day}{zone}")["total"] for zone in ("", "&tz=America/Bogota"))
    rows = [row["requested_at"] for row in ROWS]
    hours = dt.timedelta(hours=1)
    start = dt.datetime(2026, 10, 25, tzinfo=dt.UTC)
    assert int(madrid) == sum(start - 2 * hours <= moment < start + 23 * hours for moment in rows)
    assert int(bogota) == sum(start + 5 * hours <= moment < start + 29 * hours for moment in rows)


def test_trends(krill: Caller) -> None:
    answer = krill.get("/trends?from=2026-10-24&to=2026-10-27&interval=day&by=method&by=status")
    rows = [row for row in ROWS if dt.datetime(2026, 10, 23, 22, tzinfo=dt.UTC) <= row["requested_at"]]
    rows = [row for row in rows if row["requested_at"] < dt.datetime(2026, 10, 26, 23, tzinfo=dt.UTC)]
    assert sum(int(item["count"]) for item in answer["items"]) == len(rows)
    assert answer["total"] == str(len(answer["items"]))
    assert {item["start"] for item in answer["items"]} == {
        "2026-10-23T22:00:00Z",
        "2026-10-24T22:00:00Z",
    }
    names = ["start", "method", "status_code", "count", "errors", "error_rate", "p50", "p95", "p99"]
    assert list(answer["items"][0]) == names
    assert (answer["from"], answer["to"]) == ("2026-10-23T22:00:00Z", "2026-10-26T23:00:00Z")


def test_trends_of_nothing(krill: Caller) -> None:
    assert krill.get("/trends?user=nobody")["items"] == []
    filled = krill.get("/trends?user=nobody&fill=1")["items"]
    assert len(filled) in (24, 25)
    assert (filled[0]["count"], filled[0]["error_rate"], filled[0]["p99"]) == ("0", None, None)


def test_the_description_is_valid_and_open(krill: Caller) -> None:
    document = krill.client.get("/api/v1/openapi.json").get_json()
    validate(document)
    assert document["openapi"].startswith("3.1")


def test_every_route_is_described(krill: Caller) -> None:
    rules = {
        rule.rule.removeprefix("/api/v1").replace("<path:", "{").replace("<", "{").replace(">", "}")
        for rule in krill.client.application.url_map.iter_rules()
        if rule.endpoint.startswith("api.") and rule.endpoint != "api.missing"
    }
    assert rules == set(openapi.document()["paths"])


def test_every_parameter_is_described_and_none_that_is_not_there(krill: Caller) -> None:
    paths = openapi.document()["paths"]
    valid = {"from": "2026-10-24", "to": "2026-10-25", "tz": "UTC", "sort": "user", "interval": "day", "by": "user"}
    valid |= {"columns": "user", "density": "compact", "times": "relative", "compare": "previous"}
    kinds = {"number": "1", "time": "2026-01-01", "address": "::1", "uuid": str(uuid.uuid4())}
    for report in REPORTS:
        for column in report.columns:
            for sign in ("", "-"):
                valid[sign + column.name] = (*column.choices, kinds.get(column.kind, "1"))[0]
    for path in ("/api-requests", "/admin-changes", "/trends"):
        described = {parameter["name"] for parameter in paths[path]["get"]["parameters"]}
        for name in described:
            value = valid.get(name, "1")
            if name == "action":
                value = "change"
            krill.get(f"{path}?{name}={value}")
        for name in valid.keys() - described:
            krill.get(f"{path}?{name}={valid[name]}", 400)


@pytest.mark.parametrize(
    "path",
    [
        "/api-requests?per_page=1000",
        "/admin-changes",
        "/trends?from=2026-10-24&to=2026-10-26&by=user&fill=1",
        f"/admin-changes/{uuid.UUID(int=7)}",
    ],
)
def test_answers_are_as_described(krill: Caller, path: str) -> None:
    document = openapi.document()
    template = path.partition("?")[0].replace(str(uuid.UUID(int=7)), "{event_id}")
    content = document["paths"][template]["get"]["responses"]["200"]["content"]
    schema = {**content["application/json"]["schema"], "components": document["components"]}
    answer = krill.answer(path).get_json()
    jsonschema.Draft202012Validator(schema).validate(answer)


def test_a_page_that_is_too_large_is_refused(clickhouse: str, database: Database, tmp_path: Path) -> None:
    fresh = caller(Settings(data=tmp_path, clickhouse_url=clickhouse, clickhouse_database=database.name))
    database.client.command(
        "INSERT INTO api_requests (event_id, requested_at, data, kafka_offset) SELECT generateUUIDv4(number), "
        "now64(3), repeat(repeat('x', 1000000), 10), number FROM numbers(8)"
    )
    assert fresh.get("/api-requests?per_page=10", 400)["errors"][0]["parameter"] == "per_page"
    assert "too large" in fresh.get("/api-requests", 507)["error"]
    assert len(fresh.get("/api-requests?per_page=2")["items"]) == 2


def test_without_clickhouse(tmp_path: Path) -> None:
    away = caller(Settings(data=tmp_path, clickhouse_url=f"http://127.0.0.1:{free_port()}"))
    for path in ("/api-requests", "/trends"):
        assert "127.0.0.1" not in away.get(path, 503)["error"]
    response = away.client.get("/health")
    assert response.status_code == 503
    assert response.get_json()["status"] == "down"
    assert away.client.get("/metrics").status_code == 200


def test_health_does_not_wait_for_a_clickhouse_that_hangs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        held = []
        threading.Thread(target=lambda: held.append(deaf.accept()), daemon=True).start()
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        app = report_app.make(Settings(data=tmp_path, clickhouse_url=url, query_seconds=1))
        start = time.monotonic()
        response = app.test_client().get("/health")
        assert time.monotonic() - start < 2
        assert response.get_json()["clickhouse"]["status"] == "down"
        for connection, _ in held:
            connection.close()
    assert health.SECONDS < 2


def test_health_of_all_parts(clickhouse: str, database: Database, tmp_path: Path) -> None:
    app = report_app.make(Settings(data=tmp_path, clickhouse_url=clickhouse, clickhouse_database=database.name))
    client = app.test_client()
    response = client.get("/health")
    assert (response.status_code, response.get_json()["status"]) == (503, "degraded")
    now = dt.datetime.now(dt.UTC)
    status = {"topic": "krill.api.requests", "partition": 0, "lag": 3, "state": "running"}
    report_data.insert(database.client, "pipeline_status", [{**status, "updated_at": now, "last_event_at": now}])
    response = client.get("/health")
    answer = response.get_json()
    assert response.status_code == 200
    assert {name: answer[name]["status"] for name in ("clickhouse", "kafka", "worker", "dashboard")} == dict.fromkeys(
        ("clickhouse", "kafka", "worker", "dashboard"), "ok"
    )
    assert answer["status"] == "ok"
    assert answer["worker"]["lag"] == 3
    assert dt.datetime.fromisoformat(answer["worker"]["last_event_at"]) == now.replace(
        microsecond=now.microsecond // 1000 * 1000
    )
    assert clickhouse.rpartition("/")[2] not in response.text


def test_metrics(clickhouse: str, database: Database, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, clickhouse_url=clickhouse, clickhouse_database=database.name)
    client = report_app.make(settings).test_client()
    status = {"topic": "krill.api.requests", "state": "running", "updated_at": dt.datetime.now(dt.UTC)}
    rows = [{**status, "partition": 0, "lag": 3}, {**status, "partition": 1, "lag": 4}]
    report_data.insert(database.client, "pipeline_status", rows)
    client.get("/api/v1/nonsense")
    client.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(client.get("/metrics").text)}
    declared = {metric._name for metric in vars(metrics).values() if hasattr(metric, "_name")}
    assert declared <= families.keys()
    assert all(families[name].documentation for name in declared)
    [lag] = families["krill_logger_lag_events"].samples
    assert (lag.labels, lag.value) == ({"topic": "krill.api.requests"}, 7)
    counted = {
        (sample.labels["endpoint"], sample.labels["status"]): sample.value
        for sample in families["krill_logger_dashboard_requests"].samples
        if sample.name.endswith("_total")
    }
    assert counted["api.missing", "401"] >= 1
    assert counted["health.show_metrics", "200"] >= 1
