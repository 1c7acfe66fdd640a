"""Publishing never waits, whatever the broker does; what is lost is counted."""

from __future__ import annotations

import logging
import subprocess
import sys
import time

import pytest

from producers import counting, kafka, spool

NOWHERE = {"bootstrap.servers": "127.0.0.1:1"}
HEADERS = [("ce_id", b"1")]


@pytest.fixture(autouse=True)
def own_counters(monkeypatch):
    monkeypatch.setattr(counting, "_counters", {})
    monkeypatch.setattr(counting, "_warned", {})
    yield
    kafka.close(0)
    kafka.configure()


def test_a_broker_that_is_down_costs_nothing():
    kafka.configure(**NOWHERE)
    kafka.publish(b"{}", "t", "k", HEADERS)
    started = time.perf_counter()
    for _ in range(1000):
        assert kafka.publish(b"x" * 500, "t", "k", HEADERS)
    assert time.perf_counter() - started < 0.5
    assert kafka.counters()["queued"] == 1001


def test_a_full_queue_drops_and_counts(caplog):
    kafka.configure(**NOWHERE, **{"queue.buffering.max.messages": 10})
    with caplog.at_level(logging.WARNING, "producers"):
        accepted = [kafka.publish(b"{}", "t", "k", HEADERS) for _ in range(50)]
    assert accepted.count(True) == kafka.counters()["queued"] == 10
    assert kafka.counters()["dropped_queue_full"] == 40
    assert len([record for record in caplog.records if "queue" in record.message]) == 1


def test_what_a_full_queue_does_not_take_goes_to_the_disk(tmp_path):
    kafka.configure(tmp_path / "spool", 1_000_000, **NOWHERE, **{"queue.buffering.max.messages": 10})
    assert all(kafka.publish(b"%d" % n, "t", "k", HEADERS) for n in range(50))
    assert kafka.close(0) == 0
    found = []
    for path in spool.segments(tmp_path / "spool"):
        segment = spool.Segment.claim(path)
        assert segment is not None
        found += [record.value for record in segment.read()[0] if isinstance(record, spool.Message)]
        segment.close()
    assert sorted(found, key=int) == [b"%d" % n for n in range(50)]
    assert not [name for name in kafka.counters() if name.startswith("dropped")]


def test_a_message_that_is_too_large_is_dropped_and_counted():
    kafka.configure(**NOWHERE)
    assert not kafka.publish(b"x" * (17 * 1024 * 1024), "t", "k", HEADERS)
    assert kafka.counters()["dropped_too_large"] == 1
    assert "queued" not in kafka.counters()


def test_settings_that_librdkafka_refuses_are_counted_and_raise_nothing():
    kafka.configure(**NOWHERE, **{"no.such.setting": 1})
    assert not kafka.publish(b"{}", "t", "k", HEADERS)
    assert kafka.counters()["dropped_error"] == 1


def test_the_end_of_a_process_is_bounded_and_counts_what_is_lost():
    kafka.configure(**NOWHERE)
    for _ in range(5):
        kafka.publish(b"{}", "t", "k", HEADERS)
    started = time.monotonic()
    assert kafka.close(0.2) == 5
    assert time.monotonic() - started < 2
    assert kafka.counters()["dropped_at_exit"] == 5


def test_the_end_does_not_wait_for_what_its_sender_keeps():
    kafka.configure(**NOWHERE)
    kafka.send(b"{}", "t", "k", HEADERS, lambda error: None)
    started = time.monotonic()
    assert kafka.close() == 0
    assert time.monotonic() - started < kafka.EXIT_SECONDS - 1


def test_the_end_does_not_wait_for_a_broker_that_is_away(tmp_path):
    kafka.configure(tmp_path / "spool", 1_000_000, **NOWHERE)
    kafka.publish(b"{}", "t", "k", HEADERS)
    started = time.monotonic()
    assert kafka.close() == 0
    assert time.monotonic() - started < kafka.EXIT_SECONDS - 1
    assert kafka.counters()["spooled"] == 1


def test_a_failed_delivery_is_reported():
    kafka.configure(**NOWHERE, **{"message.timeout.ms": 100})
    reports = []
    kafka.send(b"{}", "t", "k", HEADERS, reports.append)
    assert kafka.publish(b"{}", "t", "k", HEADERS)
    deadline = time.monotonic() + 10
    while kafka.counters().get("delivery_failed", 0) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert kafka.counters()["delivery_failed"] == 2
    assert len(reports) == 1
    assert reports[0] is not None


def test_threads_that_do_not_run_are_warned_about(monkeypatch, caplog):
    """As below a uWSGI without threads; here the thread ends at once."""
    monkeypatch.setattr(kafka._Sender, "_serve", lambda self: None)
    monkeypatch.setattr(kafka, "STALLED_SECONDS", 0.1)
    kafka.configure(**NOWHERE)
    kafka.publish(b"{}", "t", "k", HEADERS)
    assert "threads_stalled" not in kafka.counters()
    time.sleep(0.2)
    with caplog.at_level(logging.WARNING, "producers"):
        assert kafka.publish(b"{}", "t", "k", HEADERS)
    assert "enable-threads" in caplog.text


def test_two_threads_that_come_first_in_a_child_share_one_producer():
    """uWSGI forks past Python, so that nothing is reset before the first events, which may come at once."""
    code = """
import os, sys, threading, time
sys.setswitchinterval(1e-6)
from producers import forking, kafka
kafka.configure(**{"bootstrap.servers": "127.0.0.1:1"})
kafka.publish(b"{}", "t", "k", [])
made = []
make = kafka._Sender.__init__
kafka._Sender.__init__ = lambda self: (made.append(self), make(self))[1]
slow = forking._resets[-1]
forking._resets[-1] = lambda: (time.sleep(0.05), slow())
forking._pid = -1
threads = [threading.Thread(target=kafka.publish, args=(b"{}", "t", "k", [])) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert made == [kafka._sender], made
assert len(kafka._sender.pending) == 8
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
