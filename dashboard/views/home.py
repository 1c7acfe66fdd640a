"""The Logger dashboard: where to go, what just happened, and how fresh it is."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, render_template
from werkzeug.datastructures import MultiDict

from dashboard import i18n
from dashboard.columns import API_REQUESTS
from dashboard.filters import parse
from dashboard.looks import Look
from dashboard.state import state

blueprint = Blueprint("home", __name__)

RECENT = 10
_SHOWN = Look(("event_id", "requested_at", "user", "remote_addr", "method", "path", "status_code"))


@blueprint.get("/")
def show() -> str:
    """Shortcuts, the newest requests and the state of the pipeline."""
    store = state().store
    query = replace(parse(MultiDict({"per_page": str(RECENT)}), API_REQUESTS, i18n.zone()), look=_SHOWN)
    return render_template(
        "home.html", recent=store.page(query, large=False), totals=store.totals(), health=store.health()
    )
