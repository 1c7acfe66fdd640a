"""What a database transaction has changed so far, and the events of it, written just before it commits.

An object's state is read before the first statement that touches it, and again when the transaction commits; what
differs is its event. So several changes of one object in a transaction are one event, what a savepoint took back is
none, and a change and its event are committed together or not at all.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import msgspec
from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import ManyToManyField, Model
from django.db.models.query import QuerySet

from producers.django import state
from producers.django.changes import change
from producers.django.models import OutboxEvent, Snapshot
from producers.encoding import plain
from schemas.events import AdminChange

#: Objects that a transaction keeps in memory; beyond that their events are written before its end.
LIMIT = 1000

_CHUNK = 500

T = TypeVar("T")
Key = tuple[type[Model], Any]


@dataclass(slots=True)
class Touched:
    """An object before the transaction touched it.

    `whole`: `before` has its own columns, not many-to-many fields alone. `added`: it did not exist. `level`: the
    savepoints within which it was touched first.
    """

    level: tuple[str, ...]
    before: state.State
    whole: bool = False
    added: bool = False
    object_repr: str = ""


@dataclass(slots=True)
class Message:
    """What the admin noted about an object."""

    change_message: str
    object_repr: str


class Pending:
    """The changes of one transaction of one connection."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.raw = connection.connection
        self.objects: dict[Key, Touched] = {}
        self.messages: dict[Key, Message] = {}
        self.wrote = False
        if connection.vendor == "sqlite":
            # Reading first and writing then fails at once in SQLite if another connection wrote in between, instead
            # of waiting for it; so ask for the lock that the statement needs anyway.
            with connection.cursor() as cursor:
                cursor.execute(f"DELETE FROM {OutboxEvent._meta.db_table} WHERE 0")  # noqa: S608

    @property
    def using(self) -> str:
        return str(self.connection.alias)

    def rows(self, affected: QuerySet, *, deleting: bool) -> uuid.UUID | None:
        """Remember the objects that a statement is about to change.

        Returns:
            The name under which `settle` finds those that were too many to keep in memory, if there are any.
        """
        level = self._level()
        room = LIMIT
        statement: uuid.UUID | None = None
        for instances in _chunks(self._locked(affected).iterator(chunk_size=_CHUNK)):
            spilled = []
            for instance in instances:
                key = (type(instance), instance.pk)
                known = self.objects.get(key)
                if known is None:
                    known = Touched(level, {})
                    if room > 0:
                        room -= 1
                        self.objects[key] = known
                    else:
                        statement = statement or uuid.uuid4()
                        spilled.append((instance.pk, known))
                if not known.whole and not known.added:
                    known.before = {**state.of(instance), **known.before}
                    known.whole = True
                if deleting:
                    known.object_repr = text_of(instance)
            self._spill(affected.model, statement, spilled)
        return statement

    def links(self, model: type[Model], field: ManyToManyField, pks: Iterable[Any]) -> uuid.UUID | None:
        """Remember a many-to-many field of the objects `pks`; returns what `rows` does."""
        level = self._level()
        room = LIMIT
        statement: uuid.UUID | None = None
        for chunk in _chunks(iter(pks)):
            unknown = [pk for pk in chunk if (t := self.objects.get((model, pk))) is None or field.name not in t.before]
            spilled = []
            for pk, before in state.many_to_many(field, self.using, unknown).items():
                known = self.objects.get((model, pk))
                if known is None:
                    known = Touched(level, {})
                    if room > 0:
                        room -= 1
                        self.objects[model, pk] = known
                    else:
                        statement = statement or uuid.uuid4()
                        spilled.append((pk, known))
                known.before |= before
            self._spill(model, statement, spilled)
        return statement

    def added(self, model: type[Model], pk: Any) -> None:
        """Remember that an object did not exist before."""
        self.objects.setdefault((model, pk), Touched(self._level(), {}, added=True))

    def noted(self, entry: Any) -> None:
        """Remember the admin's log entry of an object."""
        if entry.content_type_id is None:
            return
        from django.contrib.contenttypes.models import ContentType  # the admin brings it along

        model = ContentType.objects.db_manager(self.using).get_for_id(entry.content_type_id).model_class()
        if model is not None:
            model = model._meta.concrete_model
            key = (model, str(entry.object_id))
            self.messages[key] = Message(entry.change_message, entry.object_repr)

    def settle(self, statement: uuid.UUID) -> None:
        """Write the events of the objects that `statement` changed and that were not kept in memory."""
        rows = Snapshot.objects.using(self.using).filter(statement=statement).order_by("pk")
        while page := list(rows[:_CHUNK]):
            objects = {}
            for row in page:
                model = apps.get_model(row.model)
                before = msgspec.json.decode(bytes(row.before))
                pk = model._meta.pk.to_python(msgspec.json.decode(row.object_pk))
                objects[model, pk] = Touched((), before, row.whole, object_repr=row.object_repr)
            self._write(objects)
            rows.filter(pk__lte=page[-1].pk).delete()

    def relieve(self) -> None:
        """Write events early if there are many: of objects first touched within the present savepoints.

        An object that was touched outside of them has to wait: rolling the savepoint back would take its event along
        and leave its change.
        """
        if len(self.objects) <= LIMIT:
            return
        level = self._level()
        ready = {key: touched for key, touched in self.objects.items() if touched.level[: len(level)] == level}
        self._write(ready)
        for key in ready:
            del self.objects[key]

    def flush(self) -> None:
        """Write all events; the transaction commits right after."""
        self._write(self.objects)
        self.objects.clear()
        self.messages.clear()

    def _level(self) -> tuple[str, ...]:
        return tuple(sid for sid in self.connection.savepoint_ids if sid)

    def _locked(self, affected: QuerySet) -> QuerySet:
        """The rows cannot change between our reading them and the statement, where the database can lock them."""
        features = self.connection.features
        if not features.has_select_for_update:
            return affected
        return affected.select_for_update(
            of=("self",) if features.has_select_for_update_of else (),
            no_key=features.has_select_for_no_key_update,
        )

    def _spill(self, model: type[Model], statement: uuid.UUID | None, objects: list[tuple[Any, Touched]]) -> None:
        if objects:
            Snapshot.objects.using(self.using).bulk_create(
                Snapshot(
                    statement=statement,
                    model=model._meta.label,
                    object_pk=msgspec.json.encode(plain(pk)).decode(),
                    object_repr=touched.object_repr,
                    before=msgspec.json.encode(touched.before),
                    whole=touched.whole,
                )
                for pk, touched in objects
            )

    def _write(self, objects: dict[Key, Touched]) -> None:
        by_model: dict[type[Model], list[tuple[Any, Touched]]] = {}
        for (model, pk), touched in objects.items():
            by_model.setdefault(model, []).append((pk, touched))
        for model, touches in by_model.items():
            for chunk in _chunks(iter(touches)):
                events = list(self._events(model, chunk))
                rows = [OutboxEvent(event_id=event.event_id, value=value) for event, value in events]
                OutboxEvent.objects.using(self.using).bulk_create(rows)
                self.wrote = self.wrote or bool(rows)

    def _events(self, model: type[Model], touches: list[tuple[Any, Touched]]) -> Iterator[tuple[AdminChange, bytes]]:
        pks = [pk for pk, _ in touches]
        present = QuerySet(model, using=self.using).in_bulk(pks)
        after: dict[Any, state.State] = {
            pk: state.of(present[pk]) if pk in present and (touched.whole or touched.added) else {}
            for pk, touched in touches
        }
        for field in model._meta.many_to_many:
            related = [pk for pk, touched in touches if pk in present and (field.name in touched.before)]
            for pk, fields in state.many_to_many(field, self.using, related).items() if related else ():
                after[pk] |= fields
        for pk, touched in touches:
            instance = present.get(pk)
            message = self.messages.get((model, str(pk)))
            if message is None and len(self.messages) == 1 and instance is not None:
                # An object that was edited inline on another's page.
                (message,) = self.messages.values()
                message = Message(message.change_message, "")
            found = state.changes(model, {} if touched.added else touched.before, after[pk])
            if instance is None:
                action = "deletion" if touched.whole and not touched.added else ""
            else:
                action = "addition" if touched.added else "change" if found else ""
            if action:
                text = text_of(instance) if instance is not None else touched.object_repr
                yield change(
                    model,
                    pk,
                    action,
                    found,
                    object_repr=text or (message.object_repr if message else ""),
                    change_message=message.change_message if message else "",
                )


def pending(connection: BaseDatabaseWrapper) -> Pending:
    """The changes of the connection's present transaction."""
    known: Pending | None = present(connection)
    if known is None:
        known = connection.krill_logger = Pending(connection)
    return known


def present(connection: BaseDatabaseWrapper) -> Pending | None:
    """The changes of the connection's present transaction, None if there are none."""
    known: Pending | None = getattr(connection, "krill_logger", None)
    # A connection that was lost and made again has another transaction.
    return known if known is not None and known.raw is connection.connection else None


def forget(connection: BaseDatabaseWrapper) -> None:
    """The transaction is over."""
    connection.krill_logger = None


def text_of(instance: Model) -> str:
    """`str(instance)`, at most 200 characters; `""` if that fails."""
    try:
        return str(instance)[:200]
    except Exception:  # a model's `__str__` may raise anything, and must not fail what the user does
        return ""


def _chunks(items: Iterator[T]) -> Iterator[list[T]]:
    while chunk := list(islice(items, _CHUNK)):
        yield chunk
