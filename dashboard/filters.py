"""Query parameters of a page, its CSV and the JSON API: parsed strictly, rendered back, turned into SQL.

Values never become SQL text: they are ClickHouse parameters (`{p0:String}`).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from urllib.parse import unquote_to_bytes
from zoneinfo import ZoneInfo, available_timezones

from werkzeug.datastructures import MultiDict

from dashboard import conditions, looks, searching, times
from dashboard.columns import Column, Report
from dashboard.conditions import Condition, exact
from dashboard.looks import Look
from schemas import masking

__all__ = ["Condition", "FilterError", "FilterErrors", "Query", "decode", "exact", "parse"]

PER_PAGE = 100
MAX_PER_PAGE = 1000
MAX_PAGE = 10_000_000
MAX_VALUES = 100
MAX_LENGTH = 2000


def N_(text: str) -> str:
    """Mark `text` for translation."""
    return text


PARAMETER = N_("a parameter of this report")
ONCE = N_("to be given once")
TEXT = N_("text without NUL, in valid UTF-8, of at most 2,000 characters")
TOO_MANY = N_("at most 100 values")
TIME = N_(
    "an ISO 8601 date or time between the years 1900 and 2299, such as 2026-11-23 or 2026-11-23T10:00, "
    "or a relative one such as now-15m or now/d"
)
AFTER_FROM = N_("a time after “from”")
SORT = N_("a column's name, with - before it for descending order")
PAGE = N_("a number from 1 to 10,000,000")
PER_PAGE_RANGE = N_("a number from 1 to 1,000")
ZONE = N_("an IANA time zone, such as Europe/Madrid")
KINDS = {
    "number": N_("a number, or a comparison such as >=500, <2 or 200..299"),
    "integer": N_("a whole number, or a comparison such as >=500, <2 or 200..299"),
    "time": N_("an ISO 8601 time, or a comparison such as >=2026-11-23 or 2026-11-01..2026-11-23"),
    "address": N_("an IPv4 or IPv6 address, or a network such as 192.0.2.0/24"),
    "uuid": N_("a UUID"),
    "enum": N_("one of the column's values"),
}


@dataclass(frozen=True, slots=True)
class FilterError:
    """A parameter that cannot be understood; `value` is masked and cut, `expected` can be translated.

    `names` are the names that were expected, if they are a closed set.
    """

    parameter: str
    value: str
    expected: str
    names: tuple[str, ...] = ()

    @property
    def listed(self) -> str:
        """What goes behind `expected`: the names."""
        return f": {', '.join(self.names)}" if self.names else ""


class FilterErrors(ValueError):
    """What is wrong with a query, one entry per parameter."""

    def __init__(self, errors: list[FilterError]) -> None:
        super().__init__("; ".join(f"{error.parameter}: expected {error.expected}" for error in errors))
        self.errors = errors


class Problems:
    """Collects errors while parameters are read."""

    def __init__(self) -> None:
        self.errors: list[FilterError] = []

    def add(self, parameter: str, value: str, expected: str, names: tuple[str, ...] = ()) -> None:
        """Note that `value` of `parameter` is not what was `expected`: one of `names`, if there are any."""
        secret = masking.is_secret(parameter.lstrip("-"))
        shown = masking.SUBSTITUTE if secret and value else masking.mask_text(value[:MAX_LENGTH])[0]
        self.errors.append(FilterError(printable(parameter)[:100], printable(shown)[:100], expected, names))

    def raise_if_any(self) -> None:
        """Raise FilterErrors if there was an error."""
        if self.errors:
            raise FilterErrors(self.errors)


@dataclass(frozen=True)
class Query:
    """A report's rows, chosen, ordered and paged.

    Args:
        since: first instant included (UTC), None for no limit.
        until: first instant not included (UTC), None for no limit.
        sort: a column's name, with `-` before it for descending.
        zone: of times without an offset; also that of the reader.
        q: texts that must all be somewhere in a row; of `without_q`, none may be.
        given_since: `from` as it was typed, None if it was not; likewise `given_until`.
        look: which columns, and how a page shows them.
    """

    report: Report
    zone: ZoneInfo
    sort: str
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    conditions: tuple[Condition, ...] = ()
    q: tuple[str, ...] = ()
    without_q: tuple[str, ...] = ()
    page: int = 1
    per_page: int = PER_PAGE
    given_since: str | None = None
    given_until: str | None = None
    given_zone: str | None = None
    look: Look = Look()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The chosen columns in their order; all of the report's unless some were chosen."""
        return tuple(self.report.by_name[name] for name in self.look.columns) or self.report.columns

    @property
    def descending(self) -> bool:
        """Whether the first sort column runs from high to low."""
        return self.sort.startswith("-")

    @property
    def sort_column(self) -> Column:
        """The column that rows are sorted by first."""
        return self.report.by_name[self.sort.removeprefix("-")]

    def where(self, *, indexed: bool = True, common: bool = False) -> tuple[str, dict[str, str | bytes]]:
        """The SQL condition (empty if all rows match) and the values of its parameters.

        Args:
            indexed: whether the indexes of words are to be asked, which pays where many rows would be looked at.
            common: whether so many rows have the texts that the indexes are not to be asked for these.
        """
        words = indexed and not common
        parameters: dict[str, str | bytes] = {}
        bind = binder(parameters)
        tests = time_range(self.report.time_column, self.since, self.until, bind)
        tests += [condition.sql(bind, indexed=indexed) for condition in self.conditions]
        tests += [searching.search(self.report, text, bind, indexed=words) for text in self.q]
        tests += [f"NOT {searching.search(self.report, text, bind, indexed=words)}" for text in self.without_q]
        return " AND ".join(tests), parameters

    @property
    def searches(self) -> bool:
        """Whether texts or fields are looked for, in columns that take long to read."""
        payloads = any(condition.column.kind == "payload" for condition in self.conditions)
        return bool(self.q or self.without_q or payloads)

    def args(self, **changes: Any) -> dict[str, list[str]]:
        """The URL parameters that give this query again, for `url_for(…, **args)` or `urlencode(…, True)`.

        Args:
            changes: parameters to replace: a value, a list of values, or None to leave it out; a change
                other than to `page` goes back to the first page. `from_` stands for `from`.
        """
        args: dict[str, list[str]] = {}
        for condition in self.conditions:
            name = ("-" if condition.negated else "") + condition.column.name
            args[name] = list(condition.values)
        args |= {name: list(texts) for name, texts in (("q", self.q), ("-q", self.without_q)) if texts}
        default_sort = f"-{self.report.time_column}"
        single = {
            "from": self.given_since,
            "to": self.given_until,
            "tz": self.given_zone,
            "sort": self.sort if self.sort != default_sort else None,
            "per_page": str(self.per_page) if self.per_page != PER_PAGE else None,
            "page": str(self.page) if self.page > 1 and not changes else None,
        }
        args |= {name: [value] for name, value in [*single.items(), *self.look.pairs()] if value is not None}
        for name, value in changes.items():
            name = "from" if name == "from_" else name
            args.pop(name, None)
            if value is not None:
                args[name] = [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]
        return args

    def at(self, page: int) -> Query:
        """The same query on another page."""
        return replace(self, page=page)


