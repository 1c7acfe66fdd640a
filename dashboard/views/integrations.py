"""The users of the API: all of them, and a page for each with its failures, runs and addresses."""

from __future__ import annotations

import datetime as dt
from typing import Any

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext
from werkzeug.datastructures import MultiDict

from dashboard import i18n, integrations, rankings, trends
from dashboard.address import Address
from dashboard.drawings import COMPARISONS, drawings, requests_between, span
from dashboard.filters import FilterErrors, decode, exact
from dashboard.integrations import IntegrationQuery
from dashboard.layouts import LABELS
from dashboard.ranges import QUICK_RANGES, parameter
from dashboard.rankings import TABLES, RankingQuery
from dashboard.rows import Item
from dashboard.state import state
from dashboard.views.ranked import ranked
from dashboard.views.reports import by_parameter
from dashboard.views.trends import plain, sums

blueprint = Blueprint("integrations", __name__)

PATH = "/integrations"
GAPS = {
    "10": lazy_gettext("10 seconds"),
    "60": lazy_gettext("1 minute"),
    "300": lazy_gettext("5 minutes"),
    "900": lazy_gettext("15 minutes"),
    "3600": lazy_gettext("1 hour"),
}
MOST_ENDPOINTS = 10

blueprint.add_app_template_filter(integrations.path_to, "integration_path")


@blueprint.app_template_filter()
def duration(length: dt.timedelta) -> str:
    """A length of time with its two largest units."""
    seconds = length.total_seconds()
    if seconds < 60:
        return f"{i18n.shortest(round(seconds, 1))} s"
    minutes, seconds = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s"
    return f"{i18n.number(minutes // 60)} h {minutes % 60:02d} min"


@blueprint.get(PATH)
def show_list() -> ResponseReturnValue:
    """All users of the API, by volume unless another order is asked for."""
    address = Address(request.path, tuple(request.args.items(multi=True)))
    if target := plain(address):
        return redirect(str(target))
    shown: dict[str, Any] = {"errors": {}, "query": None, "ranking": None}
    status = 200
    try:
        ranking = rankings.parse(decode(request.query_string), i18n.zone(), TABLES["users"])
        i18n.use_zone(ranking.trend.zone)
        found = state().store.ranking(ranking)
        if not found.items and ranking.page > 1:
            return redirect(str(address.without("page")))
        base = address.dropping("from", "to", "compare", "sort", "page", "per_page").at("/api-requests")
        requests = span(base, ranking.trend.since, ranking.trend.until, ranking.trend)
        shown |= {
            "query": ranking.trend,
            "ranking": ranked(ranking, found, requests) if found.items else None,
            "health": state().store.health(),
        }
    except FilterErrors as wrong:
        status = 400
        shown["errors"] = by_parameter(wrong)
    return _page("integrations.html", address, {"from", "to", "compare", "user"}, shown), status


@blueprint.get(f"{PATH}/<path:name>", merge_slashes=False)
def show_one(name: str) -> ResponseReturnValue:
    """The page of a user."""
    user = integrations.user_of(name)
    path = integrations.path_to(user) or request.path
    address = Address(path, tuple(request.args.items(multi=True)))
    if target := plain(address):
        return redirect(str(target))
    shown: dict[str, Any] = {"errors": {}, "query": None, "found": None, "trend": None}
    status = 200
    try:
        query = integrations.parse(decode(request.query_string), user, i18n.zone())
        i18n.use_zone(query.zone)
        shown |= _read(query, address)
    except FilterErrors as wrong:
        status = 400
        shown["errors"] = by_parameter(wrong)
    typed = address.values("gap")[-1:]
    gaps = {**{text: f"{text[:20]} s" for text in typed}, **GAPS}
    return _page("integration.html", address, {"from", "to", "gap"}, {**shown, "user": user, "gaps": gaps}), status


def _page(template: str, address: Address, known: set[str], shown: dict[str, Any]) -> str:
    return render_template(
        template,
        **shown,
        address=address,
        labels=LABELS,
        comparisons=COMPARISONS,
        unknown={name: found for name, found in shown["errors"].items() if name not in known},
        quick_ranges=QUICK_RANGES,
        zone_name=i18n.zone().key,
        least=trends.MINIMUM_SAMPLE,
    )


def _read(query: IntegrationQuery, address: Address) -> dict[str, Any]:
    """What the page shows of the user."""
    store = state().store
    base = Address("/api-requests", (("user", exact(query.user)),))
    args = MultiDict([*base.pairs, ("tz", query.zone.key), ("interval", _interval(query))])
    args.update({"from": query.since.isoformat(), "to": query.until.isoformat()})
    trend = trends.parse(args, query.zone)
    items = store.trends(trend)
    if not items:
        return {"query": query}
    if zones := address.values("tz"):
        base = base.setting("tz", *zones)
    whole = span(base, query.since, query.until, trend)
    endpoints = RankingQuery(trend, TABLES["endpoints"], per_page=MOST_ENDPOINTS)
    found = store.integration(query)
    [mine] = store.ranking(RankingQuery(trend, TABLES["users"])).items
    return {
        "query": query,
        "trend": trend,
        "sums": sums(items),
        "mine": trends.reliable(mine),
        "drawings": drawings(trend, items, requests_between(trend, base)),
        "ranking": ranked(endpoints, store.ranking(endpoints), whole),
        "found": found,
        "runs": [(run, _run_rows(base, run, query)) for run in found.runs],
        "requests": whole,
        "slowest": whole.at("/api-requests/slowest"),
        "trends": whole.at("/trends").setting("interval", trend.interval),
    }


def _interval(query: IntegrationQuery) -> str:
    """The interval of the charts that suits the period."""
    hours = (query.until - query.since).total_seconds() / 3600
    return "minute" if hours <= 4 else "hour" if hours <= 24 * 12 else "day"


def _run_rows(base: Address, run: Item, query: IntegrationQuery) -> Address:
    """The requests of a run."""
    end = run["end"] + dt.timedelta(milliseconds=1)
    for name, moment in (("from", run["start"]), ("to", end)):
        local = moment.astimezone(query.zone)
        text = local.isoformat(timespec="milliseconds") if local.microsecond else parameter(local)
        base = base.setting(name, text)
    return base
