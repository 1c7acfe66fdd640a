"""Which batches the worker makes of a partition, its own and those of owners before it."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pyarrow as pa
import pytest

from consumers.batch import Batch, Converted
from consumers.partition import STOPPED, Partition, mark, marked
from consumers.tables import API_REQUESTS

TOPIC_ID = "6e1c1a2c-6a0f-4f6e-9a37-0f8a5a3b1c2d"


class Message:
    def __init__(self, offset: int, size: int = 100) -> None:
        self._offset, self._size = offset, size

    def __len__(self) -> int:
        return self._size

    def offset(self) -> int:
        return self._offset


def partition(start: int = 0, edge: int | None = 0) -> Partition:
    one = Partition("topic", TOPIC_ID, 0, start)
    one.edge = edge
    return one


def add(to: Partition, *offsets: int, size: int = 100) -> None:
    to.add([Message(offset, size) for offset in offsets])  # type: ignore[misc]


def stored(batch: Batch, rows: int = 1) -> tuple[Batch, Future[Converted]]:
    future: Future[Converted] = Future()
    columns = pa.table({"kafka_offset": range(rows)}) if rows else None
    future.set_result(Converted(API_REQUESTS, columns, [], 7))
    return batch, future


def test_a_mark_is_read_as_it_was_written_and_as_older_releases_wrote_it() -> None:
    assert marked(mark(TOPIC_ID)) == marked(f"topic {TOPIC_ID} plan 40") == TOPIC_ID


@pytest.mark.parametrize("metadata", [None, "", "plan 40", "topic", "a b c d"])
def test_metadata_of_others_says_nothing(metadata: str | None) -> None:
    assert marked(metadata) == ""


def test_a_batch_is_due_when_it_is_full_or_old() -> None:
    one = partition()
    add(one, 0, 1, 2)
    assert one.next_batch(10, 10_000, 60) is None
    batch = one.next_batch(2, 10_000, 60)
    assert batch is not None
    assert (batch.start, batch.end, batch.again, batch.first) == (0, 2, False, True)
    one.storing = stored(batch)
    assert one.next_batch(2, 10_000, 0) is None, "one batch at a time"
    one.finish()
    assert (one.stored, one.held) == (2, 100)
    rest = one.next_batch(2, 10_000, 0)
    assert rest is not None
    assert (rest.start, rest.end, rest.first) == (2, 3, False)


def test_a_batch_is_bounded_in_bytes_but_takes_one_message_of_any_size() -> None:
    one = partition()
    add(one, 0, 1, 2, size=60)
    batch = one.next_batch(10, 100, 0)
    assert batch is not None
    assert len(batch.messages) == 1
    big = partition()
    add(big, 0, size=1_000)
    whole = big.next_batch(10, 100, 0)
    assert whole is not None
    assert whole.end == 1


def test_what_is_in_hand_is_not_taken_in_again() -> None:
    one = partition(10)
    add(one, 10, 11)
    add(one, 10, 11, 12)
    add(one, 11, 12)
    batch = one.next_batch(10, 10_000, 0)
    assert batch is not None
    assert [message.offset() for message in batch.messages] == [10, 11, 12]
    assert one.held == 300


def test_nothing_is_stored_before_it_is_known_where_other_owners_rows_end() -> None:
    one = partition(edge=None)
    add(one, 0, 1)
    assert one.next_batch(2, 100, 0) is None
    one.edge = 0
    assert one.next_batch(2, 100, 0) is not None


def test_a_batch_ends_where_other_owners_rows_end() -> None:
    one = partition(10, 15)
    add(one, 10, 11, 12, 16, 17)  # the others are marks of transactions
    batches = []
    while batch := one.next_batch(2, 1_000, 0):
        batches.append(batch)
        one.storing = stored(batch)
        one.finish()
    assert [(batch.start, batch.end, len(batch.messages), batch.again, batch.first) for batch in batches] == [
        (10, 12, 2, True, True),
        (12, 13, 1, True, True),
        (13, 18, 2, False, True),
    ]
    add(one, 18)
    behind = one.next_batch(2, 1_000, 0)
    assert behind is not None
    assert not behind.first


def test_a_batch_without_rows_leaves_the_next_the_first_one() -> None:
    one = partition()
    add(one, 0, 1)
    for _ in range(2):
        batch = one.next_batch(1, 1_000, 0)
        assert batch is not None
        assert batch.first
        one.storing = stored(batch, rows=0)
        one.finish()


def test_what_is_given_up_is_taken_over_like_what_another_owner_left() -> None:
    one = partition()
    add(one, 0, 1, 2)
    batch = one.next_batch(1, 10_000, 0)
    assert batch is not None
    one.storing = stored(batch)
    one.finish()
    given_up = one.next_batch(1, 10_000, 0)
    assert given_up is not None
    one.storing = (given_up, Future())
    one.rewind()
    assert given_up.abandoned.is_set()
    assert (one.position, one.edge, one.first, one.held) == (1, None, True, 0)
    one.stopped, one.edge = True, 2
    add(one, 1)
    assert one.next_batch(1, 10_000, 0) is None
    assert one.snapshot()["state"] == STOPPED


def test_what_storing_raised_is_raised() -> None:
    one = partition()
    add(one, 0)
    batch = one.next_batch(1, 100, 0)
    future: Future[Any] = Future()
    future.set_exception(RuntimeError("no"))
    assert batch is not None
    one.storing = (batch, future)
    with pytest.raises(RuntimeError):
        one.finish()
    assert one.stored == 0
