"""Masks secrets inside text: one tolerant scan that knows how names and values are written.

Nothing is parsed and written again: only the values of secret names are replaced, so that what was JSON, a printed
dict, a query string or XML still is, and a text that was cut in the middle is masked up to its end.
"""

from __future__ import annotations

import html
import re
from typing import NamedTuple
from urllib.parse import quote_plus, unquote_plus

from schemas.masking.lexing import CLOSER, OPENING, Lexer, Quoted
from schemas.masking.names import MAX_NAME, NAME_KEYS, NAME_LIKE, VALUE_KEYS, is_secret, might_hold_secret
from schemas.masking.shapes import mask_shapes

#: Levels of text in text (JSON in a form in a printed dict …) that are looked into; what lies deeper and might hold a
#: secret is replaced as a whole.
MAX_NESTING = 12

# What can stand between a name and its value.
_SEPARATOR = r"(?:[!:=]?={1,2}>?|:(?!//))"
_TOKEN = re.compile(
    rf"(?P<quote>{OPENING})"
    # `\n` before a word may be an escape that nobody decoded.
    r"|(?:\\+(?P<escape>[nrtbfv]))?(?P<word>[\w\u0300-\u036f.%$@+*\-]++)"
    rf"(?P<separator>(?:\[[\w.%\-]{{0,64}}\]){{0,4}}(?:\\*[\"'\]]|&(?:quot|\#34);)?[ \t]{{0,40}}{_SEPARATOR})?"
    r"|(?P<open>[\[({])|(?P<close>[\])}])|(?P<tag><[A-Za-z_])"
)
_SEPARATOR_AFTER_STRING = re.compile(rf"\s{{0,1000}}\]?[ \t]{{0,40}}{_SEPARATOR}")
_SPACE = re.compile(r"\s*")
_BLANK = re.compile(r"[ \t]*")
_NOTHING = re.compile(r"(?:null|None|nil|undefined|\[\s*\]|\{\s*\}|\(\s*\))(?![\w'\"*])")
_LITERAL = re.compile(r"(?:[tT]rue|[fF]alse|-?\d[\d.eE+\-]*)(?=\s*[,\])])")
_PLAIN = re.compile(r"[\w.\-]{1,200}")
_NEXT_NAME = re.compile(r"\s*(?:\\*[\"']|&(?:quot|\#34|apos|\#39);|[\w.\-]{1,200}\s{0,20}[:=]|[\])}]|\Z)")
_BARE = re.compile(rf"(?P<quote>{OPENING})|(?P<open>[\[({{])|(?P<close>[\])}}])|\r?\n|\r|[,&; \t]|</[A-Za-z]")
_BLOCK = re.compile(r"[|>][+-]?\d?[ \t]*\r?\n((?:[ \t]+[^\n]*(?:\n|\Z)|\r?\n)*)")
_EXCEPTION = re.compile(r"[\w.]*(?:Error|Exception|Warning|DoesNotExist)")
_ARGUMENT = re.compile(r"[ \t]+(?=[^\s\-])")
_NOT_BLANK = re.compile(r"\S+")

_FORM_NAME = r"[\w.\-\[\]%+$@:~*]{1,200}"
_FORM = re.compile(rf"\??{_FORM_NAME}=[^&\n]*+(?:&[^&=\n]*+(?:=[^&\n]*+)?)*+")
_PART = re.compile(r"form-data;[^\r\n]{0,500}?\bname=(?:\"([^\"\r\n]*)\"|([^\s;]+))[^\r\n]*(?:\r?\n[^\r\n]+){0,8}\r?\n\r?\n")
_BOUNDARY = re.compile(r"^--([^\r\n]{1,100}?)(?:--)?\r?$", re.MULTILINE)

