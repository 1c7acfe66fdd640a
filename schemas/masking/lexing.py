"""Quoted strings and brackets as JSON, Python's `repr` and their escaped, nested and cut forms write them."""

from __future__ import annotations

import html
import re
from typing import NamedTuple

CLOSER = {"(": ")", "[": "]", "{": "}"}

# A Python prefix, backslashes (each level of JSON in JSON escapes the quote once more), the quote; or an HTML entity.
OPENING = r"(?:(?<!\w)[bBrRuUfF]{1,2}(?=[\"']))?(?:(?<!\\)\\*+[\"']|&(?:quot|apos|\#39|\#34|\#x27|\#x22);)"
_OPENING = re.compile(OPENING)
_QUOTE_RUN = {quote: re.compile(rf"(?<!\\)(\\*+){quote}") for quote in "\"'"}
_SIMPLE = {'"': re.compile(r'[^"\\]*+"'), "'": re.compile(r"[^'\\]*+'(?!\w)")}
_BRACKET_OR_QUOTE = re.compile(rf"(?P<open>[\[({{])|(?P<close>[\])}}])|(?P<quote>{OPENING})")
_ESCAPE = re.compile(
    r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|U(000[0-9a-fA-F]{5}|0010[0-9a-fA-F]{4})|(.))", re.DOTALL
)
_TO_ESCAPE = re.compile(r"[\x00-\x1f\\\"'\ud800-\udfff]")
_SURROGATE_PAIR = re.compile(r"[\ud800-\udbff][\udc00-\udfff]")
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "a": "\a", "0": "\0"}
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}
_MAX_LEVELS = 7


class Quoted(NamedTuple):
    """A quoted string: its content is `text[start:end]`, it goes on at `after`; `closed` is False where it was cut."""

    start: int
    end: int
    after: int
    quote: str
    levels: int
    closed: bool

    def decode(self, raw: str) -> str:
        """What the content says."""
        if self.quote[0] == "&":
            return html.unescape(raw)
        for _ in range(self.levels):
            if "\\" not in raw:
                break
            raw = _ESCAPE.sub(_unescaped, raw)
        if _SURROGATE_PAIR.search(raw):
            raw = raw.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        return raw

    def encode(self, text: str) -> str:
        """The content that says `text`."""
        return encode(text, self.quote)


def encode(text: str, quote: str) -> str:
    """`text` as it is written between quotes of this kind (`"`, `\\'`, `&quot;` …)."""
    if quote[0] == "&":
        return html.escape(text)
    for _ in range(_levels(quote)):
        text = _TO_ESCAPE.sub(lambda match: _escaped(match[0], quote[-1]), text)
    return text


def _levels(quote: str) -> int:
    """How many times a string in these quotes was escaped."""
    return quote.count("\\").bit_length() + 1


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    return chr(int(code, 16)) if code else _LETTERS.get(match[4], match[4])


def _escaped(character: str, quote: str) -> str:
    if character in "\"'":
        return "\\" + character if character == quote else character
    return _ESCAPES.get(character) or f"\\u{ord(character):04x}"


class Lexer:
    """Finds where strings and brackets of one text end. Positions asked for must only grow: what was found to be
    never closed is remembered, so that the work stays linear."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._never_closed: set[tuple[str, int]] = set()

    def opening(self, position: int) -> re.Match[str] | None:
        """The match of an opening quote exactly here."""
        return _OPENING.match(self.text, position)

    def quoted(self, opening: re.Match[str]) -> Quoted | None:
        """The string behind an opening quote; None where the quote opens none (an apostrophe, an inch)."""
        text, token, start = self.text, opening[0], opening.end()
        before = opening.start() - 1
        if before >= 0 and (text[before].isalnum() or text[before] == "_"):
            return None
        if token[0] == "&":
            end = -1 if (token, 0) in self._never_closed else text.find(token, start)
            if end < 0:
                self._never_closed.add((token, 0))
                return Quoted(start, len(text), len(text), token, 1, closed=False)
            return Quoted(start, end, end + len(token), token, 1, closed=True)
        quote, run = token[-1], token.count("\\")
        if not run and (simple := _SIMPLE[quote].match(text, start)):
            return Quoted(start, simple.end() - 1, simple.end(), quote, 1, closed=True)
        levels = _levels(token)
        if levels > _MAX_LEVELS:
            return None
        delimiter = token[-1 - run :]
        if (quote, run) not in self._never_closed:
            # At level L a quote is written with 2^L - 1 backslashes, and a backslash before it with 2^(L+1) more.
            for match in _QUOTE_RUN[quote].finditer(text, start):
                found = len(match[1])
                if found < run:  # the string around this one ends
                    return Quoted(start, match.start(), match.start(), delimiter, levels, closed=True)
                if found % (2 * run + 2) == run:
                    after = match.end()
                    if quote == "'" and text[after : after + 1].isalnum():
                        continue
                    return Quoted(start, after - 1 - run, after, delimiter, levels, closed=True)
            self._never_closed.add((quote, run))
        return Quoted(start, len(text), len(text), delimiter, levels, closed=False)

    def balanced(self, position: int) -> int:
        """Where the bracket that opens here is closed; the end of the text if never."""
        stack: list[str] = []
        while match := _BRACKET_OR_QUOTE.search(self.text, position):
            position = match.end()
            if match["open"]:
                stack.append(CLOSER[match[0]])
            elif match["close"]:
                if match[0] == stack[-1]:
                    stack.pop()
                    if not stack:
                        return position
            elif quoted := self.quoted(match):
                position = quoted.after
        return len(self.text)
