"""An admin change as a sentence in the reader's language, with every stored value escaped and isolated."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_babel import gettext, lazy_gettext
from markupsafe import Markup, escape

from dashboard.rows import Item
from dashboard.values import cell, pretty
from schemas import masking

#: What kinds of objects are called within a sentence.
NOUNS = {
    "customer": lazy_gettext("customer"),
    "cpe": lazy_gettext("CPE"),
    "pots": lazy_gettext("POTS"),
    "user": lazy_gettext("user"),
}
#: What fields of those are called within a sentence; others by their own name.
FIELDS = {
    "access": lazy_gettext("the access"),
    "active": lazy_gettext("the active flag"),
    "address": lazy_gettext("the address"),
    "city": lazy_gettext("the city"),
    "cli": lazy_gettext("the telephone number"),
    "comment": lazy_gettext("the comment"),
    "country": lazy_gettext("the country"),
    "customer": lazy_gettext("the customer"),
    "email": lazy_gettext("the email address"),
    "external_id": lazy_gettext("the external id"),
    "groups": lazy_gettext("the groups"),
    "internal_id": lazy_gettext("the internal id"),
    "is_active": lazy_gettext("the active flag"),
    "is_staff": lazy_gettext("the staff status"),
    "is_superuser": lazy_gettext("the superuser status"),
    "label": lazy_gettext("the label"),
    "language": lazy_gettext("the language"),
    "latitude": lazy_gettext("the latitude"),
    "line_profile": lazy_gettext("the line profile"),
    "longitude": lazy_gettext("the longitude"),
    "mac": lazy_gettext("the MAC address"),
    "model": lazy_gettext("the model"),
    "name": lazy_gettext("the name"),
    "notes": lazy_gettext("the notes"),
    "password": lazy_gettext("the password"),
    "postalcode": lazy_gettext("the postal code"),
    "pppoe_password": lazy_gettext("the PPPoE password"),
    "pppoe_username": lazy_gettext("the PPPoE user"),
    "profile": lazy_gettext("the profile"),
    "realm": lazy_gettext("the realm"),
    "sn": lazy_gettext("the serial number"),
    "surname": lazy_gettext("the surname"),
    "username": lazy_gettext("the user name"),
    "voicemail_password": lazy_gettext("the voicemail password"),
    "wifi_password": lazy_gettext("the Wi-Fi password"),
    "wifi_ssid": lazy_gettext("the Wi-Fi name"),
}
#: Fields that every change touches: told only where nothing else is to be told.
STAMPS = frozenset(("updated", "updated_at", "modified", "modified_at", "last_modified"))
#: Characters of a value, a name and an object.
CLIP_VALUE, CLIP_NAME = 60, 80
#: Fields that are told with their values.
MOST_FIELDS = 3


def init_app(app: Flask) -> None:
    """Give the templates the filters `sentence` and `noun`."""
    app.jinja_env.filters.update(sentence=sentence, noun=noun)


def noun(object_type: str) -> str:
    """What a kind of object is called; its own name if it is none of the known."""
    return str(NOUNS.get(object_type) or cell(object_type, CLIP_NAME))


def sentence(item: Item) -> Markup:
    """An admin change, such as “ignacio changed the postal code of the CPE pim0585 from 1504 to 1505”.

    Args:
        item: a row of the admin report with `changes` as a JSON value.
    """
    words: dict[str, Any] = {
        "user": _isolated(item["user"], "b") if item["user"] else escape(gettext("A process")),
        "type": Markup("{}").format(noun(item["object_type"] or item["model"])),
        "object": _isolated(item["object_repr"] or item["object_id"], "b"),
    }
    if item["action"] == "addition":
        return _filled(gettext("%(user)s added the %(type)s %(object)s"), words)
    if item["action"] == "deletion":
        return _filled(gettext("%(user)s deleted the %(type)s %(object)s"), words)
    masked = set(item.get("masked") or ())
    changes = item.get("changes")
    known = [change for change in changes if isinstance(change, dict)] if isinstance(changes, list) else []
    known = [change for change in known if change.get("field") not in STAMPS] or known
    if len(known) == 1:
        return _one(known[0], masked, words)
    names = [str(change.get("field", "")) for change in known] or list(item.get("changed_fields") or ())
    if not names:
        return _filled(gettext("%(user)s changed the %(type)s %(object)s"), words)
    if len(names) == 1:
        words["field"] = _field(names[0])
        return _filled(gettext("%(user)s changed %(field)s of the %(type)s %(object)s"), words)
    parts = [_part(change, masked) for change in known[:MOST_FIELDS]] or [_field(name) for name in names[:MOST_FIELDS]]
    if len(names) > MOST_FIELDS:
        parts.append(escape(gettext("and %(count)s more", count=len(names) - MOST_FIELDS)))
    words |= {"count": str(len(names)), "fields": Markup(", ").join(parts)}
    return _filled(gettext("%(user)s changed %(count)s fields of the %(type)s %(object)s: %(fields)s"), words)


def _one(change: dict[str, Any], masked: set[str], words: dict[str, Any]) -> Markup:
    words |= _values(change, masked)
    if _says_nothing(words):
        return _filled(gettext("%(user)s changed %(field)s of the %(type)s %(object)s"), words)
    return _filled(gettext("%(user)s changed %(field)s of the %(type)s %(object)s from %(old)s to %(new)s"), words)


def _part(change: dict[str, Any], masked: set[str]) -> Markup:
    values = _values(change, masked)
    return values["field"] if _says_nothing(values) else _filled(gettext("%(field)s from %(old)s to %(new)s"), values)


def _says_nothing(values: dict[str, Any]) -> bool:
    return bool(values["old"] == values["new"] == escape(gettext("(hidden)")))


def _values(change: dict[str, Any], masked: set[str]) -> dict[str, Markup]:
    field = str(change.get("field", ""))
    hidden = field in masked
    return {
        "field": _field(field),
        "old": _value(change.get("old"), hidden),
        "new": _value(change.get("new"), hidden),
    }


def _field(name: str) -> Markup:
    return escape(FIELDS[name]) if name in FIELDS else _isolated(name, "code")


def _value(value: object, hidden: bool) -> Markup:
    if value is None or value == "":
        return escape(gettext("(empty)"))
    if hidden or value == masking.SUBSTITUTE:
        return escape(gettext("(hidden)"))
    return _isolated(value if isinstance(value, str) else " ".join(pretty(value)[:500].split()), "q", CLIP_VALUE)


def _isolated(text: str, kind: str, limit: int = CLIP_NAME) -> Markup:
    """The text, which cannot change the direction of what is around it."""
    return Markup('<bdi class="s-{}">{}</bdi>').format(kind, cell(text, limit))


def _filled(template: str, words: dict[str, Any]) -> Markup:
    return escape(template) % words
