"""A worker with protections taken out, for the checker's tests: `python -m tests.faults.mutated MUTATION`."""

from __future__ import annotations

import re
import sys
import uuid
from collections.abc import Callable
from typing import Any

import confluent_kafka
from confluent_kafka import TopicPartition

from schemas.settings import Settings

PLAN = re.compile(r"\bplan (\d+)")


def change_commits(change: Callable[[TopicPartition], TopicPartition]) -> None:
    """Have every consumer commit something else. For before `consumers` is imported."""

    class Consumer(confluent_kafka.Consumer):
        def commit(self, offsets: list[TopicPartition], **options: Any) -> Any:  # type: ignore[override]
            return super().commit(offsets=[change(place) for place in offsets], **options)

    confluent_kafka.Consumer = Consumer  # type: ignore[misc]


def commit_before_insert() -> None:
    """The end of a range is committed when its insert begins."""

    def change(place: TopicPartition) -> TopicPartition:
        plan = PLAN.search(place.metadata or "")
        offset = int(plan[1]) if plan else place.offset
        return TopicPartition(place.topic, place.partition, offset, PLAN.sub("", place.metadata or "").strip())

    change_commits(change)


def no_look() -> None:
    """An insert does not look which of its rows are there. What else is taken out of commits comes before."""
    from consumers import database

    database.missing = lambda table, columns: "true"


def neither_plan_nor_look() -> None:
    """A commit does not say which range is being stored either."""
    change_commits(
        lambda place: TopicPartition(
            place.topic, place.partition, place.offset, PLAN.sub("", place.metadata or "").strip()
        )
    )
    no_look()


def neither_token_nor_look() -> None:
    """Each insert has a token of its own."""
    from consumers.batch import Batch

    Batch.token = property(lambda batch: str(uuid.uuid4()))  # type: ignore[assignment,method-assign]
    no_look()


MUTATIONS = {
    "none": lambda: None,
    "commit before insert": commit_before_insert,
    "neither plan nor look": neither_plan_nor_look,
    "neither token nor look": neither_token_nor_look,
}


if __name__ == "__main__":
    MUTATIONS[sys.argv[1]]()
    from consumers import database
    from consumers.worker import run

    if sys.argv[1] != "none":
        # What is let go late on a slow machine is not refused for that: then nothing would be stored twice.
        database.INSERT_SECONDS = 120
    sys.exit(run(Settings.from_environ()))
