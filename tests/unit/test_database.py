"""Where an insert looks for its rows."""

from __future__ import annotations

import itertools
import re

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from consumers.database import CLOSE_MS, RANGES, stored
from consumers.tables import API_REQUESTS

DAY_MS = 86_400_000
SPAN = re.compile(r"BETWEEN fromUnixTimestamp64Milli\((\d+)\) AND fromUnixTimestamp64Milli\((\d+)\)")


def ranges(times: list[int]) -> list[tuple[int, int]]:
    columns = pa.table(
        {
            "requested_at": pa.array(times, pa.timestamp("ms", "UTC")),
            "kafka_topic_id": [bytes(16)] * len(times),
            "kafka_partition": [3] * len(times),
            "kafka_offset": range(len(times)),
        }
    )
    return [(int(first), int(last)) for first, last in SPAN.findall(stored(API_REQUESTS, columns))]


@given(st.lists(st.integers(0, 10 * DAY_MS) | st.integers(0, 20).map(lambda n: n * CLOSE_MS), min_size=1))
@example([0])
@example([n * DAY_MS for n in range(2 * RANGES)])
def test_all_times_are_in_few_ranges(times: list[int]) -> None:
    found = ranges(times)
    assert len(found) <= RANGES
    assert {end for one in found for end in one} <= set(times)
    assert all(any(first <= time <= last for first, last in found) for time in times)
    assert all(end + CLOSE_MS < begin for (_, end), (begin, _) in itertools.pairwise(found))


def test_of_old_events_and_new_ones_the_gaps_are_left_out() -> None:
    now = 1_000 * DAY_MS
    fresh = [now + n for n in range(500)]
    assert ranges([now - 300 * DAY_MS, *fresh, now - DAY_MS]) == [
        (now - 300 * DAY_MS, now - 300 * DAY_MS),
        (now - DAY_MS, now - DAY_MS),
        (now, now + 499),
    ]
    many = [now - n * n * DAY_MS for n in range(RANGES + 5)]
    assert ranges([*fresh, *many])[-1] == (now - 5 * 5 * DAY_MS, now + 499), "the smallest gaps are looked through"
