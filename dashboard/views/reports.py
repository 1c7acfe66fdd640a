"""The API report and the Admin report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user

from dashboard import dates, export, i18n, rows, searching, tail, times, values
from dashboard.address import Address
from dashboard.columns import ADMIN_CHANGES, FIELD, Report
from dashboard.filters import FilterError, FilterErrors, Query, decode, exact, parse
from dashboard.formats import FORMATS
from dashboard.layouts import ACTIONS, HEADINGS, LABELS, LAYOUTS, Field, Layout
from dashboard.looks import PARAMETERS, Look
from dashboard.ranges import QUICK_RANGES, parameter, quick_range
from dashboard.state import state
from dashboard.store import Page
from dashboard.views import looks, search

blueprint = Blueprint("reports", __name__)

PER_PAGE_CHOICES = (25, 50, 100, 250, 500)
MOST_OPEN_ROWS = 10
#: A list does not wait longer for the number of rows: it follows.
COUNT_SECONDS = 0.2
SUGGESTIONS = 20
#: Parameters of the page alone: opened rows, a quick range to go to, the mark of a form that was sent, what was typed
#: into the search bar, whether the facets are open, whether the choice of columns is open, and whether new rows come
#: by themselves.
OF_THE_PAGE = ("open", "range", "form", "search", "facets", "choose", "live")
#: Parameters whose errors stand beside a field; the others are listed above the filters.
_BESIDE_A_FIELD = {
    layout.report.name: {"q", "from", "to", *(field.name for field in layout.fields)} for layout in LAYOUTS
}


@dataclass(frozen=True, slots=True)
class Chip:
    """An active filter and the page without it."""

    label: str
    value: str
    negated: bool
    address: Address


def _add_rules(layout: Layout) -> None:
    name, endpoint = layout.report.name, layout.report.table
    defaults = {"layout": layout}
    for path, suffix, view in (
        (f"/{name}", "", show_list),
        (f"/{name}/values/<column>", "_values", show_values),
    ):
        blueprint.add_url_rule(path, f"{endpoint}{suffix}", view, defaults=defaults)


def show_list(layout: Layout) -> ResponseReturnValue:
    """A page of rows, with filters, pager and opened rows."""
    report = layout.report
    address = looks.listed(report)
    target = search.target(report, address) or _plain(address) or looks.opening(report, address)
    if isinstance(target, Address):
        return redirect(str(target))
    shown: dict[str, Any] = {
        "layout": layout,
        "report": report,
        "address": address,
        "errors": {},
        "page": None,
        "query": None,
        "bar": target or search.bar(report, address),
    }
    status = 200
    try:
        if target:
            raise FilterErrors([])
        args = decode(request.query_string)
        for name in OF_THE_PAGE:
            args.poplist(name)
        query = parse(args, report, i18n.zone())
        i18n.use_zone(query.zone)
        i18n.use_times(query.look.times or looks.STANDARD.times)
        live = (address.values("live") or [""])[-1]
        if target := _newest(query, address, live):
            return redirect(str(target))
        # Read before the rows: what is stored meanwhile comes twice rather than never, and is shown once.
        position = state().store.stored(report) if live else {}
        page = state().store.page(
            looks.with_rows(layout, query), large=False, read_json=str, count_seconds=COUNT_SECONDS
        )
        if target := _edges(address, page):
            return redirect(str(target))
        opened = _opened(report, address)
        shown |= {
            "query": query,
            "page": page,
            "health": state().store.health(),
            "opened": opened,
            "live": live,
            "position": tail.written(position),
            "related": state().store.related(report, list(opened.values())),
        }
        if not page.items and query.page > 1 and page.total:
            last = -(-page.total // query.per_page)
            return redirect(str(address.setting("page", str(last))))
        if not page.total:
            shown["stored"] = state().store.totals()
    except FilterErrors as wrong:
        status = 400
        shown["errors"] = by_parameter(wrong)
    base = address.dropping(*OF_THE_PAGE)
    return (
        render_template(
            "report.html",
            **shown,
            base=base,
            plain=base.only(*PARAMETERS),
            chips=_chips(base.setting("live", "1") if shown.get("live") else base),
            shown=looks.shown(layout, shown["query"].look if shown["query"] else Look()),
            headings=HEADINGS,
            views=state().saved.visible(current_user.name, report.name),
            at_view=looks.at_view,
            fields={field.name: _typed(field, base) for field in layout.fields},
            labels=LABELS,
            actions=ACTIONS,
            quick_ranges=QUICK_RANGES,
            dates=_dates(shown["query"], base),
            per_page_choices=PER_PAGE_CHOICES,
            files=base.dropping("page", "per_page"),
            most_rows={name: export.most_rows(format) for name, format in FORMATS.items()},
            unknown={
                name: found for name, found in shown["errors"].items() if name not in _BESIDE_A_FIELD[report.name]
            },
            more_open=any(
                field.more and (base.values(field.name) or field.name in shown["errors"]) for field in layout.fields
            ),
            zone_name=i18n.zone().key,
            cell_filter=cell_filter(base.setting("live", "1") if shown.get("live") else base),
            clip=values.CLIP_IN_LIST,
            wider=_wider(shown["query"], base),
        ),
        status,
    )


def of_the_rows(layout: Layout, query: Query, base: Address) -> dict[str, Any]:
    """What `rows.html` needs beside a page, to show rows of a live list."""
    here = base.setting("live", "1")
    return {
        "layout": layout,
        "report": layout.report,
        "query": query,
        "base": base,
        "address": here,
        "opened": {},
        "columns": looks.shown(layout, query.look).columns,
        "headings": HEADINGS,
        "labels": LABELS,
        "actions": ACTIONS,
        "cell_filter": cell_filter(here),
    }


def show_values(layout: Layout, column: str) -> Response:
    """Values of a column that begin with the parameter `prefix`, as a JSON list."""
    if not any(field.name == column and field.suggests for field in layout.fields):
        abort(404)
    prefix = request.args.get("prefix", "")[:100]
    found = state().store.values(layout.report, column, prefix, SUGGESTIONS)
    return jsonify([exact(value) for value in found])


def _plain(address: Address) -> Address | None:
    """Where a sent form or a quick range leads: the URL with what it means and nothing empty; None if it is that."""
    if ranges := address.values("range"):
        target = address.without("from").without("to").dropping("range")
        try:
            since, until = quick_range(ranges[-1])
        except KeyError:
            return target
        target = target.setting("from", str(since))
        return target.setting("to", until) if until else target
    if not address.values("form"):
        return None
    pairs = []
    for name, value in address.dropping("form", "page", "open").pairs:
        text = value.strip()
        if text and (name, text) not in pairs:
            pairs.append((name, search.date_parameter(address, name, text) if name in ("from", "to") else text))
    return replace(address, pairs=tuple(pairs))


def _newest(query: Query, address: Address, live: str) -> Address | None:
    """Where a live list that shows anything but the newest rows leads to; None if it does not."""
    if live in ("", "1", "paused") and not (live and (query.page > 1 or query.sort != f"-{query.report.time_column}")):
        return None
    here = address.dropping("page", "sort")
    return here if live in ("1", "paused") else here.dropping("live")


def event(report: Report, event_id: str) -> dict[str, Any] | None:
    """An event with its JSON as `detail.html` shows it; None if there is none with this id."""
    # The diff needs the changes as values; of a payload's text a tree decodes what it shows.
    read_json = rows.parse_json if report is ADMIN_CHANGES else str
    return state().store.row(report, event_id, read_json=read_json)


@dataclass(frozen=True, slots=True)
class Dates:
    """The dates of a list.

    Args:
        words: what they are, if there are words for it.
        fixed: the list with dates that do not move with the clock; None if they do not.
    """

    words: str | None
    fixed: Address | None


def _dates(query: Query | None, base: Address) -> Dates:
    """The dates of a list, as far as the URL can be understood."""
    if query is None:
        return Dates(None, None)
    words = dates.words(query.given_since, query.given_until, i18n.language(), query.zone)
    fixed = base
    for name, given, moment in (("from", query.given_since, query.since), ("to", query.given_until, query.until)):
        if moment and times.is_relative(given or ""):
            fixed = fixed.setting(name, parameter(moment.astimezone(query.zone)))
    if fixed is not base and query.until is None:
        fixed = fixed.setting("to", parameter(datetime.now(query.zone)))
    return Dates(words, None if fixed is base else fixed)


def _edges(address: Address, page: Page) -> Address | None:
    """The address with the ids of the page's first and last row where it says `open=first` or `open=last`."""
    ids = {"first": page.items[0]["event_id"], "last": page.items[-1]["event_id"]} if page.items else {}
    if not set(ids) & set(address.values("open")):
        return None
    pairs = ((name, str(ids.get(value, value)) if name == "open" else value) for name, value in address.pairs)
    return replace(address, pairs=tuple(pairs))


