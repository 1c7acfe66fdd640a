"""Every setting of the servers: an environment variable `KRILL_LOGGER_…`, read here and nowhere else.

What Krill itself installs is configured by its Django setting `KRILL_LOGGER` instead (`producers.django.conf`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

PREFIX = "KRILL_LOGGER_"

#: `KRILL_LOGGER_KAFKA_` + one of these + anything is a librdkafka property: `…_SASL_USERNAME` is `sasl.username`.
KAFKA_SECURITY_PREFIXES = ("SECURITY_", "SASL_", "SSL_", "ENABLE_SSL_", "ENABLE_SASL_", "HTTPS_")


def kafka_variable(name: str) -> str:
    """The environment variable of a librdkafka property such as `sasl.username`."""
    return f"{PREFIX}KAFKA_{name.upper().replace('.', '_')}"


class SettingsError(ValueError):
    """A variable that cannot be used; the text names it, its value (secrets masked) and what was expected."""


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise ValueError
    return port


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError
    return number


def _switch(text: str) -> bool:
    return {"1": True, "0": False, "true": True, "false": False, "yes": True, "no": False}[text.lower()]


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _zone(text: str) -> str:
    ZoneInfo(text)
    return text


def _language(text: str) -> str:
    if text not in ("es", "en"):
        raise ValueError
    return text


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError
    return text


def _setting(default: Any, parse: Callable[[str], Any], expected: str, doc: str, secret: bool = False) -> Any:
    return field(
        default=default,
        repr=not secret,
        metadata={"parse": parse, "expected": expected, "doc": doc, "secret": secret},
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, parsed. `Settings()` holds the defaults; `Settings.from_environ()` is what a command uses."""

    data: Path = _setting(Path("var").absolute(), _path, "a folder", "where everything that is kept lies")
    dashboard_host: str = _setting("127.0.0.1", str, "an address", "address on which the dashboard listens")
    dashboard_port: int = _setting(8080, _port, "a port", "port of the dashboard")
    kafka_port: int = _setting(9092, _port, "a port", "port of the embedded Apache Kafka")
    clickhouse_port: int = _setting(8123, _port, "a port", "HTTP port of the embedded ClickHouse")
    demo_port: int = _setting(8000, _port, "a port", "port of the demo Krill")
    worker_host: str = _setting("127.0.0.1", str, "an address", "address on which the worker shows its metrics")
    worker_port: int = _setting(8081, _port, "a port", "port of the worker's metrics and health page")
    demo: bool = _setting(True, _switch, "1 or 0", "whether `krill-logger up` starts the demo Krill and its traffic")
    kafka_bootstrap: str = _setting(
        "", str, "host:port,…", "brokers of a real Kafka; when set, no embedded one is started"
    )
    clickhouse_url: str = _setting(
        "",
        _url,
        "http(s)://user:password@host:port",
        "URL of a real ClickHouse; when set, no embedded one is started",
        secret=True,
    )
    clickhouse_database: str = _setting("krill_logger", str, "a name", "database of the tables")
    admin_password: str = _setting(
        "",
        str,
        "a password",
        "first password of the user `admin`; without it a random one is printed once",
        True,
    )
    secret_key: str = _setting(
        "",
        str,
        "random text",
        "signs the dashboard's sessions; without it one is made and kept in the data folder",
        True,
    )
    secure_cookies: bool = _setting(
        False, _switch, "1 or 0", "mark the session cookie `Secure`: set it to 1 behind HTTPS"
    )
    trusted_proxies: int = _setting(
        0, _count, "a number of proxies", "how many proxies in front of the dashboard set X-Forwarded-For"
    )
    language: str = _setting("es", _language, "es or en", "language of a user who has not chosen one")
    timezone: str = _setting("Europe/Madrid", _zone, "an IANA time zone", "time zone of a user who has not chosen one")
    query_seconds: int = _setting(20, _positive, "seconds", "longest a query of the dashboard may run")
    user_queries: int = _setting(
        6, _positive, "a number", "queries of the dashboard that a user may run at the same time; as many again wait"
    )
    export_rows: int = _setting(20_000_000, _positive, "a number", "most rows of an exported file")
    group: str = _setting("krill-logger", str, "a name", "Kafka consumer group of the workers")
    partitions: int = _setting(4, _positive, "a number", "partitions of a topic that is made here")
    replication: int = _setting(1, _positive, "a number", "replicas of a topic that is made here")
    batch_rows: int = _setting(25_000, _positive, "a number", "most messages in one insert")
    batch_seconds: float = _setting(0.2, _seconds, "seconds", "longest a message waits for its batch to fill")
    flood_window: int = _setting(
        2_000, _positive, "a number", "last messages of a topic that are looked at for a flood"
    )
    flood_percent: int = _setting(
        95, _positive, "a percentage", "share of failed messages at which a topic is stopped; 101 never stops one"
    )
    kafka_security: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Parse `environ` (the process's by default). Empty values count as not set.

        Raises:
            SettingsError: a value that cannot be parsed, or a `KRILL_LOGGER_…` name that is no setting.
        """
        environ = os.environ if environ is None else environ
        given = {name[len(PREFIX) :]: value for name, value in environ.items() if name.startswith(PREFIX) and value}
        values: dict[str, Any] = {}
        for setting in fields(cls):
            text = given.pop(setting.name.upper(), None)
            if text is None or not setting.metadata:
                continue
            try:
                values[setting.name] = setting.metadata["parse"](text)
            except (ValueError, KeyError) as error:
                shown = "***" if setting.metadata["secret"] else repr(text[:80])
                expected = setting.metadata["expected"]
                raise SettingsError(f"{PREFIX}{setting.name.upper()} is {shown}; expected {expected}.") from error
        security = {
            name[len("KAFKA_") :].lower().replace("_", "."): given.pop(name)
            for name in sorted(given)
            if name.startswith("KAFKA_") and name[len("KAFKA_") :].startswith(KAFKA_SECURITY_PREFIXES)
        }
        if given:
            unknown = ", ".join(PREFIX + name for name in sorted(given))
            raise SettingsError(f"{unknown}: no such setting; docs/settings.md lists them all.")
        return cls(**values, kafka_security=tuple(security.items()))

    @property
    def bootstrap(self) -> str:
        """Kafka's `bootstrap.servers`: the cluster, or the embedded broker."""
        return self.kafka_bootstrap or f"127.0.0.1:{self.kafka_port}"

    @property
    def clickhouse(self) -> str:
        """The URL (a clickhouse-connect `dsn`) of the server, or of the embedded ClickHouse."""
        return self.clickhouse_url or f"http://127.0.0.1:{self.clickhouse_port}"

    def kafka(self, **more: Any) -> dict[str, Any]:
        """A librdkafka configuration: where the brokers are, how to log in to them, and `more` with `_` for `.`."""
        return {
            "bootstrap.servers": self.bootstrap,
            **dict(self.kafka_security),
            **{name.replace("_", "."): value for name, value in more.items()},
        }