_TAG = re.compile(
    r"<([A-Za-z_][\w:.\-]*+)((?:\s++[\w:.\-]++(?:\s*+=\s*+(?:\"[^\"<]*+\"|'[^'<]*+'|[^\s\"'<>]++))?+)*+)\s*+(/?)>"
)
_ATTRIBUTE = re.compile(r"([\w:.\-]++)\s*+=\s*+(?:\"([^\"<]*+)\"|'([^'<]*+)'|([^\s\"'<>]++))")
_SIBLING = re.compile(r"([^<>]{1,200})</([\w:.\-]+)\s*>\s*(?=<([A-Za-z_][\w:.\-]*))")
#: Elements whose text names what the next element holds, besides NAME_KEYS: tables, forms.
_NAMING_TAGS = NAME_KEYS | {"td", "th", "dt"}
_TYPED_TAGS = VALUE_KEYS | {"string", "integer", "real", "true", "false", "array", "dict", "data", "date"}


class Edit(NamedTuple):
    start: int
    end: int
    text: str


class _Record:
    """One name/value pair while it is read: its fields come in any order."""

    __slots__ = ("provisional", "told", "valued", "values")

    def __init__(self) -> None:
        self.told: dict[str, str] = {}  # name field -> the name in it, if that is a secret's
        self.values: list[Edit] = []  # values that stood before the name
        self.valued = False
        self.provisional: list[tuple[str, Edit]] = []  # `key` is a name beside a `value`, else a secret itself

    @property
    def secret(self) -> str:
        return next(filter(None, self.told.values()), "")


class _Frame:
    """One bracket that is open."""

    __slots__ = ("closer", "pending", "record", "start")

    def __init__(self, closer: str, start: int) -> None:
        self.closer = closer
        self.start = start
        self.pending = -1
        self.record: _Record | None = None


class TextMasker:
    """Masks texts and gathers the names of what it masked in `names`."""

    def __init__(self, extra: frozenset[str], substitute: str) -> None:
        self.extra = extra
        self.substitute = substitute
        self.names: set[str] = set()

    def is_secret(self, name: str) -> bool:
        return is_secret(name) or (bool(self.extra) and name.lower() in self.extra)

    def is_name(self, text: str) -> bool:
        """Whether `text`, found where a pair has its name, is one, rather than a secret or what holds one."""
        if NAME_LIKE.fullmatch(text) is None:
            return False
        return text.isidentifier() or TextMasker(self.extra, self.substitute).mask(text) == text

    def secret_name(self, text: str) -> str:
        """`text` if it is the name of a secret, else the empty string."""
        return text if self.is_secret(text) and self.is_name(text) else ""

    def mask_name(self, name: str) -> str:
        """A name without secrets in it: a body parsed as what it is not ends up there (`{'{"pin": 1}': ''}`)."""
        return name if len(name) <= 40 and name.isidentifier() else self.mask(name)

    def report(self, name: str) -> None:
        self.names.add(name[:MAX_NAME])

    def might(self, text: str) -> bool:
        if might_hold_secret(text):
            return True
        if not self.extra:
            return False
        lowered = text.lower()
        return any(name in lowered for name in self.extra)

    def mask(self, text: str, nesting: int = 0) -> str:
        """`text` with its secrets replaced."""
        if not self.might(text):
            return text
        if nesting > MAX_NESTING:
            return self.substitute
        text = mask_shapes(text, self.substitute, self.is_secret, self.report)
        if _FORM.fullmatch(text) and ("&" in text or not any(c.isspace() for c in text)):
            return self._form(text, nesting)
        if "form-data" in text:
            return self._multipart(text, nesting)
        return _Scan(self, text, nesting).run()

    def _form(self, text: str, nesting: int) -> str:
        """A whole query string or form body: values end at `&` alone, whatever is in them."""
        pairs = [piece.partition("=") for piece in text.split("&")]
        names = [unquote_plus(name.lstrip("?")) for name, _, _ in pairs]
        named = [
            unquote_plus(value)
            for name, (_, _, value) in zip(names, pairs, strict=True)
            if name.lower() in NAME_KEYS and self.secret_name(unquote_plus(value))
        ]
        paired = any(name.lower() in VALUE_KEYS for name in names)
        masked = []
        for name, (raw, equals, value) in zip(names, pairs, strict=True):
            lowered = name.lower()
            if value and named and lowered in VALUE_KEYS:
                for secret in named:
                    self.report(secret)
                value = quote_plus(self.substitute, safe="*")
            elif value and self.is_secret(name) and not (paired and lowered in NAME_KEYS):
                self.report(name)
                value = quote_plus(self.substitute, safe="*")
            elif value:
                value = self.percent(value, nesting)
            elif not equals:
                raw = self.percent(raw, nesting)
            masked.append(raw + equals + value)
        return "&".join(masked)

    def percent(self, raw: str, nesting: int) -> str:
        """Text in percent encoding, masked inside and encoded again if that changed it."""
        plain = unquote_plus(raw)
        masked = self.mask(plain, nesting + 1)
        if masked == plain:
            return raw
        return masked if plain == raw else quote_plus(masked, safe="*", errors="surrogatepass")

    def _multipart(self, text: str, nesting: int) -> str:
        """multipart/form-data: the value stands in lines of its own, up to the boundary."""
        boundary = _BOUNDARY.search(text)
        end_mark = re.compile(r"\r?\n--" + (re.escape(boundary[1]) if boundary else ""))
        pieces, position = [], 0
        while part := _PART.search(text, position):
            pieces.append(_Scan(self, text[position : part.end()], nesting).run())
            end = end_mark.search(text, part.end() - 2)
            value = text[part.end() : end.start() if end else len(text)]
            position = part.end() + len(value)
            name = part[1] or part[2] or ""
            if value and self.is_secret(name):
                self.report(name)
                value = self.substitute
            pieces.append(self.mask(value, nesting + 1))
        pieces.append(_Scan(self, text[position:], nesting).run())
        return "".join(pieces)


