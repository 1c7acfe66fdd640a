"""Dead letters after the fact: found again, made into rows after a fix, or dropped."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

import msgspec

from consumers.batch import EVENT_TABLES, Batch, convert
from consumers.ranges import settle

if TYPE_CHECKING:
    from confluent_kafka import Message

    from consumers.database import Database

#: Letters that are read and dealt with at a time, and their bytes.
PAGE, PAGE_BYTES = 500, 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Letter:
    """A row of the table `dead_letters`."""

    topic: str
    topic_id: str
    partition: int
    offset: int
    failed_at: dt.datetime
    reason: str
    error: str
    key: str
    headers: list[tuple[str, str]]
    value: bytes

    @property
    def place(self) -> str:
        """Topic, partition and offset as people type them."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class _Message:
    """A letter as the Kafka message that it was, as far as the conversion asks."""

    def __init__(self, letter: Letter) -> None:
        self._letter = letter

    def topic(self) -> str:
        return self._letter.topic

    def partition(self) -> int:
        return self._letter.partition

    def offset(self) -> int:
        return self._letter.offset

    def key(self) -> bytes:
        return self._letter.key.encode()

    def value(self) -> bytes:
        return self._letter.value

    def headers(self) -> list[tuple[str, bytes]]:
        return [(name, value.encode()) for name, value in self._letter.headers]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant; empty fields mean any."""

    topic: str = ""
    reason: str = ""
    partition: int | None = None
    offset: int | None = None
    since: dt.datetime | None = None

    def where(self) -> tuple[str, dict[str, Any]]:
        """A condition for ClickHouse and its parameters."""
        tests = [
            ("kafka_topic = {topic:String}", "topic", self.topic or None),
            ("reason = {reason:String}", "reason", self.reason or None),
            ("kafka_partition = {partition:Int32}", "partition", self.partition),
            ("kafka_offset = {offset:Int64}", "offset", self.offset),
            (
                "failed_at >= fromUnixTimestamp64Milli({since:Int64})",
                "since",
                None if self.since is None else int(self.since.timestamp() * 1000),
            ),
        ]
        given = [test for test in tests if test[2] is not None]
        return " AND ".join(test[0] for test in given) or "1", {test[1]: test[2] for test in given}


def count(database: Database, selection: Selection) -> int:
    """How many letters are selected. Raises: ClickHouseError, OSError, as all functions here."""
    where, parameters = selection.where()
    sql = f"SELECT count() FROM dead_letters FINAL WHERE {where}"  # noqa: S608 - the values are parameters
    return int(database.rows(sql, **parameters)[0][0])


def find(database: Database, selection: Selection, limit: int) -> list[Letter]:
    """The newest `limit` letters, newest first."""
    newest = "failed_at DESC, kafka_topic, kafka_partition, kafka_offset DESC"
    return _select(database, *selection.where(), f"{newest} LIMIT {limit:d}")


def replay(
    database: Database, selection: Selection, progress: Callable[[int, int], None] = lambda _looked, _became: None
) -> tuple[int, int]:
    """Make a row of each selected letter that can be one now, once, under its own topic, partition and offset.

    A letter that became a row is removed; one that still cannot stays as it is. May be repeated, also after it was cut
    short.

    Returns:
        (letters looked at, letters that became rows); NotSettled is raised too.
    """
    looked = became = 0
    for letters in _pages(database, selection):
        looked += len(letters)
        first, last = letters[0], letters[-1]
        if first.topic in EVENT_TABLES:  # the others are no letters of ours
            batch = Batch(
                first.topic, first.topic_id, first.partition, first.offset, last.offset + 1,
                [cast("Message", _Message(letter)) for letter in letters],
            )  # fmt: skip
            converted = convert(batch)
            settle(database, batch, converted)
            failed = {letter.offset for letter in converted.dead}
            became += _remove(database, [letter for letter in letters if letter.offset not in failed])
        progress(looked, became)
    return looked, became


def drop(database: Database, selection: Selection, progress: Callable[[int], None] = lambda _dropped: None) -> int:
    """Remove the selected letters for good; only their places and reasons are kept. Returns how many."""
    dropped = 0
    for letters in _pages(database, selection):
        database.insert_rows(
            "dropped_letters",
            [[one.topic, one.topic_id, one.partition, one.offset, one.reason] for one in letters],
            ["kafka_topic", "kafka_topic_id", "kafka_partition", "kafka_offset", "reason"],
        )
        dropped += _remove(database, letters)
        progress(dropped)
    return dropped


def _pages(database: Database, selection: Selection) -> Iterator[list[Letter]]:
    """All selected letters in pages of one partition each, by offset; the places are read first, so that it does not
    matter which are removed meanwhile."""
    where, parameters = selection.where()
    places = database.rows(
        "SELECT kafka_topic, kafka_topic_id, kafka_partition, kafka_offset, length(value) FROM dead_letters FINAL "  # noqa: S608
        f"WHERE {where} ORDER BY kafka_topic, kafka_topic_id, kafka_partition, kafka_offset",
        **parameters,
    )
    for _, some in groupby(places, key=lambda place: place[:3]):
        page: list[tuple[Any, ...]] = []
        for place in some:
            if page and (len(page) >= PAGE or sum(one[4] for one in page) + place[4] > PAGE_BYTES):
                yield _read(database, page)
                page = []
            page.append(place)
        yield _read(database, page)


def _read(database: Database, places: list[tuple[Any, ...]]) -> list[Letter]:
    topic, topic_id, partition, *_ = places[0]
    return _select(database, *_named(topic, topic_id, partition, [place[3] for place in places]), "kafka_offset")


def _select(database: Database, where: str, parameters: dict[str, Any], order: str) -> list[Letter]:
    found = database.client.query(
        "SELECT kafka_topic, toString(kafka_topic_id), kafka_partition, kafka_offset, failed_at, reason, error, key, "  # noqa: S608
        f"headers, value FROM dead_letters FINAL WHERE {where} ORDER BY {order}",
        parameters=parameters,
        column_formats={"value": "bytes"},
        column_tzs={"failed_at": "UTC"},
    )
    made: Callable[..., Letter] = Letter
    return [made(*row[:8], _headers(str(row[8])), row[9]) for row in found.result_rows]


def _remove(database: Database, letters: list[Letter]) -> int:
    if letters:
        first = letters[0]
        offsets = [letter.offset for letter in letters]
        where, parameters = _named(first.topic, first.topic_id, first.partition, offsets)
        database.change(f"ALTER TABLE dead_letters DELETE WHERE {where}", **parameters)
    return len(letters)


def _named(topic: str, topic_id: object, partition: int, offsets: list[int]) -> tuple[str, dict[str, Any]]:
    where = (
        "kafka_topic = {topic:String} AND kafka_topic_id = {topic_id:UUID} AND kafka_partition = {partition:Int32} "
        f"AND kafka_offset IN ({', '.join(map(str, offsets))})"
    )
    return where, {"topic": topic, "topic_id": str(topic_id), "partition": partition}


def _headers(text: str) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in msgspec.json.decode(text)]
