"""Parquet: typed columns; times are instants in UTC with the reader's zone as metadata."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dashboard.blocks import Block
from dashboard.columns import Column
from dashboard.formats.table import Buffer, Table


def write(table: Table, blocks: Iterable[Block], about: Callable[[], dict[str, Any]]) -> Iterator[bytes]:
    """The file, with a row group per block. JSON columns are text; the metadata `krill_logger` says what it is."""
    schema = pa.schema([pa.field(column.name, _type(column, table.zone.key)) for column in table.columns])
    buffer = Buffer()
    with pq.ParquetWriter(pa.PythonFile(buffer, mode="w"), schema, compression="zstd") as writer:
        for block in blocks:
            arrays = [block.arrays[field.name].cast(field.type) for field in schema]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            yield buffer.take()
        writer.add_key_value_metadata({"krill_logger": json.dumps(about(), default=str)})
    yield buffer.take()


def _type(column: Column, zone: str) -> pa.DataType:
    match column.kind:
        case "number":
            return pa.int64() if column.integer else pa.float64()
        case "time":
            return pa.timestamp("ms", tz=zone)
        case "array":
            return pa.list_(pa.string())
        case _:
            return pa.string()
