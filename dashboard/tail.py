"""What is new in a report: the rows that the workers stored behind a position in Kafka's partitions.

A worker says how far each partition is stored (`pipeline_status`); everything below that is in the table, whenever its
events happened. So rows are told by their offsets: none is missed because it became visible late, none comes twice.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field, fields

from dashboard.clickhouse import ClickHouse
from dashboard.columns import ADMIN_CHANGES, API_REQUESTS, Report
from dashboard.filters import Query, binder, time_range
from schemas import topics

#: Kafka partition: everything below this offset was shown, or is stored.
Position = dict[int, int]

#: Rows that one look at what is new brings, at most; the others are counted.
MOST_ROWS = 50
#: Events that happened longer ago come too late to be news; it bounds what has to be read.
LATE = dt.timedelta(days=1)
MOST_PARTITIONS = 1_000
_TOPICS = {API_REQUESTS.name: topics.API_REQUESTS, ADMIN_CHANGES.name: topics.ADMIN_CHANGES}
_POSITION = re.compile(r"[0-9]{1,9}:[0-9]{1,18}(?:,[0-9]{1,9}:[0-9]{1,18})*")


@dataclass(frozen=True)
class News(Query):
    """The rows of a query that are new.

    Args:
        known: the position up to which rows are not new; a partition that it does not name is new as a whole.
        end: the position up to which rows are wanted.
        earliest: when an event happened that is not too late to be news.
    """

    known: Position = field(default_factory=dict)
    end: Position = field(default_factory=dict)
    earliest: dt.datetime | None = None

    @classmethod
    def of(cls, query: Query, known: Position, end: Position) -> News:
        """The first page of what is new, newest events first."""
        given = {item.name: getattr(query, item.name) for item in fields(query)}
        sort = f"-{query.report.time_column}"
        given |= {"page": 1, "per_page": MOST_ROWS, "sort": sort}
        return cls(**given, known=known, end=end, earliest=dt.datetime.now(dt.UTC) - LATE)

    def where(self, *, indexed: bool = True, common: bool = False) -> tuple[str, dict[str, str | bytes]]:
        """The SQL condition and the values of its parameters."""
        condition, parameters = super().where(indexed=indexed, common=common)
        bind = binder(parameters)
        tests = [condition] if condition else []
        tests += time_range(self.report.time_column, self.earliest, None, bind)
        tests.append(f"kafka_topic = {bind(_TOPICS[self.report.name], 'String')}")
        parts = [
            f"(kafka_partition = {bind(number, 'Int32')} AND kafka_offset < {bind(offset, 'Int64')} "
            f"AND kafka_offset >= {bind(self.known.get(number, 0), 'Int64')})"
            for number, offset in moved(self.known, self.end).items()
        ]
        tests.append(f"({' OR '.join(parts)})" if parts else "0")
        return " AND ".join(tests), parameters


def stored(clickhouse: ClickHouse, report: Report) -> Position:
    """How far the report's topic is stored, as the workers last said."""
    found = clickhouse.query(
        "SELECT partition, committed_offset FROM pipeline_status FINAL WHERE topic = {topic:String} "
        "ORDER BY partition LIMIT {most:UInt32}",
        {"topic": _TOPICS[report.name], "most": MOST_PARTITIONS},
    )
    return {partition: offset for partition, offset in found if offset > 0}


def moved(after: Position, until: Position) -> Position:
    """The partitions in which there is something between the two positions, and its end."""
    return {number: offset for number, offset in until.items() if offset > after.get(number, 0)}


def parse(text: str) -> Position | None:
    """The position that `written` wrote; None for any other text."""
    if not text:
        return {}
    if len(text) > 32 * MOST_PARTITIONS or not _POSITION.fullmatch(text):
        return None
    return {int(number): int(offset) for number, offset in (part.split(":") for part in text.split(","))}


def written(position: Position) -> str:
    """A position as text without blanks, such as `0:4711,1:17`."""
    return ",".join(f"{number}:{offset}" for number, offset in sorted(position.items()))
