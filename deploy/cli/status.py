"""The command `status`."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from schemas.settings import Settings

EXIT_CODES = {"ok": 0, "degraded": 1, "down": 3}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for scripts.")
def status(as_json: bool) -> None:
    """Show what runs, how many messages wait, the last event and the dead letters.

    Exit codes: 0 all is well, 1 something is wrong or down, 3 nothing runs.

    \b
    Example: krill-logger status --json | jq .lag
    """
    settings = Settings.from_environ()
    from deploy.status import status as look

    if sys.stderr.isatty():
        click.echo("Asking Kafka, ClickHouse and the dashboard …", err=True)
    found = look(settings)
    click.echo(json.dumps(found, indent=2) if as_json else _text(found))
    sys.exit(EXIT_CODES[found["status"]])


def _text(found: dict[str, Any]) -> str:
    lines = [f"{'Krill Logger':<22} {found['status']}"]
    for part in ("Kafka", "ClickHouse", "Worker", "Dashboard"):
        state = found[part.lower()]
        lines.append(f"{part:<22} {'ok' if state['ok'] else 'not ok: ' + state['error']}")
    for topic, lag in found["lag"].items():
        lines.append(f"{'Waiting in ' + topic:<42} {'unknown' if lag is None else lag}")
    lines.append(f"{'Last event':<42} {found['last_event'] or 'none'}")
    letters = found["dead_letters"]
    lines.append(f"{'Dead letters':<42} {'unknown' if letters is None else letters}")
    return "\n".join(lines)
