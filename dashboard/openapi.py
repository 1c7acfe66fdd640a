"""The OpenAPI document of the JSON API, made from the columns and the limits that the parser enforces."""

from __future__ import annotations

from functools import cache
from typing import Any

from dashboard import filters, history, looks, openapi_trends
from dashboard.columns import ADMIN_CHANGES, API_REQUESTS, REPORTS, Report
from dashboard.openapi_parts import (
    COUNT,
    SCHEMAS,
    SECONDS,
    VALUES,
    column_parameters,
    content,
    field_parameters,
    get,
    object_of,
    parameter,
    range_parameters,
    reference,
    schema,
)


@cache
def document() -> dict[str, Any]:
    """The document as a JSON value."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {"Refusal": _refusal(), "Error": object_of({"error": {"type": "string"}})}
    for report in REPORTS:
        name = report.table.title().replace("_", "").removesuffix("s")
        columns = {column.name: schema(column) for column in report.columns}
        schemas[name] = object_of(columns)
        schemas[f"{name}Row"] = object_of(columns, required=())
        answer = {
            "total": {**COUNT, "description": "Rows that match, on all pages."},
            "items": {
                "type": "array",
                "items": reference(f"{name}Row"),
                "description": "With all columns, or those that `columns` names.",
            },
            "page": {"type": "integer", "minimum": 1},
            "per_page": {"type": "integer", "minimum": 1},
            "seconds": SECONDS,
        }
        schemas[f"{name}Page"] = object_of(answer)
        paths[f"/{report.name}"] = get(
            f"list_{report.table}",
            f"A page of {report.name}, newest first unless `sort` says otherwise. Rows that arrive "
            "meanwhile move the pages; with `to` they stay.",
            _report_parameters(report),
            f"{name}Page",
        )
        event_id = parameter("event_id", {"type": "string", "format": "uuid"}, "Identity of the event.")
        paths[f"/{report.name}/{{event_id}}"] = get(
            f"get_{report.table}",
            f"One of {report.name}.",
            [{**event_id, "in": "path", "required": True}],
            name,
            missing=True,
        )
    paths |= openapi_trends.paths()
    schemas |= openapi_trends.schemas()
    schemas |= _history()
    paths["/objects/{object_type}/{object_id}/history"] = get(
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
            "responses": {"200": content("The document.", {"type": "object"})},
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
        *column_parameters(report.columns),
        *range_parameters(),
        *field_parameters(report),
        parameter(
            "q",
            VALUES,
            "Text in any column or payload, whatever its case; of several, all. Ids of hexadecimal digits are not "
            "looked into for a number.",
        ),
        parameter("-q", VALUES, "Text that is in no column or payload; of several, none."),
        parameter(
            "sort",
            {"enum": sortable, "default": f"-{report.time_column}"},
            "Column; descending with `-` before it.",
        ),
        parameter("page", {"type": "integer", "minimum": 1, "maximum": filters.MAX_PAGE, "default": 1}, "Page."),
        parameter(
            "per_page",
            {"type": "integer", "minimum": 1, "maximum": filters.MAX_PER_PAGE, "default": filters.PER_PAGE},
            "Rows per page.",
        ),
        *_look_parameters(report),
    ]


def _look_parameters(report: Report) -> list[dict[str, Any]]:
    page = "How a page shows the rows; nothing changes here, so that the URL of a page can be used as it is."
    names = ", ".join(report.by_name)
    return [
        parameter("columns", {"type": "string"}, f"Only these columns, in this order, with commas between: {names}."),
        parameter("density", {"enum": list(looks.DENSITIES)}, page),
        parameter("times", {"enum": list(looks.TIMES)}, page),
    ]


def _history_parameters() -> list[dict[str, Any]]:
    text = {"type": "string"}
    object_id = "Identifier of the object; slashes within it may stand as they are."
    return [
        {**parameter("object_type", text, API_REQUESTS.by_name["object_type"].about), "in": "path", "required": True},
        {**parameter("object_id", text, object_id), "in": "path", "required": True},
        *range_parameters(),
        parameter("reads", {"enum": ["0", "1"], "default": "0"}, "1: GET, HEAD and OPTIONS are listed, too."),
        parameter("before", text, "Only what was before this ISO 8601 time, or `next` of the page before."),
        parameter(
            "per_page",
            {"type": "integer", "minimum": 1, "maximum": history.MAX_PER_PAGE, "default": history.PER_PAGE},
            "Entries per page.",
        ),
    ]


def _history() -> dict[str, Any]:
    ids = {"type": "array", "items": SCHEMAS["uuid"]}
    actor = "Who is behind it: a person in the admin or a browser, a program that called the API, or Krill itself."
    schemas = {}
    for name, report, columns, linked in (
        ("HistoryChange", ADMIN_CHANGES, history.CHANGE_COLUMNS, "Requests that caused it, by event id."),
        ("HistoryRequest", API_REQUESTS, history.REQUEST_COLUMNS, "Changes that it caused, by event id."),
    ):
        schemas[name] = object_of(
            {
                "report": {"const": report.name},
                "at": {**SCHEMAS["time"], "description": f"The same as {report.time_column}."},
                "actor": {"enum": ["human", "integration", "process"], "description": actor},
                "linked": {**ids, "description": linked},
                **{column.name: schema(column) for column in columns},
            }
        )
    text = {"type": "string"}
    schemas["History"] = object_of(
        {
            "total": {**COUNT, "description": "Entries on all pages."},
            "items": {"type": "array", "items": {"oneOf": [reference(name) for name in schemas]}},
            "next": {"type": ["string", "null"], "description": "`before` of the next page; null on the last."},
            "name": {**text, "description": "The object as Krill last printed it; empty if it never did."},
            "deleted_at": {**SCHEMAS["time"], "type": ["string", "null"], "description": "null if it is there."},
            "seconds": SECONDS,
        }
    )
    return schemas


def _refusal() -> dict[str, Any]:
    text = {"type": "string"}
    error = object_of({"parameter": text, "value": text, "expected": text})
    return object_of({"errors": {"type": "array", "items": error}})
