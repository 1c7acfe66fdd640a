"""Masks secrets inside text, whatever wrote it: whole form bodies here, all else by `scan`."""

from __future__ import annotations

import html
import re
from urllib.parse import unquote_plus

from schemas.masking.elements import ENTITY
from schemas.masking.names import (
    MAX_NAME,
    NAME_KEYS,
    NAME_LIKE,
    VALUE_KEYS,
    is_plain_name,
    is_secret,
    might_hold_secret,
)
from schemas.masking.scan import Scan, encode_percent
from schemas.masking.shapes import mask_shapes

#: Levels of text in text (JSON in a form in a printed dict …) that are looked into; what lies deeper and might hold a
#: secret is replaced as a whole.
MAX_NESTING = 12

_FORM_NAME = r"[\w.\-\[\]%+$@:~*]{1,200}"
_FORM = re.compile(rf"\??{_FORM_NAME}=[^&\n]*+(?:&[^&=\n]*+(?:=[^&\n]*+)?)*+")
_PART = re.compile(
    r"form-data;[^\r\n]{0,500}?\bname=(?:\"([^\"\r\n]*)\"|([^\s;]+))[^\r\n]*(?:\r?\n[^\r\n]+){0,8}\r?\n\r?\n"
)
_QUOTE_OR_TAG = re.compile("[\"'<]")
_BOUNDARY = re.compile(r"^--([^\r\n]{1,100}?)(?:--)?\r?$", re.MULTILINE)


class TextMasker:
    """Masks texts and gathers the names of what it masked in `names`."""

    def __init__(self, extra: frozenset[str], substitute: str) -> None:
        self.extra = extra
        self.substitute = substitute
        self.names: set[str] = set()

    def like(self) -> TextMasker:
        """A masker with the same settings that has reported nothing yet."""
        return TextMasker(self.extra, self.substitute)

    def is_secret(self, name: str) -> bool:
        return is_secret(name) or (bool(self.extra) and name.lower() in self.extra)

    def is_name(self, text: str) -> bool:
        """Whether `text`, found where a pair has its name, is one, rather than a secret or what holds one."""
        if NAME_LIKE.fullmatch(text) is None:
            return False
        return is_plain_name(text) or self.like().mask(text) == text

    def secret_name(self, text: str) -> str:
        """`text` if it is the name of a secret, else the empty string."""
        return text if self.is_secret(text) and self.is_name(text) else ""

    def mask_name(self, name: str) -> str:
        """A field's name without secrets in it."""
        return name if is_plain_name(name) else self.mask(name)

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
            text = self._form(text, nesting)
        elif "form-data" in text and text.lstrip()[:1] not in ("<", "{", "["):
            text = self._multipart(text, nesting)
        else:
            text = Scan(self, text, nesting).run()
        if ENTITY.search(text) and not _QUOTE_OR_TAG.search(text):  # all of it was escaped for markup
            plain = html.unescape(text)
            masked = self.mask(plain, nesting + 1)
            return text if masked == plain else html.escape(masked)
        return text

    def _form(self, text: str, nesting: int) -> str:
        """A whole query string or form body: values end at `&` alone, whatever is in them."""
        pairs = [piece.partition("=") for piece in text.split("&")]
        names = [self.mask_name(unquote_plus(name.lstrip("?"))) for name, _, _ in pairs]
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
                value = encode_percent(self.substitute)
            elif value and self.is_secret(name) and not (paired and lowered in NAME_KEYS):
                self.report(name)
                value = encode_percent(self.substitute)
            elif value:
                value = self.percent(value, nesting)
            masked.append(self.percent(raw, nesting) + equals + value)
        return "&".join(masked)

    def percent(self, raw: str, nesting: int) -> str:
        """Text in percent encoding, masked inside and encoded again if that changed it."""
        plain = unquote_plus(raw)
        masked = self.mask(plain, nesting + 1)
        if masked == plain:
            return raw
        return masked if plain == raw else encode_percent(masked)

    def _multipart(self, text: str, nesting: int) -> str:
        """multipart/form-data: the value stands in lines of its own, up to the boundary."""
        boundary = _BOUNDARY.search(text)
        end_mark = re.compile(r"\r?\n--" + (re.escape(boundary[1]) if boundary else ""))
        pieces: list[str] = []
        position = 0
        while part := _PART.search(text, position):
            pieces.append(Scan(self, text[position : part.end()], nesting).run())
            end = end_mark.search(text, part.end() - 2)
            value = text[part.end() : end.start() if end else len(text)]
            position = part.end() + len(value)
            name = part[1] or part[2] or ""
            if value and self.is_secret(name):
                self.report(name)
                value = self.substitute
            pieces.append(self.mask(value, nesting + 1))
        pieces.append(Scan(self, text[position:], nesting).run())
        return "".join(pieces)
