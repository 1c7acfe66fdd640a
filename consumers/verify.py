"""Compares what is stored with Kafka's offsets; repairs what differs."""

# What is put into SQL text here is our own names and numbers; the rest are parameters.
# ruff: noqa: S608
from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from consumers import kafka, replay
from consumers.batch import EVENT_TABLES, convert
from consumers.replay import Range
from schemas import topics

if TYPE_CHECKING:
    from consumers.storage import Storage
    from consumers.tables import Table
    from schemas.settings import Settings

#: Offsets that are compared at a time.
CHUNK = 500_000
PLACE = ["kafka_topic", "kafka_topic_id", "kafka_partition", "kafka_offset"]

Kind = Literal["missing", "double", "both", "gone"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong.

    Attributes:
        kind: `missing` (a message is in no table), `gone` (the same, and Kafka no longer has it), `double` (a message
            is more than one row) or `both` (it is a row and a dead letter; the row counts).
        start, end: offsets [start, end).
        count: messages, superfluous rows or superfluous letters.
        repaired: whether it is right now.
    """

    kind: Kind
    topic: str
    topic_id: str
    partition: int
    start: int
    end: int
    count: int
    repaired: bool


class Verifier:
    """One run of the check.

    Args:
        since: only what was stored since; all if None.
        repair: whether to mend what is found.
        progress: is told what is looked at.

    Every method raises ClickHouseError, KafkaException, NotSettled or OSError; it may be repeated.
    """

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        *,
        since: dt.datetime | None = None,
        repair: bool = False,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._storage = storage
        self._database = storage.database
        self._since = int(since.timestamp()) if since else 0
        self._repair = repair
        self._progress = progress
        self._reader = kafka.Reader(settings)
        self._letters: dict[tuple[str, str, int], set[int]] | None = None

    def close(self) -> None:
        """Let go of Kafka."""
        self._reader.close()

    def run(self) -> Iterator[Finding]:
        """What is wrong, as it is found."""
        for topic, table in EVENT_TABLES.items():
            self._letters = None  # others wait by now than when the topic before was looked at
            current = {one.partition: one for one in replay.committed(self._settings, topic)}
            stored = self._stored(topic, table)
            for one in [*stored, *self._without_rows(list(current.values()), stored)]:
                now = current.get(one.partition)
                known = now if now is not None and now.topic_id == one.topic_id else None
                end = known.end if known else one.end
                for start in range(one.start, end, CHUNK):
                    part = Range(topic, one.topic_id, one.partition, start, min(start + CHUNK, end))
                    self._progress(f"offsets: {part} of {end}")
                    yield from self._offsets(table, part, known.start if known else end)

    def _stored(self, topic: str, table: Table) -> list[Range]:
        """From the first to the last stored message of each partition of the topic and of what bore its name.

        What is older than the first one may have been removed in order, and is not missed.
        """
        since = f"toDateTime64({self._since}, 3, 'UTC')"
        places = "kafka_topic_id, kafka_partition, kafka_offset"
        rows = self._database.rows(
            "SELECT toString(kafka_topic_id), kafka_partition, min(kafka_offset), max(kafka_offset) + 1 FROM ("
            f"SELECT {places} FROM {table.name} WHERE kafka_topic = {{topic:String}} AND ingested_at >= {since} "
            f"UNION ALL SELECT {places} FROM dead_letters "
            f"WHERE kafka_topic = {{topic:String}} AND failed_at >= {since}"
            ") GROUP BY kafka_topic_id, kafka_partition ORDER BY kafka_topic_id, kafka_partition",
            topic=topic,
        )
        return [Range(topic, *row) for row in rows]

    def _without_rows(self, committed: list[Range], stored: list[Range]) -> Iterator[Range]:
        """What workers have committed of partitions that have no row at all, of which Kafka alone can tell."""
        known = {(one.topic_id, one.partition) for one in stored}
        for one in committed:
            if one.by_worker and (one.topic_id, one.partition) not in known:
                since = self._reader.at(one.topic, one.partition, self._since * 1000) if self._since else one.start
                yield replace(one, start=max(one.start, since))

    def _offsets(self, table: Table, part: Range, low: int) -> Iterator[Finding]:
        """What is missing or double of a range; `low` is the first offset that Kafka still has of this topic."""
        where = (
            "kafka_topic = {topic:String} AND kafka_topic_id = {topic_id:UUID} "
            f"AND kafka_partition = {part.partition} AND kafka_offset >= {part.start} AND kafka_offset < {part.end}"
        )
        names = {"topic": part.topic, "topic_id": part.topic_id}
        everything = (
            f"SELECT kafka_offset FROM {table.name} WHERE {where} UNION ALL SELECT DISTINCT kafka_offset "
            f"FROM dead_letters WHERE {where} UNION ALL SELECT DISTINCT kafka_offset FROM dropped_letters WHERE {where}"
        )
        counts = self._database.rows(f"SELECT count(), uniqExact(kafka_offset) FROM ({everything})", **names)
        if counts == [(len(part), len(part))]:
            return
        doubles = self._database.rows(
            f"SELECT kafka_offset, count() FROM {table.name} WHERE {where} GROUP BY kafka_offset HAVING count() > 1 "
            "ORDER BY kafka_offset",
            **names,
        )
        if doubles:
            if self._repair:
                self._remove_doubles(table, where, names)
            superfluous = sum(count - 1 for _, count in doubles)
            yield self._finding("double", part, doubles[0][0], doubles[-1][0] + 1, superfluous, self._repair)
        letters = f"{where} AND kafka_offset IN (SELECT kafka_offset FROM {table.name} WHERE {where})"
        [[first, last, both]] = self._database.rows(
            f"SELECT min(kafka_offset), max(kafka_offset), uniqExact(kafka_offset) FROM dead_letters WHERE {letters}",
            **names,
        )
        if both:
            if self._repair:
                self._database.change(f"ALTER TABLE dead_letters DELETE WHERE {letters}", **names)
            yield self._finding("both", part, first, last + 1, both, self._repair)
        # In this order: a letter that leaves the ones that wait is in its table.
        waiting = self._waiting_letters().get((part.topic, part.topic_id, part.partition), set())
        there = {row[0] for row in self._database.rows(f"SELECT DISTINCT * FROM ({everything})", **names)}
        for start, end in _gaps(sorted(there | waiting), part.start, part.end):
            if start < low:
                yield self._finding("gone", part, start, min(end, low), min(end, low) - start, False)
            if end > low:
                yield from self._missing(Range(part.topic, part.topic_id, part.partition, max(start, low), end))

    def _waiting_letters(self) -> dict[tuple[str, str, int], set[int]]:
        """Offsets, by topic, topic id and partition, of dead letters that no worker has put into their table yet."""
        if self._letters is None:
            self._letters = {}
            for stored in replay.committed(self._settings, topics.DEAD_LETTERS):
                end = self._reader.bounds(stored.topic, stored.partition)[1]
                for batch in replay.batches(self._reader, replace(stored, start=stored.end, end=end)):
                    letters = convert(batch).columns
                    for place in [] if letters is None else letters.select(PLACE).to_pylist():
                        key = place["kafka_topic"], str(UUID(bytes=place["kafka_topic_id"])), place["kafka_partition"]
                        self._letters.setdefault(key, set()).add(place["kafka_offset"])
        return self._letters

    def _missing(self, gap: Range) -> Iterator[Finding]:
        """A gap without messages (marks of a transaction, compaction) is none."""
        count = 0
        for batch in replay.batches(self._reader, gap):
            count += len(batch.messages)
            if self._repair:
                replay.restore(self._storage, batch)
        if count:
            yield self._finding("missing", gap, gap.start, gap.end, count, self._repair)

    def _remove_doubles(self, table: Table, where: str, names: dict[str, str]) -> None:
        """Rows are named by their place in a part; one that was merged meanwhile is left for the next round."""
        while True:
            copies = self._database.rows(
                f"SELECT _part, _part_offset, kafka_offset FROM {table.name} WHERE {where} AND kafka_offset IN ("
                f"SELECT kafka_offset FROM {table.name} WHERE {where} GROUP BY kafka_offset HAVING count() > 1 "
                "LIMIT 1000) ORDER BY kafka_offset, _part, _part_offset",
                **names,
            )
            extra = [row[:2] for _, same in groupby(copies, key=lambda row: row[2]) for row in list(same)[1:]]
            if not extra:
                return
            listed = ", ".join(f"('{part}', {offset})" for part, offset in extra)
            self._database.change(f"ALTER TABLE {table.name} DELETE WHERE (_part, _part_offset) IN ({listed})")

    @staticmethod
    def _finding(kind: Kind, part: Range, start: int, end: int, count: int, repaired: bool) -> Finding:
        return Finding(kind, part.topic, part.topic_id, part.partition, start, end, count, repaired)


def _gaps(there: list[int], start: int, end: int) -> Iterator[tuple[int, int]]:
    for offset in [*there, end]:
        if offset > start:
            yield start, offset
        start = offset + 1
