"""Trends: requests, errors and response times over time, as charts and as tables."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext

from dashboard import dates, i18n, rankings, trends
from dashboard.address import Address
from dashboard.drawings import COMPARISONS, drawings, of_group, requests_between, span
from dashboard.filters import FilterErrors, decode
from dashboard.layouts import LABELS
from dashboard.ranges import QUICK_RANGES, quick_range
from dashboard.rankings import RankingQuery
from dashboard.rows import Item
from dashboard.state import state
from dashboard.trends import TrendQuery, reliable
from dashboard.views.ranked import ranked
from dashboard.views.reports import by_parameter

blueprint = Blueprint("trends", __name__)
blueprint.add_app_template_global(quick_range)

PATH = "/trends"
MOST_TABLE_ROWS = 500
INTERVALS = {"minute": lazy_gettext("Minute"), "hour": lazy_gettext("Hour"), "day": lazy_gettext("Day")}
BY = ("user", "route", "method", "status_code", "host")
TABLES = {"endpoints": lazy_gettext("Endpoints"), "users": lazy_gettext("Integrations")}
#: The interval that suits a quick range.
SUITS = {"15m": "minute", "1h": "minute", "30d": "day"}
#: Parameters that say how trends are shown, not which requests they are of.
_OF_THE_PAGE = ("interval", "by", "fill", "compare", "table", "sort", "page", "per_page")


@blueprint.get(PATH)
def show() -> ResponseReturnValue:
    """The form, the charts and the tables."""
    address = Address(request.path, tuple(request.args.items(multi=True)))
    if target := plain(address):
        return redirect(str(target))
    shown: dict[str, Any] = {"errors": {}, "query": None, "items": [], "drawings": [], "rows": []}
    status = 200
    try:
        ranking = rankings.parse(decode(request.query_string), i18n.zone())
        i18n.use_zone(ranking.trend.zone)
        found = _read(address, ranking)
        if found is None:
            return redirect(str(address.without("page")))
        shown |= found
    except FilterErrors as wrong:
        status = 400
        shown["errors"] = by_parameter(wrong)
    known = {"from", "to", "interval", "by", "compare", *BY}
    return (
        render_template(
            "trends.html",
            **shown,
            address=address,
            labels=LABELS,
            intervals=INTERVALS,
            comparisons=COMPARISONS,
            tables=TABLES,
            by=BY,
            unknown={name: found for name, found in shown["errors"].items() if name not in known},
            quick_ranges=QUICK_RANGES,
            zone_name=i18n.zone().key,
            most_rows=MOST_TABLE_ROWS,
            least=trends.MINIMUM_SAMPLE,
        ),
        status,
    )


def plain(address: Address) -> Address | None:
    """Where a sent form or a quick range leads, as for the reports."""
    if ranges := address.values("range"):
        target = address.dropping("range", "from", "to", "page")
        if ranges[-1] not in QUICK_RANGES:
            return target
        since, until = quick_range(ranges[-1])
        target = target.setting("from", str(since))
        if address.path == PATH:
            target = target.setting("interval", SUITS.get(ranges[-1], "hour"))
        return target.setting("to", until) if until else target
    if not address.values("form"):
        return None
    pairs = [(name, value.strip()) for name, value in address.dropping("form", "page").pairs if value.strip()]
    zone = i18n.zone()
    pairs = [
        (name, dates.moment(value, zone, latest=name == "to") if name in ("from", "to") else value)
        for name, value in pairs
    ]
    return Address(address.path, tuple(dict.fromkeys(pairs)))


def _read(address: Address, ranking: RankingQuery) -> dict[str, Any] | None:
    """What the page shows; None if the table has not got the page that was asked for."""
    query, store = ranking.trend, state().store
    requests = address.dropping("from", "to", *_OF_THE_PAGE).at("/api-requests")
    items = store.trends(query)
    found = store.ranking(ranking)
    if not found.items and ranking.page > 1:
        return None
    whole = span(requests, query.since, query.until, query)
    return {
        "query": query,
        "items": items,
        "drawings": drawings(query, items, requests_between(query, requests)) if items else [],
        "rows": _rows(requests, query, items[-MOST_TABLE_ROWS:]),
        "ranking": ranked(ranking, found, whole) if found.items else None,
        "slowest": whole.at("/api-requests/slowest"),
        "sums": sums(items),
    }


def sums(items: list[Item]) -> Item:
    """Requests, errors and error rate of all intervals, and `before` likewise if there is a comparison."""
    count, errors = (sum(item[name] for item in items) for name in ("count", "errors"))
    total = trends.measures(count, errors)
    if items and "before" in items[0]:
        total["before"] = sums([item["before"] for item in items if item["before"]])
    return total


def _rows(requests: Address, query: TrendQuery, items: list[Item]) -> list[tuple[Item, str]]:
    """The latest first, each with the URL of the requests behind it."""
    ends = dict(pairwise([*query.starts(), query.until]))
    rows = []
    for item in reversed(items):
        since, until = max(item["start"], query.since), min(ends.get(item["start"], query.until), query.until)
        rows.append((reliable(item), str(span(of_group(requests, item, query.by), since, until, query))))
    return rows
