"""The commands that run something in the foreground, and `migrate`."""

from __future__ import annotations

import sys

import click

from deploy.embedded import checks
from schemas.settings import PREFIX, Settings

#: Requests that the dashboard answers at the same time; a CSV export takes one while it lasts.
DASHBOARD_THREADS = 16

#: Seconds that a stopping dashboard gives the requests in hand.
DASHBOARD_STOP = 10


def _progress(text: str) -> None:
    """Show on a terminal what takes a while; a script gets results and errors only."""
    if sys.stderr.isatty():
        click.echo(f"{text} …", err=True)


@click.command()
def up() -> None:
    """Run everything on this machine until Ctrl-C: Kafka, ClickHouse, worker, dashboard, demo Krill.

    \b
    Example: KRILL_LOGGER_DEMO=0 krill-logger up
    """
    from deploy.embedded import stack

    stack.up(Settings.from_environ())


@click.command()
def worker() -> None:
    """Run a worker until SIGTERM: it stores what is in the Kafka topics in ClickHouse.

    \b
    Example: KRILL_LOGGER_KAFKA_BOOTSTRAP=kafka1:9092,kafka2:9092 krill-logger worker
    """
    settings = Settings.from_environ()
    checks.port_free("127.0.0.1", settings.worker_port, "the worker's metrics", f"{PREFIX}WORKER_PORT")
    from consumers.worker import run

    sys.exit(run(settings))


@click.command()
def dashboard() -> None:
    """Serve the dashboard until SIGTERM.

    \b
    Example: KRILL_LOGGER_DASHBOARD_PORT=8088 krill-logger dashboard
    """
    settings = Settings.from_environ()
    checks.writable_folder(settings.data)
    checks.port_free(settings.dashboard_host, settings.dashboard_port, "the dashboard", f"{PREFIX}DASHBOARD_PORT")
    from dashboard import create_app
    from dashboard.accounts import Accounts
    from deploy.embedded.serving import Server

    if settings.admin_password:
        Accounts(settings.data / "dashboard.sqlite3").ensure_admin(settings.admin_password)
    host = f"[{settings.dashboard_host}]" if ":" in settings.dashboard_host else settings.dashboard_host
    Server(
        lambda: create_app(settings),
        f"{host}:{settings.dashboard_port}",
        threads=DASHBOARD_THREADS,
        seconds=DASHBOARD_STOP,
    ).run()


@click.command()
def migrate() -> None:
    """Make the Kafka topics and ClickHouse tables that are missing. Safe to repeat.

    \b
    Example: KRILL_LOGGER_CLICKHOUSE_URL=https://user:password@ch.example:8443 krill-logger migrate
    """
    settings = Settings.from_environ()
    from deploy import schema

    _progress("making topics and tables")
    click.echo(schema.apply(settings))


@click.command()
def kafka() -> None:
    """Run the embedded Apache Kafka alone until SIGTERM.

    \b
    Example: KRILL_LOGGER_KAFKA_PORT=19092 krill-logger kafka
    """
    settings = Settings.from_environ()
    from deploy.embedded import kafka as embedded

    checks.writable_folder(settings.data)
    checks.port_free("127.0.0.1", settings.kafka_port, "Apache Kafka", f"{PREFIX}KAFKA_PORT")
    embedded.serve(settings, _progress)


@click.command()
def clickhouse() -> None:
    """Run the embedded ClickHouse alone until SIGTERM.

    \b
    Example: KRILL_LOGGER_CLICKHOUSE_PORT=18123 krill-logger clickhouse
    """
    settings = Settings.from_environ()
    from deploy.embedded import clickhouse as embedded

    checks.writable_folder(settings.data)
    checks.port_free("127.0.0.1", settings.clickhouse_port, "ClickHouse", f"{PREFIX}CLICKHOUSE_PORT")
    embedded.serve(settings)
