"""The language of the search bar: another way to write the query parameters, and back.

    user:crm-a status:>=500 -method:GET duration:>2s date:"last 15 min" postalcode:1505 "free text"

Words are separated by spaces; quotes hold spaces together, and a quote within them is written twice. `name:value` is a
qualifier: a column, a date, or any other name for a field of the payloads, as is a name in quotes. What has no name
is text (`q`), and so is a MAC address, or one of IP version 6, or three groups of one. With `-` before it, none of it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from zoneinfo import ZoneInfo

from dashboard import conditions, dates, qualifiers, times
from dashboard.columns import FIELD, Column, Report
from dashboard.filters import N_, ONCE, expected
from dashboard.qualifiers import DATE, SINCE, UNTIL, Qualifier

Pairs = list[tuple[str, str]]

UNCLOSED = N_("The closing quote is missing; a quote within quotes is written twice.")
NO_VALUE = N_("A value is missing after “%(name)s:”; two quotes stand for none.")
NO_FIELD = N_("“%(name)s” cannot be the name of a field.")
UNKNOWN = N_(
    "There is no “%(name)s:” here. Did you mean “%(known)s:”? With the name in quotes the payloads are searched."
)
NOT_A_DATE = N_("“%(name)s:” cannot be excluded with “-”.")
UNUSABLE = N_("“%(value)s” cannot be used here: expected %(expected)s.")
SOME_DATE = N_("a date such as yesterday, monday, 15/11, 2026-11-15 10:30, 2026-11-01..2026-11-15 or “last 15 min”")
DURATION = N_("a number of ms, or with the unit ms, s, min or h, or a comparison such as >2s or 100ms..2s")

_SPACE = re.compile(r"\s*")
_QUOTED = re.compile(r'"((?:[^"]|"")*)("?)')
_PLAIN = re.compile(r'[^\s"]+')
#: Three groups or more of an address; up to the first colon it could be the name of a field.
_GROUPS = re.compile(r"[0-9A-Fa-f]{1,4}(?:::?[0-9A-Fa-f]{1,4}){2,7}:{0,2}(?!\S)")
_NAME = re.compile(rf"-?(?!{_GROUPS.pattern})(?P<name>[^\W\d][\w.-]*):(?!//|:)")
#: What may stand without quotes: as a value, and as a text.
_BARE_VALUE = re.compile(r'(?!//|:)[^\s"]+')
_BARE_TEXT = re.compile(r'[^\s":-][^\s":]*')
#: Words that a date without quotes may go on with.
_DATE_WORDS = 4

_MILLISECONDS = {"ms": 1, "s": 1000, "sec": 1000, "seg": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000}
_DURATION = re.compile(r"(?P<number>-?[0-9]+(?:[.,][0-9]+)?) ?(?P<unit>[a-z]+)", re.IGNORECASE)
#: Other words for what was done in the admin.
_ACTIONS = {
    name: action
    for action, names in {
        "addition": ("add", "added", "alta", "adicion", "creacion"),
        "change": ("changed", "modificacion", "cambio"),
        "deletion": ("delete", "deleted", "borrado", "eliminacion", "baja"),
    }.items()
    for name in names
}
_CLASS = re.compile(r"([1-5])xx", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the bar at `start` to `end` of its text.

    Args:
        name: before the colon; None for text.
        value: without its quotes; it begins at `value_start`.
        quoted: whether there were quotes in the value; `field`: whether the name was in quotes.
        closed: whether the last quote is closed.
    """

    start: int
    end: int
    negated: bool
    name: str | None
    value: str
    value_start: int
    quoted: bool
    field: bool
    closed: bool


@dataclass(frozen=True, slots=True)
class SearchError:
    """What is wrong with the text from `start` to `end`; `message` can be translated, and then filled with `values`.

    `expected` is the value of that name, to be translated by itself; `better` is the whole text put right.
    """

    start: int
    end: int
    message: str
    values: Mapping[str, str] = field(default_factory=dict)
    expected: str = ""
    better: str = ""


