"""A PostgreSQL of its own for a test or a benchmark: Debian's package, on a free port, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from deploy.embedded.death import die_with_parent
from tests.conftest import free_port

_PACKAGES = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class Postgres:
    """A server that runs: how to connect, and its main process."""

    #: `postgresql://krill@127.0.0.1:<port>/krill`
    dsn: str
    port: int
    pid: int
    folder: Path


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`, None if they are not installed."""
    packaged = sorted(_PACKAGES.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    found = shutil.which("postgres") or (packaged[-1] if packaged else None)
    return Path(found).resolve().parent if found else None


@contextmanager
def postgres(**settings: str) -> Iterator[Postgres]:
    """A server with an empty database, durable as PostgreSQL is by default.

    Args:
        settings: entries of postgresql.conf, such as `shared_buffers="1GB"`.

    Raises:
        RuntimeError: PostgreSQL is not installed, or does not start.
    """
    binaries = programs()
    if binaries is None:
        raise RuntimeError("PostgreSQL is missing: install the package postgresql.")
    # Not below a folder of the caller's: PostgreSQL refuses to run as root, and another user could not get there.
    folder = Path(tempfile.mkdtemp(prefix="krill-logger-postgres-"))
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        os.chown(folder, user.pw_uid, user.pw_gid)
    try:
        data, port = folder / "data", free_port()
        made = subprocess.run(
            [binaries / "initdb", "--pgdata", data, "--username=krill", "--auth=trust", "--encoding=UTF8",
             "--locale=C.UTF-8", "--no-sync"],
            cwd=folder, capture_output=True, text=True, **who,
        )  # fmt: skip
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr.strip()}")
        given = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": "", **settings}
        options = [word for name, value in given.items() for word in ("-c", f"{name}={value}")]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [binaries / "postgres", "-D", data, *options],
                cwd=folder, stdout=log, stderr=log, preexec_fn=die_with_parent, **who,
            )  # fmt: skip
        try:
            _make_database(port, process, folder / "log")
            yield Postgres(f"postgresql://krill@127.0.0.1:{port}/krill", port, process.pid, folder)
        finally:
            process.send_signal(signal.SIGINT)  # "fast": open connections are cut
            try:
                process.wait(30)
            finally:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make_database(port: int, process: subprocess.Popen[bytes], log: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with psycopg.connect(f"postgresql://krill@127.0.0.1:{port}/postgres", autocommit=True) as connection:
                connection.execute("CREATE DATABASE krill")
            return
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')[-2000:]}") from error
            time.sleep(0.1)
