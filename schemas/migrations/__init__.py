"""The ClickHouse schema as numbered `.sql` files, and what applies them."""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def statements(sql: str) -> list[str]:
    """The statements of a migration: each ends in `;` at the end of a line; `--` lines are comments."""
    text = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    return [statement.strip() for statement in re.split(r";\s*(?:\n|$)", text) if statement.strip()]


def apply(client: Client, database: str) -> list[str]:
    """Make `database` if need be, bring it to the newest schema, and leave the client working on it.

    Every statement is idempotent (`IF NOT EXISTS` and the like; a test runs each twice), so a run that was cut short
    is repeated and two processes may apply the same migration at once.

    Args:
        client: connected to the server; a database that does not exist yet cannot be connected to.

    Returns:
        Names of the migrations applied now, oldest first.
    """
    client.command("CREATE DATABASE IF NOT EXISTS {name:Identifier}", parameters={"name": database}, use_database=False)
    client.database = database
    client.command(
        "CREATE TABLE IF NOT EXISTS schema_migrations (name String, applied_at DateTime DEFAULT now()) "
        "ENGINE = ReplacingMergeTree(applied_at) ORDER BY name COMMENT 'Migrations that were applied'"
    )
    done = {row[0] for row in client.query("SELECT name FROM schema_migrations").result_rows}
    applied = []
    for file in sorted(resources.files(__package__).iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".sql") or file.name in done:
            continue
        for statement in statements(file.read_text(encoding="utf-8")):
            client.command(statement)
        client.insert("schema_migrations", [[file.name]], column_names=["name"])
        applied.append(file.name)
    return applied