def _opened(report: Report, address: Address) -> dict[str, dict[str, Any]]:
    """The rows that the URL says are open, by event id."""
    opened = {}
    for text in dict.fromkeys(address.values("open")[:MOST_OPEN_ROWS]):
        try:
            event_id = str(UUID(text))
        except ValueError:
            continue
        if item := event(report, event_id):
            opened[event_id] = item
    return opened


def by_parameter(wrong: FilterErrors) -> dict[str, list[FilterError]]:
    """The errors by the parameter that they are about."""
    errors: dict[str, list[FilterError]] = {}
    for error in wrong.errors:
        errors.setdefault(error.parameter, []).append(error)
    return errors


def _chips(base: Address) -> list[Chip]:
    """The active filters, in the order of the URL."""
    return [
        Chip(
            str(LABELS.get(bare := name.removeprefix("-"), bare.removeprefix(FIELD))),
            _chip_value(name, value),
            name.startswith("-"),
            base.without(name, value),
        )
        for name, value in base.pairs
        if name not in ("page", "per_page", "sort", *OF_THE_PAGE, *PARAMETERS)
    ]


def _chip_value(name: str, value: str) -> str:
    if name in ("from", "to"):
        try:
            return dates.word(value, i18n.language()) or i18n.moment(
                times.instant(value, i18n.zone(), latest=name == "to")
            )
        except ValueError:
            return value
    if name == "action" and value in ACTIONS:
        return str(ACTIONS[value])
    return value or gettext("(empty)")