class SearchErrors(ValueError):
    """All that is wrong with a text."""

    def __init__(self, errors: list[SearchError]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors


def tokens(text: str) -> Iterator[Token]:
    """The words of a text, whatever it is."""
    at = _end(_SPACE, text, 0)
    while at < len(text):
        start = at
        name, is_field, closed, quoted = None, False, True, False
        negated = text[at] == "-" and at + 1 < len(text) and not text[at + 1].isspace()
        if match := _NAME.match(text, at):
            name, at = match["name"], match.end()
        else:
            at += negated
            match = _QUOTED.match(text, at)
            if match and match[2] and match[1] and text.startswith(":", match.end()):
                name, is_field, at = match[1].replace('""', '"'), True, match.end() + 1
        value_start, value = at, ""
        while at < len(text) and not text[at].isspace():
            if match := _QUOTED.match(text, at):
                value += match[1].replace('""', '"')
                quoted, closed = True, bool(match[2])
            else:
                match = _PLAIN.match(text, at)
                assert match
                value += match[0]
            at = match.end()
        yield Token(start, at, negated, name, value, value_start, quoted, is_field, closed)
        at = _end(_SPACE, text, at)


def parse(text: str, report: Report, zone: ZoneInfo, now: dt.datetime | None = None) -> Pairs:
    """The query parameters that `text` stands for, in its order.

    Args:
        zone: of the dates in it.
        now: the present, unless it is that of the clock.

    Raises:
        SearchErrors: what cannot be understood, and where.
    """
    reading = _Reading(text, report, zone, (now or dt.datetime.now(zone)).astimezone(zone))
    pairs = reading.run()
    if reading.errors:
        raise SearchErrors(reading.errors)
    return pairs


class _Reading:
    """One run of `parse`."""

    def __init__(self, text: str, report: Report, zone: ZoneInfo, now: dt.datetime) -> None:
        self.text, self.report, self.zone, self.now = text, report, zone, now
        self.errors: list[SearchError] = []
        self.pairs: Pairs = []

    def run(self) -> Pairs:
        left = list(tokens(self.text))
        while left:
            token = left.pop(0)
            if not token.closed:
                self.errors.append(SearchError(token.start, token.end, UNCLOSED))
            elif token.name is None:
                if token.value:
                    self._add("-q" if token.negated else "q", token.value)
            elif qualifier := self._qualifier(token, token.name):
                if qualifier.column is None:
                    del left[: self._date(token, qualifier, left)]
                else:
                    self._condition(token, qualifier)
        return self.pairs

    def _add(self, name: str, value: str) -> None:
        if (name, value) not in self.pairs:
            self.pairs.append((name, value))

    def _qualifier(self, token: Token, name: str) -> Qualifier | None:
        """What the token's name stands for; None, and an error, if it or its value is missing."""
        known = None if token.field else qualifiers.alike(self.report, name)
        found = (qualifiers.field if token.field else qualifiers.find)(self.report, name)
        if known:
            place = token.start + token.negated
            better = self.text[:place] + known + self.text[place + len(name) :]
            values = {"name": name, "known": known}
            self.errors.append(SearchError(token.start, token.value_start, UNKNOWN, values, better=better))
        elif found is None:
            self.errors.append(SearchError(token.start, token.value_start, NO_FIELD, {"name": name}))
        elif not token.value and not token.quoted:
            self.errors.append(SearchError(token.start, token.end, NO_VALUE, {"name": name}))
        else:
            return found
        return None

    def _condition(self, token: Token, qualifier: Qualifier) -> None:
        column = qualifier.column
        assert column
        duration = column.name == "response_ms"
        try:
            value = _machine(column, token.value, exactly=token.quoted)
            conditions.check(column, value, self.zone)
        except ValueError:
            self._unusable(token, token.end, DURATION if duration else expected(column))
            return
        self._add(("-" if token.negated else "") + column.name, value)

    def _date(self, token: Token, qualifier: Qualifier, following: list[Token]) -> int:
        """Read a date, which may go on in the words that follow; how many of them it took."""
        if token.negated:
            self.errors.append(SearchError(token.start, token.end, NOT_A_DATE, {"name": str(token.name)}))
            return 0
        more = 0
        while (
            more < min(_DATE_WORDS, len(following))
            and not token.quoted
            and following[more].name is None
            and not (following[more].quoted or following[more].negated)
        ):
            more += 1
        for taken in range(more, -1, -1):
            try:
                span = self._span(" ".join([token.value, *(word.value for word in following[:taken])]), qualifier)
            except ValueError:
                continue
            for name, value in zip((SINCE, UNTIL), span, strict=True):
                if value is not None and any(name == known for known, _ in self.pairs):
                    self._unusable(token, token.end, ONCE)
                elif value is not None:
                    self.pairs.append((name, value))
            return taken
        self._unusable(token, token.end, SOME_DATE)
        return 0

    def _span(self, text: str, qualifier: Qualifier) -> dates.Span:
        if qualifier.parameter == DATE:
            return dates.span(text, self.now)
        if text.startswith((">", "<")) or ".." in text:
            raise ValueError("not one date")
        since, _ = dates.span(text, self.now)
        if qualifier.parameter == SINCE:
            return since, None
        return None, dates.moment(text, self.zone, self.now, latest=True)

    def _unusable(self, token: Token, end: int, what: str) -> None:
        self.errors.append(SearchError(token.value_start, end, UNUSABLE, {"value": token.value}, what))


def render(pairs: Iterable[tuple[str, str]], report: Report, language: str, zone: ZoneInfo) -> tuple[str, Pairs]:
    """The text of query parameters in a language, and the parameters that the bar has no words for.

    `parse` makes parameters of the same meaning of the text.
    """
    words: list[str] = []
    others: Pairs = []
    after_date = date_said = False
    span = {name: value for name, value in pairs if name in (SINCE, UNTIL)}
    said = dates.words(span.get(SINCE), span.get(UNTIL), language, zone)
    for name, value in dict.fromkeys(pairs):
        bare = name.removeprefix("-")
        sign = "-" if bare != name else ""
        qualifier = qualifiers.of_parameter(report, bare)
        if re.search(r"[\r\n]", name + value):
            others.append((name, value))
        elif bare == "q":
            if value:
                bare_text = not after_date and (_BARE_TEXT.fullmatch(value) or _GROUPS.fullmatch(value))
                words.append(sign + (value if bare_text else quoted(value)))
            after_date = False
        elif name in (SINCE, UNTIL):
            parameter, text = (DATE, said) if said else (name, _local(value, zone, latest=name == UNTIL))
            if not (said and date_said):
                words.append(f"{_named(report, parameter, language)}:{_value(text)}")
            date_said = True
            after_date = True
        elif qualifier:
            written = value_text(qualifier.column, value)
            words.append(f"{sign}{_name(report, qualifier, language, written)}:{written}")
            after_date = False
        else:
            others.append((name, value))
    return " ".join(words), others


def quoted(text: str) -> str:
    """`text` in quotes."""
    return '"' + text.replace('"', '""') + '"'


def value_text(column: Column | None, value: str) -> str:
    """A value of a column, or a date, as it is written behind a colon."""
    name = column.name if column else ""
    return _value(_human(name, value), exactly=name == "method" and value != value.upper())


def date_text(text: str, language: str, zone: ZoneInfo, *, latest: bool) -> str:
    """A value of `from` or `to` as people say it."""
    return dates.word(text, language) or _local(text, zone, latest=latest)


def _value(text: str, *, exactly: bool = False) -> str:
    return text if _BARE_VALUE.fullmatch(text) and not exactly else quoted(text)


def _name(report: Report, qualifier: Qualifier, language: str, value: str) -> str:
    """The name as it has to be written before a value; in quotes, as a field's, if it would be taken for another."""
    name = qualifier.name(language)
    if not qualifier.parameter.startswith(FIELD):
        return name
    bare = (
        _NAME.fullmatch(f"{name}:")
        and not _GROUPS.fullmatch(f"{name}:{value}")
        and not name.startswith(FIELD)
        and dates.plain(name) not in qualifiers.names(report)
        and not qualifiers.alike(report, name)
    )
    return name if bare else quoted(name)


def _named(report: Report, parameter: str, language: str) -> str:
    return next(each.name(language) for each in qualifiers.of(report) if each.parameter == parameter)


def _machine(column: Column, value: str, *, exactly: bool) -> str:
    """A parameter's value of what people write: `2s`, `5xx`, `alta`, `get` unless it is in quotes."""
    if column.name == "response_ms":
        return _each_limit(value, _milliseconds)
    if column.name == "status_code" and (match := _CLASS.fullmatch(value)):
        return f"{match[1]}00..{match[1]}99"
    if column.choices:
        return _ACTIONS.get(dates.plain(value), value)
    return value.upper() if column.name == "method" and not exactly else value


def _human(column: str, value: str) -> str:
    """The opposite of `_machine`."""
    if column == "response_ms":
        return _each_limit(value, _duration)
    if column == "status_code" and (match := re.fullmatch(r"([1-5])00\.\.([1-5])99", value)) and match[1] == match[2]:
        return f"{match[1]}xx"
    return value


def _each_limit(value: str, change: Callable[[str], str]) -> str:
    match = re.fullmatch(r"(>=|<=|>|<|)(.*?)(?:(\.\.)(.*))?", value, re.DOTALL)
    assert match
    sign, first, dots, last = match.groups()
    return sign + change(first) + (dots + change(last) if dots else "")


def _milliseconds(text: str) -> str:
    match = _DURATION.fullmatch(text.strip())
    if not match or match["unit"].lower() not in _MILLISECONDS:
        return text
    return _decimal(Decimal(match["number"].replace(",", ".")) * _MILLISECONDS[match["unit"].lower()])


def _duration(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", text):
        return text
    number = Decimal(text)
    for unit in ("min", "s"):
        if number and number % _MILLISECONDS[unit] == 0:
            return f"{_decimal(number / _MILLISECONDS[unit])}{unit}"
    return f"{_decimal(number)}ms"


def _decimal(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _local(text: str, zone: ZoneInfo, *, latest: bool) -> str:
    """A time as short as it can be said in the zone."""
    if times.is_relative(text):
        return text
    try:
        instant = times.instant(text, zone, latest=latest)
        local = instant.astimezone(zone).replace(tzinfo=None)
        short = local.date().isoformat() if local.time() == dt.time() else local.isoformat(timespec="auto")
        if not local.second and len(short) > 16:
            short = local.isoformat(timespec="minutes") if not local.microsecond else short
        return short if times.instant(short, zone, latest=latest) == instant else text
    except (ValueError, OverflowError):
        return text


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    assert match
    return match.end()
