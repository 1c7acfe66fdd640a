"""Who is acting: the request that is being served, known to everything that happens within it."""

from __future__ import annotations

import ipaddress
import re
import uuid
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from producers.django.conf import conf

ANONYMOUS = "Anonymous"

#: The request that `RequestLoggingMiddleware` is serving in this thread or task.
current_request: ContextVar[HttpRequest | None] = ContextVar("krill_logger_request", default=None)

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9][\w.:/+=@-]{0,127}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changed something, from where; all empty outside of a request (shell, commands, tasks)."""

    user: str = ""
    user_id: int | str | None = None
    remote_addr: str = ""
    request_id: str = ""


def actor() -> Actor:
    """The actor of the present request."""
    request = current_request.get()
    if request is None:
        return Actor()
    name, user_id = user_of(request)
    return Actor(name, user_id, client_address(request), request_id(request))


def user_of(request: HttpRequest) -> tuple[str, int | str | None]:
    """Name and id of the authenticated user; `Anonymous` and None if there is none.

    REST framework puts the user whom it authenticated, by whatever class, on Django's request. A session's user whom
    nobody has looked up yet is looked up only if the request came with a session.
    """
    user = request.__dict__.get("user")
    if user is None:
        return ANONYMOUS, None
    lazy = getattr(user, "_wrapped", user)
    if type(lazy) is object and settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return ANONYMOUS, None
    return name_and_id(user)


def name_and_id(user: Any) -> tuple[str, int | str | None]:
    """Name and id of a user object, `Anonymous` and None for none or an anonymous one."""
    try:
        if user is None or not user.is_authenticated:
            return ANONYMOUS, None
        pk = user.pk
        return str(user.get_username()), pk if isinstance(pk, int) or pk is None else str(pk)
    except Exception:  # a user class of any kind, or a lookup that fails
        return ANONYMOUS, None


def client_address(request: HttpRequest) -> str:
    """IP address of the client, without port; `""` if it is not known.

    Behind `TRUSTED_PROXIES` proxies it is the entry of X-Forwarded-For that the outermost of them wrote, that is,
    counted from the right; entries further left are what the client claims.
    """
    address = request.META.get("REMOTE_ADDR", "")
    proxies = conf().TRUSTED_PROXIES
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR") if proxies else None
    if forwarded:
        hops = forwarded.split(",")
        address = hops[-min(proxies, len(hops))]
    return _bare(address)


@lru_cache(maxsize=4096)
def _bare(text: str) -> str:
    """`1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]:80`, `fe80::1%eth0` without brackets, port and zone."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)


def request_id(request: HttpRequest) -> str:
    """The request's id: its X-Request-ID if that is sane, else one made here; the same at every call."""
    known: str | None = request.__dict__.get("krill_request_id")
    if known is None:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        known = given if _SANE_REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        request.krill_request_id = known
    return known
