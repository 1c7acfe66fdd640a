"""Every request to a server that loads the project and then forks (gunicorn --preload, uWSGI) arrives in Kafka once.

    python -m tests.benchmarks.preload [--requests 20000] [--server gunicorn|uwsgi]

The server is stopped under load, after so many requests: whatever was answered until then counts.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from itertools import repeat
from pathlib import Path

from deploy.embedded.death import die_with_parent
from deploy.topics import create_topics
from schemas.settings import Settings
from tests.benchmarks.load import Client, Sent, answers, goal, in_kafka, report
from tests.conftest import Server, free_port
from tests.krill_project import running

SERVERS = ("gunicorn", "uwsgi")
WORKERS = 4
PATH = "/api/view/plain/"


def command(server: str, port: int) -> list[str]:
    """The command line of a server with four processes."""
    if server == "uwsgi":
        program = str(Path(sys.executable).with_name("uwsgi"))
        return [
            program, "--module", "tests.krill_project.wsgi", "--http-socket", f"127.0.0.1:{port}", "--master",
            "--processes", str(WORKERS), "--enable-threads", "--threads", "2", "--disable-logging",
            "--py-call-uwsgi-fork-hooks", "--hook-master-start", "unix_signal:15 gracefully_kill_them_all",
        ]  # fmt: skip
    return [
        sys.executable, "-m", "gunicorn", "--preload", "--workers", str(WORKERS), "--worker-class", "gthread",
        "--threads", "2", "--bind", f"127.0.0.1:{port}", "--log-level", "warning", "--keep-alive", "30",
        "--no-control-socket", "tests.krill_project.wsgi:application",
    ]  # fmt: skip


def run(bootstrap: str, folder: Path, requests: int, server: str = "gunicorn") -> dict[str, float]:
    """Serve the test project, send requests, stop the server as an operator does while they come, look into Kafka.

    Returns:
        answered (at least `requests`), failed until the stop, missing, twice, and seconds until the stop.
    """
    environment = running.environment(folder, bootstrap)
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--run-syncdb", "--verbosity=0"], env=environment, check=True
    )
    port, mark, sent = free_port(), uuid.uuid4().hex[:12], Sent()
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command(server, port), env=environment, stdout=log, stderr=log, preexec_fn=die_with_parent
        )
    try:
        answers(port, PATH, alive=lambda: process.poll() is None)
        started = time.perf_counter()
        clients = [Client(port, mark, repeat(("all", PATH)), sent, repeat=False) for _ in range(WORKERS * 2)]
        for client in clients:
            client.start()
        while len(sent.ids) < requests and any(client.is_alive() for client in clients):
            time.sleep(0.01)
        seconds, failed = time.perf_counter() - started, sent.failed + sent.refused
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        for client in clients:
            client.join()
    finally:
        process.kill()
        process.wait()
    # On a busy machine the end of a process may leave events in the spool.
    relay = [sys.executable, "-m", "django", "krill_logger_relay", "--once"]
    subprocess.run(relay, env=environment, check=True, stdout=subprocess.DEVNULL)
    found = in_kafka(bootstrap, mark)
    return {
        "answered": len(sent.ids),
        "failed": failed,
        "missing": len(sent.ids - set(found)),
        "twice": sum(times > 1 for times in found.values()),
        "seconds": round(seconds, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--server", choices=SERVERS, action="append", help="default: both")
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
            results = {}
            for server in given.server or SERVERS:
                (folder / server).mkdir()
                results[server] = run(settings.bootstrap, folder / server, given.requests, server)
        finally:
            broker.kill()
    goals = []
    print(f"{'':12}{'answered':>10}{'failed':>10}{'missing':>10}{'twice':>10}{'seconds':>10}")
    for server, result in results.items():
        print(f"{server:12}" + "".join(f"{value:>10,}" for value in result.values()))
        unanswered = max(given.requests - result["answered"], 0) + result["failed"]
        goals += [
            goal(f"{server}: requests not answered", unanswered, 0),
            goal(f"{server}: missing", result["missing"], 0),
            goal(f"{server}: twice", result["twice"], 0),
        ]
    return report(goals, requests=given.requests)


if __name__ == "__main__":
    sys.exit(main())
