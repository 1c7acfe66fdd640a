"""The ClickHouse schema: applied once, safe to repeat, safe at the same time, explained."""

from __future__ import annotations

import datetime as dt
import threading
import time
import uuid

import clickhouse_connect
import pytest

from schemas import migrations
from tests import databases, tables
from tests.conftest import Database


def test_every_column_and_table_has_a_comment(database: Database) -> None:
    bare = database.client.query(
        "SELECT table, name FROM system.columns WHERE database = {name:String} AND comment = '' "
        "AND table != 'schema_migrations'",
        parameters={"name": database.name},
    ).result_rows
    assert bare == []
    undescribed = database.client.query(
        "SELECT name FROM system.tables WHERE database = {name:String} AND comment = ''",
        parameters={"name": database.name},
    ).result_rows
    assert undescribed == []


def test_the_written_tables_are_those_that_the_migrations_make(clickhouse: str) -> None:
    name = f"test_{uuid.uuid4().hex}"
    assert tables.migrated(clickhouse, name) == tables.FILE.read_text(encoding="utf-8"), "run `make schemas`"
    client = clickhouse_connect.get_client(dsn=clickhouse, database=name, autogenerate_session_id=False)
    assert migrations.apply(client, name) == []
    databases.drop(client)


def test_a_new_database_has_the_written_tables_and_needs_no_migration(database: Database) -> None:
    assert tables.written(database.client) == tables.FILE.read_text(encoding="utf-8")
    assert migrations.migrate(database.client, database.name) == []


@pytest.mark.parametrize("made", [1, 2, 9])
def test_a_first_run_that_was_cut_short_is_finished(
    clickhouse: str, database: Database, made: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"test_{uuid.uuid4().hex}"
    client = clickhouse_connect.get_client(dsn=clickhouse, autogenerate_session_id=False)
    client.command("CREATE DATABASE {name:Identifier}", parameters={"name": name})
    client.database = name
    for statement in migrations.statements(tables.FILE.read_text(encoding="utf-8"))[:made]:
        client.command(statement)
    monkeypatch.setattr(migrations, "MAKING_SECONDS", 0.0)
    assert migrations.apply(client, name)
    assert parts(client) == parts(database.client)
    databases.drop(client)


def test_tables_that_another_process_is_making_are_waited_for(clickhouse: str) -> None:
    name = f"test_{uuid.uuid4().hex}"
    client, other = databases.create(clickhouse, name), databases.create(clickhouse, name)
    made = other.query("SELECT name FROM schema_migrations").result_rows
    client.command("TRUNCATE TABLE schema_migrations")
    recording = threading.Timer(0.5, lambda: other.insert("schema_migrations", made, column_names=["name"]))
    recording.start()
    assert migrations.apply(client, name) == []
    recording.join()
    databases.drop(client)


def parts(client: clickhouse_connect.driver.client.Client) -> list[str]:
    """The lines of a database's tables, of which a migration may leave indexes in another order."""
    return sorted(line.rstrip(",") for line in tables.written(client).splitlines())


def test_a_second_run_changes_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    row = [uuid.uuid4(), dt.datetime.now(dt.UTC), "/", 200]
    database.client.insert("api_requests", [row], column_names=["event_id", "requested_at", "route", "status_code"])
    assert migrations.apply(database.client, database.name) == []
    monkeypatch.setattr(migrations, "MAKING_SECONDS", 0.0)
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


def test_rows_that_were_there_before_their_index_of_fields_get_it(database: Database) -> None:
    client = database.client
    client.command("ALTER TABLE api_requests DROP INDEX fields", settings={"mutations_sync": 1})
    client.insert("api_requests", [['{"name":"pim"}']], column_names=["data"])
    client.command("DELETE FROM schema_migrations WHERE name = '0015_fields.sql'")
    assert migrations.apply(client, database.name) == ["0015_fields.sql"]
    waiting = "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND NOT is_done"
    deadline = time.monotonic() + 30
    while client.query(waiting).result_rows != [(0,)] and time.monotonic() < deadline:
        time.sleep(0.05)
    sizes = "SELECT data_compressed_bytes > 0 FROM system.data_skipping_indices WHERE name = 'fields' "
    assert client.query(f"{sizes} AND database = currentDatabase()").result_rows == [(1,)]


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
