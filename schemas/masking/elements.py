"""Masks secrets in the elements and attributes of XML and HTML."""

from __future__ import annotations

import html
import re

from schemas.masking.edits import Edit, Edits
from schemas.masking.names import NAME_KEYS, VALUE_KEYS

_TAG = re.compile(
    r"<([A-Za-z_][\w:.\-]*+)((?:\s++[\w:.\-]++(?:\s*+=\s*+(?:\"[^\"<]*+\"|'[^'<]*+'|[^\s\"'<>]++))?+)*+)\s*+(/?)>"
)
_ATTRIBUTE = re.compile(r"([\w:.\-]++)\s*+=\s*+(?:\"([^\"<]*+)\"|'([^'<]*+)'|([^\s\"'<>]++))")
_SIBLING = re.compile(r"([^<>]{1,200})</([\w:.\-]+)\s*>\s*(?=<([A-Za-z_][\w:.\-]*))")
#: Elements whose text names what the next element holds, besides NAME_KEYS: tables, forms.
_NAMING_TAGS = NAME_KEYS | {"td", "th", "dt"}
_TYPED_TAGS = VALUE_KEYS | {"string", "integer", "real", "true", "false", "array", "dict", "data", "date"}
ENTITY = re.compile(r"&(?:lt|gt|quot|apos|amp|#x?[0-9a-fA-F]{1,6});")


def _escape(text: str) -> str:
    """Text as an attribute's value."""
    return html.escape(text).replace("\r", "&#13;").replace("\n", "&#10;")


class Elements:
    """The tags of one text."""

    def __init__(self, edits: Edits) -> None:
        self.edits = edits
        self.masker = edits.masker
        self.text = edits.text
        self.unclosed: set[str] = set()

    def tag(self, position: int) -> int:
        """Masks what belongs to the tag that begins here. Returns where to go on."""
        match = _TAG.match(self.text, position)
        if match is None:
            return position + 1
        element = match[1].rpartition(":")[2]
        told, holds_value = self._attributes(match)
        if match[3]:
            return match.end()
        sibling = _SIBLING.match(self.text, match.end())
        if sibling and not told and sibling[2] == match[1] and element.lower() in _NAMING_TAGS:
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
        return self._node(match.end())

    def _node(self, position: int) -> int:
        """Masks the text behind a tag if it is written otherwise than the text around it."""
        end = self.text.find("<", position)
        end = len(self.text) if end < 0 else end
        node = self.text[position:end]
        if not ENTITY.search(node) and "form-data" not in node:
            return position
        self.edits.inside(position, end, html.unescape(node), lambda text: html.escape(text, quote=False))
        return end

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
                edit = Edit(start, end, html.escape(self.masker.substitute))
                self.edits.add(edit, name if self.masker.is_secret(name) else told)
            else:
                self.edits.inside(start, end, text, _escape)
        return told, holds_value

    def _mask_element(self, name: str, tag: str, position: int) -> int:
        end = self._element_end(tag, position)
        if self.text[position:end].strip():
            self.edits.add(Edit(position, end, html.escape(self.masker.substitute)), name)
        return end

    def _element_end(self, tag: str, position: int) -> int:
        """Where the content of an element ends that begins at `position`; cut XML ends with the text."""
        if tag not in self.unclosed:
            depth, mark = 1, re.compile(rf"<(/?){re.escape(tag)}(?=[\s/>])")
            for match in mark.finditer(self.text, position):
                depth += -1 if match[1] else 1
                if depth == 0:
                    return match.start()
            self.unclosed.add(tag)
        if self.text.lstrip()[:1] == "<" or len(self.unclosed) > 20:
            return len(self.text)
        line = self.text.find("\n", position)
        return len(self.text) if line < 0 else line