class _Scan:
    """One pass over one text."""

    def __init__(self, masker: TextMasker, text: str, nesting: int) -> None:
        self.masker = masker
        self.text = text
        self.nesting = nesting
        self.lexer = Lexer(text)
        self.edits: list[Edit] = []
        self.frames = [_Frame("", -1)]
        self.unclosed_tags: set[str] = set()

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
                position = self._tag(match)
            else:
                position = self._word(match)
        for frame in self.frames:
            self._settle(frame)
        return self._edited()

    def _edited(self) -> str:
        if not self.edits:
            return self.text
        pieces, done = [], 0
        for start, end, replacement in sorted(self.edits, key=lambda edit: (edit.start, -edit.end)):
            if start >= done:
                pieces += (self.text[done:start], replacement)
                done = end
        pieces.append(self.text[done:])
        return "".join(pieces)

    def _close(self, match: re.Match[str]) -> None:
        frame = self.frames[-1]
        if len(self.frames) > 1 and match[0] == frame.closer:
            self._settle(self.frames.pop())
            outer = self.frames[-1]
            if outer.pending == frame.start and outer.record:
                outer.record.values.append(Edit(frame.start, match.end(), f'"{self.masker.substitute}"'))

    def _settle(self, frame: _Frame) -> None:
        """A record ends: a `key` without a `value` was a secret."""
        if frame.record and not frame.record.valued:
            for name, edit in frame.record.provisional:
                self.masker.report(name)
                self.edits.append(edit)
        frame.record = None

    # Tokens

    def _string(self, match: re.Match[str]) -> int:
        quoted = self.lexer.quoted(match)
        if quoted is None:
            return match.end()
        raw = self.text[quoted.start : quoted.end]
        if not quoted.closed and "\n" in raw:
            return match.end()  # prose: no printed string holds a line break
        if quoted.closed:
            separator = _SEPARATOR_AFTER_STRING.match(self.text, quoted.after)
            if separator:
                plain = quoted.decode(raw)
                name = self.masker.mask_name(plain)
                if name != plain:
                    self.edits.append(Edit(quoted.start, quoted.end, quoted.encode(name)))
                return self._named(name, separator.end(), quoted.quote)
            if len(raw) <= MAX_NAME and (name := self.masker.secret_name(quoted.decode(raw))):
                position = self._pair(match.start(), quoted, name)
                if position >= 0:
                    return position
        self._inside(quoted, raw)
        return quoted.after

    def _inside(self, quoted: Quoted, raw: str) -> None:
        plain = quoted.decode(raw)
        masked = self.masker.mask(plain, self.nesting + 1)
        if masked != plain:
            self.edits.append(Edit(quoted.start, quoted.end, quoted.encode(masked)))

    def _pair(self, start: int, quoted: Quoted, name: str) -> int:
        """`("password", "x")`, `[["password", "x"]]`, `["--password", "x"]`: where to go on, -1 if it is none.

        A list directly under a name (`"fields": ["Password", "Email"]`) is a list of names and no pair."""
        comma = _SPACE.match(self.text, quoted.after)
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
            if self.text[opener] == "[" and before >= 0 and self.text[before] not in "([,":
                return -1
        edits: list[Edit] = []
        for _ in range(1 if option else 2):
            edit, position = self._value(position + 1, quoted.quote, ",")
            if edit:
                edits.append(edit)
            space = _SPACE.match(self.text, position)
            assert space
            position = space.end()
            if self.text[position : position + 1] != ",":
                break
        if not option and self.text[position : position + 1] not in ("", ")", "]"):
            return -1
        if edits:
            self.masker.report(name)
            self.edits += edits
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
        word = match["word"]
        if match["separator"] is None:
            if word.startswith("--") and self.masker.is_secret(word):
                argument = _ARGUMENT.match(self.text, match.end())
                if argument:  # --password x
                    return self._mask_value(word.lstrip("-"), argument.end(), "", "")
            if "%" in word:
                masked = self.masker.percent(word, self.nesting)
                if masked != word:
                    self.edits.append(Edit(match.start("word"), match.end("word"), masked))
            return match.end()
        separator = match["separator"].rstrip()
        name = word + separator[: separator.rfind("]") + 1] if separator[0] == "[" else word
        name = unquote_plus(name).lstrip("-*")
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
            told = self._peek(position, quote)
            if not self.masker.is_name(told):
                return self._mask_value(name, position, quote, separator) if secret else position
            if frame.record is None or lowered in frame.record.told:
                self._settle(frame)
                frame.record = _Record()
            record = frame.record
            record.told[lowered] = self.masker.secret_name(told)
            if secret and (edit := self._value(position, quote, separator)[0]):
                record.provisional.append((name, edit))
            if record.told[lowered] and record.values:
                self.masker.report(told)
                self.edits += record.values
                record.values = []
            return position
        if secret:
            return self._mask_value(name, position, quote, separator)
        if lowered in VALUE_KEYS:
            record = frame.record = frame.record or _Record()
            record.valued = True
            if record.secret:
                return self._mask_value(record.secret, position, quote, separator)
            start = self._skip_space(position, quote)
            if self.text[start : start + 1] in ("[", "{", "("):
                frame.pending = start
            elif edit := self._value(position, quote, separator)[0]:
                record.values.append(edit)
        return position

    def _peek(self, position: int, quote: str) -> str:
        """The short text that stands here as a value, decoded."""
        start = self._skip_space(position, quote)
        if opening := self.lexer.opening(start):
            quoted = self.lexer.quoted(opening)
            if quoted and quoted.end - quoted.start <= MAX_NAME:
                return quoted.decode(self.text[quoted.start : quoted.end])
            return ""
        plain = None if quote else _PLAIN.match(self.text, start)
        return plain[0] if plain else ""

    def _skip_space(self, position: int, quote: str) -> int:
        match = (_SPACE if quote else _BLANK).match(self.text, position)
        assert match
        return match.end()

    def _mask_value(self, name: str, position: int, quote: str, separator: str) -> int:
        edit, position = self._value(position, quote, separator)
        if edit:
            self.masker.report(name)
            self.edits.append(edit)
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
            while quote and (following := self.lexer.opening(self._skip_space(after, quote))):
                more = self.lexer.quoted(following)  # 'a long text ' 'in two literals'
                if not more:
                    break
                end, after = more.end, more.after
            if not quote and quoted.closed and self._goes_on(after, separator):
                end = after = self._bare_end(after, quote, separator, start)
                return Edit(start, end, substitute), after
            if quoted.start == end:
                return None, after
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
        return (Edit(start, end, f"{quote}{substitute}{quote}") if end > start else None), end

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
            token, position = match[0], match.end()
            if match["quote"]:
                quoted = self.lexer.quoted(match)
                if quoted and quoted.closed and (quote or "\n" not in text[quoted.start : quoted.end]):
                    position = quoted.after
            elif match["open"]:
                stack.append(CLOSER[token])
            elif match["close"]:
                if stack and token == stack[-1]:
                    stack.pop()
                elif not stack and token == self.frames[-1].closer:
                    return match.start()
            elif token[-1] in "\r\n":
                if not quote:
                    return match.start()
            elif stack and not tight:
                continue
            elif (
                (token == "," and _NEXT_NAME.match(text, position))
                or (token == "&" and tight)
                or (token == ";" and not quote and separator != ":")
                or (token in " \t" and tight)
                or (token[0] == "<" and not quote)
            ):
                return match.start()
        return len(text)

    # XML

    def _tag(self, opening: re.Match[str]) -> int:
        match = _TAG.match(self.text, opening.start())
        if match is None:
            return opening.start() + 1
        element = match[1].rpartition(":")[2]
        told, holds_value = self._attributes(match)
        if match[3]:
            return match.end()
        sibling = _SIBLING.match(self.text, match.end())
        if sibling and sibling[2] == match[1] and element.lower() in _NAMING_TAGS:
            name = html.unescape(sibling[1]).strip()
            if self.masker.secret_name(name):
                following = _TAG.match(self.text, sibling.end())
                if following and not following[3]:
                    return self._mask_element(name, following[1], following.end())
            elif sibling[3].lower() in _TYPED_TAGS:
                return match.end()
        if self.masker.is_secret(element):
            return self._mask_element(element, match[1], match.end())
        if told and not holds_value:
            return self._mask_element(told, match[1], match.end())
        return match.end()

    def _attributes(self, tag: re.Match[str]) -> tuple[str, bool]:
        """Masks attributes. Returns the secret name that one of them tells, and whether another holds its value."""
        found = []
        for match in _ATTRIBUTE.finditer(self.text, tag.start(2), tag.end(2)):
            group = match.lastindex or 4
            found.append((match[1].rpartition(":")[2], match.start(group), match.end(group)))
        texts = [html.unescape(self.text[start:end]) for _, start, end in found]
        pairs = list(zip(found, texts, strict=True))
        told = next(
            (text for (name, _, _), text in pairs if name.lower() in NAME_KEYS and self.masker.secret_name(text)), ""
        )
        holds_value = any(name.lower() in VALUE_KEYS for name, _, _ in found)
        for (name, start, end), text in pairs:
            lowered = name.lower()
            if not text or (lowered in NAME_KEYS and (told or holds_value)):
                continue
            if self.masker.is_secret(name) or (told and lowered in VALUE_KEYS):
                self.masker.report(name if self.masker.is_secret(name) else told)
                self.edits.append(Edit(start, end, html.escape(self.masker.substitute)))
            else:
                masked = self.masker.mask(text, self.nesting + 1)
                if masked != text:
                    self.edits.append(Edit(start, end, html.escape(masked)))
        return told, holds_value

    def _mask_element(self, name: str, tag: str, position: int) -> int:
        end = self._element_end(tag, position)
        if self.text[position:end].strip():
            self.masker.report(name)
            self.edits.append(Edit(position, end, html.escape(self.masker.substitute)))
        return end

    def _element_end(self, tag: str, position: int) -> int:
        """Where the content of an element ends that begins at `position`; cut XML ends with the text."""
        if tag not in self.unclosed_tags:
            depth, mark = 1, re.compile(rf"<(/?){re.escape(tag)}(?=[\s/>])")
            for match in mark.finditer(self.text, position):
                depth += -1 if match[1] else 1
                if depth == 0:
                    return match.start()
            self.unclosed_tags.add(tag)
        if self.text.lstrip()[:1] == "<" or len(self.unclosed_tags) > 20:
            return len(self.text)
        line = self.text.find("\n", position)
        return len(self.text) if line < 0 else line
