"""The columns of the reports: what can be filtered, sorted, searched and exported, and as what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Kind = Literal["text", "enum", "number", "address", "uuid", "time", "array", "json", "payload", "change"]

#: What a parameter begins with that asks for a field of the payloads, before the field's name.
FIELD = "field."
_FIELD = re.compile(r"field\.[^\x00-\x1f\x7f]{1,100}")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Args:
        name: name in the table, in query parameters, in JSON and in CSV.
        kind: how values are compared and shown; `enum` is a text with few different values. A `payload` is a field of
            the payloads of requests, a `change` one of the changes, and neither is a column of the table.
        about: one line for the API's description.
        integer: for numbers, whether fractions are impossible.
        choices: for an `enum` with a closed set of values, all of them.
        searched: whether the text search `q` looks into it.
        large: whether a value may be megabytes long.
    """

    name: str
    kind: Kind
    about: str
    integer: bool = False
    choices: tuple[str, ...] = ()
    searched: bool = True
    large: bool = False

    @property
    def sortable(self) -> bool:
        """Whether rows can be sorted by it."""
        return self.kind not in ("json", "array") and not self.large


@dataclass(frozen=True)
class Report:
    """A table as users see it.

    Args:
        name: as in the paths of its page, CSV and API.
        time_column: what `from` and `to` compare, and what rows are sorted by unless asked otherwise.
    """

    name: str
    table: str
    time_column: str
    columns: tuple[Column, ...]

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """The columns by their name, in order."""
        return {column.name: column for column in self.columns}

    def find(self, name: str) -> Column | None:
        """What the query parameter `name` compares: a column, or a field of the payloads (`field.postalcode`)."""
        if _FIELD.fullmatch(name):
            return Column(name, "change" if "changes" in self.by_name else "payload", "A field of the payloads.")
        return self.by_name.get(name)


_BOOKKEEPING = (
    Column("ingested_at", "time", "When the worker stored the row.", searched=False),
    Column("kafka_topic", "enum", "Topic of the message the row was made from.", searched=False),
    Column("kafka_partition", "number", "Partition of that message.", integer=True, searched=False),
    Column("kafka_offset", "number", "Offset of that message.", integer=True, searched=False),
)
_MASKED = Column("masked", "array", "Names of the fields whose values were masked.")

API_REQUESTS = Report(
    "api-requests",
    "api_requests",
    "requested_at",
    (
        Column("event_id", "uuid", "Identity of the event."),
        Column("requested_at", "time", "When the request arrived at Krill.", searched=False),
        Column("user", "enum", "User name of the caller; Anonymous if none."),
        Column("user_id", "text", "Primary key of the user in Krill."),
        Column("remote_addr", "address", "Address of the caller."),
        Column("method", "enum", "HTTP method in upper case."),
        Column("path", "text", "Path as requested, without the query string."),
        Column("route", "enum", "Path with every identifier replaced by {id}."),
        Column("api_version", "enum", "v1, v2, …"),
        Column("app", "enum", "Krill application, such as isp."),
        Column("object_type", "enum", "Kind of object: cpe, customer, pots, user, …"),
        Column("object_id", "text", "Identifier of the object in the path."),
        Column("action", "enum", "list, retrieve, create, update, partial_update, destroy or an extra action."),
        Column("host", "enum", "Host header of the request."),
        Column("view", "enum", "Dotted name of the view class that answered."),
        Column("view_method", "enum", "Method of the view that answered."),
        Column("status_code", "number", "HTTP status of the answer.", integer=True),
        Column("response_ms", "number", "Response time in milliseconds."),
        Column("query_params", "json", "Query string as an object.", large=True),
        Column("data", "json", "Body of the request.", large=True),
        Column("response", "json", "Body of the answer.", large=True),
        Column("errors", "text", "Error text or traceback.", large=True),
        Column("user_agent", "text", "User-Agent header of the request."),
        Column("request_id", "text", "Identity of the HTTP request; an admin change that it caused carries the same."),
        _MASKED,
        Column("truncated", "array", "Names of the columns whose values were cut because of their size."),
        *_BOOKKEEPING,
    ),
)

ADMIN_CHANGES = Report(
    "admin-changes",
    "admin_changes",
    "changed_at",
    (
        Column("event_id", "uuid", "Identity of the event."),
        Column("changed_at", "time", "When the change was made in Krill.", searched=False),
        Column("user", "enum", "User name of who made the change."),
        Column("user_id", "text", "Primary key of the user in Krill."),
        Column("action", "enum", "What was done.", choices=("addition", "change", "deletion")),
        Column("app_label", "enum", "Django application of the object, such as isp."),
        Column("model", "enum", "Django model of the object, such as cpe."),
        Column("object_type", "enum", "Kind of object: customer, cpe, pots, user, or the model."),
        Column("object_id", "text", "Primary key of the object."),
        Column("object_repr", "text", "The object as Krill prints it."),
        Column("change_message", "text", "The Django admin's message: JSON, or older free text.", large=True),
        Column("changed_fields", "array", "Names of the fields that changed."),
        Column("changes", "json", "List of {field, old, new}.", large=True),
        Column("remote_addr", "address", "Address of who made the change."),
        Column("request_id", "text", "Identity of the HTTP request that caused the change."),
        _MASKED,
        *_BOOKKEEPING,
    ),
)

REPORTS = (API_REQUESTS, ADMIN_CHANGES)

#: What trends can be filtered by and grouped by.
TREND_COLUMNS = tuple(API_REQUESTS.by_name[name] for name in ("user", "route", "method", "status_code", "host"))
