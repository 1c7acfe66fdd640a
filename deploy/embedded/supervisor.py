"""Supervises processes: starts them in order, restarts what dies, stops them in reverse order.

It knows nothing of what the processes do; `deploy.embedded.stack` says which they are.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from deploy.embedded.death import die_with_parent
from deploy.embedded.errors import StartError

#: A log that is longer than this many bytes is moved to `<name>.log.1`.
LOG_BYTES = 10_000_000

#: Seconds before a process that died is started again: doubled each time, up to the longest; from the beginning
#: when it had run for `STEADY` seconds.
FIRST_PAUSE, LONGEST_PAUSE, STEADY = 1.0, 60.0, 60.0


class Stopped(Exception):
    """Ctrl-C or SIGTERM while something was being started."""


@dataclass
class Service:
    """A process that is to run.

    Attributes:
        name: of its log, `<name>.log`.
        title: for people.
        command: its arguments.
        ready: whether it does its work by now.
        start_seconds: longest that it may take to get ready.
        stop_seconds: longest that it may take to end after SIGTERM, before it is killed.
    """

    name: str
    title: str
    command: Sequence[str]
    ready: Callable[[], bool]
    start_seconds: float = 60.0
    stop_seconds: float = 15.0
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    started: float = field(default=0.0, init=False)
    pause: float = field(default=0.0, init=False)
    again: float = field(default=0.0, init=False)


class Supervisor:
    """Runs services until SIGINT or SIGTERM. For the main thread of a process.

    Args:
        logs: folder of the services' logs.
        environment: of the services.
        output: where progress is shown; standard output by default.
    """

    def __init__(self, logs: Path, environment: Mapping[str, str], output: IO[str] | None = None) -> None:
        self.logs = logs
        self.environment = dict(environment)
        self.output = output or sys.stdout
        self.services: list[Service] = []
        #: How often the user asked to stop.
        self.asked = 0
        self._shown = 0.0

    def __enter__(self) -> Supervisor:
        self.logs.mkdir(parents=True, exist_ok=True)
        self._handlers = {
            number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked += 1

    def say(self, line: str) -> None:
        """Show one line."""
        clear = "\r\x1b[K" if self.output.isatty() else ""
        # A terminal that was closed must not keep the services from being stopped.
        with suppress(OSError):
            print(f"{clear}{line}", file=self.output, flush=True)

    def progress(self, title: str, text: str, since: float) -> None:
        """Show that something takes a while: in place on a terminal, else a line every five seconds.

        Raises:
            Stopped: the user does not want to wait.
        """
        if self.asked:
            raise Stopped
        now = time.monotonic()
        if now - since < 1:
            return
        line = f"  {title:<22} {text}, {now - since:.0f} s"
        if self.output.isatty():
            print(f"\r\x1b[K{line}", end="", file=self.output, flush=True)
        elif now - max(self._shown, since) >= 5:
            self._shown = now
            self.say(line)

    def task(self, title: str, run: Callable[[Callable[[str], None]], str]) -> None:
        """Do something between the services. `run` gets a function that shows what it is doing.

        Raises:
            Stopped: the user does not want to wait.
            StartError: as `run` raises it.
        """
        since = time.monotonic()
        done = run(lambda text: self.progress(title, text, since))
        if self.asked:
            raise Stopped
        self.say(f"  {title:<22} {done}, {time.monotonic() - since:.1f} s")

    def start(self, service: Service) -> None:
        """Start a service and wait until it is ready.

        Raises:
            StartError: it ended, or did not get ready in time.
            Stopped: the user does not want to wait.
        """
        since = time.monotonic()
        self.services.append(service)
        self._spawn(service)
        assert service.process
        while not service.ready():
            self.progress(service.title, "starting", since)
            if (code := service.process.poll()) is not None:
                raise StartError(f"{service.title} {_ending(code)}{self._last_words(service)}")
            if time.monotonic() - since > service.start_seconds:
                raise StartError(
                    f"{service.title} did not get ready within {service.start_seconds:.0f} s{self._last_words(service)}"
                )
            time.sleep(0.05)
        self.say(f"  {service.title:<22} ready, {time.monotonic() - since:.1f} s")

    def watch(self) -> None:
        """Restart what dies, until the user asks to stop."""
        while not self.asked:
            for service in self.services:
                self._watch(service)
            time.sleep(0.2)

    def _watch(self, service: Service) -> None:
        now = time.monotonic()
        if service.process is None:
            if now >= service.again:
                self._spawn(service)
                self.say(f"{_clock()} {service.title} is started again.")
            return
        if (code := service.process.poll()) is not None:
            steady = now - service.started > STEADY
            service.pause = FIRST_PAUSE if steady or not service.pause else min(service.pause * 2, LONGEST_PAUSE)
            service.again = now + service.pause
            service.process = None
            self.say(
                f"{_clock()} {service.title} {_ending(code)}{self._last_words(service)} "
                f"It is started again in {service.pause:.0f} s."
            )
        elif self._log(service).stat().st_size > LOG_BYTES:
            _rotate(self._log(service))

    def stop(self) -> None:
        """Stop every service, the last one first: SIGTERM, and SIGKILL when its time is up or the user insists."""
        insisted = self.asked
        for service in reversed(self.services):
            process, since = service.process, time.monotonic()
            if process is None or process.poll() is not None:
                continue
            process.terminate()
            while process.poll() is None:
                if self.asked > max(insisted, 1) or time.monotonic() - since > service.stop_seconds:
                    _kill(process)
                    self.say(f"  {service.title:<22} killed, {time.monotonic() - since:.1f} s")
                    break
                time.sleep(0.02)
            else:
                self.say(f"  {service.title:<22} stopped, {time.monotonic() - since:.1f} s")
            # What it may have left behind in its session.
            _kill(process)
        self.services.clear()

    def _spawn(self, service: Service) -> None:
        path = self._log(service)
        if path.exists() and path.stat().st_size > LOG_BYTES:
            _rotate(path)
        with path.open("ab") as log:
            log.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S%z')} start\n".encode())
            log.flush()
            # A session of its own keeps the terminal's Ctrl-C away: the order of stopping is decided here.
            service.process = subprocess.Popen(
                service.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        service.started = time.monotonic()

    def _log(self, service: Service) -> Path:
        return self.logs / f"{service.name}.log"

    def _last_words(self, service: Service) -> str:
        """The last line that says something in its log, with the log's path."""
        path = self._log(service)
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 20_000))
            lines = log.read().decode(errors="replace").rpartition("--- 2")[2].splitlines()[1:]
        said = [line.strip() for line in lines if line.strip() and not line.startswith((" ", "\t"))]
        return f': "{said[-1][:300]}" ({path}).' if said else f" ({path})."


def _rotate(path: Path) -> None:
    """Copy and empty: the process goes on appending to the file that it holds open."""
    shutil.copyfile(path, path.with_name(path.name + ".1"))
    os.truncate(path, 0)


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
    process.wait()


def _ending(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _clock() -> str:
    return time.strftime("%H:%M:%S")
