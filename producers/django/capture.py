"""Sees every change of a registered model where all of Django's ORM meets: in the compilers of INSERT, UPDATE, DELETE.

`save`, `QuerySet.update` and `delete`, `bulk_create`, `bulk_update`, cascades and many-to-many changes all end there,
whatever the manager; signals miss half of them. For any other model the cost is a look into a dict.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model, Q
from django.db.models.constants import OnConflict
from django.db.models.query import QuerySet
from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLDeleteCompiler, SQLInsertCompiler, SQLUpdateCompiler

from producers.django import relay, state, transactions
from producers.django.watched import Watched, is_value, unique_sets, watched

_installed = False


def install() -> None:
    """Begin to record; called once by the app's `ready`."""
    global _installed
    if _installed:
        return
    _installed = True
    _wrap(SQLInsertCompiler, "execute_sql", _insert)
    _wrap(SQLUpdateCompiler, "execute_sql", _update)
    _wrap(SQLDeleteCompiler, "execute_sql", _delete)
    _wrap(BaseDatabaseWrapper, "commit", _commit)
    _wrap(BaseDatabaseWrapper, "rollback", _rollback)
    _wrap(BaseDatabaseWrapper, "savepoint_commit", _savepoint_commit)


def _wrap(owner: type, name: str, around: Callable[..., Any]) -> None:
    inherited = name not in vars(owner)
    original = getattr(owner, name)

    @wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        # What was inherited is looked up again: a backend may put a class of its own in between.
        call = getattr(super(owner, self), name) if inherited else original.__get__(self)
        return around(self, call, *args, **kwargs)

    setattr(owner, name, method)


def _insert(compiler: Any, call: Callable[..., Any], returning_fields: Any = None) -> Any:
    model = compiler.query.get_meta().concrete_model
    known = watched()
    if model in known:
        return _in_transaction(compiler, lambda: _insert_rows(compiler, call, returning_fields, model, known))
    if model._meta.db_table == "django_admin_log" and not compiler.connection.get_autocommit() and known.rows:
        for entry in compiler.query.objs:
            transactions.pending(compiler.connection).noted(entry)
    return call(returning_fields)


