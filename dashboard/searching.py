"""The SQL that finds a text anywhere in a row, with the index of words where the table has one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from dashboard.columns import API_REQUESTS, Column, Report

if TYPE_CHECKING:
    from dashboard.conditions import Bind

#: Columns in the index `words` of `api_requests`, in its order: the expression must be the index's own.
INDEXED = (
    *("user", "user_id", "method", "path", "route", "api_version", "app", "object_type", "object_id", "action", "host"),
    *(
        "view",
        "view_method",
        "query_params",
        "data",
        "response",
        "errors",
        "user_agent",
        "request_id",
        "masked",
        "truncated",
    ),
)
#: Shorter parts of words are in too many of them.
SHORTEST = 4
#: Words that `holding` asks for.
MOST_WORDS = 16
#: What a text must look like to be found in a column of a kind.
_FORMS = {
    "number": re.compile(r"[-+0-9.eE]+"),
    "uuid": re.compile(r"[-0-9a-fA-F]+"),
    "address": re.compile(r"[0-9a-fA-F.:]+"),
}
_WORD = re.compile(r"[0-9A-Za-z]+")
# Words of a path that may be rare; those that are in every path (`api`, `v2`) cost the index more than they leave out.
_IDENTIFIER = re.compile(r"(?=.*[0-9]).{3,}")
# Letters that are the other case of a letter outside ASCII, and so may stand for one in a text.
_PLAIN_WORD = re.compile(r"[0-9A-HJL-RT-Za-hjl-rt-z]+")


def search(report: Report, text: str, bind: Bind) -> str:
    """A test for `text`, whatever its case, in any searched column; numbers are compared as a whole."""
    needle = cache(lambda: bind(text, "String"))
    searched = [column for column in report.columns if column.searched]
    if report is not API_REQUESTS:
        return f"({_any(searched, text, needle)})"
    indexed = [column for column in searched if column.name in INDEXED]
    others = _any([column for column in searched if column.name not in INDEXED], text, needle)
    words = [word for word in (_WORD if text.isascii() else _PLAIN_WORD).findall(text) if len(word) >= SHORTEST]
    tests = [f"{_expression()} LIKE {bind(f'%{word.lower()}%', 'String')}" for word in words]
    if words != [text]:
        # The words may stand apart.
        tests.append(f"({_any(indexed, text, needle)})")
    found = f"({' AND '.join(tests)})"
    return f"({found} OR {others})" if others else found


def narrowed(column: Column, pieces: Sequence[str], bind: Bind) -> str:
    """A test that is true for all values of `column` that `pieces` match, and that the index answers; may be empty.

    Only identifiers are asked for.

    Args:
        pieces: the texts before, between and behind the wildcards of a pattern.
    """
    if column.kind != "text" or column.name not in INDEXED or API_REQUESTS.by_name[column.name] is not column:
        return ""
    words: dict[str, None] = {}
    for place, piece in enumerate(pieces):
        for match in _WORD.finditer(piece):
            # Where a wildcard touches it, it may be a part of a word.
            whole = (match.start() > 0 or place == 0) and (match.end() < len(piece) or place == len(pieces) - 1)
            # Letters outside ASCII may belong to the word.
            alone = piece[: match.start()][-1:].isascii() and piece[match.end() :][:1].isascii()
            if whole and alone and _IDENTIFIER.fullmatch(match.group()):
                words[match.group().lower()] = None
    return f"hasAllTokens({_expression()}, {bind(' '.join(words), 'String')})" if words else ""


def holding(text: str, bind: Bind) -> str:
    """A test that a request has all words of `text`, each as a whole word, which the index answers; may be empty."""
    words = list(dict.fromkeys(_WORD.findall(text.lower())))[:MOST_WORDS]
    return f"hasAllTokens({_expression()}, {bind(' '.join(words), 'String')})" if words else ""


def _expression() -> str:
    arrays = {name for name in INDEXED if API_REQUESTS.by_name[name].kind == "array"}
    names = (f"arrayStringConcat({name}, ' ')" if name in arrays else name for name in INDEXED)
    return f"lower(concatWithSeparator(' ', {', '.join(names)}))"


def _any(columns: Sequence[Column], text: str, needle: Callable[[], str]) -> str:
    position = "positionCaseInsensitive" if text.isascii() else "positionCaseInsensitiveUTF8"
    columns = [column for column in columns if column.kind not in _FORMS or _FORMS[column.kind].fullmatch(text)]
    tests = []
    for column in columns:
        name = column.name
        match column.kind:
            case "number":
                tests.append(f"toString({name}) = {needle()}")
            case "uuid":
                tests.append(f"{position}(toString({name}), {needle()}) > 0")
            case "address":
                plain = f"if({name} = toIPv6('::'), '', replaceOne(toString({name}), '::ffff:', ''))"
                tests.append(f"{position}({plain}, {needle()}) > 0")
            case "array":
                tests.append(f"arrayExists(item -> {position}(item, {needle()}) > 0, {name})")
            case _ if column.choices:
                tests.append(f"{position}(toString({name}), {needle()}) > 0")
            case _:
                tests.append(f"{position}({name}, {needle()}) > 0")
    return " OR ".join(tests)
