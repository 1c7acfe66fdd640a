"""Compares what a table holds of a batch with its rows, and puts in what is missing.

Needed after any insert whose outcome was uncertain: ClickHouse may know a token whose rows were lost in a crash.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from consumers.database import stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.batch import Batch, Converted
    from consumers.database import Database

log = logging.getLogger(__name__)

ATTEMPTS = 5


class NotSettled(Exception):
    """Rows are still missing after several inserts under tokens of their own."""


class Overtaken(Exception):
    """Another owner's rows came first: what this one knows of the partition is not true any more."""


def settle(database: Database, batch: Batch, converted: Converted, check: Callable[[], None] = lambda: None) -> int:
    """Make sure that every row of a batch is in its table, whoever inserted it and in which ranges.

    Idempotent.

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
        there = {row[0] for row in database.rows(stored(table, columns))}
        lost = sorted(set(columns["kafka_offset"].to_pylist()) - there)
        if not lost:
            return found
        found = max(found, len(lost))
        log.warning("%s: %d rows were not in %s, inserting them", batch, len(lost), table.name)
        # Whoever misses the same rows inserts them under the same token, of which only the first counts.
        names = hashlib.sha256(repr(lost).encode()).hexdigest()[:16]
        rows = columns.filter(pc.is_in(columns["kafka_offset"], pa.array(lost, pa.int64())))
        check()
        database.insert(table, rows, f"missing:{names}:{attempt}")
    raise NotSettled(f"{batch}: rows are missing after {ATTEMPTS} inserts")


def settle_newest(database: Database, batch: Batch, converted: Converted, check: Callable[[], None]) -> int:
    """Make sure that the newest rows of a partition are those of a batch that was inserted, and nobody else's.

    Args, returns and raises like `settle`, and besides:

    Raises:
        Overtaken: others' are there, and perhaps not all of the batch.
    """
    table, columns = converted.table, converted.columns
    assert columns is not None
    first, last = (end.as_py() for end in pc.min_max(columns["kafka_offset"]).values())
    for attempt in range(ATTEMPTS):
        count, end = database.stored_from(table, batch.topic_id, batch.partition, first)
        if (count, end) == (columns.num_rows, last + 1):
            return columns.num_rows if attempt else 0
        if count:
            raise Overtaken(f"{batch}: {count} rows up to offset {end - 1} are there instead of {columns.num_rows}")
        log.warning("%s: no row is in %s, inserting them again", batch, table.name)
        check()
        database.insert(table, columns, str(attempt + 1))
    raise NotSettled(f"{batch}: no row is there after {ATTEMPTS} inserts")
