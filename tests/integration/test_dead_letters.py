"""Dead letters after the fact: listed, shown, replayed, dropped; and a flood of them stops a topic."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from consumers import batch as conversion
from consumers import letters, normalise
from consumers.database import Database
from consumers.flood import Flood
from consumers.letters import Selection
from consumers.partition import Partition
from consumers.storage import Storage
from consumers.worker import BatchLoop
from schemas import topics
from schemas.settings import Settings
from tests.integration.test_verify import Krill, krill, store
from tests.integration.test_worker import Road, request, road, start_worker

__all__ = ["krill", "road", "start_worker"]


def test_letters_are_listed_and_shown(road: Road, settings: Settings, krill: Krill) -> None:
    stored = store(road, settings, 210)
    lines = krill("dead-letters", "list", "--limit", "2").stdout.splitlines()
    assert len(lines) == 2
    place = f"{topics.API_REQUESTS}/0/{stored.start + 7}"
    shown = json.loads(krill("dead-letters", "show", place).stdout)
    assert (shown["reason"], shown["value"], shown["offset"]) == ("not-json", "bad", stored.start + 7)
    assert "no dead letter" in krill("dead-letters", "show", f"{topics.API_REQUESTS}/0/1", code=1).stderr
    assert "expected topic/partition/offset" in krill("dead-letters", "show", "x", code=2).stderr


def test_a_letter_becomes_one_row_after_a_fix(road: Road, settings: Settings, krill: Krill, monkeypatch: Any) -> None:
    def broken(event: Any) -> Any:
        raise normalise.Invalid("status_code", 1, "something else")

    stream = conversion._STREAMS[topics.API_REQUESTS]
    bad = conversion._Stream(stream.table, stream.ce_type, stream.decode, broken)
    with monkeypatch.context() as patched:
        patched.setitem(conversion._STREAMS, topics.API_REQUESTS, bad)
        stored = store(road, settings, 120)
    assert (road.count("dead_letters"), road.count("api_requests")) == (120, 0)
    database = Database(settings)
    # A replay of the topic leaves them to the replay of the letters: nothing is a row and a letter.
    replayed = krill("replay", topics.API_REQUESTS, "--from-offset", str(stored.start), "--partition", "0").stdout
    assert replayed.startswith("120 messages read, 0 were missing")
    assert road.count("api_requests") == 0
    steps: list[tuple[int, int]] = []
    selection = Selection(reason="invalid-field")
    [letter] = letters.find(database, selection, 1)
    assert letters.replay(database, selection, lambda *step: steps.append(step)) == (118, 118)
    assert steps == [(118, 118)]
    assert letters.replay(database, Selection()) == (2, 0), "two are bad for good"
    assert (road.count("dead_letters"), road.count("api_requests")) == (2, 118)
    # As if it had been killed between storing the rows and removing the letters.
    place = [letter.topic, letter.topic_id, letter.partition, letter.offset]
    names = [
        "kafka_topic",
        "kafka_topic_id",
        "kafka_partition",
        "kafka_offset",
        "failed_at",
        "reason",
        "headers",
        "value",
    ]
    database.insert_rows("dead_letters", [[*place, letter.failed_at, "invalid-field", "[]", letter.value]], names)
    assert letters.replay(database, selection) == (1, 1)
    assert (road.count("dead_letters"), road.count("api_requests")) == (2, 118)


def test_dropped_letters_are_not_missed(road: Road, settings: Settings, krill: Krill) -> None:
    store(road, settings, 210)
    assert "0 dead letters dropped" in krill("dead-letters", "drop", "--reason", "empty", "--yes").stdout
    assert "3 dead letters dropped" in krill("dead-letters", "drop", "--reason", "not-json", "--yes").stdout
    assert road.count("dead_letters") == 0
    krill("verify")


def state(road: Road, topic: str) -> set[str]:
    rows = road.client.query(
        "SELECT DISTINCT state FROM pipeline_status FINAL WHERE topic = {topic:String}", parameters={"topic": topic}
    ).result_rows
    return {row[0] for row in rows}


def test_a_flood_stops_its_topic_until_it_is_resumed(road: Road, krill: Krill, start_worker: Callable[[], Any]) -> None:
    start_worker()
    for number in range(3_000):
        road.send(topics.API_REQUESTS, b"bad", key=str(number))
    road.flush()
    wait(lambda: state(road, topics.API_REQUESTS) == {"stopped by flood"})
    drained = road.count("dead_letters")
    assert drained <= 2_000
    assert "is stopped" in krill("dead-letters", "list").stderr
    assert "a flood of dead letters stopped a topic" in krill("status", code=1).stdout
    # The other topic goes on, and so does the stop in a worker that starts now.
    start_worker()
    change = {"event_id": "0192d3a4-0000-7000-8000-000000000001", "changed_at": "2026-01-30T10:00:00Z",
              "action": "change", "app_label": "isp", "model": "cpe", "object_id": "1"}  # fmt: skip
    road.send(topics.ADMIN_CHANGES, json.dumps(change).encode())
    road.send(topics.API_REQUESTS, request(user="behind"))
    road.flush()
    road.wait("admin_changes", 1)
    time.sleep(3)
    assert road.count("api_requests") == 0
    wait(lambda: state(road, topics.API_REQUESTS) == {"stopped by flood"})
    krill("dead-letters", "resume", topics.API_REQUESTS, "--accept", "5")
    road.wait("dead_letters", 3_000)
    road.wait("api_requests", 1, "user = 'behind'")
    wait(lambda: state(road, topics.API_REQUESTS) == {"running"})


def test_a_topic_is_shown_as_stopped_once_resume_would_find_it(
    road: Road, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(settings)
    feed = BatchLoop(settings, storage, None, None)
    partition = Partition(topics.API_REQUESTS, str(uuid.uuid4()), 0, 0)

    def stopped_just_now() -> tuple[list[dict[str, Any]], str]:
        with pytest.raises(Flood):
            storage.floods.judge(topics.API_REQUESTS, good=0, bad=settings.flood_window)
        partition.stopped = True
        return [partition.snapshot()], ""

    monkeypatch.setattr(feed.batches, "snapshot", stopped_just_now)
    feed._tell()
    assert state(road, topics.API_REQUESTS) == {"stopped by flood"}
    assert road.client.query("SELECT topic, state FROM floods FINAL").result_rows == [(topics.API_REQUESTS, "stopped")]


def wait(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
