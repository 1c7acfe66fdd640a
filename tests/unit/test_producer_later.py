"""What requests leave to the thread behind them is done: in order, once, also at the end, also without the thread."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from producers import counting, later


@pytest.fixture(autouse=True)
def own_worker(monkeypatch):
    monkeypatch.setattr(later, "_worker", None)
    monkeypatch.setattr(counting, "_counters", {})
    monkeypatch.setattr(counting, "_warned", {})


def until(true) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_is_done_behind_the_caller_in_order_and_once():
    done: list[tuple[int, int]] = []
    for number in range(200):
        later.do(lambda n: done.append((n, threading.get_ident())), number)
    until(lambda: len(done) == 200)
    assert [number for number, _ in done] == list(range(200))
    assert {thread for _, thread in done} != {threading.get_ident()}
    time.sleep(0.1)
    assert len(done) == 200


def test_the_thread_sleeps_without_work_and_wakes_for_it(monkeypatch):
    monkeypatch.setattr(later, "_PAUSE", 0.001)
    done: list[int] = []
    later.do(done.append, 1)
    worker = later._worker
    until(lambda: not worker.awake.is_set())
    assert done == [1]
    later.do(done.append, 2)
    until(lambda: done == [1, 2])


def test_all_that_is_left_is_done_when_asked():
    done: list[int] = []
    for number in range(50):
        later.do(done.append, number)
    later.finish()
    assert done == list(range(50))


def test_a_failure_is_counted_and_stops_nothing():
    done: list[int] = []
    later.do(lambda: 1 / 0)
    later.do(done.append, 1)
    later.finish()
    assert done == [1]
    assert counting.counters()["capture_errors"] == 1


def test_without_the_thread_requests_do_it_and_memory_is_bounded(monkeypatch):
    """As below a uWSGI that runs no threads."""
    monkeypatch.setattr(later._Worker, "run", lambda self: None)
    done: list[int] = []
    for number in range(2000):
        later.do(done.append, number)
        assert len(later._worker.jobs) <= 2 * later._MOST
    assert len(done) > 2000 - 2 * later._MOST
    later._worker.worked -= 2 * later._STALLED_SECONDS
    for number in range(2000, 2000 + 2 * later._MOST):
        later.do(done.append, number)
    assert not later._worker.jobs
    assert done == list(range(2000 + 2 * later._MOST))


def test_a_busy_thread_never_makes_a_request_wait():
    """The thread is stuck in one job; requests go on, and none of them waits for it."""
    stuck, go_on = threading.Event(), threading.Event()
    later.do(lambda: (stuck.set(), go_on.wait(10)))
    assert stuck.wait(10)
    done: list[int] = []
    started = time.monotonic()
    for number in range(3 * later._MOST):
        later.do(done.append, number)
    assert time.monotonic() - started < 1
    go_on.set()
    later.finish()
    assert sorted(done) == list(range(3 * later._MOST))


def test_a_forked_child_leaves_its_parents_work_alone():
    done: list[int] = []
    later.do(done.append, 1)
    pid = os.fork()
    if not pid:
        later.finish()
        later.do(done.append, 2)
        later.finish()
        os._exit(0 if done == [2] else 1)
    assert os.waitpid(pid, 0)[1] == 0
    later.finish()
    assert done == [1]


def test_the_end_of_a_process_does_what_is_left():
    code = """
from producers import kafka, later
kafka.configure(**{"bootstrap.servers": "127.0.0.1:1"})
for number in range(5):
    later.do(print, number)
"""
    result = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert result.stdout.split() == ["0", "1", "2", "3", "4"]
