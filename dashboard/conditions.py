"""What one value of a column's query parameter means, and the SQL that tests it."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from dashboard import fields, jsontext, searching, times
from dashboard.columns import FIELD, Column

#: Takes a value and its ClickHouse type, returns the placeholder that stands for it.
Bind = Callable[[object, str], str]

_INTEGER = re.compile(r"-?[0-9]{1,19}")
_DECIMAL = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,2})?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_COMPARISON = re.compile(r"(>=|<=|>|<)(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\([\\*])|(\*)|([^*\\]+|\\)", re.DOTALL)

TIME = "DateTime64(3, 'UTC')"


@dataclass(frozen=True, slots=True)
class Condition:
    """A column is any of `values`, or with `negated` none of them. The values are as typed."""

    column: Column
    values: tuple[str, ...]
    negated: bool
    zone: ZoneInfo

    def sql(self, bind: Bind, *, indexed: bool = True) -> str:
        """An SQL expression; every value goes through `bind`.

        Args:
            indexed: whether the indexes of words are to be asked as well.

        Raises:
            ValueError: a value that `check` refuses.
        """
        tests = " OR ".join(f"({_test(self.column, value, self.zone, bind, indexed)})" for value in self.values)
        return f"NOT ({tests})" if self.negated else f"({tests})"


def check(column: Column, value: str, zone: ZoneInfo) -> None:
    """Raise ValueError unless `value` can be compared with `column`."""
    _test(column, value, zone, lambda _value, _type: "")


def beginning(value: str) -> str:
    """The text that a value of a text column begins with, all of it if there are no wildcards."""
    return _runs(value)[0]


def exact(text: str) -> str:
    """The query parameter's value that matches exactly `text` in a text column."""
    return re.sub(r"[\\*]", r"\\\g<0>", text)


def any_of(column: Column, values: Iterable[bytes], zone: ZoneInfo) -> Condition | None:
    """The condition that a column is exactly one of the values, as ClickHouse spells them; None if one is not UTF-8."""
    try:
        return Condition(column, tuple(exact(value.decode()) for value in values), False, zone)
    except UnicodeDecodeError:
        return None


def _test(column: Column, value: str, zone: ZoneInfo, bind: Bind, indexed: bool = True) -> str:
    name = column.name
    match column.kind:
        case "number":
            return _compare(name, value, "Int64" if column.integer else "Float64", _number(column.integer), bind)
        case "time":
            return _compare(name, value, TIME, lambda text: times.parse(text, zone), bind)
        case "uuid":
            if not _UUID.fullmatch(value):
                raise ValueError("not a UUID")
            return f"{name} = {bind(str(uuid.UUID(value)), 'UUID')}"
        case "address":
            first, last = _addresses(value)
            if first == last:
                return f"{name} = {bind(first, 'IPv6')}"
            return f"{name} BETWEEN {bind(first, 'IPv6')} AND {bind(last, 'IPv6')}"
        case "payload":
            return _payload(name.removeprefix(FIELD), value, bind, indexed)
        case "change":
            return _changed(name.removeprefix(FIELD), value, bind)
        case "array":
            pattern = _pattern(value)
            if isinstance(pattern, Like):
                return f"arrayExists(item -> item LIKE {bind(pattern, 'String')}, {name})"
            return f"has({name}, {bind(pattern, 'String')})"
        case _ if column.choices:
            chosen = _choose(column.choices, value)
            return " OR ".join(f"{name} = {bind(choice, 'String')}" for choice in chosen)
        case _:
            pattern = _pattern(value)
            test = f"{name} {'LIKE' if isinstance(pattern, Like) else '='} {bind(pattern, 'String')}"
            narrowed = searching.narrowed(column, _runs(value), bind) if indexed else ""
            return f"{test} AND {narrowed}" if narrowed else test


def _payload(key: str, value: str, bind: Bind, indexed: bool) -> str:
    """The field is in a payload of the request, at any depth, and has the value."""
    pieces, found = _pieces(value), jsontext.key(key)
    texts: list[jsontext.Pieces] = [[key]]
    if compared := _comparison(value, bind):
        pattern = bind(f"{found}{jsontext.NUMBER}{jsontext.END}", "String")
        tests = _in_a_payload(f"arrayExists(item -> {compared}, extractAll({{}}, {pattern}))")
    elif indexed and None not in pieces and (told := fields.looked_up(key, "".join(filter(None, pieces)), bind)):
        return told
    else:
        # Of any value at all, objects and lists included, the key is enough.
        pattern = found if value and not any(pieces) else f"{found}{jsontext.value(pieces)}{jsontext.END}"
        tests = _in_a_payload(f"match({{}}, {bind(pattern, 'String')})")
        texts.append(pieces)
    # The index leaves few rows to look at.
    held = searching.holding(texts, bind) if indexed else ""
    return f"{held} AND ({tests})" if held else tests


def _in_a_payload(test: str) -> str:
    return " OR ".join(test.replace("{}", column) for column in ("query_params", "data", "response"))


