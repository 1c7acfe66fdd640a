"""A payload of an event: as a tree that opens further, searched, or as plain text; whole or from one value on."""

from __future__ import annotations

import re
from uuid import UUID

from flask import Blueprint, Response, abort, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext

from dashboard import tree, values
from dashboard.address import Address
from dashboard.columns import FIELD, Report
from dashboard.conditions import exact
from dashboard.layouts import LABELS, LAYOUTS, Layout
from dashboard.rows import Item
from dashboard.state import state
from dashboard.tree import IN_LIST, ON_PAGE, Node
from dashboard.values import Text
from dashboard.views.reports import OF_THE_PAGE

blueprint = Blueprint("payloads", __name__)

COLUMNS = ("query_params", "data", "response", "errors", "change_message", "changes")
#: Those whose fields the parameters `field.…` compare, beside the changes.
FIELD_COLUMNS = ("query_params", "data", "response")
#: Parameters of a payload's page; the others are those of the list that it was reached from.
OF_THE_PAYLOAD = ("at", "start", "find", "fragment")
#: Characters of a value that a filter can be made of, and of a value that is alone on its page.
MOST_FILTERED, CLIP_ALONE = 300, 200_000
# What a filter takes for a comparison.
_COMPARES = re.compile(r"[<>]|.*\.\.", re.DOTALL)
KINDS = {"object": lazy_gettext("object"), "array": lazy_gettext("list")}


def _add_rules(layout: Layout) -> None:
    name, endpoint = layout.report.name, layout.report.table
    for column in COLUMNS:
        if column in layout.report.by_name:
            defaults = {"layout": layout, "column": column}
            path = f"/{name}/<uuid:event_id>/{column}"
            blueprint.add_url_rule(path, f"{endpoint}_{column}", show, defaults=defaults)
            blueprint.add_url_rule(f"{path}.txt", f"{endpoint}_{column}_raw", show_raw, defaults=defaults)


#: The list with, and without, the rows that have a value.
Links = tuple[Address | None, Address | None]


@blueprint.app_template_filter("tree")
def payload_tree(item: Item, column: str, standalone: bool = False) -> Node | None:
    """A payload of an event as a tree; None if it is no JSON."""
    return tree.read(item[column] or "", ON_PAGE if standalone else IN_LIST, masked=item["masked"])


@blueprint.app_context_processor
def helpers() -> dict[str, object]:
    """What the templates of trees need."""
    return {
        "payload_filter": payload_filter,
        "field_filter": field_filter,
        "payload_address": payload_address,
        "kinds": KINDS,
    }


def payload_filter(base: Address, report: Report, column: str, node: Node) -> Links:
    """The links of a value in a payload."""
    if node.text is None or node.kind == "null" or node.masked:
        return None, None
    # A field that holds a list has no value to compare; and messages have no fields.
    named = isinstance(node.key, str) and column in FIELD_COLUMNS
    return field_filter(base, report, str(node.key) if named else "", node.text)


def field_filter(base: Address, report: Report, name: str, text: Text) -> Links:
    """The list with only the rows, and without the rows, whose payload or change has this value in the field `name`.

    None where no filter can say it; the text search stands in for the first.
    """
    as_stored = text.size == len(text.text) and text.text == values.cell(text.text)
    if not as_stored or not 0 < text.size <= MOST_FILTERED:
        return None, None
    if not report.find(FIELD + name) or _COMPARES.match(text.text):
        return base.setting("q", text.text), None
    wanted = exact(text.text)
    return base.setting(FIELD + name, wanted), base.adding(f"-{FIELD}{name}", wanted)


def payload_address(base: Address, layout: Layout, item: Item, column: str) -> Address:
    """A payload's page, which remembers the list."""
    return base.dropping("page", "per_page").at(f"/{layout.report.name}/{item['event_id']}/{column}")


def show(layout: Layout, event_id: UUID, column: str) -> ResponseReturnValue:
    """The page or, with the parameter `fragment`, the entries alone: those behind `start` of the value `at`, or what
    the text `find` is found in."""
    item = _item(layout, event_id)
    args = request.args
    base = Address(f"/{layout.report.name}", tuple(args.items(multi=True))).dropping(*OF_THE_PAYLOAD, *OF_THE_PAGE)
    wanted = args.get("find", "").strip()[:200]
    at, start = args.get("at", ""), args.get("start", "0")
    if not re.fullmatch(r"[0-9]{1,9}", start):
        abort(404)
    limits = ON_PAGE if wanted or "fragment" not in args else IN_LIST
    found = tree.find(item[column], wanted, limits.text, masked=item["masked"]) if wanted else None
    node = tree.read(item[column], limits, at=at, start=int(start), masked=item["masked"])
    if node is not None and node.text is not None and at:
        node = tree.read(item[column], limits._replace(text=CLIP_ALONE), at=at, masked=item["masked"])
    if node is None and at:
        abort(404)
    return render_template(
        "payload_part.html" if "fragment" in args else "payload.html",
        layout=layout,
        report=layout.report,
        item=item,
        column=column,
        base=base,
        labels=LABELS,
        wanted=wanted,
        found=found,
        node=node,
        most_found=tree.MOST_FOUND,
        clip=CLIP_ALONE,
    )


def show_raw(layout: Layout, event_id: UUID, column: str) -> Response:
    """The payload, or the value `at` in it, in full as plain text."""
    item = _item(layout, event_id)
    text: str | None = item[column]
    if "at" in request.args:
        text = tree.part(item[column], request.args["at"])
    if text is None:
        abort(404)
    response = Response(
        values.formatted(text).encode(errors="backslashreplace"), content_type="text/plain; charset=utf-8"
    )
    response.headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'; sandbox"
    response.headers["Content-Disposition"] = f'inline; filename="{column}-{event_id}.txt"'
    return response


def _item(layout: Layout, event_id: UUID) -> Item:
    item = state().store.row(layout.report, str(event_id), read_json=str)
    if item is None:
        abort(404, gettext("There is no event with this id. It may be older than what is kept."))
    return item


for _layout in LAYOUTS:
    _add_rules(_layout)
