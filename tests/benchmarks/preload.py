"""Every request to a server that loads the project and then forks (gunicorn --preload, uWSGI) arrives in Kafka once.

python -m tests.benchmarks.preload [--requests 20000] [--server gunicorn|uwsgi]
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from deploy.embedded.death import die_with_parent
from deploy.topics import create_topics
from schemas.settings import Settings
from tests.benchmarks.load import Client, Sent, answers, goal, in_kafka, report
from tests.conftest import Server, free_port
from tests.krill_project import running

WORKERS = 4
PATH = "/api/view/plain/"


def command(server: str, port: int) -> list[str]:
    """The command line of a server with four processes."""
    if server == "uwsgi":
        program = str(Path(sys.executable).with_name("uwsgi"))
        return [
            program, "--module", "tests.krill_project.wsgi", "--http-socket", f"127.0.0.1:{port}", "--master",
            "--processes", str(WORKERS), "--enable-threads", "--threads", "2", "--die-on-term",
            "--worker-reload-mercy", "20", "--disable-logging",
        ]  # fmt: skip
    return [
        sys.executable, "-m", "gunicorn", "--preload", "--workers", str(WORKERS), "--worker-class", "gthread",
        "--threads", "2", "--bind", f"127.0.0.1:{port}", "--log-level", "warning", "--keep-alive", "30",
        "--no-control-socket", "tests.krill_project.wsgi:application",
    ]  # fmt: skip


def run(bootstrap: str, folder: Path, requests: int, server: str = "gunicorn") -> dict[str, float]:
    """Serve the test project, send the requests, stop the server as an operator does, and look into Kafka.

    Returns:
        answered, failed, missing, twice, and seconds.
    """
    environment = running.environment(folder, bootstrap)
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--run-syncdb", "--verbosity=0"], env=environment, check=True
    )
    port, mark, sent = free_port(), uuid.uuid4().hex[:12], Sent()
    work: Iterator[tuple[str, str]] = iter([("all", PATH)] * requests)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command(server, port), env=environment, stdout=log, stderr=log, preexec_fn=die_with_parent
        )
    try:
        answers(port, PATH, alive=lambda: process.poll() is None)
        started = time.perf_counter()
        clients = [Client(port, mark, work, sent) for _ in range(WORKERS * 2)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        seconds = time.perf_counter() - started
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    finally:
        process.kill()
        process.wait()
    # On a busy machine the end of a process may leave events in the spool.
    relay = [sys.executable, "-m", "django", "krill_logger_relay", "--once"]
    subprocess.run(relay, env=environment, check=True, stdout=subprocess.DEVNULL)
    found = in_kafka(bootstrap, mark)
    return {
        "answered": len(sent.ids),
        "failed": sent.failed + sent.refused,
        "missing": len(sent.ids - set(found)),
        "twice": sum(times > 1 for times in found.values()),
        "seconds": round(seconds, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--server", choices=("gunicorn", "uwsgi"), default="gunicorn")
    given = parser.parse_args()
    from deploy.embedded import kafka

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(data=folder / "data", kafka_port=free_port())
        broker = Server("kafka", settings, kafka.is_ready, folder / "kafka.log")
        kafka.fetch()
        broker.start()
        try:
            create_topics(settings)
            result = run(settings.bootstrap, folder, given.requests, given.server)
        finally:
            broker.kill()
    for what, value in result.items():
        print(f"{what:>10} {value:>10,}")
    return report(
        [
            goal("requests not answered", given.requests - result["answered"] + result["failed"], 0),
            goal("missing", result["missing"], 0),
            goal("twice", result["twice"], 0),
        ],
        server=given.server,
    )


if __name__ == "__main__":
    sys.exit(main())
