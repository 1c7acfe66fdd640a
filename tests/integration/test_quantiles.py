"""Percentiles are those of the times, to 1 %, also from states."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from dashboard import quantiles


@pytest.fixture(scope="module")
def client(clickhouse: str) -> Iterator[Client]:
    made = clickhouse_connect.get_client(dsn=clickhouse, autogenerate_session_id=False)
    yield made
    made.close()


def wanted(times: list[float]) -> list[float]:
    """The times that so many of 100 do not exceed; those below 0.01 ms are none."""
    known = sorted(time if time >= 0.01 else 0 for time in times)
    return [known[math.ceil(level * len(known)) - 1] for level in (0.5, 0.95, 0.99)]


@pytest.mark.parametrize("count", [1, 2, 3, 20, 100, 101, 3000, 50_000])
@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_percentiles_of_requests_and_of_their_states(client: Client, count: int, spread: float) -> None:
    chance = random.Random(count)
    times = [round(chance.lognormvariate(3, spread), 3) for _ in range(count)]
    given = {"times": times}
    rows = "SELECT arrayJoin({times:Array(Float64)}) AS response_ms"
    states = (
        f"SELECT intHash32(rowNumberInAllBlocks()) % 7 AS part, {quantiles.STATE} AS state FROM ({rows}) GROUP BY part"
    )
    for sql in (f"{quantiles.OF_REQUESTS} FROM ({rows})", f"{quantiles.of_states()} FROM ({states})"):
        [[found]] = client.query(f"SELECT {sql}", parameters=given).result_rows
        assert found == pytest.approx(wanted(times), rel=0.0101)


@pytest.mark.parametrize("time", [-1, 0, 0.004, 0.01, 0.011, 0.99, 1, 7_000_000, 1e9, 1e200])
def test_no_time_is_too_short_or_too_long(client: Client, time: float) -> None:
    sql = f"SELECT {quantiles.OF_REQUESTS} FROM (SELECT toFloat64({time!r}) AS response_ms)"
    assert client.query(sql).result_rows[0][0] == pytest.approx(wanted([time]), rel=0.0101)


@pytest.mark.parametrize("time", ["nan", "inf", "-inf", "-0.0", "1e-308"])
def test_no_time_stops_an_insert(client: Client, time: str) -> None:
    for rows in (f"SELECT toFloat64('{time}') AS response_ms", f"SELECT arrayJoin([{time}, 1.0]) AS response_ms"):
        client.query(f"SELECT {quantiles.OF_REQUESTS} FROM ({rows})")


def test_no_requests_have_no_percentiles(client: Client) -> None:
    sql = f"SELECT {quantiles.OF_REQUESTS} FROM (SELECT 1.0 AS response_ms WHERE 0)"
    assert all(map(math.isnan, client.query(sql).result_rows[0][0]))
