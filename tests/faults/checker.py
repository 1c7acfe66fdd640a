"""Compares what Kafka acknowledged with the rows in ClickHouse, and the projections by the hour with the rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from dashboard import quantiles
from tests.faults.load import Kind, Load

#: Number of each stored event, and how often it is there.
STORED: dict[Kind, str] = {
    "api request": "SELECT toUInt32(request_id) AS number, count() FROM api_requests GROUP BY number",
    "admin change": "SELECT toUInt32(request_id) AS number, count() FROM admin_changes GROUP BY number",
    "bad message": """
        SELECT toUInt32(extract(value, 'event number (\\\\d+) ')) AS number, count() FROM dead_letters FINAL
        GROUP BY number
    """,
}

#: Hours of users: requests, failures and percentiles.
HOURS = f"""
    SELECT toStartOfHour(requested_at) AS hour, user, count(), countIf(status_code >= 400),
        toString(finalizeAggregation({quantiles.STATE}))
    FROM api_requests GROUP BY hour, user ORDER BY hour, user
"""


@dataclass(frozen=True)
class Findings:
    """What the checker found.

    Attributes:
        acknowledged: numbers of the events that Kafka acknowledged.
        stored: by number, how many rows or dead letters there are of an event.
        missing: numbers of acknowledged events that are not stored.
        twice: numbers of events that are stored more than once.
        unasked: events stored that Kafka did not acknowledge; not wrong, only unusual.
        groups: hours of users.
        wrong: those that differ between projection and rows.
    """

    acknowledged: list[int]
    stored: Counter[int]
    missing: list[int]
    twice: list[int]
    unasked: int
    groups: int
    wrong: int

    @property
    def rows(self) -> int:
        """Rows and dead letters stored."""
        return self.stored.total()

    @property
    def right(self) -> bool:
        """Whether everything is stored once, and the projections say the same."""
        return not (self.missing or self.twice or self.wrong)


def stored_count(client: Client) -> int:
    """How many different events are stored."""
    return sum(client.query(f"SELECT count() FROM ({sql})").result_rows[0][0] for sql in STORED.values())


def stored(client: Client) -> Counter[int]:
    """By number, how often an event is stored."""
    times: Counter[int] = Counter()
    for sql in STORED.values():
        for number, count in client.query(sql).result_rows:
            times[number] += count
    return times


def is_stored(client: Client, load: Load, below: int | None = None) -> bool:
    """Whether every event that Kafka acknowledged is stored; others may be too, so a count alone does not say it.

    Args:
        below: asks for events with lower numbers only.
    """
    acknowledged = load.acknowledged[:below]
    if stored_count(client) < sum(acknowledged):
        return False
    there = stored(client)
    return all(number in there for number, known in enumerate(acknowledged) if known)


def check(client: Client, load: Load) -> Findings:
    """Compare. The load has stopped, or what it sends meanwhile is found to be missing."""
    acknowledged = [number for number, known in enumerate(load.acknowledged) if known]
    times = stored(client)
    client.command("OPTIMIZE TABLE api_requests FINAL")  # parts have projections from their first merge on
    projected = set(client.query(HOURS, settings={"force_optimize_projection_name": "per_hour_by_user"}).result_rows)
    counted = set(client.query(HOURS, settings={"optimize_use_projections": 0}).result_rows)
    return Findings(
        acknowledged=acknowledged,
        stored=times,
        missing=[number for number in acknowledged if number not in times],
        twice=sorted(number for number, count in times.items() if count > 1),
        unasked=len(times.keys() - set(acknowledged)),
        groups=len(counted),
        wrong=len({group[:2] for group in projected ^ counted}),
    )
