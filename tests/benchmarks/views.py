"""The views of the dashboard as the benchmark of queries asks for them, and the same of drf-tracking's table."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from dashboard import history, integrations, rankings, trends
from dashboard.columns import API_REQUESTS, Report
from dashboard.filters import Query, parse
from dashboard.layouts import ADMIN, API, Layout
from dashboard.looks import Look
from dashboard.store import QueryTooSlow, Store
from tests.benchmarks import rows

MADRID = ZoneInfo("Europe/Madrid")
#: Columns of drf-tracking's table that hold what a search looks into.
PEER_TEXTS = (
    *("username_persistent", "path", "view", "view_method", "host", "method", "user_agent"),
    *("query_params", "data", "response", "errors"),
)
PEER_FACETS = ("username_persistent", "method", "status_code", "view", "host", "view_method")

Params = dict[str, Any]


@dataclass(frozen=True)
class Facts:
    """What questions are drawn from: values that are in the rows, most frequent first."""

    requests: int
    users: list[str]
    objects: list[str]
    addresses: list[str]
    event_ids: list[str]


@dataclass(frozen=True)
class View:
    """A view.

    Args:
        draw: parameters of one call.
        ours: the store's call.
        peer: the same by Django's ORM, None where drf-tracking has nothing like it.
        wide: whether it is a range over a month, a text search or percentiles, where ten times the peer is wanted.
    """

    name: str
    draw: Callable[[random.Random, Facts], Params]
    ours: Callable[[Store, Params], Any]
    peer: Callable[[Any, Params], Any] | None = None
    wide: bool = False


def _query(params: Params, report: Report = API_REQUESTS) -> Query:
    return parse(MultiDict([(name, str(value)) for name, value in params.items()]), report, MADRID)


def _page(store: Store, params: Params, layout: Layout = API) -> Any:
    """As the page of a report asks for it: the columns that it shows, and the count may follow."""
    look = Look(layout.read(layout.headings))
    return store.page(replace(_query(params, layout.report), look=look), large=False, count_seconds=0)


def _count(store: Store, params: Params) -> Any:
    """As a page asks for it behind its rows; one that runs into its limit has ended with a message there."""
    try:
        return store.count(_query({name: value for name, value in params.items() if name != "page"}), 5)
    except QueryTooSlow:
        return None


def _filtered(log: Any, params: Params) -> Any:
    from django.db.models import Q

    found = log.objects.all()
    if "from" in params:
        found = found.filter(requested_at__gte=params["from"], requested_at__lt=params["to"])
    if "user" in params:
        found = found.filter(username_persistent=params["user"])
    if "status_code" in params:
        found = found.filter(status_code__gte=int(params["status_code"].removeprefix(">=")))
    if "path" in params:
        found = found.filter(path__startswith=params["path"].removesuffix("*"))
    if "q" in params:
        test = Q()
        for name in PEER_TEXTS:
            test |= Q(**{f"{name}__icontains": params["q"]})
        found = found.filter(test)
    if "field.name" in params:
        # The rows' JSON has no blanks.
        written = f'"name":"{params["field.name"]}"'
        found = found.filter(
            Q(query_params__contains=written) | Q(data__contains=written) | Q(response__contains=written)
        )
    return found


def _peer_page(log: Any, params: Params) -> Any:
    first = (int(params.get("page", 1)) - 1) * 100
    found = _filtered(log, params).order_by(params.get("sort", "-requested_at"))
    return list(found[first : first + int(params.get("per_page", 100))])


def _peer_count(log: Any, params: Params) -> Any:
    return _filtered(log, params).count()


def _peer_facets(log: Any, params: Params) -> Any:
    from django.db.models import Count

    found = _filtered(log, params)
    return [list(found.values(name).annotate(n=Count("id")).order_by("-n")[:11]) for name in PEER_FACETS]


def _peer_histogram(log: Any, params: Params) -> Any:
    from django.db.models import Count, Q
    from django.db.models.functions import TruncDay

    kinds = {
        f"s{first}": Count("id", filter=Q(status_code__range=(first * 100, first * 100 + 99))) for first in (2, 3, 4, 5)
    }
    bars = _filtered(log, params).annotate(start=TruncDay("requested_at", tzinfo=MADRID)).values("start")
    return list(bars.annotate(n=Count("id"), **kinds).order_by("start"))


def _peer_measures() -> dict[str, Any]:
    from django.contrib.postgres.fields import ArrayField
    from django.db.models import Aggregate, Count, FloatField, Q

    class Percentiles(Aggregate):
        template = "percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY %(expressions)s)"
        output_field = ArrayField(FloatField())

    return {
        "n": Count("id"),
        "bad": Count("id", filter=Q(status_code__gte=400)),
        "p": Percentiles("response_ms"),
    }


def _peer_trends(interval: str, *by: str) -> Callable[[Any, Params], Any]:
    def ask(log: Any, params: Params) -> Any:
        from django.db.models.functions import TruncDay, TruncHour, TruncMinute

        trunc = {"minute": TruncMinute, "hour": TruncHour, "day": TruncDay}[interval]
        found = _filtered(log, params).annotate(start=trunc("requested_at", tzinfo=MADRID)).values("start", *by)
        return list(found.annotate(**_peer_measures()).order_by("start", *by))

    return ask


def _trends(**given: str) -> Callable[[Store, Params], Any]:
    return lambda store, params: store.trends(trends.parse(MultiDict({**params, **given}), MADRID))


def _span(days: int) -> Callable[[random.Random, Facts], Params]:
    def draw(chance: random.Random, facts: Facts) -> Params:
        first = rows.START + dt.timedelta(days=chance.randrange((rows.END - rows.START).days - days))
        first = first.astimezone(MADRID).replace(hour=0)
        return {"from": first.isoformat(), "to": (first + dt.timedelta(days=days)).isoformat()}

    return draw


def _nothing(chance: random.Random, facts: Facts) -> Params:
    return {}


def _with(draw: Callable[[random.Random, Facts], Params], **more: Callable[[random.Random, Facts], Any]) -> Any:
    return lambda chance, facts: draw(chance, facts) | {name: make(chance, facts) for name, make in more.items()}


def _user(chance: random.Random, facts: Facts) -> str:
    return chance.choice(facts.users[:50])


def _deep(chance: random.Random, facts: Facts) -> int:
    return chance.randrange(facts.requests // 200, max(facts.requests // 100, facts.requests // 200 + 1)) + 1


def _object(chance: random.Random, facts: Facts) -> Params:
    return {"object_id": chance.choice(facts.objects)}


def _suggested(chance: random.Random, facts: Facts) -> Params:
    column, prefix = chance.choice([("user", chance.choice(facts.users)[:2]), ("host", "a"), ("view", "isp.")])
    return {"column": column, "prefix": prefix}


def _history(store: Store, params: Params) -> Any:
    return store.history(history.parse(MultiDict(), "cpe", params["object_id"], MADRID))


def _peer_history(log: Any, params: Params) -> Any:
    from django.contrib.admin.models import LogEntry

    number = params["object_id"]
    changes = list(LogEntry.objects.filter(object_id=number).order_by("-action_time")[:51])
    requests = log.objects.filter(path__startswith=f"/api/v2/isp/cpes/{number}/").exclude(method="GET")
    return changes, list(requests.order_by("-requested_at")[:51]), requests.count()


def _home(store: Store, params: Params) -> Any:
    return _page(store, {"per_page": 10}), store.totals(), store.health()


def _peer_home(log: Any, params: Params) -> Any:
    return _peer_page(log, {"per_page": 10}), log.objects.count()


def _one(chance: random.Random, facts: Facts) -> Params:
    return {"id": chance.choice(facts.event_ids), "pk": chance.randrange(facts.requests) + 1}


def _beside(store: Store, params: Params) -> Any:
    item = store.row(API_REQUESTS, params["id"])
    assert item
    return store.neighbours(_query({}), item)


def _peer_beside(log: Any, params: Params) -> Any:
    item = log.objects.get(pk=params["pk"])
    before = log.objects.filter(requested_at__lt=item.requested_at).order_by("-requested_at").first()
    return before, log.objects.filter(requested_at__gt=item.requested_at).order_by("requested_at").first()


def _beside_slowest(store: Store, params: Params) -> Any:
    item = store.row(API_REQUESTS, params["id"])
    assert item
    return store.neighbours(_query({name: params[name] for name in ("user", "sort")}), item)


def _peer_beside_slowest(log: Any, params: Params) -> Any:
    item = log.objects.get(pk=params["pk"])
    found = _filtered(log, params)
    before = found.filter(response_ms__gt=item.response_ms).order_by("response_ms").first()
    return before, found.filter(response_ms__lt=item.response_ms).order_by("-response_ms").first()


def _with_related(store: Store, params: Params) -> Any:
    item = store.row(API_REQUESTS, params["id"])
    assert item
    return store.related(API_REQUESTS, [item])


def _ranking(table: str) -> Callable[[Store, Params], Any]:
    return lambda store, params: store.ranking(rankings.parse(MultiDict({**params, "table": table}), MADRID))


def _peer_ranking(*by: str) -> Callable[[Any, Params], Any]:
    def ask(log: Any, params: Params) -> Any:
        from django.db.models import Max

        found = _filtered(log, params).values(*by).annotate(last=Max("requested_at"), **_peer_measures())
        return list(found.order_by("-n")[:25])

    return ask


def _integration(store: Store, params: Params) -> Any:
    args = MultiDict({name: value for name, value in params.items() if name != "user"})
    return store.integration(integrations.parse(args, params["user"], MADRID))


def _peer_integration(log: Any, params: Params) -> Any:
    """Failures and addresses; it has no runs."""
    from django.db.models import Count, Max, Min, Q

    found = _filtered(log, params)
    times = {"n": Count("id"), "first": Min("requested_at"), "last": Max("requested_at")}
    failed = found.filter(status_code__gte=400).values("status_code", "method", "view")
    addresses = found.values("remote_addr").annotate(bad=Count("id", filter=Q(status_code__gte=400)), **times)
    return list(failed.annotate(**times).order_by("-n")[:26]), list(addresses.order_by("-n")[:21])


def _suggestions(store: Store, params: Params) -> Any:
    return store.values(API_REQUESTS, params["column"], params["prefix"], 8)


def _peer_suggestions(log: Any, params: Params) -> Any:
    from django.db.models import Count

    name = {"user": "username_persistent"}.get(params["column"], params["column"])
    found = log.objects.filter(**{f"{name}__istartswith": params["prefix"]})
    return list(found.values(name).annotate(n=Count("id")).order_by("-n")[:8])


def _admin(store: Store, params: Params) -> Any:
    return _page(store, params, ADMIN)


def _peer_admin(log: Any, params: Params) -> Any:
    from django.contrib.admin.models import LogEntry

    found = LogEntry.objects.all()
    if "object_id" in params:
        found = found.filter(object_id=params["object_id"])
    return list(found.order_by("-action_time")[:100]), found.count()


def _paged(name: str, draw: Any, *, wide: bool = False) -> list[View]:
    return [
        View(f"{name}: page", draw, _page, _peer_page, wide),
        View(f"{name}: count", draw, _count, _peer_count, wide),
    ]


def _slowest(*_: object) -> str:
    return "-response_ms"


def _text(word: Callable[[random.Random, Facts], str]) -> Any:
    return _with(_nothing, q=word)


VIEWS: list[View] = [
    View("home", _nothing, _home, _peer_home),
    *_paged("newest", _nothing),
    View("deep page", _with(_nothing, page=_deep), _page, _peer_page),
    *_paged("a day", _span(1)),
    *_paged("a month", _span(30), wide=True),
    *_paged("a user's errors", _with(_nothing, user=_user, status_code=lambda *_: ">=400")),
    *_paged("a user's month", _with(_span(30), user=_user), wide=True),
    View("slowest: page", _with(_nothing, sort=_slowest), _page, _peer_page),
    View("a user's slowest: page", _with(_nothing, user=_user, sort=_slowest), _page, _peer_page),
    View("by status: page", _with(_nothing, sort=lambda *_: "-status_code"), _page, _peer_page),
    *_paged("paths by wildcard", _with(_nothing, path=lambda c, f: f"/api/v2/isp/cpes/{c.choice(f.objects)}/*")),
    *_paged("text, common", _text(lambda c, f: c.choice(["MiFibra", "pim0", "Alicante"])), wide=True),
    *_paged("text, rare", _text(lambda c, f: f"pim{c.choice(f.objects):0>5}"), wide=True),
    *_paged("text, a number", _text(lambda c, f: c.choice(f.objects)), wide=True),
    *_paged("text, an address", _text(lambda c, f: c.choice(f.addresses)), wide=True),
    *_paged("text, absent", _text(lambda c, f: f"zq{c.randrange(10**6):06}"), wide=True),
    *_paged("a field", _with(_nothing, **{"field.name": lambda c, f: f"pim{c.choice(f.objects):0>5}"}), wide=True),
    View("facets", _nothing, lambda store, params: store.facets(_query(params)), _peer_facets),
    View("facets of a month", _span(30), lambda store, params: store.facets(_query(params)), _peer_facets, True),
    View(
        "histogram of a month", _span(30), lambda store, params: store.histogram(_query(params)), _peer_histogram, True
    ),
    View(
        "histogram of a user's month",
        _with(_span(30), user=_user),
        lambda store, params: store.histogram(_query(params)),
        _peer_histogram,
        True,
    ),
    View("percentiles per minute of a day", _span(1), _trends(interval="minute"), _peer_trends("minute"), True),
    View("percentiles per hour of a month", _span(30), _trends(interval="hour"), _peer_trends("hour"), True),
    View("percentiles per day of a month", _span(30), _trends(interval="day"), _peer_trends("day"), True),
    View(
        "percentiles per day and user, 30 days",
        _span(30),
        _trends(interval="day", by="user"),
        _peer_trends("day", "username_persistent"),
        True,
    ),
    View("endpoints, 30 days", _span(30), _ranking("endpoints"), _peer_ranking("view", "method"), True),
    View("integrations, 30 days", _span(30), _ranking("users"), _peer_ranking("username_persistent"), True),
    View("an integration, 30 days", _with(_span(30), user=_user), _integration, _peer_integration, True),
    View("what is slow in a month", _span(30), lambda store, params: store.slowest(_query(params))),
    View("suggestions", _suggested, _suggestions, _peer_suggestions),
    View("object's history", _object, _history, _peer_history),
    View(
        "row",
        _one,
        lambda store, params: store.row(API_REQUESTS, params["id"]),
        lambda log, params: log.objects.get(pk=params["pk"]),
    ),
    View("row with those beside it", _one, _beside, _peer_beside),
    View(
        "row with those beside it, a user's slowest",
        _with(_one, user=_user, sort=_slowest),
        _beside_slowest,
        _peer_beside_slowest,
    ),
    View("row with what it changed", _one, _with_related),
    View("admin report", _nothing, _admin, _peer_admin),
    View("admin report of an object", _object, _admin, _peer_admin),
]
