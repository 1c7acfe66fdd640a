"""Parts of the OpenAPI document: schemas of values, parameters and answers."""

from __future__ import annotations

from typing import Any

from dashboard import filters
from dashboard.columns import ADMIN_CHANGES, FIELD, Column, Report

_TEXT = "Exact, or with `*` for any text; `\\*` is a star."
MATCHES = {
    "text": _TEXT,
    "enum": _TEXT,
    "json": f"{_TEXT} Compared with the JSON text.",
    "array": f"Matches if the list holds the value. {_TEXT}",
    "number": "A number, or `>=500`, `>500`, `<=2`, `<2`, `200..299` (both ends included).",
    "time": "An ISO 8601 time, or a comparison as for numbers.",
    "address": "An IPv4 or IPv6 address, or a network such as `192.0.2.0/24`; empty for none.",
    "uuid": "A UUID.",
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "enum": {"type": "string"},
    "json": {"description": "Any JSON; a text that is no JSON as a string; null if there is none."},
    "array": {"type": "array", "items": {"type": "string"}},
    "number": {"type": "number"},
    "time": {"type": "string", "format": "date-time"},
    "address": {"type": "string", "description": "IPv4 or IPv6; empty if unknown."},
    "uuid": {"type": "string", "format": "uuid"},
}
_TIME = (
    "An ISO 8601 date or time, without an offset in the zone `tz`; or one that moves with the clock: `now-15m`, `now/d`"
    " (the beginning of today), `now-1w/w` (that of last week), with the units s, m, h, d, w, M (month) and y."
)
VALUES = {"type": "array", "items": {"type": "string", "maxLength": filters.MAX_LENGTH}}
COUNT = {"type": "integer", "minimum": 0}
SECONDS = {"type": "number", "description": "Time that the queries took."}
MILLISECONDS = {
    "type": ["number", "null"],
    "description": "Milliseconds; null for an interval without requests.",
}


def column_parameters(columns: tuple[Column, ...]) -> list[dict[str, Any]]:
    """The filters on columns: any of the values, none of the values."""
    return [
        parameter(sign + column.name, VALUES, f"{meaning} {column.about} {MATCHES[column.kind]}")
        for column in columns
        for sign, meaning in (("", "Any of these values."), ("-", "None of these values."))
    ]


def field_parameters(report: Report) -> list[dict[str, Any]]:
    """The filters on fields of the payloads, for which NAME stands: any of the values, none of the values."""
    where = (
        "Changes of the field NAME, from or to the value."
        if report is ADMIN_CHANGES
        else "The field NAME is in `query_params`, `data` or `response`, at any depth, with the value."
    )
    values = "`*` is any text, and alone any value; `>=500`, `<2`, `200..299` compare numbers; empty is null, too."
    return [
        parameter(f"{sign}{FIELD}NAME", VALUES, f"{meaning} {where} {values}")
        for sign, meaning in (("", "Any of these values."), ("-", "None of these values."))
    ]


def range_parameters() -> list[dict[str, Any]]:
    """`from`, `to` and `tz`."""
    text = {"type": "string"}
    return [
        parameter("from", text, f"Included. {_TIME}"),
        parameter("to", text, f"Not included. {_TIME}"),
        parameter("tz", text, "IANA time zone; that of the user, or of the installation, if not given."),
    ]


def schema(column: Column) -> dict[str, Any]:
    """The schema of a column's values."""
    schema = {"description": column.about, **SCHEMAS[column.kind]}
    if column.integer:
        schema["type"] = "integer"
    if column.choices:
        schema["enum"] = list(column.choices)
    return schema


def get(
    operation: str, summary: str, parameters: list[dict[str, Any]], schema: str, *, missing: bool = False
) -> dict[str, Any]:
    """A path with its GET: parameters, and the schema of its answer by name."""
    responses = {
        "200": content("The answer.", reference(schema)),
        "400": content("A parameter that cannot be understood.", reference("Refusal")),
        "401": content("No valid token.", reference("Error")),
        "503": content("ClickHouse cannot be reached.", reference("Error")),
        "504": content("The query took too long.", reference("Error")),
        "507": content("The answer is too large.", reference("Error")),
    }
    if missing:
        responses["404"] = content("No such event.", reference("Error"))
    return {
        "get": {
            "operationId": operation,
            "summary": summary,
            "parameters": parameters,
            "responses": responses,
        }
    }


def parameter(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    """A query parameter."""
    return {"name": name, "in": "query", "schema": schema, "description": description}


def content(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    """An answer with JSON."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def reference(name: str) -> dict[str, Any]:
    """Where a schema of the document is."""
    return {"$ref": f"#/components/schemas/{name}"}


def object_of(properties: dict[str, Any], required: tuple[str, ...] | None = None) -> dict[str, Any]:
    """An object with these properties; all of them required unless `required` says which."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties if required is None else required),
    }
