"""The OpenAPI document of the JSON API, made from the columns and the limits that the parser enforces."""

from __future__ import annotations

from functools import cache
from typing import Any

from dashboard import filters, history, trends
from dashboard.columns import ADMIN_CHANGES, API_REQUESTS, REPORTS, TREND_COLUMNS, Column, Report

_TEXT = "Exact, or with `*` for any text; `\\*` is a star."
_MATCHES = {
    "text": _TEXT,
    "enum": _TEXT,
    "json": f"{_TEXT} Compared with the JSON text.",
    "array": f"Matches if the list holds the value. {_TEXT}",
    "number": "A number, or `>=500`, `>500`, `<=2`, `<2`, `200..299` (both ends included).",
    "time": "An ISO 8601 time, or a comparison as for numbers.",
    "address": "An IPv4 or IPv6 address, or a network such as `192.0.2.0/24`; empty for none.",
    "uuid": "A UUID.",
}
_SCHEMAS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "enum": {"type": "string"},
    "json": {"description": "Any JSON; a text that is no JSON as a string; null if there is none."},
    "array": {"type": "array", "items": {"type": "string"}},
    "number": {"type": "number"},
    "time": {"type": "string", "format": "date-time"},
    "address": {"type": "string", "description": "IPv4 or IPv6; empty if unknown."},
    "uuid": {"type": "string", "format": "uuid"},
}
_COUNT = {"type": "integer", "minimum": 0}
_SECONDS = {"type": "number", "description": "Time that the queries took."}
_MILLISECONDS = {
    "type": ["number", "null"],
    "description": "Milliseconds; null for an interval without requests.",
}