def decode(query_string: bytes) -> MultiDict[str, str]:
    """The parameters in a URL's query string, without losing what is malformed.

    Werkzeug's `request.args` turns invalid UTF-8 into text that looks like what somebody asked for.

    Raises:
        FilterErrors: a name or value that is not UTF-8.
    """
    problems = Problems()
    args: MultiDict[str, str] = MultiDict()
    for part in query_string.split(b"&"):
        if not part:
            continue
        name, _, value = (unquote_to_bytes(piece.replace(b"+", b" ")) for piece in _partition(part))
        try:
            args.add(name.decode(), value.decode())
        except UnicodeDecodeError:
            problems.add(name.decode(errors="replace"), value.decode(errors="replace"), TEXT)
    problems.raise_if_any()
    return args


def parse(args: MultiDict[str, str], report: Report, zone: ZoneInfo, now: dt.datetime | None = None) -> Query:
    """What a page, CSV or API call asks for.

    An empty value of a text column asks for rows without that value. A form sends its empty fields,
    too: leave those out before, and redirect so that the URL says what is shown.

    Args:
        args: query parameters by name, as `decode` gives them.
        zone: where times without an offset are meant, unless a parameter `tz` names another zone.
        now: what relative times start from, unless it is the clock.

    Raises:
        FilterErrors: anything unknown, malformed or contradictory; all of it at once.
    """
    problems = Problems()
    args = checked(args, problems)
    given_zone = single(args, "tz", problems)
    zone = read_zone(given_zone, zone, problems)
    since, until, given = read_range(args, zone, problems, now)
    query = Query(
        report,
        zone,
        _sort(single(args, "sort", problems), report, problems),
        since,
        until,
        read_conditions(args, report.find, zone, problems),
        q=_texts(args, "q"),
        without_q=_texts(args, "-q"),
        page=_bounded(args, "page", 1, MAX_PAGE, PAGE, problems),
        per_page=_bounded(args, "per_page", PER_PAGE, MAX_PER_PAGE, PER_PAGE_RANGE, problems),
        given_since=given[0],
        given_until=given[1],
        given_zone=given_zone,
        look=looks.read({name: single(args, name, problems) for name in looks.PARAMETERS}, report, problems),
    )
    unknown(args, problems)
    problems.raise_if_any()
    return query


