"""The event of one change of one object."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal, cast

from django.db.models import Model

from producers.django.conf import conf
from producers.django.context import actor
from producers.encoding import encode, plain
from producers.ids import uuid7
from schemas.events import AdminChange, FieldChange
from schemas.masking import mask_text
from schemas.topics import MAX_MESSAGE_BYTES

_ROOM = MAX_MESSAGE_BYTES - 64 * 1024


def change(
    model: type[Model], pk: Any, action: str, changes: list[FieldChange], *, object_repr: str, change_message: str
) -> tuple[AdminChange, bytes]:
    """The event and its JSON, which Kafka is sure to take: if it is too large, values are left out."""
    who = actor()
    extra = conf().SENSITIVE_FIELDS
    event = AdminChange(
        event_id=uuid7(),
        changed_at=dt.datetime.now(dt.UTC),
        action=cast(Literal["addition", "change", "deletion"], action),
        app_label=model._meta.app_label,
        model=str(model._meta.model_name),
        object_id=str(plain(pk)),
        object_repr=mask_text(object_repr, extra=extra)[0],
        change_message=mask_text(change_message, extra=extra)[0],
        changes=changes,
        user=who.user or None,
        user_id=who.user_id,
        remote_addr=who.remote_addr or None,
        request_id=who.request_id or None,
    )
    value = encode(event)
    if len(value) > _ROOM:
        event.changes = [FieldChange(field=item.field, old="…", new="…") for item in changes]
        value = encode(event)
    return event, value
