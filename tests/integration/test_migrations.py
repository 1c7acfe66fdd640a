"""The ClickHouse schema: applied once, safe to repeat, safe at the same time, explained."""

from __future__ import annotations

import datetime as dt
import threading
import uuid

import clickhouse_connect
import pytest

from schemas import migrations
from tests.conftest import Database


def test_every_column_and_table_has_a_comment(database: Database) -> None:
    bare = database.client.query(
        "SELECT table, name FROM system.columns WHERE database = {name:String} AND comment = '' "
        "AND table NOT LIKE '%\\\\_feed' AND table != 'schema_migrations'",
        parameters={"name": database.name},
    ).result_rows
    assert bare == []
    tables = database.client.query(
        "SELECT name FROM system.tables WHERE database = {name:String} AND comment = '' AND name NOT LIKE '%\\\\_feed'",
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
