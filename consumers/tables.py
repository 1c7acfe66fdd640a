"""The tables as the worker fills them: Arrow columns in the order in which `consumers.normalise` makes them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

_TEXT = pa.string()
#: Of a LowCardinality column: each value once, which spares the worker and ClickHouse to write and read it again.
_WORD = pa.dictionary(pa.int32(), pa.string())
_NAMES = pa.list_(pa.string())
_TIME = pa.timestamp("ms", tz="UTC")
_BYTES_16 = pa.binary(16)

#: The place of the message in Kafka, behind each row's own columns.
_ORIGIN = [
    ("ingested_at", _TIME),
    ("kafka_topic", _WORD),
    ("kafka_topic_id", _BYTES_16),
    ("kafka_partition", pa.int32()),
    ("kafka_offset", pa.int64()),
]


@dataclass(frozen=True)
class Table:
    """A ClickHouse table and the Arrow schema of what is inserted into it.

    `time` is the column of the event's time; empty for the dead letters.
    """

    name: str
    schema: pa.Schema
    time: str = ""

    @cached_property
    def own(self) -> pa.Schema:
        """The schema without the columns of a message's place in Kafka."""
        return pa.schema([field for field in self.schema if field.name not in dict(_ORIGIN)])

    def with_origin(
        self, own: pa.Table, ingested_at: int, topic: str, topic_id: bytes, partition: int, offsets: list[int]
    ) -> pa.Table:
        """`own` columns with the place in Kafka of each row's message; `ingested_at` in milliseconds since 1970."""
        kinds = dict(_ORIGIN)
        count = own.num_rows
        constant = {
            "ingested_at": ingested_at,
            "kafka_topic": topic,
            "kafka_topic_id": topic_id,
            "kafka_partition": partition,
        }
        columns = [_repeated(value, kinds[name], count) for name, value in constant.items()]
        columns.append(pa.array(offsets, kinds["kafka_offset"]))
        return pa.Table.from_arrays([*own.columns, *columns], schema=self.schema)

    def arrow(self, rows: list[tuple[Any, ...]]) -> pa.Table:
        """Columns from rows (tuples in the schema's order)."""
        columns = zip(*rows, strict=True)
        return pa.Table.from_arrays(
            [pa.array(column, field.type) for column, field in zip(columns, self.schema, strict=True)],
            schema=self.schema,
        )


def _repeated(value: Any, kind: pa.DataType, count: int) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, kind.index_type), count), [value])
    return pa.repeat(pa.scalar(value, kind), count)


API_REQUESTS = Table(
    "api_requests",
    pa.schema(
        [
            ("event_id", _BYTES_16),
            ("requested_at", _TIME),
            ("user", _WORD),
            ("user_id", _TEXT),
            ("remote_addr", _BYTES_16),
            ("method", _WORD),
            ("path", _TEXT),
            ("route", _WORD),
            ("api_version", _WORD),
            ("app", _WORD),
            ("object_type", _WORD),
            ("object_id", _TEXT),
            ("action", _WORD),
            ("host", _WORD),
            ("view", _WORD),
            ("view_method", _WORD),
            ("status_code", pa.uint16()),
            ("response_ms", pa.float64()),
            ("query_params", _TEXT),
            ("data", _TEXT),
            ("response", _TEXT),
            ("errors", _TEXT),
            ("user_agent", _WORD),
            ("request_id", _TEXT),
            ("masked", _NAMES),
            ("truncated", _NAMES),
            *_ORIGIN,
        ]
    ),
    time="requested_at",
)

ADMIN_CHANGES = Table(
    "admin_changes",
    pa.schema(
        [
            ("event_id", _BYTES_16),
            ("changed_at", _TIME),
            ("user", _WORD),
            ("user_id", _TEXT),
            ("action", _TEXT),
            ("app_label", _WORD),
            ("model", _WORD),
            ("object_type", _WORD),
            ("object_id", _TEXT),
            ("object_repr", _TEXT),
            ("change_message", _TEXT),
            ("changed_fields", _NAMES),
            ("changes", _TEXT),
            ("remote_addr", _BYTES_16),
            ("request_id", _TEXT),
            ("masked", _NAMES),
            *_ORIGIN,
        ]
    ),
    time="changed_at",
)

DEAD_LETTERS = Table(
    "dead_letters",
    pa.schema(
        [
            ("kafka_topic", _TEXT),
            ("kafka_topic_id", _BYTES_16),
            ("kafka_partition", pa.int32()),
            ("kafka_offset", pa.int64()),
            ("failed_at", _TIME),
            ("reason", _TEXT),
            ("error", _TEXT),
            ("key", _TEXT),
            ("headers", _TEXT),
            ("value", pa.binary()),
        ]
    ),
)
