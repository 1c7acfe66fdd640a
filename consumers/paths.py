"""What a path of Krill's API says: route template, version, app, object, action.

Krill's guide has `/api/<app>/<noun>/` (v1) and `/api/v2/<app>/<noun>/<id>/<action>`, and also leaves the app out
(`/api/v2/cpes/259/reboot`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

APPS = frozenset(
    ["isp", "pbx", "monitoring", "auth", "me", "installer", "oratio", "gpon", "docsis", "rubik", "plankton"]
)
#: Nouns whose object has a report of its own; other nouns are made singular by rule.
OBJECT_TYPES = {
    "cpe": "cpe",
    "cpes": "cpe",
    "customer": "customer",
    "customers": "customer",
    "pots": "pots",
    "potses": "pots",
    "user": "user",
    "users": "user",
}
VERBS = {
    "POST": "create",
    "PUT": "update",
    "PATCH": "partial_update",
    "DELETE": "destroy",
    "OPTIONS": "metadata",
}
#: DRF actions whose path ends in the object's identifier, even where that looks like a word (a user name).
DETAIL_ACTIONS = frozenset({"retrieve", "update", "partial_update", "destroy"})
HTTP_VERBS = frozenset(["get", "post", "put", "patch", "delete", "head", "options", "trace", "connect"])
MAX_SEGMENTS = 12

# A path segment that names a thing of the API; anything else (digits, UUID, pim0585, a MAC) identifies an object.
_WORD = re.compile(r"(?:[a-z]+(?:[_-][a-z]+)*|ipv[46]|oauth2)\Z")
_VERSION = re.compile(r"v\d{1,3}\Z")


class Route(NamedTuple):
    """What a path says. Empty strings where it says nothing."""

    route: str
    api_version: str
    app: str
    object_type: str
    object_id: str
    extra: str


def _is_word(segment: str) -> bool:
    return len(segment) <= 40 and _WORD.match(segment) is not None


def singular(noun: str) -> str:
    """The singular of an English plural as it stands in a path: `hosts` → `host`, `addresses` → `address`."""
    if noun in OBJECT_TYPES:
        return OBJECT_TYPES[noun]
    if noun.endswith("ies") and len(noun) > 4:
        return noun[:-3] + "y"
    if noun.endswith(("sses", "shes", "ches", "xes", "zes")):
        return noun[:-2]
    if noun.endswith("s") and not noun.endswith(("ss", "us", "is")):
        return noun[:-1]
    return noun


@lru_cache(maxsize=32_768)
def parse(path: str, ends_in_id: bool = False) -> Route:
    """Take a path apart.

    Args:
        path: without query string, as requested.
        ends_in_id: the view took the last segment as an identifier, whatever it looks like.
    """
    segments = [segment for segment in path.split("/") if segment]
    last = len(segments) - 1
    template = [
        segment if _is_word(segment) or (_VERSION.match(segment) and at == 1) else "{id}"
        for at, segment in enumerate(segments)
    ]
    if ends_in_id and len(segments) > 2:
        template[last] = "{id}"
    shown = template if len(template) <= MAX_SEGMENTS else [*template[:MAX_SEGMENTS], "{rest}"]
    route = "/" + "/".join(shown) + ("/" if segments and path.endswith("/") else "")
    if not segments or segments[0] != "api":
        return Route(route, "", "", "", "", "")

    at = 1
    version = "v1"
    if at <= last and _VERSION.match(segments[at]):
        version = segments[at]
        at += 1
    app = ""
    if at <= last and _starts_with_app(segments, template, at):
        app = segments[at]
        at += 1
    noun = object_id = extra = ""
    for position in range(at, last + 1):
        segment = segments[position]
        if template[position] == "{id}":
            if noun:
                object_id = unquote(segment)
        elif not noun or segment in OBJECT_TYPES or (position < last and template[position + 1] == "{id}"):
            noun, object_id, extra = segment, "", ""
        else:
            extra = segment
    return Route(route, version, app, singular(noun), object_id, extra)


def _starts_with_app(segments: list[str], template: list[str], at: int) -> bool:
    segment = segments[at]
    if segment in APPS:
        return True
    # An app we do not know: a word that is no plural, with a noun behind it.
    followed = at + 1 < len(segments) and template[at + 1] != "{id}"
    return followed and template[at] != "{id}" and singular(segment) == segment and segment not in OBJECT_TYPES


def action(method: str, view_method: str, route: Route) -> str:
    """`list`, `retrieve`, `create`, … or the name of an extra action.

    The view's own word counts first; a plain view's method is only the HTTP verb, so there the path decides.
    """
    if view_method and view_method.lower() not in HTTP_VERBS:
        return view_method
    if route.extra:
        return route.extra.replace("-", "_")
    if method in ("GET", "HEAD"):
        return "retrieve" if route.object_id else "list"
    return VERBS.get(method, method.lower())
