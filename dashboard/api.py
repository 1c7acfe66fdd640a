"""The JSON API, version 1: the reports and trends, for a bearer token or a logged-in user."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import fields
from typing import Any
from uuid import UUID

import msgspec
from flask import Blueprint, Response, g, request
from flask_login import current_user

from dashboard import history, i18n, integrations, openapi, rankings, rows, trends
from dashboard.clickhouse import ResultTooLarge, StoreError
from dashboard.columns import REPORTS, Report
from dashboard.filters import KINDS, N_, FilterError, FilterErrors, decode, parse
from dashboard.state import state

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
SMALLER_PAGE = N_("fewer rows: those of this page are larger than 64 MiB")
EVENT_ID = KINDS["uuid"]
NO_PARAMETERS = N_("no parameters")
#: Endpoints that need no login.
OPEN = ("api.describe",)


@blueprint.before_request
def authenticate() -> Response | None:
    """Let through who has a valid token or session."""
    if request.endpoint in OPEN:
        return None
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        name = state().accounts.check_token(token.strip())
        if name is not None:
            g.token = name
            return None
        challenge = 'Bearer realm="krill-logger", error="invalid_token"'
    else:
        if not scheme and current_user.is_authenticated:
            return None
        challenge = 'Bearer realm="krill-logger"'
    answer = _json({"error": "A valid token is needed: Authorization: Bearer <token>."}, 401)
    answer.headers["WWW-Authenticate"] = challenge
    return answer


@blueprint.errorhandler(FilterErrors)
def refuse(wrong: FilterErrors) -> Response:
    """400 with every parameter that could not be understood."""
    return _json({"errors": [_told(error) for error in wrong.errors]}, 400)


@blueprint.errorhandler(StoreError)
def give_up(error: StoreError) -> Response:
    """503 or 504 when ClickHouse gives no answer, 400 when the answer is too large."""
    if isinstance(error, ResultTooLarge) and "per_page" in request.args:
        return refuse(FilterErrors([FilterError("per_page", request.args["per_page"], SMALLER_PAGE)]))
    return _json({"error": str(error)}, error.status)


def show_report(report: Report) -> Response:
    """A page of a report."""
    query = parse(decode(request.query_string), report, i18n.zone())
    page = state().store.page(query, read_json=rows.raw_json)
    return _json(
        {
            "total": page.total,
            "items": page.items,
            "page": query.page,
            "per_page": query.per_page,
            "seconds": round(page.seconds, 6),
        }
    )


def show_event(report: Report, event_id: str) -> Response:
    """One event."""
    _no_parameters()
    if not _UUID.fullmatch(event_id):
        raise FilterErrors([FilterError("event_id", event_id[:100], EVENT_ID)])
    item = state().store.row(report, str(UUID(event_id)), read_json=rows.raw_json)
    if item is None:
        return _json({"error": "There is no event with this id."}, 404)
    return _json(item)


@blueprint.get("/trends")
def show_trends() -> Response:
    """Requests, errors and response times per interval."""
    query = trends.parse(decode(request.query_string), i18n.zone())
    start = time.perf_counter()
    items = state().store.trends(query)
    return _json(
        {
            "total": len(items),
            "items": items,
            "from": query.since,
            "to": query.until,
            "interval": query.interval,
            "seconds": round(time.perf_counter() - start, 6),
        }
    )


@blueprint.get("/integrations")
def show_integrations() -> Response:
    """A page of the users of the API, with the numbers of a period."""
    query = rankings.parse(decode(request.query_string), i18n.zone(), rankings.TABLES["users"])
    start = time.perf_counter()
    found = state().store.ranking(query)
    return _json(
        {
            "total": found.total,
            "items": [{name: value for name, value in item.items() if name != "spark"} for item in found.items],
            "page": query.page,
            "per_page": query.per_page,
            "from": query.trend.since,
            "to": query.trend.until,
            "seconds": round(time.perf_counter() - start, 6),
        }
    )


@blueprint.get("/integrations/<path:user>", merge_slashes=False)
def show_integration(user: str) -> Response:
    """Failures, runs and addresses of a user of the API in a period."""
    query = integrations.parse(decode(request.query_string), integrations.user_of(user), i18n.zone())
    start = time.perf_counter()
    found = state().store.integration(query)
    return _json(
        {
            "user": query.user,
            "from": query.since,
            "to": query.until,
            **{field.name: getattr(found, field.name) for field in fields(found)},
            "seconds": round(time.perf_counter() - start, 6),
        }
    )


@blueprint.get("/objects/<object_type>/<path:object_id>/history", merge_slashes=False)
def show_history(object_type: str, object_id: str) -> Response:
    """A page of the history of an object."""
    query = history.parse(decode(request.query_string), object_type, object_id, i18n.zone())
    found = state().store.history(query, read_json=rows.raw_json)
    return _json(
        {
            "total": found.total,
            "items": found.items,
            "next": found.next,
            "name": found.name,
            "deleted_at": found.deleted_at,
            "seconds": round(found.seconds, 6),
        }
    )


@blueprint.get("/openapi.json")
def describe() -> Response:
    """This API's OpenAPI document."""
    return _json(openapi.document())


@blueprint.get("/<path:_rest>")
def missing(_rest: str) -> Response:
    """404 as JSON."""
    return _json({"error": "There is no such resource; /api/v1/openapi.json lists them."}, 404)


def _add_rules() -> None:
    for report in REPORTS:
        defaults = {"report": report}
        blueprint.add_url_rule(f"/{report.name}", report.table, show_report, defaults=defaults)
        blueprint.add_url_rule(f"/{report.name}/<event_id>", f"{report.table}_event", show_event, defaults=defaults)


_add_rules()


def _no_parameters() -> None:
    if request.query_string:
        wrong = [FilterError(name[:100], "", NO_PARAMETERS) for name in decode(request.query_string)]
        raise FilterErrors(wrong)


def _told(error: FilterError) -> Mapping[str, str]:
    return {"parameter": error.parameter, "value": error.value, "expected": error.expected + error.listed}


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, content_type="application/json")
