"""Regular expressions (RE2) that find a key and its value in JSON text, at any depth.

A quoted text before a colon can be nothing but a key: within a string its quotes would be escaped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import product

#: What a value is asked for with: a plain text, or None for any text.
Pieces = Sequence[str | None]

#: A number, perhaps as a string; its digits are the first group.
NUMBER = r'"?(-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)"?'
END = r"\s*(?:[,}\]]|$)"

_SHORT = {'"': r"\"", "\\": r"\\", "/": r"\/", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t"}
_ONE_WAY = "A-Za-z0-9 _.:,@-"
_PLAIN, _NOT_PLAIN = re.compile(f"[{_ONE_WAY}]"), re.compile(f"[^{_ONE_WAY}]+")
_BARE = re.compile(r"[-+0-9.A-Za-z]*")
_ANY = r'(?:[^"\\]|\\.)*'


def key(name: str) -> str:
    """The key with its colon."""
    return f'"{_string(name)}"\\s*:\\s*'


def value(pieces: Pieces) -> str:
    """A string, number, true, false or null that reads as `pieces`; without any, the empty string or null."""
    if not any(piece is None or piece for piece in pieces):
        return '(?:""|null)'
    found = [f'"{"".join(_ANY if piece is None else _string(piece) for piece in pieces)}"']
    # What stands in JSON without quotes.
    if all(piece is None or _BARE.fullmatch(piece) for piece in pieces):
        found.append("".join(r"[-+0-9.A-Za-z]*" if piece is None else re.escape(piece) for piece in pieces))
    return f"(?:{'|'.join(found)})"


def plain(pieces: Pieces) -> list[str]:
    """The texts before, between and behind what is unknown or can stand in JSON in several ways."""
    return _NOT_PLAIN.split("".join("\0" if piece is None else piece for piece in pieces))


def escaped(character: str) -> str:
    """A character as `\\u` and its number, in small letters, without the backslash."""
    return "".join(f"u{unit}" for unit in _units(character))


def is_bare(text: str) -> bool:
    """Whether a text may be a value without quotes."""
    return bool(_BARE.fullmatch(text))


def spellings(text: str, most: int) -> list[str]:
    """All ways to write a text within quotes; none if there are more than `most`."""
    ways = [_ways(character) for character in text]
    return ["".join(written) for written in product(*ways)] if math.prod(map(len, ways)) <= most else []


def _string(text: str) -> str:
    """A text within quotes, whichever of its characters were escaped."""
    return "".join(_character(character) for character in text)


def _character(character: str) -> str:
    ways = [re.escape(way) for way in _ways(character)]
    return ways[0] if len(ways) == 1 else f"(?:{'|'.join(ways)})"


def _ways(character: str) -> list[str]:
    """How a character may be written."""
    if _PLAIN.fullmatch(character):
        return [character]
    units = product(*(sorted({digit, digit.upper()}) for digit in "".join(_units(character))))
    ways = [re.sub("....", r"\\u\g<0>", "".join(digits)) for digits in units]
    if character in _SHORT:
        ways.append(_SHORT[character])
    if character >= " " and character not in '"\\':
        ways.append(character)
    return ways


def _units(character: str) -> list[str]:
    """The numbers (four hexadecimal digits) that it is in JSON's escapes."""
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return [units[at : at + 4] for at in range(0, len(units), 4)]
