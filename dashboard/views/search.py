"""The search bar of the reports: from its text to the URL and back, and what completes it while typing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, jsonify, request
from flask_babel import gettext, ngettext

from dashboard import completion, dates, filters, i18n, search
from dashboard.address import Address
from dashboard.clickhouse import StoreError
from dashboard.columns import Column, Report
from dashboard.layouts import LABELS, LAYOUTS, Layout
from dashboard.search import SearchErrors
from dashboard.state import state

blueprint = Blueprint("search", __name__)

#: The bar's parameter, and the mark of a form that was sent.
PARAMETER, SENT = "search", "form"
MOST_TEXT = 10_000
SUGGESTIONS = 12


@dataclass(frozen=True, slots=True)
class Said:
    """What is wrong with a part of the bar's text: a sentence, the text around and in it, and where to go instead."""

    sentence: str
    start: int
    end: int
    before: str
    wrong: str
    after: str
    better: str
    address: Address | None


@dataclass(frozen=True, slots=True)
class Bar:
    """The bar of a page: its text, what is wrong with it, and the parameters that its form must carry along."""

    text: str
    errors: list[Said]
    hidden: list[tuple[str, str]]


def target(report: Report, address: Address) -> Address | Bar | None:
    """Where the bar's text leads: the URL that says the same. The bar, if it cannot be understood; None without one."""
    texts = address.values(PARAMETER)
    if not texts:
        return None
    others = bar(report, address).hidden
    text, zone = texts[-1][:MOST_TEXT].strip(), _zone(address)
    try:
        pairs = search.parse(text, report, zone)
    except SearchErrors as wrong:
        here = Address(address.path, tuple(others))
        return Bar(text, [_said(text, error, here) for error in wrong.errors], others)
    return replace(address, pairs=(*pairs, *others))


def bar(report: Report, address: Address) -> Bar:
    """The bar that says what the URL says."""
    pairs = address.dropping("page", "open", "range", "choose", "facets", PARAMETER, SENT).pairs
    text, others = search.render(pairs, report, i18n.language(), _zone(address))
    return Bar(text, [], others)


@blueprint.app_template_global()
def typed_date(address: Address, name: str) -> str:
    """A date field's text: the parameter `from` or `to` as people say it."""
    values = address.values(name)
    return search.date_text(values[-1], i18n.language(), _zone(address), latest=name == "to") if values else ""


def date_parameter(address: Address, name: str, text: str) -> str:
    """The value of the parameter `from` or `to` that was typed as `text`."""
    return dates.moment(text, _zone(address), latest=name == "to")


def complete(layout: Layout) -> Response:
    """What may go on in the parameter `text` at its character `at`: what to replace, with what, as JSON."""
    text = request.args.get("text", "")[:MOST_TEXT]
    digits = request.args.get("at", "")
    at = min(int(digits), len(text)) if digits.isascii() and digits.isdigit() and len(digits) < 9 else len(text)
    place = completion.place(text, at, layout.report)
    if place.column:
        found = [completion.written(place, value) for value in _values(layout, place.column, place.prefix)]
        items = [(value, "") for value in found]
    else:
        items = completion.words(place, layout.report, i18n.language())
    shown = [{"text": word, "about": str(LABELS.get(about, ""))} for word, about in items[:SUGGESTIONS]]
    said = ngettext("%(count)s suggestion", "%(count)s suggestions", len(shown), count=len(shown))
    return jsonify({"start": place.start, "end": place.end, "items": shown, "said": said if shown else ""})


def _values(layout: Layout, column: Column, prefix: str) -> list[str]:
    """The column's values that begin so; of the fields that the panel suggests values for, those that are stored."""
    field = next((field for field in layout.fields if field.name == column.name), None)
    fixed = column.choices or [value for value, _ in (field.choices if field else ())]
    found = [value for value in fixed if value.lower().startswith(prefix.lower())]
    if (field and field.suggests) or (column.kind == "array" and column.name in layout.report.by_name):
        try:
            stored = state().store.values(layout.report, column.name, prefix[:100], SUGGESTIONS)
        except StoreError:
            stored = []
        found += [filters.exact(value) for value in stored]
    return list(dict.fromkeys(found))


def _zone(address: Address) -> ZoneInfo:
    given = address.values("tz")
    return filters.read_zone(given[-1], i18n.zone(), filters.Problems()) if given else i18n.zone()


def _said(text: str, error: search.SearchError, here: Address) -> Said:
    values: dict[str, Any] = dict(error.values)
    if error.expected:
        values["expected"] = gettext(error.expected)
    better = replace(here, pairs=(*here.pairs, (PARAMETER, error.better))) if error.better else None
    return Said(
        gettext(error.message, **values),
        error.start,
        error.end,
        text[: error.start],
        text[error.start : error.end],
        text[error.end :],
        error.better,
        better,
    )


for _layout in LAYOUTS:
    blueprint.add_url_rule(
        f"/{_layout.report.name}/complete", _layout.report.table, complete, defaults={"layout": _layout}
    )
