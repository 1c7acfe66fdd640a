"""Krill's tables, made in the processes that need them."""

from __future__ import annotations

import pytest

from tests.krill_project import running


@pytest.fixture(scope="session")
def krill_tables() -> None:
    """The tables of the project."""
    running.set_up()
    running.migrate()
