"""The demo's API while the broker is down, with logging and without, side by side; and what arrives afterwards.

    python -m tests.benchmarks.producer_down [--down 300] [--rate 50]

Two sites, both of two processes, get the same reads at the same time. The broker is killed, and started again after
`--down` seconds; halfway through, the site that logs is stopped and started again. Both share the processors with the
load and with the broker's start, so the difference between the two columns counts, not the milliseconds themselves.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from deploy.embedded.death import die_with_parent
from deploy.topics import create_topics
from producers import spool
from schemas.settings import Settings
from tests.benchmarks.load import Client, Sent, answers, goal, in_kafka, report
from tests.conftest import Server, free_port

PATHS = (
    "/api/v2/isp/cpes/?limit=20",
    "/api/v2/isp/customers/?limit=20",
    "/api/v2/isp/potses/?limit=20",
    "/api/v2/isp/cpes/?limit=1&wifi_password=not-a-filter",
)
CLIENTS = 4


class Site:
    """The demo Krill on a port and with a database of its own, which is being prepared until it starts."""

    def __init__(self, folder: Path, bootstrap: str, *, logging: bool) -> None:
        self.port = free_port()
        self.spool = folder / "demo" / "spool"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("KRILL_LOGGER_")}
        self.environment |= {
            "KRILL_LOGGER_DATA": str(folder),
            "KRILL_LOGGER_KAFKA_BOOTSTRAP": bootstrap,
            "DJANGO_SETTINGS_MODULE": "deploy.demo.settings",
        }
        folder.mkdir()
        self.log = folder / "site.log"
        self.process = subprocess.Popen([sys.executable, "-m", "deploy.demo", "prepare"], env=self.environment)
        if not logging:
            self.environment["KRILL_LOGGER_OFF"] = "1"

    def start(self) -> None:
        if self.process.wait(120):
            raise RuntimeError(f"the site ended with {self.process.returncode}, see {self.log}")
        command = [
            sys.executable, "-m", "gunicorn", "--workers", "2", "--worker-class", "gthread", "--threads", "4",
            "--bind", f"127.0.0.1:{self.port}", "--log-level", "warning", "--keep-alive", "30", "--graceful-timeout",
            "10", "--no-control-socket", "tests.benchmarks.demo_site:application",
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, preexec_fn=die_with_parent
            )
        answers(self.port, PATHS[0], alive=lambda: self.process.poll() is None)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        finally:
            self.process.kill()
            self.process.wait()


class Run:
    """One measurement, `run()`; its phases are `up`, `down`, `restart` (of the site that logs) and `again`."""

    def __init__(self, broker: Server, folder: Path, down: float, rate: float, up: float) -> None:
        self.broker, self.down, self.rate, self.up = broker, down, rate, up
        bootstrap = broker.settings.bootstrap
        self.sites = {
            "with logging": Site(folder / "with", bootstrap, logging=True),
            "without": Site(folder / "without", bootstrap, logging=False),
        }
        for site in self.sites.values():
            site.start()
        self.sent = {name: Sent() for name in self.sites}
        self.mark = uuid.uuid4().hex[:12]
        self.phase: str | None = "warm"

    def work(self) -> Iterator[tuple[str, str]]:
        """Paths, as long as there is a phase."""
        for path in cycle(PATHS):
            if self.phase is None:
                return
            yield self.phase, path

    def run(self) -> dict[str, float]:
        """Returns events that are `missing` and `twice`, and seconds until the spool was `empty`."""
        clients = [
            Client(site.port, self.mark if name == "with logging" else "none", self.work(), self.sent[name],
                   self.rate / CLIENTS, Authorization="Token demo")
            for name, site in self.sites.items() for _ in range(CLIENTS)
        ]  # fmt: skip
        for client in clients:
            client.start()
            time.sleep(1 / self.rate / CLIENTS)
        time.sleep(min(3, self.up))
        self.during("up", self.up)
        self.broker.kill()
        self.during("down", self.down / 2)
        self.phase = "restart"
        self.sites["with logging"].stop()
        self.sites["with logging"].start()
        time.sleep(1)
        self.during("down", self.down / 2)
        self.phase = "again"
        self.broker.start()
        started = time.monotonic()
        folder = self.sites["with logging"].spool
        while spool.segments(folder) and time.monotonic() - started < 120:
            time.sleep(0.2)
        empty = time.monotonic() - started
        time.sleep(2)
        self.phase = None
        for client in clients:
            client.join()
        self.close()
        found = in_kafka(self.broker.settings.bootstrap, self.mark)
        return {
            "missing": len(self.sent["with logging"].ids - set(found)),
            "twice": sum(times > 1 for times in found.values()),
            "empty": empty,
        }

    def during(self, phase: str, seconds: float) -> None:
        self.phase = phase
        time.sleep(seconds)

    def close(self) -> None:
        """Stop the sites."""
        for site in self.sites.values():
            site.stop()

    def table(self) -> str:
        """Requests and their milliseconds per phase, side by side."""
        lines = [f"{'':12}" + "".join(f"{name:>14}{'p50':>8}{'p95':>8}{'p99':>8}" for name in self.sites)]
        for phase in ("up", "down", "restart", "again"):
            line = f"{phase:12}"
            for sent in self.sent.values():
                line += f"{len(sent.seconds.get(phase, ())):>14}"
                line += "".join(f"{sent.quantile(phase, share):8.1f}" for share in (0.5, 0.95, 0.99))
            lines.append(line)
        return "\n".join(lines)


def measure(folder: Path, down: float, rate: float, up: float = 10) -> tuple[Run, dict[str, float]]:
    """A broker, two sites, one run."""
    from deploy.embedded import kafka

    settings = Settings(data=folder / "data", kafka_port=free_port())
    broker = Server("kafka", settings, kafka.is_ready, folder / "kafka.log")
    kafka.fetch()
    broker.start()
    try:
        create_topics(settings)
        one = Run(broker, folder, down, rate, up)
        try:
            return one, one.run()
        finally:
            one.close()
    finally:
        broker.kill()


def goals(one: Run, result: dict[str, float]) -> list[dict[str, object]]:
    """What must hold."""
    sent = one.sent["with logging"]
    slower = sent.quantile("down", 0.99) - one.sent["without"].quantile("down", 0.99)
    return [
        goal("p99 with logging minus p99 without while the broker is down, ms", slower, 5),
        goal("requests answered with an error", sent.failed, 0),
        goal("missing", result["missing"], 0),
        goal("twice", result["twice"], 0),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--down", type=float, default=300, help="seconds without a broker (default: 300)")
    parser.add_argument("--rate", type=float, default=50, help="requests per second and site (default: 50)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        one, result = measure(Path(folder), given.down, given.rate)
    print(one.table())
    sent = one.sent["with logging"]
    print(f"\n{len(sent.ids)} requests answered; the spool was empty {result['empty']:.1f} s after the broker's start")
    return report(goals(one, result), down_seconds=given.down, requests=len(sent.ids))


if __name__ == "__main__":
    sys.exit(main())
