"""An event as it came, to the values of a row: UTC, clean names, JSON text, no secrets.

Each public function returns a tuple in the order of its table in `consumers.tables`, without the columns that the
message's place in Kafka gives. What cannot become a row raises `Invalid`.
"""

from __future__ import annotations

import ast
import datetime as dt
import ipaddress
import re
import socket
import warnings
from typing import Any
from urllib.parse import parse_qs

import msgspec

from consumers import paths
from schemas import masking
from schemas.events import AdminChange, ApiRequest

# What a DateTime (the hours of the projections) can hold.
EARLIEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
LATEST = dt.datetime(2106, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)

# Before the four bytes of an IPv4 address in an IPv6 column.
_MAPPED = b"\0" * 10 + b"\xff\xff"

#: Longest text, in characters, of a column that is no payload.
MAX_NAME = 512
MAX_PATH = 8_192
MAX_TEXT = 65_536

ANONYMOUS = "Anonymous"
_NO_NAME = frozenset({"", "None", "null", "AnonymousUser", ANONYMOUS})
_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,31}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")

encode_json = msgspec.json.Encoder().encode
decode_json = msgspec.json.Decoder().decode


class Invalid(ValueError):
    """A field that cannot be stored; the text names it, its value (masked) and what was expected."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        shown, _ = masking.mask_text(str(value)[:200])
        super().__init__(f"{field} is {shown!r}; expected {expected}")


def milliseconds(field: str, when: dt.datetime) -> int:
    """Milliseconds since 1970 in UTC, which is what a DateTime64(3) column takes."""
    try:
        if EARLIEST <= when < LATEST:
            return (when - EARLIEST) // _MILLISECOND
    except OverflowError:  # year 1 or 9999 with an offset
        pass
    raise Invalid(field, when.isoformat(), "a time from 1970 to 2105")


def address(text: str) -> bytes:
    """The 16 bytes of an IPv6 column: IPv4 is mapped, a port or a zone is dropped, no text is `::`.

    Raises:
        Invalid: text that is no address.
    """
    try:
        return _MAPPED + socket.inet_pton(socket.AF_INET, text)
    except (OSError, ValueError):
        pass
    host = text.strip()
    if host in ("", "None", "unix:"):
        return bytes(16)
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        raise Invalid("remote_addr", text, "an IPv4 or IPv6 address") from None
    if parsed.version == 4:
        return _MAPPED + parsed.packed
    return parsed.packed


def printed_value(text: str) -> Any:
    """What a string holds that stands for structured data: JSON, or a Python dict or list as `str()` prints it.

    drf-tracking stores bodies that way. Anything else is the string itself.
    """
    stripped = text.strip()
    if stripped[:1] not in ("{", "["):
        return text
    try:
        return decode_json(stripped)
    except (msgspec.DecodeError, RecursionError):
        pass
    if len(stripped) > MAX_TEXT:  # literal_eval's cost in memory is some hundred times the text
        return text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            value = ast.literal_eval(stripped)
        encode_json(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, OverflowError):
        return text
    return value


class Fields:
    """The cleaning of one event's fields; collects what was masked and what was cut."""

    __slots__ = ("masked", "truncated")

    def __init__(self, truncated: list[str] | None) -> None:
        self.masked: set[str] = set()
        self.truncated: set[str] = set(truncated or ())

    def text(self, field: str, value: object, limit: int = MAX_TEXT) -> str:
        """Free text: masked, cut at `limit` characters."""
        if value is None:
            return ""
        text, names = masking.mask_text(str(value))
        self.masked.update(names)
        if len(text) > limit:
            self.truncated.add(field)
            return text[:limit]
        return text

    def name(self, field: str, value: object, limit: int = MAX_NAME) -> str:
        """One line of text with nothing invisible around it or in it; the word `None` is no name."""
        if value is None:
            return ""
        text = str(value)
        if not text.isprintable():
            text = _CONTROL.sub(" ", text)
        text = text.strip()
        if text == "None":
            return ""
        return self.text(field, text, limit)

    def payload(self, value: Any) -> str:
        """JSON text of a payload, masked."""
        if value is None or value in ("", "None"):
            return ""
        if isinstance(value, str):
            value = printed_value(value)
        value, names = masking.mask(value)
        self.masked.update(names)
        return encode_json(value).decode()


def _query_params(value: dict[str, Any] | str | None, query: str) -> Any:
    if isinstance(value, str):
        value = printed_value(value) if value.strip()[:1] == "{" else _form(value.lstrip("?"))
    if not value and query:
        value = _form(query)
    return value or None


