"""The histogram and the facets of a report's result: fragments that its page loads after the table, or pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext

from dashboard import charts, i18n
from dashboard.address import Address
from dashboard.clickhouse import StoreError
from dashboard.facets import Facet, Value
from dashboard.filters import FilterErrors, Query, decode, parse
from dashboard.histogram import KINDS, OTHER, Bucket, Histogram, Step
from dashboard.layouts import ACTIONS, LABELS, LAYOUTS, Layout
from dashboard.ranges import parameter
from dashboard.state import state

blueprint = Blueprint("summaries", __name__)

#: Share of the width of a bucket that its bar takes, and the least height of a part that counts anything (percent).
BAR_SHARE = 0.8
LEAST_HEIGHT = 2.0
#: Longest that counting all may take, and then that counting the first 100,000 may.
COUNT_SECONDS = 5
_OF_THE_LIST = ("open", "page", "fragment")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a bar in percent of the plot; `kind` names its colour and pattern."""

    kind: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A bucket in percent of the plot: its place, its bar, where a click leads and what it says."""

    left: float
    step: float
    x: float
    width: float
    parts: list[Part]
    address: Address
    lines: list[str]


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of the legend: all rows of a kind, and the list of them if a filter can name it."""

    kind: str
    label: str
    count: int
    address: Address | None


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of a facet: the list with only it, the list without it, or (`active`) without the filter on it."""

    text: str
    count: int
    share: float
    active: bool
    only: Address | None
    out: Address | None


def show_histogram(layout: Layout) -> ResponseReturnValue:
    """Bars over time, each a link to the rows in it."""

    def read(query: Query, base: Address) -> dict[str, Any]:
        found = state().store.histogram(query)
        starts = [bucket.start for bucket in found.buckets]
        label = _labeller(found)
        top, y_ticks = charts.scale([sum(bucket.counts) for bucket in found.buckets])
        return {
            "bars": _bars(query, found, base, top),
            "keys": _keys(query, found, base),
            "total": sum(sum(bucket.counts) for bucket in found.buckets),
            "x_ticks": charts.x_ticks(starts, label),
            "y_ticks": [y_ticks[0], y_ticks[-1]],
        }

    return _answer(layout, "histogram", gettext("Histogram"), read)


def show_facets(layout: Layout) -> ResponseReturnValue:
    """The most frequent values of some columns, each with links that include and exclude it."""

    def read(query: Query, base: Address) -> dict[str, Any]:
        found = state().store.facets(query)
        return {
            "found": found,
            "facets": [(facet, [_choice(facet, value, base) for value in facet.values]) for facet in found.facets],
        }

    return _answer(layout, "facets", gettext("Facets"), read)


def show_count(layout: Layout) -> ResponseReturnValue:
    """How many rows match, for a list that did not wait for it."""

    def read(query: Query, _base: Address) -> dict[str, Any]:
        return {"found": state().store.count(query, COUNT_SECONDS)}

    return _answer(layout, "count", gettext("Matching items"), read)


def _answer(
    layout: Layout, name: str, title: str, read: Callable[[Query, Address], dict[str, Any]]
) -> ResponseReturnValue:
    report = layout.report
    base = Address(f"/{report.name}", tuple(request.args.items(multi=True))).dropping(*_OF_THE_LIST)
    try:
        args = decode(request.query_string)
        for parameter_ in _OF_THE_LIST:
            args.poplist(parameter_)
        query = parse(args, report, i18n.zone())
    except FilterErrors:
        # The report shows each message beside its field.
        return redirect(str(base))
    i18n.use_zone(query.zone)
    shown: dict[str, Any] = {"layout": layout, "report": report, "base": base, "labels": LABELS, "failure": ""}
    fragment = "fragment" in request.args
    try:
        shown |= read(query, base)
    except StoreError as error:
        if not fragment:
            raise
        shown["failure"] = gettext(str(error))
    if fragment:
        return render_template(f"{name}.html", **shown)
    return render_template("summary.html", **shown, summary=f"{name}.html", title=title)


def _bars(query: Query, found: Histogram, base: Address, top: float) -> list[Bar]:
    step = 100 / len(found.buckets)
    bars = []
    for place, bucket in enumerate(found.buckets):
        parts, y = [], 100.0
        for kind, count in zip(_kinds(query), bucket.counts, strict=True):
            if count:
                height = max(LEAST_HEIGHT, count / top * 100)
                y -= height
                parts.append(Part(kind, round(y, 3), round(height, 3)))
        left = place * step
        bars.append(
            Bar(
                round(left, 3),
                round(step, 3),
                round(left + step * (1 - BAR_SHARE) / 2, 3),
                round(step * BAR_SHARE, 3),
                parts,
                _zoomed(query, bucket, base),
                _lines(query, found.step, bucket),
            )
        )
    return bars


def _zoomed(query: Query, bucket: Bucket, base: Address) -> Address:
    """The rows of a bucket that lie in the range of the query."""
    since = max(bucket.start, query.since) if query.since else bucket.start
    until = min(bucket.end, query.until) if query.until else bucket.end
    return base.setting("from", _instant(since)).setting("to", _instant(until))


def _instant(moment: datetime) -> str:
    local = i18n.local(moment)
    return local.isoformat(timespec="milliseconds") if local.microsecond else parameter(local)


def _lines(query: Query, step: Step, bucket: Bucket) -> list[str]:
    total = sum(bucket.counts)
    precision: Literal["second", "minute"] = "second" if step.unit == "second" and step.count < 60 else "minute"
    labels = _labels(query)
    return [
        f"{i18n.moment(bucket.start, precision)} – {i18n.moment(bucket.end, precision)}",
        ngettext("%(count)s event", "%(count)s events", total, count=i18n.number(total)),
        *(
            f"{labels[kind]}: {i18n.number(count)}"
            for kind, count in zip(_kinds(query), bucket.counts, strict=True)
            if count
        ),
    ]


def _keys(query: Query, found: Histogram, base: Address) -> list[Key]:
    sums = [sum(counts) for counts in zip(*(bucket.counts for bucket in found.buckets), strict=True)]
    labels = _labels(query)
    filters = {kind.name: (kind.column, kind.value) for kind in KINDS[query.report.name]}
    return [
        Key(kind, labels[kind], count, base.setting(*filters[kind]) if kind in filters else None)
        for kind, count in reversed(list(zip(_kinds(query), sums, strict=True)))
        if count
    ]


def _kinds(query: Query) -> list[str]:
    return [*(kind.name for kind in KINDS[query.report.name]), OTHER]


def _labels(query: Query) -> dict[str, str]:
    labels = {
        kind.name: str(ACTIONS.get(kind.value, f"{kind.value[0]}xx"))  # 500..599 is 5xx
        for kind in KINDS[query.report.name]
    }
    return {**labels, OTHER: gettext("Other")}


def _labeller(found: Histogram) -> Callable[[datetime], str]:
    date = "%d/%m" if i18n.language() == "es" else "%m-%d"
    hours = (found.buckets[-1].end - found.buckets[0].start).total_seconds() / 3600
    match found.step.unit:
        case "year":
            form = "%Y"
        case "month":
            form = "%m/%Y" if i18n.language() == "es" else "%Y-%m"
        case "day":
            form = date
        case "second" if found.step.count < 60:
            form = "%H:%M:%S"
        case _:
            form = "%H:%M" if hours <= 24 else f"{date} %H:%M"
    return lambda moment: i18n.local(moment).strftime(form)


def _choice(facet: Facet, value: Value, base: Address) -> Choice:
    name = facet.column.name
    text = str(ACTIONS[value.text]) if facet.column.choices and value.text in ACTIONS else value.text
    share = round(100 * value.count / max(1, facet.values[0].count), 1)
    active = base.values(name) == [value.parameter]
    if value.parameter is None:
        return Choice(text, value.count, share, False, None, None)
    if active:
        return Choice(text, value.count, share, True, base.without(name), None)
    return Choice(
        text,
        value.count,
        share,
        False,
        base.setting(name, value.parameter),
        base.adding(f"-{name}", value.parameter),
    )


for _layout in LAYOUTS:
    for _name, _view in (("histogram", show_histogram), ("facets", show_facets), ("count", show_count)):
        blueprint.add_url_rule(
            f"/{_layout.report.name}/{_name}",
            f"{_layout.report.table}_{_name}",
            _view,
            defaults={"layout": _layout},
        )
