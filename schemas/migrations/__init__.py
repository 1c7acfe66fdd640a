"""The ClickHouse schema as numbered `.sql` files, and what applies them.

`schemas/tables.sql` is what all of them make. A new database is made from it, which takes a twentieth of their time.
"""

from __future__ import annotations

import re
import time
from importlib import resources
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import Error

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

#: Longest that another process is given to make the tables of a new database, in seconds.
MAKING_SECONDS = 5.0
#: ClickHouse's error code.
_TABLE_EXISTS = 57


def statements(sql: str) -> list[str]:
    """The statements of a migration: each ends in `;` at the end of a line; `--` lines are comments."""
    text = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    return [statement.strip() for statement in re.split(r";\s*(?:\n|$)", text) if statement.strip()]


def apply(client: Client, database: str) -> list[str]:
    """Make `database` if need be, bring it to the newest schema, and leave the client working on it.

    Two processes may do so at once. One that was cut short is repeated.

    Args:
        client: connected to the server; a database that does not exist yet cannot be connected to.

    Returns:
        What was made now: the tables of a new database, or the names of the migrations applied, oldest first.
    """
    _use(client, database)
    if not _tables(client) and (made := _make(client)):
        return made
    # Tables without a migration: another process is making them, or was killed.
    deadline = time.monotonic() + MAKING_SECONDS
    while not _done(client) and time.monotonic() < deadline:
        time.sleep(0.05)
    return migrate(client, database)


def migrate(client: Client, database: str) -> list[str]:
    """`apply`, in any database one migration at a time.

    Every statement is idempotent (`IF NOT EXISTS` and the like; a test runs each twice).
    """
    _use(client, database)
    client.command(
        "CREATE TABLE IF NOT EXISTS schema_migrations (name String, applied_at DateTime DEFAULT now()) "
        "ENGINE = ReplacingMergeTree(applied_at) ORDER BY name COMMENT 'Migrations that were applied'"
    )
    done = _done(client)
    applied = []
    for name, sql in _files():
        if name in done:
            continue
        for statement in statements(sql):
            client.command(statement)
        _record(client, [name])
        applied.append(name)
    return applied


def _make(client: Client) -> list[str]:
    """Make all tables of an empty database; their names, none if another process makes some."""
    file = resources.files("schemas") / "tables.sql"
    try:
        for statement in statements(file.read_text(encoding="utf-8")):
            client.command(statement)
    except Error as error:
        if error.code != _TABLE_EXISTS:
            raise
        return []
    _record(client, [name for name, _ in _files()])
    return sorted(_tables(client))


def _use(client: Client, database: str) -> None:
    client.command("CREATE DATABASE IF NOT EXISTS {name:Identifier}", parameters={"name": database}, use_database=False)
    client.database = database


def _files() -> list[tuple[str, str]]:
    """Names and texts of the migrations, oldest first."""
    files = [file for file in resources.files(__package__).iterdir() if file.name.endswith(".sql")]
    return [(file.name, file.read_text(encoding="utf-8")) for file in sorted(files, key=lambda file: file.name)]


def _tables(client: Client) -> set[str]:
    return {
        row[0] for row in client.query("SELECT name FROM system.tables WHERE database = currentDatabase()").result_rows
    }


def _done(client: Client) -> set[str]:
    """The migrations that were applied."""
    if "schema_migrations" not in _tables(client):
        return set()
    return {row[0] for row in client.query("SELECT name FROM schema_migrations").result_rows}


def _record(client: Client, names: list[str]) -> None:
    client.insert("schema_migrations", [[name] for name in names], column_names=["name"])
