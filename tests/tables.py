"""Writes `schemas/tables.sql`, the tables as all migrations leave them: `python -m tests.tables` (`make schemas`)."""

from __future__ import annotations

import tempfile
from pathlib import Path

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from deploy.embedded import clickhouse
from schemas import migrations
from schemas.settings import Settings
from tests.conftest import Server, free_port

HEAD = "-- What all migrations make; a new database is made from it. `make schemas` writes it.\n\n"
FILE = Path(migrations.__file__).parents[1] / "tables.sql"


def written(client: Client) -> str:
    """The tables and views of the client's database as SQL that makes them again, in any database."""
    found = client.query(
        "SELECT formatQuery(create_table_query) FROM system.tables WHERE database = {name:String} "
        "ORDER BY engine LIKE '%View', name",
        parameters={"name": client.database},
    ).result_rows
    return HEAD + "\n".join(f"{row[0].replace(f'{client.database}.', '')};\n" for row in found)


def migrated(url: str, name: str) -> str:
    """What the migrations make of an empty database of that name, one after the other, as SQL."""
    client = clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False)
    migrations.migrate(client, name)
    text = written(client)
    client.close()
    return text


def main() -> None:
    """Write the file, from an embedded ClickHouse of its own."""
    with tempfile.TemporaryDirectory() as name:
        settings = Settings(data=Path(name), clickhouse_port=free_port())
        server = Server("clickhouse", settings, clickhouse.is_ready, Path(name) / "log")
        server.start()
        FILE.write_text(migrated(settings.clickhouse, "migrated"), encoding="utf-8")
        server.stop()


if __name__ == "__main__":
    main()
