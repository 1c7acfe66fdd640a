"""The SQL that finds a text anywhere in a row, with the indexes of words where the table has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from dashboard import joined, jsontext
from dashboard.columns import API_REQUESTS, Column, Report

if TYPE_CHECKING:
    from dashboard.conditions import Bind

#: Of these columns a word that could be hexadecimal is in the index `hex_words`, every other in `plain_words`.
_LONG = ("user_id", "path", "object_id", "query_params", "data", "response", "errors")
#: Of these all words are in `plain_words`.
_SHORT = (
    *("user", "method", "route", "api_version", "app", "object_type", "action", "host", "view", "view_method"),
    *("user_agent", "masked", "truncated"),
)
#: Columns in the indexes of words of `api_requests`.
INDEXED = (*_LONG, *_SHORT, "request_id")
#: Parts of words that are shorter are in too many of them, the more so if they could be hexadecimal.
SHORTEST, SHORTEST_HEX = 3, 4
#: Words that `holding` asks for, and parts of words, each of which takes a pass over all different words.
MOST_WORDS, MOST_PARTS = 16, 2
#: Shorter parts are in too many words for that.
LEAST_PART = 6
#: A number of fewer digits is in one row of a hundred thousand or more; those of a large month fill a page.
LEAST_NUMBER = 6
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
#: What is looked for in ids of hexadecimal digits; a number would be in very many of them by accident.
_IN_AN_ID = re.compile(rf"(?=.*[a-f])[-0-9a-f]+|{_UUID.pattern}", re.IGNORECASE)
#: What a text must look like to be found in a column of a kind.
_FORMS = {
    # As ClickHouse writes one: `0404` is no status.
    "number": re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{0,17}[1-9])?(?:e-?[0-9]{1,3})?"),
    "uuid": _IN_AN_ID,
    # No part of an address is longer than four digits.
    "address": re.compile(r"(?!.*[0-9a-fA-F]{5})[0-9a-fA-F.:]+"),
}
#: What is looked for among all callers by the index; a shorter group may be in very many words of it.
_PART_OF_ADDRESS = re.compile(rf"(?=.{{{SHORTEST_HEX}}}){_FORMS['address'].pattern}")
#: What is in no address of version 4, and a test for the other addresses.
_GROUP = re.compile(r"[0-9a-fA-F]{4}")
_OTHERS_THAN_IPV4 = "{} NOT BETWEEN toIPv6('::ffff:0.0.0.0') AND toIPv6('::ffff:255.255.255.255')"
_WORD = re.compile(r"[0-9A-Za-z]+")
#: Words that `hex_words` has instead of `plain_words`; `plain_words` keeps those that `_` joins to another.
_HEX = f"[0-9a-f]{{{SHORTEST_HEX},}}"
#: Request ids of hexadecimal digits, which are in no index of words.
_REQUEST_ID = "^[0-9a-f-]*$"
#: Of a word, what an index is asked for.
_ASKED = re.compile(rf"{_HEX}|(?=.*[g-z])[0-9a-z]{{{SHORTEST},}}")
#: Words that are whole in any text that holds this one: what is around them separates words, outside ASCII too.
_BETWEEN = r"[\x00-/:-@\[-`{-\x7f]"
_WHOLE = re.compile(rf"(?<={_BETWEEN})[0-9a-hjl-rt-z]+(?={_BETWEEN})")
# Words of a path that may be rare; those that are in every path (`api`, `v2`) cost the index more than they leave out.
_IDENTIFIER = re.compile(r"(?=.*[0-9]).{3,}")
# Letters that are the other case of a letter outside ASCII, and so may stand for one in a text.
_PLAIN_WORD = re.compile(r"[0-9A-HJL-RT-Za-hjl-rt-z]+")


def search(report: Report, text: str, bind: Bind, *, indexed: bool = True) -> str:
    """A test for `text`, whatever its case, in any searched column; numbers are compared as a whole.

    Args:
        indexed: whether the indexes are to be asked; where few rows are looked at, the test alone is sooner done.
    """
    needle = cache(lambda: bind(text, "String"))
    searched = _holders(report, text)
    if report is not API_REQUESTS or not indexed:
        return f"({_any(searched, text, needle)})"
    known = _known(text)
    together, words = _words(text)
    tests = [*(_joined(part, bind) for part in together), *(_part(word.lower(), bind) for word in words)]
    if not tests and (whole := _WHOLE.findall(text.lower())):
        tests.append(_all(whole, bind))
    if [*together, *words] != [text]:
        # They may stand apart.
        tests.append(f"({_any([column for column in searched if column.name in known], text, needle)})")
    found = [f"({' AND '.join(tests)})"]
    if "remote_addr" in known and together != [text]:
        found.append(_joined(text, bind))
    if others := _any([column for column in searched if column.name not in known], text, needle):
        found.append(others)
    return f"({' OR '.join(found)})" if len(found) > 1 else found[0]


def is_number(text: str) -> bool:
    """Whether a text is not looked for in ids of hexadecimal digits, though they may have it."""
    return bool(re.fullmatch("[-0-9]+", text)) and not _UUID.fullmatch(text)


def is_told_ahead(text: str) -> bool:
    """Whether a text that few rows have is found sooner if the indexes of all parts are asked before any row is read.

    Not a part of an id, which any row may have, nor a short number, which enough rows of the first parts have.
    """
    if text.isdecimal() and len(text) < LEAST_NUMBER:
        return False
    known = _known(text)
    return all(column.name in known or column.kind == "number" for column in _holders(API_REQUESTS, text))


def narrowed(column: Column, pieces: Sequence[str], bind: Bind) -> str:
    """A test that is true for all values of `column` that `pieces` match, and that the index answers; may be empty.

    Only identifiers are asked for.

    Args:
        pieces: the texts before, between and behind the wildcards of a pattern.
    """
    if column.kind != "text" or column.name not in (*_LONG, *_SHORT) or API_REQUESTS.by_name[column.name] is not column:
        return ""
    words, _ = _split(pieces)
    return _all(list(filter(_IDENTIFIER.fullmatch, words)), bind)


def holding(texts: Sequence[jsontext.Pieces], bind: Bind) -> str:
    """A test that is true for all requests with these texts in JSON, and that the indexes answer; may be empty.

    Args:
        texts: keys and values; nothing that could belong to a word stands before or behind them.
    """
    whole: list[str] = []
    parts: list[str] = []
    accented: list[str] = []
    for pieces in texts:
        words, others = _split(jsontext.plain(pieces))
        whole += words
        parts += (part for part in others if len(part) >= LEAST_PART)
        accented += (word for piece in pieces if piece for word in joined.ACCENTED_WORD.findall(piece))
    tests = [_all(list(dict.fromkeys(whole))[:MOST_WORDS], bind)]
    tests += [_part(part, bind) for part in _longest(parts)]
    for word in _longest(accented):
        # Any of its letters may have been escaped, and then it is not in that index.
        escapes = [jsontext.escaped(letter) for letter in dict.fromkeys(word) if not letter.isascii()]
        tests.append(f"({' OR '.join([_joined(word, bind), *(_part(escape, bind) for escape in escapes)])})")
    return " AND ".join(filter(None, tests))


def _longest(words: Iterable[str]) -> list[str]:
    return sorted(dict.fromkeys(words), key=len, reverse=True)[:MOST_PARTS]


def _split(pieces: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words of texts with anything between them, in small letters: whole ones, and what may be a part of one."""
    whole: dict[str, None] = {}
    parts: dict[str, None] = {}
    for place, piece in enumerate(pieces):
        for match in _WORD.finditer(piece):
            ends = (match.start() > 0 or place == 0) and (match.end() < len(piece) or place == len(pieces) - 1)
            # Letters outside ASCII may belong to the word.
            alone = piece[: match.start()][-1:].isascii() and piece[match.end() :][:1].isascii()
            (whole if ends and alone else parts)[match.group().lower()] = None
    return list(whole), list(parts)


