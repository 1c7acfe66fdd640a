"""The command line `krill-logger`."""

from __future__ import annotations

import sqlite3
import sys

import click

from deploy.cli.access import tokens, users
from deploy.cli.letters import dead_letters
from deploy.cli.repair import replay, verify
from deploy.cli.run import clickhouse, dashboard, kafka, migrate, up, worker
from deploy.cli.status import status
from deploy.embedded.errors import StartError
from schemas.settings import SettingsError


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Settings are environment variables KRILL_LOGGER_…; docs/settings.md lists them.",
)
@click.version_option(package_name="krill-logger")
def cli() -> None:
    """Krill's API and admin log on Kafka and ClickHouse.

    Exit codes: 0 done, 1 failed, 2 wrong usage; `status` has its own.
    """


for _command in (
    up,
    worker,
    dashboard,
    migrate,
    status,
    verify,
    replay,
    dead_letters,
    users,
    tokens,
    kafka,
    clickhouse,
):
    cli.add_command(_command)


def main() -> None:
    """The entry point: every expected failure is one sentence and an exit code."""
    from dashboard.accounts import AccountError
    from dashboard.assets import AssetsMissing

    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit("Stopped.")
    except (StartError, SettingsError, AccountError, AssetsMissing) as error:
        sys.exit(f"Error: {error}")
    except (OSError, sqlite3.Error) as error:
        sys.exit(f"Error: {str(error).splitlines()[0]}.")
    sys.exit(code if isinstance(code, int) else 0)
