"""The ClickHouse schema: applied once, safe to repeat, safe at the same time, explained."""

from __future__ import annotations

import datetime as dt
import threading
import uuid

import clickhouse_connect
import pytest

from schemas import migrations
from tests.conftest import Database
from tests.databases import MIGRATED


def test_every_column_and_table_has_a_comment(database: Database) -> None:
    bare = database.client.query(
        "SELECT table, name FROM system.columns WHERE database = {name:String} AND comment = '' "
        "AND table != 'schema_migrations'",
        parameters={"name": database.name},
    ).result_rows
    assert bare == []
    tables = database.client.query(
        "SELECT name FROM system.tables WHERE database = {name:String} AND comment = ''",
        parameters={"name": database.name},
    ).result_rows
    assert tables == []


def test_a_second_run_changes_nothing(database: Database) -> None:
    row = [uuid.uuid4(), dt.datetime.now(dt.UTC), "/", 200]
    database.client.insert("api_requests", [row], column_names=["event_id", "requested_at", "route", "status_code"])
    assert migrations.apply(database.client, database.name) == []
    database.client.command("TRUNCATE TABLE schema_migrations")  # a run that was cut short
    assert migrations.apply(database.client, database.name)
    assert database.client.query("SELECT count() FROM api_requests").result_rows == [(1,)]
    assert database.client.query("SELECT sum(count) FROM response_times").result_rows == [(1,)]


def test_minutes_that_were_kept_become_a_view(database: Database) -> None:
    row = [uuid.uuid4(), dt.datetime.now(dt.UTC), "/", 500]
    for view in ("response_times", "api_requests_per_minute"):
        database.client.command(f"DROP VIEW {view}")
    database.client.command("CREATE TABLE api_requests_per_minute (minute DateTime, n UInt64) ENGINE = Log")
    database.client.command(
        "CREATE MATERIALIZED VIEW api_requests_per_minute_feed TO api_requests_per_minute AS "
        "SELECT toStartOfMinute(requested_at) AS minute, count() AS n FROM api_requests GROUP BY minute"
    )
    database.client.command("CREATE VIEW response_times AS SELECT * FROM api_requests_per_minute")
    database.client.insert("api_requests", [row], column_names=["event_id", "requested_at", "route", "status_code"])
    database.client.command("ALTER TABLE schema_migrations DELETE WHERE name = '0011_minutes.sql'")
    assert migrations.apply(database.client, database.name) == ["0011_minutes.sql"]
    for view in ("response_times", "api_requests_per_minute"):
        assert database.client.query(f"SELECT sum(count), sum(errors) FROM {view}").result_rows == [(1, 1)]
    left = database.client.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
    assert ("api_requests_per_minute_feed",) not in left.result_rows


def test_processes_that_start_together_do_not_disturb_each_other(clickhouse: str) -> None:
    name = f"test_{uuid.uuid4().hex}"
    clients = [clickhouse_connect.get_client(dsn=clickhouse, autogenerate_session_id=False) for _ in range(4)]
    failures: list[BaseException] = []
    together = threading.Barrier(len(clients))

    def apply(client: clickhouse_connect.driver.client.Client) -> None:
        together.wait()
        try:
            migrations.apply(client, name)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=apply, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    client = clients[0]
    row = [uuid.uuid4(), dt.datetime.now(dt.UTC), "/", 200]
    client.insert("api_requests", [row], column_names=["event_id", "requested_at", "route", "status_code"])
    assert client.query("SELECT sum(count) FROM response_times").result_rows == [(1,)]
    client.command("DROP DATABASE {name:Identifier} SYNC", parameters={"name": name})


@pytest.mark.parametrize("sql", ["SELECT 1;\n-- a; comment;\nSELECT ';';\n", "SELECT 1;\n\nSELECT ';'"])
def test_statements_end_at_the_end_of_a_line(sql: str) -> None:
    assert migrations.statements(sql) == ["SELECT 1", "SELECT ';'"]


@pytest.mark.parametrize(
    "source",
    [
        "tables WHERE database = {name:String} ORDER BY name",
        "columns WHERE database = {name:String} ORDER BY table, position",
        "data_skipping_indices WHERE database = {name:String} ORDER BY table, name",
        "projections WHERE database = {name:String} ORDER BY table, name",
    ],
)
def test_databases_of_tests_are_what_the_migrations_make(database: Database, source: str) -> None:
    # What differs between any two tables.
    own = ("database", "uuid", "metadata_", "total_", "data_", "marks_", "parts", "active_parts", "lifetime_")
    described = []
    for name in (MIGRATED, database.name):
        found = database.client.query(f"SELECT * FROM system.{source}", parameters={"name": name})
        rows = [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]
        described.append(
            [
                {key: str(value).replace(name, "") for key, value in row.items() if not key.startswith(own)}
                for row in rows
            ]
        )
    assert described[0]
    assert described[0] == described[1]
    applied = [
        database.client.query(f"SELECT name FROM {name}.schema_migrations").result_set
        for name in (MIGRATED, database.name)
    ]
    assert sorted(applied[0]) == sorted(applied[1]) != []