def _holders(report: Report, text: str) -> list[Column]:
    """The searched columns whose kind of value may hold the text."""
    kinds = {kind for kind, form in _FORMS.items() if not form.fullmatch(text)}
    return [column for column in report.columns if column.searched and column.kind not in kinds]


def _known(text: str) -> set[str]:
    """Columns of which the indexes tell whether they hold the text; others are compared themselves."""
    names = set(INDEXED)
    if _IN_AN_ID.fullmatch(text):
        names.remove("request_id")
    if _PART_OF_ADDRESS.fullmatch(text):
        names.add("remote_addr")
    return names


def _words(text: str) -> tuple[list[str], list[str]]:
    """The parts of a text that an index is asked for: those that are joined, and the others."""
    found, rest = joined.find(text)
    words = (_WORD if text.isascii() else _PLAIN_WORD).findall(rest)
    return found, [word for word in words if _ASKED.fullmatch(word.lower())]


def _part(word: str, bind: Bind) -> str:
    """A test that a word is part of a word; `_` is between words."""
    part = bind(f"%{word}%", "String")
    plain = f"{_plain_words()} LIKE {part}"
    return f"({plain} OR {_hex_words()} LIKE {part})" if re.fullmatch(_HEX, word) else plain


def _joined(part: str, bind: Bind) -> str:
    return joined.within(part, _texts(), bind)


