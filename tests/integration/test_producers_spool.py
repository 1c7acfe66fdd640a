"""Whatever happens to the broker, the disk or the process: API events arrive, each once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from deploy.topics import create_topics
from producers import spool
from producers.spool import Message, Segment
from schemas import topics
from tests.conftest import Server

MEGABYTE = 1024 * 1024


class Publisher:
    """`tests.publisher` in a process of its own."""

    def __init__(self, folder: Path, bootstrap: str, limit: int = 64 * MEGABYTE) -> None:
        self.log = folder.with_suffix(".log")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "tests.publisher", str(folder), str(limit), bootstrap],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def tell(self, *words: object):
        """Give it a command and wait for the answer."""
        print(*words, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        assert answer, self.log.read_text()
        return json.loads(answer)

    def end(self) -> None:
        """Let it end as a process does."""
        self.process.stdin.close()
        assert self.process.wait(30) == 0, self.log.read_text()
        self.process.stdout.close()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(30)
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A broker that these tests stop, freeze and start again."""
    from deploy.embedded import kafka as embedded_kafka
    from schemas.settings import Settings
    from tests.conftest import free_port

    embedded_kafka.fetch()
    folder = tmp_path_factory.mktemp("spool-kafka")
    settings = Settings(data=folder / "data", kafka_port=free_port())
    broker = Server("kafka", settings, embedded_kafka.is_ready, folder / "kafka.log")
    broker.start()
    create_topics(settings)
    yield broker
    broker.kill()


@pytest.fixture
def broker(server):
    """The broker, running before and after."""
    if server.process.poll() is not None:
        server.start()
    yield server
    os.kill(server.process.pid, signal.SIGCONT) if server.process.poll() is None else None


@pytest.fixture
def publisher(broker, tmp_path):
    """Starts publishers that share a spool."""
    started = []

    def start(**more) -> Publisher:
        started.append(Publisher(tmp_path / "spool", broker.settings.bootstrap, **more))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()


def arrived(broker: Server, mark: str) -> Counter:
    """How often each event with this mark is in the topic."""
    consumer = Consumer(
        {"bootstrap.servers": broker.settings.bootstrap, "group.id": uuid.uuid4().hex, "enable.partition.eof": True}
    )
    found: Counter = Counter()
    try:
        partitions = consumer.list_topics(topics.API_REQUESTS, 10).topics[topics.API_REQUESTS].partitions
        consumer.assign([TopicPartition(topics.API_REQUESTS, number, 0) for number in partitions])
        ends = 0
        while ends < len(partitions):
            message = consumer.poll(10)
            assert message is not None
            if message.error():
                ends += 1
            elif mark.encode() in message.value():
                found[json.loads(message.value())["mark"]] += 1
    finally:
        consumer.close()
    return found


def once(mark: str, amount: int) -> Counter:
    return Counter({f"{mark}-{number}": 1 for number in range(amount)})


def until_sent(folder: Path, seconds: float = 40) -> None:
    """Wait until the spool is empty; as long as nothing needed it, its folder may not be there."""
    deadline = time.monotonic() + seconds
    while folder.exists() and spool.segments(folder):
        assert time.monotonic() < deadline, "the spool was not emptied"
        time.sleep(0.1)


def test_a_broker_that_dies_and_a_process_that_ends_meanwhile(broker, publisher, tmp_path):
    mark = uuid.uuid4().hex
    first = publisher()
    first.tell("publish", f"{mark}-a", 200, 400)
    broker.kill()
    assert first.tell("publish", f"{mark}-b", 600, 200) < 0.01
    first.end()
    second = publisher()
    assert second.tell("publish", f"{mark}-c", 600, 200) < 0.01
    second.kill()
    third = publisher()
    third.tell("publish", f"{mark}-d", 1, 1)
    broker.start()
    until_sent(tmp_path / "spool")
    third.tell("wait", "delivered", 1)
    third.end()
    found = arrived(broker, mark)
    # Of a process that was killed, what its last moment held in memory is gone.
    lost = once(f"{mark}-c", 600) - found
    assert sum(lost.values()) < 0.5 * 200
    assert (
        found == once(f"{mark}-a", 200) + once(f"{mark}-b", 600) + once(f"{mark}-c", 600) + once(f"{mark}-d", 1) - lost
    )


