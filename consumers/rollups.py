"""Compares the rollup with the rows it is made of, and builds wrong minutes anew.

Each row of the rollup belongs to one partition of one topic, which one worker owns: it alone writes there.
"""

# What is put into SQL text here is our own names and numbers; the rest are parameters.
# ruff: noqa: S608
from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from consumers.database import Database

log = logging.getLogger(__name__)

ROLLUP = "api_requests_per_minute"
ATTEMPTS = 5
PAUSE = 0.2
#: Minutes named one by one in a query.
MINUTES = 500


class RollupDiffers(Exception):
    """The rollup could not be brought to what the rows say."""


_GROUP = "minute, user, route, method, status_code, host, kafka_topic_id, kafka_partition"
_LEVELS = "0.01, 0.5, 0.95, 0.99"

#: Both sides as one hash per group: a group that is the same on both sides cancels out.
_COMPARE = f"""
SELECT toString(kafka_topic_id), kafka_partition, toUnixTimestamp(minute) AS unix
FROM (
    SELECT minute, kafka_topic_id, kafka_partition,
        sipHash64({_GROUP}, sum(count), sum(errors), toString(quantilesDDMerge({_LEVELS})(response_ms))) AS hash
    FROM {ROLLUP}
    WHERE {{rollup}}
    GROUP BY {_GROUP}
    UNION ALL
    SELECT toStartOfMinute(requested_at) AS minute, kafka_topic_id, kafka_partition,
        sipHash64({_GROUP}, count(), countIf(status_code >= 400), toString(quantilesDD({_LEVELS})(response_ms)))
    FROM api_requests
    WHERE {{rows}}
    GROUP BY {_GROUP}
)
GROUP BY kafka_topic_id, kafka_partition, minute
HAVING groupBitXor(hash) != 0
ORDER BY minute
"""

_REBUILD = f"""
SELECT toStartOfMinute(requested_at) AS minute, user, route, method, status_code, host, kafka_topic_id,
    kafka_partition, count(), countIf(status_code >= 400), quantilesDDState({_LEVELS})(response_ms)
FROM api_requests
WHERE {{rows}} AND {{{{in_time}}}}
GROUP BY {_GROUP}
"""

_COLUMNS = f"({_GROUP}, count, errors, response_ms)"


def differing(database: Database, since: int, until: int, where: str = "1") -> list[tuple[str, int, int]]:
    """Which minutes in [since, until) differ from the rows.

    Args:
        since, until: Unix times.
        where: a condition on `kafka_topic_id`, `kafka_partition`; nothing from outside.

    Returns:
        (topic id, partition, Unix time of the minute), oldest first. Rows that are being inserted now differ too.
    """
    rollup = f"minute >= toDateTime({since}, 'UTC') AND minute < toDateTime({until}, 'UTC') AND {where}"
    rows = (
        f"requested_at >= toDateTime64({since}, 3, 'UTC') AND requested_at < toDateTime64({until}, 3, 'UTC') "
        f"AND {where}"
    )
    return [(row[0], row[1], row[2]) for row in database.rows(_COMPARE.format(rollup=rollup, rows=rows))]


def mend(
    database: Database,
    topic_id: str,
    partition: int,
    minutes: Iterable[int],
    check: Callable[[], None] = lambda: None,
) -> int:
    """Compare minutes (Unix times) of one partition with the rows and build anew what differs, until nothing does.

    Safe while other partitions are written, and for the worker that owns this one. Beside an owner that writes the
    same minutes it may take several rounds.

    Args:
        check: called before each statement that changes something; raises to give up.

    Returns:
        How many minutes were wrong.

    Raises:
        ClickHouseError, OSError: not done; try again.
        RollupDiffers: rows of these minutes kept coming.
    """
    ordered, found = sorted(minutes), 0
    for at in range(0, len(ordered), MINUTES):
        wrong = _differing_of(database, topic_id, partition, ordered[at : at + MINUTES])
        if wrong:  # what is being stored differs for a moment
            time.sleep(PAUSE)
            wrong = _differing_of(database, topic_id, partition, wrong)
        found += len(wrong)
        for _ in range(ATTEMPTS):
            if not wrong:
                break
            log.warning("%s [%d]: building %d minutes of the rollup anew", topic_id, partition, len(wrong))
            check()
            _rebuild(database, _only(topic_id, partition, wrong))
            # A row that was just inserted may be in its table and not yet in the rollup: it would be counted twice.
            time.sleep(PAUSE)
            wrong = _differing_of(database, topic_id, partition, wrong)
        if wrong:
            raise RollupDiffers(f"{len(wrong)} minutes of the rollup still differ from the rows")
    return found


def _differing_of(database: Database, topic_id: str, partition: int, minutes: list[int]) -> list[int]:
    where = _only(topic_id, partition, minutes)
    return [minute for _, _, minute in differing(database, minutes[0], minutes[-1] + 60, where)]


def _only(topic_id: str, partition: int, minutes: list[int]) -> str:
    listed = ", ".join(f"toDateTime({minute}, 'UTC')" for minute in minutes)
    return (
        f"kafka_topic_id = toUUID('{uuid.UUID(topic_id)}') AND kafka_partition = {partition:d} AND minute IN ({listed})"
    )


def _rebuild(database: Database, only: str) -> None:
    database.change(f"ALTER TABLE {ROLLUP} DELETE WHERE {only}")
    # No two rebuilds are alike: rows may have come in between.
    database.insert_selected(f"{ROLLUP} {_COLUMNS}", _REBUILD.format(rows=only), f"rebuild:{uuid.uuid4()}")
