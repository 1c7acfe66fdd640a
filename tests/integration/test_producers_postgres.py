"""The recording of changes on PostgreSQL: the same tests as on SQLite, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import psycopg
import pytest

from tests.benchmarks import postgres

pytestmark = pytest.mark.skipif(postgres.programs() is None, reason="PostgreSQL is not installed")


def test_changes_are_recorded_on_postgresql():
    with postgres.postgres(fsync="off") as server:
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            for name in ("krill_default", "krill_other"):
                connection.execute(f"CREATE DATABASE {name}")
        result = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/test_producer_changes.py"],
            env=os.environ | {"KRILL_PROJECT_POSTGRES_PORT": str(server.port)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        with psycopg.connect(f"{server.dsn.removesuffix('krill')}krill_default") as connection:
            tables = connection.execute("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'krill_logger_%'")
            assert tables.fetchone() == (3,)
    assert result.returncode == 0, result.stdout[-5000:]
