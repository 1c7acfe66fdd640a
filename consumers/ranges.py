"""Compares a range of offsets with what its table holds, and puts in what is missing.

Needed after any insert whose outcome was uncertain: ClickHouse may know a token whose rows were lost in a crash.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

from consumers.database import stored

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
        log.warning("%s: %d rows were not in %s, inserting them", batch.token, len(lost), table.name)
        # Whoever misses the same rows inserts them under the same token, of which only the first counts.
        names = hashlib.sha256(repr(lost).encode()).hexdigest()[:16]
        check()
        database.insert(table, columns, f"{batch.token}:missing:{names}:{attempt}")
    raise NotSettled(f"{batch.token}: rows are missing after {ATTEMPTS} inserts")
