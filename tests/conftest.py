"""What all tests share: the two servers, started once per session, and a fresh migrated database per test."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import hypothesis
import pytest
from argon2 import PasswordHasher

from deploy.embedded import clickhouse as embedded_clickhouse
from deploy.embedded import jars
from deploy.embedded import kafka as embedded_kafka
from deploy.embedded.death import die_with_parent
from schemas.settings import Settings

# The same examples each time, so that a run says something of the change; `make fuzz` looks for new ones. How long one
# takes depends on what else the machine does.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)
hypothesis.settings.register_profile("fuzz", deadline=None, max_examples=5_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--stack",
        choices=("embedded", "containers"),
        default="embedded",
        help="where Kafka and ClickHouse come from: pip (default), or Docker containers",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put five files between any two runs of faults: those wait more than they work, and would wait for each other."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    faults = [file for file in files if file.parent.name == "faults"]
    order = [file for file in files if file not in faults]
    for number, file in enumerate(faults):
        order.insert(number * 6, file)
    items[:] = [item for file in order for item in files[file]]


def pytest_configure() -> None:
    """Look for garbage a seventieth as often: it took a twelfth of the tests' own time."""
    gc.set_threshold(50_000)


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@dataclass
class Server:
    """A server of ours in a process of its own, which a test may kill and start again."""

    name: str
    settings: Settings
    ready: Callable[[Settings], bool]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 60) -> None:
        """Start it and wait until it answers."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KRILL_LOGGER_")}
        environment |= {
            "KRILL_LOGGER_DATA": str(self.settings.data),
            "KRILL_LOGGER_KAFKA_PORT": str(self.settings.kafka_port),
            "KRILL_LOGGER_CLICKHOUSE_PORT": str(self.settings.clickhouse_port),
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"deploy.embedded.{self.name}"],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # Not left over when pytest is killed. (Bound to the thread that starts it, so not from another.)
                preexec_fn=die_with_parent if current_thread() is main_thread() else None,
            )
        deadline = time.monotonic() + seconds
        while not self.ready(self.settings):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self.name} did not start:\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        """SIGKILL to it and to what it started."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)


@pytest.fixture(autouse=True, scope="session")
def quick_passwords() -> Iterator[None]:
    """Accounts of this process are checked in microseconds, not in a fifth of a second each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dashboard.accounts._HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield


@pytest.fixture
def kafka_server(tmp_path: Path) -> Iterator[Server]:
    """An embedded broker of the test's own, not started."""
    embedded_kafka.fetch()
    settings = Settings(data=tmp_path / "data", kafka_port=free_port())
    server = Server("kafka", settings, embedded_kafka.is_ready, tmp_path / "kafka.log")
    yield server
    server.kill()


@pytest.fixture
def clickhouse_server(tmp_path: Path) -> Iterator[Server]:
    """An embedded ClickHouse of the test's own, not started."""
    settings = Settings(data=tmp_path / "data", clickhouse_port=free_port())
    server = Server("clickhouse", settings, embedded_clickhouse.is_ready, tmp_path / "clickhouse.log")
    yield server
    server.kill()


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`bootstrap.servers` of a broker that all tests share: use topics and groups of your own, or `settings`."""
    if request.config.getoption("--stack") == "containers":
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.wait_strategies import LogMessageWaitStrategy

        port = free_port()
        container = DockerContainer(f"apache/kafka:{jars.VERSION}").with_bind_ports(9092, port)
        for name, value in {
            "KAFKA_NODE_ID": "1",
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
            "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
            "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
            "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        }.items():
            container.with_env(name, value)
        with container.waiting_for(LogMessageWaitStrategy("Kafka Server started")):
            yield f"127.0.0.1:{port}"
        return
    embedded_kafka.fetch()
    folder = tmp_path_factory.mktemp("kafka")
    server = Server(
        "kafka", Settings(data=folder, kafka_port=free_port()), embedded_kafka.is_ready, folder / "kafka.log"
    )
    server.start()
    yield server.settings.bootstrap
    server.kill()


@pytest.fixture(scope="session")
def clickhouse(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a ClickHouse that all tests share: use a database of your own, or `database`."""
    if request.config.getoption("--stack") == "containers":
        from testcontainers.community.clickhouse import ClickHouseContainer

        with ClickHouseContainer("clickhouse/clickhouse-server:26.9") as container:
            host, port = container.get_container_host_ip(), container.get_exposed_port(8123)
            yield f"http://{container.username}:{container.password}@{host}:{port}"
        return
    folder = tmp_path_factory.mktemp("clickhouse")
    server = Server(
        "clickhouse",
        Settings(data=folder, clickhouse_port=free_port()),
        embedded_clickhouse.is_ready,
        folder / "clickhouse.log",
    )
    server.start()
    yield server.settings.clickhouse
    server.kill()


@dataclass(frozen=True)
class Database:
    """A migrated database: its name, and a client that uses it."""

    name: str
    client: Any


@pytest.fixture
def database(clickhouse: str) -> Iterator[Database]:
    """A fresh database with all tables, dropped after the test."""
    from tests import databases

    name = f"test_{uuid.uuid4().hex}"
    client = databases.create(clickhouse, name)
    yield Database(name, client)
    databases.drop(client)


@pytest.fixture
def settings(kafka: str, clickhouse: str, database: Database, tmp_path: Path) -> Settings:
    """Settings for the shared servers, with a database, a consumer group and a data folder of the test's own.

    The topics are shared between tests and are there.
    """
    from deploy.topics import create_topics

    made = Settings(
        data=tmp_path / "data",
        kafka_bootstrap=kafka,
        clickhouse_url=clickhouse,
        clickhouse_database=database.name,
        group=f"test-{uuid.uuid4().hex}",
        dashboard_port=free_port(),
        worker_port=free_port(),
        demo_port=free_port(),
        # What embedded servers would listen on; nothing does.
        kafka_port=free_port(),
        clickhouse_port=free_port(),
    )
    made.data.mkdir()
    create_topics(made)
    return made


__all__ = ["Database", "Server", "free_port"]
