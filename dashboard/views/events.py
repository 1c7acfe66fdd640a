"""An event: its own page, the fragment that a list puts under its row, and its forms for other programs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from flask import Blueprint, Response, abort, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from werkzeug.datastructures import MultiDict

from dashboard import curl, i18n, rows, values
from dashboard.address import Address
from dashboard.clickhouse import QueryTooSlow
from dashboard.columns import API_REQUESTS
from dashboard.filters import FilterErrors, Query, parse
from dashboard.layouts import ACTIONS, LABELS, LAYOUTS, Layout
from dashboard.state import state
from dashboard.views.reports import OF_THE_PAGE, cell_filter, event

blueprint = Blueprint("events", __name__)


def _add_rules(layout: Layout) -> None:
    name, endpoint = layout.report.name, layout.report.table
    for path, suffix, view in (
        ("", "", show),
        (".json", "_json", show_json),
    ):
        blueprint.add_url_rule(
            f"/{name}/<uuid:event_id>{path}", f"{endpoint}{suffix}", view, defaults={"layout": layout}
        )


def show(layout: Layout, event_id: UUID) -> ResponseReturnValue:
    """The page or, with the parameter `fragment`, the fragment.

    The other parameters are those of the list that it was reached from.
    """
    report = layout.report
    item = event(report, str(event_id))
    if item is None:
        abort(404, gettext("There is no event with this id. It may be older than what is kept."))
    fragment = "fragment" in request.args
    base = Address(f"/{report.name}", tuple(request.args.items(multi=True))).dropping("fragment", *OF_THE_PAGE)
    neighbours: tuple[str | None, str | None] = (None, None)
    try:
        query = parse(MultiDict(base.pairs), report, i18n.zone())
        i18n.use_zone(query.zone)
        if not fragment:
            neighbours = _neighbours(query, item)
    except FilterErrors:
        return redirect(request.path + ("?fragment=1" if fragment else ""))
    return render_template(
        "detail.html" if fragment else "row.html",
        layout=layout,
        report=report,
        standalone=not fragment,
        item=item,
        base=base,
        neighbours=neighbours,
        related=state().store.related(report, [item]),
        labels=LABELS,
        actions=ACTIONS,
        clip=values.CLIP_IN_LIST if fragment else values.CLIP_ON_PAGE,
        cell_filter=cell_filter(base if fragment else Address(f"/{report.name}")),
    )


def show_json(layout: Layout, event_id: UUID) -> Response:
    """One event as JSON that people can read."""
    item = state().store.row(layout.report, str(event_id), read_json=rows.raw_json)
    if item is None:
        abort(404)
    return _file(values.formatted(msgspec.json.encode(item).decode()), "application/json")


@blueprint.get("/api-requests/<uuid:event_id>/curl.txt")
def show_curl(event_id: UUID) -> Response:
    """One request as a curl command."""
    item = state().store.row(API_REQUESTS, str(event_id), read_json=str)
    if item is None:
        abort(404)
    return _file(curl.command(item), "text/plain; charset=utf-8")


def _file(text: str, content_type: str) -> Response:
    response = Response(text.encode(errors="backslashreplace"), content_type=content_type)
    response.headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'; sandbox"
    return response


def _neighbours(query: Query, item: dict[str, Any]) -> tuple[str | None, str | None]:
    """The rows before and behind; none where finding them takes too long, for the page is there without them."""
    try:
        return state().store.neighbours(query, item)
    except QueryTooSlow:
        return None, None


for _layout in LAYOUTS:
    _add_rules(_layout)