def _form(query: str) -> dict[str, Any]:
    parsed = parse_qs(query, keep_blank_values=True)
    return {name: values[0] if len(values) == 1 else values for name, values in parsed.items()}


def method(text: str) -> str:
    """An HTTP method in upper case.

    Raises:
        Invalid: text that is none.
    """
    verb = text.strip().upper()
    if not _METHOD.match(verb):
        raise Invalid("method", text, "an HTTP method")
    return verb


def user(fields: Fields, text: str | None) -> str:
    """The caller's name, `Anonymous` if there is none."""
    name = fields.name("user", text)
    return ANONYMOUS if name in _NO_NAME else name


def user_agent(fields: Fields, text: str | None) -> str:
    """The User-Agent header."""
    return fields.name("user_agent", text, 1_024)


def api_request(event: ApiRequest) -> tuple[Any, ...]:
    """The row of a request, up to `truncated` in the table's order.

    Raises:
        Invalid: a time, method or address that the table cannot hold.
    """
    fields = Fields(event.truncated)
    verb = method(event.method)
    raw_path, _, query = event.path.partition("?")
    path = fields.name("path", raw_path, MAX_PATH)
    view_method = fields.name("view_method", event.view_method)
    route = paths.parse(path, view_method in paths.DETAIL_ACTIONS)
    return (
        event.event_id.bytes,
        milliseconds("requested_at", event.requested_at),
        user(fields, event.user),
        fields.name("user_id", event.user_id),
        address(event.remote_addr or ""),
        verb,
        path,
        fields.name("route", route.route),
        route.api_version,
        route.app,
        route.object_type,
        fields.name("object_id", route.object_id),
        paths.action(verb, view_method, route),
        fields.name("host", event.host),
        fields.name("view", event.view),
        view_method,
        event.status_code,
        event.response_ms,
        fields.payload(_query_params(event.query_params, query)),
        fields.payload(event.data),
        fields.payload(event.response),
        "" if event.errors == "None" else fields.text("errors", event.errors, 16 * MAX_TEXT),
        user_agent(fields, event.user_agent),
        fields.name("request_id", event.request_id),
        sorted(fields.masked),
        sorted(fields.truncated),
    )


def admin_change(event: AdminChange) -> tuple[Any, ...]:
    """The row of a change, up to `masked` in the table's order.

    Raises:
        Invalid: a time or address that the table cannot hold.
    """
    fields = Fields(None)
    who = fields.name("user", event.user)
    model = fields.name("model", event.model).lower()
    message = fields.text("change_message", event.change_message, 16 * MAX_TEXT)
    changes = [{"field": one.field, "old": one.old, "new": one.new} for one in event.changes or ()]
    changed = [one["field"] for one in changes] or message_fields(message)
    return (
        event.event_id.bytes,
        milliseconds("changed_at", event.changed_at),
        "" if who in _NO_NAME else who,
        fields.name("user_id", event.user_id),
        event.action,
        fields.name("app_label", event.app_label).lower(),
        model,
        paths.OBJECT_TYPES.get(model, model),
        fields.name("object_id", event.object_id),
        fields.name("object_repr", event.object_repr),
        "" if message == "None" else message,
        list(dict.fromkeys(fields.name("changed_fields", name) for name in changed)),
        fields.payload(changes) if changes else "",
        address(event.remote_addr or ""),
        fields.name("request_id", event.request_id),
        sorted(fields.masked),
    )


# "Changed name and city." before Django 1.10, with the object for inlines: 'Changed cli for pots "pim0074-1".'
_FREE_TEXT = re.compile(
    r'(?:Changed|Modificad[oa]s?|Cambiad[oa]s?)(?:/a)? (.+?)(?: (?:for|en|para) [^"“«]*["“«].*?["”»])?\.(?:\s|$)'
)
_AND = re.compile(r", | and | y | e ")


def message_fields(message: str) -> list[str]:
    """Names of the changed fields in a Django change message: its JSON, or the free text of older versions.

    `[{"changed": {"fields": ["Name"]}}]` and `Changed name and city.` give `["Name"]` and `["name", "city"]`.
    """
    if message.startswith("["):
        try:
            entries = decode_json(message)
        except (msgspec.DecodeError, RecursionError):
            return []
        changes = [entry.get("changed") for entry in entries if isinstance(entry, dict)]
        fields = [changed.get("fields") for changed in changes if isinstance(changed, dict)]
        return [str(name) for names in fields if isinstance(names, list) for name in names]
    return [
        name.strip() for part in _FREE_TEXT.findall(message[:MAX_TEXT]) for name in _AND.split(part) if name.strip()
    ]
