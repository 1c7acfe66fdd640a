"""The charts of trends: requests and errors, the error rate, response times; each over the period compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import Any

from flask_babel import gettext, lazy_gettext

from dashboard import charts, i18n
from dashboard.address import Address
from dashboard.charts import Chart, Series
from dashboard.conditions import exact
from dashboard.quantiles import NAMES as PERCENTILES
from dashboard.ranges import parameter
from dashboard.rows import Item
from dashboard.trends import MINIMUM_SAMPLE, TrendQuery, reliable
from dashboard.values import cell

#: Lines of a chart of groups; fewer where each has a second one for the period compared with.
MOST_LINES = 6
MOST_COMPARED = 3
#: More intervals than this lead nowhere.
MOST_LINKS = 300
#: What a comparison is called in a form, and beside a line.
COMPARISONS = {
    "previous": lazy_gettext("The period before"),
    "week": lazy_gettext("The same weekdays last week"),
}

_Number = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart with its title."""

    title: str
    chart: Chart


def drawings(query: TrendQuery, items: list[Item], links: Sequence[str]) -> list[Drawing]:
    """The charts of `items`.

    Args:
        links: where each interval of the query leads, if anywhere.
    """
    label = cache(labeller(query))
    starts = list(query.starts())
    items = [reliable(item) for item in items]
    if query.by:
        return _of_groups(query, items, starts, label, links)
    found = {item["start"]: item for item in items}

    def now(name: str, empty: int | None = None) -> list[Any]:
        return [found.get(start, {}).get(name, empty) for start in starts]

    def before(name: str, empty: int | None = None) -> list[Any]:
        return [(found.get(start, {}).get("before") or {}).get(name, empty) for start in starts]

    def compared(title: str, name: str, look: str, empty: int | None = None) -> list[Series]:
        if not query.compare:
            return []
        return [Series(f"{title} ({beside(query)})", _percent(name, before(name, empty)), look=f"{look} before")]

    counts, errors = Series(gettext("Requests"), now("count", 0)), Series(gettext("Errors"), now("errors", 0))
    earlier = compared(counts.name, "count", "s0", 0)
    rate = Series(gettext("Error rate"), _percent("error_rate", now("error_rate")), look="errors")
    times = [
        Series(name, now(name), absent=few(name) if name != "p50" else "", look=f"s{place}")
        for place, name in enumerate(PERCENTILES)
    ]
    return [
        Drawing(
            gettext("Requests and errors"),
            charts.stacked(starts, counts, errors, label, i18n.number, links, earlier),
        ),
        Drawing(
            gettext("Response time (ms)"),
            charts.lines(starts, times + compared("p95", "p95", "s1"), label, i18n.milliseconds, links),
        ),
        Drawing(
            gettext("Error rate (%)"),
            charts.lines(starts, [rate, *compared(rate.name, "error_rate", "errors")], label, percent, links),
        ),
    ]


def _of_groups(
    query: TrendQuery, items: list[Item], starts: list[datetime], label: Callable[[datetime], str], links: Sequence[str]
) -> list[Drawing]:
    names = [column.name for column in query.by]
    values = {(item["start"], *(item[name] for name in names)): item for item in items}
    groups = charts.grouped(items, names, MOST_COMPARED if query.compare else MOST_LINES)

    def drawing(title: str, name: str, empty: int | None, number: _Number, absent: str = "") -> Drawing:
        series = []
        for place, group in enumerate(groups):
            found = [values.get((start, *group), {}) for start in starts]
            called = cell(" · ".join(str(value) or "–" for value in group), 60)
            now = [item.get(name, empty) for item in found]
            series.append(Series(called, _percent(name, now), look=f"s{place}", absent=absent))
            if query.compare:
                before = [(item.get("before") or {}).get(name, empty) for item in found]
                series.append(Series(f"{called} ({beside(query)})", _percent(name, before), look=f"s{place} before"))
        return Drawing(title, charts.lines(starts, series, label, number, links))

    return [
        drawing(gettext("Requests"), "count", 0, i18n.number),
        drawing(gettext("Response time, p95 (ms)"), "p95", None, i18n.milliseconds, few("p95")),
        drawing(gettext("Error rate (%)"), "error_rate", None, percent),
    ]


def percent(value: float) -> str:
    """A number of percent with its sign."""
    return f"{i18n.decimal(value, 2)} %"


def few(name: str) -> str:
    """Why a percentile is not shown."""
    return str(gettext("fewer than %(count)s requests", count=MINIMUM_SAMPLE[name]))


def beside(query: TrendQuery) -> str:
    """What the period compared with is called beside a line."""
    return str(gettext("a week earlier") if query.compare == "week" else gettext("before"))


def requests_between(query: TrendQuery, base: Address) -> list[str]:
    """The URL of the requests of each interval: `base` with its part of the period; none of more than `MOST_LINKS`."""
    limits = [*query.starts(), query.until]
    if len(limits) > MOST_LINKS + 1:
        return []
    return [str(span(base, max(start, query.since), min(end, query.until), query)) for start, end in pairwise(limits)]


def span(base: Address, since: datetime, until: datetime, query: TrendQuery) -> Address:
    """`base` from `since` to `until`."""
    for name, moment in (("from", since), ("to", until)):
        base = base.setting(name, parameter(moment.astimezone(query.zone)))
    return base


def of_group(base: Address, item: Item, columns: Sequence[Any]) -> Address:
    """`base` with only the requests of the group."""
    for column in columns:
        value = str(item[column.name])
        base = base.setting(column.name, exact(value) if column.kind != "number" else value)
    return base


def labeller(query: TrendQuery) -> Callable[[datetime], str]:
    """How the start of an interval is written."""
    date = "%d/%m" if i18n.language() == "es" else "%m-%d"
    if query.interval == "day":
        form = date
    elif (query.until - query.since).total_seconds() <= 24 * 3600:
        form = "%H:%M"
    else:
        form = f"{date} %H:%M"
    return lambda moment: i18n.local(moment).strftime(form)


def _percent(name: str, values: list[Any]) -> list[Any]:
    if name != "error_rate":
        return values
    return [None if value is None else 100 * value for value in values]