@cache
def document() -> dict[str, Any]:
    """The document as a JSON value."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {"Refusal": _refusal(), "Error": _object({"error": {"type": "string"}})}
    for report in REPORTS:
        name = report.table.title().replace("_", "").removesuffix("s")
        schemas[name] = _object({column.name: _schema(column) for column in report.columns})
        answer = {
            "total": {**_COUNT, "description": "Rows that match, on all pages."},
            "items": {"type": "array", "items": _reference(name)},
            "page": {"type": "integer", "minimum": 1},
            "per_page": {"type": "integer", "minimum": 1},
            "seconds": _SECONDS,
        }
        schemas[f"{name}Page"] = _object(answer)
        paths[f"/{report.name}"] = _get(
            f"list_{report.table}",
            f"A page of {report.name}, newest first unless `sort` says otherwise. Rows that arrive "
            "meanwhile move the pages; with `to` they stay.",
            _report_parameters(report),
            f"{name}Page",
        )
        event_id = _parameter("event_id", {"type": "string", "format": "uuid"}, "Identity of the event.")
        paths[f"/{report.name}/{{event_id}}"] = _get(
            f"get_{report.table}",
            f"One of {report.name}.",
            [{**event_id, "in": "path", "required": True}],
            name,
            missing=True,
        )
    schemas["Trend"] = _object(_trend(), required=("start", "count", "errors", "error_rate", *trends.QUANTILES))
    schemas["Trends"] = _object(
        {
            "total": _COUNT,
            "items": {"type": "array", "items": _reference("Trend")},
            "from": _SCHEMAS["time"],
            "to": _SCHEMAS["time"],
            "interval": {"enum": list(trends.INTERVALS)},
            "seconds": _SECONDS,
        }
    )
    paths["/trends"] = _get(
        "list_trends",
        "Requests, errors and response times per interval, of the last 24 hours unless `from` and `to` say "
        "otherwise. `from` and `to` are widened to whole minutes.",
        _trend_parameters(),
        "Trends",
    )
    schemas |= _history()
    paths["/objects/{object_type}/{object_id}/history"] = _get(
        "get_history",
        "Admin changes of an object and requests to it, newest first; only requests that can change something unless "
        "`reads` is 1. An object that was never heard of has an empty history.",
        _history_parameters(),
        "History",
    )
    paths["/openapi.json"] = {
        "get": {
            "operationId": "describe",
            "summary": "This document.",
            "security": [],
            "responses": {"200": _content("The document.", {"type": "object"})},
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Krill Logger",
            "version": "1",
            "description": "Requests to Krill's API and changes made in its admin. Query parameters are "
            "those of the pages and their CSV; anything unknown or malformed is answered with 400.",
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "As `krill-logger tokens create NAME` prints it.",
                }
            },
        },
    }


def _report_parameters(report: Report) -> list[dict[str, Any]]:
    sortable = [sign + column.name for column in report.columns if column.sortable for sign in ("", "-")]
    return [
        *_column_parameters(report.columns),
        *_range_parameters(),
        _parameter("q", {"type": "string"}, "Text in any column or payload, whatever its case."),
        _parameter(
            "sort",
            {"enum": sortable, "default": f"-{report.time_column}"},
            "Column; descending with `-` before it.",
        ),
        _parameter("page", {"type": "integer", "minimum": 1, "maximum": filters.MAX_PAGE, "default": 1}, "Page."),
        _parameter(
            "per_page",
            {"type": "integer", "minimum": 1, "maximum": filters.MAX_PER_PAGE, "default": filters.PER_PAGE},
            "Rows per page.",
        ),
    ]


def _trend_parameters() -> list[dict[str, Any]]:
    by = {"type": "array", "items": {"enum": list(trends.BY)}, "uniqueItems": True}
    return [
        *_column_parameters(TREND_COLUMNS),
        *_range_parameters(),
        _parameter(
            "interval",
            {"enum": list(trends.INTERVALS), "default": "hour"},
            "Hours and days are those of `tz`.",
        ),
        _parameter("by", by, "Group by these columns; `status` is `status_code`."),
        _parameter("fill", {"enum": ["0", "1"], "default": "0"}, "1: intervals without requests are listed, too."),
    ]


def _column_parameters(columns: tuple[Column, ...]) -> list[dict[str, Any]]:
    values = {"type": "array", "items": {"type": "string", "maxLength": filters.MAX_LENGTH}}
    return [
        _parameter(sign + column.name, values, f"{meaning} {column.about} {_MATCHES[column.kind]}")
        for column in columns
        for sign, meaning in (("", "Any of these values."), ("-", "None of these values."))
    ]


def _range_parameters() -> list[dict[str, Any]]:
    text = {"type": "string"}
    return [
        _parameter("from", text, "ISO 8601 date or time, included. Without an offset, in the zone `tz`."),
        _parameter("to", text, "ISO 8601 date or time, not included. Without an offset, in the zone `tz`."),
        _parameter("tz", text, "IANA time zone; that of the user, or of the installation, if not given."),
    ]


def _history_parameters() -> list[dict[str, Any]]:
    text = {"type": "string"}
    object_id = "Identifier of the object; slashes within it may stand as they are."
    return [
        {**_parameter("object_type", text, API_REQUESTS.by_name["object_type"].about), "in": "path", "required": True},
        {**_parameter("object_id", text, object_id), "in": "path", "required": True},
        *_range_parameters(),
        _parameter("reads", {"enum": ["0", "1"], "default": "0"}, "1: GET, HEAD and OPTIONS are listed, too."),
        _parameter("before", text, "Only what was before this ISO 8601 time, or `next` of the page before."),
        _parameter(
            "per_page",
            {"type": "integer", "minimum": 1, "maximum": history.MAX_PER_PAGE, "default": history.PER_PAGE},
            "Entries per page.",
        ),
    ]


def _history() -> dict[str, Any]:
    ids = {"type": "array", "items": _SCHEMAS["uuid"]}
    actor = "Who is behind it: a person in the admin or a browser, a program that called the API, or Krill itself."
    schemas = {}
    for name, report, columns, linked in (
        ("HistoryChange", ADMIN_CHANGES, history.CHANGE_COLUMNS, "Requests that caused it, by event id."),
        ("HistoryRequest", API_REQUESTS, history.REQUEST_COLUMNS, "Changes that it caused, by event id."),
    ):
        schemas[name] = _object(
            {
                "report": {"const": report.name},
                "at": {**_SCHEMAS["time"], "description": f"The same as {report.time_column}."},
                "actor": {"enum": ["human", "integration", "process"], "description": actor},
                "linked": {**ids, "description": linked},
                **{column.name: _schema(column) for column in columns},
            }
        )
    text = {"type": "string"}
    schemas["History"] = _object(
        {
            "total": {**_COUNT, "description": "Entries on all pages."},
            "items": {"type": "array", "items": {"oneOf": [_reference(name) for name in schemas]}},
            "next": {"type": ["string", "null"], "description": "`before` of the next page; null on the last."},
            "name": {**text, "description": "The object as Krill last printed it; empty if it never did."},
            "deleted_at": {**_SCHEMAS["time"], "type": ["string", "null"], "description": "null if it is there."},
            "seconds": _SECONDS,
        }
    )
    return schemas


def _trend() -> dict[str, Any]:
    return {
        "start": {**_SCHEMAS["time"], "description": "Start of the interval."},
        **{column.name: _schema(column) for column in TREND_COLUMNS},
        "count": _COUNT,
        "errors": {**_COUNT, "description": "Requests answered with a status of 400 or more."},
        "error_rate": {"type": ["number", "null"], "description": "errors / count; null without requests."},
        **dict.fromkeys(trends.QUANTILES, _MILLISECONDS),
    }


def _schema(column: Column) -> dict[str, Any]:
    schema = {"description": column.about, **_SCHEMAS[column.kind]}
    if column.integer:
        schema["type"] = "integer"
    if column.choices:
        schema["enum"] = list(column.choices)
    return schema


def _refusal() -> dict[str, Any]:
    text = {"type": "string"}
    error = _object({"parameter": text, "value": text, "expected": text})
    return _object({"errors": {"type": "array", "items": error}})


def _get(
    operation: str, summary: str, parameters: list[dict[str, Any]], schema: str, *, missing: bool = False
) -> dict[str, Any]:
    responses = {
        "200": _content("The answer.", _reference(schema)),
        "400": _content("A parameter that cannot be understood.", _reference("Refusal")),
        "401": _content("No valid token.", _reference("Error")),
        "503": _content("ClickHouse cannot be reached.", _reference("Error")),
        "504": _content("The query took too long.", _reference("Error")),
        "507": _content("The answer is too large.", _reference("Error")),
    }
    if missing:
        responses["404"] = _content("No such event.", _reference("Error"))
    return {
        "get": {
            "operationId": operation,
            "summary": summary,
            "parameters": parameters,
            "responses": responses,
        }
    }


def _parameter(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _content(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: dict[str, Any], required: tuple[str, ...] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties if required is None else required),
    }