def _update(compiler: Any, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    query = compiler.query
    model = query.get_meta().concrete_model
    if model in watched() and not all(state.is_ignored(model, field.name) for field, _, _ in query.values):
        return _in_transaction(compiler, lambda: _change_rows(compiler, lambda: call(*args, **kwargs), model))
    return call(*args, **kwargs)


def _delete(compiler: Any, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    model = compiler.query.get_meta().concrete_model
    if model in watched():
        return _in_transaction(
            compiler, lambda: _change_rows(compiler, lambda: call(*args, **kwargs), model, deleting=True)
        )
    return call(*args, **kwargs)


def _commit(connection: BaseDatabaseWrapper, call: Callable[[], None]) -> None:
    changes = transactions.present(connection)
    if changes is not None:
        try:
            changes.flush()
        except BaseException:
            connection.rollback()
            raise
        transactions.forget(connection)
    call()
    if changes is not None and changes.wrote:
        relay.wake(connection.alias)


def _rollback(connection: BaseDatabaseWrapper, call: Callable[[], None]) -> None:
    transactions.forget(connection)
    call()


def _savepoint_commit(connection: BaseDatabaseWrapper, call: Callable[[Any], None], sid: Any) -> None:
    call(sid)
    changes = transactions.present(connection)
    if changes is not None:
        changes.relieve()


def _in_transaction(compiler: Any, step: Callable[[], Any]) -> Any:
    """Run a statement and what we record of it in one transaction, of its own if there is none."""
    if compiler.connection.get_autocommit():
        with transaction.atomic(using=compiler.connection.alias):
            return step()
    return step()


def _change_rows(compiler: Any, call: Callable[[], Any], model: type[Model], *, deleting: bool = False) -> Any:
    known = watched()
    changes = transactions.pending(compiler.connection)
    statements: list[uuid.UUID | None] = []
    for rows in known.rows.get(model, ()):
        affected = QuerySet(rows.model, using=changes.using).filter(**{f"{rows.path}__in": _affected(compiler)})
        statements.append(changes.rows(affected.order_by("pk"), deleting=deleting))
    for owner, field in known.links.get(model, ()):
        source = f"{field.m2m_field_name()}__pk"
        owners = _affected(compiler).order_by().values_list(source, flat=True).distinct()
        statements.append(changes.links(owner, field, owners.iterator()))
    result = call()
    _settle(changes, statements)
    return result


def _settle(changes: transactions.Pending, statements: list[uuid.UUID | None]) -> None:
    for statement in filter(None, statements):
        changes.settle(statement)
    changes.relieve()


def _affected(compiler: Any) -> QuerySet:
    """The primary keys of the rows that an UPDATE or DELETE is about."""
    query = compiler.query.chain(klass=Query)
    query.clear_ordering(force=True)
    query.clear_deferred_loading()
    query.select_related = False
    query.clear_select_clause()
    rows: QuerySet = QuerySet(query.model, query=query, using=compiler.connection.alias).values("pk")
    return rows


def _insert_rows(
    compiler: Any, call: Callable[..., Any], returning_fields: Any, model: type[Model], known: Watched
) -> Any:
    changes = transactions.pending(compiler.connection)
    statements: list[uuid.UUID | None] = []
    for owner, field in known.links.get(model, ()):
        source = model._meta.get_field(field.m2m_field_name()).attname
        owners = dict.fromkeys(getattr(obj, source) for obj in compiler.query.objs)
        statements.append(changes.links(owner, field, owners))
    if model not in known.rows:
        result = call(returning_fields)
    else:
        conflicting = _conflicting(compiler, model) if compiler.query.on_conflict else []
        for q in conflicting:
            for rows in known.rows[model]:
                ids = QuerySet(model, using=changes.using).filter(q).values("pk")
                affected = QuerySet(rows.model, using=changes.using).filter(**{f"{rows.path}__in": ids})
                statements.append(changes.rows(affected, deleting=False))
        result, pks = _execute_insert(compiler, call, returning_fields, model, bool(conflicting))
        for q in conflicting:
            pks += QuerySet(model, using=changes.using).filter(q).values_list("pk", flat=True)
        for rows in known.rows[model]:
            for pk in pks:
                changes.added(rows.model, pk)
    _settle(changes, statements)
    return result


def _execute_insert(
    compiler: Any, call: Callable[..., Any], returning_fields: Any, model: type[Model], may_conflict: bool
) -> tuple[Any, list[Any]]:
    """The result of the INSERT, and the primary keys of its rows as far as they have to be asked for or are known."""
    query, features, pk = compiler.query, compiler.connection.features, model._meta.pk
    objs = query.objs
    if may_conflict and query.on_conflict == OnConflict.IGNORE:
        # Which rows are new is seen by comparing the conflicting ones before and after.
        return call(returning_fields), []
    if not returning_fields and all(is_value(getattr(obj, pk.attname)) for obj in objs):
        return call(returning_fields), [getattr(obj, pk.attname) for obj in objs]
    if len(objs) > 1 and not features.can_return_rows_from_bulk_insert:
        # Such a database (MySQL) tells the key of a single row only.
        pks = []
        for obj in objs:
            query.objs = [obj]
            pks += [row[0] for row in call([pk])]
        query.objs = objs
        return [], pks
    fields = list(returning_fields or ())
    if pk in fields:
        result = call(returning_fields)
        return result, [row[fields.index(pk)] for row in result]
    result = call([pk, *fields])
    return [tuple(row[1:]) for row in result] if fields else [], [row[0] for row in result]


def _conflicting(compiler: Any, model: type[Model]) -> list[Q]:
    """Conditions for the rows with which an INSERT … ON CONFLICT may conflict, some objects at a time."""
    found = []
    objs = compiler.query.objs
    for names in unique_sets(model):
        for start in range(0, len(objs), 100):
            q = Q()
            for obj in objs[start : start + 100]:
                values = {name: getattr(obj, name) for name in names}
                if all(is_value(value) for value in values.values()):
                    q |= Q(**values)
            if q:
                found.append(q)
    return found
