"""Which registered objects a statement on a table concerns: own rows, parents' rows, many-to-many links."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from django.db.models import ManyToManyField, Model
from django.db.models.expressions import Combinable

from producers.django.conf import conf


@dataclass(frozen=True)
class Rows:
    """A registered model, and the lookup from it to the primary key of the table a statement is about."""

    model: type[Model]
    path: str


@dataclass
class Watched:
    """By the model of the table: the registered models with columns in it, and the many-to-many fields it links."""

    rows: dict[type[Model], list[Rows]] = field(default_factory=lambda: defaultdict(list))
    links: dict[type[Model], list[tuple[type[Model], ManyToManyField]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def __contains__(self, model: object) -> bool:
        return model in self.rows or model in self.links


def watched() -> Watched:
    """What `KRILL_LOGGER["MODELS"]` amounts to; looked up again when that setting changes."""
    global _known
    present = conf()
    if _known is None or _known[0] is not present:
        _known = (present, _collect(present.models()))
    return _known[1]


def unique_sets(model: type[Model]) -> list[tuple[str, ...]]:
    """Attribute names of each set of fields in which two rows of the model may conflict."""
    meta = model._meta
    named = [(meta.pk.name,), *((f.name,) for f in meta.local_concrete_fields if f.unique), *meta.unique_together]
    named += [tuple(constraint.fields) for constraint in meta.constraints if getattr(constraint, "fields", ())]
    return list(dict.fromkeys(tuple(meta.get_field(name).attname for name in names) for names in named))


def is_value(value: Any) -> bool:
    """Whether a field of an unsaved object holds a value, and not nothing or an expression."""
    return value is not None and not isinstance(value, Combinable) and not hasattr(value, "resolve_expression")


_known: tuple[Any, Watched] | None = None


def _collect(models: list[type[Model]]) -> Watched:
    found = Watched()
    for model in models:
        found.rows[model].append(Rows(model, "pk"))
        for parent in model._meta.get_parent_list():
            found.rows[parent].append(Rows(model, model._meta.get_ancestor_link(parent).name))
        for link in model._meta.many_to_many:
            found.links[link.remote_field.through._meta.concrete_model].append((model, link))
    # Reading a defaultdict must not make it say that it holds the key.
    return Watched(dict(found.rows), dict(found.links))
