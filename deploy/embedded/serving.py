"""Serves a WSGI application on this machine: gunicorn's threads in one process, until SIGTERM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication

from deploy.embedded.death import die_with_parent


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with one worker process of many threads.

    Args:
        make: makes the application inside the worker: what does not survive a fork is made there.
        address: `host:port` to listen on.
        threads: requests served at the same time.
        seconds: longest that a stop waits for requests in hand.
        close: called in the worker when it stops.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        address: str,
        *,
        threads: int,
        seconds: int,
        close: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> None:
        self.make = make
        self.options = {
            "bind": address,
            "workers": 1,
            "worker_class": "gthread",
            "threads": threads,
            "timeout": 0,
            "graceful_timeout": seconds,
            "keepalive": 30,
            "loglevel": "warning",
            "control_socket_disable": True,
            "post_fork": lambda _server, _worker: die_with_parent(),
            "worker_exit": lambda _server, _worker: close(),
            **options,
        }
        super().__init__()

    def load_config(self) -> None:
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return self.make()
