"""The spool's files: what a crash, a full disk or another process does to them."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import time

import pytest
from confluent_kafka import KafkaError

from producers import counting, forking, refusals, spool, spooler
from producers.resending import Pending, Resender
from producers.spool import Done, Head, Message, Segment, Trying

BROKERS = "kafka1:9092,kafka2:9092"


def message(number: int, doubt_ms: int = 0) -> Message:
    name = f"id-{number}".encode()
    return Message("t", b"k", b'{"n": %d}' % number, [("ce_id", name), ("ce_type", b"x")], doubt_ms)


@pytest.fixture
def left(tmp_path):
    """Leaves a segment whose owner is gone, and returns its path."""

    def leave(*records, bootstrap=BROKERS):
        segment = Segment.create(tmp_path, bootstrap)
        segment.append(records)
        segment.close()
        return segment.path

    return leave


class Broker:
    """Takes what is handed over; `known` is in its topic already."""

    def __init__(self, known=(), up=True) -> None:
        self.known, self.up = set(known), up
        self.pending: dict[Pending, None] = {}
        self.got: list[Message] = []
        self.asked: list[int] = []

    def hand_over(self, pending: Pending) -> None:
        self.got.append(pending.message)
        pending.segment.acknowledged.add(pending.number)
        pending.segment.in_flight.discard(pending.number)

    def answers(self, topic: str) -> bool:
        return self.up

    def present(self, topic, since_ms, ids):
        self.asked.append(since_ms)
        return self.known & set(ids)


@pytest.fixture
def resend(tmp_path, monkeypatch):
    """Sends all that lies in the folder to a broker, and returns the broker."""
    monkeypatch.setattr(counting, "_counters", {})

    def run(broker: Broker) -> Broker:
        from collections import deque

        resender = Resender(broker, tmp_path, "kafka2:9092")
        deadline = time.monotonic() + 5
        while not resender.step(deque()):
            assert time.monotonic() < deadline
        return broker

    return run


def test_what_was_written_is_read_again(left):
    records = [message(1), Trying(5), message(2, 7), Done([0])]
    segment = Segment.claim(left(*records))
    assert segment.read() == ([Head(BROKERS), *records], 0)
    segment.close()


def test_a_segment_has_one_owner_at_a_time(tmp_path):
    segment = Segment.create(tmp_path, BROKERS)
    assert Segment.claim(segment.path) is None
    segment.close()
    claimed = Segment.claim(segment.path)
    assert claimed is not None
    claimed.remove()
    assert spool.segments(tmp_path) == []
    assert Segment.claim(segment.path) is None


def test_the_lock_of_a_process_that_is_killed_ends(tmp_path):
    code = (
        "import os, pathlib, signal\nfrom producers.spool import Segment\n"
        f"Segment.create(pathlib.Path({str(tmp_path)!r}), 'b')\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    (path,) = spool.segments(tmp_path)
    claimed = Segment.claim(path)
    assert claimed is not None
    claimed.close()


@pytest.mark.parametrize("damage", ["cut", "garbage", "flipped"])
def test_a_torn_end_is_cut_off_and_the_rest_is_sent(left, resend, damage):
    path = left(*[message(n) for n in range(20)])
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[:-3]
    elif damage == "garbage":
        content += os.urandom(5)
    else:
        content[-3] ^= 0xFF
    path.write_bytes(content)
    broker = resend(Broker())
    assert broker.got == [message(n) for n in range(20 if damage == "garbage" else 19)]
    assert counting.counters()["spool_torn"] == 1
    assert not path.exists()


def test_every_length_of_a_file_can_be_read(left):
    path = left(message(1), message(2, 9), Done([0]))
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        segment = Segment.claim(path)
        records, torn = segment.read()
        assert path.stat().st_size == length - torn
        assert records == [Head(BROKERS), message(1), message(2, 9), Done([0])][: len(records)]
        segment.close()


def test_a_full_disk_leaves_whole_records(tmp_path):
    segment = Segment.create(tmp_path, BROKERS)
    segment.append([message(1)])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (segment.size + 50, before[1]))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            segment.append([message(n) for n in range(2, 9)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG
    assert segment.append([message(9)]) == [1]
    assert segment.read() == ([Head(BROKERS), message(1), message(9)], 0)
    segment.close()


def test_what_neither_disk_nor_memory_can_hold_is_dropped_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(counting, "_counters", {})
    monkeypatch.setattr(spooler, "WAITING_MESSAGES", 20)
    monkeypatch.setattr(spooler, "WAITING_BYTES", 1000)
    (tmp_path / "file").touch()
    full = spooler.Spooler(Broker(), tmp_path / "file", 10_000, BROKERS)
    assert [full.keep(message(n)) for n in range(21)] == [True] * 20 + [False]
    full.away = True
    full._write()
    assert counting.counters() == {"dropped_spool_busy": 1, "spool_errors": 1}
    assert len(full._waiting) == 20, "what waits goes on waiting for the disk"
    large = spooler.Spooler(Broker(), tmp_path / "file", 10_000, BROKERS)
    assert [large.keep(Message("t", b"k", b"x" * 400, [])) for _ in range(3)] == [True, True, False]


def test_only_what_is_neither_done_nor_known_to_kafka_is_sent(left, resend):
    left(message(0), message(1, 5000), message(2, 7000), message(3), message(4), Done([4]))
    broker = resend(Broker({b"id-2", b"id-3"}))
    # 3 was never handed to Kafka before, so that nobody asks for it.
    assert broker.got == [message(0), message(1, 5000), message(3)]
    assert broker.asked == [5000]


def test_after_an_attempt_everything_is_in_doubt(left, resend):
    left(message(0), message(1), Trying(9000))
    broker = resend(Broker({b"id-0"}))
    assert broker.got == [message(1)]
    assert broker.asked == [9000]


def test_segments_for_other_brokers_are_left_alone(left, resend):
    path = left(message(0), bootstrap="staging:9092")
    assert resend(Broker()).got == []
    assert path.exists()
    assert counting.counters()["spool_foreign"] == 1


def test_a_folder_of_somebody_else_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(PermissionError, match="belongs to another user"):
        spool.open_folder(tmp_path)


def test_the_folder_is_for_one_user_alone(tmp_path):
    spool.open_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    segment = Segment.create(tmp_path / "a" / "b", BROKERS)
    assert segment.path.stat().st_mode & 0o777 == 0o600
    segment.close()


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (KafkaError._AUTHENTICATION, "SASL authentication failed", "sasl.password"),
        (KafkaError._SSL, "certificate verify failed: certificate has expired", "has expired: renew it"),
        (KafkaError._SSL, "certificate verify failed: self-signed certificate", "ssl.ca.location"),
        (KafkaError._TRANSPORT, "SSL routines::certificate verify failed (in state SSL_HANDSHAKE)", "ssl.ca.location"),
        (KafkaError._SSL, "Disconnected: connecting to a PLAINTEXT broker listener?", "security.protocol"),
        (KafkaError._UNKNOWN_TOPIC, "", "krill-logger migrate"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "", "the rights Write and Describe"),
    ],
)
def test_what_is_wrong_with_kafka_is_said_in_one_sentence(code, text, expected):
    sentence = refusals.sentence(KafkaError(code, text), "krill.api.requests")
    assert expected in sentence
    assert "\n" not in sentence


def test_a_fork_that_python_did_not_see_is_noticed(monkeypatch):
    reset = []
    monkeypatch.setattr(forking, "_resets", [lambda: reset.append(1)])
    forking.check()
    assert reset == []
    monkeypatch.setattr(forking, "_pid", -1)
    forking.check()
    forking.check()
    assert reset == [1]
