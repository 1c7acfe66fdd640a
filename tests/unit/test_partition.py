"""What the worker plans for a partition, and what it does with another worker's plan."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from consumers.batch import Batch, Converted
from consumers.partition import STOPPED, Mark, Partition
from consumers.tables import API_REQUESTS

TOPIC_ID = "6e1c1a2c-6a0f-4f6e-9a37-0f8a5a3b1c2d"


class Message:
    def __init__(self, offset: int, size: int = 100) -> None:
        self._offset, self._size = offset, size

    def __len__(self) -> int:
        return self._size

    def offset(self) -> int:
        return self._offset


def partition(start: int = 0, plan: int | None = None) -> Partition:
    return Partition("topic", TOPIC_ID, 0, start, plan)


def add(to: Partition, *offsets: int, size: int = 100) -> None:
    to.add([Message(offset, size) for offset in offsets])  # type: ignore[misc]


def stored(batch: Batch) -> tuple[Batch, Future[Converted]]:
    future: Future[Converted] = Future()
    future.set_result(Converted(API_REQUESTS, None, [], 7))
    return batch, future


@pytest.mark.parametrize("mark", [Mark(TOPIC_ID), Mark(TOPIC_ID, 40)])
def test_a_mark_is_read_as_it_was_written(mark: Mark) -> None:
    assert Mark.parse(str(mark)) == mark


@pytest.mark.parametrize("metadata", [None, "", "plan 40", "topic", "topic a plan x", "topic a plan -1", "a b c d"])
def test_metadata_of_others_says_nothing(metadata: str | None) -> None:
    assert Mark.parse(metadata) == Mark()


def test_a_batch_is_due_when_it_is_full_or_old() -> None:
    one = partition()
    add(one, 0, 1, 2)
    assert one.next_batch(10, 10_000, 60) is None
    batch = one.next_batch(2, 10_000, 60)
    assert batch is not None
    assert (batch.start, batch.end, batch.replay) == (0, 2, False)
    one.storing = stored(batch)
    assert one.next_batch(2, 10_000, 0) is None, "one batch at a time"
    one.finish()
    assert (one.stored, one.held) == (2, 100)
    rest = one.next_batch(2, 10_000, 0)
    assert rest is not None
    assert (rest.start, rest.end) == (2, 3)


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


def test_a_plan_of_another_worker_is_stored_as_it_was_planned() -> None:
    one = partition(10, 14)
    add(one, 10, 11, 12)
    assert one.needed
    assert one.next_batch(2, 100, 0) is None
    add(one, 15)  # 13 and 14 are marks of a transaction
    assert not one.needed
    batch = one.next_batch(2, 100, 0)
    assert batch is not None
    assert (batch.start, batch.end, len(batch.messages), batch.replay) == (10, 14, 3, True)


def test_a_plan_without_messages_is_an_empty_batch() -> None:
    one = partition(10, 14)
    one.position = 14  # an end-of-partition event says so
    batch = one.next_batch(2, 100, 0)
    assert batch is not None
    assert (batch.end, batch.messages) == (14, [])


def test_a_plan_that_ends_where_it_begins_is_none() -> None:
    assert partition(10, 10).plan is None


def test_what_is_given_up_stays_planned_and_is_read_again() -> None:
    one = partition()
    add(one, 0, 1, 2)
    batch = one.next_batch(2, 10_000, 0)
    assert batch is not None
    one.plan, one.storing = batch.end, (batch, Future())
    one.rewind()
    one.stopped = True
    assert batch.abandoned.is_set()
    assert (one.position, one.plan, one.replay, one.held) == (0, 2, True, 0)
    assert one.next_batch(2, 10_000, 0) is None
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
