"""Where an insert looks for its rows."""

from __future__ import annotations

import re

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from consumers.database import SPAN_MS, SPANS, stored
from consumers.tables import API_REQUESTS

DAY_MS = 86_400_000
LOOKED_IN = re.compile(r"intDiv\(toUnixTimestamp64Milli\(requested_at\), (\d+)\) IN \(([-0-9, ]+)\)$")


def looked_in(times: list[int]) -> tuple[int, set[int]]:
    """How wide the spans are, and which of them are looked in."""
    columns = pa.table(
        {
            "requested_at": pa.array(times, pa.timestamp("ms", "UTC")),
            "kafka_topic_id": [bytes(16)] * len(times),
            "kafka_partition": [3] * len(times),
            "kafka_offset": range(len(times)),
        }
    )
    found = LOOKED_IN.search(stored(API_REQUESTS, columns))
    assert found is not None
    return int(found[1]), {int(span) for span in found[2].split(", ")}


@given(st.lists(st.integers(-10 * DAY_MS, 10 * DAY_MS) | st.integers(-20, 20).map(lambda n: n * SPAN_MS), min_size=1))
@example([n * SPAN_MS for n in range(SPANS)])
@example([n * SPAN_MS for n in range(SPANS + 1)])
@example([n * DAY_MS for n in range(3 * SPANS)])
def test_the_spans_of_all_times_and_no_others_are_looked_in(times: list[int]) -> None:
    width, spans = looked_in(times)
    assert spans == {abs(time) // width * (1 if time > 0 else -1) for time in times}
    assert len(spans) <= SPANS
    assert width == SPAN_MS or len(spans) >= SPANS // 2


def test_nothing_is_looked_for_between_old_events_and_new_ones() -> None:
    now = 1_000 * DAY_MS
    width, spans = looked_in([now - 300 * DAY_MS, *(now + n for n in range(500)), now - DAY_MS])
    assert {span * width for span in spans} == {now - 300 * DAY_MS, now - DAY_MS, now}
