"""The batch loop: one thread that joins the consumer group, and joins it anew whenever a membership cannot go on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from consumers import metrics
from consumers.membership import Ask, Membership, Rejoin, Submit
from consumers.ranges import Overtaken
from schemas.settings import Settings

log = logging.getLogger(__name__)

#: Pause before the group is joined again, in seconds; it doubles while that fails at once.
PAUSE = 0.5
MAX_PAUSE = 8.0


class Loop:
    """Runs in a thread of its own from `start()` to `stop()`.

    Args:
        submit: takes a batch to be stored; the future ends when it is, or raises `Stopped`, `Flood` or `Overtaken`.
        ask: finds the offset behind a partition's last row.
        stopped: the topics that a flood has stopped.
    """

    def __init__(self, settings: Settings, submit: Submit, ask: Ask, stopped: Callable[[], frozenset[str]]) -> None:
        self._settings = settings
        self._submit = submit
        self._ask = ask
        self._stopped = stopped
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="batch-loop")
        self._membership: Membership | None = None
        self._error = ""
        self._admin = AdminClient(settings.kafka())
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Start polling."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the batches in hand, commit them, leave the group. Blocks until that is done."""
        self._stopping.set()
        self._thread.join()

    def snapshot(self) -> tuple[list[dict[str, Any]], str]:
        """State of every owned partition, and what was last heard of Kafka's failures (empty if all is well)."""
        membership = self._membership
        if membership is None:
            return [], self._error
        partitions = [partition.snapshot() for partition in list(membership.partitions.values())]
        # Once there are partitions, what ended the membership before is over.
        return partitions, membership.kafka_error or ("" if partitions else self._error)

    def _run(self) -> None:
        pause = PAUSE
        while not self._stopping.is_set():
            try:
                membership = self._membership = Membership(
                    self._settings, self._admin, self._submit, self._ask, self._stopped, self._stopping
                )
                try:
                    membership.run()
                    self._error = ""
                finally:
                    pause = PAUSE if membership.partitions else min(2 * pause, MAX_PAUSE)
                    membership.close()
            except (KafkaException, Rejoin, Overtaken) as error:
                self._error = str(error)
                metrics.REJOINS.inc()
                log.warning("leaving the group and joining it again in %.1f s: %s", pause, error)
                self._stopping.wait(pause)
            except BaseException as error:
                log.exception("the batch loop ended")
                self.failure = error
                return
