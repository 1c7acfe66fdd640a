"""How the two reports look as pages: their table headings and the fields of their filter panels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _

from dashboard.columns import ADMIN_CHANGES, API_REQUESTS, Column, Report

#: What the columns are called on a page, in both reports.
LABELS: dict[str, Any] = {
    "event_id": _("Event id"),
    "requested_at": _("Requested at"),
    "changed_at": _("Date and time"),
    "user": _("User"),
    "user_id": _("User id"),
    "remote_addr": _("IP address"),
    "method": _("Method"),
    "path": _("Path"),
    "route": _("Route"),
    "api_version": _("API version"),
    "app": _("Application"),
    "app_label": _("Application"),
    "model": _("Content type"),
    "object_type": _("Object type"),
    "object_id": _("Object id"),
    "object_repr": _("Object"),
    "action": _("Action"),
    "host": _("Host"),
    "view": _("View"),
    "view_method": _("View method"),
    "status_code": _("Status"),
    "response_ms": _("Response (ms)"),
    "query_params": _("Query params"),
    "data": _("Data"),
    "response": _("Response"),
    "errors": _("Errors"),
    "user_agent": _("User agent"),
    "request_id": _("Request id"),
    "masked": _("Masked field"),
    "truncated": _("Truncated field"),
    "change_message": _("Change message"),
    "changed_fields": _("Changed field"),
    "changes": _("Changes"),
    "ingested_at": _("Stored at"),
    "kafka_topic": _("Kafka topic"),
    "kafka_partition": _("Kafka partition"),
    "kafka_offset": _("Kafka offset"),
    "q": _("Text"),
    "from": _("From"),
    "to": _("To"),
    "page": _("Page"),
    "per_page": _("Rows per page"),
    "sort": _("Order"),
    "tz": _("Time zone"),
    "columns": _("Columns"),
    "density": _("Density"),
    "times": _("Times"),
    "interval": _("Interval"),
    "by": _("Group by"),
}

#: What columns with several values are called above a table.
HEADINGS: dict[str, Any] = {
    **LABELS,
    "masked": _("Masked fields"),
    "truncated": _("Truncated fields"),
    "changed_fields": _("Changed fields"),
}
#: The classes of cells with a look of their own; the others are called after their column.
CELLS = {
    "requested_at": "c-time",
    "changed_at": "c-time",
    "remote_addr": "c-ip",
    "response_ms": "c-ms",
    "status_code": "c-status",
    "object_repr": "c-object",
    "changed_fields": "c-fields",
}

#: What a cell shows beside its own column.
_BESIDE = {"view": "view_method", "model": "app_label", "object_repr": "object_id"}

ACTIONS = {"addition": _("Addition"), "change": _("Change"), "deletion": _("Deletion")}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the filter panel: check boxes for `choices` (value: label), and a text input unless `closed`."""

    name: str
    hint: Any = ""
    choices: tuple[tuple[str, Any], ...] = ()
    closed: bool = False
    suggests: bool = False
    more: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """A report's page. `headings` are the columns of its table unless others are chosen."""

    report: Report
    title: Any
    icon: str
    headings: tuple[str, ...]
    fields: tuple[Field, ...]

    def read(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Names of all columns that a table of these `columns` is drawn from."""
        beside = (_BESIDE[name] for name in columns if name in _BESIDE)
        return tuple(dict.fromkeys((*columns, *beside, "event_id")))

    def drawn(self, columns: Sequence[str]) -> list[tuple[Column, str, str]]:
        """Of each of these `columns`: itself, the class of its cells, and its label in the page's language."""
        return [(self.report.by_name[name], CELLS.get(name, f"c-{name}"), str(HEADINGS[name])) for name in columns]


_WILDCARD = _("* stands for any text")
_OBJECT_TYPE = _("e.g. %(example)s", example="cpe")

API = Layout(
    API_REQUESTS,
    _("API report"),
    "api",
    (
        "requested_at",
        "user",
        "remote_addr",
        "response_ms",
        "status_code",
        "method",
        "path",
        "host",
        "view",
    ),
    (
        Field("user", _WILDCARD, suggests=True),
        Field("remote_addr", _("e.g. %(example)s", example="10.0.0.0/8")),
        Field("path", _("e.g. %(example)s", example="/api/v2/isp/cpes/*")),
        Field("response_ms", _("e.g. %(example)s", example=">=500")),
        Field("host", _WILDCARD, suggests=True),
        Field("view", _("e.g. %(example)s", example="*CpeViewSet"), suggests=True),
        Field(
            "method",
            _("e.g. %(example)s", example="OPTIONS"),
            choices=tuple((name, name) for name in ("GET", "POST", "PUT", "PATCH", "DELETE")),
        ),
        Field(
            "status_code",
            _("e.g. %(example)s", example=">=400"),
            choices=(("200..299", "2xx"), ("300..399", "3xx"), ("400..499", "4xx"), ("500..599", "5xx")),
        ),
        Field("route", _WILDCARD, suggests=True, more=True),
        Field("object_type", _OBJECT_TYPE, suggests=True, more=True),
        Field("object_id", more=True),
        Field("action", _("e.g. %(example)s", example="partial_update"), suggests=True, more=True),
        Field("view_method", suggests=True, more=True),
        Field("masked", _("e.g. %(example)s", example="wifi_password"), more=True),
        Field("user_agent", _WILDCARD, more=True),
        Field("request_id", more=True),
    ),
)

ADMIN = Layout(
    ADMIN_CHANGES,
    _("Admin report"),
    "admin",
    ("changed_at", "user", "action", "model", "object_repr", "changed_fields"),
    (
        Field("user", _WILDCARD, suggests=True),
        Field("model", _("e.g. %(example)s", example="customer"), suggests=True),
        Field("object_repr", _WILDCARD),
        Field("object_id"),
        Field("changed_fields", _("e.g. %(example)s", example="postalcode")),
        Field("action", choices=tuple(ACTIONS.items()), closed=True),
        Field("app_label", suggests=True, more=True),
        Field("object_type", _OBJECT_TYPE, suggests=True, more=True),
        Field("remote_addr", _("e.g. %(example)s", example="10.0.0.0/8"), more=True),
        Field("masked", _("e.g. %(example)s", example="wifi_password"), more=True),
        Field("request_id", more=True),
    ),
)

LAYOUTS = (API, ADMIN)
