"""Masks secrets by pattern, at any depth, before anything is handed to Kafka or written to a table.

A field is a secret by its name (`names`), a text by what is written in it (`text`) or by its shape (`shapes`). The
whole value goes, of whatever type; null and what is empty stay, since they tell nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from schemas.masking.members import mask_members
from schemas.masking.names import HINTS, Kind, is_secret, kind, might_hold_secret
from schemas.masking.text import TextMasker

__all__ = [
    "HINTS",
    "MAX_DEPTH",
    "SUBSTITUTE",
    "is_secret",
    "mask",
    "mask_bytes",
    "mask_json",
    "mask_text",
    "might_hold_secret",
]

#: What a secret is replaced with (drf-tracking's CLEANED_SUBSTITUTE).
SUBSTITUTE = "********************"

#: Containers in containers that are looked into; a deeper one is replaced as a whole.
MAX_DEPTH = 500

_SCALARS = frozenset((int, float, bool, type(None)))


def mask(value: Any, *, extra: Collection[str] = (), substitute: str = SUBSTITUTE) -> tuple[Any, list[str]]:
    """A copy of a JSON-like value without its secrets, and the sorted names of the fields that were masked.

    Tuples and sets become lists; what JSON does not know (a Decimal, a UUID, a datetime) is passed on as it is. Never
    raises for JSON-like values; masking twice gives the same as masking once.

    Args:
        extra: more names that hold secrets, as a whole and in any case.
    """
    walk = _Walk(extra, substitute)
    return walk.run(value), sorted(walk.text.names)


def mask_json(text: str) -> tuple[str, set[str]] | None:
    """What `mask` makes of a JSON document, as compact JSON, and the names of the fields that were masked.

    Args:
        text: compact JSON without backslashes, with fewer than `MAX_DEPTH` brackets.

    Returns:
        None if the document is not simple enough for this fast way; `mask` knows then.
    """
    return mask_members(text, SUBSTITUTE)


def mask_text(text: str, *, extra: Collection[str] = (), substitute: str = SUBSTITUTE) -> tuple[str, list[str]]:
    """`text` without the secrets in it, and their names; as `mask` does with the strings in a value."""
    masker = TextMasker(frozenset(name.lower() for name in extra), substitute)
    return masker.mask(text), sorted(masker.names)


def mask_bytes(data: bytes, *, extra: Collection[str] = (), substitute: str = SUBSTITUTE) -> tuple[bytes, list[str]]:
    """`data` without the secrets in it as far as it is text (UTF-8 or UTF-16), and their names. Bytes that are no
    text stay as they are."""
    if not extra and not might_hold_secret(data):
        return data, []
    encoding, errors = _encoding(data)
    masked, names = mask_text(data.decode(encoding, errors), extra=extra, substitute=substitute)
    return masked.encode(encoding, errors), names


def _encoding(data: bytes) -> tuple[str, str]:
    """Encoding and error handler with which any bytes decode, and encode to the same again."""
    low, high = data[::2].count(0), data[1::2].count(0)
    if len(data) % 2 == 0 and max(low, high) > len(data) // 4 and min(low, high) < max(low, high) // 8:
        # Names in UTF-16 have a zero in every other byte.
        return ("utf-16-le" if high > low else "utf-16-be"), "surrogatepass"
    return "utf-8", "surrogateescape"


class _Walk:
    """One walk over a value, without recursion: `todo` grows while it is worked off."""

    def __init__(self, extra: Collection[str], substitute: str) -> None:
        self.text = TextMasker(frozenset(name.lower() for name in extra), substitute)
        self.todo: list[tuple[Any, Any, int]] = []

    def run(self, value: Any) -> Any:
        result = self._copy(value, 0, listed=True)
        for source, copy, depth in self.todo:
            if isinstance(copy, dict):
                self._fields(source, copy, depth)
            else:
                self._items(source, copy, depth)
        return result

    def _copy(self, value: Any, depth: int, listed: bool = False) -> Any:
        """`value` masked; a container comes back empty and is filled later.

        `["password", "x"]` is a name and its value inside a list (`listed`), as a tuple it always is; a list right
        under a name (`"fields": ["Password", "Email"]`) is a list of names.
        """
        if isinstance(value, str):
            return self.text.mask(value)
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, msgspec.Struct):
            value = msgspec.structs.asdict(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            masked, names = mask_bytes(bytes(value), extra=self.text.extra, substitute=self.text.substitute)
            self.text.names.update(names)
            return masked
        copy: Any
        if isinstance(value, Mapping):
            copy = {}
        elif isinstance(value, (list, tuple, set, frozenset)):
            copy = []
            if len(value) in (2, 3):
                first, *rest = value
                told = self.text.secret_name(_text(first)) if isinstance(first, (str, bytes)) else ""
                if told and (listed or isinstance(value, tuple) or self.text.substitute in rest):
                    return [first, *(self._masked(told, item) for item in rest)]
        else:
            return value
        if depth >= MAX_DEPTH and value:
            return self.text.substitute
        self.todo.append((value, copy, depth + 1))
        return copy

    def _fields(self, source: Mapping[Any, Any], copy: dict[Any, Any], depth: int) -> None:
        kinds = [kind(key) for key in source]
        paired = Kind.VALUE in kinds and Kind.NAME in kinds
        told = self._told(source) if paired else ""
        extra = self.text.extra
        for (key, item), of in zip(source.items(), kinds, strict=True):
            if of is Kind.PLAIN and not (extra and key.lower() in extra):
                unchanged = type(item) in _SCALARS or (type(item) is str and not self.text.might(item))
                copy[key] = item if unchanged else self._copy(item, depth)
                continue
            name = self.text.mask_name(key if isinstance(key, str) else str(key))
            if told and of is Kind.VALUE:
                masked = self._masked(told, item)
            elif self.text.is_secret(name) and not (paired and of is Kind.NAME and self._tells(item)):
                masked = self._masked(name, item)
            else:
                masked = self._copy(item, depth)
            copy[name if isinstance(key, str) else key] = masked

    def _told(self, source: Mapping[Any, Any]) -> str:
        """The secret name that a name/value pair gives, the empty string if none."""
        told = (
            self.text.secret_name(item) for key, item in source.items() if kind(key) is Kind.NAME and self._tells(item)
        )
        return next(filter(None, told), "")

    def _tells(self, value: Any) -> bool:
        return isinstance(value, str) and self.text.is_name(value)

    def _items(self, source: Any, copy: list[Any], depth: int) -> None:
        copy.extend(self._copy(item, depth, listed=True) for item in source)

    def _masked(self, name: str, value: Any) -> Any:
        if value is None or (not value and not isinstance(value, (bool, int, float))):
            return value
        self.text.report(name)
        return self.text.substitute


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")
