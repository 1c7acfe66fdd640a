"""`krill-logger verify` and `replay`: what is missing, double or wrong is found and mended."""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from consumers import kafka
from consumers.batch import Batch
from consumers.partition import mark
from consumers.storage import Storage
from consumers.verify import Verifier
from deploy.cli import main
from schemas import topics
from schemas.settings import Settings
from tests.integration.test_worker import Road, environ, request, road

__all__ = ["road"]

NUMBER = 400


@dataclass(frozen=True)
class Done:
    """What a command printed."""

    stdout: str
    stderr: str


Krill = Callable[..., Done]


@pytest.fixture
def krill(settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Krill:
    """Runs `krill-logger` in this process, which starts faster."""
    for name, value in environ(settings).items():
        if name.startswith("KRILL_LOGGER_"):
            monkeypatch.setenv(name, value)

    def run(*arguments: str, code: int = 0) -> Done:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["krill-logger", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        done = Done(*capfd.readouterr())
        if isinstance(end.value.code, str):  # what the interpreter would print
            done = Done(done.stdout, f"{done.stderr}{end.value.code}\n")
        exit_code = 1 if isinstance(end.value.code, str) else end.value.code or 0
        assert exit_code == code, done
        return done

    return run


@pytest.fixture
def stored(road: Road, settings: Settings) -> Batch:
    """A range of partition 0 that was stored and committed as a worker does it; some of it are dead letters."""
    return store(road, settings, NUMBER)


def store(road: Road, settings: Settings, number: int, **values: Any) -> Batch:
    reader = kafka.Reader(settings)
    start = reader.bounds(topics.API_REQUESTS, 0)[1]
    for n in range(number):
        value = (
            b"bad" if n % 100 == 7 else request(user=f"u{n % 3}", status_code=200 + n % 300, response_ms=n, **values)
        )
        road.producer.produce(topics.API_REQUESTS, value, partition=0)
    road.flush()
    end = reader.bounds(topics.API_REQUESTS, 0)[1]
    identity = kafka.topic_ids(AdminClient(settings.kafka()), [topics.API_REQUESTS])[topics.API_REQUESTS]
    [batch] = reader.batches(topics.API_REQUESTS, identity, 0, start, end)
    taken = replace(batch, messages=list(batch.messages))
    storage = Storage(settings)
    before = {n: reader.bounds(topics.DEAD_LETTERS, n)[1] for n in reader.partitions(topics.DEAD_LETTERS)}
    storage.store(taken)
    identity_of_dead = kafka.topic_ids(AdminClient(settings.kafka()), [topics.DEAD_LETTERS])[topics.DEAD_LETTERS]
    places = [TopicPartition(topics.API_REQUESTS, 0, end, mark(identity))]
    for n, low in before.items():
        high = reader.bounds(topics.DEAD_LETTERS, n)[1]
        for letters in reader.batches(topics.DEAD_LETTERS, identity_of_dead, n, low, high):
            storage.store(letters)
        places.append(TopicPartition(topics.DEAD_LETTERS, n, high, mark(identity_of_dead)))
    reader.close()
    commit(settings, places)
    return batch


def commit(settings: Settings, places: list[TopicPartition]) -> None:
    consumer = Consumer(settings.kafka(group_id=settings.group))
    consumer.commit(offsets=places, asynchronous=False)
    consumer.close()


def found(done: Done) -> list[tuple[Any, ...]]:
    findings = json.loads(done.stdout)["findings"]
    return [(one["kind"], one["start"], one["end"], one["count"], one["repaired"]) for one in findings]


def total(road: Road) -> tuple[int, int]:
    [row] = road.client.query("SELECT count(), uniqExact(kafka_offset) FROM api_requests").result_rows
    return row[0], row[1]


def test_what_is_right_is_found_right(stored: Batch, road: Road, krill: Krill) -> None:
    assert road.count("dead_letters") == 4
    done = krill("verify")
    assert "Every message is stored once" in done.stdout
    assert "offsets:" in done.stderr, "progress"


def test_what_is_missing_or_double_is_found_and_mended(stored: Batch, road: Road, krill: Krill) -> None:
    right = total(road)
    first = stored.start
    copy = f"INSERT INTO api_requests SELECT * FROM api_requests WHERE kafka_offset IN ({first + 20}, {first + 21})"
    road.remove("api_requests", f"kafka_offset >= {first + 50} AND kafka_offset < {first + 60}")
    road.remove("dead_letters", f"kafka_offset = {first + 107}")
    road.client.command(copy)
    done = krill("verify", "--json", code=1)
    assert found(done) == [
        ("double", first + 20, first + 22, 2, False),
        ("missing", first + 50, first + 60, 10, False),
        ("missing", first + 107, first + 108, 1, False),
    ]
    assert all(finding[-1] for finding in found(krill("verify", "--repair", "--json")))
    assert total(road) == right
    # The dead letter is on its topic again; that no worker runs which would put it into the table makes no difference.
    assert road.count("dead_letters", f"kafka_offset = {first + 107}") == 0
    assert found(krill("verify", "--json")) == []


def test_what_is_a_row_and_a_dead_letter_is_found_and_becomes_a_row(stored: Batch, road: Road, krill: Krill) -> None:
    right = total(road)
    place = stored.start + 107, stored.start + 111
    road.client.command(
        "INSERT INTO dead_letters SELECT * REPLACE(kafka_offset + 4 AS kafka_offset) FROM "
        f"(SELECT * FROM dead_letters WHERE kafka_offset = {place[0]})"
    )
    assert found(krill("verify", "--json", code=1)) == [("both", place[1], place[1] + 1, 1, False)]
    assert "1 messages are rows and dead letters at once (repaired)" in krill("verify", "--repair").stdout
    assert found(krill("verify", "--json")) == []
    assert (total(road), road.count("dead_letters")) == (right, 4)


def test_a_table_without_rows_is_not_found_right(stored: Batch, road: Road, krill: Krill) -> None:
    right = total(road)
    for table in ("api_requests", "dead_letters"):
        road.client.command(f"TRUNCATE TABLE {table}")
    everything = ("missing", stored.start, stored.end, NUMBER)
    since = dt.datetime.fromtimestamp(stored.messages[0].timestamp()[1] / 1000, dt.UTC).isoformat()
    assert found(krill("verify", "--from", since, "--json", code=1)) == [(*everything, False)]
    [(kind, start, end, count, _)] = found(krill("verify", "--json", code=1))  # and those of the tests before this one
    assert (kind, start <= stored.start, end, count >= NUMBER) == ("missing", True, stored.end, True)
    assert found(krill("verify", "--from", since, "--repair", "--json")) == [(*everything, True)]
    assert total(road) == right
    assert found(krill("verify", "--from", since, "--json")) == []


def test_a_letter_that_waits_since_a_moment_ago_is_not_missed(
    stored: Batch, road: Road, settings: Settings, request: pytest.FixtureRequest
) -> None:
    since = dt.datetime.fromtimestamp(stored.messages[0].timestamp()[1] / 1000, dt.UTC)
    road.remove("api_requests", f"kafka_offset = {stored.start + 50}")
    storage = Storage(settings)
    verifier = Verifier(settings, storage, since=since)
    request.addfinalizer(verifier.close)
    findings = verifier.run()
    assert next(findings).kind == "missing", "so the letters that wait were looked at"
    reader = kafka.Reader(settings)
    start = reader.bounds(topics.ADMIN_CHANGES, 0)[1]
    change = {"event_id": str(uuid.uuid4()), "changed_at": since.isoformat(), "action": "change", "app_label": "isp",
              "model": "cpe", "object_id": "1"}  # fmt: skip
    for value in (json.dumps(change).encode(), b"bad"):
        road.producer.produce(topics.ADMIN_CHANGES, value, partition=0)
    road.flush()
    identity = kafka.topic_ids(AdminClient(settings.kafka()), [topics.ADMIN_CHANGES])[topics.ADMIN_CHANGES]
    [batch] = reader.batches(topics.ADMIN_CHANGES, identity, 0, start, start + 2)
    reader.close()
    storage.store(batch)
    commit(settings, [TopicPartition(topics.ADMIN_CHANGES, 0, start + 2, mark(identity))])
    assert [(one.topic, one.kind) for one in findings if one.topic == topics.ADMIN_CHANGES] == []


def test_a_repair_that_takes_longer_than_kafka_may_goes_on(
    stored: Batch, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "TIMEOUT", 2.0)
    monkeypatch.setattr(kafka, "REREAD_ROWS", NUMBER // 4)
    reader = kafka.Reader(settings)
    sizes = []
    for batch in reader.batches(stored.topic, stored.topic_id, 0, stored.start, stored.end):
        sizes.append(len(batch.messages))
        time.sleep(2.2)
    reader.close()
    assert sum(sizes) == NUMBER
    assert len(sizes) >= 4


def test_a_range_is_read_without_waiting_for_what_is_behind_it(stored: Batch, settings: Settings) -> None:
    reader = kafka.Reader(settings)
    started = time.monotonic()
    for _ in range(5):
        [batch] = reader.batches(stored.topic, stored.topic_id, 0, stored.start, stored.end)
        assert len(batch.messages) == NUMBER
        assert reader.bounds(stored.topic, 0)[1] >= stored.end
    assert time.monotonic() - started < 2, "half a second for each question would be five"
    reader.close()


def test_a_check_of_later_times_does_not_see_earlier_faults(stored: Batch, road: Road, krill: Krill) -> None:
    road.remove("api_requests", f"kafka_offset = {stored.start + 50}")
    krill("verify", "--from", "2100-01-01")
    assert "expected one like" in krill("verify", "--from", "soon", code=2).stderr


def test_a_replay_inserts_what_is_missing_and_nothing_twice(stored: Batch, road: Road, krill: Krill) -> None:
    right = total(road)
    start = str(stored.start)
    assert (
        f"{NUMBER} messages read, 0 were missing"
        in krill("replay", topics.API_REQUESTS, "--from-offset", start, "--partition", "0").stdout
    )
    road.remove("api_requests", f"kafka_offset < {stored.start + 50}")
    done = krill("replay", topics.API_REQUESTS, "--from-time", "2026-01-01", "--partition", "0", "--to-offset",
                 str(stored.start + 20))  # fmt: skip
    assert int(done.stdout.split(", ")[1].split()[0]) >= 19  # and those of the tests before this one
    krill("replay", topics.API_REQUESTS, "--from-offset", start, "--partition", "0")
    assert road.count("api_requests", f"kafka_offset >= {start}") == right[0]
    krill("replay", topics.API_REQUESTS, code=2)


def test_clickhouse_away_is_one_sentence(krill: Krill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRILL_LOGGER_CLICKHOUSE_URL", "http://127.0.0.1:1")
    said = krill("verify", code=1).stderr.splitlines()
    assert said[-1].startswith("Error: ClickHouse cannot be used: nothing answers at 127.0.0.1:1")
