"""The stack that is broken: a broker, a ClickHouse and workers as processes, with a proxy before each server."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import clickhouse_connect
import psutil
from clickhouse_connect.driver.client import Client
from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from deploy.embedded import clickhouse as embedded_clickhouse
from deploy.embedded import kafka as embedded_kafka
from deploy.embedded.death import die_with_parent
from deploy.topics import create_topics
from schemas.migrations import apply
from schemas.settings import Settings
from tests.conftest import free_port
from tests.faults.proxy import Proxy, Trap

START_SECONDS = 90.0
#: Longest that a fault waits for its place: workers may be about to take over, or servers to start.
PLACING_SECONDS = 10.0


class Process:
    """A process that can be killed, frozen and started again. Start it in the main thread only.

    Args:
        environ: its `KRILL_LOGGER_…` variables; those of this process do not reach it.
    """

    def __init__(self, command: Sequence[str], environ: dict[str, str], log: Path) -> None:
        self.command = command
        self.log = log
        self.frozen = False
        self.process: subprocess.Popen[bytes] | None = None
        ours = {name: value for name, value in os.environ.items() if not name.startswith("KRILL_LOGGER_")}
        self._environ = ours | {f"KRILL_LOGGER_{name}": value for name, value in environ.items()}

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start it; returns at once."""
        with self.log.open("ab") as log:
            log.write(f"--- {time.strftime('%H:%M:%S')} start\n".encode())
            log.flush()
            self.process = subprocess.Popen(
                self.command,
                env=self._environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self.frozen = False

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to what it started."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
        self.frozen = False

    def freeze(self) -> None:
        """SIGSTOP."""
        self.signal(signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)
        self.frozen = False


class Worker(Process):
    """A worker, with a proxy of its own to ClickHouse. `wanted` is whether it is started again when it ends."""

    def __init__(self, command: Sequence[str], environ: dict[str, str], log: Path, proxy: Proxy) -> None:
        super().__init__(command, environ, log)
        self.proxy = proxy
        self.wanted = True
        self.ended = 0  # how often it ended by itself

    def kafka_ports(self) -> frozenset[int]:
        """Local ports of its connections."""
        with contextlib.suppress(psutil.Error):
            return frozenset(one.laddr.port for one in psutil.Process(self.pid).net_connections("tcp"))
        return frozenset()


class Cluster:
    """Broker, ClickHouse and workers. Everything is called from the main thread.

    Args:
        folder: where data and logs go; must be empty.
        say: told what is done.
        broker: more lines for the broker's configuration.
    """

    def __init__(
        self, folder: Path, say: Callable[[str], None] = print, broker: Sequence[str] = (), **settings: Any
    ) -> None:
        self.folder = folder
        self.say = say
        self.workers: list[Worker] = []
        self._later: list[tuple[float, Callable[[], None]]] = []
        #: Straight to the servers, past the proxies.
        self.direct = Settings(
            data=folder / "data",
            kafka_port=free_port(),
            clickhouse_port=free_port(),
            worker_port=free_port(),
            **settings,
        )
        self.kafka_proxy = Proxy(self.direct.kafka_port, "kafka")
        servers = {
            "DATA": str(self.direct.data),
            "KAFKA_PORT": str(self.direct.kafka_port),
            "CLICKHOUSE_PORT": str(self.direct.clickhouse_port),
        }
        command = [sys.executable, "-m", "tests.faults.broker", str(self.kafka_proxy.port), *broker]
        self.kafka = Process(command, servers, folder / "kafka.log")
        self.clickhouse = Process(
            [sys.executable, "-m", "deploy.embedded.clickhouse"], servers, folder / "clickhouse.log"
        )

    def __enter__(self) -> Cluster:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            embedded_kafka.fetch()
            self.kafka.start()
            self.clickhouse.start()
            self.wait(lambda: embedded_clickhouse.is_ready(self.direct), "ClickHouse")
            self.migrate(self.direct.clickhouse_database)
            self.wait(lambda: embedded_kafka.is_ready(self.direct), "Kafka")
            self.make_topics()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self.workers, self.kafka, self.clickhouse):
            process.kill()
        for proxy in (self.kafka_proxy, *(worker.proxy for worker in self.workers)):
            proxy.close()

    def make_topics(self) -> None:
        """Make the topics that are missing. Raises: RuntimeError."""

        def made() -> bool:
            with contextlib.suppress(KafkaException):  # one that was made or deleted just now
                return not create_topics(self.direct)
            return False

        self.wait(made, "a topic")

    def remake_topic(self, topic: str, pause: float) -> None:
        """Delete a topic, and make it again after so many seconds.

        Returns when the broker has put the new logs in place: until then it acknowledges what goes into the old ones,
        and lists the old topic, so that no new one is made. Raises: RuntimeError.
        """
        admin = AdminClient(self.direct.kafka() | {"log_level": 0})

        def identity() -> str:
            found = admin.describe_topics(TopicCollection([topic]), request_timeout=5)[topic].result().topic_id
            return str(found).translate(str.maketrans("+/", "-_"))  # as the broker writes it

        old = identity()
        admin.delete_topics([topic])[topic].result(30)
        self.sleep(pause)
        folder = self.direct.data / "kafka" / "log"
        logs = [folder / f"{topic}-{number}" / "partition.metadata" for number in range(self.direct.partitions)]

        def remade() -> bool:
            with contextlib.suppress(KafkaException):
                create_topics(self.direct)
                new = identity()
                return new != old and all(log.exists() and new in log.read_text() for log in logs)
            return False

        self.wait(remade, f"the new {topic}")

    def migrate(self, database: str) -> None:
        """Make a database with all tables."""
        client = clickhouse_connect.get_client(dsn=self.direct.clickhouse, autogenerate_session_id=False)
        with contextlib.closing(client):
            apply(client, database)

    def client(self, database: str = "") -> Client:
        """A client to ClickHouse, past the proxies."""
        return clickhouse_connect.get_client(
            dsn=self.direct.clickhouse,
            database=database or self.direct.clickhouse_database,
            autogenerate_session_id=False,
        )

    def add_worker(self, command: Sequence[str] = (), **settings: str) -> Worker:
        """Start one more worker.

        Args:
            command: instead of `krill-logger worker`.
            settings: more `KRILL_LOGGER_…` variables.
        """
        proxy = Proxy(self.direct.clickhouse_port, "http")
        environ = {
            "DATA": str(self.direct.data),
            "KAFKA_BOOTSTRAP": f"127.0.0.1:{self.kafka_proxy.port}",
            "CLICKHOUSE_URL": f"http://127.0.0.1:{proxy.port}",
            "CLICKHOUSE_DATABASE": self.direct.clickhouse_database,
            "WORKER_PORT": str(free_port()),
            **settings,
        }
        program = [str(Path(sys.executable).with_name("krill-logger")), "worker"]
        worker = Worker(command or program, environ, self.folder / f"worker-{len(self.workers)}.log", proxy)
        self.workers.append(worker)
        worker.start()
        return worker

    def awake(self) -> list[Worker]:
        """Workers that run and are not frozen."""
        return [worker for worker in self.workers if worker.running and not worker.frozen]

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something in so many seconds, while faults go on."""
        self._later.append((time.monotonic() + seconds, action))

    @property
    def pending(self) -> bool:
        """Whether something is left for later."""
        return bool(self._later)

    def tend(self) -> None:
        """Do what is due; start workers again that ended by themselves, as a supervisor would."""
        now = time.monotonic()
        for one in [one for one in self._later if one[0] <= now]:
            self._later.remove(one)
            one[1]()
        for number, worker in enumerate(self.workers):
            if worker.wanted and not worker.running:
                assert worker.process is not None
                worker.ended += 1
                self.say(f"worker {number} ended by itself (code {worker.process.returncode}); started again")
                worker.start()

    def sleep(self, seconds: float) -> None:
        """Wait, tending."""
        self.until(lambda: False, seconds)

    def until(self, true: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so, tending; whether it was in time."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                return False
            self.tend()
            time.sleep(0.02)
        return True

    def wait(self, ready: Callable[[], bool], what: str) -> None:
        """Wait until a server is ready.

        Raises:
            RuntimeError: it took too long.
        """
        if not self.until(ready, START_SECONDS):
            raise RuntimeError(f"{what} is not ready after {START_SECONDS:.0f} s; logs are in {self.folder}")

    def finish(self) -> None:
        """Do now what was left for later."""
        self._later = [(0.0, action) for _, action in self._later]
        self.until(lambda: not self.pending, START_SECONDS)

    # Faults are made of these.

    def kill_worker(self, worker: Worker, seconds: float) -> None:
        """SIGKILL a worker, and start it again in so many seconds."""
        worker.wanted = False
        worker.kill()
        self.later(seconds, lambda: self.start_worker(worker))

    def start_worker(self, worker: Worker) -> None:
        """Start a worker that was stopped, as soon as it has ended; one that two faults stopped is started once."""
        if not worker.running:
            worker.wanted = True
            worker.start()
        elif not worker.wanted:
            self.later(0.2, lambda: self.start_worker(worker))

    def freeze_worker(self, worker: Worker, seconds: float) -> None:
        """SIGSTOP a worker, and SIGCONT in so many seconds."""
        worker.freeze()
        self.later(seconds, worker.thaw)

    def restart_clickhouse(self) -> None:
        """Kill ClickHouse and start it again."""
        self.clickhouse.kill()
        self.clickhouse.start()
        self.wait(lambda: embedded_clickhouse.is_ready(self.direct), "ClickHouse")

    def restart_kafka(self, seconds: float) -> None:
        """Kill the broker and start it again after so many seconds."""
        self.kafka.kill()
        self.sleep(seconds)
        self.kafka.start()
        self.wait(lambda: embedded_kafka.is_ready(self.direct), "Kafka")

    def trap_insert(self, trap: Trap, seconds: float = PLACING_SECONDS) -> Worker | None:
        """Wait until any worker's insert is in the trap; that worker."""
        workers = self.awake()
        for worker in workers:
            worker.proxy.set(trap)
        self.until(trap.caught.is_set, seconds)
        for worker in workers:
            worker.proxy.unset(trap)
        if not trap.caught.wait(0.1):
            return None
        assert trap.connection is not None
        return next(worker for worker in workers if worker.proxy is trap.connection.proxy)

    def deduplication_logs(self) -> list[Path]:
        """ClickHouse's logs of insert tokens."""
        return list((self.direct.data / "clickhouse").glob("store/store/*/*/deduplication_logs/*"))