def _typed(field: Field, base: Address) -> list[str]:
    """The values in a field's text inputs: what is in the URL and no check box stands for."""
    boxes = {value for value, _label in field.choices}
    return [value for value in base.values(field.name) if value not in boxes]


def cell_filter(base: Address) -> Callable[[str, object], str]:
    """A function of a column and a value: the page with only the rows that have it, too."""
    to = cache(base.setter)
    return lambda name, value: to(name)(exact("" if value is None else str(value)))


def _wider(query: Query | None, base: Address) -> list[tuple[str, Address]]:
    """For an empty result: where else a text may be, in words and as a page."""
    if query is None:
        return []
    found = []
    for condition in query.conditions:
        if condition.negated or condition.column.kind not in ("text", "enum") or condition.column.choices:
            continue
        for value in condition.values:
            if value and "*" not in value:
                label = gettext("Search for %(text)s, anywhere in the value", text=values.cell(f"*{value}*", 60))
                target = base.without(condition.column.name, value).adding(condition.column.name, f"*{value}*")
                found.append((label, target))
    for text in filter(searching.is_number, query.q):
        label = gettext("Search for %(text)s in the ids of requests", text=values.cell(text, 60))
        found.append((label, base.without("q", text).adding("request_id", f"*{text}*")))
    return found


for _layout in LAYOUTS:
    _add_rules(_layout)
