"""Reports with known rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dashboard.store import Store
from schemas.settings import Settings
from tests.conftest import Database
from tests.integration import report_data


@pytest.fixture(scope="module")
def filled(clickhouse: str) -> Iterator[Settings]:
    """Settings of a database with the rows of `report_data`."""
    with report_data.filled_database(clickhouse) as name:
        yield Settings(clickhouse_url=clickhouse, clickhouse_database=name)


@pytest.fixture(scope="module")
def store(filled: Settings) -> Store:
    """The store over those rows."""
    return Store(filled)


@pytest.fixture
def empty(clickhouse: str, database: Database) -> Store:
    """A store over tables without rows."""
    return Store(Settings(clickhouse_url=clickhouse, clickhouse_database=database.name))
