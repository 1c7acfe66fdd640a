"""An object's fields in a form that can be compared, shown and kept: JSON, with secrets masked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Hashable, Iterable, Iterator
from functools import lru_cache
from typing import Any, TypeAlias, cast

import msgspec
from django.db.models import Field, FileField, ManyToManyField, Model
from django.db.models.fields.files import FieldFile
from django.db.models.query import QuerySet

from producers.django.conf import conf
from producers.encoding import plain
from schemas.events import FieldChange
from schemas.masking import SUBSTITUTE, is_secret, mask

#: Per field `[shown]`, or `[shown, digest]` if what is shown (masked, cut, described) is not the whole value.
State: TypeAlias = dict[str, list[Any]]

# Digests only tell whether a value changed within a transaction: the key never leaves this process.
_KEY = os.urandom(32)

_EMPTY: tuple[Any, ...] = (None, "", [], {})


def of(instance: Model) -> State:
    """The state of an instance's own columns, without primary key and ignored fields.

    Foreign keys are the key they hold, files their name.
    """
    return {
        field.name: _entry(field.name, field.value_from_object(instance), secret)
        for field, secret in _fields(type(instance))
    }


def many_to_many(field: ManyToManyField, using: str, pks: Iterable[Any]) -> dict[Any, State]:
    """For each of the objects `pks`, the state of one many-to-many field: the sorted keys it is related to."""
    found: dict[Any, list[Any]] = {pk: [] for pk in pks}
    source, target = field.m2m_field_name(), field.m2m_reverse_field_name()
    rows = QuerySet(field.remote_field.through, using=using).filter(**{f"{source}__in": list(found)})
    for pk, related in rows.order_by(f"{target}__pk").values_list(f"{source}__pk", f"{target}__pk"):
        found[pk].append(related)
    return {pk: {field.name: _entry(field.name, related, False)} for pk, related in found.items()}


def changes(model: type[Model], before: State, after: State) -> list[FieldChange]:
    """What differs, in the order of the model's fields; `auto_now` fields alone are no change."""
    names = [name for name in {**before, **after} if _differ(before.get(name), after.get(name))]
    if before and after and all(getattr(model._meta.get_field(name), "auto_now", False) for name in names):
        return []
    return [FieldChange(field=n, old=before.get(n, [None])[0], new=after.get(n, [None])[0]) for n in names]


def _differ(old: list[Any] | None, new: list[Any] | None) -> bool:
    if old is None or new is None:
        present = old or new
        return present is not None and (len(present) > 1 or present[0] not in _EMPTY)
    return old != new


def is_ignored(model: type[Model], name: str) -> bool:
    """Whether a change of the field records nothing."""
    ignored = conf().IGNORED_FIELDS
    return name in ignored or f"{model._meta.label}.{name}" in ignored


def _entry(name: str, value: Any, secret: bool) -> list[Any]:
    if value is None or isinstance(value, bool | int):
        return [SUBSTITUTE, _digest(value)] if secret and value is not None else [value]
    raw: Any = bytes(value) if isinstance(value, memoryview | bytearray) else value
    if isinstance(raw, FieldFile):
        raw = raw.name or ""
    shown = plain(raw)
    if secret:
        return [shown] if shown in _EMPTY else [SUBSTITUTE, _digest(raw)]
    whole = shown
    if isinstance(shown, str | list | dict):
        shown = mask({name: shown}, extra=conf().SENSITIVE_FIELDS)[0][name]
        shown = _cut(shown)
    return [shown] if shown == whole and not isinstance(raw, bytes) else [shown, _digest(raw)]


def _cut(shown: Any) -> Any:
    limit = conf().MAX_BODY_BYTES
    text = shown if isinstance(shown, str) else msgspec.json.encode(shown).decode()
    return shown if len(text) <= limit else text[:limit] + "…"


def _digest(value: Any) -> str:
    data = value if isinstance(value, bytes) else msgspec.json.encode(plain(value))
    return hashlib.blake2b(data, key=_KEY, digest_size=16).hexdigest()


@lru_cache(maxsize=256)
def _known_fields(model: Any, ignored: tuple[str, ...], secrets: tuple[str, ...]) -> Any:
    lowered = {name.lower() for name in secrets}
    return [
        (field, is_secret(field.name) or field.name.lower() in lowered)
        for field in model._meta.concrete_fields
        if not field.primary_key
        and not (field.remote_field and getattr(field.remote_field, "parent_link", False))
        and field.name not in ignored
        and f"{model._meta.label}.{field.name}" not in ignored
    ]


def _fields(model: type[Model]) -> Iterator[tuple[Field | FileField, bool]]:
    settings = conf()
    known = _known_fields(cast(Hashable, model), tuple(settings.IGNORED_FIELDS), tuple(settings.SENSITIVE_FIELDS))
    return iter(known)
