"""Charts as numbers: scales, gaps, and what is said of an interval."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
from flask import Flask, g

from dashboard import charts
from dashboard.charts import Series

STARTS = [dt.datetime(2026, 11, 23, hour, tzinfo=dt.UTC) for hour in range(4)]


@pytest.fixture(autouse=True)
def app() -> Iterator[None]:
    with Flask(__name__).test_request_context():
        g.language = "es"
        yield


def label(moment: dt.datetime) -> str:
    return f"{moment:%H:%M}"


def test_bars_are_as_high_as_their_values_with_errors_below() -> None:
    counts, errors = Series("Requests", [10, 0, 5, 40]), Series("Errors", [0, 0, 5, 10])
    chart = charts.stacked(STARTS, counts, errors, label, "{:g}".format)
    assert [(bar.kind, bar.height) for bar in chart.bars] == [
        ("count", 25),
        ("count", 12.5),
        ("errors", 12.5),
        ("count", 100),
        ("errors", 25),
    ]
    assert all(bar.y + bar.height == charts.HEIGHT for bar in chart.bars)
    assert [tick.label for tick in chart.y_ticks] == ["0", "10", "20", "30", "40"]
    assert chart.hits[3].text == "03:00\nRequests: 40\nErrors: 10"


def test_lines_have_gaps_where_there_is_no_value_and_dots_for_lone_points() -> None:
    chart = charts.lines(STARTS, [Series("p95", [2000, None, 1000, 0])], label, "{:g}".format)
    assert chart.series[0].path == "M125.0 0.0M625.0 50.0L875.0 100.0"
    assert chart.series[0].dots == "M125.0 0.0h0"
    last = charts.lines(STARTS, [Series("p95", [None, 2000, None, 1000])], label, "{:g}".format)
    assert last.series[0].dots == "M375.0 0.0h0M875.0 50.0h0"
    assert [tick.label for tick in chart.y_ticks] == ["0", "500", "1.000", "1.500", "2.000"]
    assert chart.hits[1].text == "01:00"


@pytest.mark.parametrize(("highest", "top"), [(0.003, "0,003"), (3, "3"), (97, "100"), (26_656, "30.000")])
def test_scales_end_at_a_round_number_above_the_highest_value(highest: float, top: str) -> None:
    chart = charts.lines(STARTS[:1], [Series("x", [highest])], label, str)
    assert chart.y_ticks[-1].label == top


def test_nothing_at_all_is_drawn_without_an_error() -> None:
    chart = charts.lines(STARTS, [Series("p50", [None] * 4)], label, str)
    assert (chart.series[0].path, chart.series[0].dots) == ("", "")


def test_the_largest_groups_come_first() -> None:
    items = [{"user": "a", "count": 1}, {"user": "b", "count": 3}, {"user": "a", "count": 1}, {"user": "c", "count": 1}]
    assert charts.grouped(items, ["user"], 2) == [("b",), ("a",)]
