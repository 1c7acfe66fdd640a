"""What `krill-logger up` runs, in which order, and what it tells the user."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import fields
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from deploy import schema
from deploy.embedded import clickhouse, kafka
from deploy.embedded.checks import lock, port_free, writable_folder
from deploy.embedded.supervisor import Service, Stopped, Supervisor
from schemas.settings import PREFIX, Settings, kafka_variable

#: In the data folder, locked while `krill-logger up` runs.
LOCK = "up.lock"


def up(settings: Settings) -> None:
    """Run everything until Ctrl-C or SIGTERM.

    Raises:
        StartError: something cannot start; what had started is stopped again.
    """
    writable_folder(settings.data)
    lock(
        settings.data / LOCK,
        f"Krill Logger already runs on {settings.data}: stop it there, or set KRILL_LOGGER_DATA to another folder.",
        seconds=1,
    )
    check_ports(settings)
    with Supervisor(settings.data / "log", environment(settings)) as supervisor:
        try:
            password = _start(settings, supervisor)
            supervisor.say(welcome(settings, password))
            supervisor.watch()
        except Stopped:
            pass
        supervisor.say("Stopping, in order; Ctrl-C again to hurry.")


def _start(settings: Settings, supervisor: Supervisor) -> str | None:
    if not settings.kafka_bootstrap:
        supervisor.task("Apache Kafka's files", lambda report: _prepare_kafka(settings, report))
        supervisor.start(
            Service("kafka", "Apache Kafka", command("kafka"), lambda: kafka.is_ready(settings), stop_seconds=30)
        )
    if not settings.clickhouse_url:
        supervisor.start(
            Service("clickhouse", "ClickHouse", command("clickhouse"), lambda: clickhouse.is_ready(settings))
        )
    supervisor.task("Topics and tables", lambda _: schema.apply(settings))
    supervisor.start(
        Service("worker", "Worker", command("worker"), _answers(f"http://127.0.0.1:{settings.worker_port}/"), 90)
    )
    password = _ensure_admin(settings)
    dashboard = f"http://{_reachable(settings.dashboard_host)}:{settings.dashboard_port}/health"
    supervisor.start(Service("dashboard", "Dashboard", command("dashboard"), _answers(dashboard)))
    if settings.demo:
        web = _answers(f"http://127.0.0.1:{settings.demo_port}/admin/login/")
        supervisor.start(Service("demo", "Demo Krill", python("deploy.demo", "serve"), web, 120))
        supervisor.start(Service("traffic", "Demo traffic", python("deploy.demo", "traffic"), lambda: True))
    return password


def _prepare_kafka(settings: Settings, report: Callable[[str], None]) -> str:
    kafka.prepare(settings, report)
    return "here"


def check_ports(settings: Settings) -> None:
    """See that every port is free.

    Raises:
        StartError: one is not.
    """
    if not settings.kafka_bootstrap:
        port_free("127.0.0.1", settings.kafka_port, "Apache Kafka", f"{PREFIX}KAFKA_PORT")
    if not settings.clickhouse_url:
        port_free("127.0.0.1", settings.clickhouse_port, "ClickHouse", f"{PREFIX}CLICKHOUSE_PORT")
    port_free("127.0.0.1", settings.worker_port, "the worker's metrics", f"{PREFIX}WORKER_PORT")
    port_free(settings.dashboard_host, settings.dashboard_port, "the dashboard", f"{PREFIX}DASHBOARD_PORT")
    if settings.demo:
        port_free("127.0.0.1", settings.demo_port, "the demo Krill", f"{PREFIX}DEMO_PORT")


def command(name: str) -> list[str]:
    """The command `krill-logger <name>` of this installation."""
    return python("deploy.cli", name)


def python(module: str, *arguments: str) -> list[str]:
    """Run a module with this interpreter; `-P` keeps the current folder's modules out."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(settings: Settings) -> dict[str, str]:
    """The environment of the processes: this one's, with `settings`. The administrator's password stays here."""
    values = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    values |= {kafka_variable(name): value for name, value in settings.kafka_security}
    for setting in fields(settings):
        value = getattr(settings, setting.name)
        if setting.metadata and value != setting.default and setting.name != "admin_password":
            values[PREFIX + setting.name.upper()] = str(int(value)) if isinstance(value, bool) else str(value)
    values[f"{PREFIX}DATA"] = str(settings.data)
    # Logs are read while they are written.
    values["PYTHONUNBUFFERED"] = "1"
    return values


def welcome(settings: Settings, password: str | None) -> str:
    """What listens where, and how to log in."""
    dashboard = f"http://{_reachable(settings.dashboard_host)}:{settings.dashboard_port}/"
    login = "user admin"
    if password:
        login += f", password {password} (shown only now)"
    elif settings.admin_password:
        login += f", password as first set in {PREFIX}ADMIN_PASSWORD"
    else:
        login += ", password as shown at the first start (krill-logger users password admin sets a new one)"
    lines = [f"Dashboard   {dashboard}  {login}"]
    if settings.demo:
        lines.append(f"Demo Krill  http://127.0.0.1:{settings.demo_port}/admin/  user demo, password demo")
    lines.append(f"Kafka       {settings.bootstrap}")
    if settings.clickhouse_url:
        lines.append(f"ClickHouse  as in {PREFIX}CLICKHOUSE_URL, database {settings.clickhouse_database}")
    else:
        lines.append(
            f"ClickHouse  {settings.clickhouse}/  "  # noqa: S608 - shown, not run
            f"curl {settings.clickhouse}/ -d 'SELECT count() FROM {settings.clickhouse_database}.api_requests'"
        )
    lines.append(f"Data        {settings.data}")
    lines.append(f"Logs        {settings.data / 'log'}")
    return "\n".join(["", "Krill Logger is up. Ctrl-C stops it.", "", *(f"  {line}" for line in lines), ""])


def _ensure_admin(settings: Settings) -> str | None:
    from dashboard.accounts import Accounts

    return Accounts(settings.data / "dashboard.sqlite3").ensure_admin(settings.admin_password)


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104


def _answers(url: str) -> Callable[[], bool]:
    """Whether a web server answers there, with whatever status."""
    opener = build_opener(ProxyHandler({}))

    def ready() -> bool:
        try:
            opener.open(url, timeout=2).close()
        except HTTPError as error:
            error.close()
        except (URLError, OSError):
            return False
        return True

    return ready
