"""Trends: requests, errors and response times over time, as charts and as a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext

from dashboard import charts, i18n, trends
from dashboard.address import Address
from dashboard.charts import Chart, Series
from dashboard.filters import FilterErrors, decode, exact
from dashboard.layouts import LABELS
from dashboard.ranges import QUICK_RANGES, parameter, quick_range, with_offset
from dashboard.state import state
from dashboard.trends import QUANTILES, TrendQuery
from dashboard.values import cell
from dashboard.views.reports import by_parameter

blueprint = Blueprint("trends", __name__)

PATH = "/trends"
MOST_LINES = 6
MOST_TABLE_ROWS = 500
INTERVALS = {"minute": lazy_gettext("Minute"), "hour": lazy_gettext("Hour"), "day": lazy_gettext("Day")}
BY = ("user", "route", "method", "status_code", "host")
#: The interval that suits a quick range.
SUITS = {"15m": "minute", "1h": "minute", "30d": "day"}


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart with its title and its unit."""

    title: str
    chart: Chart


@blueprint.get(PATH)
def show() -> ResponseReturnValue:
    """The form, the charts and the table."""
    address = Address(request.path, tuple(request.args.items(multi=True)))
    if target := _plain(address):
        return redirect(str(target))
    shown: dict[str, Any] = {"errors": {}, "query": None, "items": [], "drawings": [], "rows": []}
    status = 200
    try:
        query = trends.parse(decode(request.query_string), i18n.zone())
        i18n.use_zone(query.zone)
        items = state().store.trends(query)
        shown |= {
            "query": query,
            "items": items,
            "drawings": _drawings(query, items) if items else [],
            "rows": _rows(address, query, items[-MOST_TABLE_ROWS:]),
            "count": sum(item["count"] for item in items),
            "failed": sum(item["errors"] for item in items),
        }
    except FilterErrors as wrong:
        status = 400
        shown["errors"] = by_parameter(wrong)
    known = {"from", "to", "interval", "by", *BY}
    return (
        render_template(
            "trends.html",
            **shown,
            address=address,
            labels=LABELS,
            intervals=INTERVALS,
            by=BY,
            unknown={name: found for name, found in shown["errors"].items() if name not in known},
            quick_ranges=QUICK_RANGES,
            zone_name=i18n.zone().key,
            most_rows=MOST_TABLE_ROWS,
        ),
        status,
    )


def _plain(address: Address) -> Address | None:
    """Where a sent form or a quick range leads, as for the reports."""
    if ranges := address.values("range"):
        target = address.dropping("range", "from", "to")
        if ranges[-1] not in QUICK_RANGES:
            return target
        since, until = quick_range(ranges[-1], datetime.now(i18n.zone()))
        target = target.setting("from", parameter(since)).setting("interval", SUITS.get(ranges[-1], "hour"))
        return target.setting("to", parameter(until)) if until else target
    if not address.values("form"):
        return None
    pairs = [(name, value.strip()) for name, value in address.dropping("form").pairs if value.strip()]
    zone = i18n.zone()
    pairs = [(name, with_offset(value, zone) if name in ("from", "to") else value) for name, value in pairs]
    return Address(address.path, tuple(dict.fromkeys(pairs)))


def _rows(address: Address, query: TrendQuery, items: list[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
    """The latest first, each with the URL of the requests behind it."""
    ends = dict(pairwise([*query.starts(), query.until]))
    base = address.dropping("interval", "by", "from", "to").at("/api-requests")
    rows = []
    for item in reversed(items):
        target = base
        for column in query.by:
            value = str(item[column.name])
            target = target.setting(column.name, exact(value) if column.kind != "number" else value)
        since = max(item["start"], query.since)
        for name, moment in (("from", since), ("to", ends.get(item["start"], query.until))):
            target = target.setting(name, parameter(moment.astimezone(query.zone)))
        rows.append((item, str(target)))
    return rows


def _drawings(query: TrendQuery, items: list[dict[str, Any]]) -> list[Drawing]:
    starts = list(query.starts())
    label = _labeller(query)
    if not query.by:
        found = {item["start"]: item for item in items}
        counts = Series(gettext("Requests"), [found.get(start, {}).get("count", 0) for start in starts])
        errors = Series(gettext("Errors"), [found.get(start, {}).get("errors", 0) for start in starts])
        times = [Series(name, [found.get(start, {}).get(name) for start in starts]) for name in QUANTILES]
        return [
            Drawing(gettext("Requests and errors"), charts.stacked(starts, counts, errors, label, i18n.number)),
            Drawing(gettext("Response time (ms)"), charts.lines(starts, times, label, i18n.milliseconds)),
        ]
    names = [column.name for column in query.by]
    values = {(item["start"], *(item[name] for name in names)): item for item in items}
    groups = charts.grouped(items, names, MOST_LINES)

    def drawing(title: str, measure: str, empty: int | None, number: Callable[[float], str]) -> Drawing:
        series = [
            Series(
                cell(" · ".join(str(value) or "–" for value in group), 60),
                [values.get((start, *group), {}).get(measure, empty) for start in starts],
            )
            for group in groups
        ]
        return Drawing(title, charts.lines(starts, series, label, number))

    return [
        drawing(gettext("Requests"), "count", 0, i18n.number),
        drawing(gettext("Response time, p95 (ms)"), "p95", None, i18n.milliseconds),
        drawing(gettext("Errors"), "errors", 0, i18n.number),
    ]


def _labeller(query: TrendQuery) -> Callable[[datetime], str]:
    date = "%d/%m" if i18n.language() == "es" else "%m-%d"
    if query.interval == "day":
        form = date
    elif (query.until - query.since).total_seconds() <= 24 * 3600:
        form = "%H:%M"
    else:
        form = f"{date} %H:%M"
    return lambda moment: i18n.local(moment).strftime(form)
