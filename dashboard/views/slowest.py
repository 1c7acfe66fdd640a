"""What makes the slow ones slow: a fragment of trends, and a page that the API report leads to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext

from dashboard import filters, i18n, slowest
from dashboard.address import Address
from dashboard.clickhouse import StoreError
from dashboard.columns import API_REQUESTS
from dashboard.filters import FilterErrors, Problems, decode
from dashboard.layouts import API, LABELS
from dashboard.slowest import LEAST_COUNT, SIZES, Contrast, Standout
from dashboard.state import state
from dashboard.views.reports import OF_THE_PAGE, by_parameter

blueprint = Blueprint("slowest", __name__)

DIMENSIONS = {
    **{name: LABELS[name] for name in ("user", "route", "method", "host", "view", "status_code")},
    "hour": lazy_gettext("Hour of the day"),
    "object": LABELS["object_repr"],
    "data": lazy_gettext("Size of the request"),
    "response": lazy_gettext("Size of the answer"),
}
_NOT_HERE = (*OF_THE_PAGE, "page", "per_page", "sort", "fragment", "columns", "density", "times")


@dataclass(frozen=True, slots=True)
class Line:
    """A value that stands out, as it is written, and the slow rows with it, if a filter can name them."""

    label: str
    value: str
    found: Standout
    requests: Address | None


@blueprint.get("/api-requests/slowest")
def show() -> ResponseReturnValue:
    """The page or, with the parameter `fragment`, the fragment."""
    address = Address(request.path, tuple(request.args.items(multi=True)))
    fragment = "fragment" in request.args
    if address.values("form"):
        pairs = [(name, value.strip()) for name, value in address.dropping("form", *_NOT_HERE).pairs if value.strip()]
        return redirect(str(Address(address.path, tuple(pairs))))
    base = address.dropping("slow", *_NOT_HERE).at("/api-requests")
    shown: dict[str, Any] = {"errors": {}, "failure": "", "found": None, "lines": [], "slow": ""}
    status = 200
    try:
        args = decode(request.query_string)
        for name in _NOT_HERE:
            args.poplist(name)
        problems = Problems()
        slow = filters.single(args, "slow", problems)
        query = filters.parse(args, API_REQUESTS, i18n.zone())
        slowest.check(slow, query, problems)
        problems.raise_if_any()
        i18n.use_zone(query.zone)
        shown["slow"] = slow or ""
        found = state().store.slowest(query, slow)
        shown |= {"found": found, "lines": [_line(one, found, slow, base) for one in found.standouts]}
    except FilterErrors as wrong:
        if fragment or any(error.parameter != "slow" for error in wrong.errors):
            # The report shows each message beside its field.
            return redirect(str(base))
        status = 400
        shown |= {"errors": by_parameter(wrong), "slow": address.values("slow")[-1]}
    except StoreError as error:
        if not fragment:
            raise
        shown["failure"] = gettext(str(error))
    template = "slowest.html" if fragment else "slowest_page.html"
    return (
        render_template(
            template,
            **shown,
            layout=API,
            base=base,
            address=address.dropping(*_NOT_HERE),
            labels=LABELS,
            least=LEAST_COUNT,
        ),
        status,
    )


def _line(one: Standout, found: Contrast, slow: str | None, base: Address) -> Line:
    target: Address | None = None
    if one.filters:
        target = base
        for name, value in one.filters:
            target = target.setting(name, value)
        if not base.values("response_ms"):
            target = target.setting("response_ms", slow or f">{found.limit}")
        target = target.setting("sort", "-response_ms")
    return Line(str(DIMENSIONS[one.dimension]), _written(one), one, target)


def _written(one: Standout) -> str:
    if one.dimension == "hour":
        return f"{int(one.value):02d}:00–{(int(one.value) + 1) % 24:02d}:00"
    if one.dimension in ("data", "response"):
        return _size(int(one.value))
    return one.value


def _size(place: int) -> str:
    """The class of a size, as `slowest.DIMENSIONS` counts them."""
    if place == 1:
        text = gettext("nothing")
    elif place:
        text = gettext("up to %(size)s", size=_bytes(SIZES[place - 1]))
    else:
        text = gettext("more than %(size)s", size=_bytes(SIZES[-1]))
    return str(text)


def _bytes(size: int) -> str:
    return f"{size // 1024**2} MiB" if size >= 1024**2 else f"{size // 1024} KiB"
