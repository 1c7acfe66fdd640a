"""The command line as a script and a person use it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import psutil
import pytest

from deploy import status
from deploy.cli import cli
from schemas.settings import Settings
from tests.conftest import free_port

Run = Callable[..., subprocess.CompletedProcess[str]]


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Free ports and a data folder of the test's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KRILL_LOGGER_")}
    ports = {
        f"KRILL_LOGGER_{name}_PORT": str(free_port()) for name in ["DASHBOARD", "KAFKA", "CLICKHOUSE", "DEMO", "WORKER"]
    }
    return kept | ports | {"KRILL_LOGGER_DATA": str(tmp_path / "var"), "KRILL_LOGGER_DEMO": "0"}


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    """`krill-logger` with arguments, standard input and more settings."""

    def call(*arguments: str, stdin: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
        more = {f"KRILL_LOGGER_{name.upper()}": value for name, value in settings.items()}
        return subprocess.run(
            [sys.executable, "-m", "deploy.cli", *arguments],
            env=environment | more,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return call


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """Standard error of a command that failed, which must be one sentence."""
    assert done.returncode == 1, done
    assert done.stderr.startswith("Error: "), done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stdout
    return done.stderr


@pytest.mark.parametrize(("path", "command"), list(commands(cli)), ids=lambda value: str(value))
def test_every_command_has_help_with_an_example(path: tuple[str, ...], command: click.Command) -> None:
    text = command.get_help(click.Context(command, info_name=" ".join(path)))
    assert re.search(r"Example: .*krill-logger .*" + path[0], text), text


class TestExitCodes:
    def test_usage(self, run: Run) -> None:
        assert run("no-such-command").returncode == 2
        assert run("users", "create").returncode == 2
        assert run("tokens", "create", "a", "--password", "x").returncode == 2
        assert run("--help").returncode == 0

    def test_settings(self, run: Run) -> None:
        assert "KRILL_LOGGER_KAFKA_PORT is 'x'; expected a port." in one_sentence(run("up", kafka_port="x"))
        assert "no such setting" in one_sentence(run("status", kafka_prot="1"))

    def test_status_of_nothing(self, run: Run) -> None:
        started = time.monotonic()
        done = run("status", "--json")
        assert time.monotonic() - started < status.TIMEOUT, "what refuses the connection is not waited for"
        assert done.returncode == 3
        found = json.loads(done.stdout)
        assert found["status"] == "down"
        assert not any(found[part]["ok"] for part in ("kafka", "clickhouse", "worker", "dashboard"))
        assert "Connection refused" in found["kafka"]["error"]
        assert found["lag"] == {"krill.api.requests": None, "krill.admin.changes": None}
        assert "Traceback" not in done.stderr

    def test_a_cluster_that_is_not_there(self, run: Run) -> None:
        error = one_sentence(
            run(
                "migrate",
                clickhouse_url=f"http://u:geheim@127.0.0.1:{free_port()}",
                kafka_bootstrap=f"127.0.0.1:{free_port()}",
            )
        )
        assert "Kafka at 127.0.0.1:" in error
        assert "Connection refused" in error
        assert "geheim" not in error


class TestUsersAndTokens:
    def test_users(self, run: Run) -> None:
        password = "correct horse battery"
        assert run("users", "create", "ana", "--password-stdin", stdin=password + "\n").returncode == 0
        assert run("users", "list").stdout == "ana\n"
        assert "ana" in one_sentence(run("users", "create", "ana", "--password-stdin", stdin=password + "\n"))
        assert run("users", "password", "ana", "--password-stdin", stdin="another good one\n").returncode == 0
        one_sentence(run("users", "password", "ana", "--password-stdin", stdin="x\n"))
        one_sentence(run("users", "password", "nobody", "--password-stdin", stdin=password + "\n"))
        assert run("users", "revoke", "ana").returncode == 0
        assert run("users", "list").stdout == ""
        one_sentence(run("users", "revoke", "ana"))

    def test_tokens(self, run: Run, tmp_path: Path) -> None:
        token = run("tokens", "create", "reports").stdout
        assert re.fullmatch(r"\S{20,}\n", token)
        assert run("tokens", "list").stdout == "reports\n"
        one_sentence(run("tokens", "create", "reports"))
        kept = b"".join(path.read_bytes() for path in (tmp_path / "var").rglob("*") if path.is_file())
        assert token.strip().encode() not in kept
        assert run("tokens", "revoke", "reports").returncode == 0
        assert run("tokens", "list").stdout == ""
        one_sentence(run("tokens", "revoke", "reports"))


class TestUp:
    @pytest.mark.parametrize(
        ("variable", "commands"),
        [
            ("KAFKA_PORT", ("up", "kafka")),
            ("CLICKHOUSE_PORT", ("up", "clickhouse")),
            ("DASHBOARD_PORT", ("up", "dashboard")),
            ("WORKER_PORT", ("up",)),
        ],
    )
    def test_a_taken_port(
        self, run: Run, environment: dict[str, str], variable: str, commands: tuple[str, ...]
    ) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", int(environment[f"KRILL_LOGGER_{variable}"])))
            other.listen()
            for command in commands:
                error = one_sentence(run(command))
                assert "is taken by " in error
                assert f"set KRILL_LOGGER_{variable} to another port" in error

    def test_an_unwritable_folder(self, run: Run) -> None:
        # Where not even root may make a folder.
        assert "cannot be written" in one_sentence(run("up", data="/proc/krill-logger"))

    def test_a_file_where_the_folder_should_be(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "var").write_text("not a folder")
        for command in ("up", "kafka", "clickhouse", "dashboard"):
            assert "cannot be written" in one_sentence(run(command))

    def test_a_foreign_kafka_folder(self, run: Run, tmp_path: Path) -> None:
        log = tmp_path / "var" / "kafka" / "log"
        log.mkdir(parents=True)
        assert "is not a storage of this Apache Kafka" in one_sentence(run("up"))

    def test_the_whole_life(self, run: Run, environment: dict[str, str], tmp_path: Path) -> None:
        """Start, status, a killed worker, a second `up`, Ctrl-C, start again, a killed supervisor."""
        settings = Settings.from_environ(environment)
        first = Up(environment, tmp_path / "first")
        first.wait_for("Krill Logger is up")
        password = re.search(r"user admin, password (\S+) \(shown only now\)", first.output())
        assert password
        assert password[1] not in "".join(path.read_text() for path in (tmp_path / "var" / "log").iterdir())
        first.wait_until(lambda: run("status").returncode == 0)
        assert "Krill Logger already runs on" in one_sentence(run("up"))

        worker = first.child("worker")
        worker.kill()
        first.wait_for("Worker was killed by SIGKILL")
        first.wait_for("Worker is started again.")
        first.wait_until(lambda: run("status").returncode == 0)

        first.process.send_signal(signal.SIGINT)
        assert first.process.wait(60) == 0
        stopped = re.findall(r"^  (\S.*?) {2,}stopped", first.output(), re.MULTILINE)
        assert stopped == ["Dashboard", "Worker", "ClickHouse", "Apache Kafka"]
        assert run("status").returncode == 3

        second = Up(environment, tmp_path / "second")
        second.wait_for("Krill Logger is up")
        assert "shown only now" not in second.output()
        children = [second.child(name) for name in ("kafka", "clickhouse", "worker", "dashboard")]
        second.process.kill()
        second.process.wait()
        second.wait_until(lambda: not any(child.is_running() and child.status() != "zombie" for child in children))
        ports = (settings.kafka_port, settings.clickhouse_port, settings.dashboard_port)
        second.wait_until(lambda: not any(listens(port) for port in ports))


def listens(port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Up:
    """`krill-logger up` in the background."""

    def __init__(self, environment: dict[str, str], output: Path) -> None:
        self._path = output
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.cli", "up"], env=environment, stdout=file, stderr=file
            )

    def output(self) -> str:
        return self._path.read_text()

    def wait_until(self, condition: Callable[[], bool], seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                self.process.terminate()
                self.process.wait(60)
                pytest.fail(f"waited in vain:\n{self.output()}")
            time.sleep(0.1)

    def wait_for(self, text: str) -> None:
        self.wait_until(lambda: text in self.output() or self.process.poll() is not None)
        assert text in self.output()

    def child(self, name: str) -> psutil.Process:
        """The process of one service."""
        return next(
            child
            for child in psutil.Process(self.process.pid).children()
            if name in child.cmdline() or (name == "kafka" and "kafka.Kafka" in child.cmdline())
        )
