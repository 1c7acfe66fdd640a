"""A worker with protections taken out, for the checker's tests: `python -m tests.faults.mutated MUTATION`."""

from __future__ import annotations

import sys
import uuid

from consumers import database
from consumers.membership import Membership
from consumers.partition import Partition
from consumers.worker import run
from schemas.settings import Settings


def commit_before_insert() -> None:
    """The end of a range is committed when its insert begins."""
    advance = Membership._advance

    def early(self: Membership, partition: Partition) -> None:
        advance(self, partition)
        if partition.storing is not None and partition.committed == (stored := partition.stored):
            partition.stored = partition.storing[0].end
            self._commit(partition)
            partition.stored = stored

    Membership._advance = early  # type: ignore[method-assign]


def neither_token_nor_look() -> None:
    """Each insert has a token of its own, and does not look which of its rows are there."""
    database.token = lambda columns: str(uuid.uuid4())
    database.missing = lambda table, columns: "true"


MUTATIONS = {
    "none": lambda: None,
    "commit before insert": commit_before_insert,
    "neither token nor look": neither_token_nor_look,
}


if __name__ == "__main__":
    MUTATIONS[sys.argv[1]]()
    if sys.argv[1] != "none":
        # What is let go late on a slow machine is not refused for that: then nothing would be stored twice.
        database.INSERT_SECONDS = 120
    sys.exit(run(Settings.from_environ()))