def _all(words: Iterable[str], bind: Bind) -> str:
    """A test that all words are in a row as whole words; empty without words."""
    hexadecimal = {word for word in words if re.fullmatch(_HEX, word)}
    plain = " ".join(word for word in words if word not in hexadecimal)
    tests = [f"hasAllTokens({_plain_words()}, {bind(plain, 'String')})"] if plain else []
    for word in sorted(hexadecimal):
        either = bind(word, "String")
        tests.append(f"(hasAllTokens({_plain_words()}, {either}) OR hasAllTokens({_hex_words()}, {either}))")
    return " AND ".join(tests)


@cache
def _plain_words() -> str:
    """What `plain_words` indexes, to the letter."""
    return f"concatWithSeparator(' ', {_short()}, replaceRegexpAll({_long()}, '\\\\b{_HEX}\\\\b', ''))"


@cache
def _hex_words() -> str:
    """What `hex_words` indexes, to the letter."""
    return f"arrayStringConcat(extractAll({_long()}, '\\\\b{_HEX}\\\\b'), ' ')"


@cache
def _texts() -> str:
    """What joined words are taken from."""
    return f"concatWithSeparator(' ', {_short()}, {_long()})"


def _short() -> str:
    arrays = {name for name in _SHORT if API_REQUESTS.by_name[name].kind == "array"}
    names = [f"arrayStringConcat({name}, ' ')" if name in arrays else name for name in _SHORT]
    short = ", ".join([*names, f"if(match(request_id, '{_REQUEST_ID}'), '', request_id)"])
    return f"lower(concatWithSeparator(' ', {short}))"


def _long() -> str:
    return f"lower(concatWithSeparator(' ', {', '.join(_LONG)}))"


def _any(columns: Sequence[Column], text: str, needle: Callable[[], str]) -> str:
    position = "positionCaseInsensitive" if text.isascii() else "positionCaseInsensitiveUTF8"
    if text.isascii() and text.upper() == text.lower():
        position = "position"
    tests = []
    for column in columns:
        name = column.name
        match column.kind:
            case "number":
                tests.append(f"{name} = toFloat64({needle()})")
            case "uuid":
                part = f"{position}(toString({name}), {needle()}) > 0"
                tests.append(f"{name} = toUUID({needle()})" if _UUID.fullmatch(text) else part)
            case "address":
                plain = f"if({name} = toIPv6('::'), '', replaceOne(toString({name}), '::ffff:', ''))"
                part = f"{position}({plain}, {needle()}) > 0"
                tests.append(f"({_OTHERS_THAN_IPV4.format(name)} AND {part})" if _GROUP.fullmatch(text) else part)
            case "array":
                tests.append(f"arrayExists(item -> {position}(item, {needle()}) > 0, {name})")
            case _ if name == "request_id" and is_number(text):
                tests.append(f"({position}({name}, {needle()}) > 0 AND NOT match({name}, '{_REQUEST_ID}'))")
            case _ if column.choices:
                tests.append(f"{position}(toString({name}), {needle()}) > 0")
            case _:
                tests.append(f"{position}({name}, {needle()}) > 0")
    return " OR ".join(tests)