def _changed(key: str, value: str, bind: Bind) -> str:
    """The field changed, from or to the value."""
    name = bind(key, "String")
    pieces = _pieces(value)
    if value and not any(pieces):
        return f"has(changed_fields, {name})"
    old, new = (f"JSONExtractRaw(entry, '{side}')" for side in ("old", "new"))
    if compared := _comparison(value, bind):
        test = f"arrayExists(item -> {compared}, [trim(BOTH '\"' FROM {old}), trim(BOTH '\"' FROM {new})])"
    else:
        pattern = bind(f"^{jsontext.value(pieces)}$", "String")
        test = f"(match({old}, {pattern}) OR match({new}, {pattern}))"
    entries = (
        f"arrayExists(entry -> JSONExtractString(entry, 'field') = {name} AND {test}, JSONExtractArrayRaw(changes))"
    )
    return f"has(changed_fields, {name}) AND {entries}"


def _comparison(value: str, bind: Bind) -> str:
    """An SQL test of the text `item` for `>=500`, `<2` and `200..299`; empty if `value` is none of these."""
    if not _COMPARISON.fullmatch(value) and ".." not in value:
        return ""
    try:
        return _compare("toFloat64OrNull(item)", value, "Float64", _number(integer=False), bind)
    except ValueError:
        return ""


def _pieces(value: str) -> list[str | None]:
    """The plain texts of `value`, with None where there is a wildcard."""
    pieces = [match.groups() for match in _ESCAPE.finditer(value)]
    return [None if star else escaped or plain for escaped, star, plain in pieces]


def _runs(value: str) -> list[str]:
    """The plain texts before, between and behind the wildcards of `value`."""
    runs = [""]
    for piece in _pieces(value):
        if piece is None:
            runs.append("")
        else:
            runs[-1] += piece
    return runs


class Like(str):
    """A pattern for SQL's LIKE."""

    __slots__ = ()


def _pattern(value: str) -> str:
    r"""The text that `value` asks for, or a `Like` if it has wildcards. `\*` is a star, `\\` a backslash."""
    pieces = [match.groups() for match in _ESCAPE.finditer(value)]
    if not any(star for _, star, _ in pieces):
        return "".join(escaped or plain for escaped, _, plain in pieces)
    return Like(
        "".join("%" if star else re.sub(r"[\\%_]", r"\\\g<0>", escaped or plain) for escaped, star, plain in pieces)
    )


def _choose(choices: tuple[str, ...], value: str) -> list[str]:
    """The members of a closed set that `value`, perhaps with wildcards, names."""
    pieces = [match.groups() for match in _ESCAPE.finditer(value)]
    pattern = "".join(".*" if star else re.escape(escaped or plain) for escaped, star, plain in pieces)
    chosen = [choice for choice in choices if re.fullmatch(pattern, choice)]
    if not chosen:
        raise ValueError("none of the choices")
    return chosen


def _compare(name: str, value: str, type_: str, read: Callable[[str], object], bind: Bind) -> str:
    """`>=500`, `<2`, `200..299` (both ends included) or a plain value."""
    if match := _COMPARISON.fullmatch(value):
        return f"{name} {match[1]} {bind(read(match[2]), type_)}"
    if ".." in value:
        first, last = (read(text) for text in value.split("..", 1))
        if first > last:  # type: ignore[operator]
            raise ValueError("an empty range")
        return f"{name} BETWEEN {bind(first, type_)} AND {bind(last, type_)}"
    return f"{name} = {bind(read(value), type_)}"


def _number(integer: bool) -> Callable[[str], int | float]:
    def read(text: str) -> int | float:
        if integer:
            if not _INTEGER.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
                raise ValueError("not a whole number of 64 bits")
            return int(text)
        if not _DECIMAL.fullmatch(text):
            raise ValueError("not a number")
        return float(text)

    return read


def _addresses(value: str) -> tuple[str, str]:
    """First and last address of an address or a CIDR, as the tables hold them: IPv4 mapped, `::` for none."""
    if not value:
        return "::", "::"
    if "%" in value:
        raise ValueError("a zone index is not stored")
    network = ipaddress.ip_network(value, strict=False)
    prefix = "::ffff:" if network.version == 4 else ""
    return f"{prefix}{network[0]}", f"{prefix}{network[-1]}"


def at(name: str, instants: Iterable[dt.datetime], bind: Bind) -> str:
    """An SQL test that a time is one of these."""
    # Unix time in decimals, since a quote would be escaped.
    joined = ",".join(f"{instant.timestamp():.3f}" for instant in dict.fromkeys(instants))
    return f"{name} IN {bind(f'[{joined}]', f'Array({TIME})')}"


def bind_text(value: object) -> str | bytes:
    """`value` as the driver takes it for a ClickHouse parameter of its type."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, dt.datetime):
        return value.astimezone(times.UTC).strftime("%Y-%m-%d %H:%M:%S.") + f"{value.microsecond // 1000:03d}"
    return str(value)
