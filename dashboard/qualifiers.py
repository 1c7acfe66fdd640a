"""What the search bar calls the columns of a report: an English and a Spanish name each, and other names."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache

from dashboard.columns import ADMIN_CHANGES, FIELD, Column, Report
from dashboard.dates import plain

#: Qualifiers that set the parameters `from` and `to`.
DATE, SINCE, UNTIL = "date", "from", "to"
#: How much a name must be like a known one to be taken for a slip of the fingers.
_ALIKE = 0.84


@dataclass(frozen=True, slots=True)
class Qualifier:
    """A name before a colon.

    Args:
        parameter: the column, the field (`field.…`), `date`, `from` or `to` that it stands for.
        column: the column or field; None for dates.
    """

    parameter: str
    english: str
    spanish: str
    others: tuple[str, ...] = ()
    column: Column | None = None

    def name(self, language: str) -> str:
        """What it is called in `es` or `en`."""
        return self.spanish if language == "es" else self.english


_DATES = (
    Qualifier(DATE, "date", "fecha", ("when", "cuando", "día", "day")),
    Qualifier(SINCE, "since", "desde", ("from",)),
    Qualifier(UNTIL, "until", "hasta", ("to", "before", "antes")),
)
#: Column: English, Spanish, others.
_NAMES: dict[str, tuple[str, str, *tuple[str, ...]]] = {
    "user": ("user", "usuario", "who", "quién"),
    "status_code": ("status", "estado", "code", "código"),
    "method": ("method", "método"),
    "path": ("path", "ruta", "url"),
    "remote_addr": ("ip", "ip", "address", "dirección"),
    "response_ms": ("duration", "duración", "time", "tiempo", "latency", "latencia", "ms"),
    "host": ("host", "host", "servidor"),
    "view": ("view", "vista"),
    "route": ("route", "plantilla"),
    "action": ("action", "acción"),
    "model": ("model", "modelo"),
    "object_repr": ("object", "objeto"),
    "object_type": ("type", "tipo"),
    "object_id": ("id", "id"),
    "changed_fields": ("field", "campo"),
    "errors": ("error", "error", "errores"),
    "masked": ("masked", "enmascarado"),
    "user_agent": ("agent", "agente"),
    "request_id": ("request", "petición"),
    "event_id": ("event", "evento"),
    "app": ("app", "aplicación"),
    "app_label": ("app", "aplicación"),
    "api_version": ("version", "versión"),
    "user_id": ("user_id", "id_usuario"),
    "view_method": ("view_method", "método_vista"),
    "query_params": ("params", "parámetros"),
    "data": ("data", "datos"),
    "response": ("response", "respuesta"),
    "truncated": ("truncated", "truncado"),
    "change_message": ("message", "mensaje"),
    "changes": ("changes", "cambios"),
}


@cache
def of(report: Report) -> tuple[Qualifier, ...]:
    """The report's qualifiers, the most useful first; every column has one."""
    found = []
    for name in [*_NAMES, *(name for name in report.by_name if name not in _NAMES)]:
        if column := report.by_name.get(name):
            english, spanish, *others = _NAMES.get(name, (name, name))
            if name == "object_id" and report is not ADMIN_CHANGES:
                others = ["object", "objeto"]
            found.append(Qualifier(name, english, spanish, (*others, name), column))
    return (*found[:2], *_DATES, *found[2:])


@cache
def names(report: Report) -> dict[str, Qualifier]:
    """Every name of every qualifier in its plain form."""
    return {plain(name): qualifier for qualifier in of(report) for name in spellings(qualifier)}


def spellings(qualifier: Qualifier) -> tuple[str, ...]:
    """All names of a qualifier."""
    return (qualifier.english, qualifier.spanish, *qualifier.others)


def find(report: Report, name: str) -> Qualifier | None:
    """The qualifier called `name`; a field of the payloads if nothing is called so, None if that cannot be."""
    return names(report).get(plain(name)) or field(report, name.removeprefix(FIELD))


def field(report: Report, name: str) -> Qualifier | None:
    """A field of the payloads."""
    column = report.find(FIELD + name)
    return Qualifier(FIELD + name, name, name, (), column) if column else None


def of_parameter(report: Report, parameter: str) -> Qualifier | None:
    """The qualifier that stands for a query parameter."""
    if parameter.startswith(FIELD):
        return field(report, parameter.removeprefix(FIELD))
    return next((each for each in of(report) if each.parameter == parameter and each.column), None)


def alike(report: Report, name: str) -> str | None:
    """The name that `name` is probably a misspelling of."""
    known = names(report)
    if plain(name) in known or len(name) < 4:
        return None
    close = difflib.get_close_matches(plain(name), known, 1, _ALIKE)
    if not close:
        return None
    return next(spelling for spelling in spellings(known[close[0]]) if plain(spelling) == close[0])
