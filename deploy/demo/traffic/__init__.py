"""The traffic of those who work with the demo Krill, over HTTP only."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from deploy.demo.keys import Keys
from deploy.demo.traffic.agent import AGENTS
from deploy.demo.traffic.client import Pace, Visitor
from deploy.demo.traffic.crms import CRMS
from schemas.settings import Settings


def run(settings: Settings, rate: float, seed: int) -> None:
    """Make `rate` requests per second on average, until SIGTERM or Ctrl-C."""
    stop = threading.Event()

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    keys = _wait_for_keys(settings.data / "demo", stop)
    if keys is None:
        return
    pace = Pace(rate, stop)
    visitors: list[Visitor] = [
        kind(f"http://127.0.0.1:{settings.demo_port}", keys, pace, seed) for kind in (*CRMS, *AGENTS)
    ]
    for visitor in visitors:
        # Daemons: a request that is under way does not hold up the end.
        threading.Thread(target=visitor.run, name=visitor.user, daemon=True).start()
    stop.wait()


def _wait_for_keys(folder: Path, stop: threading.Event) -> Keys | None:
    """The keys of the demo, once it has been started; None if stopped before."""
    told = False
    while not stop.is_set():
        try:
            return Keys.read(folder)
        except OSError:
            if not told:
                click.echo(f"Waiting for the demo Krill to be started in {folder}.", err=True)
                told = True
            stop.wait(0.5)
    return None