def test_a_broker_that_hangs_and_a_process_that_never_learns_what_it_took(broker, publisher, tmp_path):
    mark = uuid.uuid4().hex
    first = publisher()
    first.tell("publish", f"{mark}-a", 50)
    first.tell("wait", "delivered", 50)
    # If even these were spooled, as the first may be on a busy machine, the next ones would not be tried.
    until_sent(tmp_path / "spool")
    spooled = first.tell("counters").get("spooled", 0)
    os.kill(broker.process.pid, signal.SIGSTOP)
    first.tell("publish", f"{mark}-b", 300)
    first.tell("wait", "spooled", spooled + 300)
    first.kill()
    os.kill(broker.process.pid, signal.SIGCONT)
    deadline = time.monotonic() + 30
    took = [50, 50]
    while took[-1] == 50 or took[-1] > took[-2]:
        assert time.monotonic() < deadline, "the broker took nothing while it hung, so nothing was in doubt"
        took.append(arrived(broker, mark).total())
    second = publisher()
    until_sent(tmp_path / "spool")
    second.end()
    assert arrived(broker, mark) == once(f"{mark}-a", 50) + once(f"{mark}-b", 300)


def test_a_broker_that_hangs_and_goes_on(broker, publisher, tmp_path):
    mark = uuid.uuid4().hex
    first = publisher()
    first.tell("publish", f"{mark}-a", 50)
    os.kill(broker.process.pid, signal.SIGSTOP)
    first.tell("publish", f"{mark}-b", 400, 200)
    os.kill(broker.process.pid, signal.SIGCONT)
    until_sent(tmp_path / "spool")
    counters = first.tell("wait", "delivered", 450)
    first.end()
    assert counters["spooled"] > 0
    assert arrived(broker, mark) == once(f"{mark}-a", 50) + once(f"{mark}-b", 400)


def test_a_spool_that_is_full_drops_and_counts(broker, publisher, tmp_path):
    mark = uuid.uuid4().hex
    first = publisher(limit=MEGABYTE // 2)
    os.kill(broker.process.pid, signal.SIGSTOP)
    first.tell("publish", mark, 2000, 1000)
    first.tell("wait", "dropped_spool_full", 1)
    time.sleep(0.5)
    assert spool.used(tmp_path / "spool") < MEGABYTE // 2
    os.kill(broker.process.pid, signal.SIGCONT)
    until_sent(tmp_path / "spool")
    dropped = first.tell("counters")["dropped_spool_full"]
    first.tell("wait", "delivered", 2000 - dropped)
    first.end()
    found = arrived(broker, mark)
    assert set(found.values()) == {1}
    assert len(found) == 2000 - dropped


def test_an_event_that_kafka_never_takes_holds_up_no_other(broker, publisher, tmp_path):
    """It went to the disk while Kafka was away, when nobody looked at its size."""
    mark = uuid.uuid4().hex
    spool.open_folder(tmp_path / "spool")
    left = Segment.create(tmp_path / "spool", broker.settings.bootstrap)
    large = b"x" * (topics.MAX_MESSAGE_BYTES + 1)
    small = json.dumps({"mark": f"{mark}-0"}).encode()
    left.append([Message(topics.API_REQUESTS, b"k", value, [("ce_id", b"1")]) for value in (large, small)])
    left.close()
    first = publisher()
    until_sent(tmp_path / "spool")
    counters = first.tell("wait", "delivered", 1)
    first.end()
    assert arrived(broker, mark) == once(mark, 1)
    assert (counters["dropped_too_large"], counters["sent_from_spool"]) == (1, 1)


def test_a_disk_that_is_full_costs_no_request_anything(broker, publisher, tmp_path):
    mark = uuid.uuid4().hex
    first = publisher()
    first.tell("full", 100_000)
    os.kill(broker.process.pid, signal.SIGSTOP)
    assert first.tell("publish", mark, 2000, 1000) < 0.01
    time.sleep(1.5)
    counters = first.tell("counters")
    assert counters["spool_errors"] > 0
    assert counters["queued"] == 2000
    os.kill(broker.process.pid, signal.SIGCONT)
    first.tell("wait", "delivered", 2000)
    until_sent(tmp_path / "spool")
    first.end()
    assert arrived(broker, mark) == once(mark, 2000)


def test_forked_processes_share_a_spool(broker, publisher, tmp_path):
    mark = uuid.uuid4().hex
    parent = publisher()
    os.kill(broker.process.pid, signal.SIGSTOP)
    parent.tell("publish", f"{mark}-p", 100)
    assert parent.tell("wait", "spooled", 100)["spooled"] == 100
    assert parent.tell("fork", 4, mark, 100) == [0, 0, 0, 0]
    assert len(spool.segments(tmp_path / "spool")) == 5
    os.kill(broker.process.pid, signal.SIGCONT)
    until_sent(tmp_path / "spool")
    parent.end()
    expected = once(f"{mark}-p", 100)
    for child in range(4):
        expected += once(f"{mark}-{child}", 100)
    assert arrived(broker, mark) == expected
