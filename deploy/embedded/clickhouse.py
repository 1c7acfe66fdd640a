"""The embedded ClickHouse: chDB behind ClickHouse's HTTP interface on 127.0.0.1, in a process of its own."""

from __future__ import annotations

import os
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from deploy.embedded.checks import lock, writable_folder
from deploy.embedded.errors import StartError
from deploy.embedded.http import Application
from deploy.embedded.serving import Server
from schemas.settings import Settings, SettingsError

#: Requests at the same time; one more waits.
THREADS = 32

#: Seconds that a stop waits for queries in hand.
STOP_SECONDS = 10


def folder(settings: Settings) -> Path:
    """Where the tables live."""
    return settings.data / "clickhouse"


def serve(settings: Settings) -> None:
    """Serve until SIGTERM.

    Raises:
        StartError: the data folder cannot be written, or another process uses it.
    """
    home = writable_folder(folder(settings))
    foreign = [path.name for path in home.iterdir() if path.name not in ("store", "incoming", "lock")]
    if foreign:
        raise StartError(
            f"{home} is not a folder of this ClickHouse (it holds {foreign[0]}): "
            "move that away, or set KRILL_LOGGER_DATA to another folder."
        )
    lock(home / "lock", f"Another ClickHouse already uses {home}: stop it, or set KRILL_LOGGER_DATA.", seconds=3)
    engine = None

    def make() -> Application:
        # Imported and started behind the fork, which its threads would not survive. Servers speak UTC.
        from deploy.embedded.engine import Engine

        nonlocal engine
        os.environ["TZ"] = "UTC"
        time.tzset()
        engine = Engine(home)
        return Application(engine, settings.clickhouse_port)

    def close() -> None:
        if engine is not None:
            engine.close()

    Server(
        make,
        f"127.0.0.1:{settings.clickhouse_port}",
        threads=THREADS,
        seconds=STOP_SECONDS,
        close=close,
        limit_request_line=0,
        limit_request_field_size=0,
        limit_request_fields=1000,
    ).run()


def is_ready(settings: Settings) -> bool:
    """Whether it answers."""
    url = f"http://127.0.0.1:{settings.clickhouse_port}/?query=SELECT+1"
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=2) as answer:
            return bool(answer.read() == b"1\n")
    except (URLError, OSError):
        return False


if __name__ == "__main__":
    import sys

    try:
        serve(Settings.from_environ())
    except (StartError, SettingsError) as error:
        sys.exit(str(error))
