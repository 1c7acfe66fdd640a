"""The supervisor, with small processes in the place of the real ones."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from deploy.embedded import supervisor as module
from deploy.embedded.errors import StartError
from deploy.embedded.supervisor import Service, Stopped, Supervisor

#: Says that it runs, then waits; `stubborn` ignores SIGTERM.
CHILD = """
import signal, sys, time
from pathlib import Path
name, folder, how = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
def end(*_):
    with (folder / "ended").open("a") as file: file.write(name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if how == "stubborn" else end)
(folder / (name + ".ready")).touch()
print("hello from", name, flush=True)
if how == "dies": sys.exit("no luck today")
while True: time.sleep(0.02)
"""


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(tmp_path: Path, output: io.StringIO) -> Iterator[Supervisor]:
    with Supervisor(tmp_path / "log", os.environ, output) as made:
        yield made


@pytest.fixture
def service(tmp_path: Path) -> Callable[..., Service]:
    def make(name: str, how: str = "", **options: float) -> Service:
        ready = tmp_path / f"{name}.ready"
        command = [sys.executable, "-c", CHILD, name, str(tmp_path), how]
        return Service(name, name.capitalize(), command, ready.exists, **options)

    return make


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def ask_to_stop(supervisor: Supervisor, when: Callable[[], bool]) -> threading.Thread:
    """Send this process SIGINT, as Ctrl-C does, once `when` is true."""

    def run() -> None:
        try:
            wait_for(when)
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_stops_in_reverse_order(
    supervisor: Supervisor, service: Callable[..., Service], tmp_path: Path, output: io.StringIO
) -> None:
    for name in ("first", "second", "third"):
        supervisor.start(service(name))
    thread = ask_to_stop(supervisor, lambda: True)
    supervisor.watch()
    supervisor.stop()
    thread.join()
    assert (tmp_path / "ended").read_text().split() == ["third", "second", "first"]
    assert "First" in output.getvalue()
    assert "hello from second" in (tmp_path / "log" / "second.log").read_text()


def test_restarts_what_dies_with_a_growing_pause(
    supervisor: Supervisor,
    service: Callable[..., Service],
    output: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.2)
    child = service("child")
    supervisor.start(child)
    assert child.process
    killed = [child.process.pid]
    child.process.kill()

    def kill_again() -> bool:
        # Runs in the other thread: each new process is killed, three times in all.
        if child.process and child.process.pid not in killed and len(killed) < 3:
            killed.append(child.process.pid)
            child.process.kill()
        return len(killed) == 3 and child.process is not None and child.process.pid not in killed

    thread = ask_to_stop(supervisor, kill_again)
    supervisor.watch()
    thread.join()
    assert output.getvalue().count("Child was killed by SIGKILL") == 3
    assert output.getvalue().count("Child is started again.") == 3
    assert child.pause == pytest.approx(0.8)


def test_one_that_cannot_start_is_an_error_with_its_last_words(
    supervisor: Supervisor, service: Callable[..., Service]
) -> None:
    child = service("child", "dies")
    child.ready = lambda: False
    with pytest.raises(StartError, match=r'Child ended with code 1: "no luck today" \(.*child\.log\)'):
        supervisor.start(child)


def test_one_that_does_not_get_ready_is_an_error(supervisor: Supervisor, service: Callable[..., Service]) -> None:
    child = service("child", start_seconds=0.3)
    child.ready = lambda: False
    with pytest.raises(StartError, match="did not get ready within"):
        supervisor.start(child)


def test_a_stubborn_one_is_killed_when_its_time_is_up(
    supervisor: Supervisor, service: Callable[..., Service], output: io.StringIO
) -> None:
    child = service("child", "stubborn", stop_seconds=0.3)
    supervisor.start(child)
    process = child.process
    supervisor.stop()
    assert process
    assert process.returncode == -signal.SIGKILL
    assert "killed" in output.getvalue()


def test_a_second_ctrl_c_hurries(supervisor: Supervisor, service: Callable[..., Service]) -> None:
    child = service("child", "stubborn", stop_seconds=60)
    supervisor.start(child)
    supervisor.asked = 1
    thread = threading.Thread(target=lambda: (time.sleep(0.3), os.kill(os.getpid(), signal.SIGINT)))
    thread.start()
    started = time.monotonic()
    supervisor.stop()
    thread.join()
    assert time.monotonic() - started < 10


def test_ctrl_c_while_starting(supervisor: Supervisor, service: Callable[..., Service]) -> None:
    child = service("child")
    child.ready = lambda: False
    thread = ask_to_stop(supervisor, lambda: child.process is not None)
    with pytest.raises(Stopped):
        supervisor.start(child)
    thread.join()


def test_children_do_not_get_the_terminals_ctrl_c(supervisor: Supervisor, service: Callable[..., Service]) -> None:
    child = service("child")
    supervisor.start(child)
    assert child.process
    assert os.getpgid(child.process.pid) != os.getpgid(0)
    assert os.getsid(child.process.pid) != os.getsid(0)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_children_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from deploy.embedded.supervisor import Service, Supervisor\n"
        "folder = Path(sys.argv[1])\n"
        "with Supervisor(folder, os.environ) as supervisor:\n"
        "    supervisor.start(Service('a', 'A', ['sleep', '60'], lambda: True))\n"
        "    print(supervisor.services[0].process.pid, flush=True)\n"
        "    supervisor.watch()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    line = next(line for line in parent.stdout if line.strip().isdigit())
    child = psutil.Process(int(line))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_a_long_log_is_moved_while_it_is_written(
    supervisor: Supervisor,
    service: Callable[..., Service],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LOG_BYTES", 40)
    supervisor.start(service("child"))
    log = tmp_path / "log" / "child.log"
    wait_for(lambda: log.stat().st_size > 40)
    thread = ask_to_stop(supervisor, lambda: log.stat().st_size <= 40)
    supervisor.watch()
    thread.join()
    assert "hello from child" in (tmp_path / "log" / "child.log.1").read_text()
