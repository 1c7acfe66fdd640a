"""Every query of the analysts' page runs and answers; every column says what it means."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from tests.conftest import Database

PAGE = (Path(__file__).parents[2] / "docs" / "analysts.md").read_text()
QUERIES = re.findall(r"^## ([^\n]+)\n|^```sql\n(.*?)^```", PAGE, re.M | re.S)
NAMED = [
    (next(title for title, _ in reversed(QUERIES[:at]) if title), sql) for at, (_, sql) in enumerate(QUERIES) if sql
]


@pytest.fixture
def filled(database: Database) -> Client:
    """A request that failed, one of last week, the change it caused, a dead letter, a partition's status."""
    client = database.client
    now = dt.datetime.now(dt.UTC)
    request = dict(
        event_id=uuid.uuid4(), requested_at=now, user="crm-a", remote_addr="::ffff:10.1.2.3", method="PATCH",
        path="/api/v2/isp/cpes/585/", route="/api/v2/isp/cpes/{id}/", object_type="cpe", object_id="585",
        action="partial_update", status_code=400, response_ms=120.5, response='{"postalcode":["?"]}', request_id="r1",
    )  # fmt: skip
    older = {**request, "event_id": uuid.uuid4(), "requested_at": now - dt.timedelta(days=8)}
    client.insert("api_requests", [list(request.values()), list(older.values())], column_names=list(request))
    change = dict(
        event_id=uuid.uuid4(), changed_at=now, user="ignacio", action="change", app_label="isp", model="cpe",
        object_type="cpe", object_id="585", object_repr="pim0585", changed_fields=["postalcode"], request_id="r1",
        changes='[{"field":"postalcode","old":"1504","new":"1505"}]',
    )  # fmt: skip
    client.insert("admin_changes", [list(change.values())], column_names=list(change))
    letter = dict(kafka_topic="krill.api.requests", kafka_partition=0, kafka_offset=1, failed_at=now, reason="empty")
    client.insert("dead_letters", [list(letter.values())], column_names=list(letter))
    status = dict(topic="krill.api.requests", partition=0, lag=3, last_event_at=now, updated_at=now)
    client.insert("pipeline_status", [list(status.values())], column_names=list(status))
    return client


@pytest.mark.parametrize(("title", "sql"), NAMED, ids=[title for title, _ in NAMED])
def test_the_query_answers(filled: Client, title: str, sql: str) -> None:
    assert filled.query(sql).result_rows


def test_the_page_has_its_queries() -> None:
    assert len(NAMED) >= 12


def test_percentiles_are_finished_numbers(filled: Client) -> None:
    row = filled.query("SELECT count, errors, p50, p95, p99 FROM response_times ORDER BY minute DESC").first_item
    assert (row["count"], row["errors"]) == (1, 1)
    assert row["p50"] == pytest.approx(120.5, rel=0.02)
