"""Data folders, locks and ports: what is checked before anything is started."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from pathlib import Path

from deploy.embedded.errors import StartError


def writable_folder(path: Path) -> Path:
    """Make the folder `path` if need be and return it.

    Raises:
        StartError: it cannot be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StartError(
            f"The data folder {path} cannot be written ({error.strerror}): "
            "correct its permissions, or set KRILL_LOGGER_DATA to another folder."
        ) from error
    return path


def lock(path: Path, message: str, seconds: float = 0.0) -> int:
    """Take the exclusive lock file `path` for as long as this process (or what it execs into) lives.

    Args:
        message: what to say when another process holds it.
        seconds: how long to wait for it; a killed process needs a moment to let go.

    Returns:
        The open file descriptor that holds the lock; it survives exec.

    Raises:
        StartError: another process holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise StartError(message) from None
            time.sleep(0.05)
        else:
            os.set_inheritable(descriptor, True)
            return descriptor


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock file `path`."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def port_free(host: str, port: int, what: str, variable: str) -> None:
    """See that `port` can be listened on.

    Args:
        what: who wants it, such as `the dashboard`.
        variable: the setting that changes it.

    Raises:
        StartError: it is taken, or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise StartError(
                    f"Port {port} for {what} cannot be used ({error.strerror}): set {variable} to another port."
                ) from error
            raise StartError(
                f"Port {port} for {what} is taken{_owner(port)}: stop that, or set {variable} to another port."
            ) from error


def _owner(port: int) -> str:
    """` by java (process 123)`, as far as the system tells."""
    import psutil

    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass
    return ""
