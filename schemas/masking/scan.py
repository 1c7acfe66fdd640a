"""One tolerant scan over a text that knows how names and values are written in JSON, printed Python, logs and XML.

Nothing is parsed and written again: only the values of secret names are replaced, so that what was JSON, a printed
dict, a query string or XML still is, and a text that was cut in the middle is masked up to its end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, unquote_plus

from schemas.masking.edits import Edit, Edits
from schemas.masking.elements import Elements
from schemas.masking.lexing import CLOSER, OPENING, Lexer, Quoted, encode
from schemas.masking.names import MAX_NAME, NAME_KEYS, VALUE_KEYS, is_plain_name

if TYPE_CHECKING:
    from schemas.masking.text import TextMasker

# What can stand between a name and its value.
_SEPARATOR = r"(?:[!:=]?={1,2}>?|:(?!//))"
_TOKEN = re.compile(
    rf"(?P<quote>{OPENING})"
    # `\n` before a word may be an escape that nobody decoded.
    r"|(?:(?<!\\)\\++(?P<escape>[nrtbfv]))?(?P<word>[\w\u0300-\u036f.%$@+*\-]++)"
    rf"(?P<separator>(?:\[[\w.%\-]{{0,64}}\]){{0,4}}(?:\\*[\"'\]]|&(?:quot|\#34);)?[ \t]{{0,40}}{_SEPARATOR})?"
    r"|(?P<open>[\[({])|(?P<close>[\])}])|(?P<tag><[A-Za-z_])"
)
_SEPARATOR_AFTER_STRING = re.compile(rf"\s{{0,1000}}\]?[ \t]{{0,40}}{_SEPARATOR}")
_SPACE = re.compile(r"\s*")
_BLANK = re.compile(r"[ \t]*")
_NOTHING = re.compile(r"(?:null|None|nil|undefined|\[\s*\]|\{\s*\}|\(\s*\))(?![\w'\"*])")
_LITERAL = re.compile(r"(?:[tT]rue|[fF]alse|-?\d[\d.eE+\-]*)(?=\s*[,\])])")
# A bare value that is a name, and the same where it could as well be the secret itself (`key: x`).
_PLAIN = re.compile(r"[\w.\-]{1,200}+(?=[ \t]*(?:[\r\n]|\Z|[\w\-]{1,40}=|[,;&]\s{0,20}[\w\-]{1,40}[:=]))")
_PLAIN_BESIDE_VALUE = re.compile(
    rf"[\w.\-]{{1,200}}+(?=[ \t]*(?:[\r\n]|\Z|[,;&]?\s{{0,20}}(?:{'|'.join(sorted(VALUE_KEYS))})\s{{0,9}}[:=]))",
    re.IGNORECASE,
)
_NEXT_NAME = re.compile(r"\s*(?:\\*[\"']|&(?:quot|\#34|apos|\#39);|[\w.\-]{1,200}\s{0,20}[:=]|[\])}]|\Z)")
_BARE = re.compile(rf"(?P<quote>{OPENING})|(?P<open>[\[({{])|(?P<close>[\])}}])|\r?\n|\r|[,&; \t]|</[A-Za-z]")
_BLOCK = re.compile(r"[|>][+-]?\d?[ \t]*\r?\n((?:[ \t]+[^\n]*(?:\n|\Z)|\r?\n)*)")
_EXCEPTION = re.compile(r"[\w.]*(?:Error|Exception|Warning|DoesNotExist)")
_ARGUMENT = re.compile(r"[ \t]+(?=[^\s\-])")


def encode_percent(text: str) -> str:
    """Text as a query string writes it; a substitute of asterisks stays one."""
    return quote_plus(text, safe="*", errors="surrogatepass")


class _Record:
    """One name/value pair while it is read: its fields come in any order."""

    __slots__ = ("containers", "provisional", "told", "valued", "values")

    def __init__(self) -> None:
        self.told: dict[str, str] = {}  # name field -> the name in it, if that is a secret's
        self.values: list[tuple[int, str, str]] = []  # values that stood before the name: where, quote, separator
        self.containers: list[Edit] = []  # and those in brackets
        self.valued = False
        self.provisional: list[tuple[str, Edit]] = []  # `key` is a name beside a `value`, else a secret itself

    @property
    def secret(self) -> str:
        return next(filter(None, self.told.values()), "")


class _Frame:
    """One bracket that is open."""

    __slots__ = ("closer", "pending", "quote", "record", "start")

    def __init__(self, closer: str, start: int) -> None:
        self.closer = closer
        self.start = start
        self.pending = -1  # where a value in brackets began that may turn out to be a secret's …
        self.quote = ""  # … and the quote around its name
        self.record: _Record | None = None


class Scan:
    """One pass over one text."""

    def __init__(self, masker: TextMasker, text: str, nesting: int) -> None:
        self.masker = masker
        self.text = text
        self.lexer = Lexer(text)
        self.edits = Edits(masker, text, nesting)
        self.frames = [_Frame("", -1)]
        self.elements = Elements(self.edits)
        self.last_line = text.rfind("\n")
        self.broken_until = 0

    def run(self) -> str:
        text, position = self.text, 0
        while match := _TOKEN.search(text, position):
            position = match.end()
            kind = match.lastgroup
            if kind == "open":
                self.frames.append(_Frame(CLOSER[match[0]], match.start()))
            elif kind == "close":
                self._close(match)
            elif kind == "quote":
                position = self._string(match)
            elif kind == "tag":
                position = self.elements.tag(match.start())
            else:
                position = self._word(match)
        for frame in self.frames:
            self._settle(frame)
        return self.edits.apply()

    def _close(self, match: re.Match[str]) -> None:
        frame = self.frames[-1]
        if len(self.frames) > 1 and match[0] == frame.closer:
            self._settle(self.frames.pop())
            outer = self.frames[-1]
            if outer.pending == frame.start and outer.record:
                outer.record.containers.append(Edit(frame.start, match.end(), self._substitute(outer.quote)))

    def _settle(self, frame: _Frame) -> None:
        """A record ends: a `key` without a `value` was a secret."""
        if frame.record and not frame.record.valued:
            for name, edit in frame.record.provisional:
                self.edits.add(edit, name)
        frame.record = None

    # Tokens

    def _string(self, match: re.Match[str]) -> int:
        if match[0] == "'" and match.end() < self.broken_until:
            return match.end()
        quoted = self.lexer.quoted(match)
        if quoted is None:
            return match.end()
        # Printed strings hold no line break: this is an apostrophe in prose. (Hand-written JSON may.)
        if not quoted.closed and self.last_line >= quoted.start:
            return match.end()
        raw = self.text[quoted.start : quoted.end]
        if quoted.quote == "'" and "\n" in raw:
            self.broken_until = quoted.start + raw.rindex("\n")
            return match.end()
        if quoted.closed:
            separator = _SEPARATOR_AFTER_STRING.match(self.text, quoted.after)
            if separator:
                name = quoted.decode(raw)
                if not is_plain_name(name):
                    name = self.edits.inside(quoted.start, quoted.end, name, quoted.encode)
                return self._named(name, separator.end(), quoted.quote)
        plain, after = self._whole(quoted)
        if quoted.closed and len(plain) <= MAX_NAME and (name := self.masker.secret_name(plain)):
            position = self._pair(match.start(), after, quoted.quote, name)
            if position >= 0:
                return position
        return self._inside(quoted, plain, after)

    def _whole(self, quoted: Quoted) -> tuple[str, int]:
        """What a string says with the literals that it goes on with, and where the last of them ends."""
        plain, after = quoted.decode(self.text[quoted.start : quoted.end]), quoted.after
        while more := self._literal_after(quoted, after):
            plain += more.decode(self.text[more.start : more.end])
            after = more.after
        return plain, after

    def _inside(self, quoted: Quoted, plain: str, after: int) -> int:
        """Masks what a string says, and the literals up to `after` with it."""
        if after == quoted.after:
            self.edits.inside(quoted.start, quoted.end, plain, quoted.encode)
        else:
            self.edits.inside(quoted.start, after, plain, lambda text: quoted.encode(text) + quoted.quote)
        return after

    def _literal_after(self, quoted: Quoted, position: int) -> Quoted | None:
        """The literal that goes on with a string, as `pprint` breaks a long one: 'a ' 'b'."""
        if not quoted.closed or quoted.quote not in ("'", '"'):
            return None
        opening = self.lexer.opening(self._skip_space(position, quoted.quote))
        more = self.lexer.quoted(opening) if opening else None
        if not more or not more.closed or more.quote not in ("'", '"'):
            return None
        return None if _SEPARATOR_AFTER_STRING.match(self.text, more.after) else more

    def _pair(self, start: int, after: int, quote: str, name: str) -> int:
        """`("password", "x")`, `[["password", "x"]]`, `["--password", "x"]`: where to go on, -1 if it is none.

        A list directly under a name (`"fields": ["Password", "Email"]`) is a list of names and no pair."""
        comma = _SPACE.match(self.text, after)
        assert comma
        position = comma.end()
        if self.text[position : position + 1] != ",":
            return -1
        option = name.startswith("-")
        if not option:
            opener = self._before(start)
            before = self._before(opener) if opener >= 0 and self.text[opener] in "([" else None
            if before is None:
                return -1
            listed = self.text[opener] == "(" or before < 0 or self.text[before] in "([,"
            if not listed and not self.text.startswith(self.masker.substitute, self._skip_space(position + 1, "'") + 1):
                return -1
        edits: list[Edit] = []
        for _ in range(1 if option else 2):
            edit, position = self._value(position + 1, quote, ",")
            if edit:
                edits.append(edit)
            space = _SPACE.match(self.text, position)
            assert space
            position = space.end()
            if self.text[position : position + 1] != ",":
                break
        if not option and self.text[position : position + 1] not in ("", ")", "]"):
            return -1
        for edit in edits:
            self.edits.add(edit, name)
        return position

    def _before(self, position: int) -> int:
        """Index of the character before `position` that is no blank; -1 at the start."""
        position -= 1
        for _ in range(1000):
            if position < 0 or not self.text[position].isspace():
                break
            position -= 1
        return position

    def _word(self, match: re.Match[str]) -> int:
        word, start, end = match["word"], match.start("word"), match.end("word")
        name = word
        if "%" in word and (plain := unquote_plus(word)) != word:
            name = self.edits.inside(start, end, plain, encode_percent)
        if match["separator"] is None:
            if word.startswith("--") and self.masker.is_secret(word):
                argument = _ARGUMENT.match(self.text, match.end())
                if argument:  # --password x
                    return self._mask_value(word.lstrip("-"), argument.end(), "", "")
            return match.end()
        separator = match["separator"].rstrip()
        if separator[0] == "[":
            name += unquote_plus(separator[: separator.rfind("]") + 1])
        name = name.lstrip("-*")
        if match["escape"] and not self.masker.is_secret(name) and self.masker.is_secret(match["escape"] + name):
            name = match["escape"] + name
        if separator[-1] == ":" and _EXCEPTION.fullmatch(name):
            return match.end()
        return self._named(name, match.end(), "", separator[-1])

    # Names and values

    def _named(self, name: str, position: int, quote: str, separator: str = ":") -> int:
        """Behind a name and its separator. Returns where to go on."""
        lowered, frame = name.lower(), self.frames[-1]
        secret = self.masker.is_secret(name)
        if lowered in NAME_KEYS:
            told, edit = self._peek(position, quote, _PLAIN_BESIDE_VALUE if secret else _PLAIN)
            if not self.masker.is_name(told):
                return self._mask_value(name, position, quote, separator) if secret else position
            if frame.record is None or lowered in frame.record.told:
                self._settle(frame)
                frame.record = _Record()
            record = frame.record
            record.told[lowered] = self.masker.secret_name(told)
            if secret and edit:
                record.provisional.append((name, edit))
            return self._mask_earlier(record, position) if record.told[lowered] else position
        if secret:
            return self._mask_value(name, position, quote, separator)
        if lowered in VALUE_KEYS:
            record = frame.record = frame.record or _Record()
            record.valued = True
            if record.secret:
                return self._mask_value(record.secret, position, quote, separator)
            start = self._skip_space(position, quote)
            if self.text[start : start + 1] in ("[", "{", "("):
                frame.pending = -1 if _NOTHING.match(self.text, start) else start
                frame.quote = quote
            else:
                record.values.append((position, quote, separator))
        return position

    def _mask_earlier(self, record: _Record, position: int) -> int:
        """Masks the values that stood before their name. Returns where to go on."""
        edits, done = record.containers, -1
        for start, quote, separator in record.values:
            if start >= done:
                edit, done = self._value(start, quote, separator)
                if edit:
                    edits.append(edit)
        for edit in edits:
            self.edits.add(edit, record.secret)
        record.values, record.containers = [], []
        return max(position, done)

    def _peek(self, position: int, quote: str, bare: re.Pattern[str]) -> tuple[str, Edit | None]:
        """The short text that stands here as a value, decoded, and the edit that would mask it."""
        start, substitute = self._skip_space(position, quote), self.masker.substitute
        if opening := self.lexer.opening(start):
            quoted = self.lexer.quoted(opening)
            if quoted and quoted.end - quoted.start <= MAX_NAME:
                plain, after = self._whole(quoted)
                masked = quoted.encode(substitute)
                if after == quoted.after:
                    return plain, Edit(quoted.start, quoted.end, masked)
                if quote and len(plain) <= MAX_NAME:
                    return plain, Edit(quoted.start, after, masked + quoted.quote)
        elif not quote and (word := bare.match(self.text, start)):
            return word[0], Edit(start, word.end(), substitute)
        return "", None

    def _skip_space(self, position: int, quote: str) -> int:
        match = (_SPACE if quote else _BLANK).match(self.text, position)
        assert match
        return match.end()

    def _mask_value(self, name: str, position: int, quote: str, separator: str) -> int:
        edit, position = self._value(position, quote, separator)
        if edit:
            self.edits.add(edit, name)
        return position

    def _value(self, position: int, quote: str, separator: str = ":") -> tuple[Edit | None, int]:
        """The edit that masks the value at `position` (None if it is empty or null), and where the value ends.

        Args:
            quote: the quote around the name, empty for a bare name: then a value ends with its line.
        """
        text, substitute = self.text, self.masker.substitute
        start = self._skip_space(position, quote)
        if nothing := _NOTHING.match(text, start):
            return None, nothing.end()
        opening = self.lexer.opening(start)
        quoted = self.lexer.quoted(opening) if opening else None
        if quoted:
            end, after = quoted.end, quoted.after
            while quote and (more := self._literal_after(quoted, after)):
                after = more.after
            if not quote and quoted.closed and self._goes_on(after, separator):
                end = after = self._bare_end(after, quote, separator, start)
                return Edit(start, end, substitute), after
            if quoted.start == end:
                return None, after
            if after > quoted.after:
                return Edit(quoted.start, after, quoted.encode(substitute) + quoted.quote), after
            return Edit(quoted.start, end, quoted.encode(substitute)), after
        if separator == "," and (literal := _LITERAL.match(text, start)):
            end = literal.end()
        elif text[start : start + 1] in ("[", "{", "("):
            end = self.lexer.balanced(start)
            if not quote:
                end = self._bare_end(end, quote, separator, start)
        elif not quote and (block := _BLOCK.match(text, start)):
            return (Edit(block.start(1), block.end(), f"  {substitute}\n") if block[1].strip() else None), block.end()
        else:
            end = self._bare_end(start, quote, separator, start)
        end = start + len(text[start:end].rstrip())
        return (Edit(start, end, self._substitute(quote)) if end > start else None), end

    def _substitute(self, quote: str) -> str:
        """The substitute as a string in the quotes that its name has; bare behind a bare name."""
        return quote + encode(self.masker.substitute, quote) + quote if quote else self.masker.substitute

    def _goes_on(self, position: int, separator: str) -> bool:
        """Whether a bare name's value goes on behind the string it began with (`'a'"b"`, `x: 'a' -> 'b'`)."""
        following = self.text[position : position + 1]
        if following in ("", ",", ";", "&", ")", "]", "}", "\r", "\n", ">", "/"):
            return False
        return separator == ":" and len(self.frames) == 1 if following in " \t" else True

    def _bare_end(self, position: int, quote: str, separator: str, start: int) -> int:
        """Where a value that is not quoted ends."""
        text, stack = self.text, []
        tight = not quote and separator != ":" and len(self.frames) == 1
        tight = tight and (not separator or text[start - 1] not in " \t")
        while match := _BARE.search(text, position):
            char, position = match[0], match.end()
            if match["quote"]:
                quoted = self.lexer.quoted(match)
                if quoted and quoted.closed and (quote or "\n" not in text[quoted.start : quoted.end]):
                    position = quoted.after
            elif match["open"]:
                stack.append(CLOSER[char])
            elif match["close"]:
                if stack and char == stack[-1]:
                    stack.pop()
                elif not stack and char == self.frames[-1].closer:
                    return match.start()
            elif char[-1] in "\r\n":
                if not quote:
                    return match.start()
            elif stack and not tight:
                continue
            elif (
                (char == "," and (quote or len(self.frames) > 1) and _NEXT_NAME.match(text, position))
                or (char == "&" and tight)
                or (char == ";" and not quote and separator != ":")
                or (char in " \t" and tight)
                or (char[0] == "<" and not quote)
            ):
                return match.start()
        return len(text)
