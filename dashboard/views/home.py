"""The Logger dashboard: where to go, what just happened, and how fresh it is."""

from __future__ import annotations

from flask import Blueprint, render_template
from werkzeug.datastructures import MultiDict

from dashboard import i18n
from dashboard.columns import API_REQUESTS
from dashboard.filters import parse
from dashboard.state import state

blueprint = Blueprint("home", __name__)

RECENT = 10


@blueprint.get("/")
def show() -> str:
    """Shortcuts, the newest requests and the state of the pipeline."""
    store = state().store
    query = parse(MultiDict({"per_page": str(RECENT)}), API_REQUESTS, i18n.zone())
    return render_template(
        "home.html", recent=store.page(query, large=False), totals=store.totals(), health=store.health()
    )
