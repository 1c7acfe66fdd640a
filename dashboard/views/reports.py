"""The API report and the Admin report, and their CSV."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from dashboard import export, i18n, rows, times, values
from dashboard.address import Address
from dashboard.columns import ADMIN_CHANGES, Report
from dashboard.filters import FilterError, FilterErrors, Query, decode, exact, parse
from dashboard.layouts import ACTIONS, LABELS, LAYOUTS, Field, Layout
from dashboard.ranges import QUICK_RANGES, parameter, quick_range, with_offset
from dashboard.state import state

blueprint = Blueprint("reports", __name__)

PER_PAGE_CHOICES = (25, 50, 100, 250, 500)
MOST_OPEN_ROWS = 10
SUGGESTIONS = 20
#: Parameters of the page alone: opened rows, a quick range to go to, and the mark of a form that was sent.
OF_THE_PAGE = ("open", "range", "form")
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
        (f"/{name}.csv", "_csv", show_csv),
        (f"/{name}/values/<column>", "_values", show_values),
    ):
        blueprint.add_url_rule(path, f"{endpoint}{suffix}", view, defaults=defaults)


def show_list(layout: Layout) -> ResponseReturnValue:
    """A page of rows, with filters, pager and opened rows."""
    address = Address(request.path, tuple(request.args.items(multi=True)))
    if target := _plain(address):
        return redirect(str(target))
    report = layout.report
    shown: dict[str, Any] = {
        "layout": layout,
        "report": report,
        "address": address,
        "errors": {},
        "page": None,
        "query": None,
    }
    status = 200
    try:
        args = decode(request.query_string)
        for name in OF_THE_PAGE:
            args.poplist(name)
        query = parse(args, report, i18n.zone())
        i18n.use_zone(query.zone)
        page = state().store.page(query, large=False)
        opened = _opened(report, address)
        shown |= {
            "query": query,
            "page": page,
            "health": state().store.health(),
            "opened": opened,
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
            chips=_chips(base),
            fields={field.name: _typed(field, base) for field in layout.fields},
            labels=LABELS,
            actions=ACTIONS,
            quick_ranges=QUICK_RANGES,
            per_page_choices=PER_PAGE_CHOICES,
            csv=str(base.dropping("page", "per_page").at(f"/{report.name}.csv")),
            unknown={
                name: found for name, found in shown["errors"].items() if name not in _BESIDE_A_FIELD[report.name]
            },
            more_open=any(
                field.more and (base.values(field.name) or field.name in shown["errors"]) for field in layout.fields
            ),
            zone_name=i18n.zone().key,
            cell_filter=cell_filter(base),
            clip=values.CLIP_IN_LIST,
            contains=_contains(shown["query"], base),
        ),
        status,
    )


def show_csv(layout: Layout) -> ResponseReturnValue:
    """All rows that match, as CSV."""
    try:
        query = parse(decode(request.query_string), layout.report, i18n.zone())
    except FilterErrors:
        # The page shows each message beside its field.
        return redirect(str(Address(f"/{layout.report.name}", tuple(request.args.items(multi=True)))))
    return export.csv_response(query, i18n.language(), query.zone)


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
            since, until = quick_range(ranges[-1], datetime.now(i18n.zone()))
        except KeyError:
            return target
        target = target.setting("from", parameter(since))
        return target.setting("to", parameter(until)) if until else target
    if not address.values("form"):
        return None
    pairs = []
    for name, value in address.dropping("form", "page", "open").pairs:
        text = value.strip()
        if text and (name, text) not in pairs:
            pairs.append((name, with_offset(text, i18n.zone()) if name in ("from", "to") else text))
    return Address(address.path, tuple(pairs))


def event(report: Report, event_id: str) -> dict[str, Any] | None:
    """An event with its JSON as `detail.html` shows it; None if there is none with this id."""
    # The diff needs the changes as values; a payload is shown as it was stored.
    read_json = rows.parse_json if report is ADMIN_CHANGES else values.formatted
    return state().store.row(report, event_id, read_json=read_json)


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
            str(LABELS.get(name.removeprefix("-"), name)),
            _chip_value(name, value),
            name.startswith("-"),
            base.without(name, value),
        )
        for name, value in base.pairs
        if name not in ("page", "per_page", "sort", "open")
    ]


def _chip_value(name: str, value: str) -> str:
    if name in ("from", "to"):
        try:
            return i18n.moment(times.parse(value, i18n.zone(), latest=name == "to"))
        except ValueError:
            return value
    if name == "action" and value in ACTIONS:
        return str(ACTIONS[value])
    return value or gettext("(empty)")


def _typed(field: Field, base: Address) -> list[str]:
    """The values in a field's text inputs: what is in the URL and no check box stands for."""
    boxes = {value for value, _label in field.choices}
    return [value for value in base.values(field.name) if value not in boxes]


def cell_filter(base: Address) -> Any:
    """A function for links to the rows that have a value, too."""

    def link(name: str, value: object, as_text: bool = True) -> str:
        """The page with only the rows that have this value."""
        text = "" if value is None else str(value)
        return str(base.setting(name, exact(text) if as_text else text))

    return link


def _contains(query: Query | None, base: Address) -> list[tuple[str, Address]]:
    """For an empty result: each exact text filter, and the page where it may stand anywhere in the value."""
    if query is None:
        return []
    found = []
    for condition in query.conditions:
        if condition.negated or condition.column.kind not in ("text", "enum") or condition.column.choices:
            continue
        for value in condition.values:
            if value and "*" not in value:
                target = base.without(condition.column.name, value).adding(condition.column.name, f"*{value}*")
                found.append((f"*{value}*", target))
    return found


for _layout in LAYOUTS:
    _add_rules(_layout)
