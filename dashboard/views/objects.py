"""The history of an object: its admin changes and API requests on one line of time."""

from __future__ import annotations

from datetime import date
from itertools import groupby
from typing import Any
from urllib.parse import quote

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext

from dashboard import dates, history, i18n
from dashboard.address import Address
from dashboard.filters import FilterErrors, decode, exact
from dashboard.layouts import ACTIONS, LABELS
from dashboard.rows import Item
from dashboard.state import state
from dashboard.views.reports import by_parameter

blueprint = Blueprint("objects", __name__)

#: Icon, name and explanation of who is behind an entry.
ACTORS = {
    "human": ("user", lazy_gettext("Person"), lazy_gettext("In the admin, or with a browser")),
    "integration": ("robot", lazy_gettext("Integration"), lazy_gettext("A program that called the API")),
    "process": ("process", lazy_gettext("Process"), lazy_gettext("Krill itself, without a user")),
}


def path_to(object_type: str, object_id: str) -> str | None:
    """The path of an object's history; None for names that no path can hold."""
    if not object_type or not object_id or "/" in object_type or object_id.startswith("/"):
        return None
    if "\n" in object_type + object_id or {".", "..", ""} & {object_type, *object_id.split("/")}:
        return None
    return f"/objects/{quote(object_type, safe='', errors='replace')}/{quote(object_id, errors='replace')}"


@blueprint.app_template_filter()
def history_path(item: Item) -> str | None:
    """The path of the history of the object that a row names, None if it names none."""
    return path_to(item["object_type"], item["object_id"])


blueprint.add_app_template_filter(exact)


@blueprint.app_context_processor
def limits() -> dict[str, int]:
    """How many rows `related.html` has, at most."""
    return {"most_related": history.MOST_RELATED}


@blueprint.get("/objects/<object_type>/<path:object_id>", merge_slashes=False)
def show(object_type: str, object_id: str) -> ResponseReturnValue:
    """The page."""
    path = path_to(object_type, object_id) or request.path
    address = Address(path, tuple(request.args.items(multi=True)))
    if address.values("form"):
        return redirect(str(_plain(address)))
    shown: dict[str, Any] = {"errors": {}, "query": None, "history": None, "days": []}
    status = 200
    try:
        query = history.parse(decode(request.query_string), object_type, object_id, i18n.zone())
        i18n.use_zone(query.zone)
        found = state().store.history(query)
        shown |= {"query": query, "history": found, "days": _days(found.items)}
    except FilterErrors as wrong:
        status = 400
        shown["errors"] = by_parameter(wrong)
    return (
        render_template(
            "history.html",
            **shown,
            object_type=object_type,
            object_id=object_id,
            address=address,
            newest=address.without("before"),
            labels=LABELS,
            actions=ACTIONS,
            actors=ACTORS,
            zone_name=i18n.zone().key,
            of_this=[("object_type", exact(object_type)), ("object_id", exact(object_id))],
        ),
        status,
    )


def _plain(address: Address) -> Address:
    """The URL that says what a sent form means, without what was left empty."""
    pairs = []
    for name, value in address.dropping("form", "before").pairs:
        text = value.strip()
        if text and (name, text) != ("reads", "0"):
            is_date = name in ("from", "to")
            pairs.append((name, dates.moment(text, i18n.zone(), latest=name == "to") if is_date else text))
    return Address(address.path, tuple(pairs))


def _days(items: list[Item]) -> list[tuple[date, list[Item]]]:
    """The entries by their day in the reader's zone."""
    return [(day, list(found)) for day, found in groupby(items, key=lambda item: i18n.local(item["at"]).date())]
