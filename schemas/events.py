"""The two event types, as they stand in the value of a Kafka message.

The structs are the single source: `schemas.generate` makes JSON Schema and AsyncAPI from them. Evolution: a new field
is optional; anything else is a `.v2` beside `.v1`. Unknown fields are ignored.
"""

from __future__ import annotations

import datetime as dt
import uuid
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, cast

import msgspec

from schemas import topics

AwareTime = Annotated[dt.datetime, msgspec.Meta(tz=True, description="RFC 3339, with any offset")]


class Event(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the event types have in common.

    `TYPE` is the CloudEvents type, `TOPIC` the Kafka topic, `TIME` the field that says when it happened. The
    `key` of each is the Kafka key: events with the same key keep their order.
    """

    TYPE: ClassVar[str]
    TOPIC: ClassVar[str]
    TIME: ClassVar[str]

    event_id: Annotated[uuid.UUID, msgspec.Meta(description="Unique per event; version 7 from our producers")]

    @property
    def time(self) -> dt.datetime:
        """When it happened."""
        return cast(dt.datetime, getattr(self, self.TIME))

    def headers(self, source: str) -> list[tuple[str, bytes]]:
        """CloudEvents attributes as Kafka headers (Kafka protocol binding 1.0.2, binary mode).

        Args:
            source: URI-reference of the process that saw the event, such as `krill/api`.
        """
        return [
            ("ce_id", msgspec.to_builtins(self.event_id).encode()),
            ("ce_time", self.time.isoformat().encode()),
            *_same_headers(self.TYPE, source),
        ]


@lru_cache(maxsize=64)
def _same_headers(type_: str, source: str) -> tuple[tuple[str, bytes], ...]:
    return (
        ("ce_specversion", b"1.0"),
        ("ce_type", type_.encode()),
        ("ce_source", source.encode()),
        ("content-type", b"application/json"),
    )


class ApiRequest(Event, kw_only=True, omit_defaults=True):
    """One request to Krill's API and its answer."""

    TYPE = "krill.api.request.v1"
    TOPIC = topics.API_REQUESTS
    TIME = "requested_at"

    requested_at: AwareTime
    method: str
    path: str
    status_code: Annotated[int, msgspec.Meta(ge=0, le=999)]
    response_ms: Annotated[float, msgspec.Meta(ge=0, description="Milliseconds from a monotonic clock")]
    user: str | None = None
    user_id: int | str | None = None
    remote_addr: str | None = None
    host: str | None = None
    view: Annotated[str | None, msgspec.Meta(description="Dotted name of the view class")] = None
    view_method: Annotated[str | None, msgspec.Meta(description="DRF action, or the HTTP method in lower case")] = None
    query_params: Annotated[
        dict[str, Any] | str | None,
        msgspec.Meta(description="An object; drf-tracking's printed dict is understood"),
    ] = None
    data: Any = None
    response: Any = None
    errors: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    truncated: Annotated[
        list[str] | None, msgspec.Meta(description="Fields the producer cut because of their size")
    ] = None

    @property
    def key(self) -> str:
        return self.user or "Anonymous"


class FieldChange(msgspec.Struct, kw_only=True):
    """One field's value before and after; null where there is none (an addition, a deletion)."""

    field: str
    old: Any = None
    new: Any = None


class AdminChange(Event, kw_only=True, omit_defaults=True):
    """One addition, change or deletion of one object in Krill v1."""

    TYPE = "krill.admin.change.v1"
    TOPIC = topics.ADMIN_CHANGES
    TIME = "changed_at"

    changed_at: AwareTime
    action: Literal["addition", "change", "deletion"]
    app_label: str
    model: str
    object_id: str
    user: str | None = None
    user_id: int | str | None = None
    object_repr: str | None = None
    change_message: Annotated[str | None, msgspec.Meta(description="Django's JSON, or older free text")] = None
    changes: list[FieldChange] | None = None
    remote_addr: str | None = None
    request_id: str | None = None

    @property
    def key(self) -> str:
        return f"{self.app_label}.{self.model}:{self.object_id}"


EVENTS: tuple[type[ApiRequest], type[AdminChange]] = (ApiRequest, AdminChange)
