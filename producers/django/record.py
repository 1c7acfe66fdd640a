"""From a request and its answer to an event on its way to Kafka."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, QueryDict

from producers import kafka, later
from producers.django import bodies
from producers.django.cleaning import clean
from producers.django.conf import conf
from producers.encoding import encode, plain
from producers.ids import uuid7
from schemas.events import ApiRequest
from schemas.masking import SUBSTITUTE, mask_text

#: Set on a request that is recorded, or that its view chose not to record.
DECIDED = "krill_logger_decided"

#: The id of an event that has none yet.
NO_ID = UUID(int=0)


def secret_names(view: Any) -> tuple[str, ...]:
    """Names that are secret beyond the patterns: the project's and the view's `sensitive_fields`."""
    return (*conf().SENSITIVE_FIELDS, *(getattr(view, "sensitive_fields", None) or ()))


def publish(
    request: HttpRequest,
    event: ApiRequest,
    secrets: Collection[str],
    substitute: str = SUBSTITUTE,
    *,
    parse: bool = True,
) -> None:
    """Have the event of one request masked, encoded and queued behind it.

    Args:
        event: its id is set here, its `query_params`, `data` and `response` are read if they are a `bodies.Body` (a
            QueryDict), and all of it is masked.
        secrets: names of secrets beyond the patterns.
        parse: whether bodies that are JSON of any kind are kept as such; else only objects and lists are.
    """
    request.__dict__[DECIDED] = True
    later.do(_publish, event, secrets, substitute, parse)


def _publish(event: ApiRequest, secrets: Collection[str], substitute: str, parse: bool) -> None:
    event.event_id = uuid7()
    truncated = set(event.truncated or ())
    for name in ("data", "response"):
        value = getattr(event, name)
        if type(value) is bodies.Body:
            value, was_cut = value.read(parse=parse)
            if was_cut:
                truncated.add(name)
        if not parse and type(value) is str:
            value = bodies.of_text(value)
        setattr(event, name, clean(value, secrets, substitute))
    query = event.query_params
    event.query_params = clean(bodies.fields(query) if isinstance(query, QueryDict) else query, secrets, substitute)
    if event.errors:
        event.errors = mask_text(event.errors, extra=secrets, substitute=substitute)[0]
    event.truncated = sorted(truncated) or None
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
