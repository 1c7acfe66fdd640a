"""Compares a range of offsets with what its table holds, and puts in what is missing.

Needed after any insert whose outcome was uncertain: ClickHouse may know a token whose rows were lost in a crash.
"""

# What is put into SQL text here is our own names and numbers; the rest are parameters.
# ruff: noqa: S608
from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.batch import Batch, Converted
    from consumers.database import Database

log = logging.getLogger(__name__)

ATTEMPTS = 5


class NotSettled(Exception):
    """Rows are still missing after several inserts under tokens of their own."""


def settle(database: Database, batch: Batch, converted: Converted, check: Callable[[], None] = lambda: None) -> int:
    """Make sure that every row of a batch is in its table.

    Idempotent. What is `untouched` must have been inserted before under the batch's own token, so that no older insert
    of it still counts.

    Args:
        check: called before each statement that changes something; raises to give up.

    Returns:
        How many rows were missing.

    Raises:
        ClickHouseError, OSError, NotSettled: not done; try again.
    """
    if converted.columns is None:
        return 0
    table, columns = converted.table, converted.columns
    found = 0
    for attempt in range(ATTEMPTS):
        lost = absent(database, batch, converted)
        if not lost:
            return found
        found = max(found, len(lost))
        log.warning("%s: %d rows were not in %s, inserting them", batch.token, len(lost), table.name)
        for offsets in _months(converted):
            # Whoever misses the same rows inserts them under the same token, of which only the first counts.
            missing = sorted(offsets & lost)
            if missing:
                names = hashlib.sha256(repr(missing).encode()).hexdigest()[:16]
                check()
                database.insert(table, _rows(columns, missing), f"{batch.token}:missing:{names}:{attempt}")
    raise NotSettled(f"{batch.token}: rows are missing after {ATTEMPTS} inserts")


def untouched(converted: Converted, lost: set[int]) -> pa.Table:
    """The rows of a batch to insert under its own token: those of the months that have none of them yet.

    An insert is there as a whole or not at all in each month. Where some rows are there, they were stored under other
    boundaries; where none is, an insert under the token may still be under way.

    Args:
        lost: offsets of the batch's rows that are not in its table.
    """
    columns = converted.columns
    assert columns is not None
    if len(lost) == columns.num_rows:
        return columns
    return _rows(columns, sorted(set().union(*(offsets for offsets in _months(converted) if offsets <= lost))))


def _months(converted: Converted) -> list[set[int]]:
    """The offsets of a batch's rows by the month that its table keeps them in."""
    assert converted.columns is not None
    times = converted.columns[converted.table.time]
    months = pc.add(pc.multiply(pc.year(times), 12), pc.month(times)).to_pylist()
    found: dict[int, set[int]] = {}
    for month, offset in zip(months, converted.columns["kafka_offset"].to_pylist(), strict=True):
        found.setdefault(month, set()).add(offset)
    return list(found.values())


def _rows(columns: pa.Table, offsets: list[int]) -> pa.Table:
    return columns.filter(pc.is_in(columns["kafka_offset"], pa.array(offsets, pa.int64())))


def stored_offsets(database: Database, batch: Batch, table: str, where: str = "1", **parameters: str) -> list[int]:
    """Offsets of the rows that `table` holds of the batch's range, with repetitions; `where` restricts them."""
    return [
        row[0]
        for row in database.rows(
            f"SELECT kafka_offset FROM {table} WHERE kafka_topic_id = {{topic_id:UUID}} "
            f"AND kafka_partition = {batch.partition:d} AND kafka_offset >= {batch.start:d} "
            f"AND kafka_offset < {batch.end:d} AND {where}",
            topic_id=batch.topic_id,
            **parameters,
        )
    ]


def rows_behind(database: Database, batch: Batch, table: str) -> bool:
    """Whether `table` holds rows of the batch's partition at or behind its end. Raises: ClickHouseError, OSError."""
    [[count]] = database.rows(
        f"SELECT count() FROM {table} WHERE kafka_topic_id = {{topic_id:UUID}} "
        f"AND kafka_partition = {batch.partition:d} AND kafka_offset >= {batch.end:d}",
        topic_id=batch.topic_id,
    )
    return bool(count)


def absent(database: Database, batch: Batch, converted: Converted) -> set[int]:
    """Offsets of the batch's rows that are not in its table. Raises: ClickHouseError, OSError."""
    assert converted.columns is not None
    times = converted.columns[converted.table.time].cast(pa.int64()).to_pylist()
    # The time is the table's sorting key: without it, every part that holds the offsets would be read.
    between = (
        f"{converted.table.time} >= fromUnixTimestamp64Milli({min(times)}) "
        f"AND {converted.table.time} <= fromUnixTimestamp64Milli({max(times)})"
    )
    stored = stored_offsets(database, batch, converted.table.name, between)
    return set(converted.columns["kafka_offset"].to_pylist()) - set(stored)
