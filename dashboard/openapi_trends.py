"""The OpenAPI document's part on trends and integrations."""

from __future__ import annotations

from typing import Any

from dashboard import filters, integrations, periods, quantiles, rankings, trends
from dashboard.columns import API_REQUESTS, TREND_COLUMNS
from dashboard.openapi_parts import (
    COUNT,
    MILLISECONDS,
    SCHEMAS,
    SECONDS,
    column_parameters,
    get,
    object_of,
    parameter,
    range_parameters,
    reference,
    schema,
)

_MEASURES: dict[str, Any] = {
    "count": {**COUNT, "description": "Requests; percentiles of few say little."},
    "errors": {**COUNT, "description": "Requests answered with a status of 400 or more."},
    "error_rate": {"type": ["number", "null"], "description": "errors / count; null without requests."},
    **dict.fromkeys(quantiles.NAMES, MILLISECONDS),
}
_BEFORE: dict[str, Any] = {
    "type": ["object", "null"],
    "properties": _MEASURES,
    "description": "The same numbers of the period compared with, null if it had no requests; only with `compare`.",
}


def paths() -> dict[str, Any]:
    """The paths with what they take and answer."""
    return {
        "/trends": get(
            "list_trends",
            "Requests, errors and response times per interval, of the last 24 hours unless `from` and `to` say "
            "otherwise. `from` and `to` are widened to whole minutes.",
            _trend_parameters(),
            "Trends",
        ),
        "/integrations": get(
            "list_integrations",
            "Users of the API with the numbers of a period, the last 24 hours unless `from` and `to` say otherwise.",
            _ranking_parameters(),
            "IntegrationPage",
        ),
        "/integrations/{user}": get(
            "get_integration",
            "What fails for a user of the API, its runs and where it calls from, in the last 7 days unless `from` and "
            "`to` say otherwise.",
            _integration_parameters(),
            "Integration",
        ),
    }


def schemas() -> dict[str, Any]:
    """The schemas of the answers, by name."""
    trend = object_of(_trend(), required=("start", *_MEASURES))
    page = object_of(
        {
            "total": COUNT,
            "items": {"type": "array", "items": reference("Trend")},
            "from": SCHEMAS["time"],
            "to": SCHEMAS["time"],
            "interval": {"enum": list(trends.INTERVALS)},
            "seconds": SECONDS,
        }
    )
    return {"Trend": trend, "Trends": page, **_integrations()}


def _trend_parameters() -> list[dict[str, Any]]:
    by = {"type": "array", "items": {"enum": list(trends.BY)}, "uniqueItems": True}
    return [
        *column_parameters(TREND_COLUMNS),
        *range_parameters(),
        parameter(
            "interval",
            {"enum": list(trends.INTERVALS), "default": "hour"},
            "Hours and days are those of `tz`.",
        ),
        parameter("by", by, "Group by these columns; `status` is `status_code`."),
        parameter("fill", {"enum": ["0", "1"], "default": "0"}, "1: intervals without requests are listed, too."),
        _compare_parameter(),
    ]


def _compare_parameter() -> dict[str, Any]:
    about = "Adds `before`: the numbers of the period before, or of the same weekdays last week."
    return parameter("compare", {"enum": list(periods.COMPARISONS)}, about)


def _ranking_parameters() -> list[dict[str, Any]]:
    sorts = [sign + name for name in rankings.SORTS for sign in ("", "-")]
    pages = {"type": "integer", "minimum": 1, "maximum": filters.MAX_PAGE, "default": 1}
    per_page = {"type": "integer", "minimum": 1, "maximum": rankings.MAX_PER_PAGE, "default": rankings.PER_PAGE}
    return [
        *column_parameters(TREND_COLUMNS),
        *range_parameters(),
        _compare_parameter(),
        parameter("sort", {"enum": sorts, "default": "-count"}, "Descending with `-`; what has no value comes last."),
        parameter("page", pages, "Page."),
        parameter("per_page", per_page, "Users per page."),
    ]


def _integration_parameters() -> list[dict[str, Any]]:
    user = (
        "User name; slashes within it may stand as they are. A name that a path would not give back (that begins with "
        "`~` or has an empty part, `.` or `..` between slashes) is percent-encoded twice, behind `~`."
    )
    gap = {"type": "integer", "minimum": 1, "maximum": integrations.MOST_GAP, "default": integrations.GAP}
    return [
        {**parameter("user", {"type": "string"}, user), "in": "path", "required": True},
        *range_parameters(),
        parameter("gap", gap, "Seconds between two requests that are still of one run."),
    ]


def _trend() -> dict[str, Any]:
    return {
        "start": {**SCHEMAS["time"], "description": "Start of the interval."},
        **{column.name: schema(column) for column in TREND_COLUMNS},
        **_MEASURES,
        "before": _BEFORE,
    }


def _integrations() -> dict[str, Any]:
    user, time = schema(API_REQUESTS.by_name["user"]), SCHEMAS["time"]
    last_at = {**time, "type": ["string", "null"], "description": "Its last request."}
    item = object_of(
        {"user": user, **_MEASURES, "last_at": last_at, "before": _BEFORE},
        required=("user", *_MEASURES, "last_at"),
    )
    page = {
        **dict.fromkeys(("total", "page", "per_page"), COUNT),
        "items": {"type": "array", "items": item},
        **dict.fromkeys(("from", "to"), time),
        "seconds": SECONDS,
    }
    more, seen = {"type": "boolean"}, {"first_at": time, "last_at": time}
    text, event_id = {"type": "string"}, SCHEMAS["uuid"]
    body = {**text, "description": "The beginning of the request's body."}
    failure = {
        **{name: schema(API_REQUESTS.by_name[name]) for name in ("status_code", "method", "route")},
        "failure": {**text, "description": "Error without numbers, identifiers and quoted values; empty if none."},
        "count": COUNT,
        **seen,
        **dict.fromkeys(("first_id", "last_id"), event_id),
        **dict.fromkeys(("first_data", "last_data"), body),
    }
    run = {
        **dict.fromkeys(("start", "end"), time),
        **dict.fromkeys(("count", "errors"), COUNT),
        "p95": {**MILLISECONDS, "description": f"null below {trends.MINIMUM_SAMPLE['p95']} requests."},
        "first_failed_id": {**event_id, "type": ["string", "null"]},
    }
    address = {"remote_addr": SCHEMAS["address"], **dict.fromkeys(("count", "errors"), COUNT), **seen}
    parts = {
        "failures": {"type": "array", "items": object_of(failure)},
        "more_failures": more,
        "failed_bounded": {**more, "description": "Only the newest failed requests were looked at."},
        "runs": {"type": "array", "items": object_of(run)},
        "more_runs": more,
        "alone": {**COUNT, "description": "Requests that belong to no run."},
        "runs_bounded": {**more, "description": "Only the newest requests were looked at."},
        "addresses": {"type": "array", "items": object_of(address)},
        "more_addresses": more,
    }
    one = {"user": user, "from": time, "to": time, **parts, "seconds": SECONDS}
    return {"IntegrationPage": object_of(page), "Integration": object_of(one)}
