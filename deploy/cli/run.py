"""The commands that run something in the foreground, and `migrate`."""

from __future__ import annotations

import sys
from contextlib import suppress

import click

from deploy.embedded import checks
from schemas.settings import PREFIX, Settings

#: Requests that the dashboard answers at the same time; an export takes one while it lasts, and so do live views, of
#: which there are at most `dashboard.views.live.MOST_STREAMS`.
DASHBOARD_THREADS = 24

#: Seconds in which Kafka may say at a worker's start that it will never let it in.
WORKER_WAIT = 5.0

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
    checks.port_free(settings.worker_host, settings.worker_port, "the worker's metrics", f"{PREFIX}WORKER_PORT")
    from confluent_kafka import KafkaException

    from consumers.worker import run
    from deploy import reach

    with suppress(KafkaException):  # a Kafka that is away is waited for
        reach.check_topics(settings, WORKER_WAIT)
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
    from dashboard.views import live
    from deploy.embedded.serving import Server

    if settings.admin_password:
        Accounts(settings.data / "dashboard.sqlite3").ensure_admin(settings.admin_password)
    host = f"[{settings.dashboard_host}]" if ":" in settings.dashboard_host else settings.dashboard_host
    Server(
        lambda: create_app(settings),
        f"{host}:{settings.dashboard_port}",
        threads=DASHBOARD_THREADS,
        seconds=DASHBOARD_STOP,
        post_worker_init=lambda worker: live.serve_while(worker.wsgi, lambda: worker.alive),
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
@click.option("--secure", is_flag=True, help="With TLS and a password (SASL_SSL, SCRAM), and data of its own.")
def kafka(secure: bool) -> None:
    """Run the embedded Apache Kafka alone until SIGTERM.

    With --secure it makes a certificate authority and a user at its first start, and prints the settings with which
    everything else uses it. The password is KRILL_LOGGER_KAFKA_SASL_PASSWORD, or a random one that is kept in a file.

    \b
    Example: KRILL_LOGGER_KAFKA_PORT=19092 krill-logger kafka --secure
    """
    settings = Settings.from_environ()
    from deploy.embedded import kafka as embedded

    checks.writable_folder(settings.data)
    checks.port_free("127.0.0.1", settings.kafka_port, "Apache Kafka", f"{PREFIX}KAFKA_PORT")
    embedded.prepare(settings, _progress, secure)
    if secure:
        from deploy.embedded.secure import client_settings

        needed = client_settings(settings, embedded.folder(settings, secure))
        click.echo("Worker, dashboard and commands use this broker with:\n")
        click.echo("\n".join(f"export {name}={value}" for name, value in needed.items()) + "\n")
    embedded.serve(settings, _progress, secure)


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
