"""From a request and its answer to an event on its way to Kafka."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from producers import kafka
from producers.django import context
from producers.django.conf import conf
from producers.encoding import encode, plain
from producers.ids import uuid7
from schemas.events import ApiRequest

#: Set on a request that is recorded, or that its view chose not to record.
DECIDED = "krill_logger_decided"


def secret_names(view: Any) -> tuple[str, ...]:
    """Names that are secret beyond the patterns: the project's and the view's `sensitive_fields`."""
    return (*conf().SENSITIVE_FIELDS, *(getattr(view, "sensitive_fields", None) or ()))


def publish(
    request: HttpRequest,
    *,
    requested_at: dt.datetime,
    response_ms: float,
    status_code: int,
    view: str | None,
    view_method: str | None,
    query_params: Any,
    data: Any,
    response: Any,
    errors: str | None,
    user: tuple[str, int | str | None],
    truncated: Collection[str] = (),
    **more: str | None,
) -> None:
    """Encode and queue the event of one request, whose values are JSON types and masked."""
    name, user_id = user
    event = ApiRequest(
        event_id=uuid7(),
        requested_at=requested_at,
        response_ms=response_ms,
        status_code=status_code,
        method=more.get("method") or request.method or "",
        path=more.get("path") or request.path,
        host=more.get("host") or host(request),
        user_agent=more.get("user_agent") or request.META.get("HTTP_USER_AGENT", ""),
        remote_addr=more.get("remote_addr") or context.client_address(request),
        request_id=context.request_id(request),
        user=name,
        user_id=user_id,
        view=view,
        view_method=view_method,
        query_params=query_params,
        data=data,
        response=response,
        errors=errors or None,
        truncated=list(truncated) or None,
    )
    setattr(request, DECIDED, True)
    kafka.publish(encode(event), ApiRequest.TOPIC, event.key, event.headers(conf().SOURCE))


def host(request: HttpRequest) -> str:
    """The Host header, also one that ALLOWED_HOSTS refuses."""
    given = request.META.get("HTTP_HOST")
    if given and not settings.USE_X_FORWARDED_HOST:
        return str(given)
    try:
        return str(request.get_host())
    except Exception:
        return str(plain(request.META.get("HTTP_HOST", "")))
