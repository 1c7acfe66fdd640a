"""Which rows of a range are inserted under its own token."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from consumers import tables
from consumers.batch import Converted
from consumers.ranges import untouched

OCTOBER, NOVEMBER = (dt.datetime(2026, month, 1, tzinfo=dt.UTC) for month in (10, 11))
#: The last millisecond of October is its own, the first of November not.
TIMES = [OCTOBER, NOVEMBER - dt.timedelta(milliseconds=1), NOVEMBER, NOVEMBER + dt.timedelta(days=1)]


@pytest.mark.parametrize(
    ("lost", "whole"),
    [
        ({10, 11, 12, 13}, [10, 11, 12, 13]),
        ({10, 11}, [10, 11]),
        ({10, 11, 13}, [10, 11]),
        ({11, 12, 13}, [12, 13]),
        ({11, 13}, []),
        (set[int](), []),
    ],
)
def test_a_month_that_has_none_of_its_rows_is_inserted_as_a_whole(lost: set[int], whole: list[int]) -> None:
    for table in (tables.API_REQUESTS, tables.ADMIN_CHANGES):
        columns = pa.table({table.time: pa.array(TIMES, pa.timestamp("ms", "UTC")), "kafka_offset": [10, 11, 12, 13]})
        assert untouched(Converted(table, columns, [], 0), lost)["kafka_offset"].to_pylist() == whole
