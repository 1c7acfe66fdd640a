"""The jars of Apache Kafka, fetched once into the virtual environment with jgo, and checked."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.embedded.checks import lock
from deploy.embedded.errors import StartError

VERSION = "4.4.0"
#: The broker, and what carries its log messages to log4j (`!`: without changing the versions of the rest).
COORDINATES = f"org.apache.kafka:kafka_2.13:{VERSION}+org.apache.logging.log4j:log4j-slf4j-impl:2.25.5!"

#: `sha256  name` of every jar of that version: what is fetched is what was tested.
LOCK_FILE = Path(__file__).with_name("kafka.sha256")

LIBRARIES = Path(sys.prefix) / "share" / "krill-logger" / f"kafka-{VERSION}"


def locked() -> dict[str, str]:
    """Name of each jar and its SHA-256."""
    lines = (line.split() for line in LOCK_FILE.read_text().splitlines())
    return {name: digest for digest, name in lines}


def fetch(report: Callable[[str], None] = lambda _: None) -> None:
    """Fetch the jars, unless they are there: then no network is needed.

    Raises:
        StartError: they cannot be fetched or written, or are not the ones that were tested.
    """
    if _here():
        return
    try:
        LIBRARIES.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"{LIBRARIES.parent} cannot be written ({error.strerror}).") from error
    with alone():
        if not _here():
            _download(report)


@contextmanager
def alone() -> Iterator[None]:
    """While no other process changes anything beside the jars.

    Raises:
        StartError: another one does, for more than ten minutes.
    """
    held = lock(LIBRARIES.parent / "lock", "Another process has been fetching Apache Kafka for minutes.", seconds=600)
    try:
        yield
    finally:
        os.close(held)


def _here() -> bool:
    return all((LIBRARIES / name).is_file() for name in locked())


def _download(report: Callable[[str], None]) -> None:
    """Resolve and download with jgo, verify, and put the folder in its place in one step."""
    from jgo.env import EnvironmentBuilder, LinkStrategy
    from jgo.maven import MavenContext

    jars = locked()
    paths = ssl.get_default_verify_paths()
    system = paths.cafile or paths.capath
    if system:  # jgo's HTTP client would trust its own list only, not what this machine's administrator trusts
        os.environ.setdefault("REQUESTS_CA_BUNDLE", system)
    work = LIBRARIES.with_suffix(".part")
    shutil.rmtree(work, ignore_errors=True)
    cache = work / "repository"
    builder = EnvironmentBuilder(
        context=MavenContext(repo_cache=cache), cache_dir=work / "environment", link_strategy=LinkStrategy.HARD
    )
    outcome: list[Any] = []

    def build() -> None:
        try:
            outcome.append(builder.from_endpoint(COORDINATES).all_jars)
        except Exception as error:
            outcome.append(error)

    # A daemon, so that Ctrl-C need not wait for the network.
    thread = threading.Thread(target=build, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(1)
        done = len(list(cache.rglob("*.jar")))
        report(f"fetching Apache Kafka {VERSION}, once: {done} of {len(jars)} files")
    if isinstance(outcome[0], Exception):
        reason = re.sub(r"\s+", " ", str(outcome[0]))[:200]
        raise StartError(
            f"Apache Kafka {VERSION} could not be fetched: check the network, or set "
            f"KRILL_LOGGER_KAFKA_BOOTSTRAP to a Kafka that runs already ({reason})."
        ) from outcome[0]
    fetched = {path.name: path for path in outcome[0]}
    for name, digest in jars.items():
        if name not in fetched or hashlib.sha256(fetched[name].read_bytes()).hexdigest() != digest:
            raise StartError(f"{name} of Apache Kafka {VERSION} is not the file that was tested: fetch it again.")
    ready = work / "jars"
    ready.mkdir()
    for name in jars:
        fetched[name].rename(ready / name)
    shutil.rmtree(LIBRARIES, ignore_errors=True)
    ready.rename(LIBRARIES)
    shutil.rmtree(work, ignore_errors=True)
