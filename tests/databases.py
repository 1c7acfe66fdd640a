"""Databases with all tables."""

from __future__ import annotations

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from schemas.migrations import apply


def create(url: str, name: str) -> Client:
    """Make a database; a client that works on it."""
    client = clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False)
    apply(client, name)
    return client


def drop(client: Client) -> None:
    """Drop the client's database, and close it."""
    client.command("DROP DATABASE {name:Identifier} SYNC", parameters={"name": client.database})
    client.close()
