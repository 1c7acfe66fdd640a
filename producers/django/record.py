"""From a request and its answer to an event on its way to Kafka."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from producers import kafka
from producers.django.conf import conf
from producers.encoding import encode, plain
from schemas.events import ApiRequest

#: Set on a request that is recorded, or that its view chose not to record.
DECIDED = "krill_logger_decided"


def secret_names(view: Any) -> tuple[str, ...]:
    """Names that are secret beyond the patterns: the project's and the view's `sensitive_fields`."""
    return (*conf().SENSITIVE_FIELDS, *(getattr(view, "sensitive_fields", None) or ()))


def publish(request: HttpRequest, event: ApiRequest) -> None:
    """Encode and queue the event of one request, whose values are JSON and masked."""
    request.__dict__[DECIDED] = True
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