def checked(args: MultiDict[str, str], problems: Problems) -> MultiDict[str, str]:
    """The parameters whose names and values are plain text of bearable length; problems for the others."""
    sound: MultiDict[str, str] = MultiDict()
    if sum(1 for _ in args.items(multi=True)) > MAX_VALUES:
        problems.add("…", "", TOO_MANY)
        return sound
    for name, value in args.items(multi=True):
        text = name + value
        if "\0" in text or len(value) > MAX_LENGTH or re.search(r"[\ud800-\udfff]", text):
            problems.add(name, value, TEXT)
        else:
            sound.add(name, value)
    return sound


def single(args: MultiDict[str, str], name: str, problems: Problems) -> str | None:
    """Take a parameter that may be given once out of `args`."""
    values = args.poplist(name)
    if len(values) > 1:
        problems.add(name, values[1], ONCE)
    return values[0] if values else None


def _texts(args: MultiDict[str, str], name: str) -> tuple[str, ...]:
    return tuple(text for text in dict.fromkeys(args.poplist(name)) if text)


#: Reading all of their files takes 15 ms.
_zones = cache(available_timezones)


def read_zone(text: str | None, zone: ZoneInfo, problems: Problems) -> ZoneInfo:
    """The zone that the parameter `tz` names, else `zone`."""
    if text is None:
        return zone
    if text not in _zones():
        problems.add("tz", text, ZONE)
        return zone
    return ZoneInfo(text)


def read_range(
    args: MultiDict[str, str], zone: ZoneInfo, problems: Problems, now: dt.datetime | None = None
) -> tuple[dt.datetime | None, dt.datetime | None, tuple[str | None, str | None]]:
    """`from` and `to` as instants and as typed."""
    instants: list[dt.datetime | None] = []
    given = (single(args, "from", problems), single(args, "to", problems))
    for name, text in zip(("from", "to"), given, strict=True):
        try:
            instants.append(None if text is None else times.instant(text, zone, latest=name == "to", now=now))
        except ValueError:
            problems.add(name, text or "", TIME)
            instants.append(None)
    since, until = instants
    if since and until and since >= until:
        problems.add("to", given[1] or "", AFTER_FROM)
    return since, until, given


def read_conditions(
    args: MultiDict[str, str], find: Callable[[str], Column | None], zone: ZoneInfo, problems: Problems
) -> tuple[Condition, ...]:
    """Take the parameters that are columns, as `find` gives them by name, out of `args`."""
    found = []
    for name in list(args):
        column = find(name.removeprefix("-"))
        if column is None:
            continue
        values = tuple(dict.fromkeys(args.poplist(name)))
        for value in values:
            try:
                conditions.check(column, value, zone)
            except ValueError:
                problems.add(name, value, expected(column))
        found.append(Condition(column, values, name.startswith("-"), zone))
    return tuple(found)


def unknown(args: MultiDict[str, str], problems: Problems) -> None:
    """Note what is left in `args` as unknown."""
    for name in args:
        problems.add(name, args[name], PARAMETER)


def binder(parameters: dict[str, str | bytes]) -> conditions.Bind:
    """A function that adds a value to `parameters` and returns its placeholder."""

    def bind(value: object, type_: str) -> str:
        name = f"p{len(parameters)}"
        parameters[name] = conditions.bind_text(value)
        return f"{{{name}:{type_}}}"

    return bind


def time_range(name: str, since: dt.datetime | None, until: dt.datetime | None, bind: conditions.Bind) -> list[str]:
    """SQL tests for `since` (included) and `until` (not)."""
    tests = [] if since is None else [f"{name} >= {bind(since, conditions.TIME)}"]
    return tests if until is None else [*tests, f"{name} < {bind(until, conditions.TIME)}"]


def printable(text: str) -> str:
    """`text` with what no terminal, page or JSON should get written as an escape."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )


def _partition(part: bytes) -> Iterable[bytes]:
    return part.partition(b"=")


def expected(column: Column) -> str:
    """What a value of a column has to be that `conditions.check` refuses."""
    return KINDS["integer" if column.kind == "number" and column.integer else column.kind]


def _sort(text: str | None, report: Report, problems: Problems) -> str:
    if text is None:
        return f"-{report.time_column}"
    column = report.by_name.get(text.removeprefix("-"))
    if column is None or not column.sortable:
        problems.add("sort", text, SORT)
        return f"-{report.time_column}"
    return text


def _bounded(
    args: MultiDict[str, str], name: str, default: int, maximum: int, expected: str, problems: Problems
) -> int:
    text = single(args, name, problems)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= maximum:
        problems.add(name, text, expected)
        return default
    return int(text)
