"""IP and MAC addresses, parts of them, and words with letters outside ASCII: single words of two indexes.

Addresses that stand alone are in `address_words`, where one that is asked for with all of its groups is looked up as
it is; all else is in `mixed_words`. A part of a word takes a pass over all different words of an index.
"""

# ruff: noqa: S608 (values are always parameters)
from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dashboard.conditions import Bind

#: So many addresses are looked up, which takes some 2 ms for each part of the table.
MOST_ADDRESSES = 2000
_DIGITS, _LETTERED = "[0-9a-f]+", "[0-9a-f]*[a-f][0-9a-f]*"
#: IP and MAC addresses, parts of them, and what else has three numbers with dots, groups of digits with `:`, four or
#: three with a letter, or six with `:` or `-`. Dates, times and UUIDs are not among them: there are too many.
_ADDRESS = (
    f"(?:[0-9]+(?:[.][0-9]+){{2}}|{_DIGITS}(?::{_DIGITS}){{3}}|{_LETTERED}(?::{_DIGITS}){{2}}|"
    f"{_DIGITS}:{_LETTERED}:{_DIGITS}|{_DIGITS}:{_DIGITS}:{_LETTERED}|{_DIGITS}(?:[:-]{_DIGITS}){{5}})"
)
_ADDRESSES = re.compile(rf"[.:-]?{_ADDRESS}[0-9a-f]*(?:[.:-][0-9a-f]+)*[.:-]?", re.IGNORECASE | re.ASCII)
_ACCENTED = "àáâãäçèéêëíîïñòóôõöùúûüÀÁÂÃÄÇÈÉÊËÍÎÏÑÒÓÔÕÖÙÚÛÜ"
ACCENTED_WORD = re.compile(rf"(?=[0-9A-Za-z]*[{_ACCENTED}])[0-9A-Za-z{_ACCENTED}]{{3,}}")
#: What the indexes have capital letters for; all other letters there are small.
_MARKS, _CAPITALS = f".:-{_ACCENTED}", "XYZ" + 2 * "ABCDEFGHIJKLMNOPQRSTUVW"
#: A word: an address, or one with letters outside ASCII, and on as far as either could go, so that each part that is
#: asked for is within it.
_WORD = f"(?:[.:-]?{_ADDRESS}|[0-9a-z]*[[:^ascii:]])(?:[0-9a-z]|[[:^ascii:]]|[.:-][0-9a-f])*[.:-]?"


class _Kind(NamedTuple):
    """A kind of address that stands alone: its mark, as a capital, how many groups it has, and of how many digits."""

    mark: str
    groups: int
    digit: str
    least: int
    most: int

    def pattern(self) -> str:
        many = f"{self.least}" if self.least == self.most else f"{self.least},{self.most}"
        group = f"{self.digit}{{{many}}}"
        return f"{group}(?:{self.mark}{group}){{{self.groups - 1}}}"


_KINDS = (_Kind("X", 4, "[0-9]", 1, 3), _Kind("Y", 6, "[0-9a-f]", 2, 2), _Kind("Z", 6, "[0-9a-f]", 2, 2))
_ALONE = f"(?:{'|'.join(kind.pattern() for kind in _KINDS)})"


def find(text: str) -> tuple[list[str], str]:
    """The joined words of a text, or parts of such words, and what is left of it."""
    addresses, rest = _ADDRESSES.findall(text), _ADDRESSES.sub(" ", text)
    return [*addresses, *ACCENTED_WORD.findall(rest)], ACCENTED_WORD.sub(" ", rest)


def within(part: str, texts: str, bind: Bind) -> str:
    """A test that something is in a joined word of `texts`, in SQL, or in the caller's address."""
    word = part.lower().translate(str.maketrans(_MARKS, _CAPITALS))
    like = bind(f"%{word}%", "String")
    tests = [f"{mixed_words(texts)} LIKE {like}"]
    kind = next((kind for kind in _KINDS if kind.mark in word), None)
    if kind and re.fullmatch(f"(?:{kind.digit}|{kind.mark})+", word):
        found = _around(kind, word)
        if found is None:
            tests.append(f"{address_words(texts)} LIKE {like}")
        elif all(found):
            heads, middle, tails = (bind(text, "String") for text in found)
            # ClickHouse puts the addresses together: in a URL they would be too long for some servers.
            groups = (
                f"(SELECT arrayJoin(splitByChar(' ', {heads})) AS head, arrayJoin(splitByChar(' ', {tails})) AS tail)"
            )
            addresses = f"(SELECT groupArray(concat(head, {middle}, tail)) FROM {groups})"
            tests.append(f"hasAnyTokens({address_words(texts)}, {addresses})")
    return f"({' OR '.join(tests)})"


def address_words(texts: str) -> str:
    """What `address_words` indexes, to the letter."""
    return f"arrayStringConcat(extractAll({_words(texts)}, ' {_ALONE} '))"


def mixed_words(texts: str) -> str:
    """What `mixed_words` indexes, to the letter."""
    return f"replaceRegexpAll({_words(texts)}, ' {_ALONE} ', '')"


def _words(texts: str) -> str:
    """The words, each between blanks of its own; the caller's address is among them."""
    words = f"arrayStringConcat(extractAll({texts}, '{_WORD}'), '  ')"
    caller = "replaceOne(if(toString(remote_addr) = '::', '', toString(remote_addr)), '::ffff:', '')"
    return f"translateUTF8(concat(' ', {words}, '  ', {caller}, ' '), '{_MARKS}', '{_CAPITALS}')"


def _around(kind: _Kind, part: str) -> tuple[str, str, str] | None:
    """How addresses of a kind that hold a part with all groups begin, go on, and end; None if they are too many.

    Each beginning and each end is a word. All are empty if no address holds the part.
    """
    first, *inner, last = part.split(kind.mark)
    if len(inner) + 2 > kind.groups or not all(kind.least <= len(group) <= kind.most for group in inner):
        return "", "", ""
    if len(inner) + 2 < kind.groups:
        return None
    digits = re.findall(kind.digit, "0123456789abcdef")
    before, behind = (
        ["".join(more) for length in _missing(kind, end) for more in product(digits, repeat=length)]
        for end in (first, last)
    )
    if len(before) * len(behind) > MOST_ADDRESSES:
        return None
    heads, tails = " ".join(more + first for more in before), " ".join(last + more for more in behind)
    return heads, kind.mark.join(("", *inner, "")), tails


def _missing(kind: _Kind, group: str) -> range:
    """How many digits a group at an end may lack."""
    return range(max(kind.least - len(group), 0), kind.most - len(group) + 1)
