"""Reads from the text of a statement what the HTTP interface must know; chDB alone understands the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

TOKEN = re.compile(
    rb"""
      (?P<space> \s+ | --[^\n]* | \#[ !][^\n]* | /\*.*?(?:\*/|\Z) )
    | (?P<quoted> '(?:[^'\\]|\\.|'')*(?:'|\Z) | "(?:[^"\\]|\\.)*(?:"|\Z) | `(?:[^`\\]|\\.)*(?:`|\Z)
                  | \$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z) )
    | (?P<word> [A-Za-z_]\w* )
    | (?P<number> \d\w* )
    | (?P<open> [(\[{] )
    | (?P<close> [)\]}] )
    | (?P<end> ; )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)

READS = frozenset(
    {b"SELECT", b"WITH", b"FROM", b"SHOW", b"DESCRIBE", b"DESC", b"EXISTS", b"EXPLAIN", b"USE", b"SET", b"CHECK", b""}
)


@dataclass(frozen=True, slots=True)
class Word:
    """A keyword, a name (upper case) or something quoted outside any parentheses, and where it stands."""

    text: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.

    Attributes:
        sql: the text, without the data of an INSERT and without a closing semicolon.
        words: its words outside parentheses.
        format: the name in its FORMAT clause, `Values` for VALUES, else empty.
        format_at: where that clause begins in `sql`.
        data_at: where in the text that was read the data of an INSERT begins; -1 if it has none.
        more: whether something follows the semicolon.
        input_at: where the name of the table function `input` stands; -1 if it is not used.
    """

    sql: bytes
    words: tuple[Word, ...]
    format: str
    format_at: int
    data_at: int
    more: bool
    input_at: int

    @property
    def kind(self) -> bytes:
        """The word that says what it does: `SELECT`, `INSERT`, …"""
        first = self.words[0].text if self.words else b""
        if first == b"WITH" and self.has(b"INSERT", b"INTO"):
            return b"INSERT"
        return first

    @property
    def only_reads(self) -> bool:
        """Whether it changes nothing that outlives the request."""
        return self.kind in READS

    def has(self, *words: bytes) -> bool:
        """Whether `words` follow one another in it, outside parentheses."""
        texts = [word.text for word in self.words]
        return any(tuple(texts[at : at + len(words)]) == words for at in range(len(texts)))

    def without_format(self) -> bytes:
        """The statement up to its FORMAT clause."""
        return self.sql[: self.format_at] if self.format else self.sql


def parse(text: bytes, after: int = 0) -> Statement:
    """Find in `text`, the beginning of a request, its statement and where the data of an INSERT begins.

    Args:
        after: length of the part of `text` that came as a parameter; an INSERT without FORMAT and without SELECT
            has its data behind it.
    """
    words: list[Word] = []
    depth = 0
    opened: list[int] = []
    input_at = -1
    previous = b""
    for token in TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "space":
            continue
        if kind == "end" and depth == 0:
            more = any(rest.lastgroup not in ("space", "end") for rest in TOKEN.finditer(text, token.end()))
            return _statement(text[: token.start()], words, -1, more, input_at)
        if kind == "open":
            depth += 1
            opened.append(token.start())
        elif kind == "close":
            depth -= 1
        elif kind == "quoted" and depth == 0:
            words.append(Word(token[0], token.start(), token.end()))
        elif kind == "word":
            word = Word(token[0].upper(), token.start(), token.end())
            if word.text == b"INPUT" and text[word.end :].lstrip()[:1] == b"(":
                input_at = word.start
            # `(SELECT …)` begins like SELECT.
            if depth == 0 or (not words and not text[: token.start()].strip(b"( \t\r\n")):
                words.append(word)
                insert = words[0].text == b"INSERT" or (words[0].text == b"WITH" and _has_insert(words))
                if insert and previous == b"FORMAT" and words[-3].text not in (b"INTO", b"TABLE"):
                    return _statement(text[: word.end], words, _data(text, word.end), False, input_at)
                if insert and word.text == b"VALUES" and len(words) > 2 and previous not in (b"INTO", b"TABLE"):
                    return _statement(text[: word.end], words, word.end, False, input_at)
        previous = token[0].upper() if kind == "word" and depth == 0 else b""
    data_at = -1
    if words and words[0].text == b"INSERT" and not {b"SELECT", b"WITH"} & {word.text for word in words}:
        inner = (TOKEN.match(text, at + 1) for at in opened)
        if not any(match and match[0].upper() == b"SELECT" for match in inner):
            data_at = after
    return _statement(text[:after] if data_at > 0 else text, words, data_at, False, input_at)


def _has_insert(words: list[Word]) -> bool:
    return any(a.text == b"INSERT" and b.text == b"INTO" for a, b in pairwise(words))


def _data(text: bytes, at: int) -> int:
    """Data begins after the blanks behind the format's name, or on the next line."""
    match = re.compile(rb"[ \t]*(?:\r?\n)?").match(text, at)
    return match.end() if match else at


def _statement(sql: bytes, words: list[Word], data_at: int, more: bool, input_at: int) -> Statement:
    name, begins = "", len(sql)
    inserts_values = data_at >= 0 and words and words[-1].text == b"VALUES"
    if inserts_values:
        name, begins = "Values", words[-1].start
    else:
        for clause, value in pairwise(words):
            if clause.text != b"FORMAT":
                continue
            rest = TOKEN.sub(lambda token: b"" if token["space"] else token[0], sql[value.end :])
            if not rest or rest.upper().startswith(b"SETTINGS"):
                name, begins = sql[value.start : value.end].decode(), clause.start
    return Statement(sql, tuple(words), name, begins, data_at, more, input_at)
