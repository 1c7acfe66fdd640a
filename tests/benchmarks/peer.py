"""drf-tracking's table in a PostgreSQL of its own, as its migrations make it, with the same rows as a ClickHouse."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django
import psycopg
from clickhouse_connect import get_client
from django.conf import settings as django_settings
from django.core.management import call_command

from schemas.settings import Settings
from tests.benchmarks.postgres import postgres

#: A quarter of the memory for PostgreSQL's own cache, as its manual advises.
_SHARED = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 4 // 1024**2}MB"

# What drf-tracking would have stored; it has no room for a longer path.
_REQUESTS = (
    "user AS username_persistent, toString(requested_at) || '+00' AS requested_at, toUInt32(round(response_ms)) AS "
    "response_ms, substringUTF8(path, 1, 200) AS path, view, view_method, "
    "if(remote_addr = toIPv6('::'), '0.0.0.0', replaceOne(toString(remote_addr), '::ffff:', '')) AS remote_addr, host, "
    "method, substringUTF8(user_agent, 1, 255) AS user_agent, query_params, data, response, errors, status_code"
)
_CHANGES = (
    "toString(changed_at) || '+00' AS action_time, object_id, substringUTF8(object_repr, 1, 200) AS object_repr, "
    "multiIf(action = 'addition', 1, action = 'change', 2, 3) AS action_flag, changes AS change_message, "
    "1 AS user_id, 1 AS content_type_id"
)


@contextmanager
def tracking(settings: Settings) -> Iterator[tuple[Any, float]]:
    """drf-tracking's model over a table with the rows of a ClickHouse, and the bytes that a row of it takes."""
    with postgres(
        shared_buffers=_SHARED,
        effective_cache_size=_SHARED,
        work_mem="64MB",
        maintenance_work_mem="1GB",
        max_wal_size="16GB",
        random_page_cost="1.1",
    ) as server:
        _configure(server.port)
        from django.contrib.auth.models import User
        from django.contrib.contenttypes.models import ContentType
        from django.db import connection
        from rest_framework_tracking.models import APIRequestLog

        call_command("migrate", verbosity=0)
        User(id=1, username="krill").save()
        ContentType.objects.get_or_create(id=1)
        with psycopg.connect(server.dsn, autocommit=True) as copying:
            _copy(copying, settings, "api_requests", _REQUESTS, APIRequestLog._meta.db_table)
            _copy(copying, settings, "admin_changes", _CHANGES, "django_admin_log")
            row = copying.execute(
                f"SELECT pg_total_relation_size('{APIRequestLog._meta.db_table}'), count(*) "
                f"FROM {APIRequestLog._meta.db_table}"
            ).fetchone()
        assert row is not None
        try:
            yield APIRequestLog, row[0] / max(row[1], 1)
        finally:
            connection.close()


def _configure(port: int) -> None:
    database = {"ENGINE": "django.db.backends.postgresql", "NAME": "krill", "USER": "krill", "HOST": "127.0.0.1"}
    django_settings.configure(
        DATABASES={"default": {**database, "PORT": str(port), "CONN_MAX_AGE": None}},
        INSTALLED_APPS=[
            *("django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.messages"),
            *("django.contrib.sessions", "rest_framework_tracking"),
        ],
        USE_TZ=True,
    )
    django.setup()


def _copy(copying: Any, settings: Settings, table: str, selected: str, target: str) -> None:
    """Copy all rows, oldest first as they would have come; the indexes are made afterwards, which is faster."""
    indexes = copying.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND indexdef NOT LIKE '%%UNIQUE%%'", (target,)
    ).fetchall()
    for name, _ in indexes:
        copying.execute(f'DROP INDEX "{name}"')
    client = get_client(dsn=settings.clickhouse, database=settings.clickhouse_database)
    names = [part.rpartition(" ")[2] for part in client.query(f"SELECT {selected} FROM {table} LIMIT 0").column_names]
    time_column = "requested_at" if table == "api_requests" else "changed_at"
    with (
        client.raw_stream(
            f"SELECT {selected} FROM {table} AS t ORDER BY t.{time_column}",
            fmt="CSV",
            settings={"max_execution_time": 0},
        ) as rows,
        copying.cursor() as cursor,
        cursor.copy(f"COPY {target} ({', '.join(names)}) FROM STDIN (FORMAT csv)") as copy,
    ):
        while piece := rows.read(1 << 20):
            copy.write(piece)
    client.close()
    for _, definition in indexes:
        copying.execute(definition)
    copying.execute(f"VACUUM ANALYZE {target}")
