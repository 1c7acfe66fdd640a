"""Saved views of the reports: kept from the report's menu, looked after on a page of their own."""

from __future__ import annotations

from urllib.parse import parse_qsl

from flask import Blueprint, abort, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user

from dashboard import i18n
from dashboard.accounts import AccountError
from dashboard.address import Address
from dashboard.columns import REPORTS
from dashboard.filters import FilterErrors, decode, parse
from dashboard.layouts import LAYOUTS
from dashboard.ranges import QUICK_RANGES
from dashboard.state import state
from dashboard.views.looks import at_view

blueprint = Blueprint("saved", __name__)

_REPORTS = {report.name: report for report in REPORTS}


@blueprint.get("/views")
def show() -> str:
    """Every view that the user can see."""
    return _page()


@blueprint.post("/views/save")
def save() -> ResponseReturnValue:
    """Keep the list that the form came from, and open it.

    Its dates are kept as they are or, with `range`, count back from the day when the view is opened.
    """
    report = _REPORTS.get(request.form.get("report", "")) or abort(400)
    address = Address(f"/{report.name}", tuple(parse_qsl(request.form.get("query", ""), keep_blank_values=True)))
    address = address.dropping("page", "open", "range", "form", "choose")
    try:
        parse(decode(address.query.encode()), report, i18n.zone())
    except FilterErrors:
        return _page(gettext("This list has parameters that cannot be understood; correct them, then save it.")), 400
    if (rolling := request.form.get("range", "")) in QUICK_RANGES:
        address = address.dropping("from", "to").adding("range", rolling)
    # A list without parameters is one, too.
    address = address if address.pairs else address.adding("sort", f"-{report.time_column}")
    saved, user = state().saved, current_user.name
    try:
        view = saved.save(
            user, report.name, request.form.get("name", ""), address.query, shared="shared" in request.form
        )
    except AccountError as error:
        return _page(gettext(error.message, **error.params)), 400
    if "default" in request.form:
        saved.set_default(user, report.name, view.id)
    flash(gettext("The view “%(name)s” is saved.", name=view.name))
    return redirect(str(at_view(view)), 303)


@blueprint.post("/views/change")
def change() -> ResponseReturnValue:
    """Rename a view of the user's own, and share it or not any longer."""
    try:
        state().saved.change(current_user.name, _id(), request.form.get("name", ""), shared="shared" in request.form)
    except AccountError as error:
        return _page(gettext(error.message, **error.params)), 400
    flash(gettext("The view is changed."))
    return redirect("/views", 303)


@blueprint.post("/views/delete")
def delete() -> ResponseReturnValue:
    """Remove a view of the user's own."""
    try:
        state().saved.delete(current_user.name, _id())
    except AccountError as error:
        return _page(gettext(error.message, **error.params)), 400
    flash(gettext("The view is deleted."))
    return redirect("/views", 303)


@blueprint.post("/views/default")
def set_default() -> ResponseReturnValue:
    """Open the report with a view from now on or, without an id, as it is."""
    report = _REPORTS.get(request.form.get("report", "")) or abort(400)
    try:
        state().saved.set_default(current_user.name, report.name, _id() if request.form.get("id") else None)
    except AccountError as error:
        return _page(gettext(error.message, **error.params)), 400
    flash(gettext("Your default view is changed."))
    return redirect("/views", 303)


def _id() -> int:
    text = request.form.get("id", "")
    # Longer ones are no numbers of SQLite's.
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def _page(error: str = "") -> str:
    views = state().saved.visible(current_user.name)
    groups = [(layout, [view for view in views if view.report == layout.report.name]) for layout in LAYOUTS]
    return render_template("views.html", groups=groups, at_view=at_view, error=error)
