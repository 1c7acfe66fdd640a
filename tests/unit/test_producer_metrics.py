"""What the producers count, of all processes of a machine, as Prometheus reads it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from producers import counting, kafka, metrics, spool
from tests.krill_project import running

running.set_up()

from django.test import RequestFactory  # noqa: E402

from producers.django import views  # noqa: E402

ROOT = Path(__file__).parents[2]
NOWHERE = {"bootstrap.servers": "127.0.0.1:1"}


@pytest.fixture(autouse=True)
def own_counters(monkeypatch):
    before = (kafka._config, kafka._spool)
    monkeypatch.setattr(counting, "_counters", {})
    yield
    kafka.close(0)
    kafka._config, kafka._spool = before


def shown(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """By metric, the values by the labels' values."""
    return {
        family.name: {tuple(sample.labels.values()): sample.value for sample in family.samples}
        for family in text_string_to_metric_families(text)
    }


def me() -> str:
    return metrics._me()


def test_every_counter_is_in_the_catalogue():
    calls = "".join(path.read_text() for path in (ROOT / "producers").rglob("*.py"))
    used = {
        name for call in re.findall(r"\b(?:failed|count)\(([^,)]*)", calls) for name in re.findall(r'"([a-z_]+)"', call)
    }
    listed = [name for metric in metrics.CATALOGUE for name in metric.counters]
    assert sorted(listed) == sorted(used)
    assert len(used) > 20


def test_every_metric_is_documented():
    page = (ROOT / "docs" / "django.md").read_text()
    for metric in metrics.CATALOGUE:
        assert f"| `{metric.name}` | {metric.kind} | {metric.meaning} |" in page
        for name, value in metric.counters.items():
            assert f"`{value or name}`" in page or not metric.label, name


def test_what_was_counted_is_shown(tmp_path):
    kafka.configure(tmp_path / "spool", 12345, **NOWHERE, **{"message.max.bytes": 2000})
    assert kafka.publish(b"{}", "t", "k", [])
    assert not kafka.publish(b"x" * 4000, "t", "k", [])
    found = shown(views.metrics(RequestFactory().get("/")).content.decode())
    assert found["krill_logger_producer_queued_events"] == {(me(),): 1}
    assert found["krill_logger_producer_dropped_events"][me(), "too_large"] == 1
    assert found["krill_logger_producer_dropped_events"][me(), "spool_full"] == 0
    assert found["krill_logger_producer_spool_limit_bytes"] == {(): 12345}


def test_what_waits_on_the_disk_is_shown(tmp_path):
    segment = spool.Segment.create(tmp_path, "b")
    segment.append([spool.Message("t", b"k", b"x" * 1000, [])])
    metrics.write(tmp_path)
    found = shown(metrics.text(tmp_path, 5000))
    assert found["krill_logger_producer_spool_bytes"] == {(): segment.size}
    segment.close()


def test_without_a_spool_a_process_shows_itself():
    kafka.configure(**NOWHERE)
    kafka.publish(b"{}", "t", "k", [])
    found = shown(kafka.metrics())
    assert found["krill_logger_producer_queued_events"] == {(me(),): 1}
    assert found["krill_logger_producer_spool_bytes"] == {(): 0}


def test_a_process_shows_the_others_and_what_they_lost_as_they_ended(tmp_path):
    code = f"""
import os, pathlib, sys
from producers import kafka
kafka.configure(pathlib.Path({str(tmp_path)!r}), 1, **{{"bootstrap.servers": "127.0.0.1:1"}})
for _ in range(3): kafka.publish(b"{{}}", "t", "k", [])
print(os.getpid())
"""
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    other = me().replace(str(os.getpid()), ended.stdout.strip())
    found = shown(metrics.text(tmp_path, 1))
    assert found["krill_logger_producer_queued_events"] == {(me(),): 0, (other,): 3}
    assert found["krill_logger_producer_dropped_events"][other, "at_exit"] == 3
    # What ended long ago goes, and what is no counters of ours does no harm.
    (tmp_path / "x.counters").write_text("[1]")
    hour = time.time() - metrics.KEEP_SECONDS - 1
    os.utime(tmp_path / f"{other}.counters", (hour, hour))
    assert shown(metrics.text(tmp_path, 1))["krill_logger_producer_queued_events"] == {(me(),): 0}
    assert not (tmp_path / f"{other}.counters").exists()


def test_a_process_that_lives_writes_its_counters_again_and_again(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, "WRITE_SECONDS", 0.05)
    kafka.configure(tmp_path / "spool", 100_000, **NOWHERE)
    kafka.start()
    for number in (1, 2):
        kafka.publish(b"{}", "t", "k", [])
        deadline = time.monotonic() + 10
        while read(tmp_path / "spool").get("queued") != number:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def read(folder: Path) -> dict[str, int]:
    try:
        return json.loads((folder / f"{me()}.counters").read_text())
    except FileNotFoundError:
        return {}
