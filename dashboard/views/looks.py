"""How a report opens for a user, and the form that chooses columns, density and style of times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

from flask import Blueprint, flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user

from dashboard import i18n, looks
from dashboard.accounts import CHOICES, Preferences
from dashboard.address import Address
from dashboard.columns import Report
from dashboard.filters import Query
from dashboard.layouts import LAYOUTS, Layout
from dashboard.looks import Look
from dashboard.saved import View
from dashboard.state import state

blueprint = Blueprint("looks", __name__)

STANDARD = Preferences()


def listed(report: Report) -> Address:
    """The address of the list in the request's URL; one that leads back to the plain list where the path alone
    leads to a saved view."""
    address = Address(f"/{report.name}", tuple(request.args.items(multi=True)))
    if state().saved.default(current_user.name, report.name) is None:
        return address
    return replace(address, plain=(("sort", f"-{report.time_column}"),))


def opening(report: Report, address: Address) -> Address | None:
    """Where the URL of a list leads by what the user keeps; None if it is there already.

    Without parameters to the user's default view. Then, so that the URL alone says what is shown, to the look that
    the user keeps, as far as the URL says nothing of it.
    """
    if not address.pairs and (view := state().saved.default(current_user.name, report.name)):
        address = at_view(view)
    missing = tuple(pair for pair in kept(report).pairs() if not address.values(pair[0]))
    target = replace(address, pairs=(*address.pairs, *missing))
    return target if target.pairs != tuple(request.args.items(multi=True)) else None


def kept(report: Report) -> Look:
    """What the user keeps that differs from the standard."""
    columns = state().saved.columns(current_user.name, report.name)
    density, times = i18n.density(), state().accounts.preferences(current_user.name).times
    return Look(
        tuple(name for name in columns if name in report.by_name),
        density if density != STANDARD.density else "",
        times if times != STANDARD.times else "",
    )


def at_view(view: View) -> Address:
    """The address that a saved view stands for."""
    return Address(f"/{view.report}", tuple(parse_qsl(view.query, keep_blank_values=True)))


@dataclass(frozen=True, slots=True)
class Shown:
    """What a list shows: its columns, and the others in the report's order."""

    columns: tuple[str, ...]
    others: tuple[str, ...]


def shown(layout: Layout, look: Look) -> Shown:
    """The columns of the page with this look."""
    columns = look.columns or layout.headings
    return Shown(columns, tuple(name for name in layout.report.by_name if name not in columns))


def with_rows(layout: Layout, query: Query) -> Query:
    """The query that reads what a list with this query's look needs of its rows."""
    columns = layout.read(shown(layout, query.look).columns)
    return replace(query, look=replace(query.look, columns=columns))


def choose(layout: Layout) -> ResponseReturnValue:
    """Go to the list with the sent look, and keep it for the user if that was asked for."""
    report, form = layout.report, request.form
    sent = Look(
        _moved([name for name in dict.fromkeys(form.getlist("columns")) if name in report.by_name]),
        _known("density", form),
        _known("times", form),
    )
    if "reset" in form:
        sent = Look(layout.headings, STANDARD.density, STANDARD.times)
    if not sent.columns:
        flash(gettext("Choose at least one column."))
        sent = replace(sent, columns=layout.headings)
    saved, name = state().saved, current_user.name
    if form.get("remember"):
        saved.set_columns(name, report.name, sent.columns if sent.columns != layout.headings else ())
        state().accounts.set_preferences(name, density=sent.density, times=sent.times)
        i18n.forget()
        flash(gettext("This look is kept: the report opens with it."))
    mine = kept(report)
    # What is as ever is left out, unless the user keeps something else.
    look = Look(
        sent.columns if mine.columns or sent.columns != layout.headings else (),
        sent.density if mine.density or sent.density != STANDARD.density else "",
        sent.times if mine.times or sent.times != STANDARD.times else "",
    )
    before = Address(f"/{report.name}", tuple(parse_qsl(form.get("query", ""), keep_blank_values=True)))
    target = replace(before, pairs=(*before.dropping(*looks.PARAMETERS).pairs, *look.pairs()))
    if not target.pairs:
        target = replace(target, plain=listed(report).plain)
    if {"up", "down"} & form.keys():
        target = target.adding("choose", "1")
    return redirect(str(target), 303)


def _moved(names: Sequence[str]) -> tuple[str, ...]:
    """The names with the one that a button moves, which is how it goes without scripts."""
    order = list(names)
    for button, step in (("up", -1), ("down", 1)):
        name = request.form.get(button)
        if name in order:
            place = order.index(name)
            order.insert(max(0, place + step), order.pop(place))
    return tuple(order)


def _known(what: str, form: Any) -> str:
    value = form.get(what, "")
    return str(value if value in CHOICES[what] else getattr(STANDARD, what))


for _layout in LAYOUTS:
    blueprint.add_url_rule(
        f"/{_layout.report.name}/look",
        _layout.report.table,
        choose,
        methods=["POST"],
        defaults={"layout": _layout},
    )
