"""Stored values made fit to be shown: readable, bounded in size, and harmless whatever they hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec
from flask import Flask

from dashboard.rows import Cut

#: Characters of a payload shown in an opened row of a list, and on the row's own page.
CLIP_IN_LIST = 4_000
CLIP_ON_PAGE = 200_000
#: Characters of any other value in a cell.
CLIP_IN_CELL = 300

# C0 and C1 controls, bidirectional and other invisible format characters, and surrogates (not valid in UTF-8).
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff]"
)
_LINES = re.compile("[\t\n]")


@dataclass(frozen=True, slots=True)
class Text:
    """A value as text; `clipped` says that `text` is only the beginning of its `size` characters."""

    text: str
    size: int
    clipped: bool

    @classmethod
    def of(cls, text: str, limit: int) -> Text:
        """At most `limit` characters of `text`, fit to be shown."""
        size = text.size if isinstance(text, Cut) else len(text)
        return cls(show(text[:limit]), size, size > min(limit, len(text)))


def init_app(app: Flask) -> None:
    """Give the templates this module's filters."""
    for function in (show, cell, panel, call, status_class, method_tone):
        app.jinja_env.filters[function.__name__] = function


def show(value: object) -> str:
    """`value` as text whose invisible characters are spelled out, such as `⟨U+202E⟩`."""
    return _INVISIBLE.sub(_spell, "" if value is None else str(value))


def cell(value: object, limit: int = CLIP_IN_CELL) -> str:
    """`value` on one line and at most `limit` characters long."""
    text = "" if value is None else str(value)
    cut = text[:limit] + "…" if len(text) > limit else text
    return _LINES.sub(_spell, show(cut))


def formatted(text: str) -> str:
    """JSON text with indentation and otherwise to the letter as stored; text that is no JSON as it is."""
    try:
        return msgspec.json.format(text, indent=2) if text else ""
    except (ValueError, RecursionError):
        return text


def pretty(value: object) -> str:
    """A JSON value with indentation, or a text as it is; nothing for None."""
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return formatted(msgspec.json.encode(value).decode())
    except RecursionError:
        return "…"


def panel(value: object, limit: int) -> Text:
    """A payload for a panel, at most `limit` characters of it."""
    text = value if isinstance(value, Cut) else pretty(value)
    return Text.of(text, limit)


def call(item: dict[str, Any]) -> str:
    """The view and its method as `webapp.isp.views.CpeViewSet.fake_modification()`."""
    view, method = item.get("view") or "", item.get("view_method") or ""
    if not view:
        return ""
    return f"{view}.{method}()" if method else str(view)


def status_class(code: int) -> str:
    """`ok`, `redirect`, `client` or `server`: the tone of a status code."""
    if code >= 500:
        return "server"
    if code >= 400:
        return "client"
    return "redirect" if code >= 300 else "ok"


def method_tone(method: str) -> str:
    """`read`, `create`, `change`, `delete` or `other`: the tone of an HTTP method."""
    tones = {"GET": "read", "HEAD": "read", "POST": "create", "PUT": "change", "PATCH": "change", "DELETE": "delete"}
    return tones.get(method, "other")


def _spell(match: re.Match[str]) -> str:
    return f"⟨U+{ord(match.group()):04X}⟩"
