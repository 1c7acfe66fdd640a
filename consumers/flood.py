"""Stops a topic whose messages nearly all fail, so that a bad deployment does not drain it into the dead letters."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections import defaultdict, deque

from clickhouse_connect.driver.exceptions import ClickHouseError

from consumers.database import Database
from schemas.settings import Settings

log = logging.getLogger(__name__)

COLUMNS = ["topic", "state", "accepted_until", "reason", "at"]
STOPPED, RESUMED, ACCEPTED = "stopped", "resumed", "accepted"
NEVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Flood(Exception):
    """The topic is stopped; the batch is not stored and its dead letters were not sent."""


def say(database: Database, topic: str, state: str, reason: str, accepted_until: dt.datetime = NEVER) -> None:
    """Write down that a topic is stopped, resumed or accepted. Raises: ClickHouseError, OSError."""
    database.insert_rows("floods", [[topic, state, accepted_until, reason, dt.datetime.now(dt.UTC)]], COLUMNS)


class Floods:
    """Which topics are stopped. All workers share it through the table `floods`. Safe for several threads."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database = database
        self._window = settings.flood_window
        self._share = settings.flood_percent / 100
        self._seen: defaultdict[str, deque[tuple[int, int]]] = defaultdict(deque)
        self._unsaid: dict[str, str] = {}
        self._accepted: set[str] = set()
        self._guard = threading.Lock()
        self.stopped: frozenset[str] = frozenset()

    def judge(self, topic: str, good: int, bad: int) -> None:
        """Take in what became of a batch.

        Raises:
            Flood: with this batch, nearly all of the topic's last messages failed.
        """
        with self._guard:
            if topic in self._accepted:
                return
            if topic in self.stopped:
                raise Flood(topic)
            seen = self._seen[topic]
            seen.append((good + bad, bad))
            total, failed = (sum(counts) for counts in zip(*seen, strict=True))
            while total - seen[0][0] >= self._window:
                oldest = seen.popleft()
                total, failed = total - oldest[0], failed - oldest[1]
            if total < self._window or failed < self._share * total:
                return
            seen.clear()
            reason = f"{failed} of the last {total} messages could not become a row"
            self._unsaid[topic] = reason
            self.stopped |= {topic}
        log.error(
            "%s is stopped: %s. Mend what is wrong, then `krill-logger dead-letters resume %s`", topic, reason, topic
        )
        raise Flood(topic)

    def refresh(self) -> None:
        """Tell the other workers what was stopped here, and hear what was stopped or resumed elsewhere."""
        try:
            for topic, reason in list(self._unsaid.items()):
                say(self._database, topic, STOPPED, reason)
                self._unsaid.pop(topic)
            rows = self._database.rows("SELECT topic, state, accepted_until > now() FROM floods FINAL")
        except (ClickHouseError, OSError) as error:
            log.warning("floods not read: %s", str(error).splitlines()[0][:200])
            return
        with self._guard:
            self._accepted = {topic for topic, state, still in rows if state == ACCEPTED and still}
            self.stopped = frozenset({topic for topic, state, _ in rows if state == STOPPED} | self._unsaid.keys())
